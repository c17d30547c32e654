"""The field that frees a wall from a boundary of two media: a muMAG-style standard problem with a closed form.

For a wall that a field along the axis presses from a soft half (I) against a hard one (II), with e_A = A_I/A_II and
so on:

    B = (2 K_II / Ms_II) (1 - e_K e_A) / (1 + sqrt(e_M e_A))^2

(H. Kronmueller and D. Goll, Physica B 319, 122 (2002); proposed as a standard problem, with these numbers, by
D. Heistracher et al., "Proposal for a micromagnetic standard problem: domain wall pinning at phase boundaries").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, Region
from device_sims.problem.observables import mean_magnetisation
from device_sims.validation import Row
from device_sims.validation.setups import solve

HARD = Material(1 / (4e-7 * math.pi), 1e-11, 1.0, Ku_J_per_m3=1e6)
HALF_M = 40e-9
# what of the soft half differs from the hard one, as a factor
CASES = {
    "A, Ku and Ms": {"A_J_per_m": 0.25, "Ku_J_per_m3": 0.1, "Ms_A_per_m": 0.25},
    "A and Ku": {"A_J_per_m": 0.25, "Ku_J_per_m3": 0.1},
    "Ku": {"Ku_J_per_m3": 0.1},
    "A": {"A_J_per_m": 0.25},
}
STEP, RANGE = 1e-3, 0.02  # of the fields, relative to the closed form
SOURCE = "Kronmueller and Goll, Physica B 319, 122; problem of Heistracher et al."


def closed_form_T(factors: dict[str, float]) -> float:
    """Return the field that frees the wall, T; ``factors`` are the soft half's constants over the hard one's."""
    a, k, m = (factors.get(name, 1.0) for name in ("A_J_per_m", "Ku_J_per_m3", "Ms_A_per_m"))
    field = 2 * HARD.Ku_J_per_m3 / HARD.Ms_A_per_m
    return field * (1 - k * a) / (1 + math.sqrt(m * a)) ** 2


def boundary(factors: dict[str, float], cell_m: float, fields_T: list[float]) -> Problem:
    """Return a wall that is relaxed in each of the fields, one after the other, from the soft half."""
    cells = round(2 * HALF_M / cell_m)
    return Problem(
        mesh=Mesh(cells, 1, (cell_m, 1e-9, 1e-9)),
        geometry=Geometry(),
        material=HARD,
        schedule=tuple(
            Phase(f"{number}", 0.0, field_T=(0.0, 0.0, field), relax_tolerance=1e-6)
            for number, field in enumerate(fields_T)
        ),
        initial=Initial("wall", position_m=HALF_M / 2, width_m=5e-9, azimuth_rad=0.1),
        temperature_K=0.0,
        numerics=Numerics(1e-14, "dopri5", "float64", 0, demag=False),
        record_interval_s=1e-14,
        regions=(Region((0.0, HALF_M), (0.0, 1e-9), tuple(sorted(factors.items()))),),
    )


def freeing_field_T(factors: dict[str, float], cell_m: float) -> float:
    """Return the mean of the last field that holds the wall and the first that does not, T; nan if all or none do."""
    expected = closed_form_T(factors)
    fields = (expected * np.arange(1 - RANGE, 1 + RANGE + STEP / 2, STEP)).tolist()
    # half of the field brings the wall to the boundary
    result = solve(boundary(factors, cell_m, [expected / 2, *fields]))
    free = mean_magnetisation(result.m, result.mask)[2:, 2] > 0.9
    first = int(free.argmax())
    return (fields[first - 1] + fields[first]) / 2 if free.any() and first else math.nan


def _rows(cases: Iterable[str], tolerances: dict[float, float]) -> Iterator[Row]:
    """Yield the rows of some cases; ``tolerances`` are by the cell's length in nm."""
    for name in cases:
        for cell, tolerance in tolerances.items():
            found = freeing_field_T(CASES[name], cell * 1e-9)
            test = f"wall at a boundary of {name}, {cell:g} nm cells"
            yield Row(test, "freeing field (T)", closed_form_T(CASES[name]), SOURCE, found, tolerance, "relative")


def freeing_fields():
    yield from _rows(CASES, {0.5: 1e-2, 0.25: 5e-3})


def one_freeing_field():
    yield from _rows(["A and Ku"], {0.5: 5e-3})


CHECKS = (freeing_fields,)
QUICK = (one_freeing_field,)
