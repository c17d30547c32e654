"""What a run cost in energy, from the counts of its meter and stated assumptions.

Energy is split into three levels, because published numbers that differ in level differ by orders of magnitude:
"device" is what the synapses themselves take (from the card), "array" adds converters and lines, "system" adds the
digital arithmetic and memory that the learning rule needs.

A term is a function in `TERMS` that names its factors once: its energy is their product, and its formula and its
inputs are written from the same factors. To add a term, write such a function and put it into the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from network.config import Energy
from network.results.meter import WORD, Meter
from network.synapse.device import DeviceModel
from spinloom.quantities import LEVELS, PHASES

# symbol in formulas -> constant
SYMBOLS = {
    "E_adc": "adc_energy_J", "E_dac": "dac_energy_J", "C_cell": "line_capacitance_F_per_cell",
    "E_mac": "float_mac_energy_J", "E_op": "float_operation_energy_J", "E_bit": "float_memory_energy_J_per_bit",
}  # fmt: skip
# per column and sample: batch normalisation or a bias alone, and the activation
COLUMN_OPERATIONS = {
    "batch": ({"training": 10, "inference": 2}, "batch normalisation and activation in float"),
    "none": ({"training": 4, "inference": 2}, "bias and activation in float"),
}
OPTIMIZER_OPERATIONS = (2, 12)  # per trained number and step, without moments (sgd) and with them (as Adam)


class Factor(NamedTuple):
    """A number in the formula of a term."""

    symbol: str  # how the formula writes it
    value: float
    told: str = ""  # how the inputs tell it; empty for a constant that the formula shows


def given(symbol: str, value: float, name: str = "") -> Factor:
    """Return a factor that the inputs tell as ``name=value``; the name is the symbol if there is none."""
    return Factor(symbol, value, f"{name or symbol}={value:.6g}")


@dataclass(frozen=True)
class Term:
    """One contribution to the energy of a sample."""

    phase: str
    level: str
    name: str
    factors: tuple[Factor, ...]
    assumption: str
    per: Factor | None = None  # divides the product

    @property
    def energy_J(self) -> float:
        """Energy per sample, J."""
        product = math.prod(factor.value for factor in self.factors)
        return float(product / self.per.value if self.per else product)

    @property
    def formula(self) -> str:
        """The formula in symbols."""
        product = " * ".join(factor.symbol for factor in self.factors)
        return f"{product} / {self.per.symbol}" if self.per else product

    @property
    def inputs(self) -> str:
        """The values of the formula's symbols."""
        return "; ".join(factor.told for factor in (*self.factors, self.per) if factor and factor.told)


class Reads(NamedTuple):
    """How the arrays are read for one sample in one phase."""

    forward: bool  # all products of the forward pass
    backward: bool  # all products of the backward pass
    single: float  # devices one by one


@dataclass(frozen=True)
class Run:
    """What the terms of one run are computed from."""

    meter: Meter
    device: DeviceModel
    constants: Energy

    def __getitem__(self, symbol: str) -> Factor:
        """Return one of the assumed constants, by its symbol."""
        return given(symbol, getattr(self.constants, SYMBOLS[symbol]))

    @property
    def steps_per_sample(self) -> Factor:
        """Steps of the optimiser per sample."""
        return Factor("steps/samples", self.meter.steps / self.meter.samples)

    @property
    def written_J(self) -> float:
        """Energy of all programming events, J."""
        return float(self.meter.by_pulse @ self.device.write_energy)

    def reads(self, phase: str) -> Reads:
        """Return how the arrays are read; nothing of it is true if they are not."""
        m, training = self.meter, phase == "training"
        if not m.devices:
            return Reads(False, False, 0.0)
        # devices without memory cannot be read backward
        backward = training and m.in_loop and not m.clocks
        return Reads(m.in_loop or not training, backward, m.single_reads if training else 0.0)

    def lines_read(self, reads: Reads, forward: str, backward: str) -> int:
        """Return how many lines on one side of the arrays all products use, named as fields of `LayerUse`."""
        m = self.meter
        count = m.reads_per_product * sum(getattr(layer, forward) * layer.uses for layer in m.layers) * reads.forward
        return count + reads.backward * sum(getattr(layer, backward) * layer.uses for layer in m.layers[1:])

    @cached_property
    def read_energy_J(self) -> np.ndarray:
        """Energy of all reads of one forward pass, by layer; all layers together if a read is a pulse, float64[L]."""
        m, device = self.meter, self.device
        if m.clocks:  # a read is a clock pulse and the look at what it left
            return np.array([np.array(m.clocks) @ (device.write_energy + float(np.mean(device.read_energy)))])
        return self.states_read_J * [layer.uses for layer in m.layers]

    @property
    def states_read_J(self) -> np.ndarray:
        """Energy of reading each device once in its final state, by layer, float64[L]."""
        return np.array(self.meter.devices_by_state) @ self.device.read_energy


