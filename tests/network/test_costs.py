"""Counts, joules, seconds and areas of hand-made runs, against sums done by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from network.hardware import constants, costs, rivals
from network.hardware.areas import blocks
from network.hardware.config import Hardware
from network.hardware.constants import CONSTANTS
from network.hardware.run import Run
from network.hardware.terms import terms
from network.results.meter import WORD, Meter
from network.sections import Array, Converters
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from spinloom.quantities import COST_PHASES, DRIVES, OWN
from tests.network.conftest import make_card, meter, two_states

ROOT = Path(__file__).parents[2]
H = Hardware()
OPERATION, BIT, BUFFER = (
    H.constant(f"{name}") for name in ("float_addition_J", "memory_J_per_bit", "buffer_J_per_bit")
)
MAC = OPERATION + H.constant("float_multiplication_J")
LINE = H.constant("line_capacitance_F_per_m") * H.told("cell_pitch_m")
ADC_8 = H.constant("adc_J_per_step") * 2**8 + H.constant("adc_thermal_J") * 4**8
BITS = Converters(dac_bits=8, adc_bits=8)


@pytest.fixture(scope="module")
def device() -> DeviceModel:
    """Five pulses of 3, 6, 9, 12 and 15 fJ and 2 ns, five states whose reads take 10 to 50 aJ and 10 ns."""
    return DeviceModel.from_card(make_card())


def run(of_meter, device, array=None, converters=BITS, **hardware) -> Run:
    """Return a run whose pictures have as many values of 8 bit as the first layer has inputs; batches of 10."""
    own = Array(**(array or {}))
    return Run(of_meter, device, Hardware(**hardware), own, converters, of_meter.layers[0].inputs, 8, 10)


def joules(*of, **more) -> dict:
    return {(term.phase, term.name): term.energy_J for term in terms(run(*of, **more))}


def joules_of(of: Run) -> dict:
    return {(term.phase, term.name): term.energy_J for term in terms(of)}


def seconds(*of, **more) -> dict:
    return {(term.phase, term.name): term.time_s for term in terms(run(*of, **more))}


def total(of: Run, phase: str) -> costs.Total:
    return costs.totals(terms(of))[phase, "system"]


def area(of: Run) -> float:
    return sum(block.area_m2 for block in blocks(of, "inference"))


def test_a_rule_in_place(device):
    """Of 31 writes the first programming has 24, at the mean energy of all."""
    found, written = joules(meter(), device), (30 + 60 + 90 + 15) * 1e-15
    assert found["first programming", "writes"] == pytest.approx(written * 24 / 31, rel=1e-12, abs=0)
    assert found["training", "writes"] == pytest.approx(written * 7 / 31 / 40, rel=1e-12, abs=0)
    assert found["training", "write drivers"] == pytest.approx(0.5 * written * 7 / 31 / 40, rel=1e-12, abs=0)
    reads = 18 * 1e-17 + 6 * 5e-17  # forward; then back through the second layer
    assert found["inference", "reads"] == pytest.approx(reads, rel=1e-12, abs=0)
    assert found["training", "reads"] == pytest.approx(reads + 6 * 5e-17, rel=1e-12, abs=0)
    assert found["training", "digital products"] == pytest.approx(24 * MAC, rel=1e-12, abs=0)
    # every write charges a row and a column: 3 + 6 cells, or 2 + 3
    cells, square = (20 * 9 + 11 * 5) * 7 / 31 / 40, (10 * 0.25**2 + 10 * 0.5**2 + 1) / 31
    assert found["training", "write lines"] == pytest.approx(cells * LINE * square, rel=1e-12, abs=0)
    assert found["training", "optimiser memory"] == pytest.approx(2 * 24 * 64 * BIT / 10, rel=1e-12, abs=0)
    assert found["inference", "DAC"] == pytest.approx((6 + 3) * 256 * H.constant("dac_J_per_step"), rel=1e-12, abs=0)
    assert found["training", "ADC"] == pytest.approx((3 + 2 + 3) * ADC_8, rel=1e-12, abs=0)
    # the picture and the columns are written once and read for each row: 6 + 5 and 6 + 3 values of 8 bit
    assert found["inference", "activation memory"] == pytest.approx(20 * 8 * BUFFER, rel=1e-12, abs=0)


def test_times_of_layers_and_columns_that_share_a_converter_add_up(device):
    for shared, slots in ((8, 3 + 2), (2, 2 + 2), (1, 2)):
        found = seconds(meter(), device, columns_per_adc=shared)
        assert found["inference", "reads"] == pytest.approx(2 * 10e-9, rel=1e-12, abs=0)
        assert found["inference", "ADC"] == pytest.approx(slots / H.constant("adc_rate_Hz"), rel=1e-12, abs=0)
    # 7 writes of 2 ns in 4 steps: fewer than rows times kinds of pulses
    assert found["training", "writes"] == pytest.approx(7 * 2e-9 / 40, rel=1e-12, abs=0)
    many = {"writes_by_pulse": [24 + 10**6, 0, 0, 0, 0], "writes_by_layer": [24 + 10**6, 0]}
    rows = seconds(meter(**many), device)["training", "writes"]
    assert rows == pytest.approx(4 * 6 * 2e-9 / 40, rel=1e-12, abs=0)  # a pulse for each of 6 rows in each step
    verified = seconds(meter(verify_reads=31), device)["first programming", "writes"]
    assert verified == pytest.approx(24 * 2e-9, rel=1e-12, abs=0)  # one after the other


def test_every_side_of_a_comparison_lists_the_same_terms_and_says_why_one_is_nothing(device):
    own = run(meter(), device)
    sides = {OWN: own, **rivals.rivals(own), "float": run(float_meter(), device)}
    assert {name.split()[0] for name in sides} == {"own", "float32", "int8", "int4", "float"}
    listed = {name: [(term.phase, term.level, term.name) for term in terms(side)] for name, side in sides.items()}
    assert all(
        names == listed["own"] and {phase for phase, *_ in names} == set(COST_PHASES) for names in listed.values()
    )
    for name, side in sides.items():
        for term in terms(side):
            assert term.assumption, (name, term.name)
            assert term.energy_J > 0 or not term.draft.factors, (name, term.phase, term.name)
    assert {name.split()[0] for name in rivals.rivals(run(two_state_meter(), DeviceModel.from_card(two_states())))} == {
        "float32", "int8", "int4", "binary"
    }  # fmt: skip


def float_meter(**changes) -> Meter:
    return meter(
        uses_device=False, devices_per_synapse=0, reads_per_product=0, devices_by_state=[], writes_by_pulse=[0] * 5,
        writes_by_layer=[], first_writes=0, **changes,
    )  # fmt: skip


def two_state_meter() -> Meter:
    return meter(
        pulses=[0, 1], writes_by_pulse=[20, 11], deployment_by_pulse=[0, 0], devices_by_state=[[18, 0], [0, 6]]
    )


def test_rivals_pay_for_their_bits_and_for_fetching_weights_once_a_batch(device):
    own = run(meter(), device, inference_batch=4)
    energies = {name: total(side, "inference").energy_J for name, side in rivals.rivals(own).items()}
    for way in ("streamed", "stationary"):
        assert energies[f"float32 {way}"] > energies[f"int8 {way}"] > energies[f"int4 {way}"]
    columns = {name: joules_of(side)["inference", "column arithmetic"] for name, side in rivals.rivals(own).items()}
    assert set(columns.values()) == {joules_of(own)["inference", "column arithmetic"]}  # one network
    fetched = energies["int8 streamed"] - energies["int8 stationary"]
    assert fetched == pytest.approx(24 * 8 * BIT / 4, rel=1e-6, abs=0)
    areas = {
        name: sum(block.area_m2 for block in blocks(side, "inference")) for name, side in rivals.rivals(own).items()
    }
    assert areas["float32 stationary"] > areas["int8 stationary"]


def test_digital_weights_cost_their_own_bits(device):
    """Read three times a step while training, once for an image classified, where a quantised weight has fewer bits."""
    for bits, kept in ((3, 3), (32, 32), (32, 3)):
        found = joules(float_meter(memory_bits={"weights": 24 * bits, "optimizer": 0}, weight_bits=kept), device)
        assert found["training", "weight memory"] == pytest.approx(3 * 24 * bits * BIT / 10, rel=1e-12, abs=0)
        assert found["inference", "weight memory"] == pytest.approx(24 * kept * BIT, rel=1e-12, abs=0)
    small = joules(float_meter(weight_bits=32), device, on_chip_memory_bits=100)
    assert small["inference", "weight memory"] == pytest.approx(
        24 * 32 * H.constant("dram_J_per_bit"), rel=1e-12, abs=0
    )


@pytest.mark.parametrize(("memory", "operations"), [({"optimizer": 24 * 64}, 12), ({"optimizer": 0}, 2), ({}, 2)])
def test_an_optimiser_without_moments_computes_less(device, memory, operations):
    found = joules(meter(memory_bits=memory), device)["training", "optimiser arithmetic"]
    assert found == pytest.approx(operations * 24 * OPERATION / 10, rel=1e-12, abs=0)


@pytest.mark.parametrize(("normalisation", "training"), [("batch", 10), ("none", 4)])
def test_columns_without_normalisation_compute_less(device, normalisation, training):
    found = joules(meter(normalisation=normalisation), device)
    assert found["training", "column arithmetic"] == pytest.approx(training * 5 * OPERATION, rel=1e-12, abs=0)
    assert found["inference", "column arithmetic"] == pytest.approx(2 * 5 * OPERATION, rel=1e-12, abs=0)


def test_devices_without_memory_cannot_be_read_backward(device):
    """Two wires per weight, measured five times: errors go back, and gradients are formed, for each wire in float."""
    clocked = meter(
        uses_device=False, devices_per_synapse=2, reads_per_product=5, clocks=[240.0, 0, 0, 0, 0],
        writes_by_pulse=[0] * 5, writes_by_layer=[], devices_by_state=[], first_writes=0,
    )  # fmt: skip
    found = joules(clocked, device)
    macs = 2 * (24 + 6)
    assert found["training", "digital products"] == pytest.approx(macs * MAC, rel=1e-12, abs=0)
    assert found["training", "gradient memory"] == pytest.approx(2 * 48 * WORD * BIT / 10, rel=1e-12, abs=0)
    assert found["training", "optimiser arithmetic"] == pytest.approx(12 * 48 * OPERATION / 10, rel=1e-12, abs=0)
    clocks = 240 * (3e-15 + 3e-17)  # the pulse and the mean read
    for phase in ("training", "inference"):
        assert found[phase, "reads"] == pytest.approx(clocks, rel=1e-12, abs=0)
        assert found[phase, "ADC"] == pytest.approx(5 * 5 * ADC_8, rel=1e-12, abs=0)
    # five measurements of two layers, each a pulse of 2 ns and a look of 10 ns
    assert seconds(clocked, device)["inference", "reads"] == pytest.approx(10 * 12e-9, rel=1e-12, abs=0)


def test_writes_by_pulse_are_the_writes_of_the_devices(device):
    assert meter().counts()["writes"] == 31
    deployed = {"uses_device": False, "writes_by_pulse": [0] * 5, "first_writes": 0}
    assert meter(**deployed, deployment_by_pulse=[31, 0, 0, 0, 0]).counts()["first_writes"] == 31
    for wrong in ({"writes_by_layer": [20, 12]}, {**deployed, "deployment_by_pulse": [30, 0, 0, 0, 0]}):
        with pytest.raises(UserError, match="writes by pulse and writes by device differ"):
            meter(**wrong)


def test_a_verified_deployment_reads_each_device_that_it_writes(device):
    deployed = {
        "uses_device": False, "writes_by_pulse": [0] * 5, "deployment_by_pulse": [31, 0, 0, 0, 0], "first_writes": 0,
    }  # fmt: skip
    plain, verified = (joules(meter(**deployed, verify_reads=reads), device) for reads in (0, 31))
    per_read = (18 * 1e-17 + 6 * 5e-17) / 24  # of the states that the devices end in
    first = "first programming"
    assert plain[first, "reads"] == 0 and plain[first, "writes"] == verified[first, "writes"] > 0
    assert plain["training", "writes"] == verified["training", "writes"] == 0
    assert verified[first, "reads"] == pytest.approx(31 * per_read, rel=1e-12, abs=0)
    assert verified[first, "ADC"] == pytest.approx(31 * ADC_8, rel=1e-12, abs=0)
    assert verified[first, "read lines"] == pytest.approx(2 * 31 * LINE * 0.1**2, rel=1e-9, abs=0)
    assert meter(**deployed, verify_reads=31).counts()["device_reads_per_sample"] == pytest.approx(
        31 / 40, rel=1e-12, abs=0
    )
    assert plain["inference", "reads"] == verified["inference", "reads"]


def test_thirteen_picojoule_per_presentation(device):
    """arXiv 2111.07284: 13 pJ per presentation of 60,000 images over 10 epochs are 7.8 uJ of programming in all."""
    written = {"writes_by_pulse": [2_600_000_000, 0, 0, 0, 0], "writes_by_layer": [2_600_000_000, 0]}
    *_, term = costs.statement(run(meter(**written, samples=600_000, epochs=10), device))
    assert term.name == "programming per presentation"
    assert term.energy_J == pytest.approx(13e-12, rel=1e-12, abs=0)
    assert term.inputs == "E_written=7.8e-06; samples=600000"


def test_a_formula_is_written_from_the_numbers_that_make_the_energy(device):
    """Each formula, with its symbols replaced by the inputs it is told with, gives the energy."""
    names = {
        "steps/samples": "4/40", "<V_pulse^2>": "V2", "V_read^2": "V2", "bits of weights": "bits", "32 bit": "32",
        "8 bit": "8", "4 bit": "4", "^": "**",
    }  # fmt: skip
    own = run(meter(state_reads_per_step=1), device, array={"partial_sums": "digital", "tile_rows": 2})
    every = [own, run(float_meter(memory_bits={"weights": 24 * 32}), device), *rivals.rivals(own).values()]
    checked, sums = set(), set()
    for term in (term for side in every for term in terms(side) if term.draft.factors):
        formula = term.formula
        for symbol, name in names.items():
            formula = formula.replace(symbol, name)
        if "sum" in formula:
            sums.add(term.name)
            continue
        inputs = dict(pair.split("=") for pair in term.inputs.split("; "))
        value = eval(formula, {name: float(told) for name, told in inputs.items()})
        assert term.energy_J == pytest.approx(value, rel=1e-5, abs=0), term.name
        checked.add(term.name)
    assert sums == {"writes", "reads"} and checked == {term.name for term in terms(own)} - sums


@pytest.mark.parametrize(
    ("before", "after", "signs"),
    [
        ({"adc_bits": 8}, {"adc_bits": 9}, (1, 0, 1)),
        ({"dac_bits": 8}, {"dac_bits": 9}, (1, 0, 1)),
        ({"columns_per_adc": 8}, {"columns_per_adc": 16}, (1, 1, -1)),
        ({"tile_rows": 64, "tile_columns": 64}, {"tile_rows": 32, "tile_columns": 32}, (1, 0, 1)),
        ({"rows_read_at_once": 64}, {"rows_read_at_once": 32}, (1, 1, 1)),
        ({"partial_sums": "analogue"}, {"partial_sums": "digital"}, (1, 0, 1)),
        ({"node_nm": 45.0}, {"node_nm": 28.0}, (-1, 0, -1)),
    ],
)
def test_each_key_moves_energy_time_and_area_the_right_way(device, before, after, signs):
    """The bits of a conversion leave its rate alone; converters that more columns share leak for longer."""
    wide = meter(layers=[[256, 128, 1], [128, 10, 1]], devices_by_state=[[256 * 128, 0, 0, 0, 0], [1280, 0, 0, 0, 0]])

    def costs_of(keys: dict) -> tuple[float, float, float]:
        of = {"partial_sums": "digital", "tile_rows": 64, "dac_bits": 8, "adc_bits": 8, **keys}
        if of["partial_sums"] == "analogue":
            of.pop("rows_read_at_once", None)
        array = {name: of.pop(name) for name in list(of) if name in Array.model_fields}
        bits = Converters(**{name: of.pop(name) for name in list(of) if name in Converters.model_fields})
        one = run(wide, device, array, bits, **of)
        return *total(one, "inference"), area(one)

    first, second = costs_of(before), costs_of(after)
    moved = [0 if abs(b - a) < 1e-9 * a else int(np.sign(b - a)) for a, b in zip(first, second, strict=True)]
    assert tuple(moved) == signs


def test_what_ideal_converters_would_cost_is_left_out_and_told(device):
    own = run(meter(), device, converters=Converters())
    assert own.lacks == "ideal DAC and ADC, not charged"
    table = costs.cost_table([own])
    mine = table[table["chip"] == OWN]
    assert (mine["lacks"].notna() == (mine["level"] != "device")).all()
    assert table.loc[table["chip"] != OWN, "lacks"].isna().all()
    assert not run(meter(), device).lacks and not run(float_meter(), device, converters=Converters()).lacks


def test_a_published_number_holds_between_its_two_nodes():
    one = CONSTANTS["float_addition_J"]
    ends = [one.value(45.0), one.value(7.0)]
    assert ends == pytest.approx([0.9e-12, 0.38e-12], rel=1e-12, abs=0)
    assert one.value((7 * 45) ** 0.5) == pytest.approx((0.9e-12 * 0.38e-12) ** 0.5, rel=1e-12, abs=0)
    assert all(0 <= c.low < 1 < c.high and c.source for c in CONSTANTS.values())
    assert Hardware(constants={"float_addition_J": 1.0}).constant("float_addition_J") == 1.0
    assert constants.table() in (ROOT / "docs/cost/numbers.md").read_text()


def test_sensitivities_are_the_totals_with_one_number_changed(device):
    own = run(meter(), device)
    table = costs.sensitivity_table(own).set_index(["phase", "quantity", "constant"])
    row = table.loc["inference", "energy_J", "adc_J_per_step"]
    changed = total(replace(own, hardware=Hardware(constants={"adc_J_per_step": 5e-14})), "inference").energy_J
    assert row["total_at_high"] == pytest.approx(changed, rel=1e-12, abs=0)
    assert row["total"] == pytest.approx(total(own, "inference").energy_J, rel=1e-12, abs=0)
    assert ("inference", "time_s", "adc_rate_Hz") in table.index and table["source"].notna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": "many"}, "meter.json: samples: found many, allowed: integer"),
        ({"layers": [[1, 2]]}, "meter.json: layers.0: key '2' is missing"),
        ({"colour": 1}, "meter.json: top level: found unknown key 'colour', allowed: assumed, between, clipped"),
    ],
)
def test_a_meter_that_does_not_fit_is_refused_in_one_line(change, message):
    with pytest.raises(UserError, match=message):
        meter(**change)


def test_a_meter_is_read_as_it_was_written(tmp_path):
    meter().write(tmp_path / "meter.json")
    assert Meter.read(tmp_path) == meter()


def test_a_convolution_is_read_once_per_place(device):
    """Layers of 4 x 3 at 9 places and 27 x 2: 12 x 9 + 54 products; only the dense layer is read backward."""
    found = meter(layers=[[4, 3, 9], [27, 2, 1]], writes_by_layer=[0, 31]).counts()
    assert found["device_reads_per_sample"] == 12 * 9 + 54 + 54 and found["synapses"] == 12 + 54
    assert meter(state_reads_per_step=1).counts()["device_reads_per_sample"] == 24 + 6 + np.float64(24 * 4 / 40)


def test_what_nobody_knows_of_a_pulse_is_unknown_and_not_nothing():
    """A measured device without energies, voltages and durations: totals that hold its writes are not a number."""
    card = make_card()
    unknown = {"energy_mean_J": np.nan, "energy_sd_J": np.nan, "duration_s": np.nan, "latency_s": np.nan}
    pulses = card.pulses.assign(**unknown, **dict.fromkeys(DRIVES, np.nan))
    meta = card.meta.model_copy(update={"assumed": ("The energy of a write is unknown.",)})
    device = DeviceModel.from_card(replace(card, pulses=pulses, meta=meta).validate())
    assert device.assumed == "The energy of a write is unknown" and len(device.digest) == 64
    found = joules(meter(), device)
    assert np.isnan(found["training", "writes"]) and np.isnan(found["training", "write lines"])
    assert np.isnan(seconds(meter(), device)["training", "writes"])
    assert found["inference", "reads"] == pytest.approx(18 * 1e-17 + 6 * 5e-17, rel=1e-12, abs=0)
    sums = costs.totals(terms(run(meter(), device)))
    assert all(np.isnan(one.energy_J) == (phase != "inference") for (phase, _), one in sums.items())
