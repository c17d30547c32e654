"""Numbers that mumax3's own tests expect (single precision; its stray field is integrated numerically)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from device_sims.problem import ELEMENTARY_CHARGE, Geometry, Initial, Material, Mesh, Phase, Problem
from device_sims.validation import Row
from device_sims.validation.oommf import STANDARD_4, standard_4
from device_sims.validation.setups import ADAPTIVE, means

SOURCE = "mumax3 tests"
BOHR_MAGNETON = 9.2740100783e-24  # J/T
FINE = replace(STANDARD_4, mesh=Mesh(128, 32, (500e-9 / 128, 125e-9 / 32, 3e-9)), record_interval_s=1e-9)


def _row(test: str, m: np.ndarray, expected: tuple, tolerance: float, note: str = "") -> Row:
    spelt = ", ".join(f"{c:.6f}" for c in expected)
    worst = float(np.abs(m - expected).max())
    return Row(test, f"max |<m> - ({spelt})|", 0.0, SOURCE, worst, tolerance, note=note)


def standard_4_field_1():
    _, m = means(standard_4(1, FINE))
    yield _row("sp4 s-state, 128x32", m[0], (0.966968, 0.125273, 0.0), 1e-4)
    yield _row("sp4 field 1, 1 ns", m[-1], (-0.984612, 0.126041, 0.043271), 1e-2)


def standard_4_field_2():
    _, m = means(standard_4(2, FINE))
    yield _row("sp4 field 2, 1 ns", m[-1], (-0.969233, -0.120395, -0.005308), 1e-2)


def zhang_li_vortex():
    """A vortex in 100 x 100 x 10 nm under J = 1e12 A/m2, P = 1: u = muB P J/(e Ms (1 + xi^2)), electrons against J."""
    Ms, xi = 8e5, 0.05
    u = -BOHR_MAGNETON * 1e12 / (ELEMENTARY_CHARGE * Ms * (1 + xi**2))
    problem = Problem(
        Mesh(32, 32, (100e-9 / 32, 100e-9 / 32, 2.5e-9), 4), Geometry(),
        Material(Ms, 1.3e-11, 0.1, zhang_li_beta=xi), (Phase("run", 1e-9, zhang_li_u_m_per_s=u),),
        Initial("vortex", relax_tolerance=1e-5), 0.0, replace(ADAPTIVE, tolerance=1e-5), 1e-9,
    )  # fmt: skip
    _, m = means(problem)
    yield _row("Zhang-Li vortex, 4 layers, 1 ns", m[-1], (-0.234798, -0.094536, 0.022964), 1e-3)


def slonczewski():
    """Standard problem 5c of mumax3: Lambda = 2 and a polariser at 20 degrees in the plane, -6 mA."""
    angle = math.radians(20)
    problem = Problem(
        Mesh(64, 32, (2.5e-9, 2.5e-9, 5e-9)), Geometry(),
        Material(
            8e5, 1.3e-11, 0.01, spin_hall_angle=0.5669, slonczewski_lambda=2.0,
            polarisation=(math.cos(angle), math.sin(angle), 0.0),
        ),
        (Phase("run", 0.5e-9, current_density_A_per_m2=-0.006 / (160e-9 * 80e-9)),),
        Initial("uniform", (1.0, 0.0, 0.0)), 0.0, replace(ADAPTIVE, tolerance=1e-5), 0.5e-9,
    )  # fmt: skip
    _, m = means(problem)
    yield _row("Slonczewski Lambda 2, 160x80x5 nm, 0.5 ns", m[-1], (0.905613, -0.286086, -0.011006), 1e-3)


CHECKS = (standard_4_field_1, standard_4_field_2, zhang_li_vortex, slonczewski)
QUICK = ()