def writes(run: Run, phase: str) -> Term | None:
    m = run.meter
    if not m.writes:
        return None
    told = f"N_writes={m.writes:.6g}; E_written={run.written_J:.6g}"
    return Term(
        phase, "device", "writes", (Factor("sum_k N_k E_k", run.written_J, told),),
        "energies of the card; first programming included", per=given("samples", m.samples),
    )  # fmt: skip


def write_lines(run: Run, phase: str) -> Term | None:
    m = run.meter
    if not m.writes:
        return None
    cells = sum(n * (layer.inputs + layer.outputs) for n, layer in zip(m.writes_by_layer, m.layers, strict=True))
    squared = float(m.by_pulse @ run.device.write_voltage**2) / m.writes
    return Term(
        phase, "array", "write lines",
        (given("N_cells", cells / m.samples), run["C_cell"], given("<V_pulse^2>", squared, "V2")),
        "row and column line of the device charged once per write",
    )  # fmt: skip


def reads(run: Run, phase: str) -> Term | None:
    if not any(how := run.reads(phase)):
        return None
    m, energy, share = run.meter, run.read_energy_J, how.single / run.meter.devices
    spent = how.forward * energy.sum() + (energy[1:].sum() if how.backward else 0.0)
    if share:
        spent += share * float(run.states_read_J.sum())
    told = f"E_read_all={energy.sum():.6g}; state_reads_per_sample={share:.6g}"
    name, assumption = "reads", "every device read at the card's full read voltage; final states"
    if m.clocks:
        name, assumption = "clocks and reads", "every device clocked and read for each of its measurements"
    return Term(phase, "device", name, (Factor("sum over reads of E_read(state)", spent, told),), assumption)


def dac(run: Run, phase: str) -> Term | None:
    if not (number := run.lines_read(run.reads(phase), "inputs", "outputs")):
        return None
    return Term(phase, "array", "DAC", (given("N_dac", number), run["E_dac"]), "one conversion per row and product")


def adc(run: Run, phase: str) -> Term | None:
    if not any(how := run.reads(phase)):
        return None
    number = run.lines_read(how, "outputs", "inputs") + how.single
    return Term(
        phase, "array", "ADC", (given("N_adc", number), run["E_adc"]),
        "one conversion per column and product, and per device whose state is read",
    )  # fmt: skip


def read_lines(run: Run, phase: str) -> Term | None:
    if not any(how := run.reads(phase)):
        return None
    m = run.meter
    products = how.forward * m.products * m.reads_per_product + how.backward * m.back_products
    cells = 2 * m.devices_per_synapse * products + 2 * how.single
    squared = float(np.mean(run.device.read_voltage**2))
    return Term(
        phase, "array", "read lines", (given("N_cells", cells), run["C_cell"], given("V_read^2", squared, "V2")),
        "row and column line charged once per product",
    )  # fmt: skip


def float_products(run: Run, phase: str) -> Term | None:
    """What no array computes: gradients (but outer products of pulse trains), and passes that read no device."""
    m = run.meter
    gradients = 0 if m.outer else m.products
    if phase == "inference":
        number = 0 if m.devices else m.products
    elif m.clocks:  # errors go back through the stored controls of each device
        number = (gradients + m.back_products) * m.devices_per_synapse
    else:
        number = gradients + (0 if m.in_loop else m.products + m.back_products)
    if not number:
        return None
    return Term(phase, "system", "float products", (given("N_mac", number), run["E_mac"]), "32-bit float throughout")


def weight_memory(run: Run, phase: str) -> Term | None:
    m = run.meter
    if phase == "inference":
        if m.devices:
            return None
        factors = (given("bits of weights", m.synapses * m.weight_bits, "bits"), run["E_bit"])
        return Term(phase, "system", "weight memory", factors, "one image at a time: every weight read once")
    if m.in_loop:
        return None
    kept = m.memory_bits.get("weights", m.synapses * WORD)
    return Term(
        phase, "system", "weight memory",
        (Factor("3", 3), given("bits of weights", kept, "bits"), run["E_bit"], run.steps_per_sample),
        "read once per step for forward, backward and gradient",
    )  # fmt: skip


