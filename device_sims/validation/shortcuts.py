"""What each approximation costs: larger steps, a stray field evaluated less often, single precision, discrete noise.

The errors are of <m> on the driven track with DMI after 0.2 ns, where every stage with its own stray field at a small
step in double precision is the truth. The tolerance, 1e-3, is a wall displacement of a quarter of a nanometre: a sixth
of what temperature does to the same wall in that time (group diffusion).
"""

from __future__ import annotations

import numpy as np

from device_sims.engines.llg.fields import thermal
from device_sims.problem import Numerics
from device_sims.validation import Row
from device_sims.validation.setups import driven_track, lasting, means, with_numerics

SOURCE = "RK4 at 0.1 ps, float64, stray field at each stage"
TOLERANCE = 1e-3


def _mean(numerics: Numerics) -> np.ndarray:
    problem = with_numerics(lasting(driven_track(), 2e-10, 2e-10), **vars(numerics))
    return means(problem)[1][-1]


def _rows(cases):
    truth = _mean(Numerics(1e-13, "rk4", "float64", 0))
    for scheme, dt, interval, precision in cases:
        error = float(np.abs(_mean(Numerics(dt, scheme, precision, interval)) - truth).max())
        often = f"every {interval} steps" if interval else "at each stage"
        name = f"{scheme} {dt * 1e12:g} ps, stray field {often}, {precision}"
        yield Row(name, "max error of <m>, 0.2 ns", 0.0, SOURCE, error, TOLERANCE)


def steps():
    yield from _rows(
        (
            ("fdr4", 5e-13, 0, "float64"),
            ("fdr4", 5e-13, 1, "float64"),
            ("fdr4", 5e-13, 2, "float64"),
            ("fdr4", 5e-13, 4, "float64"),
            ("fdr4", 5e-13, 2, "float32"),
            ("heun", 1e-13, 0, "float64"),
            ("heun", 1e-13, 4, "float64"),
            ("rk4", 4e-13, 0, "float64"),
            ("rk4", 4e-13, 1, "float64"),
        )
    )


def steps_quick():
    yield from _rows((("fdr4", 5e-13, 2, "float32"),))


def precision():
    numerics = [Numerics(5e-13, "fdr4", p, 2) for p in ("float64", "float32")]
    wide, narrow = (_mean(n) for n in numerics)
    yield Row(
        "fdr4 0.5 ps, float32",
        "max |<m> - <m> in float64|, 0.2 ns",
        0.0,
        "float64",
        float(np.abs(narrow - wide).max()),
        2e-5,
    )


def noise():
    """Moments of the 1024 equally likely values; a scheme of weak order two asks for those up to the fifth."""
    levels = thermal.levels()
    for power, expected, tolerance in (
        (1, 0.0, 1e-12),
        (2, 1.0, 1e-12),
        (3, 0.0, 1e-12),
        (4, 3.0, 1e-9),
        (5, 0.0, 1e-9),
    ):
        obtained = float((levels**power).mean())
        yield Row("1024-level noise", f"moment {power}", expected, "normal distribution", obtained, tolerance)
    note = "no scheme here asks for it"
    obtained = float((levels**6).mean())
    yield Row("1024-level noise", "moment 6", 15.0, "normal distribution", obtained, 0.1, "relative", note)


CHECKS = (steps, precision, noise)
QUICK = (steps_quick, noise)
