"""The families of walls in tracks: sections into problems, trajectories into tables, and the two engines compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from scipy import integrate

from device_sims import engines
from device_sims.config import Stage
from device_sims.devices import domain_wall, notched_wire
from device_sims.devices.tracks import passing, wire
from device_sims.engines import Result
from device_sims.validation import same_writes
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from workflow.study import config

ROOT = Path(__file__).parent.parent.parent


def study(name):
    whole = config.load(ROOT / "config.yaml", ROOT / "configs" / f"{name}.yaml")
    return Stage.parse(config.section(whole, "device_sims"), name)


def fewer(section, instances, replicas):
    section = changed(section, "sweep.instances", instances)
    return changed(section, "sweep.replicas_per_instance", replicas)


@pytest.fixture(scope="module")
def present():
    section = study("domain_wall_present_state")
    section = changed(section, "domain_wall.pulses.voltages_V", [1.25, -0.55])
    section = changed(section, "domain_wall.pulses.start_positions_m", [2e-7, 4e-7])
    return fewer(section, 2, 4)


@pytest.fixture(scope="module")
def notched():
    section = study("notched_wire")
    section = changed(section, "notched_wire.pulses.fields_T", [0.01, 0.02, 0.03])
    return fewer(changed(section, "notched_wire.pulses.duration_s", 2e-9), 2, 8)


def tables(section):
    """Simulate a section by its engine and return the family's tables, each checked against its columns."""
    family = section.family
    family.check(section)
    pulses, events, trajectories = family.pulses(section), [], []
    writes = [(batch, n, problem) for batch in family.batches(section) for n, problem in enumerate(batch.problems())]
    results = engines.run(section.engine, [problem for *_, problem in writes])
    for (batch, number, problem), result in zip(writes, results):
        row, record = family.observe(batch, problem, result)
        key = {"pulse": batch.pulse, "instance": batch.instance, "replica": number}
        key |= {name: row[name] for name in family.KEYS}
        events.append({**key, **row})
        trajectories.append(pd.DataFrame({**key, "t_s": result.t_s, **record}))
    events = pd.DataFrame(events)
    made = {
        "pulses": pulses,
        "events": events,
        "trajectories": pd.concat(trajectories),
        "summary": family.summarise(section, pulses, events),
    }
    for name, columns in (
        ("pulses", family.PULSE_COLUMNS),
        ("events", family.EVENT_COLUMNS),
        ("trajectories", family.TRAJECTORY_COLUMNS),
        ("summary", family.SUMMARY_COLUMNS),
    ):
        pa.DataFrameSchema(columns, strict=True, ordered=True).validate(made[name][list(columns)])
    return made


# -- reading a trajectory --------------------------------------------------------------------------------------------
def trajectory(problem, positions, ups=None):
    """A result with the wall at each of ``positions`` (m), one record each; None: no wall, up as in ``ups``."""
    mesh = problem.mesh
    mask = np.ones(mesh.shape, bool)
    x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
    m = np.zeros((len(positions), 3, *mesh.shape))
    for n, position in enumerate(positions):
        m[n, 2] = ups if position is None else -np.tanh((x - position) / 8e-9)
    last = len(positions) - 1
    return Result(np.arange(len(positions)) * 1e-9, m, mask, {"rest": 1, "pulse": last - 1, "settle": last}, {})


def test_a_position_is_absent_where_there_is_no_single_wall(present):
    problem = domain_wall.batches(present)[0].problem
    row, record = wire.observe(problem, trajectory(problem, [2e-7, 2.2e-7, 4e-7, None, None], 1.0))
    assert row["start_position_m"] == pytest.approx(2.2e-7, abs=2e-10)
    assert row["wall_state"] == "lost" and row["lost_at_s"] == pytest.approx(3e-9, rel=1e-9, abs=0)
    assert np.isnan([row["pulse_end_position_m"], row["final_position_m"]]).all()
    np.testing.assert_array_equal(np.isnan(record["position_m"]), [False, False, False, True, True])
    row, _ = wire.observe(problem, trajectory(problem, [2e-7, 2.2e-7, 4e-7, 4.1e-7]))
    assert row["wall_state"] == "single" and np.isnan(row["lost_at_s"])
    assert row["final_position_m"] == pytest.approx(4.1e-7, abs=2e-10)


