"""Counts and joules of hand-made runs, against sums done by hand."""

from dataclasses import replace

import numpy as np
import pytest

from network.config import Energy
from network.results.energy import energy_terms, statement
from network.results.meter import WORD, Meter
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from spinloom.quantities import DRIVES
from tests.network.conftest import make_card, meter

C = Energy().dump()
BIT, OPERATION = C["float_memory_energy_J_per_bit"], C["float_operation_energy_J"]


@pytest.fixture(scope="module")
def device() -> DeviceModel:
    """Five pulses of 3, 6, 9, 12 and 15 fJ, five states whose reads take 10 to 50 aJ."""
    return DeviceModel.from_card(make_card())


def joules(of_meter, device) -> dict:
    return {(term.phase, term.name): term.energy_J for term in energy_terms(of_meter, device, Energy())}


def test_a_rule_in_place(device):
    found = joules(meter(), device)
    assert found["training", "writes"] == pytest.approx((30 + 60 + 90 + 15) * 1e-15 / 40, rel=1e-12, abs=0)
    reads = 18 * 1e-17 + 6 * 5e-17  # forward; then back through the second layer
    assert found["inference", "reads"] == pytest.approx(reads, rel=1e-12, abs=0)
    assert found["training", "reads"] == pytest.approx(reads + 6 * 5e-17, rel=1e-12, abs=0)
    assert found["training", "float products"] == pytest.approx(24 * C["float_mac_energy_J"], rel=1e-12, abs=0)
    # every write charges a row and a column: 3 + 6 cells, or 2 + 3
    cells, square = (20 * 9 + 11 * 5) / 40, (10 * 0.25**2 + 10 * 0.5**2 + 1) / 31
    expected = cells * C["line_capacitance_F_per_cell"] * square
    assert found["training", "write lines"] == pytest.approx(expected, rel=1e-12, abs=0)
    assert found["training", "optimiser memory"] == pytest.approx(2 * 24 * 64 * BIT / 10, rel=1e-12, abs=0)


def test_digital_weights_cost_their_own_bits(device):
    """Read three times a step while training, once for an image classified, where a quantised weight has fewer bits."""
    digital = {"uses_device": False, "devices_per_synapse": 0, "reads_per_product": 0, "devices_by_state": []}
    digital |= {"writes_by_pulse": [0] * 5, "writes_by_layer": []}
    for bits, kept in ((3, 3), (32, 32), (32, 3)):
        changes = {"memory_bits": {"weights": 24 * bits, "optimizer": 0}, "weight_bits": kept, **digital}
        found = joules(meter(**changes), device)
        assert found["training", "weight memory"] == pytest.approx(3 * 24 * bits * BIT / 10, rel=1e-12, abs=0)
        assert found["inference", "weight memory"] == pytest.approx(24 * kept * BIT, rel=1e-12, abs=0)


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
    found = joules(
        meter(
            uses_device=False, devices_per_synapse=2, reads_per_product=5, clocks=[240.0, 0, 0, 0, 0],
            writes_by_pulse=[0] * 5, writes_by_layer=[], devices_by_state=[], first_writes=0,
        ),
        device,
    )  # fmt: skip
    macs = 2 * (24 + 6)
    assert found["training", "float products"] == pytest.approx(macs * C["float_mac_energy_J"], rel=1e-12, abs=0)
    assert found["training", "gradient memory"] == pytest.approx(2 * 48 * WORD * BIT / 10, rel=1e-12, abs=0)
    assert found["training", "optimiser arithmetic"] == pytest.approx(12 * 48 * OPERATION / 10, rel=1e-12, abs=0)
    clocks = 240 * (3e-15 + 3e-17)  # the pulse and the mean read
    for phase in ("training", "inference"):
        assert found[phase, "clocks and reads"] == pytest.approx(clocks, rel=1e-12, abs=0)
        assert found[phase, "ADC"] == pytest.approx(5 * 5 * C["adc_energy_J"], rel=1e-12, abs=0)


