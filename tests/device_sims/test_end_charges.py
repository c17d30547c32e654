"""A track that goes on beyond the box: the charges of its end faces are removed."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from device_sims import engines
from device_sims.engines import collective, macrospin
from device_sims.engines.llg.solver import Solver
from device_sims.engines.mumax3 import script
from device_sims.problem import (
    MU0,
    Geometry,
    Initial,
    Mesh,
    Numerics,
    Phase,
    Region,
    material,
    problem_file,
)
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.magnetostatics import end_charges
from device_sims.problem.magnetostatics.newell import face_field, tensor
from spinloom.errors import UserError
from tests.device_sims.conftest import track
from tests.device_sims.test_problem_file import changed, write

CELL = (4e-9, 3e-9, 2e-9)


def test_two_faces_are_a_magnetised_box():
    face, box = face_field(30, 5, 3, CELL), tensor(30, 5, CELL, 3)
    for component, name in enumerate(("xx", "xy", "xz")):
        np.testing.assert_allclose(
            face[component, ..., :-1] - face[component, ..., 1:], -box[name][..., 1:], atol=1e-10
        )


def test_field_on_the_axis_of_a_charged_rectangle():
    """Omega sigma / 4 pi, with the solid angle Omega = 4 atan(a b / (4 d sqrt(d^2 + (a^2 + b^2)/4)))."""
    mesh = Mesh(40, 9, CELL, 5)
    problem = track(mesh=mesh, geometry=Geometry(beyond_mx=(1.0, 0.0)))
    field = end_charges.field(problem, np.ones(mesh.shape, bool))
    a, b = mesh.size_m[1:]
    d = (np.arange(40) + 0.5) * 4e-9
    exact = 1e6 / math.pi * np.arctan(a * b / (4 * d * np.sqrt(d**2 + (a**2 + b**2) / 4)))
    # far from the face the mean over a cell is the value in its middle
    np.testing.assert_allclose(field[0, 2, 4, 5:], exact[5:], rtol=5e-3)
    np.testing.assert_allclose(field[1:, 2, 4], 0, atol=1e-3)
    mirrored = end_charges.field(replace(problem, geometry=Geometry(beyond_mx=(0.0, 1.0))), np.ones(mesh.shape, bool))
    np.testing.assert_allclose(mirrored[:, :, :, ::-1], field * np.reshape([1, -1, -1], (3, 1, 1, 1)), atol=1e-3)


GATE = Region((0.0, 8e-9), (0.0, 1.0), (("Ms_A_per_m", 0.5),))


def fields(problem, m):
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive = solver.system(problem), solver.drive(problem, problem.schedule[0])
        return solver.fields_T(system, drive, m), solver.energies(system, drive, m)


@pytest.mark.parametrize("geometry", [Geometry(), Geometry("strip", width_m=18e-9)])
@pytest.mark.parametrize("mx", [1.0, -1.0])
def test_a_domain_that_goes_on_has_no_stray_field(geometry, mx):
    """Its end faces are its only charges."""
    mesh = Mesh(24, 8, CELL, 2)
    problem = track(mesh=mesh, geometry=replace(geometry, beyond_mx=(mx, mx)))
    mask = material.mask(problem)
    found, _ = fields(problem, np.stack([mx * mask, 0.0 * mask, 0.0 * mask]))
    assert np.abs(found["stray"]).max() > 0.2
    assert np.abs(found["stray"] + found["zeeman"]).max() < 1e-8


def test_a_wall_has_the_same_energy_wherever_it_is():
    """Without the removal, the charged ends make a difference of several times kT at room temperature."""
    mesh = Mesh(120, 8, (4e-9, 4e-9, 4e-9))
    energies = {}
    for beyond in (None, (1.0, -1.0)):
        totals = []
        for position in (150e-9, 190e-9, 242e-9):
            walls = Initial("two_domains", position_m=position, width_m=12e-9,
                            directions=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)))  # fmt: skip
            problem = track(mesh=mesh, geometry=Geometry(beyond_mx=beyond), initial=walls)
            problem = replace(problem, material=replace(problem.material, Ku_J_per_m3=0.0))
            mask = material.mask(problem)
            totals.append(fields(problem, initial_magnetisation(problem, mask))[1]["total"])
        energies[beyond] = np.ptp(totals)
    assert energies[None] > 4e-21 > 100 * energies[(1.0, -1.0)]


def test_a_trajectory_is_the_same_with_the_stand_in_for_mumax3(fake_mumax3):
    """Without a stray field, which the stand-in has not, m turns about the field of the ends alone."""
    mesh = Mesh(12, 4, CELL)
    problem = track(
        mesh=mesh, geometry=Geometry(beyond_mx=(1.0, -0.5)), initial=Initial("uniform", (0.0, 0.6, 0.8)),
        schedule=(Phase("run", 2e-11),), record_interval_s=1e-11, regions=(GATE,),
        numerics=Numerics(1e-13, "rk4", "float32", 0, demag=False),
    )  # fmt: skip
    written = script.write(problem)
    np.testing.assert_allclose(
        written.fields["beyond.ovf"], MU0 * end_charges.field(problem, material.mask(problem)), rtol=1e-12
    )
    (ours,), (theirs,) = engines.run("llg", [problem]), engines.run("mumax3", [problem])
    assert np.abs(ours.m[-1] - ours.m[0]).max() > 0.1
    np.testing.assert_allclose(theirs.m, ours.m, atol=2e-5)
    np.testing.assert_allclose(theirs.energies_J["zeeman"], ours.energies_J["zeeman"], rtol=1e-4, atol=1e-24)


def test_ubermag_gets_the_field_beside_the_applied_one():
    oommf = pytest.importorskip("device_sims.engines.oommf.model")
    problem = track(mesh=Mesh(12, 4, CELL), geometry=Geometry(beyond_mx=(1.0, -0.5)))
    problem = replace(problem, schedule=(Phase("run", 2e-10, field_T=(0.0, 0.01, 0.0)),))
    mask = material.mask(problem)
    energy = oommf.trajectory(problem, mask, initial_magnetisation(problem, mask)).system.energy
    (beyond,) = [term for term in energy if term.name == "zeeman_beyond"]
    np.testing.assert_allclose(beyond.H.array.T, end_charges.field(problem, mask), rtol=1e-12)
    assert len([term for term in energy if term.name.startswith("zeeman")]) == 2


def test_what_has_no_ends_refuses_them(tmp_path):
    problem = track(geometry=Geometry(beyond_mx=(1.0, 1.0)))
    for engine in (macrospin, collective):
        with pytest.raises(UserError, match=r"geometry.beyond_mx: found \(1.0, 1.0\)"):
            next(engine.run([problem]))
    for geometry, message in (
        ({"kind": "disc", "beyond_mx": [1, 1]}, "found no magnetic cell at an end of the box, allowed: a track"),
        ({"beyond_mx": [2, 1]}, "geometry.beyond_mx.0: found 2, allowed: at most 1"),
    ):
        with pytest.raises(UserError, match=message):
            problem_file.load(write(tmp_path, changed("geometry", geometry)))
    content = changed("geometry", {"beyond_mx": [1, 1]})
    content["mesh"]["periodic"] = [1, 0]
    with pytest.raises(UserError, match="beyond_mx: found with mesh.periodic"):
        problem_file.load(write(tmp_path, content))
