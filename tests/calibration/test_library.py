import json
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from calibration import KernelCard, laws
from calibration.config import Stage
from calibration.counting import kernel_rows
from calibration.laws.fitting import Fit
from calibration.sources import build, library
from calibration.sources.parametric import REGISTRY, macrospin, switching
from calibration.sources.parametric.common import Population
from spinloom.errors import UserError
from workflow.study import config as study_config
from workflow.study import planning


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def cards():
    return {name: library.card(name) for name in library.names()}


def test_catalogue():
    assert library.names() == [
        "arm_pma_mtj_50nm",
        "ecram_101_levels",
        "ellis_gate",
        "gt_stt_mtj_28nm",
        "memristor_32_levels",
        "mondal_stt_mtj",
        "nyu_stochastic_write_40nm",
        "pbit",
        "pcmo_26_levels",
        "skyrmion_counter",
        "sot_mtj_80nm_a",
        "sot_mtj_80nm_b",
        "telegraph_smtj",
        "ut_austin_mtj_50nm",
    ]
    with pytest.raises(UserError, match="library: name: found 'mtj', allowed: arm_pma_mtj_50nm, ecram"):
        library.card("mtj")


PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("cards.md", "cards/own.md")]


def test_catalogue_of_the_documentation():
    catalogue, own = (page.read_text(encoding="utf-8") for page in PAGES)
    table = catalogue.split("## The library")[1]
    assert (
        sorted(set(re.findall(r"`([a-z0-9_]+)`", "".join(re.findall(r"(?m)^\| (`.*?) \|", table))))) == library.names()
    )
    # derived numbers as the page tells them
    for name in ("arm_pma_mtj_50nm", "ut_austin_mtj_50nm", "nyu_stochastic_write_40nm"):
        found = macrospin.derive(library.recipe(name).switching.macrospin, name)
        line = next(line for line in table.splitlines() if f"`{name}`" in line)
        assert f"Delta {found['thermal_stability']:.3g}, V_c0 {found['critical_voltage_V']:.3f} V" in line
    described = re.findall(r"(?m)^\| `([a-z]+)` \|", own)
    assert sorted(described) == REGISTRY.names()


@pytest.mark.long
def test_studies_of_the_documentation():
    root = Path(__file__).parents[2]
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    made = {}
    for block in re.findall(r"(?s)```yaml\n(.*?)```", text):
        config = study_config.laid_over(root / "config.yaml", yaml.safe_load(block))
        assert not planning.plan(config).simulates and config["network"] is None
        section = Stage.parse(study_config.section(config, "calibration"), "cards.md")
        made[config["study"]], _ = build.make(section, "cards.md", None)
    assert set(made) == {"sot_mtj", "junctions_that_differ", "own_memristor"}
    assert len(made["own_memristor"].states) == 16
    assert made["junctions_that_differ"].extras["by_instance"]["instance"].nunique() == 256
    np.testing.assert_array_equal(made["sot_mtj"].kernel, library.card("sot_mtj_80nm_a").kernel)
    assert made["sot_mtj"].meta.derived is not None and library.card("sot_mtj_80nm_a").meta.derived is None


@pytest.mark.parametrize("name", library.names())
def test_card_is_written_and_read_with_the_same_bytes(cards, name, tmp_path):
    cards[name].write(tmp_path / "first")
    again = KernelCard.read(tmp_path / "first")
    again.write(tmp_path / "second")
    before = time.process_time()
    made = library.card(name)
    assert time.process_time() - before < 1, "a card is to be made in a second"
    made.write(tmp_path / "third")
    assert content(tmp_path / "first") == content(tmp_path / "second") == content(tmp_path / "third")
    np.testing.assert_array_equal(again.kernel, cards[name].kernel)
    assert again.meta.name == name and again.meta.source.kind == "library"


@pytest.mark.parametrize("name", library.names())
def test_every_part_of_a_recipe_tells_where_it_is_from(cards, name):
    recipe, told = library.recipe(name).dump(), cards[name].meta.source.dump()["provenance"]
    assert recipe["name"] == name and recipe["description"]
    for part in (recipe["device"], "electrical"):
        assert any(key.split(".")[0] == part for key in told), part
    for key in told.keys() - {"not_used"}:
        place = recipe
        for word in key.split("."):
            # what is derived stands in the finished card only
            assert word in place, key
            place = place[word]


def test_law_of_a_switching_card_gives_its_rows(cards):
    for name in ("sot_mtj_80nm_a", "nyu_stochastic_write_40nm", "arm_pma_mtj_50nm"):
        fits = [Fit.from_dict(json.loads(json.dumps(law.dump()))) for law in cards[name].meta.laws]
        pulses, kernel = cards[name].pulses, cards[name].kernel
        assert [fit.conditions["state_from"] for fit in fits] == [0, 1]
        for fit in fits:
            # as rows of fitted laws are made: pulses in the law's own direction, by the size of the voltage
            own, start = fit.conditions["pulses"], fit.conditions["state_from"]
            assert (np.sign(pulses["voltage_V"][own]) == fit.conditions["polarity"]).all() and len(own) == len(
                pulses
            ) / 2
            places, rows = kernel_rows.law_rows(fit, pulses, np.array(cards[name].meta.states.edges))
            assert places == [(pulse, start) for pulse in own]
            np.testing.assert_array_equal(rows(fit.parameters), kernel[own, start])


