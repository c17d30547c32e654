"""What follows the counting: pulses in between, half-select, retention, inverse table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration import KernelCard
from calibration.consequences.derive import _series, add, with_pulses
from calibration.counting.assemble import assemble
from calibration.laws import neel_brown
from calibration.sections import Interpolate
from calibration.sources import build, library, simulated
from spinloom.errors import UserError
from tests.calibration.conftest import (
    gated,
    junction,
    junction_events,
    junction_pulses,
    meta_with,
    stage,
    walking,
    walking_events,
    walking_pulses,
)

TEMPERATURES = [260.0, 300.0, 360.0]


def points(*values, extrapolate=False):
    return Interpolate(points=values, extrapolate=extrapolate)


def disturbed(card, voltage, duration, fraction, start):
    """Return the half-selected pulse's probability to leave ``start``."""
    own = np.isclose(card.pulses["voltage_V"], voltage) & np.isclose(card.pulses["duration_s"], duration, atol=0)
    (pulse,) = np.flatnonzero(own)
    table = card.extras["half_select"].query(f"pulse == {pulse} and state_from == {start} and state_to != {start}")
    return table.set_index("fraction")["probability"][fraction]


# -- pulses in between -------------------------------------------------------------------------------------------------
def test_pulses_between_pulses(cards):
    """The rows lie between the neighbours', the energy of a line does not depend on the gate, C V^2 is exact."""
    good = cards["domain_wall"]
    grown = with_pulses(good, points({"voltage_V": 0.75}, {"voltage_V": 1.25}), "c.json").validate()
    assert grown.kernel.shape == (7, 5, 5)
    pd.testing.assert_frame_equal(grown.pulses.iloc[:5], good.pulses)
    pd.testing.assert_frame_equal(grown.transitions[grown.transitions["pulse"] < 5], good.transitions)
    new = grown.transitions[grown.transitions["pulse"] >= 5]
    assert set(new["basis"]) == {"interpolated"} and set(new["count"]) == {0}
    # halfway the log-odds are the mean of the neighbours'
    between = np.sqrt(good.kernel[1] * good.kernel[2])
    np.testing.assert_allclose(grown.kernel[5], between / between.sum(axis=-1, keepdims=True), rtol=1e-9)
    gate = good.pulses["energy_gate_J"][2]  # at 1 V
    np.testing.assert_allclose(grown.pulses["energy_gate_J"][5:], [0.75**2 * gate, 1.25**2 * gate], rtol=1e-9)
    np.testing.assert_allclose(grown.pulses["energy_sot_J"][5:], 3.24e-15, rtol=1e-9)
    np.testing.assert_allclose(
        grown.pulses["energy_mean_J"][5:], 3.24e-15 + 4.32e-15 + np.array([0.75**2, 1.25**2]) * gate, rtol=1e-9
    )
    np.testing.assert_allclose(grown.pulses["latency_s"][5:], 6e-9)
    assert grown.meta.intended_states[:5] == (0, 1, 2, 3, 4)
    with pytest.raises(UserError, match="points.0: found .*'voltage_V': 1.0.*, which the card has already"):
        with_pulses(good, points({"voltage_V": 1.0}), "c.json")
    with pytest.raises(UserError, match="points.1: found .*, which the card has already"):
        with_pulses(good, points({"voltage_V": 0.75}, {"voltage_V": 0.75}), "c.json")
    np.testing.assert_allclose(grown.states["occupancy"], grown.kernel[:, 0].mean(axis=0))


def test_energy_of_a_junction_between_voltages_and_durations(cards):
    """V^2 t of a constant conductance: the fit in 1, V^2, t, V^2 t gives it back."""
    card = cards["stt_mtj"]
    pulses, conductance = card.pulses, 1e-4
    heat = conductance * pulses["voltage_V"] ** 2 * pulses["duration_s"]
    card = replace(card, pulses=pulses.assign(energy_junction_J=heat, energy_mean_J=heat))
    grown = with_pulses(card, points({"voltage_V": -0.28, "duration_s": 4e-9}), "c.json").validate()
    made = grown.pulses.iloc[20]
    assert (made["polarity"], made["voltage_V"], len(grown.pulses)) == (-1, -0.28, 21)
    assert made["energy_junction_J"] == pytest.approx(conductance * 0.28**2 * 4e-9, abs=0, rel=1e-6)
    assert made["energy_mean_J"] == pytest.approx(conductance * 0.28**2 * 4e-9, abs=0, rel=1e-6)
    assert made["latency_s"] == pytest.approx(7e-9, abs=0, rel=1e-9)  # 3 ns to relax
    # from P it may switch, from AP it stays
    kernel = grown.kernel[20]
    assert kernel[0, 0] == 1 and 0 < kernel[1, 0] < 1
    near = card.kernel[np.flatnonzero(np.isclose(pulses["voltage_V"], -0.25) | np.isclose(pulses["voltage_V"], -0.3))]
    assert near[:, 1, 0].min() < kernel[1, 0] < near[:, 1, 0].max()


