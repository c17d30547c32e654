"""What a run cost: writes, reads, memory and energy, from exact counts and stated assumptions.

Energy is split in three levels, because published numbers that differ in level differ by orders of magnitude:
"device" is what the synapses themselves take (from the card), "array" adds converters and lines, "system" adds the
digital arithmetic and memory that the learning rule needs. Every term is a row with its formula, its inputs and the
assumption behind it.
"""

from __future__ import annotations

import numpy as np

from network.synapse.device import DeviceModel
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
# per column and sample, training and inference: batch normalisation or a bias alone, and the activation
COLUMN_OPERATIONS = {
    "batch": (10, 2, "batch normalisation and activation in float"), "none": (4, 2, "bias and activation in float"),
}  # fmt: skip
OPTIMIZER_OPERATIONS = (2, 12)  # per trained number and step, without moments (sgd) and with them (as Adam)
WORD = 32  # bits of a float


def constants(section: dict) -> dict[str, float]:
    """Return the assumption constants: the config's ``network.energy`` over the defaults; `UserError` if unknown."""
    return assumed(section, ENERGY_DEFAULTS, "network.energy")


def assumed(section: dict, defaults: dict[str, tuple[float, str]], where: str, zero: bool = True) -> dict[str, float]:
    """Return the numbers of a config's section over the defaults.

    Parameters
    ----------
    section : dict
    defaults : dict
        Value and its assumption by name.
    where : str
        The section's name, for errors.
    zero : bool
        Whether a value may be 0.

    Raises
    ------
    UserError
        If a name is unknown or a value is no finite number of at least 0, or above it.
    """
    if unknown := sorted(set(section) - set(defaults)):
        raise UserError(f"{where}: found {', '.join(unknown)}, allowed {', '.join(defaults)}")
    values = {name: section.get(name, default) for name, (default, _) in defaults.items()}
    for name, value in values.items():
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        if not fits or (value == 0 and not zero):
            allowed = "a number of at least 0" if zero else "a positive number"
            raise UserError(f"{where}.{name}: found {value!r}, allowed {allowed}")
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


def energy_per_operation_J(tops_per_W: float) -> float:
    """Return the energy of one operation, J, of an efficiency in 10^12 operations per second and watt.

    It is its own inverse but for the unit: `tops_per_W`. What counts as an operation is the publisher's affair (a
    multiplication with its addition is one or two).

    Raises
    ------
    UserError
        If the efficiency is not positive and finite.
    """
    return 1e-12 / _positive("tops_per_W", tops_per_W)


def tops_per_W(energy_per_operation_J: float) -> float:
    """Return the efficiency, 10^12 operations per joule, of an energy per operation; see `energy_per_operation_J`."""
    return 1e-12 / _positive("energy_per_operation_J", energy_per_operation_J)