def test_writes_by_pulse_are_the_writes_of_the_devices(device):
    assert meter().counts()["writes"] == 31
    deployed = {"uses_device": False, "writes_by_pulse": [0] * 5, "first_writes": 0}
    assert meter(**deployed, deployment_by_pulse=[31, 0, 0, 0, 0]).counts()["first_writes"] == 31
    for wrong in ({"writes_by_layer": [20, 12]}, {**deployed, "deployment_by_pulse": [30, 0, 0, 0, 0]}):
        with pytest.raises(UserError, match="writes by pulse and writes by device differ"):
            meter(**wrong)


def test_a_verified_deployment_reads_each_device_that_it_writes(device):
    deployed = {
        "uses_device": False,
        "writes_by_pulse": [0] * 5,
        "deployment_by_pulse": [31, 0, 0, 0, 0],
        "first_writes": 0,
    }
    plain, verified = (joules(meter(**deployed, verify_reads=reads), device) for reads in (0, 31))
    per_read = (18 * 1e-17 + 6 * 5e-17) / 24  # of the states that the devices end in
    assert ("training", "reads") not in plain and ("training", "DAC") not in verified
    assert verified["training", "reads"] == pytest.approx(31 / 40 * per_read, rel=1e-12, abs=0)
    assert verified["training", "ADC"] == pytest.approx(31 / 40 * C["adc_energy_J"], rel=1e-12, abs=0)
    lines = 2 * 31 / 40 * C["line_capacitance_F_per_cell"] * 0.1**2  # a row's and a column's cell, read at 0.1 V
    assert verified["training", "read lines"] == pytest.approx(lines, rel=1e-9, abs=0)
    assert meter(**deployed, verify_reads=31).counts()["device_reads_per_sample"] == pytest.approx(
        31 / 40, rel=1e-12, abs=0
    )
    assert all(verified[key] == plain[key] for key in plain)


def test_thirteen_picojoule_per_presentation(device):
    """arXiv 2111.07284: 13 pJ per presentation of 60,000 images over 10 epochs are 7.8 uJ of programming in all."""
    written = {"writes_by_pulse": [2_600_000_000, 0, 0, 0, 0], "writes_by_layer": [2_600_000_000, 0]}
    *_, term = statement(meter(**written, samples=600_000, epochs=10), device, Energy())
    assert term.name == "programming per presentation"
    assert term.energy_J == pytest.approx(13e-12, rel=1e-12, abs=0)
    assert term.inputs == "E_written=7.8e-06; samples=600000"


def test_a_formula_is_written_from_the_numbers_that_make_the_energy(device):
    """Each formula, with its symbols replaced by the inputs it is told with, gives the energy."""
    names = {"steps/samples": "4/40", "<V_pulse^2>": "V2", "V_read^2": "V2", "bits of weights": "bits", "32 bit": "32"}
    terms = energy_terms(meter(uses_device=False, writes_by_pulse=[0] * 5, writes_by_layer=[0, 0]), device, Energy())
    terms += energy_terms(meter(), device, Energy())
    checked = 0
    for term in terms:
        formula = term.formula
        for symbol, name in names.items():
            formula = formula.replace(symbol, name)
        if "sum" not in formula:
            inputs = dict(pair.split("=") for pair in term.inputs.split("; "))
            value = eval(formula, {name: float(told) for name, told in inputs.items()})
            assert term.energy_J == pytest.approx(value, rel=1e-5, abs=0), term.name
            checked += 1
    assert checked == len(terms) - 4  # writes, and reads of both phases here and of inference there, are sums


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": "many"}, "meter.json: samples: found many, allowed: integer"),
        ({"layers": [[1, 2]]}, "meter.json: layers.0: key '2' is missing"),
        ({"colour": 1}, "meter.json: top level: found unknown key 'colour', allowed: assumed, clocks"),
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
    assert found["inference", "reads"] == pytest.approx(18 * 1e-17 + 6 * 5e-17, rel=1e-12, abs=0)
    totals = {(t.phase, t.level): t.energy_J for t in statement(meter(), device, Energy()) if t.name == "total"}
    assert all(np.isnan(value) == (phase == "training") for (phase, _), value in totals.items())
