"""Symmetries of the equation, and its energy."""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import numpy as np

from device_sims.engines.llg.solver import Solver
from device_sims.problem import GAMMA0, MU0, Initial, Mesh, Numerics
from device_sims.validation import Row
from device_sims.validation.setups import driven_track, lasting, solve, track, with_material

EXACT = 1e-9  # rounding, after 4000 evaluations that amplify it


def _skew():
    """A driven wall that no symmetry of the track maps to itself."""
    problem = lasting(driven_track(), 1e-10, 1e-10)
    start = replace(problem.initial, position_m=230e-9, tilt_rad=0.3, azimuth_rad=0.5)
    return replace(problem, initial=start)


def _row(name: str, expected: np.ndarray, obtained: np.ndarray) -> Row:
    error = float(np.abs(obtained - expected).max())
    return Row(name, "max |m - expected|, 0.1 ns", 0.0, "symmetry", error, EXACT)


def rotated_spins():
    problem = _skew()
    turned = with_material(problem, D_J_per_m2=-problem.material.D_J_per_m2, polarisation=(0.0, -1.0, 0.0))
    turned = replace(turned, initial=replace(problem.initial, azimuth_rad=problem.initial.azimuth_rad + math.pi))
    sign = np.array([-1, -1, 1])[:, None, None, None]
    # in one layer the stray field couples mz with neither mx nor my, so it has this symmetry too
    yield _row("spins turned by pi about z, D to -D, p to -p", sign * solve(problem).m[-1], solve(turned).m[-1])


def mirrored():
    """Map x to -x: m is an axial vector, (mx, -my, -mz); interfacial D is a scalar; p = y turns as my does."""
    problem = _skew()
    start = problem.initial
    image = replace(
        start, position_m=512e-9 - start.position_m, tilt_rad=-start.tilt_rad, azimuth_rad=-start.azimuth_rad
    )
    other = with_material(replace(problem, initial=image), polarisation=(0.0, -1.0, 0.0))
    sign = np.array([1, -1, -1])[:, None, None, None]
    yield _row("mirror x to -x", sign * solve(problem).m[-1][..., ::-1], solve(other).m[-1])


def turned_track():
    """The whole device turned by 90 degrees: the track lies along y."""
    problem = _skew()
    mesh = Mesh(problem.mesh.ny, problem.mesh.nx, problem.mesh.cell_m)
    # u = (x cos - (y - middle) sin)/width with the tilt turned by -90 degrees; the wall's place is then along y
    tilt = problem.initial.tilt_rad - math.pi / 2
    along = problem.initial.position_m - 256e-9
    start = Initial(
        "wall", width_m=problem.initial.width_m, tilt_rad=tilt, azimuth_rad=problem.initial.azimuth_rad + math.pi / 2
    )
    # turned about the box's middle, (q, 0) is (0, q); position_m is where the same line meets the middle of y
    start = replace(start, position_m=32e-9 + along * math.cos(problem.initial.tilt_rad) / math.cos(tilt))
    other = with_material(replace(problem, mesh=mesh, initial=start), polarisation=(-1.0, 0.0, 0.0))
    m = solve(problem).m[-1]
    # (x, y) to (-y, x): cell [j, i] goes to [i, ny - 1 - j]
    placed = np.swapaxes(m, 2, 3)[..., ::-1]
    expected = np.stack([-placed[1], placed[0], placed[2]])
    yield _row("device turned by 90 degrees", expected, solve(other).m[-1])


def energy():
    problem = with_material(track(record_interval_s=2e-12), D_J_per_m2=0.5e-3)
    total = solve(problem).energies_J["total"]
    rise = float(np.diff(total).max() / (total[0] - total[-1]))
    yield Row("energy at T = 0", "largest rise / whole fall", 0.0, "second law", max(rise, 0.0), 1e-9)

    problem = with_material(track(numerics=Numerics(1e-14, "rk4", "float64", 0)), D_J_per_m2=0.5e-3, alpha=0.1)
    with jax.enable_x64(True):
        solver = Solver(problem)
        system, drive, state = solver.system(problem), solver.drive(problem, problem.schedule[0]), solver.start(problem)
        ms, energies, taken = [], [], 0
        for count in (2000, 20, 20):
            state = solver.advance(system, drive, state, jax.random.key(0), taken, count)
            taken += count
            ms.append(np.asarray(state.m))
            energies.append(solver.energies(system, drive, state.m, taken)["total"])
    dt = 20 * problem.numerics.dt_s
    moment = MU0 * problem.material.Ms_A_per_m * problem.mesh.cell_volume_m3
    loss = -problem.material.alpha * moment / GAMMA0 * (((ms[2] - ms[0]) / (2 * dt)) ** 2).sum()
    rate = (energies[2] - energies[0]) / (2 * dt)
    yield Row(
        "dE/dt with DMI and stray field",
        "W",
        float(loss),
        "-alpha mu0 Ms V/gamma0 sum |dm/dt|^2",
        rate,
        1e-3,
        "relative",
    )


CHECKS = (rotated_spins, mirrored, turned_track, energy)
QUICK = (turned_track,)