def test_law_of_the_gate_gives_its_rows_in_the_unit_of_the_drive(cards):
    card = cards["ellis_gate"]
    (told,) = card.meta.laws
    fit, edges = Fit.from_dict(json.loads(json.dumps(told.dump()))), np.array(card.meta.states.edges)
    assert fit.law == "passing" and fit.conditions["stated"] and fit.conditions["state_from"] is None
    places, rows = kernel_rows.law_rows(fit, card.pulses, edges)
    made = dict(zip(places, rows(fit.parameters)))
    # a volatile state: the law holds from either, and is told once
    for pulse, row in enumerate(card.kernel):
        np.testing.assert_allclose([made[pulse, state] for state in (0, 1)], row, rtol=0, atol=1e-14)
    # the authors' w0, b and a, a drive of 1 being 1 mT
    expected = {"threshold": 4.63168e-3, "slope": 2.72741e3, "amplitude": 0.97813}
    assert fit.parameters == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("name, widths, least", [("gt_stt_mtj_28nm", 28, 1e-6), ("mondal_stt_mtj", 4, 1e-5)])
def test_ladders_go_from_hardly_ever_to_always_in_small_steps(cards, name, widths, least):
    card = cards[name]
    assert card.pulses["duration_s"].nunique() == widths
    for sign, start in ((1, 0), (-1, 1)):
        own = card.pulses[np.sign(card.pulses["voltage_V"]) == sign]
        rung = np.sort(card.kernel[own["pulse"], start, 1 - start])
        assert rung[0] < least and rung[-1] > 0.99
        # no gap of more than a factor of 10 below, nor of more than 0.3 above
        ratio, step = rung[1:] / rung[:-1], np.diff(rung)
        assert (ratio[rung[:-1] < 0.1] < 10).all() and (step < 0.3).all()
        longest = own[own["duration_s"] == own["duration_s"].max()].sort_values("voltage_V", key=np.abs)
        assert (np.diff(card.kernel[longest["pulse"], start, 1 - start]) > -1e-15).all()


def test_crossbar_junction_is_disturbed_by_its_law(cards):
    # P(V/2)/P(V) = exp(-Delta V/(2 V_c0)) of rare switching, arXiv 1806.09057
    card = cards["mondal_stt_mtj"]
    own = card.pulses[(card.pulses["voltage_V"] == 0.36) & (card.pulses["duration_s"] == 1e-7)]["pulse"].item()
    table = card.extras["half_select"].set_index(["pulse", "fraction", "state_from", "state_to"])["probability"]
    half = table[own, 0.5, 0, 1]
    assert half / card.kernel[own, 0, 1] == pytest.approx(math.exp(-60 * 0.36 / (2 * 0.50)), rel=1e-4, abs=0)
    assert (table > 0).all()


def test_high_current_junction_has_the_printed_probabilities(cards):
    # P_sw at t/t_D = 2 ... 6 with theta = 0.1 rad
    parameters = cards["gt_stt_mtj_28nm"].meta.laws[0].parameters
    time = parameters["characteristic_time_s"] / (1.1 / parameters["critical_voltage_V"] - 1)
    found = laws.get("precessional").probability(parameters, 1.1, time * np.arange(2, 7))
    assert [f"{value:.3f}" for value in found] == ["0.034", "0.434", "0.774", "0.916", "0.969"]


@pytest.mark.parametrize(
    ("name", "direction", "threshold_mV", "slope_per_V"),
    [
        ("sot_mtj_80nm_a", "law_down", 895.8, 42.7),  # P to AP
        ("sot_mtj_80nm_a", "law_up", 934.0, 31.4),
        ("sot_mtj_80nm_b", "law_down", 902.4, 77.9),
        ("sot_mtj_80nm_b", "law_up", 874.9, 34.9),
    ],
)
def test_sot_devices_have_the_measured_threshold_and_slope(name, direction, threshold_mV, slope_per_V):
    own = switching.complete(library.recipe(name).switching, name)
    start, stop = (0, 1) if direction == "law_up" else (1, 0)
    sign = stop - start

    def probability(millivolt):
        voltage = np.array([sign * millivolt / 1e3])
        return switching.rows(own, voltage, 0.75e-9, 300.0)[0, start, stop]

    assert probability(threshold_mV) == pytest.approx(0.5, abs=1e-6)
    # beta = 4 dP/dV where P = 1/2
    gradient = (probability(threshold_mV + 0.01) - probability(threshold_mV - 0.01)) / 2e-5
    assert f"{4 * gradient:.1f}" == str(slope_per_V)
    top = probability(3000.0)
    assert top == pytest.approx(0.75 if (name, direction) == ("sot_mtj_80nm_a", "law_up") else 1.0, abs=1e-6)


