"""mumax3: periodic directions, couplings, grains, cubic anisotropy and bulk DMI, by mumax3's own formulas."""

from dataclasses import replace

import numpy as np
import pytest

from device_sims import engines
from device_sims.engines import mumax3
from device_sims.engines.mumax3 import regions, script
from device_sims.problem import Coupling, Geometry, Grains, Initial, Material, Mesh, Numerics, Phase, Problem, Region
from spinloom.errors import UserError
from tests.device_sims.conftest import with_material
from tests.device_sims.mumax3_problems import GOLDEN, with_

FILM = Problem(
    Mesh(8, 6, (4e-9, 3e-9, 2e-9), 2), Geometry(), Material(1e6, 1.5e-11, 0.05, 6e5),
    (Phase("run", 6e-13, zhang_li_u_m_per_s=200.0),), Initial("wall", position_m=1.2e-8, width_m=4e-9, azimuth_rad=0.5),
    0.0, Numerics(1e-14, "heun", "float32", 0, demag=False), 2e-13, stream=(7, "thermal field", "run", 0),
)  # fmt: skip
LEFT = Region((0.0, 1.2e-8), (0.0, 1.0), (), "left")
LOW = Region((1.2e-8, 2.4e-8), (0.0, 9e-9), (), "low")
PERIODIC = replace(
    with_material(FILM, Kc1_J_per_m3=3e5, Kc2_J_per_m3=-2e5, cubic_axes=((0.6, 0.8, 0.0), (0.0, 0.0, 1.0))),
    mesh=replace(FILM.mesh, periodic=(2, 1)),
)
CASES = {
    "periodic and cubic": PERIODIC,
    "periodic dmi": replace(
        with_material(FILM, D_J_per_m2=2e-3), mesh=replace(FILM.mesh, periodic=(3, 0)),
        regions=(replace(LEFT, factors=(("D_J_per_m2", 0.5),)),),
    ),
    "bulk": replace(with_material(FILM, Dbulk_J_per_m2=2e-3), regions=(replace(LEFT, factors=(("Ms_A_per_m", 0.8),)),)),
    "couplings": replace(
        FILM, regions=(replace(LEFT, factors=(("A_J_per_m", 0.7),)), LOW),
        couplings=(
            Coupling(("left",), factor=0.4), Coupling(("low", "left"), A_J_per_m=2e-12),
            Coupling(layers=(0, 1), J_J_per_m2=-3e-3),
        ),
    ),
    "grains": replace(
        with_material(FILM, Kc1_J_per_m3=4e5),
        grains=Grains(
            9e-9, 5, 2, Ku_spread=0.1, Kc1_spread=0.2, Ms_spread=0.05, tilt_rad=0.2, random_cubic_axes=True,
            exchange_factor=0.6,
        ),
    ),
}  # fmt: skip


def test_the_script_is_as_it_was():
    text = script.write(
        replace(CASES["couplings"], mesh=replace(FILM.mesh, periodic=(2, 0)), material=PERIODIC.material)
    ).text
    path = GOLDEN / "terms.mx3"
    assert text == path.read_text(), f"if this is meant, write the new script to {path}"


@pytest.mark.parametrize("name", CASES)
def test_the_script_means_the_same_as_the_built_in_solver(name, fake_mumax3):
    """The same steps of Heun: 6e-8 to 4e-7 in m, 1e-8 to 2e-7 of the largest in energies, by the rounding of files."""
    problem = CASES[name]
    mumax3.check(problem)
    (theirs,) = mumax3.run([problem])
    (ours,) = engines.run("llg", [replace(problem, numerics=replace(problem.numerics, precision="float64"))])
    assert np.abs(theirs.m - ours.m).max() < 2e-6
    assert np.abs(ours.m[-1] - ours.m[0]).max() > 0.02
    largest = max(np.abs(energy).max() for energy in ours.energies_J.values())
    for term, energy in ours.energies_J.items():
        np.testing.assert_allclose(theirs.energies_J[term], energy, rtol=0, atol=2e-6 * largest, err_msg=term)
    assert not theirs.notes


def test_grains_with_a_spread_alone_may_share_regions():
    """Ku is rounded where there are more than 256 grains; axes and boundaries are not."""
    many = replace(FILM, mesh=Mesh(128, 64, (4e-9, 4e-9, 1e-9)), grains=Grains(8e-9, 5, 2, Ku_spread=0.1))
    inside = np.ones(many.mesh.shape, bool)
    found = regions.partition(many, inside)
    assert found.count <= 256 and "Ku_J_per_m3 by at most" in found.note()
    for change in ({"tilt_rad": 0.1}, {"exchange_factor": 0.5}):
        with pytest.raises(
            UserError, match=r"grains: found \d+ parts with exchange or axes of their own, allowed with"
        ):
            mumax3.check(replace(many, grains=replace(many.grains, **change)))


@pytest.mark.parametrize(
    "problem, message",
    [
        (with_material(FILM, second_Ku_J_per_m3=1e5), "material.second_Ku_J_per_m3: found with engine mumax3"),
        (
            with_material(FILM, D_J_per_m2=1e-3, Dbulk_J_per_m2=1e-3),
            "material.Dbulk_J_per_m2: found together with D_J_per_m2",
        ),
        (with_(PERIODIC, geometry=Geometry("disc")), "mesh.periodic: found with cells without material"),
        (
            replace(FILM, regions=(LOW,), couplings=(Coupling(("low",), J_J_per_m2=1e-3),)),
            "couplings: found J across faces whose cells have different edges",
        ),
    ],
)
def test_what_mumax3_cannot_do_is_refused_by_its_key(problem, message):
    with pytest.raises(UserError) as caught:
        mumax3.check(problem)
    assert message in str(caught.value)


def test_j_across_faces_of_one_kind_is_a_stiffness():
    problem = replace(FILM, regions=(LEFT,), couplings=(Coupling(("left",), J_J_per_m2=1e-3),))
    (bond,) = regions.partition(problem, np.ones(FILM.mesh.shape, bool)).bonds
    assert bond == pytest.approx((0, 1, 1e-3 * 4e-9 / 2), abs=0, rel=1e-12)