@pytest.mark.parametrize(
    "positions, up, passed, time",
    [
        ([6e-8, 7e-8, 1.3e-7, 1.3e-7], 1.0, False, np.nan),
        ([6e-8, 7e-8, 1.3e-7, 2.0e-7, 2.1e-7], 1.0, True, 2e-9),
        ([6e-8, 7e-8, 2.0e-7, 1.3e-7, 2.1e-7], 1.0, True, 3e-9),
        ([6e-8, 7e-8, 2.0e-7, 1.3e-7], 1.0, False, np.nan),
        ([6e-8, 7e-8, 1.3e-7, None, None], 1.0, True, 2e-9),
        ([6e-8, 7e-8, 3e-8, None, None], -1.0, False, np.nan),
    ],
)
def test_a_wall_has_passed_if_it_ends_beyond_the_notches(notched, positions, up, passed, time):
    batch = notched_wire.batches(notched)[0]
    row, _ = notched_wire.observe(batch, batch.problem, trajectory(batch.problem, positions, up))
    assert row["passed"] is passed
    assert row["passing_time_s"] == pytest.approx(time, rel=1e-9, abs=0, nan_ok=True)


# -- domain wall -----------------------------------------------------------------------------------------------------
def test_present_state_simulates_every_start_under_both_polarities(present):
    batches = domain_wall.batches(present)
    assert len(batches) == 2 * 2 * 2 * 2 and [b.pulse for b in batches] == sorted(b.pulse for b in batches)
    streams = [problem.stream for batch in batches for problem in batch.problems()]
    assert len(set(streams)) == len(streams) == 64
    # nothing depends on a place in a list
    other = changed(present, "domain_wall.pulses.voltages_V", [-0.55, 1.25])
    other = changed(other, "domain_wall.pulses.start_positions_m", [4e-7, 2e-7])
    assert {b.problem.hash() for b in domain_wall.batches(other)} == {b.problem.hash() for b in batches}
    pulses = domain_wall.pulses(present)
    assert list(zip(pulses["voltage_V"], pulses["polarity"])) == [(1.25, 1), (-0.55, 1), (1.25, -1), (-0.55, -1)]
    assert (pulses["current_density_A_per_m2"] == pulses["polarity"] * 3.5e11).all()
    assert not domain_wall.describe(present)["reset_before_write"]
    reset = study("smoke")
    (start,) = {b.problem.initial.position_m for b in domain_wall.batches(reset)}
    assert start == 60e-9 and domain_wall.describe(reset)["reset_before_write"]


@pytest.mark.long
def test_present_state_moves_walls_both_ways(present):
    made = tables(present)
    events, summary = made["events"], made["summary"]
    assert len(events) == 64 and len(summary) == 8 and summary["writes"].eq(8).all()
    move = summary["position_mean_m"] - summary["nominal_start_m"]
    assert (np.sign(move) == summary["polarity"]).all()
    # the softer the film the farther, from each start and either way
    far = move.abs().groupby([summary["voltage_V"], summary["nominal_start_m"], summary["polarity"]]).mean()
    assert (far.loc[-0.55] > far.loc[1.25]).all()
    one = events[(events["pulse"] == 1) & (events["nominal_start_m"] == 4e-7)]["final_position_m"]
    row = summary[(summary["pulse"] == 1) & (summary["nominal_start_m"] == 4e-7)].iloc[0]
    assert row["position_mean_m"] == pytest.approx(one.mean(), rel=1e-12, abs=0)
    assert row["position_sem_m"] == pytest.approx(one.std() / np.sqrt(8), rel=1e-12, abs=0)


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("write_mode", "reset", "only with write_mode present_state"),
        ("pulses.start_positions_m", [], "start_positions_m: found none"),
        ("pulses.start_positions_m", [7e-7], "pulses.start_positions_m: found 7e-07, allowed: between 0 and"),
        ("pulses.start_positions_m", [1e-7, 1e-7], "pulses.start_positions_m: .* allowed: each value once"),
        ("pulses.voltages_V", [1.0, 1.0], "pulses.voltages_V: .* allowed: each value once"),
        ("pulses.voltages_V", [-9.0], "easy axis into the plane"),
        ("pulses.voltages_V", [50.0], "at least one cell"),
        ("material.Ku_J_per_m3", 6e5, "material.Ku_J_per_m3: found 600000 and turns"),
        ("notches.positions_m", [9e-6], "notches.positions_m: found 9e-06"),
        ("wall.settle_s", 2.03e-11, "wall.settle_s: found 2.03e-11, allowed: a whole number"),
    ],
)
def test_domain_wall_says_what_cannot_be(present, path, value, message):
    with pytest.raises(UserError, match=message) as error:
        domain_wall.check(changed(present, f"domain_wall.{path}", value))
    assert "\n" not in str(error.value)


