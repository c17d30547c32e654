"""Equilibrium distributions, and the rate at which a macrospin crosses its barrier."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import ks_2samp, kstest

from device_sims import engines
from device_sims.devices import stt_mtj
from device_sims.engines.llg import ensemble
from device_sims.problem import (
    BOLTZMANN,
    GAMMA0,
    MU0,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    geometry,
)
from device_sims.problem.magnetostatics import newell
from device_sims.problem.observables import mean_magnetisation
from device_sims.validation import Curve, Row
from device_sims.validation.demag import pair
from spinloom import streams

T = 300.0
ALARM = 1e-3
EXACT = "p(mz) ~ exp(Delta mz^2)"


def _cumulative(delta: float):
    """Return the distribution function of mz in a uniaxial moment with the barrier ``delta`` kT."""
    grid = np.linspace(-1, 1, 20001)
    density = np.exp(delta * (grid**2 - 1))
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return lambda z: np.interp(z, grid, cumulative / cumulative[-1])


def _uniaxial(delta: float, mesh: Mesh, alpha: float, **changes) -> Problem:
    """A film of cells that do not interact, each with the barrier ``delta`` kT, started in the hard plane."""
    Ku = delta * BOLTZMANN * T / mesh.cell_volume_m3
    problem = Problem(
        mesh, Geometry(), Material(1e6, 0.0, alpha, Ku_J_per_m3=Ku), (Phase("wait", 2e-10),),
        Initial("uniform", (1.0, 0.0, 0.0)), T, Numerics(5e-13, "fdr4", "float32", 0, demag=False), 2e-10,
        stream=(11, "validation", delta),
    )  # fmt: skip
    return replace(problem, **changes)


def uncoupled_cells():
    delta = 2.0
    for scheme, dt in (("fdr4", 5e-13), ("heun", 1e-13), ("rk4", 2e-13)):
        numerics = Numerics(dt, scheme, "float32", 0, demag=False)
        problem = _uniaxial(delta, Mesh(64, 64, (3e-9, 3e-9, 1e-9)), 0.5, numerics=numerics)
        (result,) = ensemble.run([problem])
        mx, my, mz = result.m[-1].reshape(3, -1)
        p = kstest(mz, _cumulative(delta)).pvalue
        name = f"4096 uncoupled cells, Delta 2, {scheme} {dt * 1e12:g} ps"
        yield Row(name, "KS of mz", None, EXACT, float(p), ALARM, "p_value")
        p = kstest(np.arctan2(my, mx), "uniform", args=(-math.pi, 2 * math.pi)).pvalue
        yield Row(name, "KS of the azimuth", None, "uniform", float(p), ALARM, "p_value")


def langevin():
    """Moments without any anisotropy in a field, on meshes whose numbers of cells are odd: <mz> = coth x - 1/x."""
    side, moment = 101, 1e6 * 3e-9 * 3e-9 * 1e-9
    for x in (0.5, 2.0):
        schedule = (Phase("wait", 2e-10, field_T=(0.0, 0.0, x * BOLTZMANN * T / moment)),)
        problem = _uniaxial(0.0, Mesh(side, side, (3e-9, 3e-9, 1e-9)), 0.5, schedule=schedule)
        (result,) = ensemble.run([problem])
        mx, my, mz = result.m[-1].reshape(3, -1)
        exact = 1 / math.tanh(x) - 1 / x
        scatter = math.sqrt((1 - exact**2 - 2 * exact / x) / side**2)
        name = f"{side} x {side} uncoupled moments, mu B/kT = {x:g}"
        note = f"scatter {scatter:.4f}"
        yield Row(name, "mean of mz", exact, "Langevin: coth x - 1/x", float(mz.mean()), 4 * scatter, note=note)
        p = kstest(np.arctan2(my, mx), "uniform", args=(-math.pi, 2 * math.pi)).pvalue
        yield Row(name, "KS of the azimuth", None, "uniform", float(p), ALARM, "p_value")


def macrospin_engine():
    for delta in (1.0, 3.0):
        one = _uniaxial(delta, Mesh(1, 1, (10e-9, 10e-9, 1e-9)), 0.3, numerics=Numerics(1e-12, "heun", demag=False))
        # half of them from each pole, long enough for both wells to mix
        one = replace(one, schedule=(Phase("wait", 3e-8),), record_interval_s=3e-8)
        problems = [
            replace(one, initial=Initial("uniform", (0.0, 0.0, 1.0 if i % 2 else -1.0)), stream=(12, delta, i))
            for i in range(2048)
        ]
        mz = [float(r.m[-1, 2].item()) for r in engines.run("macrospin", problems)]
        p = kstest(mz, _cumulative(delta)).pvalue
        name = f"macrospin engine, 2048 replicas, Delta {delta:g}"
        yield Row(name, "KS of mz", None, EXACT, float(p), ALARM, "p_value")


DISC = Problem(
    Mesh(6, 6, (2e-9, 2e-9, 1e-9)), Geometry("disc"), Material(1e6, 6e-12, 0.5, Ku_J_per_m3=5.5e5),
    (Phase("mix", 6e-10), Phase("more", 4e-10)), Initial("uniform", (1.0, 0.0, 0.0)), T,
    Numerics(2.5e-13, "fdr4", "float32", 0), 6e-10, stream=(13, "disc"),
)  # fmt: skip


def metropolis(problem: Problem, chains: int, sweeps: int, burn: int, stride: int) -> np.ndarray:
    """Return samples of <m> from Boltzmann's distribution of a problem's cells, ``float64[samples, 3]``.

    Metropolis' random walk on the energy of the cells (exchange bonds, anisotropy along z, the stray field of all
    pairs): it knows the energy alone, neither damping nor noise nor a time step.
    """
    mesh, material = problem.mesh, problem.material
    inside = np.argwhere(geometry.mask(problem.geometry, mesh))
    volume, kT = mesh.cell_volume_m3, BOLTZMANN * problem.temperature_K
    parts = newell.tensor(mesh.nx, mesh.ny, mesh.cell_m, mesh.nz)
    n = len(inside)
    coupling = np.zeros((n, n, 3, 3))  # E = 1/2 sum m_i C_ij m_j, in kT
    for i in range(n):
        for j in range(n):
            away = inside[i] - inside[j]
            coupling[i, j] = MU0 * material.Ms_A_per_m**2 * volume * pair(parts, away)
            if np.abs(away).sum() == 1:
                axis = 2 - int(np.argmax(np.abs(away)))
                coupling[i, j] -= np.eye(3) * 2 * material.A_J_per_m * volume / mesh.cell_m[axis] ** 2
        coupling[i, i, 2, 2] -= 2 * material.Ku_J_per_m3 * volume
    coupling /= kT
    random = streams.generator(14, "validation", "metropolis")
    m = np.zeros((n, 3, chains))
    m[:, 0] = 1
    across = np.ascontiguousarray(coupling.transpose(0, 2, 1, 3)).reshape(n, 3, 3 * n)
    samples = []
    for sweep in range(sweeps):
        for i in range(n):
            trial = m[i] + 0.6 * random.standard_normal((3, chains))
            trial /= np.sqrt((trial**2).sum(0))
            own = coupling[i, i]
            field = across[i] @ m.reshape(3 * n, chains) - own @ m[i]
            energy = ((trial - m[i]) * field).sum(0)
            energy += ((own @ trial) * trial - (own @ m[i]) * m[i]).sum(0) / 2
            taken = random.random(chains) < np.exp(np.minimum(-energy, 0))
            m[i] = np.where(taken, trial, m[i])
        if sweep >= burn and (sweep - burn) % stride == 0:
            samples.append(m.mean(0).T.copy())
    return np.concatenate(samples)


def disc(chains: int = 400, sweeps: int = 2500):
    """A disc of 32 exchange-coupled cells with its stray field: dynamics against Metropolis sampling."""
    problems = [replace(DISC, stream=(*DISC.stream, i)) for i in range(512)]
    mz, length = [], []
    for result in ensemble.run(problems, batch=True):
        m = mean_magnetisation(result.m[[result.phase_end["mix"], -1]].astype(np.float64), result.mask)
        mz += m[:, 2].tolist()
        length += np.sqrt((m**2).sum(1)).tolist()
    exact = metropolis(DISC, chains, sweeps, 500, 500)
    source = f"Metropolis sampling of the same energy, {len(exact)} states"
    name = "disc of 32 cells of 2 nm, 300 K"
    exact_length = np.sqrt((exact**2).sum(1))
    for label, a, b in (("<mz>", mz, exact[:, 2]), ("abs(<m>)", length, exact_length)):
        yield Row(name, f"two-sample KS of {label}", None, source, float(ks_2samp(a, b).pvalue), ALARM, "p_value")
    squares = float(np.mean(np.square(mz))), float((exact[:, 2] ** 2).mean())
    yield Row(name, "mean of <mz>^2", squares[1], source, squares[0], 0.06, "relative")
    note = "1 for a macrospin: this disc is not one"
    yield Row(
        name, "mean of abs(<m>)", float(exact_length.mean()), source, float(np.mean(length)), 0.01, "relative", note
    )
    for label, values, style, colour in (("Spinloom", mz, "-", 0), ("Metropolis", exact[:, 2], "--", 1)):
        place = np.sort(values)
        share = (np.arange(len(place)) + 0.5) / len(place)
        yield Curve("boltzmann_disc", name, label, place.tolist(), share.tolist(), style, colour)


def escape():
    """The share that an ensemble from one well has in it more than in the other decays with twice the escape rate."""
    alpha, Ms, mesh = 0.1, 1e6, Mesh(1, 1, (16e-9, 16e-9, 1e-9))
    for delta in (5.0, 7.0):
        one = _uniaxial(delta, mesh, alpha, numerics=Numerics(1e-12, "heun", demag=False))
        Hk = 2 * one.material.Ku_J_per_m3 / (MU0 * Ms)
        well = stt_mtj.Axial(alpha * GAMMA0 * Hk / (1 + alpha**2), delta, 0.0, 0.0, 0.0)
        # sixteen steps over two mean lifetimes of the excess
        interval = round(1 / (16 * well.escape_rate()) / 1e-12) * 1e-12
        start = Initial("uniform", (0.0, 0.0, 1.0))
        one = replace(one, initial=start, schedule=(Phase("wait", 16 * interval),), record_interval_s=interval)
        results = list(engines.run("macrospin", [replace(one, stream=(15, delta, i)) for i in range(2048)]))
        excess = np.array([np.sign(r.m[:, 2, 0, 0, 0]) for r in results]).mean(0)
        excess, t = excess[1:], results[0].t_s[1:]
        # an average of n signs has the variance (1 - excess^2)/n
        decay = -np.polyfit(t, np.log(excess), 1, w=excess / np.sqrt(1 - excess**2))[0]
        slowest = np.sort(np.abs(np.linalg.eigvals(stt_mtj.propagator(well, interval))))[-2]
        exact = -math.log(slowest) / interval
        name = f"escape over the barrier, Delta {delta:g}"
        quantity, source = "time out of a well (ns)", "slowest mode of the Fokker-Planck equation"
        yield Row(name, quantity, 2e9 / exact, source, 2e9 / decay, 0.15, "relative", "2048 replicas: 4 % of scatter")
        source = "Brown, Phys. Rev. 130, 1677 (high barrier)"
        yield Row(name, quantity, 1e9 / well.escape_rate(), source, 2e9 / decay, 1.5, "factor")


CHECKS = (uncoupled_cells, langevin, macrospin_engine, disc, escape)
QUICK = (langevin, macrospin_engine)