def optimiser_memory(run: Run, phase: str) -> Term:
    return Term(
        phase, "system", "optimiser memory",
        (Factor("2", 2), given("bits", run.meter.memory), run["E_bit"], run.steps_per_sample),
        "each bit of accumulator and moments read and written once per step",
    )  # fmt: skip


def gradient_memory(run: Run, phase: str) -> Term | None:
    if run.meter.outer:
        return None
    word = Factor(f"{WORD} bit", WORD)
    return Term(
        phase, "system", "gradient memory",
        (Factor("2", 2), given("N", run.meter.trainable), word, run["E_bit"], run.steps_per_sample),
        "summed over the batch in registers, written and read once per step",
    )  # fmt: skip


def optimiser_arithmetic(run: Run, phase: str) -> Term | None:
    if run.meter.outer:
        return None
    each = OPTIMIZER_OPERATIONS[run.meter.memory_bits.get("optimizer", 0) > 0]
    return Term(
        phase, "system", "optimiser arithmetic",
        (Factor(f"{each}", each), given("N", run.meter.trainable), run["E_op"], run.steps_per_sample),
        f"{each} float operations per trained number and step",
    )  # fmt: skip


def activation_memory(run: Run, phase: str) -> Term:
    word = Factor(f"{WORD} bit", WORD)
    return Term(
        phase, "system", "activation memory",
        (Factor("4", 4), given("N_col", run.meter.columns), word, run["E_bit"]),
        "forward value and error of each column written and read once",
    )  # fmt: skip


def column_arithmetic(run: Run, phase: str) -> Term:
    operations, assumption = COLUMN_OPERATIONS[run.meter.normalisation]
    each = Factor(f"{operations[phase]}", operations[phase])
    factors = (each, given("N_col", run.meter.columns), run["E_op"])
    return Term(phase, "system", "column arithmetic", factors, assumption)


# in the order of the table; a term that a run has not is None
TERMS: tuple[tuple[str, Callable[[Run, str], Term | None]], ...] = (
    ("training", writes),
    ("training", write_lines),
    *((phase, term) for phase in PHASES for term in (reads, dac, adc, read_lines)),
    *((phase, term) for phase in PHASES for term in (float_products, weight_memory)),
    *(("training", term) for term in (optimiser_memory, gradient_memory, optimiser_arithmetic, activation_memory)),
    *((phase, column_arithmetic) for phase in PHASES),
)


def energy_terms(meter: Meter, device: DeviceModel, constants: Energy) -> list[Term]:
    """Return the energy of one run in its terms.

    Energies are J per sample: per presentation in training (all of the training, first programming included, divided
    by the samples presented), per classified image in inference. Rules whose trained weights are programmed into
    devices afterwards train in float, and the one deployment is shared by all presentations.
    """
    run = Run(meter, device, constants)
    found = (make(run, phase) for phase, make in TERMS)
    return [term for term in found if term is not None]


def statement(meter: Meter, device: DeviceModel, constants: Energy) -> list[Term]:
    """Return the terms of one run, then their totals as terms, then the programming energy per presentation."""
    terms = energy_terms(meter, device, constants)
    sums = [
        Term(*which, "total", (Factor("sum of the terms of this level and those below", value),), "")
        for which, value in totals(terms).items()
    ]
    return [*terms, *sums, *([programming(Run(meter, device, constants))] if meter.writes else [])]


def programming(run: Run) -> Term:
    """Return the "energy per inference" of Misba et al. (arXiv 2111.07284), which no total holds.

    It is the energy of all programming events of a training, divided by the number of presentations of a sample. It
    holds neither reads, converters nor memory.
    """
    samples = Factor("(N_train * epochs)", run.meter.samples, f"samples={run.meter.samples}")
    return Term(
        "training", "device", "programming per presentation",
        (Factor("N_writes * E_write", run.written_J, f"E_written={run.written_J:.6g}"),),
        "definition of 'energy per inference' in arXiv 2111.07284", per=samples,
    )  # fmt: skip


def totals(terms: list[Term]) -> dict[tuple[str, str], float]:
    """Return J per sample by (phase, level), cumulative: "array" holds "device", "system" holds both."""
    sums: dict[tuple[str, str], float] = {}
    for phase in PHASES:
        running = 0.0
        for level in LEVELS:
            running += sum(term.energy_J for term in terms if (term.phase, term.level) == (phase, level))
            sums[phase, level] = running
    return sums
