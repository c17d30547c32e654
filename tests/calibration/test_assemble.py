"""Counted writes -> card: states, rows by counts or by law, rows without writes, pooling, spread."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import KernelCard
from calibration.card.meta import States
from calibration.card.tables import CARD, EXTRAS
from calibration.counting.assemble import assemble, intended_states, units
from calibration.sources.simulated import read
from spinloom.errors import UserError
from spinloom.quantities import of
from tests.calibration.conftest import CYCLE_SD, DEVICE_SD, LENGTH, STEP, Study, stage, walking, wall_events

LATTICE = {"states.method": "lattice", "states.count": 32}


@pytest.fixture(scope="module")
def lattice(tmp_path_factory):
    """Wall that moves on, 32 states; nothing was written from the first and the last."""
    return walking(tmp_path_factory.mktemp("lattice"), **LATTICE)


@pytest.fixture(scope="module")
def by_law(lattice):
    return lattice.card(kernel__form="law", kernel__empty_rows="error")


# -- laws --------------------------------------------------------------------------------------------------------------
def test_rows_by_law_are_its_integrals(by_law):
    """Exact against scipy's truncated normal distribution; the law is that of the events."""
    edges = np.linspace(0, LENGTH, 33)
    middle = (edges[1:] + edges[:-1]) / 2
    assert set(by_law.transitions["basis"]) == {"law"}
    for pulse, sign in ((0, 1), (1, -1)):
        fit = by_law.meta.laws[pulse]
        p, errors = fit.parameters, fit.standard_errors
        assert fit.conditions.pulses == (pulse,)
        # 4.5 standard errors: false alarm 7e-6
        assert abs(p["shift"] - sign * STEP) < 4.5 * errors["shift"] < STEP / 4
        assert abs(p["sd"] - CYCLE_SD) < 4.5 * errors["sd"] < CYCLE_SD / 2
        assert abs(p["shift_slope"]) < 4.5 * errors["shift_slope"]
        # a write begins anywhere in its state: the mean over 200 starts, their sum's error is below 1e-5
        rows = np.zeros((32, 32))
        for part in (np.arange(200) + 0.5) / 200 - 0.5:
            start = middle + part * LENGTH / 32
            centre = start + p["shift"] + p["shift_slope"] * (start - p["centre"])
            low, high = -centre / p["sd"], (LENGTH - centre) / p["sd"]
            law = stats.truncnorm(low[:, None], high[:, None], centre[:, None], p["sd"])
            rows += np.diff(law.cdf(edges), axis=1) / 200
        np.testing.assert_allclose(by_law.kernel[pulse], rows, rtol=0, atol=1e-5)
    table = by_law.transitions
    assert (table["ci_low"] <= table["probability"]).all() and (table["ci_high"] > table["ci_low"]).any()
    assert table["count"].sum() == 320  # the writes behind it stay visible


@pytest.mark.long
def test_rows_by_law_of_wide_states_are_those_of_the_counts(tmp_path):
    """States four times as wide as a step: seen from their middles alone, no write would ever leave them."""
    study = walking(tmp_path, **{"states.method": "lattice", "states.count": 4})
    by_law, counted = (study.card(kernel__form=form) for form in ("law", "counts"))
    distance = np.abs(by_law.kernel - counted.kernel).sum(axis=-1) / 2
    # 40 writes a row: the mean total variation of a row of two probable states is about 0.06
    assert distance.max() < 0.2 and 1 - by_law.kernel[:, 1, 1].min() > 0.1


def test_law_of_a_reset_device_gives_the_same_row_from_everywhere(study):
    card = study.card(kernel__form="law", states__method="lattice", states__count=12)
    edges = np.linspace(0, LENGTH, 13)
    for pulse, fit in enumerate(card.meta.laws):
        mean, sd = fit.parameters["mean"], fit.parameters["sd"]
        law = stats.truncnorm(-mean / sd, (LENGTH - mean) / sd, mean, sd)
        for state in range(12):
            np.testing.assert_allclose(card.kernel[pulse, state], np.diff(law.cdf(edges)), rtol=0, atol=1e-9)


def test_states_of_a_lattice_stand_for_their_middle(by_law):
    states, width = by_law.states, LENGTH / 32
    np.testing.assert_allclose(states["position_m"], width * (np.arange(32) + 0.5))
    np.testing.assert_allclose(states["position_low_m"], width * np.arange(32), atol=1e-20)
    np.testing.assert_allclose(states["conductance_S"], 14.4e-6 + 21.6e-6 * (np.arange(32) + 0.5) / 32)
    np.testing.assert_allclose(states["conductance_sd_S"], 21.6e-6 / 32 / np.sqrt(12))
    assert by_law.meta.states.edges == pytest.approx(np.linspace(0, LENGTH, 33), abs=1e-18)


def test_rows_without_writes_are_missed_by_name(lattice):
    with pytest.raises(UserError, match=r"pulse 0: found no write that begins in state 0 \(4 such rows\), and no "):
        lattice.card(kernel__form="counts", kernel__empty_rows="error")