# -- notched wire ----------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_notched_wire_passes_more_often_the_harder_it_is_driven(notched):
    made = tables(notched)
    summary = made["summary"]
    assert summary["writes"].eq(16).all() and summary["passed"].is_monotonic_increasing
    assert summary["passed"].iloc[0] < 8 < summary["passed"].iloc[-1]
    inside = summary["probability"].between(summary["ci_low"], summary["ci_high"])
    assert (inside | summary["passed"].isin([0, 16])).all()
    # Jeffreys' interval of 0 of 16: the upper end of the Beta(1/2, 33/2) law's middle 95 %; t = s^2 takes off its pole
    none = notched_wire.summarise(notched, made["pulses"], made["events"].assign(passed=False)).iloc[0]
    below, whole = (integrate.quad(lambda s: 2 * (1 - s * s) ** 15.5, 0, end)[0] for end in (none["ci_high"] ** 0.5, 1))
    assert below / whole == pytest.approx(0.975, abs=1e-9) and np.isnan(none["law_w0"])


def test_nucleated_tracks_answer_nothing(notched):
    pulses = notched_wire.pulses(notched)
    events = pd.DataFrame(
        {
            "pulse": np.repeat([0, 1, 2], 4),
            "wall_state": ["single"] * 4 + ["multiple", "multiple", "single", "lost"] + ["multiple"] * 4,
            "passed": [False] * 7 + [True] + [False] * 4,
            "passing_time_s": np.nan,
        }
    )
    summary = notched_wire.summarise(notched, pulses, events)
    assert list(summary["nucleated"]) == [0, 2, 4] and list(summary["passed"]) == [0, 1, 0]
    assert list(summary["probability"][:2]) == [0.0, 0.5] and np.isnan(summary["probability"].iloc[2])


def test_the_fit_finds_the_published_law():
    """Test values of the law; 40 sets of data: pulls of w0, b, a have mean 0 and sd 1.

    The sd of 40 pulls scatters by 11 %, their mean by 0.16; bounds of 45 % and 0.7 leave room for the fit's own bias of
    order 1/n and are false alarms in about 1e-4 of all seeds.
    """
    law = (4.63168, 2.72741, 0.97813)
    np.testing.assert_allclose(
        passing.passing_law([3, 4, law[0], 5, 6, 7], *law), [0.0332, 0.170, 0.511, 0.738, 0.977, 0.9985], atol=6e-4
    )
    w, rng = np.linspace(2, 7, 11), np.random.default_rng(4)
    pulls = []
    for _ in range(40):
        passed = rng.binomial(2000, passing.passing_law(w, *law))
        found = passing.fit(w * 1e-3, passed, np.full(11, 2000))
        values = np.array([found.w0 * 1e3, found.b * 1e-3, found.a])
        pulls.append((values - law) / [found.w0_se * 1e3, found.b_se * 1e-3, found.a_se])
    pulls = np.array(pulls)
    assert (np.abs(pulls.mean(0)) < 0.7).all()
    np.testing.assert_allclose(pulls.std(0), 1, rtol=0, atol=0.45)


