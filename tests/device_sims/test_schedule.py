"""Phases that relax, phases repeated over the values of a drive, and phases that end by a condition."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from device_sims import engines
from device_sims.engines import mumax3
from device_sims.engines.oommf import limits
from device_sims.problem import (
    GAMMA0,
    MU0,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Until,
    Waveform,
    problem_file,
)
from device_sims.single.run import run
from device_sims.validation import pinning
from spinloom.errors import UserError
from tests.device_sims.mumax3_problems import ALL
from tests.device_sims.test_problem_file import SMALL, changed, write

MS, KU = 8e5, 1e5
SPIN = {
    "mesh": {"cell_m": [5e-9, 5e-9, 5e-9], "cells": [1, 1, 1]},
    "material": {"Ms_A_per_m": MS, "A_J_per_m": 1e-11, "alpha": 0.1, "Ku_J_per_m3": KU},
    "initial": {"kind": "uniform", "direction": [0.01, 0, 1]},
    "numerics": {"dt_s": 1e-13, "demag": False},
    "outputs": {"record_interval_s": 1e-12},
}


def phases(tmp_path, *given, **changes):
    problem, outputs = problem_file.load(write(tmp_path, {**SMALL, "schedule": list(given), **changes}))
    return problem, outputs


# -- relaxation --------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("degrees", [10, 45, 80])
def test_a_moment_switches_on_the_astroid(tmp_path, degrees):
    """Stoner and Wohlfarth: h = (cos^(2/3) + sin^(2/3))^(-3/2) of the anisotropy field; the steps are 0.2 % of it."""
    across, along = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    full = 2 * KU / MS
    loop = {"from": [0, 0, 0], "to": [-full * across, 0, -full * along], "steps": 500}
    content = {**SPIN, "schedule": [{"name": "down", "kind": "relax", "for": {"field_T": loop}}]}
    run(write(tmp_path, content), "llg", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert len(table) == 502 and (table["t_s"] == 0).all()
    assert not {"temperature_factor", "Ku_factor", "field_y_T"} & set(table)  # drives that no phase uses
    field = -np.hypot(table["field_x_T"], table["field_z_T"]) / full
    forward = table["mz"] * along + table["mx"] * across
    jump = int(forward.diff().argmin())
    assert forward[jump] < -0.5 and forward.diff().abs().nlargest(2).iloc[1] < 0.3
    expected = (along ** (2 / 3) + across ** (2 / 3)) ** (-3 / 2)
    np.testing.assert_allclose(-field[jump], expected, rtol=0, atol=0.002 + 1e-9)


def test_the_wall_comes_free_of_the_boundary_at_the_closed_form():
    (row,) = pinning.one_freeing_field()
    assert row.passed and abs(row.obtained / row.expected - 1) < 0.005
    # the four numbers that the problem's authors give
    found = [pinning.closed_form_T(factors) for factors in pinning.CASES.values()]
    np.testing.assert_allclose(found, [1.568, 1.089, 0.565, 0.838], rtol=0, atol=5e-4)


@pytest.mark.long
def test_a_phase_that_relaxes_stands_between_phases_that_run():
    """The moment comes to rest along the field, in no time, and the noise of the run after it begins there."""
    problem = Problem(
        Mesh(1, 1, (5e-9, 5e-9, 5e-9)), Geometry(), Material(MS, 1e-11, 0.1),
        (
            Phase("run", 2e-13), Phase("rest", 0.0, field_T=(0.0, 1.0, 0.0), relax_tolerance=1e-8),
            Phase("ramp", 4e-13, field_T=(0.0, Waveform(1.0, 2.0), 0.0)),
        ),
        Initial("uniform", (0.6, 0.0, 0.8)), 0.0, Numerics(1e-13, "rk4", "float64", 0, demag=False), 2e-13,
    )  # fmt: skip
    (result,) = engines.run("llg", [problem])
    np.testing.assert_allclose(result.t_s, [0, 2e-13, 2e-13, 4e-13, 6e-13], rtol=0, atol=1e-25)
    np.testing.assert_allclose(result.m[2:, :, 0, 0, 0], [[0, 1, 0]] * 3, rtol=0, atol=1e-7)
    assert result.phase_end == {"run": 1, "rest": 2, "ramp": 4}
    volume = 1.25e-25
    np.testing.assert_allclose(result.energies_J["zeeman"][2:], [-MS * volume * b for b in (1, 1.5, 2)], rtol=1e-9)
    hot = replace(problem, temperature_K=300.0, numerics=replace(problem.numerics, integrator="heun"))
    (result,) = engines.run("llg", [hot])
    np.testing.assert_allclose(result.m[2, :, 0, 0, 0], [0, 1, 0], rtol=0, atol=1e-7)
    assert np.abs(result.m[3, 0] - 0).max() > 1e-3


def test_a_tolerance_that_cannot_be_reached_is_told(tmp_path):
    content = {**SPIN, "schedule": [{"kind": "relax", "tolerance": 1e-30, "field_T": [0.1, 0.2, 0.3]}]}
    with pytest.raises(UserError, match="phase phase_0: tolerance: found 1e-30, but after 200000 steps the torque"):
        run(write(tmp_path, content), "llg", tmp_path / "out")


def test_replicas_of_phases_that_relax_have_one_row_for_each(tmp_path):
    content = {**SPIN, "schedule": [{"kind": "relax", "for": {"field_T.0": [0.0, 0.1, 0.2]}}]}
    run(write(tmp_path, content), "llg", tmp_path / "out", 2)
    means = pd.read_csv(tmp_path / "out" / "ensemble_mean.csv")
    assert list(means["field_x_T_mean"]) == [0.0, 0.0, 0.1, 0.2] and (means["mx_sd"] == 0).all()
    np.testing.assert_allclose(means["mx_mean"].iloc[1:], np.array([0, 0.1, 0.2]) * MS / (2 * KU), rtol=0, atol=1e-5)


@pytest.mark.long
def test_mumax3_relaxes_in_the_same_places(fake_mumax3):
    still = Phase("still", 0.0, field_T=(0.05, 0.0, 0.1), relax_tolerance=1e-3)
    problem = replace(ALL, schedule=(ALL.schedule[0], still, ALL.schedule[1]))
    mumax3.check(problem)
    (theirs,) = mumax3.run([problem])
    (ours,) = engines.run("llg", [replace(problem, numerics=replace(problem.numerics, precision="float64"))])
    assert theirs.phase_end == ours.phase_end == {"rest": 1, "still": 2, "pulse": 5}
    np.testing.assert_allclose(theirs.t_s, ours.t_s, rtol=0, atol=1e-22)
    np.testing.assert_allclose(theirs.m[2], ours.m[2], rtol=0, atol=2e-2)  # as far as the tolerance says
    np.testing.assert_allclose(theirs.energies_J["total"], ours.energies_J["total"], rtol=1e-3)
    with pytest.raises(UserError, match="phase still: tolerance: found 1e-09, allowed with mumax3: at least"):
        mumax3.check(replace(problem, schedule=(replace(still, relax_tolerance=1e-9),)))


# -- repetition --------------------------------------------------------------------------------------------------------
def test_a_phase_is_repeated_over_a_range_or_a_list(tmp_path):
    loop = {
        "name": "up",
        "kind": "relax",
        "field_T": [0.1, 0, 0],
        "for": {"field_T.2": {"from": 0, "to": 0.3, "steps": 3}},
    }
    gate = {"duration_s": 1e-12, "for": {"region_Ku_factors.gate": [0.8, 0.9]}}
    region = {"x_m": [0, 4e-8], "y_m": [0, 4e-8], "name": "gate"}
    problem, outputs = phases(tmp_path, loop, gate, regions=[region])
    assert [phase.name for phase in problem.schedule] == [
        "up_0000", "up_0001", "up_0002", "up_0003", "phase_1_0000", "phase_1_0001",
    ]  # fmt: skip
    assert [phase.field_T for phase in problem.schedule[:4]] == [(0.1, 0.0, b) for b in (0.0, 0.1, 0.2, 0.3)]
    assert [dict(phase.region_Ku_factors)["gate"] for phase in problem.schedule[4:]] == [0.8, 0.9]
    assert [phase.relax_tolerance for phase in problem.schedule] == [1e-5] * 4 + [None] * 2
    assert outputs.drives
    assert Problem.from_dict(json.loads(json.dumps(problem.to_dict()))) == problem


RELAX = {"kind": "relax"}


@pytest.mark.parametrize(
    "given, message",
    [
        ({**RELAX, "duration_s": 1e-12}, "schedule.0.duration_s: found with kind relax, which does not have this key"),
        ({}, "schedule.0: key 'duration_s' is missing"),
        ({"duration_s": 1e-12, "tolerance": 1e-5}, "schedule.0.tolerance: found with kind run"),
        ({**RELAX, "until": {"observable": "mz", "above": 0}}, "schedule.0.until: found with kind relax"),
        ({**RELAX, "Ku_factor": {"from": 1, "to": 2}}, "schedule.0.Ku_factor: found a function of time, allowed in a "),
        (
            {**RELAX, "zhang_li_u_m_per_s": 1},
            "schedule.0.zhang_li_u_m_per_s: found in a phase that relaxes, allowed: 0",
        ),
        ({**RELAX, "for": {"field_T.3": [1]}}, "schedule.0.for: found 'field_T.3', allowed: the key of one drive"),
        ({**RELAX, "for": {"tolerance": [1]}}, "schedule.0.for: found 'tolerance', allowed: the key of one drive"),
        ({**RELAX, "for": {"Ku_factor": []}}, "schedule.0.for.Ku_factor: found 0 values, allowed: 1 to 10000"),
        (
            {**RELAX, "for": {"field_T": {"from": 0, "to": [0, 0, 1], "steps": 2}}},
            "schedule.0.for.field_T: found a number and a vector, allowed: two numbers",
        ),
        ({**RELAX, "for": {"Ku_factor": [[0, 0, 1]]}}, "Ku_factor: found"),
        (
            {"duration_s": 1e-12, "until": {"observable": "mz"}},
            "schedule.0.until: found observable, allowed: observable",
        ),
        (
            {"duration_s": 1e-12, "until": {"observable": "my_wall", "above": 0}},
            "schedule.0.until.observable: found 'my_wall', allowed: mx, my, mz, wall_position_m",
        ),
    ],
)
def test_what_is_no_phase_is_refused_in_a_line(tmp_path, given, message):
    with pytest.raises(UserError) as error:
        phases(tmp_path, given)
    assert message in str(error.value) and "\n" not in str(error.value)


# -- conditions --------------------------------------------------------------------------------------------------------
def turning(*schedule) -> Problem:
    """A spin that turns about z by 28 GHz per tesla, from x."""
    return Problem(
        Mesh(1, 1, (5e-9, 5e-9, 5e-9)), Geometry(), Material(MS, 1e-11, 1e-6), schedule,
        Initial("uniform", (1.0, 0.0, 0.0)), 0.0, Numerics(1e-13, "rk4", "float64", 0, demag=False), 1e-12,
    )  # fmt: skip


def test_a_condition_ends_a_phase_and_what_follows_begins_then():
    until = Phase("turn", 5e-11, field_T=(0.0, 0.0, 1.0), until=Until("my", above=0.5))
    ramp = Phase("ramp", 4e-12, field_T=(0.0, 0.0, Waveform(0.0, 2.0)))
    (result,) = engines.run("llg", [turning(until, ramp)])
    # 30 degrees take 1/(12 x 28.00 GHz) = 2.98 ps: seen at 3 ps
    assert result.phase_end == {"turn": 3, "ramp": 7} and not result.notes
    np.testing.assert_allclose(result.t_s, np.arange(8) * 1e-12, rtol=0, atol=1e-25)
    np.testing.assert_allclose(np.arctan2(*result.m[-1, [1, 0], 0, 0, 0]), GAMMA0 / MU0 * (3e-12 + 4e-12), rtol=1e-6)


def test_a_condition_that_is_never_met_is_told(tmp_path, capsys):
    (result,) = engines.run("llg", [turning(Phase("turn", 2e-12, until=Until("mz", below=-0.5)))])
    assert result.notes == ("phase turn: mz did not reach its value",) and len(result.t_s) == 3


def test_a_run_stops_where_the_wall_passes_and_its_directory_goes_on(tmp_path):
    content = changed("schedule", [{"duration_s": 2e-10, "field_T": [0, 0, 0.1]}])
    content["schedule"][0]["until"] = {"observable": "wall_position_m", "above": 4.15e-8}
    path = write(tmp_path, content)
    run(path, "llg", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    position = table["wall_position_m"]
    assert position.iloc[-1] > 4.15e-8 and (position.iloc[:-1] <= 4.15e-8).all() and table["t_s"].iloc[-1] < 1.9e-10
    before = (tmp_path / "out" / "table.csv").read_bytes()
    run(path, "llg", tmp_path / "out")
    assert (tmp_path / "out" / "table.csv").read_bytes() == before


@pytest.mark.parametrize("engine", ["macrospin", "collective"])
@pytest.mark.parametrize(
    "phase, key",
    [
        (Phase("rest", 0.0, relax_tolerance=1e-5), "schedule.0.kind: found relax, allowed with the ENGINE engine: run"),
        (
            Phase("run", 1e-12, until=Until("mz", 0.5)),
            "schedule.0.until: found mz, allowed with the ENGINE engine: phases",
        ),
    ],
)
def test_reduced_engines_refuse_both(engine, phase, key):
    with pytest.raises(UserError, match=key.replace("ENGINE", engine)):
        list(engines.run(engine, [turning(phase)]))


def test_programs_refuse_what_they_do_not_do():
    waiting = turning(Phase("run", 1e-12, until=Until("mz", 0.5)))
    with pytest.raises(UserError, match="schedule.0.until: found mz, allowed with mumax3: phases of a given duration"):
        mumax3.check(waiting)
    for problem, key in ((waiting, "until"), (turning(Phase("rest", 0.0, relax_tolerance=1e-5)), "kind")):
        with pytest.raises(UserError, match=f"schedule.0.{key}: found .*, allowed with oommf: "):
            limits.check_problem(problem)
