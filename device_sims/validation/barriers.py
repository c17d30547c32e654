"""Energy barriers and attempt times: closed forms, and escapes that were simulated at three temperatures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from device_sims.barriers import Landscape, Settings, between, guesses
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
    Region,
    Until,
)
from device_sims.problem.initial import initial_magnetisation
from device_sims.validation import Curve, Row

MS, K, V = 8e5, 2e5, 5e-25
ALPHA = 0.1
NO_STRAY = Numerics(5e-13, "fdr4", "float32", 0, demag=False)
A, KU, CELL = 1e-11, 3e5, 2e-9  # of the thread
WIDTH = math.sqrt(A / KU)
WELL_M = 70e-9  # so far from the left end that no wall leaves there against the field
HEIGHTS = (6.0, 7.0, 8.0)  # kB T at the three temperatures; Langer's theory is for high barriers


def _moment(h: float, hard: float) -> Problem:
    own = Material(MS, 1e-11, ALPHA, Ku_J_per_m3=K, second_Ku_J_per_m3=-hard)
    field = (Phase("rest", 1e-9, field_T=(0, 0, -h * 2 * K / MS)),)
    return Problem(Mesh(1, 1, (1e-8, 1e-8, 5e-9)), Geometry(), own, field, Initial("uniform"), 300.0, NO_STRAY, 1e-9)


def _leaning(z: float) -> np.ndarray:
    return np.reshape([0.1, 0.0, z], (3, 1, 1, 1)) / math.hypot(0.1, z)


def moments():
    for h in (0.0, 0.4):
        found = between(_moment(h, 5e4), _leaning(1.0), _leaning(-1.0), Settings(attempt="none"))
        expected, source = K * V * (1 - h) ** 2, "K V (1 - h)^2"
        yield Row(
            "biaxial moment", f"barrier at h = {h:g} (J)", expected, source, found.barriers_J[0], 1e-6, "relative"
        )
        found = between(_moment(h, 0.0), _leaning(1.0), _leaning(-1.0))
        s = K * V / (BOLTZMANN * 300)
        brown = ALPHA / (1 + ALPHA**2) * GAMMA0 * 2 * K / (MU0 * MS) * math.sqrt(s / math.pi) * (1 - h * h) * (1 - h)
        rate = found.attempts[0].rate_per_s
        yield Row("uniaxial moment", f"attempts at h = {h:g} (1/s)", brown, "Brown (1963)", rate, 1e-4, "relative")


def nucleation():
    """Discs without stray field: K V while they turn as one, 4 sqrt(A K) d t at most where a wall goes through."""
    diameters, found, turned, wall = [], [], [], []
    for cells in (6, 9, 12, 16, 20, 26, 32):
        d = cells * 2e-9
        own = Material(MS, 1e-11, ALPHA, Ku_J_per_m3=4e5)
        mesh = Mesh(cells, cells, (2e-9, 2e-9, 1e-9))
        phases = (Phase("rest", 1e-9),)
        disc = Problem(mesh, Geometry("disc"), own, phases, Initial("uniform"), 300.0, NO_STRAY, 1e-9)
        landscape = Landscape(disc)
        up = np.reshape([0.0, 0.0, 1.0], (3, 1, 1, 1)) * landscape.mask
        barrier = between(disc, up, -up, Settings(attempt="none"), landscape=landscape)
        diameters.append(d * 1e9)
        found.append(barrier.barriers_J[0] / (BOLTZMANN * 300) if barrier.converged else math.nan)
        turned.append(4e5 * landscape.cells * 4e-27 / (BOLTZMANN * 300))
        wall.append(4 * math.sqrt(1e-11 * 4e5) * d * 1e-9 / (BOLTZMANN * 300))
    note = f"barriers in kB T at 300 K: {', '.join(f'{b:.3g}' for b in found)}"
    yield Row(
        "disc", f"barrier of {diameters[0]:g} nm (kB T)", turned[0], "K V", found[0], 1e-6, "relative", note
    )  # fmt: skip
    yield Row(
        "disc", f"barrier of {diameters[-1]:g} nm (kB T)", wall[-1], "4 sqrt(A K) d t", found[-1], 0.05, "relative",
        note="the disc is a few wall widths wide",
    )  # fmt: skip
    excess = max(b / min(t, w) for b, t, w in zip(found, turned, wall))
    yield Row("disc", "largest barrier over the lower of both bounds", 1.0, "variational", excess, 1e-6)
    for label, values, style, colour in (("found", found, "o", 0), ("K V", turned, "-", 1), ("wall", wall, "-", 2)):
        yield Curve("barrier_of_a_disc", "without stray field", label, diameters, values, style, colour)


def _pinned() -> Problem:
    """A thread whose wall sits in 10 nm of lower Ku, pulled by 20 mT; a weak easy axis across fixes its azimuth."""
    own = Material(MS, A, 0.3, Ku_J_per_m3=KU, second_Ku_J_per_m3=1e5)
    well = Region((WELL_M - 5e-9, WELL_M + 5e-9), (0.0, 1.0), (("Ku_J_per_m3", 0.3),))
    wait = Phase("wait", 4e-6, field_T=(0.0, 0.0, 0.02), until=Until("mz", above=0.5))
    start = Initial("wall", position_m=WELL_M, width_m=WIDTH, relax_tolerance=1e-5)
    mesh = Mesh(75, 1, (CELL, 20e-9, 1e-9))
    return Problem(mesh, Geometry(), own, (wait,), start, 300.0, NO_STRAY, 2e-10, regions=(well,))


def escapes(walls: int = 80):
    """A pinned wall in a field: how long it stays at three temperatures."""
    problem = _pinned()
    landscape = Landscape(problem)
    a = landscape.minimum(initial_magnetisation(problem, landscape.mask))
    up = np.reshape([0.0, 0.0, 1.0], (3, 1, 1, 1)) * landscape.mask
    pulled = np.stack([guesses.shifted(a, landscape.mask, columns) for columns in np.linspace(0, 48, 30)])
    found = between(problem, a, up, Settings(images=30), guess=pulled, landscape=landscape)
    kelvin = found.barriers_J[0] / BOLTZMANN
    temperatures = np.array([kelvin / height for height in HEIGHTS])
    rates = []
    for temperature in temperatures:
        own = [
            replace(problem, temperature_K=float(temperature), stream=(7, "escapes", float(temperature), number))
            for number in range(walls)
        ]
        stayed, gone = 0.0, 0
        for result in ensemble.run(own):
            stayed, gone = stayed + float(result.t_s[-1]), gone + (not result.notes)  # a note: it did not leave in time
        rates.append(gone / stayed)
    slope = -np.polyfit(1 / temperatures, np.log(rates), 1)[0]
    # each log(rate) is known to 1/sqrt(walls)
    error = 1 / math.sqrt(walls * ((kelvin / temperatures - np.mean(HEIGHTS)) ** 2).sum())
    yield Row(
        "pinned wall", "slope of log(rate) against 1/T (K)", kelvin, "barrier", float(slope), 3.3 * error, "relative",
        f"{walls} escapes at {', '.join(f'{t:.0f}' for t in temperatures)} K; 3.3 standard errors",
    )  # fmt: skip
    for temperature, rate in zip(temperatures, rates):
        yield Row(
            "pinned wall", f"rate at {temperature:.0f} K (1/s)", found.rates_per_s(float(temperature))[0], "Langer",
            float(rate), 1.6, "factor", f"standard error {100 / math.sqrt(walls):.0f} %; for high barriers",
        )  # fmt: skip
    inverse = (1000 / temperatures).tolist()
    theory = [found.rates_per_s(float(t))[0] for t in temperatures]
    for label, values, style, colour in (("simulated", rates, "o", 0), ("Langer", theory, "-", 1)):
        yield Curve("escapes_of_a_wall", "20 mT", label, inverse, list(map(float, values)), style, colour)


CHECKS = (moments, nucleation, escapes)
QUICK = (moments,)
