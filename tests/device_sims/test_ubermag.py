"""ubermag's systems as problem files and back, with ubermag's own packages."""

from dataclasses import replace

import numpy as np
import pytest

from device_sims import engines
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
    Waveform,
    material,
    problem_file,
)
from device_sims.problem.initial import initial_magnetisation
from spinloom.errors import UserError

df = pytest.importorskip("discretisedfield")
mm = pytest.importorskip("micromagneticmodel")
ubermag = pytest.importorskip("device_sims.ubermag")

PROBLEM = Problem(
    Mesh(12, 6, (4e-9, 4e-9, 1e-9), 2), Geometry("ellipse"),
    Material(
        8e5, 1.3e-11, 0.05, Ku_J_per_m3=6e5, D_J_per_m2=1e-3, spin_hall_angle=0.3, field_like_ratio=0.4,
        polarisation=(0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0),
    ),
    (Phase("run", 2e-12, current_density_A_per_m2=1e11, field_T=(0.0, 0.01, -0.02)),),
    Initial("wall", position_m=2e-8, width_m=8e-9), 0.0,
    Numerics(1e-13, "dopri5", "float64", 0, tolerance=1e-8), 1e-12,
)  # fmt: skip
TIMES = {"duration_s": 2e-12, "record_interval_s": 1e-12}


def there_and_back(problem: Problem, folder) -> Problem:
    return problem_file.load(ubermag.problem_file_of(ubermag.system_of(problem), folder, **TIMES))[0]


def cells(problem: Problem) -> dict[str, np.ndarray]:
    mask = material.mask(problem)
    found = {name: np.broadcast_to(v, mask.shape)[mask] for name, v in material.constants(problem, mask).items()}
    return {**found, "m": initial_magnetisation(problem, mask), "mask": mask}


@pytest.mark.long
def test_there_and_back_is_the_same_problem(tmp_path):
    again = there_and_back(PROBLEM, tmp_path)
    for name, values in cells(PROBLEM).items():
        np.testing.assert_allclose(cells(again)[name], values, rtol=1e-12, atol=1e-12, err_msg=name)
    own, other = PROBLEM.material, again.material
    for name in ("spin_hall_angle", "field_like_ratio", "polarisation", "axis", "slonczewski_lambda"):
        assert getattr(other, name) == pytest.approx(getattr(own, name), rel=1e-12, abs=0), name
    assert again.schedule[0].current_density_A_per_m2 == pytest.approx(1e11, rel=1e-12, abs=0)
    assert again.schedule[0].field_T == pytest.approx((0.0, 0.01, -0.02), rel=1e-12, abs=1e-15)
    again = replace(again, numerics=PROBLEM.numerics)
    first, second = (next(iter(engines.run("llg", [one]))) for one in (PROBLEM, again))
    assert np.abs(first.m[-1] - first.m[0]).max() > 1e-3  # something moves
    np.testing.assert_allclose(second.m, first.m, atol=1e-9)


def test_a_system_of_ubermag_becomes_a_problem_with_its_fields_as_maps(tmp_path):
    mesh = df.Mesh(p1=(0, 0, 0), p2=(40e-9, 20e-9, 5e-9), cell=(5e-9, 5e-9, 5e-9))
    system = mm.System(name="film")
    ku = df.Field(mesh, nvdim=1, value=lambda p: 1e5 if p[0] < 20e-9 else 2e5)
    system.energy = (
        mm.Exchange(A=1e-11) + mm.UniaxialAnisotropy(K=ku, u=(0, 1, 0)) + mm.Zeeman(H=(8e4, 0, 0))
        + mm.DMI(D=2e-3, crystalclass="Cnv_z") + mm.Demag()
    )  # fmt: skip
    system.dynamics = mm.Precession(gamma0=GAMMA0) + mm.Damping(alpha=0.2) + mm.ZhangLi(u=50, beta=0.1)
    system.m = df.Field(mesh, nvdim=3, value=(1, 0, 1), norm=lambda p: 0 if p[1] > 15e-9 else 8e5)
    problem, _ = problem_file.load(ubermag.problem_file_of(system, tmp_path, **TIMES))
    found = cells(problem)
    assert found["mask"].sum() == 8 * 3 and not found["mask"][0, 3].any()
    assert set(np.unique(found["Ku_J_per_m3"])) == {1e5, 2e5}
    assert found["D_J_per_m2"] == pytest.approx(-2e-3, abs=1e-12)  # the other sign
    assert problem.schedule[0].field_T == pytest.approx((MU0 * 8e4, 0, 0), abs=1e-12)
    assert problem.schedule[0].zhang_li_u_m_per_s == 50 and problem.material.zhang_li_beta == 0.1
    assert found["m"][:, 0, 0, 0] == pytest.approx((np.sqrt(0.5), 0, np.sqrt(0.5)), abs=1e-9)
    assert problem.numerics.demag and problem.material.axis == (0, 1, 0)


def test_fourth_order_anisotropy_changes_its_form(tmp_path):
    mesh = df.Mesh(p1=(0, 0, 0), p2=(8e-9, 8e-9, 4e-9), cell=(4e-9, 4e-9, 4e-9))
    system = mm.System(name="quartic")
    system.energy = mm.UniaxialAnisotropy(K1=5e5, K2=-1e5, u=(0, 0, 1))
    system.dynamics = mm.Precession(gamma0=GAMMA0) + mm.Damping(alpha=0.2)
    system.m = df.Field(mesh, nvdim=3, value=(0, 0, 1), norm=8e5)
    path = ubermag.problem_file_of(system, tmp_path, **TIMES)
    problem, _ = problem_file.load(path)
    # -K1 c^2 - K2 c^4 and Ku s^2 + Ku2 s^4 differ by a constant
    s2 = np.linspace(0, 1, 11)
    theirs = -5e5 * (1 - s2) + 1e5 * (1 - s2) ** 2
    ours = problem.material.Ku_J_per_m3 * s2 + problem.material.Ku2_J_per_m3 * s2**2
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], atol=1e-6)


@pytest.mark.parametrize(
    "energy, message",
    [
        (
            lambda: mm.RKKY(sigma=1e-4, sigma2=0, subregions=["a", "b"]),
            "energy: found RKKY, for which a problem file has no",
        ),
        (lambda: mm.DMI(D=1e-3, crystalclass="D2d_z"), "energy: found DMI of class D2d_z, allowed: Cnv_z"),
        (lambda: mm.Zeeman(H=(0, 0, 1), func="sin", f=1e9, t0=0), "energy: found a Zeeman term that changes in time"),
    ],
)
def test_what_a_problem_has_not_is_refused_by_name(energy, message, tmp_path):
    mesh = df.Mesh(p1=(0, 0, 0), p2=(8e-9, 8e-9, 4e-9), cell=(4e-9, 4e-9, 4e-9))
    system = mm.System(name="other")
    system.energy, system.dynamics = mm.Exchange(A=1e-11) + energy(), mm.Damping(alpha=0.1)
    system.m = df.Field(mesh, nvdim=3, value=(0, 0, 1), norm=8e5)
    with pytest.raises(UserError) as error:
        ubermag.problem_file_of(system, tmp_path, **TIMES)
    assert str(error.value).startswith(message)


def test_a_drive_in_time_is_no_system():
    moving = replace(PROBLEM, schedule=(Phase("run", 1e-12, field_T=(Waveform(0.0, 1e-2), 0.0, 0.0)),))
    with pytest.raises(UserError, match="a drive that changes in time, allowed for ubermag: constant drives"):
        ubermag.system_of(moving)
