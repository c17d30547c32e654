"""The temperature that the magnetisation itself shows.

In equilibrium kB T = mu0 Ms V <sum |m x H|^2> / (2 <sum m.H>) for exchange and applied field (Ma et al., PRE 82,
031111): 64 x 64 cells of 4 nm, A = 2e-11 J/m, 1 T along z.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from device_sims.engines.llg.integrators import EVALUATIONS
from device_sims.engines.llg.solver import Solver
from device_sims.engines.llg.stability import temperature_ratio
from device_sims.problem import BOLTZMANN, GAMMA0, MU0, Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from device_sims.validation import Curve, Row
from spinloom import streams

N, FIELD_T, SOURCE = 64, 1.0, "the set temperature"
SAMPLES = 300


def reading(scheme: str, dt: float, alpha: float, temperature: float = 300.0) -> float:
    """Return the temperature of the cells' state under a scheme, K; its own scatter is about 0.3 %.

    ``dt`` is the time step, s, and ``temperature`` the one that is set, K.
    """
    problem = Problem(
        Mesh(N, N, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 2e-11, alpha),
        (Phase("wait", 1e-9, field_T=(0.0, 0.0, FIELD_T)),), Initial("uniform", (0.0, 0.0, 1.0)), temperature,
        Numerics(dt, scheme, "float32", 0, demag=False), 1e-9,
    )  # fmt: skip
    solver = Solver(problem)
    system, drive = solver.system(problem), solver.drive(problem, problem.schedule[0])
    values, state = solver.values(drive, 0), solver.start(problem)
    key = streams.key(11, "thermometer", scheme, dt, alpha, temperature)
    # the slowest mode relaxes with alpha gamma0 H
    rest = 3 / (alpha * GAMMA0 * FIELD_T / MU0)
    taken, stride = round(rest / dt), max(1, round(1e-12 / dt))
    state = solver.advance(system, drive, state, key, 0, taken)
    torque = along = 0.0
    for _ in range(SAMPLES):
        state = solver.advance(system, drive, state, key, taken, stride)
        taken += stride
        fields = solver.local(system, values, tuple(state.m))
        m = np.asarray(state.m, np.float64)
        h = sum(np.asarray(jnp.stack(fields[name]), np.float64) for name in ("exchange", "zeeman"))
        # a cell's bonds with itself are a constant energy: they exert no torque and must not count along m
        h += np.asarray(system.exchange.total, np.float64) * m
        torque += (np.cross(m, h, axis=0) ** 2).sum()
        along += (m * h).sum()
    unit = MU0 * problem.material.Ms_A_per_m**2 * problem.mesh.cell_volume_m3
    return unit * torque / (2 * along) / BOLTZMANN


def theory(scheme: str, dt: float, alpha: float) -> float:
    """Return what linear spin waves make of the thermometer: each wave's T(x), weighted with its frequency.

    ``dt`` is the time step, s.
    """
    Ms, cell = 1e6, 4e-9
    wave = 2 - 2 * np.cos(np.pi * np.arange(N) / N)
    field = FIELD_T / (MU0 * Ms) + 2 * 2e-11 / (MU0 * Ms**2 * cell**2) * (wave[:, None] + wave)
    x = GAMMA0 * Ms * dt / (1 + alpha**2) * field
    ratio = temperature_ratio(scheme, alpha, x)
    return float((field * ratio).sum() / field.sum()) if (ratio > 0).all() else np.inf


def sweeps_scheme():
    for temperature in (100.0, 300.0, 500.0):
        for alpha in (0.3, 0.03):
            name = f"fdr4 0.5 ps, alpha {alpha:g}, {temperature:g} K"
            obtained = reading("fdr4", 5e-13, alpha, temperature)
            yield Row(name, "T (K)", temperature, SOURCE, obtained, 0.03, "relative")


def sweeps_scheme_quick():
    yield Row("fdr4 0.5 ps, alpha 0.3, 300 K", "T (K)", 300.0, SOURCE, reading("fdr4", 5e-13, 0.3), 0.03, "relative")


STEPS = {
    "heun": {0.3: (0.05, 0.1, 0.2, 0.25, 0.3), 0.03: (0.025, 0.05, 0.1, 0.15, 0.2)},
    "rk4": {0.3: (0.1, 0.2, 0.3, 0.4, 0.5), 0.03: (0.1, 0.2, 0.3, 0.4, 0.5)},
    "fdr4": {0.3: (0.2, 0.4, 0.5, 0.6), 0.03: (0.2, 0.4, 0.5, 0.6)},
}


def _cost(scheme: str):
    """Temperature against the step; the field evaluations per ps that keep it within 3 %, against linear spin waves."""
    stages = EVALUATIONS[scheme]
    for alpha, steps in STEPS[scheme].items():
        read = [reading(scheme, dt * 1e-12, alpha) / 300 for dt in steps]
        panel = f"alpha {alpha:g}, 300 K, 4 nm cells"
        colour = list(STEPS).index(scheme)
        yield Curve("thermometer", panel, f"{scheme}, simulated", [stages / dt for dt in steps], read, "o", colour)
        fine = np.geomspace(steps[0] / 1.2, 0.7, 200)
        line = [theory(scheme, dt * 1e-12, alpha) for dt in fine]
        sound = np.isfinite(line)
        x, y = (stages / fine)[sound], np.array(line)[sound]
        yield Curve("thermometer", panel, f"{scheme}, linear spin waves", x.tolist(), y.tolist(), "-", colour)
        off = np.abs(np.array(read) - 1)
        listed = ", ".join(f"{300 * r:.1f} K at {dt:g} ps" for r, dt in zip(read, steps))
        expected = [theory(scheme, dt * 1e-12, alpha) for dt in steps]
        # beyond this the fastest waves are so hot that they are no longer small
        worst = max(abs(r - e) for r, e in zip(read, expected) if abs(e - 1) < 0.1)
        yield Row(
            f"{scheme}, alpha {alpha:g}, all steps of T within 10 %", "largest difference of T/300 K", 0.0,
            "linear spin waves, T(x) of integrators.py", worst, 0.03, note=listed,
        )  # fmt: skip
        kept = _kept(np.array(steps), off)
        by_theory = _kept(fine, np.abs(np.array(line) - 1))
        note = "largest step that keeps 3 %, interpolated"
        yield Row(
            f"{scheme}, alpha {alpha:g}", "field evaluations per ps for T to 3 %", stages / by_theory,
            "linear spin waves", stages / kept, 1.3, "factor", note,
        )  # fmt: skip


def _kept(steps: np.ndarray, off: np.ndarray) -> float:
    """Return the step where the deviation first exceeds 3 %, or the last one if none does."""
    for k in range(len(steps)):
        if not off[k] <= 0.03:
            if k == 0:
                return float("nan")
            far = min(off[k], 10.0)
            return float(steps[k - 1] + (0.03 - off[k - 1]) / (far - off[k - 1]) * (steps[k] - steps[k - 1]))
    return float(steps[-1])


def cost_heun():
    yield from _cost("heun")


def cost_rk4():
    yield from _cost("rk4")


def cost_fdr4():
    yield from _cost("fdr4")


CHECKS = (sweeps_scheme, cost_heun, cost_rk4, cost_fdr4)
QUICK = (sweeps_scheme_quick,)
