"""NeuroSim: the parameters of a cell with exponential steps, as a table and as settings by its own names."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import numpy as np

from calibration.card import KernelCard
from calibration.exports.exported import Exported, Loss
from calibration.exports.steps import DOWN, UP, Directions, chosen, common_losses, device_spread, own_kernels
from calibration.exports.trains import Ends, Law, distance, fit
from spinloom.declare import Real, Whole, key
from spinloom.errors import UserError

WAYS = ("LTP", "LTD")  # its names of up and down
TOLD = ("read noise", "spread of devices' factors", "spread of devices' offsets")  # of the common losses


class Options(Directions):
    """Options of neurosim."""

    reached: Real = key("Share of the range after which a train of pulses is at its end.", 0.98, gt=0.5, lt=1)
    most_pulses: Whole = key("Longest train.", 10_000, ge=2, le=1_000_000)


class Parameter(NamedTuple):
    """A parameter of the cell; NaN is one that the card does not know."""

    name: str
    value: float
    unit: str
    meaning: str
    setting: str | None = "{}"  # how the program's file writes the value; None: the table alone has it


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``neurosim_cell.csv`` and ``neurosim_cell.txt``.

    The law of a train is that of Chen, Peng and Yu, IEEE Trans. Computer-Aided Design 37, 3067 (2018)
    (`calibration.exports.trains`).

    Parameters
    ----------
    card : KernelCard
    options : Options

    Raises
    ------
    UserError
        If a train does not get to its end, or the ends of both trains enclose no range.
    """
    used = chosen(card, options, "neurosim")
    conductance, occupancy = (card.states[name].to_numpy() for name in ("conductance_S", "occupancy"))
    ends = Ends(options.reached, options.most_pulses)
    laws = [fit(card.kernel[pulse], conductance, way == UP, ends, f"pulse {pulse}") for way, pulse in enumerate(used)]
    # the program has one range for both ways
    low, high = max(laws[UP].start_S, laws[DOWN].stop_S), min(laws[DOWN].start_S, laws[UP].stop_S)
    span = high - low
    if span <= 0:
        raise UserError(
            f"export as neurosim: found trains up that end at {laws[UP].stop_S:.3g} S and trains down that end at "
            f"{laws[DOWN].stop_S:.3g} S, allowed: an end above it and one below (options pulse_up, pulse_down)"
        )
    after = card.kernel[list(used)] @ conductance
    variance = card.kernel[list(used)] @ conductance**2 - after**2
    sd = np.sqrt(np.maximum(variance, 0))
    cycle = float(np.sqrt((sd**2 @ occupancy).mean()) / span)
    labels, spread, losses = _devices(card, used, laws, ends)
    covered = Loss("range", span / float(np.ptp(conductance)), "1", "between the trains' ends, over the card's range")
    losses = [*(loss for loss in common_losses(card, used) if loss.quantity not in TOLD), covered, *losses]
    rows = [
        Parameter("maxConductance", high, "S", "end of a train of pulses up, or start of one down, in the mean"),
        Parameter("minConductance", low, "S", "end of a train of pulses down, or start of one up, in the mean"),
        Parameter("Ron", 1 / high, "ohm", "1/maxConductance", None),
        Parameter("Roff", 1 / low, "ohm", "1/minConductance", None),
    ]
    for way, (name, law, pulse) in enumerate(zip(WAYS, laws, used, strict=True)):
        told = card.pulses.iloc[pulse]
        sign = 1 if way == UP else -1  # the program runs the way down backwards along its curve
        rows += [
            Parameter(f"maxNumLevel{name}", law.pulses, "1", f"pulses to {options.reached:g} of the range"),
            Parameter(f"NL_{name}", labels[way], "1", "label of the nonlinearity"),
            Parameter(f"paramA{name}", sign * law.pulses / law.bend, "1", "A of the law, in pulses", None),
            Parameter(f"writeVoltage{name}", abs(told["voltage_V"]), "V", f"size, of the card's pulse {pulse}"),
            Parameter(f"writePulseWidth{name}", told["duration_s"], "s", f"of the card's pulse {pulse}"),
        ]
        losses += _of_one_way(card, law, pulse, name, (low, high), cycle * span, sd[way])
    noise = card.reads["noise_sd_S"].to_numpy() / conductance
    read = float(np.sqrt(occupancy @ noise**2))
    factor, offset = device_spread(card)
    ranges = {name: float(np.hypot(factor * end, offset)) for name, end in (("max", high), ("min", low))}
    share = "{} * (maxConductance - minConductance)"
    rows += [
        Parameter("asymmetry", labels[UP] - labels[DOWN], "1", "NL_LTP - NL_LTD; 0: down is up, backwards", None),
        Parameter("sigmaCtoC", cycle, "of the range", "rms sd of a step, over states and both pulses", share),
        Parameter("sigmaDtoD", spread, "1", "sd of the labels between devices"),
        Parameter("conductanceRangeVar", float(factor > 0 or offset > 0), "1", "whether the ends differ", "bool"),
        *(Parameter(f"{name}ConductanceVar", sd_S, "S", "sd between devices") for name, sd_S in ranges.items()),
        Parameter("readVoltage", float(card.reads["read_voltage_V"].mean()), "V", "mean over states"),
        Parameter("readPulseWidth", float(card.reads["latency_s"].mean()), "s", "mean over states"),
        Parameter("readNoise", float(read > 0), "1", "whether reads are noisy", "bool"),
        Parameter("sigmaReadNoise", read, "of the conductance", "rms sd of a read over states"),
    ]
    if np.ptp(noise) > 1e-9:
        losses.append(Loss(
            "spread of sigmaReadNoise", float(np.ptp(noise)), "of the conductance",
            "largest less smallest noise of a state, for which one number stands",
        ))  # fmt: skip
    return Exported({"neurosim_cell.csv": _csv(rows), "neurosim_cell.txt": _settings(rows, card)}, tuple(losses))


