"""The terms of a run's energy and time, the same list for device networks and for their digital rivals.

Three levels, because published numbers that differ in level differ by orders of magnitude: "device" is what the
synapses themselves take (from the card), "array" adds drivers, lines and converters, "system" adds the digital
arithmetic and memory that the learning rule needs.

A term is a function in `TERMS` that names its factors once: its energy is their product, and its formula and its inputs
are written from the same factors. A term that a run does not have stands in the table with the reason, so that no
side of a comparison leaves out in silence what the other side is charged for. To add a term, write such a function and
put it into the list.

Times add up: layers, places of a convolution and steps follow each other, and nothing is pipelined. Tiles, columns with
converters of their own, and arithmetic units work in parallel. Memory is read while the circuits compute.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from network.hardware.run import Run
from network.hardware.term import Drafted, Factor, Term, given
from network.model.architecture import Between
from network.results.meter import WORD
from spinloom.quantities import COST_PHASES

# per column and sample: batch normalisation or a bias alone, and the activation
COLUMN_OPERATIONS = {
    "batch": ({"training": 10, "inference": 2}, "batch normalisation and activation in float"),
    "none": ({"training": 4, "inference": 2}, "bias and activation in float"),
}
# between the arrays: a sum and its scaling forward, and once more backward; a mask is drawn and multiplied in both ways
BETWEEN_OPERATIONS = {"inference": Between(sums=1, averaged=1), "training": Between(sums=2, averaged=2, dropped=3)}
OPTIMIZER_OPERATIONS = (2, 12)  # per trained number and step, without moments (sgd) and with them (as Adam)
NO_DEVICES = "no devices"
GIVEN = "nothing is trained: the weights were given"


def _constant(run: Run, name: str) -> Factor:
    return given(name, run.hardware.constant(name))


def _scale(run: Run, phase: str) -> tuple[float, Factor | None]:
    """Return the share of all writes that a phase has, and what they are divided by: samples, or nothing."""
    if phase == "first programming":
        return run.first_share, None
    return 1 - run.first_share, given("samples", run.meter.samples)


def _no_writes(run: Run, phase: str) -> str:
    """Return why a phase writes no device; empty: it does."""
    m = run.meter
    if not m.devices:
        return NO_DEVICES
    if phase == "inference":
        return "devices hold their states" if not m.clocks else "a read is a pulse, charged as a read"
    share = run.first_share if phase == "first programming" else 1 - run.first_share
    return "" if m.writes and share > 1e-15 else "no device is written"


def writes(run: Run, phase: str) -> Drafted:
    if why := _no_writes(run, phase):
        return Drafted(why)
    m = run.meter
    share, per = _scale(run, phase)
    told = f"N_writes={m.writes * share:.6g}; E_written={run.written_J * share:.6g}"
    slots = run.write_slots(phase)
    return Drafted(
        "energies of the card; the first programming takes the mean energy of all writes",
        (Factor("sum_k N_k E_k", run.written_J * share, told),),
        per,
        slots * run.write_time_s / (per.value if per else 1),
        f"at most {slots:.6g} pulses one after the other: cells of a row and a pulse at once, verified writes singly",
    )


def write_drivers(run: Run, phase: str) -> Drafted:
    if why := _no_writes(run, phase):
        return Drafted(why)
    share, per = _scale(run, phase)
    factors = (given("E_written", run.written_J * share), _constant(run, "driver_overhead"))
    return Drafted("lost in drivers and selectors, in proportion to the write", factors, per)


def write_lines(run: Run, phase: str) -> Drafted:
    if why := _no_writes(run, phase):
        return Drafted(why)
    m = run.meter
    share, per = _scale(run, phase)
    cells = sum(
        n * (min(layer.inputs, run.array.tile_rows) + min(layer.outputs, run.array.tile_columns))
        for n, layer in zip(m.writes_by_layer, m.layers, strict=True)
    )
    squared = float(m.by_pulse @ run.device.write_voltage**2) / m.writes
    return Drafted(
        "row and column line of the device's tile charged once per write",
        (given("N_cells", cells * share), *_line(run), given("<V_pulse^2>", squared, "V2")),
        per,
    )


def _line(run: Run) -> tuple[Factor, Factor]:
    return _constant(run, "line_capacitance_F_per_m"), given("pitch_m", run.hardware.told("cell_pitch_m"))


def _no_reads(run: Run, phase: str) -> str:
    if not run.meter.devices:
        return NO_DEVICES
    if phase == "first programming":
        return "" if run.meter.verify_reads else "written without a look"
    return "" if any(run.reads(phase)) else "this phase reads no device"


def _looks(run: Run) -> float:
    """Return the reads of single devices of the first programming, as shares of all devices."""
    return run.meter.verify_reads / run.meter.devices


def reads(run: Run, phase: str) -> Drafted:
    if why := _no_reads(run, phase):
        return Drafted(why)
    m, energy = run.meter, run.read_energy_J
    if phase == "first programming":
        told = f"E_read_all={run.states_read_J.sum():.6g}; looks={m.verify_reads:.6g}"
        spent = _looks(run) * float(run.states_read_J.sum())
        return Drafted(
            "each verified device read in its final state", (Factor("sum over looks of E_read(state)", spent, told),),
            None, m.verify_reads * run.read_time_s, f"{m.verify_reads:.6g} reads one after the other",
        )  # fmt: skip
    how, share = run.reads(phase), run.reads(phase).single / m.devices
    spent = how.forward * energy.sum() + (energy[1:].sum() if how.backward else 0.0)
    if share:
        spent += share * float(run.states_read_J.sum())
    told = f"E_read_all={energy.sum():.6g}; state_reads_per_sample={share:.6g}"
    cycles = run.read_cycles(phase)
    assumed = "every device read at the card's full read voltage; final states"
    if m.clocks:
        assumed = "every device clocked and read for each of its measurements"
    # devices that are looked at singly are read row by row
    single = how.single / (run.array.tile_columns if how.single else 1)
    return Drafted(
        assumed, (Factor("sum over reads of E_read(state)", spent, told),), None, (cycles + single) * run.read_time_s,
        f"{cycles + single:.6g} reads one after the other, each as long as the card says",
    )  # fmt: skip


def read_lines(run: Run, phase: str) -> Drafted:
    if why := _no_reads(run, phase):
        return Drafted(why)
    m = run.meter
    if phase == "first programming":
        cells = 2.0 * m.verify_reads
    else:
        how = run.reads(phase)
        products = how.forward * m.products * m.reads_per_product + how.backward * m.back_products
        cells = 2 * m.devices_per_synapse * products + 2 * how.single
    squared = float(np.mean(run.device.read_voltage**2))
    factors = (given("N_cells", cells), *_line(run), given("V_read^2", squared, "V2"))
    return Drafted("row and column line charged once per product", factors)


def dac(run: Run, phase: str) -> Drafted:
    if why := _no_reads(run, phase):
        return Drafted(why)
    number = run.meter.verify_reads if phase == "first programming" else run.rows_driven(phase)
    if not number:
        return Drafted("rows are driven at one voltage")
    bits = run.converters.dac_bits
    if not bits:
        return Drafted("ideal converter (network.converters.dac_bits is null): not charged")
    step = _constant(run, "dac_J_per_step")
    return Drafted(
        "one conversion per driven row of a tile; energy in proportion to 2^bits; within the time of the read",
        (given("N_dac", number), step, Factor(f"2^{bits}", 2.0**bits)),
    )


def sample_and_hold(run: Run, phase: str) -> Drafted:
    if why := _no_reads(run, phase):
        return Drafted(why)
    number = run.meter.verify_reads if phase == "first programming" else run.conversions(phase)
    return Drafted("one for each conversion", (given("N_adc", number), _constant(run, "sample_hold_J")))


def adc(run: Run, phase: str) -> Drafted:
    if why := _no_reads(run, phase):
        return Drafted(why)
    bits = run.converters.adc_bits
    if not bits:
        return Drafted("ideal converter (network.converters.adc_bits is null): not charged")
    first = phase == "first programming"
    number = run.meter.verify_reads if first else run.conversions(phase)
    slots = run.meter.verify_reads if first else run.conversion_slots(phase)
    each = run.hardware.constant("adc_J_per_step") * 2**bits + run.hardware.constant("adc_thermal_J") * 4**bits
    rate = run.hardware.constant("adc_rate_Hz")
    return Drafted(
        f"one conversion per column of each group of rows; {bits} bits: adc_J_per_step 2^bits + adc_thermal_J 4^bits",
        (given("N_adc", number), given("E_adc", each)),
        None, slots / rate, f"{slots:.6g} conversions one after the other at {rate:.3g} Hz",
    )  # fmt: skip


def adders(run: Run, phase: str) -> Drafted:
    if phase == "first programming" or not any(run.reads(phase)):
        return Drafted(NO_DEVICES if not run.meter.devices else "no products")
    m = run.meter
    number = m.reads_per_product * sum((t.groups - 1) * t.layer.outputs * t.layer.uses for t in run.tilings)
    if not number * run.reads(phase).forward:
        return Drafted("currents of all rows add before the conversion")
    factors = (given("N_add", number), _constant(run, "int32_addition_J"))
    return Drafted("a tree of adders joins the groups of rows; within the time of the conversions", factors)


def digital_products(run: Run, phase: str) -> Drafted:
    """What no array computes: gradients (but outer products of pulse trains), and passes that read no device."""
    if phase == "first programming":
        return Drafted("nothing is computed")
    if not (number := run.digital_products(phase)):
        return Drafted("the array forms all products")
    energy, made_of = run.product_J
    time = run.lanes_time_s(number, products=True)
    return Drafted(
        f"{run.arithmetic.name}: {made_of}", (given("N_mac", number), given("E_mac", energy)), None, time,
        "all lanes busy",
    )  # fmt: skip


def column_arithmetic(run: Run, phase: str) -> Drafted:
    if phase == "first programming":
        return Drafted("nothing is computed")
    operations, assumption = COLUMN_OPERATIONS[run.meter.normalisation]
    number = operations[phase] * run.meter.columns
    factors = (Factor(f"{operations[phase]}", operations[phase]), given("N_col", run.meter.columns))
    return Drafted(
        assumption, (*factors, _constant(run, "float_addition_J")), None, run.lanes_time_s(number), "all lanes busy"
    )


def between_arrays(run: Run, phase: str) -> Drafted:
    if phase == "first programming":
        return Drafted("nothing is computed")
    between = run.meter.between or Between()
    number = sum(each * count for each, count in zip(BETWEEN_OPERATIONS[phase], between, strict=True))
    if not number:
        return Drafted("nothing is added, averaged or dropped between the arrays")
    told = "; ".join(f"{name}={count}" for name, count in between._asdict().items() if count)
    return Drafted(
        f"sums of residual blocks, means over pictures, masks of dropout, in float: {told}",
        (given("N_operations", number), _constant(run, "float_addition_J")), None, run.lanes_time_s(number),
        "all lanes busy",
    )  # fmt: skip


def activation_memory(run: Run, phase: str) -> Drafted:
    """Pictures and columns' values in the buffer: written once, read for each row that is driven or multiplied."""
    if phase == "first programming":
        return Drafted("nothing is computed")
    m, hidden = run.meter, run.hidden_bits
    first, *others = m.layers
    passes = m.reads_per_product if run.analogue and run.reads(phase).forward else 1
    stored = run.input_values * run.input_bits + m.columns * hidden
    fetched = passes * (first.inputs * first.uses * run.input_bits + sum(n.inputs * n.uses for n in others) * hidden)
    assumed = (
        f"pictures of {run.input_bits} bit, values between layers of {hidden} bit, each written once and read per row"
    )
    if m.between:
        fetched += m.between.fetched * hidden
        assumed += "; what enters a residual block read once more"
    if phase == "training":  # the errors of all columns, and the values again for the gradients
        stored += m.columns * WORD
        fetched += m.columns * WORD + (0 if m.outer else run.input_values * run.input_bits + m.columns * hidden)
        assumed += "; errors of 32 bit written and read, values read again for gradients"
    return Drafted(assumed, (given("bits", stored + fetched), _constant(run, "buffer_J_per_bit")))


