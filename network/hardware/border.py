"""The border between devices and digital circuits, layer by layer: where products are formed and what follows them."""

from __future__ import annotations

import pandas as pd

from network.hardware.run import Run
from network.model.architecture import Architecture, Layer
from network.training.settings import Settings
from spinloom.border import DEVICES, DIGITAL, NONE

COLUMNS = [
    "variant", "rule", "layer", "kind", "inputs", "outputs", "uses", "devices", "inference", "training_forward",
    "training_backward", "gradient", "dac_bits", "adc_bits", "after",
]  # fmt: skip


def layer_table(run: Run, settings: Settings) -> pd.DataFrame:
    """Return one row for each array of one variant's network, `COLUMNS`.

    It says where each product is formed, by the same questions that the cost terms ask of the run, and which digital
    work follows the array, in its order. Bits are empty where no converter stands or where it is ideal.

    Parameters
    ----------
    run : Run
    settings : Settings
        Of its variant.
    """
    architecture, given = settings.architecture(), settings.pretrained
    normalised = [architecture.normalisation == "batch"] * len(architecture.layers)
    if given is not None and normalised[0]:
        normalised = [name is not None for name in given.norms or (None,) * len(normalised)]
    m, trained = run.meter, run.meter.epochs > 0
    inference, training = run.reads("inference"), run.reads("training")

    def place(analogue: bool, happens: bool = True) -> str:
        return (DEVICES if analogue else DIGITAL) if happens else NONE

    rows = []
    for number, (layer, tiling) in enumerate(zip(architecture.layers, run.tilings, strict=True)):
        converted = inference.forward or training.forward
        rows.append({
            "variant": m.variant, "rule": m.rule, "layer": number + 1, "kind": _kind(layer),
            "inputs": layer.inputs, "outputs": layer.outputs, "uses": layer.uses,
            "devices": layer.inputs * layer.outputs * m.devices_per_synapse,
            "inference": place(inference.forward), "training_forward": place(training.forward, trained),
            # errors need not reach what comes in
            "training_backward": place(training.backward, trained and number > 0),
            "gradient": place(m.outer, trained),
            "dac_bits": run.converters.dac_bits if converted else None,
            "adc_bits": run.converters.adc_bits if converted else None,
            "after": "; ".join(_after(number, architecture, normalised[number], tiling.groups if converted else 1)),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS).astype({"dac_bits": "Int64", "adc_bits": "Int64"})


def _kind(layer: Layer) -> str:
    if layer.projects is not None:
        return "projection"
    return f"convolution {layer.kernel} x {layer.kernel}" if layer.kernel else "dense"


def _after(number: int, architecture: Architecture, normalised: bool, groups: int) -> list[str]:
    """Return what digital circuits do with the columns' values, as `network.model.layer_stack.forward` does it."""
    layer, found = architecture.layers[number], []
    if groups > 1:
        found.append(f"sum of {groups} groups of rows")
    if layer.pool > 1:
        found.append(f"maximum of {layer.pool} x {layer.pool}")
    found.append("batch normalisation" if normalised else "bias")
    if layer.adds is not None:
        found.append(f"sum with what enters layer {layer.adds + 1}")
    if layer.projects is not None:
        found.append(f"sum with layer {number}")
    if number < len(architecture.layers) - 1 and not layer.summed:
        found.append(architecture.activation)
    if layer.average != (1, 1):
        found.append(f"mean of {layer.average[0]} x {layer.average[1]}")
    if layer.dropout:
        found.append(f"dropout {layer.dropout:g} while training")
    return found