@pytest.mark.parametrize(
    ("name", "point", "words"),
    [
        ("domain_wall", {"voltage_V": 2.5}, "c.json: interpolate.points.0: found voltage_V 2.5, .*voltage_V 0..2"),
        ("domain_wall", {"duration_s": 2e-9}, "interpolate.points.0: key 'voltage_V' is missing, needed because"),
        ("domain_wall", {"voltage_V": 1.2, "duration_s": 2e-9}, "found voltage_V 1.2, duration_s 2e-09"),
        ("domain_wall", {"voltage_V": 1.2, "temperature_K": 350.0}, "found voltage_V 1.2, .*temperature_K 350"),
        ("stt_mtj", {"voltage_V": 0.3}, "interpolate.points.0: key 'duration_s' is missing"),
        ("stt_mtj", {"voltage_V": 0.0, "duration_s": 2e-9}, "voltage_V: found 0, allowed: the sign of a pulse of the"),
        ("stt_mtj", {"voltage_V": 0.5, "duration_s": 2e-9}, "found voltage_V 0.5, duration_s 2e-09"),
    ],
)
def test_pulses_that_nobody_can_tell(cards, name, point, words):
    with pytest.raises(UserError, match=words):
        with_pulses(cards[name], points(point), "c.json")


def test_extrapolation_takes_the_nearest_pulse_and_is_less_sure(cards):
    good = cards["domain_wall"]
    grown = with_pulses(good, points({"voltage_V": 2.5}, extrapolate=True), "c.json").validate()
    np.testing.assert_allclose(grown.kernel[5], good.kernel[4])
    table = grown.transitions.set_index(["pulse", "state_from", "state_to"])
    width = table["ci_high"] - table["ci_low"]
    assert width[5, 0, 4] > width[4, 0, 4]


def test_a_point_is_made_for_each_polarity_that_it_fits(tmp_path):
    """Opposite currents under two gate voltages: the voltage between them is a pulse of each current."""
    study = walking(tmp_path)
    moved = walking_events(seed=9).assign(voltage_V=1.0)
    study.events = pd.concat([study.events, moved.assign(pulse=moved["pulse"] + 2)], ignore_index=True)
    plan = pd.concat([walking_pulses(), walking_pulses().assign(voltage_V=1.0)], ignore_index=True)
    study.pulses = plan.assign(pulse=range(4))
    card = study.card(interpolate__points=[{"voltage_V": 0.5}])
    assert card.pulses["polarity"].tolist() == [1, -1, 1, -1, -1, 1] and len(card.meta.derived.pairs) == 3
    up, down = card.kernel[5], card.kernel[4]
    assert up[1, 2] > up[1, 0] and down[1, 0] > down[1, 2]
    assert card.meta.intended_states is None


# -- half-select -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def half(studies):
    """Junction with a barrier of 40 and all tables that a card may have."""
    changes = {
        "half_select.fractions": [0.25, 0.3333, 0.5, 0.75],
        "retention.temperatures_K": TEMPERATURES,
        "posterior.by_instance": True,
    }
    config = stage({"states.method": "device", "states.count": None, **changes})
    return build.make(config, "c.json", studies["stt_mtj"].tables)[0]


def test_half_selected_cells_never_see_more_than_the_nearest_pulse(half):
    table = half.extras["half_select"]
    assert half.meta.flags.half_select and len(table) == 20 * 4 * 4
    sums = table.groupby(["pulse", "fraction", "state_from"])["probability"].sum()
    np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-12)
    pulses = half.pulses.set_index("pulse")
    for (pulse, fraction), own in table.groupby(["pulse", "fraction"]):
        start, end = (0, 1) if pulses["polarity"][pulse] > 0 else (1, 0)
        p = own.set_index(["state_from", "state_to"])["probability"]
        # the state that the voltage favours is not disturbed, and the other no more than by the weakest like pulse
        weakest = pulses[
            (pulses["polarity"] == pulses["polarity"][pulse]) & (pulses["duration_s"] == pulses["duration_s"][pulse])
        ]["voltage_V"].abs()
        if fraction * abs(pulses["voltage_V"][pulse]) < weakest.min():
            assert p[start, end] <= half.kernel[weakest.idxmin(), start, end] + 1e-15
        assert p[end, start] == 0.0
        assert p[start, end] <= half.kernel[pulse, start, end] + 1e-15


