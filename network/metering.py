"""What a run cost: writes, reads, memory and energy, from exact counts and stated assumptions.

Energy is split in three levels, because published numbers that differ in level differ by orders of magnitude:
"device" is what the synapses themselves take (from the card), "array" adds converters and lines, "system" adds the
digital arithmetic and memory that the learning rule needs. Every term is a row with its formula, its inputs and the
assumption behind it.
"""

from __future__ import annotations

import numpy as np

from network.device import DeviceModel
from spinloom.errors import UserError

# name -> (value, assumption); docs/network.md says where they come from
ENERGY_DEFAULTS: dict[str, tuple[float, str]] = {
    "adc_energy_J": (2e-12, "one 8-bit conversion of a column current"),
    "dac_energy_J": (5e-13, "one 8-bit conversion of a row voltage"),
    "line_capacitance_F_per_cell": (2e-16, "wire of one cell pitch, charged once per access"),
    "float_mac_energy_J": (4.6e-12, "32-bit float multiplication and addition, 45 nm"),
    "float_operation_energy_J": (9e-13, "32-bit float addition, 45 nm"),
    "float_memory_energy_J_per_bit": (1.6e-12, "access to 1 MB of SRAM, 45 nm"),
}
NORM_OPERATIONS = 10  # per column and sample, training; inference needs 2
OPTIMIZER_OPERATIONS = 12  # per synapse and step (Adam; others need fewer)
WORD = 32  # bits of a float


def constants(section: dict) -> dict[str, float]:
    """Return the assumption constants: the config's ``network.energy`` over the defaults; `UserError` if unknown."""
    if unknown := sorted(set(section) - set(ENERGY_DEFAULTS)):
        raise UserError(f"network.energy: found {', '.join(unknown)}, allowed {', '.join(ENERGY_DEFAULTS)}")
    values = {name: section.get(name, default) for name, (default, _) in ENERGY_DEFAULTS.items()}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise UserError(f"network.energy.{name}: found {value!r}, allowed a number of at least 0")
    return values


def programming_energy_per_presentation(write_energy_total_J: float, samples: int, epochs: int) -> float:
    """Return ``E = N_writes E_write / (N_train epochs)``, J.

    The "energy per inference" of Misba et al. (arXiv 2111.07284): the energy of all programming events of a training,
    divided by the number of presentations of a training sample. It holds neither reads, converters nor memory.

    Parameters
    ----------
    write_energy_total_J : float
        Sum over all programming events of the energy of their pulse, J.
    samples : int
        Training samples presented per epoch.
    epochs : int
    """
    return write_energy_total_J / (samples * epochs)


def counts(meter: dict) -> dict[str, float]:
    """Return the counters of one run, per run, per sample and per synapse.

    Raises
    ------
    UserError
        If events counted by the kernel and events counted on the devices differ (a damaged file).
    """
    synapses = sum(a * b for a, b in meter["shapes"])
    writes = int(np.sum(meter["writes_by_pulse"]))
    if meter["uses_device"] and writes != sum(meter["writes_by_layer"]):
        raise UserError(f"meter.json: {meter['rule']}: writes by pulse and writes by device differ")
    samples = meter["samples"]
    back = sum(a * b for a, b in meter["shapes"][1:])
    verified = meter["state_reads_per_step"] * synapses * meter["steps"] / samples
    reads = (synapses + back + verified) if meter["uses_device"] else 0
    return {
        "synapses": synapses,
        "writes": writes,
        "first_writes": meter["first_writes"],
        "writes_per_sample": writes / samples,
        "training_writes_per_sample": (writes - meter["first_writes"]) / samples,
        "writes_per_synapse": writes / synapses,
        "most_writes_on_a_device": max(meter["most_writes_on_a_device"], default=0),
        "transitions": meter["transitions"],
        "device_reads_per_sample": reads,
        "memory_bits_per_synapse": sum(meter["memory_bits"].values()) / synapses,
    }