def _of_one_way(
    card: KernelCard, law: Law, pulse: int, name: str, ends: tuple[float, float], sd: float, own: np.ndarray
) -> list[Loss]:
    """Return what the program makes otherwise of a pulse; ``sd`` is its sd of a step, ``own`` that of each state."""
    conductance, occupancy = (card.states[column].to_numpy() for column in ("conductance_S", "occupancy"))
    span, told = ends[1] - ends[0], card.pulses.iloc[pulse]
    apart = distance(card.kernel[pulse], conductance, law, ends, sd) / span
    worst = int(apart.argmax())
    spread = float(np.ptp(own) / span)
    meaning = "between where a step ends by the card and by the program (Wasserstein distance)"
    losses = [
        Loss(f"fit of {name}", law.error, "of the range", "rms of the law along the train", pulse),
        Loss("spread of sigmaCtoC", spread, "of the range", "largest less smallest sd of a step by state", pulse),
        Loss("distance of steps", float(occupancy @ apart), "of the range", f"mean {meaning}", pulse),
        Loss("distance of steps", float(apart[worst]), "of the range", f"largest {meaning}", pulse, worst),
    ]
    charged = told["voltage_V"] ** 2 * float(occupancy @ conductance) * told["duration_s"]
    for quantity, value, taken, formula in (
        ("write energy", told["energy_mean_J"], charged, "V^2 G t of the mean conductance"),
        ("write latency", told["latency_s"], told["duration_s"], "the width of the pulse"),
    ):
        if np.isfinite([value, taken]).all() and taken > 0:
            losses.append(Loss(quantity, float(value / taken), "1", f"the card's over {formula}, the program's", pulse))
    return losses


def _devices(
    card: KernelCard, used: tuple[int, int], laws: list[Law], ends: Ends
) -> tuple[list[float], float, list[Loss]]:
    """Return the labels up and down, their sd between devices, and what is lost of the devices."""
    labels = [laws[UP].label, -laws[DOWN].label]
    devices, conductance = own_kernels(card), card.states["conductance_S"].to_numpy()
    if devices is None:
        return labels, 0.0, []
    found, unfit = [], 0
    for kernel in devices:
        try:
            own = [fit(kernel[pulse], conductance, way == UP, ends, "") for way, pulse in enumerate(used)]
        except UserError:
            unfit += 1
            continue
        found.append([law.label for law in own])
    spread = float(np.sqrt(np.var(found, axis=0, ddof=1).mean())) if len(found) > 1 else 0.0
    meaning = "whose trains do not get to their ends; sigmaDtoD is of the others"
    return labels, spread, [Loss("devices without a label", unfit, "1", meaning)] if unfit else []


def _csv(rows: list[Parameter]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("parameter", "value", "unit", "meaning"))
    for row in rows:
        writer.writerow((row.name, "" if np.isnan(row.value) else repr(float(row.value)), row.unit, row.meaning))
    return text.getvalue().encode()


def _settings(rows: list[Parameter], card: KernelCard) -> bytes:
    """Return the assignments of the cell's definition; what the card does not know stays the program's own."""
    lines = [f"// {card.meta.name}, card {card.hash}"]
    for row in rows:
        told = f"{row.unit}; {row.meaning}"
        if row.setting is None:
            continue
        if np.isnan(row.value):
            lines.append(f"// {row.name}: the card does not know it ({told})")
            continue
        value = str(bool(row.value)).lower() if row.setting == "bool" else row.setting.format(f"{row.value:.6g}")
        lines.append(f"{row.name} = {value};  // {told}")
    return "".join(f"{line}\n" for line in lines).encode()
