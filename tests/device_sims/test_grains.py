"""Grains: statistics of the tessellation and of what grains draw, independence of cells, devices that have them.

Statistical bounds are four standard errors or more: a right program exceeds one of them in less than 1 run of 10^4, and
with the fixed seeds here never or always.
"""

from dataclasses import replace

import numpy as np
import pytest

from device_sims import engines
from device_sims.devices import domain_wall, notched_wire
from device_sims.engines.llg import ensemble
from device_sims.problem import (
    Geometry,
    Grains,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    couplings,
    grains,
    material,
)
from device_sims.sweep import chunk, sweep
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from tests.device_sims.test_wire_devices import fewer, study

SIZE = 20e-9
FILM = Mesh(1000, 500, (2e-9, 2e-9, 1e-9), 1, (1, 1))  # 5000 grains, none cut by an edge
MANY = Grains(SIZE, 7, 0, Ku_spread=0.2, Ms_spread=0.05, tilt_rad=0.05, random_cubic_axes=True)
SMALL = Problem(
    Mesh(24, 12, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 1.5e-11, 0.3, 8e5), (Phase("run", 2e-12),),
    Initial("uniform", (0.3, 0.0, 1.0)), 300.0, Numerics(2e-13, "heun", "float32", 0), 1e-12,
    grains=Grains(15e-9, 7, 0, Ku_spread=0.1, tilt_rad=0.1, exchange_factor=0.5),
)  # fmt: skip


# -- statistics --------------------------------------------------------------------------------------------------------
def test_areas_are_those_of_a_poisson_voronoi_tessellation():
    """Mean size^2, standard deviation 0.529 of it (Gilbert, Ann. Math. Stat. 33, 958 (1962): variance 0.2802)."""
    cells = np.bincount(grains.drawn(MANY, FILM).number.ravel())
    areas = cells * 2e-9**2 / SIZE**2
    assert areas.mean() == pytest.approx(1, abs=4 / np.sqrt(len(areas)))  # as the number of points scatters
    assert areas.std() / areas.mean() == pytest.approx(0.529, abs=0.03)


def test_grains_draw_independent_normals():
    found = grains.drawn(MANY, FILM)
    n = len(found.tilt)
    columns = np.stack([*found.spreads.values(), *found.tilt.T])
    assert columns.mean(1) == pytest.approx(0, abs=4.5 / np.sqrt(n))
    assert columns.std(1) == pytest.approx(1, abs=4.5 / np.sqrt(2 * n))
    assert np.corrcoef(columns) == pytest.approx(np.eye(len(columns)), abs=4.5 / np.sqrt(n))
    factors = grains.factors(MANY, FILM)
    assert set(factors) == {"Ku_J_per_m3", "Ms_A_per_m"}
    assert np.unique(factors["Ku_J_per_m3"]).std() == pytest.approx(0.2, rel=4.5 / np.sqrt(2 * n), abs=0)


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.6, 0.0, -0.8)])
def test_easy_axes_lean_alike_in_both_directions(axis):
    axes = np.broadcast_to(np.reshape(axis, (3, 1, 1, 1)), (3, *FILM.shape))
    leaning = grains.tilted(MANY, FILM, axes)
    assert np.sqrt((leaning**2).sum(0)) == pytest.approx(1, abs=1e-12)
    _, first = np.unique(grains.drawn(MANY, FILM).number, return_index=True)
    away = (leaning - axes).reshape(3, -1)[:, first]
    scatter = away @ away.T / away.shape[1] / MANY.tilt_rad**2
    assert scatter == pytest.approx(np.eye(3) - np.outer(axis, axis), abs=0.1)


def test_cubic_axes_point_any_way():
    axes = grains.drawn(MANY, FILM).cubic_axes
    assert np.einsum("gai,gbi->gab", axes, axes) == pytest.approx(
        np.broadcast_to(np.eye(2), (len(axes), 2, 2)), abs=1e-12
    )
    for one in (axes[:, 0], axes[:, 1], np.cross(axes[:, 0], axes[:, 1])):
        assert one.T @ one / len(one) == pytest.approx(np.eye(3) / 3, abs=4.5 * 0.3 / np.sqrt(len(one)))


# -- a device is a device, whatever its cells --------------------------------------------------------------------------
def test_a_device_does_not_depend_on_its_cells():
    coarse = Mesh(30, 20, (6e-9, 6e-9, 1e-9))
    fine = Mesh(90, 60, (2e-9, 2e-9, 0.5e-9), 2)
    longer = replace(coarse, nx=50, ny=33)
    seen = grains.factors(MANY, coarse)["Ku_J_per_m3"]
    assert len(np.unique(seen)) > 30
    np.testing.assert_array_equal(grains.factors(MANY, fine)["Ku_J_per_m3"][1::3, 1::3], seen)
    np.testing.assert_array_equal(grains.factors(MANY, longer)["Ku_J_per_m3"][:20, :30], seen)
    for other in (replace(MANY, instance=1), replace(MANY, seed=8)):
        assert not np.isin(grains.factors(other, coarse)["Ku_J_per_m3"], seen).any()