def test_missing_row_that_other_pulses_have_says_how_many_replicas_it_takes(tmp_path):
    """Until one begins there it takes ln 0.05/ln(1 - f) writes, and 40 replicas made those of the pulse."""
    study = walking(tmp_path, **{"states.method": "edges", "states.edges": [200e-9, 225e-9], "states.count": None})
    inside = study.events["start_position_m"].between(200e-9, 225e-9)
    study.events = study.events[~(inside & (study.events["pulse"] == 1))]
    share = inside[study.events.index].sum() / len(study.events)
    of_pulse = (study.events["pulse"] == 1).sum()
    replicas = np.ceil(np.ceil(np.log(0.05) / np.log1p(-share)) * 40 / of_pulse)
    words = f"pulse 1: found no write that begins in state 1, allowed: .* about {replicas:.0f} more replicas"
    with pytest.raises(UserError, match=words):
        study.card()


def test_rows_without_writes_by_law_or_as_they_are(lattice, by_law):
    counted = lattice.card(kernel__form="counts", kernel__empty_rows="law")
    bare = counted.transitions.groupby(["pulse", "state_from"])["count"].transform("sum") == 0
    assert bare.sum() == 4 * 32 and set(counted.transitions["state_from"][bare]) == {0, 31}
    assert set(counted.transitions["basis"][bare]) == {"law"} and set(counted.transitions["basis"][~bare]) == {
        "borrowed"
    }
    for name in ("probability", "ci_low", "ci_high", "effective_count"):
        np.testing.assert_array_equal(counted.transitions[name][bare], by_law.transitions[name][bare])

    stay = lattice.card(kernel__form="counts", kernel__empty_rows="stay")
    np.testing.assert_array_equal(stay.kernel[:, [0, 31]], np.eye(32)[None, [0, 31]].repeat(2, axis=0))
    assert set(stay.transitions["basis"][bare]) == {"assumed"}
    pd.testing.assert_frame_equal(stay.transitions[~bare], counted.transitions[~bare])


def test_law_that_cannot_be_fitted_is_told_and_only_then_an_error(study):
    study.events.loc[study.events["pulse"] == 2, "final_position_m"] = 300e-9  # no spread, no law
    card = study.card()
    assert [fit.conditions.pulses for fit in card.meta.laws] == [(0,), (1,), (3,), (4,)]
    (failed,) = card.meta.laws_not_fitted
    assert failed["pulses"] == [2] and failed["reason"].count("events.parquet") == 1
    with pytest.raises(UserError, match=r"events.parquet: pulses \[2\]: law truncated_normal"):
        study.card(kernel__form="law")


def test_held_out_writes_may_judge_the_law(cards, studies, tmp_path):
    study = studies["stt_mtj"]
    config = stage({"states.method": "device", "states.count": None, "kernel.criterion": "held_out"})
    card = assemble(read(study.tables, config, "c.json"), config, "c.json")
    chosen = [fit for fit in card.meta.laws if fit.conditions.chosen]
    assert [fit.law for fit in chosen] == ["neel_brown"] * 2
    assert all(fit.dump()["held_out_log_likelihood"] < 0 for fit in card.meta.laws)
    assert all(fit.dump()["held_out_log_likelihood"] is None for fit in cards["stt_mtj"].meta.laws)


# -- states ------------------------------------------------------------------------------------------------------------
def test_given_edges(study):
    card = study.card(states__method="edges", states__count=None, states__edges=[150e-9, 450e-9])
    position = study.events["final_position_m"]
    assert card.states["count"].tolist() == [
        (position <= 150e-9).sum(), position.between(150e-9, 450e-9, inclusive="right").sum(), (position > 450e-9).sum()
    ]  # fmt: skip
    assert card.meta.states == States(method="edges", coordinate="position_m", edges=(0, 150e-9, 450e-9, LENGTH))
    with pytest.raises(UserError, match="config.json: states.edges: found 7e-07 m, allowed: one or more inner edges"):
        study.card(states__edges=[7e-7])


def test_as_many_states_as_can_be_told_apart(study):
    """Pulses 100 nm apart with sd 21.5 nm are told apart at 1 % (2.326 x 2 x 21.5 = 100.02) by halves; at 5 % all."""
    assert len(study.card(states__count=None, states__misread=0.05).states) == 5
    assert len(study.card(states__misread=0.002).states) == 3


def test_intended_states_are_those_of_the_mean_outcome(study):
    study.write()
    writes = read(study.tables, study.stage, "c.json")
    assert intended_states(writes, np.array([0, 250e-9, 350e-9, LENGTH])) == [0, 0, 1, 2, 2]


def test_every_column_has_its_unit_in_the_card(good):
    columns = {column for schema in (CARD | EXTRAS).values() for column in schema.columns}
    assert columns - set(good.meta.units) == {"channel", "label", "basis"}
    assert good.meta.units == units() and units()["zhang_li_u_m_per_s"] == of("speed_m_per_s").si == "m/s"