def weight_memory(run: Run, phase: str) -> Drafted:
    m = run.meter
    if phase == "first programming":
        return Drafted("charged with the training" if m.devices else NO_DEVICES)
    if phase == "training":
        if m.in_loop:
            return Drafted("weights stay in the devices")
        kept = m.memory_bits.get("weights", m.synapses * WORD)
        energy, name = run.memory_J_per_bit(run.training_bits)
        return Drafted(
            "read once per step for forward, backward and gradient",
            (Factor("3", 3), given("bits of weights", kept, "bits"), given(name, energy), _steps(run)),
        )
    if not run.weight_bits:
        return Drafted("weights stay in the devices")
    if run.arithmetic.stationary:
        return Drafted("weights stay beside the arithmetic units")
    energy, name = run.memory_J_per_bit(run.weight_bits)
    batch = run.hardware.inference_batch
    return Drafted(
        "every weight read once per batch of pictures",
        (given("bits of weights", run.weight_bits, "bits"), given(name, energy)),
        given("inference_batch", batch),
    )


def weight_registers(run: Run, phase: str) -> Drafted:
    if phase == "first programming" or not (number := run.digital_products(phase)):
        return Drafted("no digital products" if phase != "first programming" else "nothing is computed")
    bits = WORD if phase == "training" else run.weight_bits / run.meter.synapses
    return Drafted(
        "each digital product reads its weight, or value, from a register beside it",
        (given("N_mac", number), Factor(f"{bits:g} bit", bits), _constant(run, "register_J_per_bit")),
    )


