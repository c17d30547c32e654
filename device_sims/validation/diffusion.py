"""Free thermal diffusion of a wall at 300 K: OOMMF's 48 runs, and the collective-coordinate law."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.stats import chi2, f, ks_2samp

from device_sims.engines.llg import ensemble
from device_sims.problem import BOLTZMANN, GAMMA0, MU0, Geometry, Initial, Material, Mesh, Phase, Problem
from device_sims.problem.observables import mean_magnetisation
from device_sims.validation import REFERENCE, Curve, Row
from device_sims.validation.setups import THERMAL

WIDTH, LENGTH, THICKNESS, DELTA = 64e-9, 384e-9, 1e-9, 9.35e-9
ALARM = 1e-3
PROBLEM = Problem(
    Mesh(96, 16, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 1.5e-11, 0.1, Ku_J_per_m3=8e5),
    (Phase("wait", 6e-10),), Initial("wall", position_m=192e-9, width_m=DELTA, azimuth_rad=math.pi / 2), 300.0,
    THERMAL, 5e-11, stream=(21, "wall diffusion"),
)  # fmt: skip


def displacements(replicas: int) -> np.ndarray:
    """Return the wall's displacement every 50 ps, ``float64[replicas, 12]``, nm."""
    rows = []
    for result in ensemble.run([replace(PROBLEM, stream=(*PROBLEM.stream, i)) for i in range(replicas)]):
        mz = mean_magnetisation(result.m.astype(np.float64), result.mask)[:, 2]
        rows.append((mz[1:] - mz[0]) * LENGTH / 2 * 1e9)
    return np.array(rows)


def wall(replicas: int = 48):
    ours = displacements(replicas)
    theirs = np.loadtxt(REFERENCE / "thermal_wall_diffusion.csv", delimiter=",", skiprows=1)[:, 1:]
    t = np.arange(1, 13) * 0.05
    alpha = PROBLEM.material.alpha
    D = alpha * GAMMA0 * DELTA * BOLTZMANN * 300 / ((1 + alpha**2) * 2 * MU0 * 1e6 * WIDTH * THICKNESS)
    law = np.sqrt(2 * D * t * 1e-9) * 1e9
    n, n_oommf = len(ours), len(theirs)
    ratio_low, ratio_high = (math.sqrt(chi2.ppf(q, n - 1) / (n - 1)) for q in (ALARM / 2, 1 - ALARM / 2))
    yield Row(
        "wall diffusion", "mean displacement at 600 ps over its standard error", 0.0, "symmetry",
        float(ours[:, -1].mean() / ours[:, -1].std(ddof=1) * math.sqrt(n)), 3.3, note="3.3: p = 1e-3",
    )  # fmt: skip
    for picosecond in (50, 200, 400, 600):
        k = round(picosecond / 50) - 1
        a, b = ours[:, k], theirs[:, k]
        name = f"wall diffusion, {picosecond} ps"
        share = f.cdf(a.var(ddof=1) / b.var(ddof=1), n - 1, n_oommf - 1)
        note = f"sd {a.std(ddof=1):.2f} nm, OOMMF {b.std(ddof=1):.2f} nm"
        yield Row(
            name,
            "F test of the variances",
            None,
            "OOMMF, 48 runs",
            float(2 * min(share, 1 - share)),
            ALARM,
            "p_value",
            note,
        )
        p = ks_2samp(a - a.mean(), b - b.mean()).pvalue
        yield Row(name, "two-sample KS", None, "OOMMF, 48 runs", float(p), ALARM, "p_value")
        note = f"tolerance: {n} replicas' 1e-3 interval"
        tolerance = float(max(ratio_high - 1, 1 - ratio_low))
        yield Row(name, "sd (nm)", float(law[k]), "sqrt(2 D t)", float(a.std(ddof=1)), tolerance, "relative", note)
    # variance against time; increments of the free walk are independent, so the exponent's error is known by resampling
    exponent = _exponent(t, ours)
    random = np.random.default_rng(1)
    spread = np.std([_exponent(t, ours[random.integers(0, n, n)]) for _ in range(400)])
    note = f"bootstrap standard error {spread:.2f}; three of them"
    yield Row(
        "wall diffusion",
        "exponent of the variance's growth",
        1.0,
        "free diffusion",
        exponent,
        float(3 * spread),
        note=note,
    )
    for label, values, style, colour in (
        (f"Spinloom, {n} runs", ours.std(0, ddof=1), "o", 0),
        (f"OOMMF, {n_oommf} runs", theirs.std(0, ddof=1), "s", 1),
        ("sqrt(2 D t)", law, "-", 2),
    ):
        yield Curve("wall_diffusion", "384 x 64 x 1 nm, 300 K", label, t.tolist(), values.tolist(), style, colour)


def _exponent(t: np.ndarray, x: np.ndarray) -> float:
    """Return d log(variance)/d log(t) by least squares, each variance having the same relative error."""
    return float(np.polyfit(np.log(t), np.log(x.var(0, ddof=1)), 1)[0])


CHECKS = (wall,)
QUICK = ()