# -- posterior and devices ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def different(tmp_path_factory):
    """Ten devices whose walls end 25 nm (sd) apart, half of a state."""
    study = Study(tmp_path_factory.mktemp("different"), events=wall_events(10, 20))
    study.events["final_position_m"] += np.linspace(-40e-9, 40e-9, 10)[study.events["instance"]]
    study.events["final_position_m"] = study.events["final_position_m"].clip(0, LENGTH)
    return study


def test_pooling_instances_widens_the_intervals_of_devices_that_differ(different):
    events = different.card(posterior__pooling="events").transitions
    devices = different.card(posterior__pooling="instances").transitions
    different.config["posterior"]["pooling"] = "events"
    pd.testing.assert_series_equal(events["count"], devices["count"])
    np.testing.assert_allclose(events["effective_count"], events["count"])
    shared = events["count"].between(20, 180)
    ratio = ((devices["ci_high"] - devices["ci_low"]) / (events["ci_high"] - events["ci_low"]))[shared]
    # 20 writes per device of which half go by the device: the design effect is far above 1, far below 20
    assert shared.sum() > 10 and ratio.min() > 1.5 and ratio.max() < np.sqrt(20)
    assert (devices["effective_count"][shared] < events["count"][shared] / 2).all()


def test_pooling_changes_little_where_devices_are_alike(tmp_path):
    study = Study(tmp_path, events=wall_events(10, 20))
    study.events["instance"] = study.events["instance"].sample(frac=1, random_state=3).to_numpy()
    study.events["replica"] = study.events.groupby(["pulse", "instance"]).cumcount()
    plain, pooled = study.card().transitions, study.card(posterior__pooling="instances").transitions
    wider = (pooled["ci_high"] - pooled["ci_low"]).sum() / (plain["ci_high"] - plain["ci_low"]).sum()
    assert 1 <= wider < 1.3


def test_each_devices_own_probabilities(different):
    card = different.card(posterior__by_instance=True)
    table, rows = card.extras["by_instance"], card.transitions
    # after a reset the row holds from every state before
    assert len(table) == 10 * 5 * 5 * 5
    total = table.groupby(["pulse", "state_from", "state_to"])["count"].sum().reset_index()
    np.testing.assert_array_equal(total["count"], rows["count"])
    sums = table.groupby(["instance", "pulse", "state_from"])[["probability", "count"]].sum()
    np.testing.assert_allclose(sums["probability"], 1, rtol=0, atol=1e-12)
    assert set(sums["count"]) == {20}
    np.testing.assert_allclose(table["probability"], (table["count"] + 0.5) / (20 + 2.5))
    # the device that ends 40 nm lower writes the state below more often
    lower = table.query("pulse == 2 and state_to == 1 and state_from == 0").set_index("instance")["probability"]
    assert lower[0] > 0.15 and lower[9] < 0.05
    assert "by_instance" not in different.card(posterior__by_instance=False).extras


def test_instances_without_a_reset_tell_the_state_before(tmp_path):
    card = walking(tmp_path, **{"posterior.by_instance": True}).card()
    table = card.extras["by_instance"]
    total = table.groupby(["pulse", "state_from", "state_to"])["count"].sum()
    np.testing.assert_array_equal(total, card.transitions["count"])


def test_spread_within_and_between_devices_is_found(tmp_path):
    """40 devices of 20 writes of 5 pulses: within 4.5 standard errors of the truth."""
    card = Study(tmp_path, events=wall_events(40, 20, seed=7)).card()
    own = card.meta.spread_position
    assert abs(own["cycle_to_cycle_sd_m"] - CYCLE_SD) < 4.5 * own["cycle_to_cycle_se_m"] < 3e-9
    assert abs(own["device_to_device_sd_m"] - DEVICE_SD) < 4.5 * own["device_to_device_se_m"] < 5e-9
    slope = 21.6e-6 / LENGTH
    for name in ("cycle_to_cycle_sd", "device_to_device_sd"):
        assert card.meta.spread[f"{name}_S"] == pytest.approx(slope * own[f"{name}_m"], abs=0, rel=1e-6)
    by_pulse = [row.dump() for row in card.meta.spread_position_by_pulse]
    assert [row["mean_m"] for row in by_pulse] == pytest.approx(np.arange(1, 6) * 1e-7, abs=6e-9)
    assert len(card.population) == 40 and card.population["events"].eq(100).all()
    truth = card.population["position_offset_m"].std()
    assert truth == pytest.approx(np.hypot(DEVICE_SD, CYCLE_SD / 10), abs=0, rel=0.5)  # 4.5 x 1/sqrt(2 x 39)


def test_card_of_assembled_writes_may_be_written_as_it_is(studies, tmp_path):
    study = studies["notched_wire"]
    card = assemble(read(study.tables, study.stage, "c.json"), study.stage, "c.json")
    card.write(tmp_path)
    assert KernelCard.read(tmp_path).hash == card.validate().hash
