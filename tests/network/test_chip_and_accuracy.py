"""One key of the chip, accuracy and cost: what converters cut off is told, and what is charged is what is trained."""

import jax.numpy as jnp
import numpy as np
import pytest

from network import datasets
from network.crossbar.converters import beyond
from network.hardware import costs
from network.hardware.run import Run
from network.model import layers
from network.results.meter import Clipped
from network.results.summary import CLIPPED, clipping_warnings
from network.rules.base import Context
from network.sections import Converters
from network.synapse.device import DeviceModel
from network.training import settings
from network.training.trainer import Trainer
from spinloom.quantities import OWN
from tests.network.conftest import make_card, quiet, trainer

X = jnp.asarray([-3.0, -1.0, -0.5, 0.0, 1.0, 1.5, 2.0, 9.0])


@pytest.mark.parametrize(
    ("bits", "full_scale", "signed", "share"),
    [(8, 1.0, True, 4 / 8), (8, 1.0, False, 6 / 8), (2, 9.0, True, 0.0), (1, 1.0, True, 0.0), (1, 1.0, False, 6 / 8)],
)
def test_values_beyond_full_scale_are_counted(bits, full_scale, signed, share):
    assert float(beyond(X, bits, full_scale, signed)) == share


@pytest.mark.long
def test_the_share_of_a_run_is_that_of_its_currents(config):
    """Layer 1 against the currents of the same devices, formed here, without noise of reads."""
    run = trainer(
        config, epochs=1, device={"read_noise": False}, converters={"adc_bits": 8, "adc_full_scale": 0.5},
        normalisation="batch",
    )  # fmt: skip
    state, _ = run.start()
    clipped = run.evaluator.clipped(state, 0)
    machine = run.machine
    x = machine.shaped(machine.prepare(machine.validation[0])).reshape(100, -1)
    weights = run.rule.weights(state.memory, machine.arrays(state), Context(machine.streams("rule"), jnp.int32(0)))
    layer = machine.architecture.layers[0]
    current = np.asarray(x @ weights[0].value) * layer.scale
    expected = np.mean(np.abs(current) > 0.5 * run.rule.column_unit(layer))
    assert 0.05 < expected < 0.95 and clipped[0].adc == pytest.approx(expected, abs=1e-3)
    assert clipped[0].dac is None and len(clipped) == 2


def test_groups_of_rows_are_counted_each():
    clipping = layers.Clipping()
    bits = Converters(dac_bits=4, dac_full_scale=2, adc_bits=8, adc_full_scale=1)
    layers.driven(X, bits, first=False, signed=True, clipping=clipping)
    assert [float(share) for share in clipping.dac] == [2 / 8]
    layers.driven(X, bits, first=True, signed=True, clipping=clipping)
    assert float(clipping.dac[1]) == 4 / 8  # pictures end at 1


def test_what_is_cut_off_is_a_warning_of_the_worst_layer():
    bits = Converters(dac_bits=8, adc_bits=8, adc_full_scale=2.5)
    few, many = Clipped(CLIPPED, CLIPPED / 2), Clipped(None, 0.125)
    assert clipping_warnings([(few, few), (few, few)], bits) == []
    assert clipping_warnings([(few, few), (few, many)], bits) == [
        "12 % of the values of layer 2 are beyond the full scale of its ADC; network.converters.adc_full_scale is 2.5"
    ]
    (told,) = clipping_warnings([(Clipped(0.5, 0.0), few)], bits)
    assert told == "50 % of the values of layer 1 are beyond the full scale of its DAC"
    assert clipping_warnings([(Clipped(None, None),)], Converters()) == []


SECTION = {
    "dataset": "digits", "layers": [64, 32, 10], "validation_images": 297, "training_images": 1000, "epochs": 4,
    "batch_size": 20, "optimizer": {"name": "adam", "learning_rate": 0.02}, "seed": 3, "seeds": 1,
    "rule": "accumulate_quantise_program", "rule_options": {"margin": 0.1},
}  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return a function that trains with changes and returns accuracy and inference costs, once for each change."""
    data, known = datasets.get("digits").load(None, ""), {}

    def measure(converters=None, array=None, **hardware):
        name = repr((converters, array, hardware))
        if name not in known:
            section = settings.check({
                **SECTION, "array": array or {}, "converters": converters or {"dac_bits": 8, "adc_bits": 8},
                "hardware": hardware,
            })  # fmt: skip
            device = DeviceModel.from_card(make_card(), section.device)
            folder = tmp_path_factory.mktemp("run")
            result = Trainer(section, device, 0, data).run(folder, "digits", quiet, quiet)
            table = costs.cost_table([Run.of(result["meter"], device, section)])
            own = table[(table["chip"] == OWN) & (table["phase"] == "inference") & (table["level"] == "system")].iloc[0]
            known[name] = (result["history"][-1]["test_accuracy"], *own[["energy_J_mean", "time_s", "area_m2"]])
        return np.array(known[name], float)

    return measure


@pytest.mark.long
def test_one_bit_more(measured):
    two, three = (measured({"dac_bits": 8, "adc_bits": bits}) for bits in (2, 3))
    assert three[0] > two[0] + 0.02
    assert three[1] > two[1] and three[2] >= two[2] and three[3] > two[3]


@pytest.mark.long
def test_tiles_of_half_the_size(measured):
    """A converter for each tile's columns: half as many wait for it, and twice as many convert."""
    lines = {"wire_resistance_ohm": 60.0, "partial_sums": "digital"}
    large, small = (
        measured(array={**lines, "tile_rows": side, "tile_columns": side}, columns_per_adc=32) for side in (32, 16)
    )
    assert small[0] > large[0] + 0.02
    assert small[1] > large[1] and small[2] < large[2] and small[3] > large[3]


@pytest.mark.long
def test_a_converter_for_twice_the_columns(measured):
    own, shared = measured(columns_per_adc=4), measured(columns_per_adc=8)
    assert shared[0] == own[0] and shared[2] > own[2] and shared[3] < own[3]