def test_half_select_grows_with_the_fraction(half):
    for _, own in half.extras["half_select"].query("state_from != state_to").groupby(["pulse", "state_from"]):
        assert (np.diff(own.sort_values("fraction")["probability"]) >= 0).all()


def test_half_select_is_the_rate_over_the_barrier(half):
    """Delta (1 - V/V_c)^2 of 40 at a quarter of 0.2 V against 0.5 V: rate exp(-32.4) per ns, for 1 ns."""
    expected = np.exp(-40 * (1 - 0.05 / 0.5) ** 2)
    assert disturbed(half, 0.2, 1e-9, 0.25, 0) == pytest.approx(expected, abs=0, rel=1e-9)
    # ten times as long, and the other direction with its own critical voltage of 0.6 V
    expected = 10 * np.exp(-40 * (1 - 0.3333 * 0.3 / 0.5) ** 2)
    assert disturbed(half, 0.3, 1e-8, 0.3333, 0) == pytest.approx(expected, abs=0, rel=1e-9)
    assert disturbed(half, -0.2, 1e-9, 0.5, 1) == pytest.approx(np.exp(-40 * (1 - 0.1 / 0.6) ** 2), abs=0, rel=1e-9)


def test_what_the_nearest_pulse_does_bounds_the_rate(tmp_path):
    """A barrier of 8: 10 exp(-8 (1 - 0.05/0.5)^2) = 0.015 by the rate, but 0.2 V did nothing in 400 writes."""
    study = junction(tmp_path, **{"half_select.fractions": [0.25]})
    study.device["writes"]["barrier"]["thermal_stability"] = 8.0
    study.pulses = plan = junction_pulses((0.2, 0.3), (1e-9, 1e-8))
    study.events = junction_events(plan, np.zeros(len(plan)))
    card = study.card()
    assert disturbed(card, 0.2, 1e-8, 0.25, 0) == pytest.approx(0.5 / 401, abs=0, rel=1e-9)
    assert disturbed(card, -0.2, 1e-8, 0.25, 1) == pytest.approx(0.5 / 401, abs=0, rel=1e-9)


def test_disturbs_are_among_the_derived_figures(half):
    disturbs = pd.DataFrame(half.meta.derived.half_select_disturbs_per_million)
    assert len(disturbs) == 20 * 4 * 2
    away = half.extras["half_select"].query("state_from != state_to").reset_index(drop=True)
    np.testing.assert_allclose(disturbs["disturbs"], 1e6 * away["probability"], rtol=1e-12)


def test_half_select_needs_a_barrier_or_pulses(cards, studies, tmp_path):
    with pytest.raises(UserError, match=r"half_select.fractions: found voltage_V 0.*or below the critical voltage"):
        changes = {"half_select.fractions": [0.5]}
        build.make(gated(tmp_path, **changes).stage, "c.json", studies["vcma_mtj"].tables)
    with pytest.raises(UserError, match="half_select.fractions: pulses: found one without voltage_V"):
        add(cards["notched_wire"], stage({"half_select.fractions": [0.5]}), "c.json")