def test_a_fit_that_the_data_do_not_tell_is_absent():
    writes = np.full(4, 50)
    assert passing.fit([1, 2, 3, 4], [0, 0, 0, 0], writes) is None
    assert passing.fit([1, 2, 3, 4], [50, 50, 50, 50], writes) is None
    assert passing.fit([1, 2], [10, 40], writes[:2]) is None
    # a step has no finite b
    assert passing.fit([1, 2, 3, 4], [0, 0, 50, 50], writes) is None
    # nothing at the low end: a = 1, held there, has no error
    law = passing.fit([1, 2, 3, 4, 5], [0, 3, 25, 47, 50], np.full(5, 50))
    assert law.w0 == pytest.approx(3, abs=0.1) and law.a == 1 and np.isnan(law.a_se) and law.w0_se < 0.2


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("drive", "sot", "pulses.fields_T: found 3 values, allowed with drive sot: none"),
        ("pulses.fields_T", [], "pulses.fields_T: found 0 values, allowed with drive field: one or more"),
        ("pulses.fields_T", [0.1, 0.1], "each value once"),
        ("wall.start_m", 1.2e-7, "wall.start_m: found 1.2e-07, allowed: left of the notches"),
        ("notch.position_m", 2.5e-7, "notch.position_m: found 2.5e-07 with width_m 4e-08, allowed: notches within"),
        ("notch.depth_m", 3e-8, "cut through the strip"),
        ("material.Ku_J_per_m3", 6e5, "easy axis into the plane"),
        ("pulses.duration_s", 1.3e-13, "pulses.duration_s: found 1.3e-13"),
        ("track.cell_m", 5e-9, "track.cell_m: found 5e-09, allowed: a length that divides"),
    ],
)
def test_notched_wire_says_what_cannot_be(notched, path, value, message):
    with pytest.raises(UserError, match=message) as error:
        notched_wire.check(changed(notched, f"notched_wire.{path}", value))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "drive, key, value", [("sot", "current_densities_A_per_m2", 2e11), ("zhang_li", "zhang_li_u_m_per_s", 90.0)]
)
def test_every_drive_pushes_to_the_right(notched, drive, key, value):
    section = changed(changed(notched, "notched_wire.drive", drive), "notched_wire.pulses.fields_T", [])
    section = changed(section, f"notched_wire.pulses.{key}", [value])
    notched_wire.check(section)
    (pulse,) = notched_wire.pulses(section).to_dict("records")
    assert pulse["channel"] == drive and sum(pulse[name] != 0 for name in notched_wire.AXES) == 1
    problem = replace(notched_wire.batches(section)[0].problem, temperature_K=0.0)
    row, _ = wire.observe(problem, next(engines.run("collective", [problem])))
    assert row["pulse_end_position_m"] - row["start_position_m"] > 30e-9


# -- the two engines -------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_the_wall_model_moves_walls_as_micromagnetics_does():
    """T = 0, clean edges, 60 nm track: the ways agree within 12 %, and are not the same number."""
    section = study("smoke")
    for path, value in (
        ("track", wire.Track(length_m=240e-9, width_m=40e-9, thickness_m=1e-9, cell_m=4e-9)),
        ("roughness.rms_m", 0.0), ("temperature_K", 0.0), ("pulses.voltages_V", [1.25, -0.55]),
        ("wall.rest_s", 5e-11), ("wall.settle_s", 5e-11), ("sot.duration_s", 5e-10),
    ):  # fmt: skip
        section = changed(section, f"domain_wall.{path}", value)
    table = same_writes.compare(fewer(section, 1, 1), "final_position_m")
    assert list(table["pulse"]) == [0, 1] and table["lost_llg"].eq(0).all() and table["lost_collective"].eq(0).all()
    moved = table["mean_llg"] - 60e-9
    assert (moved > 20e-9).all() and (table["difference"].abs() / moved < 0.12).all()
    assert (table["difference"] != 0).all()
    np.testing.assert_allclose(table["mean_collective"] - table["mean_llg"], table["difference"], rtol=0, atol=1e-18)