def energy_terms(meter: dict, device: DeviceModel, section: dict) -> list[dict]:
    """Return the energy of one run, one dict per term: phase, level, term, energy_J, formula, inputs, assumption.

    Energies are J per sample: per presentation in training (all of the training, first programming included, divided
    by the samples presented), per classified image in inference.
    """
    c = constants(section)
    shapes, samples, steps = meter["shapes"], meter["samples"], meter["steps"]
    synapses = sum(a * b for a, b in shapes)
    rows, columns = sum(a for a, _ in shapes), sum(b for _, b in shapes)
    back_synapses = sum(a * b for a, b in shapes[1:])
    back_rows, back_columns = sum(a for a, _ in shapes[1:]), sum(b for _, b in shapes[1:])
    share = steps / samples  # steps per sample
    memory = sum(meter["memory_bits"].values())
    bit, mac, operation = (
        c["float_memory_energy_J_per_bit"], c["float_mac_energy_J"], c["float_operation_energy_J"],
    )  # fmt: skip
    terms: list[dict] = []

    def add(phase: str, level: str, term: str, value: float, formula: str, assumption: str, **inputs) -> None:
        shown = "; ".join(f"{k}={v:.6g}" for k, v in inputs.items())
        terms.append({"phase": phase, "level": level, "term": term, "energy_J": float(value), "formula": formula,
                      "inputs": shown, "assumption": assumption})  # fmt: skip

    def digital(phase: str, products: int) -> None:
        if products:
            add(phase, "system", "float products", products * mac, "N_mac * E_mac",
                "32-bit float throughout", N_mac=products, E_mac=mac)  # fmt: skip

    if meter["uses_device"]:
        by_pulse = np.array(meter["writes_by_pulse"])
        written = float(by_pulse @ device.write_energy)
        add("training", "device", "writes", programming_energy_per_presentation(written, samples, 1),
            "sum_k N_k E_k / samples", "energies of the card; first programming included",
            N_writes=by_pulse.sum(), E_written=written, samples=samples)  # fmt: skip
        in_state = np.array(meter["devices_by_state"])
        read = in_state @ device.read_energy  # J for reading a layer once
        volt2 = float(np.mean(device.read_voltage**2))
        pulse2 = float(by_pulse @ device.write_voltage**2) / max(by_pulse.sum(), 1)
        line = c["line_capacitance_F_per_cell"]
        verify = meter["state_reads_per_step"] * share
        cells = float(np.dot(meter["writes_by_layer"], [a + b for a, b in shapes])) / samples
        for phase, repeat, extra_read, n_dac, n_adc, n_cells in (
            ("training", verify, read[1:].sum(), rows + back_columns, columns + back_rows + verify * synapses,
             2 * (synapses + back_synapses + verify * synapses)),
            ("inference", 0.0, 0.0, rows, columns, 2 * synapses),
        ):  # fmt: skip
            total = (1 + repeat) * read.sum() + extra_read
            add(phase, "device", "reads", total, "sum over reads of E_read(state)",
                "every device read at the card's full read voltage; final states", E_read_all=read.sum(),
                state_reads_per_sample=repeat)  # fmt: skip
            add(phase, "array", "DAC", n_dac * c["dac_energy_J"], "N_dac * E_dac", "one conversion per row and product",
                N_dac=n_dac, E_dac=c["dac_energy_J"])  # fmt: skip
            add(phase, "array", "ADC", n_adc * c["adc_energy_J"], "N_adc * E_adc",
                "one conversion per column and product, and per device whose state is read",
                N_adc=n_adc, E_adc=c["adc_energy_J"])  # fmt: skip
            add(phase, "array", "read lines", n_cells * line * volt2, "N_cells * C_cell * V_read^2",
                "row and column line charged once per product", N_cells=n_cells, C_cell=line, V2=volt2)  # fmt: skip
        add("training", "array", "write lines", cells * line * pulse2, "N_cells * C_cell * <V_pulse^2>",
            "row and column line of the device charged once per write",
            N_cells=cells, C_cell=line, V2=pulse2)  # fmt: skip
        digital("training", synapses)  # the gradient is an outer product of digital vectors
    else:
        digital("training", 2 * synapses + back_synapses)
        digital("inference", synapses)
        add("inference", "system", "weight memory", synapses * WORD * bit, "N * 32 bit * E_bit",
            "one image at a time: every weight read once", N=synapses, E_bit=bit)  # fmt: skip
        add("training", "system", "weight memory", 3 * synapses * WORD * bit * share,
            "3 * N * 32 bit * E_bit * steps/samples",
            "read once per step for forward, backward and gradient", N=synapses, E_bit=bit)  # fmt: skip
    add("training", "system", "optimiser memory", 2 * memory * bit * share, "2 * bits * E_bit * steps/samples",
        "each bit of accumulator and moments read and written once per step", bits=memory, E_bit=bit)  # fmt: skip
    add("training", "system", "gradient memory", 2 * synapses * WORD * bit * share,
        "2 * N * 32 bit * E_bit * steps/samples",
        "summed over the batch in registers, written and read once per step", N=synapses, E_bit=bit)  # fmt: skip
    add("training", "system", "activation memory", 4 * columns * WORD * bit, "4 * N_col * 32 bit * E_bit",
        "forward value and error of each column written and read once", N_col=columns, E_bit=bit)  # fmt: skip
    add("training", "system", "optimiser arithmetic", OPTIMIZER_OPERATIONS * synapses * operation * share,
        "12 * N * E_op * steps/samples", "12 float operations per synapse and step",
        N=synapses, E_op=operation)  # fmt: skip
    for phase, number in (("training", NORM_OPERATIONS), ("inference", 2)):
        add(phase, "system", "normalisation", number * columns * operation, f"{number} * N_col * E_op",
            "batch normalisation and ReLU in float", N_col=columns, E_op=operation)  # fmt: skip
    return terms


def totals(terms: list[dict]) -> dict[tuple[str, str], float]:
    """Return J per sample by (phase, level), cumulative: "array" holds "device", "system" holds both."""
    sums: dict[tuple[str, str], float] = {}
    for phase in ("training", "inference"):
        running = 0.0
        for level in ("device", "array", "system"):
            running += sum(t["energy_J"] for t in terms if t["phase"] == phase and t["level"] == level)
            sums[phase, level] = running
    return sums