def _positive(key: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise UserError(f"{key}: found {value!r}, allowed a positive number")
    return value


def counts(meter: dict) -> dict[str, float]:
    """Return the counters of one run, per run, per sample and per synapse.

    Raises
    ------
    UserError
        If events counted by the kernel and events counted on the devices differ (a damaged file).
    """
    n = _numbers(meter)
    writes, deployment = int(np.sum(meter["writes_by_pulse"])), int(np.sum(meter["deployment_by_pulse"]))
    if writes + deployment != sum(meter["writes_by_layer"]):
        raise UserError(f"meter.json: {meter['variant']}: writes by pulse and writes by device differ")
    samples = meter["samples"]
    return {
        "synapses": n["synapses"],
        "devices": n["devices"],
        "writes": writes + deployment,
        "first_writes": meter["first_writes"] + deployment,
        "writes_per_sample": (writes + deployment) / samples,
        "training_writes_per_sample": (writes - meter["first_writes"]) / samples,
        "writes_per_synapse": (writes + deployment) / n["synapses"],
        "most_writes_on_a_device": max(meter["most_writes_on_a_device"], default=0),
        "transitions": meter["transitions"],
        "disturbs": meter["disturbs"],
        "device_reads_per_sample": n["training_reads"],
        "memory_bits_per_synapse": sum(meter["memory_bits"].values()) / n["synapses"],
    }


def _numbers(meter: dict) -> dict[str, float]:
    """Return how many synapses, devices, products, lines and reads a sample meets; see `energy_terms`."""
    layers = np.array(meter["layers"], dtype=np.float64)
    inputs, outputs, uses = layers.T
    each = inputs * outputs
    devices, repeat = meter["devices_per_synapse"], meter["reads_per_product"]
    trainable = devices if meter["clocks"] else 1  # numbers that are trained, per synapse
    # a device in the training loop is read forward in all layers and backward in all but the first
    trained = bool(meter["uses_device"] or meter["clocks"])
    back = 0 if meter["clocks"] else float((each * uses)[1:].sum())
    looks = meter["state_reads_per_step"] * each.sum() * devices * meter["steps"]
    looks += meter["verifies"] * np.sum(meter["deployment_by_pulse"])  # each write is followed by one
    verified = float(looks / meter["samples"])
    products = float((each * uses).sum()) * repeat + back
    return {
        "synapses": int(each.sum()),
        "devices": int(each.sum() * devices),
        "trainable": int(each.sum() * trainable),
        "products": float((each * uses).sum()),
        "back_products": float((each * uses)[1:].sum()),
        "rows": float((inputs * uses).sum()),
        "columns": float((outputs * uses).sum()),
        "back_rows": float((inputs * uses)[1:].sum()),
        "back_columns": float((outputs * uses)[1:].sum()),
        "verified": verified,
        "inference_reads": float((each * uses).sum()) * devices * repeat,
        "training_reads": (products * devices if trained else 0.0) + verified,
    }


def energy_terms(meter: dict, device: DeviceModel, section: dict) -> list[dict]:
    """Return the energy of one run, one dict per term: phase, level, term, energy_J, formula, inputs, assumption.

    Energies are J per sample: per presentation in training (all of the training, first programming included, divided
    by the samples presented), per classified image in inference. Rules whose trained weights are programmed into
    devices afterwards train in float, and the one deployment is shared by all presentations.
    """
    c, n = constants(section), _numbers(meter)
    samples, steps = meter["samples"], meter["steps"]
    share = steps / samples  # steps per sample
    memory = sum(meter["memory_bits"].values())
    weights = meter["memory_bits"].get("weights", n["synapses"] * WORD)  # of those that no device holds
    bit, mac, operation = (
        c["float_memory_energy_J_per_bit"], c["float_mac_energy_J"], c["float_operation_energy_J"],
    )  # fmt: skip
    terms: list[dict] = []

    def add(phase: str, level: str, term: str, value: float, formula: str, assumption: str, **inputs) -> None:
        shown = "; ".join(f"{k}={v:.6g}" for k, v in inputs.items())
        terms.append({"phase": phase, "level": level, "term": term, "energy_J": float(value), "formula": formula,
                      "inputs": shown, "assumption": assumption})  # fmt: skip

    def digital(phase: str, products: float) -> None:
        if products:
            add(phase, "system", "float products", products * mac, "N_mac * E_mac",
                "32-bit float throughout", N_mac=products, E_mac=mac)  # fmt: skip

    by_pulse = np.array(meter["writes_by_pulse"]) + np.array(meter["deployment_by_pulse"])
    if by_pulse.sum():
        written = float(by_pulse @ device.write_energy)
        add("training", "device", "writes", programming_energy_per_presentation(written, samples, 1),
            "sum_k N_k E_k / samples", "energies of the card; first programming included",
            N_writes=by_pulse.sum(), E_written=written, samples=samples)  # fmt: skip
        pulse2 = float(by_pulse @ device.write_voltage**2) / by_pulse.sum()
        lines = [a + b for a, b, _ in meter["layers"]]
        line, by_layer = c["line_capacitance_F_per_cell"], np.array(meter["writes_by_layer"], dtype=np.float64)
        cells = float(by_layer @ lines) / samples
        add("training", "array", "write lines", cells * line * pulse2, "N_cells * C_cell * <V_pulse^2>",
            "row and column line of the device charged once per write",
            N_cells=cells, C_cell=line, V2=pulse2)  # fmt: skip
    trained = bool(meter["uses_device"] or meter["clocks"])
    if n["devices"]:
        repeat, devices, uses = (
            meter["reads_per_product"],
            meter["devices_per_synapse"],
            np.array(meter["layers"])[:, 2],
        )
        if meter["clocks"]:  # a read is a clock pulse and the look at what it left
            once = np.array(meter["clocks"]) @ (device.write_energy + float(np.mean(device.read_energy)))
            read = np.array([once])
            name, told = "clocks and reads", "every device clocked and read for each of its measurements"
        else:
            read = np.array(meter["devices_by_state"]) @ device.read_energy * uses  # J for all reads of a layer
            name, told = "reads", "every device read at the card's full read voltage; final states"
        volt2 = float(np.mean(device.read_voltage**2))
        line = c["line_capacitance_F_per_cell"]
        state_energy = float(np.sum(np.array(meter["devices_by_state"]) @ device.read_energy)) if n["verified"] else 0.0
        for phase in ("training", "inference"):
            verify = n["verified"] if phase == "training" else 0.0  # reads of single devices
            whole = 1 if phase == "inference" or trained else 0
            if not whole and not verify:
                continue
            back = phase == "training" and trained and not meter["clocks"]
            again = verify / n["devices"]
            spent = whole * read.sum() + (read[1:].sum() if back else 0.0) + again * state_energy
            n_dac = whole * n["rows"] * repeat + (n["back_columns"] if back else 0)
            n_adc = whole * n["columns"] * repeat + (n["back_rows"] if back else 0) + verify
            n_cells = 2 * devices * (whole * n["products"] * repeat + (n["back_products"] if back else 0)) + 2 * verify
            add(phase, "device", name, spent, "sum over reads of E_read(state)", told,
                E_read_all=read.sum(), state_reads_per_sample=again)  # fmt: skip
            if n_dac:
                add(phase, "array", "DAC", n_dac * c["dac_energy_J"], "N_dac * E_dac",
                    "one conversion per row and product", N_dac=n_dac, E_dac=c["dac_energy_J"])  # fmt: skip
            add(phase, "array", "ADC", n_adc * c["adc_energy_J"], "N_adc * E_adc",
                "one conversion per column and product, and per device whose state is read",
                N_adc=n_adc, E_adc=c["adc_energy_J"])  # fmt: skip
            add(phase, "array", "read lines", n_cells * line * volt2, "N_cells * C_cell * V_read^2",
                "row and column line charged once per product", N_cells=n_cells, C_cell=line, V2=volt2)  # fmt: skip
    gradient_products = 0 if meter["outer"] else n["products"]  # an outer product of pulse trains needs no arithmetic
    if meter["clocks"]:  # devices without memory cannot be read backward: errors go back through the stored controls
        digital("training", (gradient_products + n["back_products"]) * meter["devices_per_synapse"])
    elif trained:
        digital("training", gradient_products)
    else:
        digital("training", n["products"] + n["back_products"] + gradient_products)
        add("training", "system", "weight memory", 3 * weights * bit * share,
            "3 * bits of weights * E_bit * steps/samples",
            "read once per step for forward, backward and gradient", bits=weights, E_bit=bit)  # fmt: skip
    if not n["devices"]:
        digital("inference", n["products"])
        kept = n["synapses"] * meter["weight_bits"]
        add("inference", "system", "weight memory", kept * bit, "bits of weights * E_bit",
            "one image at a time: every weight read once", bits=kept, E_bit=bit)  # fmt: skip
    add("training", "system", "optimiser memory", 2 * memory * bit * share, "2 * bits * E_bit * steps/samples",
        "each bit of accumulator and moments read and written once per step", bits=memory, E_bit=bit)  # fmt: skip
    if not meter["outer"]:
        add("training", "system", "gradient memory", 2 * n["trainable"] * WORD * bit * share,
            "2 * N * 32 bit * E_bit * steps/samples",
            "summed over the batch in registers, written and read once per step",
            N=n["trainable"], E_bit=bit)  # fmt: skip
        each = OPTIMIZER_OPERATIONS[meter["memory_bits"].get("optimizer", 0) > 0]
        add("training", "system", "optimiser arithmetic", each * n["trainable"] * operation * share,
            f"{each} * N * E_op * steps/samples", f"{each} float operations per trained number and step",
            N=n["trainable"], E_op=operation)  # fmt: skip
    add("training", "system", "activation memory", 4 * n["columns"] * WORD * bit, "4 * N_col * 32 bit * E_bit",
        "forward value and error of each column written and read once", N_col=n["columns"], E_bit=bit)  # fmt: skip
    *numbers, told = COLUMN_OPERATIONS[meter["normalisation"]]
    for phase, number in zip(("training", "inference"), numbers, strict=True):
        add(phase, "system", "column arithmetic", number * n["columns"] * operation, f"{number} * N_col * E_op",
            told, N_col=n["columns"], E_op=operation)  # fmt: skip
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
