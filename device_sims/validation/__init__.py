"""Evidence that the built-in engines are right: rows of expected and obtained, by one command.

A group is a module of this package with ``CHECKS``, a tuple of functions that yield `Row` and `Curve`, and ``QUICK``,
those of them (or shorter ones) that together take seconds. ``docs/validation.md`` holds the table of a full run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# in the order of the table
GROUPS = (
    "demag",
    "oommf",
    "mumax3",
    "analytic",
    "convergence",
    "pinning",
    "symmetry",
    "shortcuts",
    "thermometer",
    "boltzmann",
    "diffusion",
    "barriers",
    "reproducibility",
    "devices",
)
COMPARED = ("oommf", "mumax3")  # those of problems that every micromagnetic engine can solve
REFERENCE = Path(__file__).parent / "reference"

# how a row's tolerance is meant: whether ``obtained`` passes
KINDS = {
    "absolute": lambda expected, obtained, tolerance: abs(obtained - expected) <= tolerance,
    "relative": lambda expected, obtained, tolerance: abs(obtained - expected) <= tolerance * abs(expected),
    "factor": lambda expected, obtained, tolerance: 1 / tolerance <= obtained / expected <= tolerance,
    # a right solver falls below it with the probability ``tolerance``
    "p_value": lambda expected, obtained, tolerance: obtained >= tolerance,
    # shows that the check can fail: what is known to be wrong must lie this far off
    "at_least": lambda expected, obtained, tolerance: obtained >= tolerance,
}


@dataclass(frozen=True)
class Row:
    """A line of the table; ``expected`` is None where the kind of tolerance needs none."""

    test: str
    quantity: str
    expected: float | None
    source: str
    obtained: float
    tolerance: float
    kind: str = "absolute"
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the tolerance is kept; never by something that is not a finite number."""
        return bool(np.isfinite(self.obtained) and KINDS[self.kind](self.expected, self.obtained, self.tolerance))


@dataclass(frozen=True)
class Curve:
    """A line of a figure: ``FIGURES`` of `device_sims.validation.figures` names its axes."""

    figure: str
    panel: str
    label: str
    x: list = field(repr=False)
    y: list = field(repr=False)
    style: str = "-"
    colour: int = 0
