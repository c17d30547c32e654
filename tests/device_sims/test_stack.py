"""The reference stack above a free layer: its stray field against Newell's tensor, a dipole and a charged disc."""

import math

import numpy as np
import pytest

from device_sims.devices import sot_mtj, stt_mtj
from device_sims.devices.junctions import mtj
from device_sims.devices.junctions.junction import Reference
from device_sims.engines.llg.solver import Solver
from device_sims.problem import MU0, Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, Region, Shape
from device_sims.problem.magnetostatics.newell import between, tensor
from device_sims.problem.magnetostatics.stack import normal_factor
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from tests.device_sims.test_mtj import section

MESH, DISC = Mesh(16, 16, (2.5e-9, 2.5e-9, 1e-9)), Geometry("disc")
FAMILIES = {"stt_mtj": stt_mtj, "sot_mtj": sot_mtj}


def stack(*layers, **more) -> Reference:
    names = ("thickness_m", "Ms_A_per_m", "gap_m", "direction")
    return Reference.parse({"layers": [dict(zip(names, layer)) for layer in layers], **more}, "stack")


# -- the field of one layer ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("k", [1, 2, 5])
def test_boxes_of_one_thickness_have_newells_tensor(k):
    edges = (2.5e-9, 3e-9, 1e-9)
    expected = -tensor(6, 4, edges, k + 1)["zz"][k]
    found = between(6, 4, edges[:2], (0.0, 1e-9), (k * 1e-9, (k + 1) * 1e-9))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_thick_layers_are_the_sum_of_thin_ones():
    """A source of 3 nm over a target of 2 nm, cut into layers of 1 nm; the target's is the mean."""
    parts = tensor(5, 5, (2e-9, 2e-9, 1e-9), 8)["zz"]
    expected = -sum(parts[2 + 1 + source - target] for source in range(3) for target in range(2)) / 2
    found = between(5, 5, (2e-9, 2e-9), (0.0, 2e-9), (3e-9, 6e-9))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_far_away_it_is_a_dipole():
    """At 1 um over discs of 40 nm: ``V/(2 pi r^3)`` of the centres' distance, to 0.5 %."""
    volume = 208 * 6.25e-18 * 2e-9
    for distance in (1e-6, 2e-6):
        r = distance + 0.5e-9 + 1e-9
        assert normal_factor(DISC, MESH, distance, 2e-9) == pytest.approx(
            volume / (2 * math.pi * r**3), rel=5e-3, abs=0
        )