def optimiser_memory(run: Run, phase: str) -> Drafted:
    if phase != "training":
        return Drafted("nothing is learned")
    if not run.meter.memory:
        return Drafted("the rule keeps no digital memory")
    energy, name = run.memory_J_per_bit(run.training_bits)
    return Drafted(
        "each bit of accumulator and moments read and written once per step",
        (Factor("2", 2), given("bits", run.meter.memory), given(name, energy), _steps(run)),
    )


def gradient_memory(run: Run, phase: str) -> Drafted:
    if phase != "training":
        return Drafted("nothing is learned")
    if run.meter.outer:
        return Drafted("pulse trains form the outer products in the array")
    energy, name = run.memory_J_per_bit(run.training_bits)
    word = Factor(f"{WORD} bit", WORD)
    return Drafted(
        "summed over the batch in registers, written and read once per step",
        (Factor("2", 2), given("N", run.meter.trainable), word, given(name, energy), _steps(run)),
    )


def optimiser_arithmetic(run: Run, phase: str) -> Drafted:
    if phase != "training":
        return Drafted("nothing is learned")
    if run.meter.outer:
        return Drafted("pulse trains form the outer products in the array")
    each = OPTIMIZER_OPERATIONS[run.meter.memory_bits.get("optimizer", 0) > 0]
    steps = _steps(run)
    time = run.lanes_time_s(each * run.meter.trainable * steps.value)
    factors = (Factor(f"{each}", each), given("N", run.meter.trainable), _constant(run, "float_addition_J"), steps)
    return Drafted(f"{each} float operations per trained number and step", factors, None, time, "all lanes busy")


