"""Fields and currents that differ from place to place."""

import numpy as np
import pytest

from device_sims import engines
from device_sims.engines import mumax3
from device_sims.engines.oommf import limits
from device_sims.problem import GAMMA0, MU0, Problem, drive_maps, ovf, problem_file
from spinloom.errors import UserError
from tests.device_sims.test_problem_file import SMALL, changed, write

SPINS = {
    **SMALL,
    "mesh": {"cell_m": [5e-9, 5e-9, 5e-9], "cells": [6, 2, 1]},
    "material": {"Ms_A_per_m": 8e5, "A_J_per_m": 0, "alpha": 1e-9, "spin_hall_angle": 0.1},
    "initial": {"kind": "uniform", "direction": [1, 0, 0]},
    "numerics": {"dt_s": 1e-14, "integrator": "rk4", "demag": False},
    "regions": [{"name": "left", "x_m": [0, 1e-8], "y_m": [0, 1e-8]}],
}


def solved(tmp_path, maps, **phase):
    content = {**SPINS, "drive_maps": maps, "schedule": [{"duration_s": 1e-12, **phase}]}
    problem, _ = problem_file.load(write(tmp_path, content))
    assert Problem.from_dict(problem.to_dict()) == problem
    (result,) = engines.run("llg", [problem])
    return problem, result


def test_free_spins_turn_by_the_field_of_their_place(tmp_path):
    field = np.zeros((3, 1, 2, 6))
    field[2] = np.linspace(0, 0.5, 6)
    ovf.write(tmp_path / "b.ovf", field, (5e-9, 5e-9, 5e-9), format="binary8")
    maps = [{"name": "grid", "field": "b.ovf"}, {"name": "gate", "region": "left", "direction": [0, 0, 1]}]
    ramp = {"from": 0, "to": 2}
    problem, result = solved(tmp_path, maps, field_T=[0, 0, 0.1], drive_maps={"grid": ramp, "gate": 0.3})
    left = np.arange(6) < 2
    expected = GAMMA0 / MU0 * 1e-12 * (0.1 + field[2, 0, 0] + 0.3 * left)
    np.testing.assert_allclose(np.arctan2(result.m[-1, 1, 0], result.m[-1, 0, 0])[1], expected, rtol=1e-6, atol=1e-9)
    moment = 8e5 * 1.25e-25
    final = np.einsum("zyx,zyx->", result.m[-1, 2], 0.1 + 2 * field[2] + 0.3 * left)
    np.testing.assert_allclose(result.energies_J["zeeman"][-1], -moment * final, rtol=0, atol=1e-25)
    for check in (mumax3.check, limits.check_problem):
        with pytest.raises(
            UserError, match="drive_maps: found grid, allowed with .*: fields and currents that are unif"
        ):
            check(problem)
    with pytest.raises(UserError, match="drive_maps: found grid, allowed with the macrospin engine"):
        list(engines.run("macrospin", [problem]))


def test_a_current_of_a_region_is_the_uniform_one_there(tmp_path):
    maps = [{"name": "contact", "region": "left"}]
    _, inside = solved(tmp_path, maps, drive_maps={"contact": 1e12})
    _, everywhere = solved(tmp_path, [], current_density_A_per_m2=1e12)
    np.testing.assert_allclose(inside.m[-1, ..., :2], everywhere.m[-1, ..., :2], rtol=0, atol=1e-14)
    np.testing.assert_array_equal(inside.m[-1, 0, ..., 2:], 1)
    assert np.abs(everywhere.m[-1] - everywhere.m[0]).max() > 1e-3


def test_the_oersted_field_of_a_pillar_is_ampere_s(tmp_path):
    maps = [{"name": "pillar", "oersted": {"center_m": [1.5e-8, 5e-9], "radius_m": 8e-9}}]
    problem, _ = solved(tmp_path, maps, drive_maps={"pillar": 1e12})
    field = 1e12 * drive_maps.values(problem, problem.drive_maps[0])[:, 0]
    x = (np.arange(6) + 0.5) * 5e-9 - 1.5e-8
    r = np.hypot(x, 2.5e-9)
    size = MU0 * 1e12 / 2 * np.where(r < 8e-9, r, 8e-9**2 / r)
    np.testing.assert_allclose(np.hypot(*field[:2, 1]), size, rtol=1e-12)
    assert (field[1, :, 3:] > 0).all() and (field[0, 1] < 0).all()  # counterclockwise for a current along +z


@pytest.mark.parametrize(
    "maps, driven, message",
    [
        ([], {"a": 1}, "schedule.0.drive_maps: found 'a', allowed: none, for there are no drive_maps"),
        ([{"name": "a", "region": "right"}], {}, "drive_maps.a.region: found 'right', allowed: the name of a region"),
        ([{"name": "a"}], {}, "drive_maps.0: found name, allowed: name and one of field, current, region"),
        ([{"name": "a", "field": "none.ovf"}], {}, "drive_maps.0.field: "),
        ([{"name": "a", "region": "left"}] * 2, {}, "drive_maps: found two with the name 'a', allowed: each name once"),
    ],
)
def test_what_is_no_map_is_refused_in_a_line(tmp_path, maps, driven, message):
    with pytest.raises(UserError) as error:
        solved(tmp_path, maps, drive_maps=driven)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_current_has_no_energy_to_relax_in(tmp_path):
    phase = {"kind": "relax", "drive_maps": {"contact": 1e12}}
    content = {**SPINS, "drive_maps": [{"name": "contact", "region": "left"}], "schedule": [phase]}
    with pytest.raises(UserError, match="schedule.0.drive_maps.contact: found a current in a phase that relaxes"):
        problem_file.load(write(tmp_path, content))


def test_a_current_needs_a_torque(tmp_path):
    content = {**changed("regions", SPINS["regions"]), "drive_maps": [{"name": "a", "region": "left"}]}
    with pytest.raises(UserError, match="drive_maps.a: found a current with material.spin_hall_angle 0"):
        problem_file.load(write(tmp_path, content))