def test_near_by_it_is_that_of_two_charged_discs():
    """On the axis of a fine disc, within a small target: ``(z2/sqrt(z2^2 + R^2) - z1/sqrt(z1^2 + R^2))/2``."""
    n, R, gap, t = 61, 40e-9, 3e-9, 5e-9
    x = (np.arange(n) - n // 2) * (2 * R / n)
    inside = np.hypot(x[:, None], x[None, :]) <= R
    field = between(n, n, (2 * R / n, 2 * R / n), (0.0, 1e-10), (gap, gap + t))
    apart = np.abs(np.arange(n) - n // 2)
    found = field[np.ix_(apart, apart)][inside].sum()
    z1, z2 = gap - 5e-11, gap + t - 5e-11
    expected = (z2 / math.hypot(z2, R) - z1 / math.hypot(z1, R)) / 2
    assert found == pytest.approx(expected, rel=0.01, abs=0)


def test_field_is_that_of_the_llg_engine():
    """A free layer of one cell, two empty ones, a reference of two: the engine's mean stray field in the first."""
    mesh = Mesh(16, 16, (2.5e-9, 2.5e-9, 1e-9), nz=5)
    empty = Region((0, 1), (0, 1), values=(("Ms_A_per_m", 0.0),), shape=Shape("layers", layers=(1, 3)))
    free = Region((0, 1), (0, 1), values=(("Ms_A_per_m", 1e-3),), shape=Shape("layers", layers=(0, 1)))
    problem = Problem(
        mesh, DISC, Material(1e6, 1e-11, 0.1), (Phase("run", 1e-12),), Initial("uniform", (0.0, 0.0, 1.0)), 0.0,
        Numerics(1e-13, "rk4", "float64", 0), 1e-12, regions=(free, empty),
    )  # fmt: skip
    solver = Solver(problem)
    m = solver.start(problem).m
    drive = solver.drive(problem, problem.schedule[0])
    stray = solver.fields_T(solver.system(problem), drive, m)["stray"][2, 0]
    found = stray[np.asarray(m)[2, 0] > 0].mean()
    (expected, _) = stack((2e-9, 1e6, 2e-9, "up")).fields_T(MESH, DISC, 1e6)
    assert found == pytest.approx(expected, rel=1e-4, abs=0)
    assert expected > 0.02


# -- stacks ---------------------------------------------------------------------------------------------------------
def test_equal_and_opposite_layers_cancel_as_they_meet():
    """Two layers of 2 nm: their field falls with their gap, and a pair with equal moments leaves a quadrupole's far."""
    single = stack((2e-9, 1e6, 1e-9, "up")).fields_T(MESH, DISC, 1e6)[0]
    thin = [stack((t, 1e6, 1e-9, "up"), (t, 1e6, 0.0, "down")).fields_T(MESH, DISC, 1e6)[0] / t for t in (2e-9, 2e-10)]
    assert 0 < thin[1] * 2e-10 < 0.02 * single
    assert thin[1] < thin[0]  # two layers in one place would have none at all
    far = [normal_factor(DISC, MESH, r, 2e-9) - normal_factor(DISC, MESH, r + 2e-9, 2e-9) for r in (1.5e-7, 3e-7)]
    assert far[0] / far[1] == pytest.approx(16, rel=0.1, abs=0)  # of a dipole it is 8


def test_a_thicker_upper_layer_compensates():
    """The field of both layers changes its sign as the upper one grows; it is a sum of the layers' own."""

    def field(t):
        return stack((2e-9, 1e6, 1e-9, "up"), (t, 1e6, 0.8e-9, "down")).fields_T(MESH, DISC, 1e6)[0]

    assert field(2e-9) > 0 > field(6e-9)
    alone = stack((2e-9, 1e6, 1e-9, "up")).fields_T(MESH, DISC, 1e6)[0]
    upper = stack((2e-9, 1e6, 3.8e-9, "up")).fields_T(MESH, DISC, 1e6)[0]
    assert field(2e-9) == pytest.approx(alone - upper, rel=1e-9, abs=0)


def test_coupling_is_a_field():
    """J/(Ms t): 1e-5 J/m2 on 1 nm of 1e6 A/m is 10 mT, whatever the area."""
    assert stack((2e-9, 1e6, 1e-9, "up"), coupling_J_per_m2=1e-5).fields_T(MESH, DISC, 1e6)[1] == pytest.approx(
        0.01, rel=1e-9, abs=0
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_families_take_the_field_of_the_stack(name):
    family, given = FAMILIES[name], section(name)
    layers = stack((2e-9, 1e6, 1e-9, "up"), (2e-9, 1e6, 0.8e-9, "down"), coupling_J_per_m2=2e-6)
    own = changed(given, f"{name}.reference", layers)
    family.check(own)
    expected = sum(layers.fields_T(*mtj.disc(own.options.layer), own.options.material.Ms_A_per_m))
    assumed = changed(given, f"{name}.stray_field_T", expected)
    assert family.batches(own)[0].problem == family.batches(assumed)[0].problem
    described = family.describe(own)
    fields = described["reference_stray_field_T"] + described["reference_coupling_field_T"]
    assert fields == pytest.approx(expected, rel=1e-12, abs=0) and expected > 1e-3
    barriers = [family.writes(one).barrier.thermal_stability for one in (given, own)]
    lower = 1 - expected / MU0 / mtj.anisotropy_field(own.options)
    if name == "stt_mtj":
        assert barriers[1] / barriers[0] == pytest.approx(lower**2, rel=1e-9, abs=0)
        with pytest.raises(UserError, match=r"^device_sims\.stt_mtj\.stray_field_T: found 1 T"):
            family.check(changed(given, f"{name}.stray_field_T", 1.0))
    assert barriers[1] < barriers[0]
    with pytest.raises(UserError, match=rf"^device_sims\.{name}\.stray_field_T: found 0.01 together with reference"):
        family.check(changed(own, f"{name}.stray_field_T", 0.01))


@pytest.mark.parametrize("layer", [(2e-9, 1e6, 1e-9, "down"), (2e-9, 1e6, 0.0, "up")])
def test_what_is_no_reference_is_refused(layer):
    with pytest.raises(UserError, match="found a first layer that points"):
        stack(layer)
