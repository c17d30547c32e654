"""How errors fall with the step, the tolerance and the cell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import linregress

from device_sims.problem import Initial, Material, Phase
from device_sims.validation import Curve, Row
from device_sims.validation.analytic import DELTA, K_EFF, MOMENT, MS, A
from device_sims.validation.setups import driven_track, lasting, solve, speed, thread, with_numerics

SPAN = 1.6e-11


def _end(**numerics) -> np.ndarray:
    return solve(with_numerics(lasting(driven_track(), SPAN, SPAN), **numerics)).m[-1]


def _slope(x, y) -> float:
    return float(linregress(np.log(x), np.log(y)).slope)


def _order(schemes):
    truth = _end(integrator="rk4", dt_s=2.5e-14, demag_interval_steps=0)
    for scheme, interval, order, steps in schemes:
        steps = np.array(steps) * 1e-12
        # with an interval the scheme converges to the same solution
        errors = [
            float(np.abs(_end(integrator=scheme, dt_s=dt, demag_interval_steps=interval) - truth).max()) for dt in steps
        ]
        name = scheme + (f", stray field every {interval}" if interval else "")
        note = "max error of m after 16 ps: " + ", ".join(
            f"{e:.1e} at {dt * 1e12:g} ps" for dt, e in zip(steps, errors)
        )
        yield Row(name, "order in the time step", order, "regression", _slope(steps, errors), 0.3, note=note)
        place = len(scheme) % 3 + (3 if interval else 0)
        yield Curve("convergence_time", "driven track with DMI", name, (steps * 1e12).tolist(), errors, "o-", place)


def fixed_steps():
    yield from _order(
        (
            ("heun", 0, 2, (0.04, 0.08, 0.16)),
            ("rk4", 0, 4, (0.16, 0.32, 0.64)),
            ("fdr4", 0, 2, (0.16, 0.32, 0.64)),
            ("fdr4", 2, 2, (0.1, 0.2, 0.4)),
            ("heun", 4, 2, (0.04, 0.08, 0.16)),
        )
    )


def fixed_steps_quick():
    yield from _order((("fdr4", 2, 2, (0.1, 0.2, 0.4)),))


def adaptive_steps():
    """The error at the end against the tolerance per step; in a smooth solution of order five they are proportional."""
    truth = _end(integrator="dopri5", tolerance=1e-11)
    tolerances = np.array([1e-5, 1e-6, 1e-7, 1e-8])
    errors = [float(np.abs(_end(integrator="dopri5", tolerance=t) - truth).max()) for t in tolerances]
    note = "errors after 16 ps: " + ", ".join(f"{e:.1e} at {t:.0e}" for t, e in zip(tolerances, errors))
    yield Row("dopri5", "d log error / d log tolerance", 1.0, "regression", _slope(tolerances, errors), 0.3, note=note)
    worst = float(max(np.array(errors) / tolerances))
    yield Row("dopri5", "largest error / tolerance", 1.0, "the error is of the tolerance's size", worst, 30, "factor")


def cells():
    """The energy of a wall without stray field, 4 sqrt(A K) per area, and the speed of a driven one."""
    edges = np.array([4.0, 2.0, 1.0])
    material = Material(MS, A, 0.3, Ku_J_per_m3=K_EFF)
    exact = 4 * math.sqrt(A * K_EFF)
    errors = []
    for cell in edges * 1e-9:
        # the lattice's minimum, with the wall's centre between two cells
        start = Initial("wall", position_m=100e-9, width_m=DELTA, relax_tolerance=1e-8)
        energy = solve(thread(cell, 200e-9, material, start, MOMENT)).energies_J["total"][0]
        errors.append(abs(energy / (cell * 1e-9) / exact - 1))
    note = "relative errors: " + ", ".join(f"{e:.1e} at {c:g} nm" for c, e in zip(edges, errors))
    yield Row(
        "wall energy", "order in the cell", 2.0, "regression against 4 sqrt(A K)", _slope(edges, errors), 0.2, note=note
    )
    yield Curve(
        "convergence_cells", "relaxed wall, no stray field", "|E/(4 sqrt(AK)) - 1|", edges.tolist(), errors, "o-"
    )
    driven = replace(material, D_J_per_m2=0.5e-3, spin_hall_angle=-0.1)
    phase = Phase("run", 1e-9, current_density_A_per_m2=1e11)
    start = Initial("wall", position_m=100e-9, width_m=DELTA, azimuth_rad=math.pi)
    v = [speed(solve(thread(c, 400e-9, driven, start, phase)), c) for c in edges * 1e-9]
    limit = v[2] + (v[2] - v[1]) / 3
    yield Row(
        "speed under spin-orbit torque, 4 nm cells",
        "speed (m/s)",
        limit,
        "extrapolated from 2 and 1 nm",
        v[0],
        0.03,
        "relative",
    )


CHECKS = (fixed_steps, adaptive_steps, cells)
QUICK = (fixed_steps_quick,)