def test_grains_go_on_at_the_other_end_of_a_periodic_box():
    mesh = Mesh(60, 40, (2e-9, 2e-9, 1e-9), 1, (1, 0))
    number = grains.drawn(MANY, mesh).number
    wrapped = (number[:, 0] == number[:, -1]).mean()
    inside = (number[:, 1:] == number[:, :-1]).mean()
    assert wrapped == pytest.approx(inside, abs=0.15)
    open_box = grains.drawn(MANY, replace(mesh, periodic=(0, 0))).number
    assert (open_box[:, 0] == open_box[:, -1]).mean() == 0


def test_boundaries_alone_have_weaker_bonds():
    mask = np.ones(SMALL.mesh.shape, bool)
    number = grains.drawn(SMALL.grains, SMALL.mesh).number
    _, along_y, along_x = couplings.stiffness(SMALL, mask, 1.5e-11)
    np.testing.assert_allclose(along_x[0, :, :-1] / 1.5e-11, np.where(np.diff(number, axis=1), 0.5, 1.0), rtol=1e-12)
    np.testing.assert_allclose(along_y[0, :-1] / 1.5e-11, np.where(np.diff(number, axis=0), 0.5, 1.0), rtol=1e-12)


def test_grains_multiply_what_regions_say():
    half = Region((0.0, 4.8e-8), (0.0, 1.0), (("Ku_J_per_m3", 2.0),), axis=(1.0, 0.0, 0.0))
    problem = replace(SMALL, regions=(half,))
    mask = np.ones(SMALL.mesh.shape, bool)
    alone, both = (material.constants(p, mask)["Ku_J_per_m3"] for p in (SMALL, problem))
    np.testing.assert_allclose(both / alone, np.where(material.region_mask(SMALL.mesh, half), 2.0, 1.0), rtol=1e-12)
    lean = np.arccos(material.axis(problem)[0, 0, :, :12])  # from the region's axis
    assert 0.01 < lean.mean() < 0.3


@pytest.mark.long
def test_instances_advance_together_as_they_do_alone():
    problems = [replace(SMALL, grains=replace(SMALL.grains, instance=i), stream=(1, "t", i)) for i in range(3)]
    together = list(ensemble.run(problems, batch=True))
    for problem, result in zip(problems, together):
        (alone,) = ensemble.run([problem], batch=False)
        np.testing.assert_allclose(result.m, alone.m, atol=2e-6)
    with pytest.raises(UserError, match="found problems of different mesh, .* in one chunk"):
        list(ensemble.run([SMALL, replace(SMALL, grains=None)]))


# -- devices -----------------------------------------------------------------------------------------------------------
GRAINS = {"size_m": 12e-9, "Ku_spread": 0.05, "Ms_spread": 0.01, "tilt_rad": 0.05, "exchange_factor": 0.8}


def with_grains(section, family, **values):
    for name, value in values.items():
        section = changed(section, f"{family}.grains.{name}", value)
    return section


@pytest.mark.long
def test_a_sweep_has_grains_by_instance(section, tmp_path):
    section = with_grains(section, "domain_wall", **GRAINS)
    problems = {(b.pulse, b.instance): b.problem for b in domain_wall.batches(section)}
    assert {p.grains for (_, i), p in problems.items() if i == 1} == {Grains(seed=section.seed, instance=1, **GRAINS)}
    first = sweep.plan(section)[0]
    for folder in ("one", "two"):
        chunk.run(first, tmp_path / folder)
    for one, other in zip(first.paths(tmp_path / "one"), first.paths(tmp_path / "two")):
        assert one.read_bytes() == other.read_bytes()
    plain = with_grains(section, "domain_wall", size_m=0, Ku_spread=0, Ms_spread=0, tilt_rad=0, exchange_factor=1)
    assert all(batch.problem.grains is None for batch in domain_wall.batches(plain))


def test_both_families_and_the_wall_model_take_grains():
    """The one-dimensional model has Ku alone; it is moved by other grains to other places."""
    section = fewer(study("notched_wire"), 2, 1)
    section = with_grains(section, "notched_wire", size_m=12e-9, Ku_spread=0.05)
    problems = [replace(b.problem, temperature_K=0.0) for b in notched_wire.batches(section)][:2]
    ends = [next(engines.run("collective", [problem])).m[-1, 2].sum() for problem in problems]
    assert ends[0] != ends[1]
    leaning = replace(problems[0], grains=replace(problems[0].grains, tilt_rad=0.1))
    with pytest.raises(UserError, match="grains.tilt_rad: found with engine collective"):
        next(engines.run("collective", [leaning]))


@pytest.mark.parametrize(
    "values, message",
    [
        ({"size_m": 1e-8}, "domain_wall.grains.size_m: found 1e-08 with grains that are all alike"),
        ({"tilt_rad": 0.1}, "domain_wall.grains.tilt_rad: found without grains"),
        ({"size_m": 1e-13, "Ku_spread": 0.1}, "domain_wall, instance 0: grains.size_m: found 1e-13, which makes"),
    ],
)
def test_what_grains_cannot_be_is_said_in_one_line(section, values, message):
    with pytest.raises(UserError, match=message):
        sweep.plan_checked(with_grains(section, "domain_wall", **values))
