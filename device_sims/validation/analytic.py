"""Statics and steady motion with known closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import curve_fit, minimize_scalar

from device_sims.engines.llg.fields import spin_torque
from device_sims.engines.llg.solver import Solver
from device_sims.problem import GAMMA0, MU0, Initial, Material, Mesh, Numerics, Phase
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.observables import mean_magnetisation
from device_sims.validation import Row
from device_sims.validation.setups import ADAPTIVE, solve, speed, thread, track, with_drive, with_material

A, MS = 1.5e-11, 1e6
K_EFF = 8e5 - MU0 * MS**2 / 2  # of the track's film, thin-film limit
DELTA = math.sqrt(A / K_EFF)
EDGE_D, EDGE_K = 0.4e-3, 1.7e5  # of the film with a canted edge
RELAXED = 1e-8  # tolerance
MOMENT = Phase("moment", 2e-13)  # for problems of which only the relaxed start is of interest


def _edge_canting(cell_m: float) -> float:
    material = Material(MS, A, 1.0, Ku_J_per_m3=EDGE_K, D_J_per_m2=EDGE_D)
    m = solve(thread(cell_m, 150e-9, material, Initial("uniform", relax_tolerance=RELAXED), MOMENT)).m[0]
    # from the centres of the last cells to the edge
    edge = np.polyval(np.polyfit(np.arange(4) + 0.5, m[0, 0, 0, :-5:-1], 3), 0.0)
    return float(edge)


def edge_canting():
    source = "Rohart and Thiaville, PRB 88, 184422: mx = -+D/(2 sqrt(A K))"
    expected = -EDGE_D / (2 * math.sqrt(A * EDGE_K))
    found = {cell: _edge_canting(cell * 1e-9) for cell in (1.0, 0.5, 0.25)}
    for cell, edge in found.items():
        yield Row(f"edge canting, {cell:g} nm cells", "mx at the right edge", expected, source, edge, 1e-3)
    limit = 2 * found[0.25] - found[0.5]
    yield Row(
        "edge canting, extrapolated", "mx at the right edge", expected, source, limit, 1e-3, note="0.5 and 0.25 nm"
    )


def _width(mz: np.ndarray, dx: float, position_m: float) -> float:
    """Return the width parameter of a wall from up to down, m; ``mz`` is ``[nx]``."""
    x = (np.arange(len(mz)) + 0.5) * dx
    (_, width), _ = curve_fit(lambda x, q, w: -np.tanh((x - q) / w), x * 1e9, mz, p0=(position_m * 1e9, 10.0))
    return float(width) * 1e-9


def wall_width():
    source = "sqrt(A/K_eff), K_eff = Ku - mu0 Ms^2/2"
    material = Material(MS, A, 1.0, Ku_J_per_m3=K_EFF)
    start = Initial("wall", position_m=100e-9, width_m=12e-9, azimuth_rad=math.pi / 2, relax_tolerance=RELAXED)
    mz = solve(thread(1e-9, 200e-9, material, start, MOMENT)).m[0, 2, 0, 0]
    line = _width(mz, 1e-9, 100e-9)
    name = "wall width, 1 nm cells, no stray field"
    yield Row(name, "Delta (nm)", DELTA * 1e9, source, line * 1e9, 0.01, "relative")

    start = replace(start, position_m=192e-9, relax_tolerance=1e-6)
    film = track(mesh=Mesh(192, 32, (2e-9, 2e-9, 1e-9)), initial=start, schedule=(MOMENT,), numerics=ADAPTIVE)
    relaxed = _width(solve(film).m[0, 2].mean((0, 1)), 2e-9, 192e-9) * 1e9
    note = "an infinitely wide and thin film, which 64 x 1 nm is not: see the next row"
    name = "wall width in the track, 2 nm cells"
    yield Row(name, "Delta (nm)", DELTA * 1e9, source, relaxed, 0.03, "relative", note)
    widths = np.linspace(6e-9, 11e-9, 11)
    with jax.enable_x64(True):
        solver = Solver(film)
        system, drive = solver.system(film), solver.drive(film, MOMENT)
        energies = []
        for width in widths:
            laid = replace(film, initial=replace(start, width_m=width, relax_tolerance=None))
            m = jnp.asarray(initial_magnetisation(laid, np.ones(film.mesh.shape, bool)))
            energies.append(solver.energies(system, drive, m)["total"])
    near = np.polyfit(widths * 1e9, np.array(energies) * 1e20, 4)
    best = minimize_scalar(lambda w: float(np.polyval(near, w)), (6, 8, 11)).x
    source = "lowest energy of all tanh profiles, stray field included"
    yield Row(name, "Delta (nm)", float(best), source, relaxed, 0.03, "relative")


def walker():
    """The field from which on the wall's azimuth turns, against that of the wall's own shape anisotropy.

    H_K = (E_Neel - E_Bloch)/(mu0 Ms Delta w t) by the energies and the width of the relaxed walls: statics alone.
    A Neel wall is an unstable equilibrium that symmetry keeps. The track is wider than the others, 128 nm, because the
    charges at its edges all but cancel the anisotropy of a 64 nm one.
    """
    cells = track(mesh=Mesh(64, 32, (4e-9, 4e-9, 1e-9)), numerics=ADAPTIVE, schedule=(MOMENT,))
    wall = Initial("wall", position_m=128e-9, width_m=9e-9, relax_tolerance=1e-6)
    energies, width = {}, 0.0
    for name, azimuth in (("Neel", 0.0), ("Bloch", math.pi / 2)):
        result = solve(replace(cells, initial=replace(wall, azimuth_rad=azimuth)))
        energies[name] = result.energies_J["total"][0]
        width = _width(result.m[0, 2].mean((0, 1)), 4e-9, 128e-9)
    Hk = (energies["Neel"] - energies["Bloch"]) / (MU0 * MS * width * 128e-9 * 1e-9)
    alpha = 1.0
    expected = alpha * Hk / 2
    cells = with_material(replace(cells, numerics=Numerics(4e-13, "rk4", "float32", 2)), alpha=alpha)
    start = replace(wall, position_m=80e-9, azimuth_rad=math.pi / 2, relax_tolerance=None)
    shares = (0.8, 0.9, 1.0, 1.1, 1.2)
    steady, turning = [], []
    for share in shares:
        phase = Phase("run", 6e-9, field_T=(0.0, 0.0, MU0 * share * expected))
        result = solve(replace(cells, initial=start, schedule=(phase,), record_interval_s=2e-10))
        mx, my, _ = mean_magnetisation(result.m, result.mask).T
        # a steady wall turns by less than a quarter of pi
        turned = np.ptp(np.unwrap(np.arctan2(my, mx))) > math.pi / 2
        (turning if turned else steady).append((share, speed(result, 4e-9)))
    last, first = max(steady, default=(0.0, 0.0)), min(turning, default=(math.inf, 0.0))
    obtained = (last[0] + first[0]) / 2 * expected
    source = "alpha H_K/2, H_K from the relaxed Neel and Bloch walls"
    note = "between the last steady and the first turning wall of " + ", ".join(f"{s:g}" for s in shares) + " H_W"
    scale, name = MU0 * 1e3, "Walker breakdown, alpha 1"
    yield Row(name, "mu0 H_W (mT)", expected * scale, source, obtained * scale, 0.2, "relative", note)
    # below H_W the speed is gamma0 Delta H/alpha
    source, note = "gamma0 Delta H_K/2 times H/H_W", f"H = {last[0]:g} H_W"
    limit = last[0] * GAMMA0 * width * Hk / 2
    yield Row(name, "speed of the last steady wall (m/s)", limit, source, last[1], 0.2, "relative", note)


def dmi_limit():
    D = 0.5e-3
    material = Material(MS, A, 0.02, Ku_J_per_m3=K_EFF, D_J_per_m2=D, spin_hall_angle=-0.1)
    phase = Phase("run", 2e-9, current_density_A_per_m2=4e11)
    start = Initial("wall", position_m=100e-9, width_m=DELTA, azimuth_rad=math.pi)
    obtained = speed(solve(thread(2e-9, 600e-9, material, start, phase)), 2e-9)
    expected = math.pi / 2 * GAMMA0 / MU0 * D / MS
    note = "no stray field, alpha 0.02, 4e11 A/m2"
    yield Row(
        "DMI speed limit, D 0.5 mJ/m2", "speed (m/s)", expected, "(pi/2) gamma D/Ms", obtained, 0.05, "relative", note
    )


def spin_orbit_field():
    problem = with_material(track(), spin_hall_angle=0.1)
    amplitude = spin_torque.prepare(problem, {"Ms_A_per_m": MS}) * 1e11
    # hbar theta J/(2 e Ms t), SI 2019
    expected = 1.054571817e-34 * 0.1 * 1e11 / (2 * 1.602176634e-19 * MS * 1e-9)
    yield Row(
        "spin-orbit field, J 1e11, theta 0.1, 1 nm", "mu0 H_DL (mT)", expected * 1e3, "hbar theta J/(2 e Ms t)",
        float(amplitude * MS * MU0) * 1e3, 1e-9, "relative",
    )  # fmt: skip


def zhang_li_speed():
    for alpha, beta in ((0.1, 0.2), (0.1, 0.1), (0.2, 0.1)):
        material = Material(MS, A, alpha, Ku_J_per_m3=K_EFF, D_J_per_m2=0.5e-3, zhang_li_beta=beta)
        start = Initial("wall", position_m=100e-9, width_m=DELTA, azimuth_rad=math.pi)
        phase = Phase("run", 6e-9, zhang_li_u_m_per_s=20.0)
        obtained = speed(solve(thread(2e-9, 600e-9, material, start, phase)), 2e-9)
        name = f"Zhang-Li wall, alpha {alpha}, beta {beta}, u 20 m/s"
        note = "the DMI holds the wall's angle"
        yield Row(
            name, "speed (m/s)", beta / alpha * 20, "beta u/alpha below breakdown", obtained, 0.01, "relative", note
        )


def precession():
    """A uniform sphere-like cell without anisotropy: frequency and decay of its precession in a field."""
    alpha, field = 0.02, 0.5
    problem = thread(2e-9, 2e-9, Material(MS, A, alpha), Initial("uniform", (1.0, 0.0, 0.2)), Phase("run", 2e-10))
    problem = replace(with_drive(problem, field_T=(0.0, 0.0, field)), record_interval_s=2e-12)
    result = solve(problem)
    mx, my, mz = mean_magnetisation(result.m, result.mask).T
    frequency = np.polyfit(result.t_s, np.unwrap(np.arctan2(my, mx)), 1)[0] / (2 * math.pi)
    rate = np.polyfit(result.t_s, np.arctanh(mz), 1)[0]
    larmor = GAMMA0 * field / MU0 / (1 + alpha**2)
    yield Row(
        "single spin in 0.5 T", "frequency (GHz)", larmor / (2e9 * math.pi), "Larmor", frequency / 1e9, 1e-4, "relative"
    )
    yield Row(
        "single spin in 0.5 T", "decay of artanh mz (1/ns)", alpha * larmor / 1e9, "LLG", rate / 1e9, 1e-4, "relative"
    )


CHECKS = (edge_canting, wall_width, walker, dmi_limit, spin_orbit_field, zhang_li_speed, precession)
QUICK = (spin_orbit_field, precession, dmi_limit)