def _steps(run: Run) -> Factor:
    """Steps of the optimiser per sample."""
    return Factor("steps/samples", run.meter.steps / run.meter.samples)


# in the order of the table; leakage follows, since it takes the time of all of them
TERMS: tuple[tuple[str, Callable[[Run, str], Drafted]], ...] = (
    ("device", writes), ("device", reads),
    ("array", write_drivers), ("array", write_lines), ("array", read_lines), ("array", dac),
    ("array", sample_and_hold), ("array", adc), ("array", adders),
    ("system", digital_products), ("system", column_arithmetic), ("system", between_arrays),
    ("system", activation_memory),
    ("system", weight_memory), ("system", weight_registers), ("system", optimiser_memory),
    ("system", gradient_memory), ("system", optimiser_arithmetic),
)  # fmt: skip


def _name(make: Callable[[Run, str], Drafted]) -> str:
    """Return what the tables call a term: the name of its function."""
    name = make.__name__.replace("_", " ")
    return name.upper() if name in ("dac", "adc") else name


def terms(run: Run) -> list[Term]:
    """Return the cost of a run in its terms, each of `TERMS` and the leakage in each phase.

    Energies and times are per sample: per presentation in training, the first programming not included; per
    classified picture in inference. Those of the first programming, or of the deployment of trained weights, are of the
    whole chip.
    """
    found = []
    for phase in COST_PHASES:
        # most networks have nothing between their arrays, in devices or not: their tables do without the row
        made = [(level, make) for level, make in TERMS if make is not between_arrays or run.meter.between]
        none = Drafted(GIVEN) if phase == "training" and not run.meter.samples else None
        own = [Term(phase, level, _name(make), none or make(run, phase)) for level, make in made]
        time = sum(term.time_s for term in own)
        bits = run.bits_held(phase)
        leak = none or Drafted("nothing is kept in static memory")
        if phase != "first programming" and none is None:
            factors = (given("bits", bits), _constant(run, "leakage_W_per_bit"), given("t", time))
            leak = Drafted("static memory keeps its content for the time of the sample", factors)
        found += [*own, Term(phase, "system", "leakage", leak)]
    return found