def test_sot_write_costs_what_was_measured(cards):
    card = cards["sot_mtj_80nm_a"]
    electrical = card.meta.source.dump()["parameters"]["electrical"]
    assert f"{1e12 * 0.8958**2 * 0.75e-9 / electrical['write_resistance_ohm']:.2f}" == "0.78"
    at = np.argmin(np.abs(card.pulses["voltage_V"] - 0.9))
    assert card.pulses["energy_mean_J"][at] == pytest.approx(0.78e-12, abs=0.01e-12)
    assert 1 / card.states["conductance_S"].to_numpy() == pytest.approx([10e3, 4.9e3], abs=1e-9)
    # plain Neel-Brown is too shallow: the reason why its constants are told and not used
    assert f"{2 * math.log(2) * 4.91 / 0.857:.1f}" == "7.9"
    assert "4.91 / 5.15" in card.meta.source.dump()["provenance"]["not_used"]


@pytest.mark.parametrize(("name", "levels", "ratio"), [("memristor_32_levels", 32, 15.0), ("pcmo_26_levels", 26, 1.8)])
def test_memristors_have_the_published_levels_and_range(cards, name, levels, ratio):
    card = cards[name]
    conductance = card.states["conductance_S"].to_numpy()
    assert len(conductance) == levels
    assert conductance[-1] / conductance[0] == pytest.approx(ratio, rel=1e-12, abs=0)
    # linear: one spacing a pulse and the stated spread, on both ways, wherever no end is near
    sd = library.recipe(name).lattice.cycle_relative_sd
    step = np.diff(conductance).mean()
    middle = slice(6, levels - 6)
    mean = card.kernel @ conductance - conductance
    variance = card.kernel @ conductance**2 - (card.kernel @ conductance) ** 2
    np.testing.assert_allclose(mean[:, middle], step * np.array([[1], [-1]]) * np.ones(levels - 12), rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(variance)[:, middle], sd * step, rtol=1e-6)


def test_telegraph_has_the_measured_correlation_time(cards):
    card = cards["telegraph_smtj"]
    at = card.pulses[(card.pulses["voltage_V"] == 0) & (card.pulses["duration_s"] == 5e-9)].index[0]
    # correlation of two looks 5 ns apart: 1 - P01 - P10 = 1/e
    assert 1 - card.kernel[at, 0, 1] - card.kernel[at, 1, 0] == pytest.approx(math.exp(-1), abs=1e-12)


def test_ecram_steps_are_far_smaller_than_its_range(cards):
    card = cards["ecram_101_levels"]
    outside = np.abs(np.subtract.outer(np.arange(101), np.arange(101))) > 5
    assert card.kernel[:, outside].max() < 1e-10


@pytest.mark.long
def test_a_study_says_how_its_devices_differ(cards):
    """Critical voltages, taken from each device's probabilities by the law; sd of 400, false alarms 0.01 %."""
    population = {"instances": 400, "by_instance": True, "parameters_relative_sd": {"critical_voltage_V": 0.02}}
    alike, card = cards["mondal_stt_mtj"], library.card("mondal_stt_mtj", 3, Population(**population))
    np.testing.assert_array_equal(card.kernel, alike.kernel)  # of the mean device
    up = card.extras["by_instance"].query("state_from == 0 and state_to == 1")
    found = []
    for pulse in alike.pulses.query("voltage_V in (0.405, 0.423) and duration_s == 1.0e-7").itertuples():
        own = up[up["pulse"] == pulse.pulse].sort_values("instance")["probability"].to_numpy()
        barrier = -np.log(-np.log1p(-own) * 1e-9 / pulse.duration_s)  # Delta (1 - V/V_c0)
        found.append(pulse.voltage_V / (1 - barrier / 60))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
    assert abs(np.mean(found[0]) / 0.5 - 1) < 3.9 * 0.02 / 20 and abs(np.std(found[0]) / 0.01 - 1) < 3.9 / np.sqrt(800)
    assert card.meta.source.dump()["provenance"]["population"] == "assumed: the study's own"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"population": {"parameters_relative_sd": {"height": 0.1}, "by_instance": True, "instances": 2}},
         "calibration.source: population.parameters_relative_sd: found 'height', allowed: critical_voltage_V"),
        ({"kind": "simulation", "name": None, "population": {}},
         "calibration.source.population: found a value, allowed with kind simulation: null"),
        ({"population": {"instances": 0}}, "calibration.source.population.instances: found 0, allowed: at least 1"),
    ],
)  # fmt: skip
def test_populations_that_cannot_be(source, message, tmp_path):
    layer = tmp_path / "layer.yaml"
    source = {"kind": "library", "name": "mondal_stt_mtj", **source}
    layer.write_text(json.dumps({"study": "s", "network": None, "calibration": {"source": source}}))
    with pytest.raises(UserError, match=re.escape(message)):
        config = study_config.load("config.yaml", layer)
        build.check(Stage.parse({**config["calibration"], "seed": 1}, "c.json"), "dw_racetrack", None, 5)
