"""Exchange between regions, layers and grains: energies of bonds, synthetic antiferromagnets, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from device_sims.engines.llg import ensemble
from device_sims.problem import (
    Coupling,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    couplings,
    geometry,
)
from spinloom.errors import UserError
from tests.device_sims.test_terms import evaluated, written

MS, A, D_M = 8e5, 1.3e-11, 2e-9
LEFT, RIGHT = (Region((x, x + 3e-9), (0.0, 1.0), (), name) for x, name in ((0.0, "left"), (3e-9, "right")))
TWO = Problem(
    Mesh(2, 1, (3e-9, 4e-9, D_M)), Geometry(), Material(MS, A, 0.5), (Phase("run", 1e-12),),
    Initial("uniform"), 0.0, Numerics(1e-14, "rk4", "float64", 0, demag=False), 1e-12, regions=(LEFT, RIGHT),
)  # fmt: skip


@pytest.mark.parametrize("between", [("left", "right"), ("right", "left"), ("left",)])
def test_the_energy_of_a_bond(between):
    """2 A/d per area and 1 - m1.m2, times the factor; 2 A'/d; or J."""
    angle = 0.7
    m = np.zeros((3, 1, 1, 2))
    m[0, 0, 0], m[1, 0, 0] = (1, np.cos(angle)), (0, np.sin(angle))
    area, per_angle = 4e-9 * D_M, 1 - np.cos(angle)
    expected = {
        "factor": (-0.4, -0.4 * 2 * A / 3e-9),
        "A_J_per_m": (5e-12, 2 * 5e-12 / 3e-9),
        "J_J_per_m2": (-1e-3, -1e-3),
    }
    for name, (value, per_area) in expected.items():
        problem = replace(TWO, couplings=(Coupling(between, **{name: value}),))
        energy = evaluated(problem, m)[0]["exchange"]
        assert energy == pytest.approx(per_area * area * per_angle, rel=1e-12, abs=0)
    both = replace(TWO, couplings=(Coupling(between, A_J_per_m=5e-12), Coupling(between, factor=0.5)))
    assert evaluated(both, m)[0]["exchange"] == pytest.approx(5e-12 / 3e-9 * area * per_angle, rel=1e-12, abs=0)


def test_overlapping_regions_touch_outside_of_their_overlap():
    """Of six cells in a row, 0 to 3 in one region and 2 to 5 in the other, no face separates the two alone."""
    mesh = Mesh(6, 1, (1e-9, 1e-9, 1e-9))
    overlapping = (Region((0, 4e-9), (0, 1), (), "a"), Region((2e-9, 6e-9), (0, 1), (), "b"))
    problem = replace(TWO, mesh=mesh, regions=overlapping, couplings=(Coupling(("a", "b"), factor=0.0),))
    with pytest.raises(UserError, match="couplings.0: found two parts that do not touch"):
        couplings.stiffness(problem, np.ones(mesh.shape, bool), A)


# -- synthetic antiferromagnets ----------------------------------------------------------------------------------------
J = -4e-4
SATURATION_T = 2 * abs(J) / (MS * D_M)


def layers(tmp_path, spacer: int, **changes) -> Problem:
    """Two layers of one thickness, with empty layers in between."""
    mesh = Mesh(2, 2, (3e-9, 3e-9, D_M), 2 + spacer)
    filled = np.zeros(mesh.shape)
    filled[0] = filled[-1] = 1
    shape = Geometry("file", file=written(tmp_path, "layers", filled, mesh))
    pair = Coupling(layers=(0, 1 + spacer), J_J_per_m2=J)
    return replace(TWO, mesh=mesh, geometry=shape, regions=(), couplings=(pair,), **changes)


def relaxed(problem: Problem, tmp_path, field_T: float, first, second) -> np.ndarray:
    """Return m of the two layers, ``[3, 2]``, at rest in a field along x."""
    m = np.zeros((3, *problem.mesh.shape))
    m[:, 0], m[:, -1] = np.reshape(first, (3, 1, 1)), np.reshape(second, (3, 1, 1))
    start = Initial("file", file=written(tmp_path, "start", m, problem.mesh), relax_tolerance=1e-9)
    (result,) = ensemble.run(
        [replace(problem, initial=start, schedule=(Phase("run", 1e-12, field_T=(field_T, 0, 0)),))]
    )
    return result.m[0][:, [0, -1], 0, 0]