def test_half_select_between_counted_pulses_needs_no_barrier(tmp_path):
    """Half of 0.4 V is 0.2 V, which was counted; half of 0.2 V was not."""
    study = gated(tmp_path, **{"half_select.fractions": [0.5]})
    study.pulses = junction_pulses((0.2, 0.4), (1e-9,), current=False)
    study.events = junction_events(study.pulses, [0.1, 0.6, 0.3, 0.7])
    with pytest.raises(UserError, match="half_select.fractions: found voltage_V 0.1, .*allowed: voltage_V 0.2..0.4"):
        study.card()
    study.config["half_select"]["fractions"] = []
    card = study.card()
    card = replace(card, pulses=card.pulses.assign(voltage_V=[0.0, 0.4]))  # as if nothing was done in the first
    made = add(card, stage({"half_select.fractions": [0.5]}), "c.json").extras["half_select"]
    # log-odds halfway between the two pulses
    kernel = np.sqrt(card.kernel[0] * card.kernel[1])
    own = made.query("pulse == 1")["probability"].to_numpy().reshape(2, 2)
    np.testing.assert_allclose(own, kernel / kernel.sum(axis=1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(made.query("pulse == 0")["probability"], card.kernel[0].ravel(), rtol=1e-9)


# -- retention ---------------------------------------------------------------------------------------------------------
def test_retention_of_the_barrier(half):
    """exp(-40 300 K/T)/1 ns, whatever the state."""
    table = half.extras["retention"]
    assert sorted(set(table["temperature_K"])) == TEMPERATURES and len(table) == 6
    np.testing.assert_allclose(table["rate_per_s"], 1e9 * np.exp(-40 * 300 / table["temperature_K"]), rtol=1e-12)


def test_retention_by_the_config(cards):
    asked = {"retention.temperatures_K": [300.0], "retention.attempt_time_s": 1e-10}
    config = stage(asked)
    with pytest.raises(UserError, match="retention.temperatures_K: found a volatile device"):
        add(cards["notched_wire"], config, "c.json")
    untold = replace(cards["stt_mtj"], meta=meta_with(cards["stt_mtj"], barrier=None))
    with pytest.raises(UserError, match="retention.thermal_stability: found null, allowed: a number .of stt_mtj"):
        add(untold, config, "c.json")
    told = stage(asked | {"retention.thermal_stability": 20.0})
    card = add(untold, told, "c.json")
    np.testing.assert_allclose(card.extras["retention"]["rate_per_s"], 1e10 * np.exp(-20), rtol=1e-12)
    # the config's barrier before the device's own
    card = add(cards["stt_mtj"], told, "c.json")
    np.testing.assert_allclose(card.extras["retention"]["rate_per_s"], 1e10 * np.exp(-20), rtol=1e-12)
    with pytest.raises(UserError, match="c.json: retention: found a device of 5 states, allowed without device_sims.b"):
        add(cards["domain_wall"], config, "c.json")


def test_tables_that_the_source_states_stay(half):
    fraction = float(half.extras["half_select"]["fraction"].iloc[0])
    changes = {"half_select.fractions": [fraction], "retention.temperatures_K": TEMPERATURES[1:]}
    again = add(half, stage(changes), "c.json")
    for name, table in half.extras.items():
        pd.testing.assert_frame_equal(again.extras[name], table)


# -- inverse -----------------------------------------------------------------------------------------------------------
def test_inverse_and_dead_zone_of_counted_durations(tmp_path):
    """P = 1 - exp(-t/10 ns) in seven durations: t(p) within the error of counts and of lines over ln t."""
    study = junction(tmp_path)
    durations = (1e-10, 3e-10, 1e-9, 3e-9, 1e-8, 3e-8, 1e-7)
    study.pulses = plan = junction_pulses((0.3,), durations)
    p = -np.expm1(-plan["duration_s"] / 1e-8)
    study.events = junction_events(plan, p, instances=4, replicas=1000)
    card = study.card()
    table = card.extras["inverse"]
    assert set(map(tuple, table[["state_from", "state_to", "voltage_V"]].to_numpy())) == {(0, 1, 0.3), (1, 0, -0.3)}
    for _, own in table.groupby("state_from"):
        own = own.set_index("probability")["duration_s"]
        assert own.dropna().is_monotonic_increasing and own.notna().sum() >= 12
        # lines over ln t are off by 10 %; 4000 writes leave 5 sd of p to be 0.04 at 1/2, 8 % of t
        for wanted in (0.3, 0.5, 0.7):
            assert own[wanted] == pytest.approx(-1e-8 * np.log1p(-wanted), abs=0, rel=0.25)
    zones = pd.DataFrame(card.meta.derived.dead_zones)
    # 1 % at 0.1 ns, which is the shortest: the dead zone ends near it, or below where nothing was written
    assert zones.empty or zones["duration_s"].between(1e-10, 1.5e-10).all()


def test_dead_zone_is_where_one_per_cent_is_passed(tmp_path):
    study = junction(tmp_path)
    study.pulses = plan = junction_pulses((0.3,), (1e-9, 1e-8))
    study.events = junction_events(plan, np.tile([0.0, 1.0], 2), replicas=100)
    card = study.card()
    # 400 writes at pseudocount 1/2 make 0.5/401 and 400.5/401; over ln t a line between them
    low, high = 0.5 / 401, 400.5 / 401
    expected = 1e-9 * 10 ** ((0.01 - low) / (high - low))
    zones = card.meta.derived.dead_zones
    assert [zone["duration_s"] for zone in zones] == pytest.approx([expected] * 2, abs=0, rel=1e-9)
    assert {(zone["state_from"], zone["state_to"], zone["voltage_V"]) for zone in zones} == {(0, 1, 0.3), (1, 0, -0.3)}


def test_one_duration_has_no_inverse(cards):
    assert "inverse" not in cards["domain_wall"].extras and not cards["domain_wall"].meta.derived.dead_zones


# -- all together ------------------------------------------------------------------------------------------------------
def test_card_with_all_tables_is_written_and_read_byte_by_byte(half, tmp_path):
    assert sorted(half.extras) == ["by_instance", "check", "half_select", "inverse", "retention"]
    half.write(tmp_path / "first")
    again = KernelCard.read(tmp_path / "first")
    again.write(tmp_path / "second")
    files = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert len(files) == 11 and again.hash == half.hash
    for name, table in half.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_order_of_events_does_not_matter_for_any_table(tmp_path):
    texts = []
    for seed in (None, 1):
        changes = {"half_select.fractions": [0.5], "retention.temperatures_K": [300.0], "posterior.by_instance": True}
        study = junction(tmp_path, **changes)
        if seed is not None:
            study.events = study.events.sample(frac=1, random_state=seed)
            study.pulses = study.pulses.sample(frac=1, random_state=seed)
        card = study.card()
        texts.append((card.hash, card.meta.laws, card.meta.probability_spread, card.meta.derived))
    assert texts[0] == texts[1]


def test_interpolated_pulses_follow_the_law(cards):
    """Between 0.3 and 0.35 V and 1 and 10 ns: Neel and Brown's probability within the interval, 4 times widened."""
    grown = with_pulses(cards["stt_mtj"], points({"voltage_V": 0.33, "duration_s": 4e-9}), "c.json")
    row = grown.transitions.query("pulse == 20 and state_from == 0 and state_to == 1").iloc[0]
    truth = neel_brown.probability({"thermal_stability": 12.0, "critical_voltage_V": 0.5}, 0.33, 4e-9, 300.0)
    assert abs(row["probability"] - truth) < 2 * (row["ci_high"] - row["ci_low"]) < 1


# -- what belongs together ---------------------------------------------------------------------------------------------
def test_pulses_of_different_currents_are_no_series(cards):
    pulses = cards["domain_wall"].pulses.assign(voltage_V=[0.0, 0.0, 1.0, 1.0, 1.5])
    assert [len(own) for own in _series(pulses)] == [5]
    mixed = pulses.assign(current_density_A_per_m2=[1e11, 2e11, 1e11, 2e11, 1e11])
    assert [list(own["pulse"]) for own in _series(mixed)] == [[0, 2, 4], [1, 3]]


def test_between_stated_pulses_no_count_is_missing():
    """0.425 and 0.607 by the recipe's law: what is stated without counts is exact, not unknown."""
    card = library.card("sot_mtj_80nm_a")
    row = with_pulses(card, points({"voltage_V": 0.9375}), "c.json").transitions.query("pulse == 16").iloc[1]
    assert 0.425 < row["ci_low"] < row["probability"] < row["ci_high"] < 0.607


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"retention.temperatures_K": [300.0, 310.0]},
            "retention.temperatures_K: found 310, allowed: 260, 300, 330, 373,",
        ),
        ({"half_select.fractions": [0.25]}, "half_select.fractions: found 0.25, allowed: 0.333333, 0.5, what the card"),
    ],
)
def test_a_card_with_tables_of_its_own_is_not_asked_for_others(changes, message):
    card = library.card("mondal_stt_mtj" if "half_select.fractions" in changes else "gt_stt_mtj_28nm")
    with pytest.raises(UserError, match=message):
        add(card, stage(changes), "c.json")
    own = {"retention.temperatures_K": [300.0], "half_select.fractions": []}
    pd.testing.assert_frame_equal(add(card, stage(own), "c.json").extras["retention"], card.extras["retention"])


def test_only_writes_prepared_alike_are_repetitions(studies):
    """Two starts 30 nm apart are no cycle-to-cycle spread: of 20 nm it would make 25."""
    writes = simulated.read(studies["domain_wall"].tables, stage(), "c.json")
    events = writes.events.assign(prepared=writes.events["replica"] % 2)
    events["after"] = np.clip(events["after"] - 30e-9 * events["prepared"], 0, None)
    cards = (assemble(replace(writes, events=own), stage(), "c.json") for own in (writes.events, events))
    one, other = (card.meta.spread_position["cycle_to_cycle_sd_m"] for card in cards)
    assert abs(other / one - 1) < 0.1
