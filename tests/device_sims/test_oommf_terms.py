"""OOMMF: cubic and second anisotropy, bulk DMI, grains, coupled layers; what is written, real runs, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from device_sims.engines.llg import ensemble
from device_sims.engines.oommf import limits
from device_sims.problem import Coupling, Geometry, Grains, Initial, Material, Mesh, Numerics, Phase, Problem, Region
from spinloom.errors import UserError
from tests.device_sims.conftest import with_material
from tests.device_sims.test_oommf import HERE, oommf, written  # noqa: F401, the fixture of real runs
from tests.device_sims.test_terms import written as ovf_written

FILM = Problem(
    Mesh(6, 5, (4e-9, 3e-9, 2e-9), 2), Geometry(), Material(1e6, 1.5e-11, 0.1), (Phase("run", 2e-12),),
    Initial("wall", position_m=1.2e-8, width_m=4e-9, azimuth_rad=0.5), 0.0, Numerics(5e-14, "rk4", "float64", 0), 1e-12,
)  # fmt: skip
CUBIC = with_material(FILM, Kc1_J_per_m3=-4e5, cubic_axes=((0.6, 0.8, 0.0), (0.0, 0.0, 1.0)))
CASES = {
    "anisotropies": with_material(CUBIC, Ku_J_per_m3=2e5, second_Ku_J_per_m3=-3e5, second_axis=(0.0, 0.6, 0.8)),
    "bulk": with_material(FILM, Dbulk_J_per_m2=2e-3),
    "layers": replace(
        with_material(FILM, D_J_per_m2=1e-3),
        couplings=(Coupling(layers=(0, 1), J_J_per_m2=-2e-3),), mesh=replace(FILM.mesh, nz=3),
    ),
    "grains": replace(
        with_material(FILM, Ku_J_per_m3=4e5, Kc1_J_per_m3=4e5),
        grains=Grains(8e-9, 5, 2, 0.1, 0.1, 0.05, tilt_rad=0.2, random_cubic_axes=True),
    ),
}  # fmt: skip


def spacer(folder) -> Problem:
    """Two films with an empty layer in between, coupled over it."""
    mesh = replace(FILM.mesh, nz=3)
    filled = np.ones(mesh.shape)
    filled[1] = 0
    shape = Geometry("file", file=ovf_written(folder, "spacer", filled, mesh))
    return replace(FILM, mesh=mesh, geometry=shape, couplings=(Coupling(layers=(0, 2), J_J_per_m2=-3e-3),))


def test_what_is_written_is_as_pinned(tmp_path):
    """Read through by hand; OOMMF 2.1a0 ran it (`test_real_runs_agree`)."""
    problem = replace(CASES["layers"], material=CASES["anisotropies"].material)
    assert written(problem, tmp_path) == (HERE / "terms.mif").read_text()


@pytest.mark.parametrize("name", [*CASES, "spacer"])
def test_real_runs_agree(name, oommf, tmp_path):  # noqa: F811
    """States and energies of the built-in solver and of OOMMF."""
    problem = spacer(tmp_path) if name == "spacer" else CASES[name]
    limits.check(problem)
    (theirs,), (ours,) = oommf.run([problem]), ensemble.run([problem])
    assert abs(ours.m[-1] - ours.m[0]).max() > 0.05
    assert theirs.m == pytest.approx(ours.m, rel=0, abs=2e-6)
    for term, values in ours.energies_J.items():
        assert theirs.energies_J[term] == pytest.approx(values, rel=1e-6, abs=1e-24), term


def test_bulk_dmi_asks_for_its_extension():
    assert limits.classes(CASES["bulk"]) == ["Oxs_DMI_T"]


@pytest.mark.parametrize(
    "problem, message",
    [
        (replace(FILM, mesh=replace(FILM.mesh, periodic=(1, 0))), "mesh.periodic: found with engine oommf"),
        (with_material(FILM, Kc2_J_per_m3=1e4), "material.Kc2_J_per_m3: found with engine oommf"),
        (
            replace(FILM, grains=Grains(8e-9, 1, 1, exchange_factor=0.5)),
            "grains.exchange_factor: found with engine",
        ),
        (
            replace(CUBIC, grains=Grains(8e-9, 1, 1, Kc1_spread=0.1)),
            "Kc1_J_per_m3: found -",
        ),
        (
            replace(FILM, regions=(Region((0, 8e-9), (0, 1), (), "a"),), couplings=(Coupling(("a",), factor=0.5),)),
            "couplings.0.regions: found with engine oommf, allowed: layers, or engine llg",
        ),
        (
            replace(CASES["layers"], regions=(Region((0, 8e-9), (0, 1), (("A_J_per_m", 0.5),)),)),
            "couplings: found with a A_J_per_m that differs",
        ),
        (
            replace(CUBIC, geometry=Geometry("ellipse", edge_smoothing=2)),
            "material.Kc1_J_per_m3: found with engine oommf beside geometry.edge_smoothing",
        ),
    ],
)
def test_what_oommf_cannot_do_is_refused_by_its_key(problem, message):
    with pytest.raises(UserError) as caught:
        limits.check_problem(problem)
    assert message in str(caught.value)