@pytest.mark.long
@pytest.mark.parametrize("spacer", [0, 1, 2])
def test_two_layers_saturate_at_two_j_over_their_moment(spacer, tmp_path):
    """cos(angle to the field) = B/B_sat with B_sat = 2 abs(J)/(Ms d), then 1."""
    problem = layers(tmp_path, spacer)
    for share in (0.3, 0.9):
        m = relaxed(problem, tmp_path, share * SATURATION_T, (0.6, 0.8, 0.0), (0.6, -0.8, 0.0))
        assert m[0] == pytest.approx(share, abs=1e-6)
        assert m[1, 0] == pytest.approx(-m[1, 1], abs=1e-6)
    m = relaxed(problem, tmp_path, 1.02 * SATURATION_T, (0.6, 0.8, 0.0), (0.6, -0.8, 0.0))
    assert m[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("spacer", [0, 1])
def test_the_antiparallel_state_flops_where_it_loses_its_stability(spacer, tmp_path):
    """B = sqrt(B_K (2 B_J + B_K)) along the easy axis, B_K = 2 Ku/Ms and B_J = abs(J)/(Ms d)."""
    Ku = 4e4
    problem = layers(tmp_path, spacer, material=replace(TWO.material, Ku_J_per_m3=Ku, axis=(1.0, 0.0, 0.0)))
    b_k, b_j = 2 * Ku / MS, SATURATION_T / 2
    flop = np.sqrt(b_k * (2 * b_j + b_k))
    slight = 1e-3  # of the soft mode's kind: both towards +y
    for field, flops in ((0.98 * flop, False), (1.02 * flop, True)):
        m = relaxed(problem, tmp_path, field, (1, slight, 0), (-1, 3 * slight, 0))
        assert (abs(m[0, 1] + 1) > 0.1) == flops


def test_a_ferromagnetic_coupling_of_touching_layers_is_a_stiffness(tmp_path):
    """J d/2 in place of A: with J = 2 A/d nothing changes."""
    mesh = Mesh(3, 2, (3e-9, 3e-9, D_M), 2)
    m = np.random.default_rng(0).standard_normal((3, *mesh.shape))
    m /= np.sqrt((m**2).sum(0))
    plain = replace(TWO, mesh=mesh, regions=())
    same = replace(plain, couplings=(Coupling(layers=(0, 1), J_J_per_m2=2 * A / D_M),))
    other = replace(plain, couplings=(Coupling(layers=(0, 1), J_J_per_m2=3 * A / D_M),))
    energies = [evaluated(p, m)[0]["exchange"] for p in (plain, same, other)]
    assert energies[1] == pytest.approx(energies[0], rel=1e-12, abs=0)
    assert energies[2] > 1.01 * energies[0]


@pytest.mark.parametrize(
    "coupling, message",
    [
        (Coupling(("left", "elsewhere"), factor=1.0), "couplings.0.regions: found 'elsewhere', allowed: left, right"),
        (
            Coupling(layers=(0, 2), factor=0.5),
            "couplings.0: found layers 0 and 2, which do not touch, allowed across",
        ),
        (
            Coupling(layers=(1, 1), J_J_per_m2=1e-3),
            "couplings.0.layers: found 1 and 1, allowed: two layers from 0 to 2",
        ),
        (Coupling(layers=(0, 3), J_J_per_m2=1e-3), "couplings.0.layers: found 0 and 3"),
        (
            Coupling(layers=(0, 2), J_J_per_m2=1e-3),
            "couplings.0: found two parts that do not touch",
        ),  # the middle is full
    ],
)
def test_couplings_that_cannot_act_are_refused(coupling, message):
    problem = replace(TWO, mesh=replace(TWO.mesh, nz=3), couplings=(coupling,))
    with pytest.raises(UserError) as caught:
        couplings.stiffness(problem, geometry.mask(problem.geometry, problem.mesh), A)
    assert message in str(caught.value)
