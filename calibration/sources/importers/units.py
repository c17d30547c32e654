"""Ranges outside of which a number is not in the unit that its name says."""

from __future__ import annotations

import numpy as np

from spinloom.errors import UserError

# end of a name -> lowest, highest, what a number outside most likely is; the longest end that fits counts
_RANGES = {
    "_S": (1e-12, 1.0, "is that in another unit? then give option conductance_unit"),
    "noise_S": (0.0, 1.0, "is that in uS?"),
    "_V": (-1e3, 1e3, "is that in mV?"),
    "current_at_V": (1e-6, 1e3, "is that in mV?"),
    "_A_per_m2": (-1e15, 1e15, "is that a current density?"),
    "_T": (-1e2, 1e2, "is that in mT?"),
    "duration_s": (1e-15, 1.0, "is that in ns?"),
    "latency_s": (0.0, 1.0, "is that in ns?"),
    "_J": (0.0, 1.0, "is that in fJ?"),
    "_K": (0.0, 2e3, "is that in degrees Celsius?"),
}


def allowed_range(name: str) -> tuple[float, float, str]:
    """Return lowest and highest value allowed under this column's or option's name, and a hint."""
    ends = [end for end in _RANGES if name.endswith(end)]
    return _RANGES[max(ends, key=len)] if ends else (-np.inf, np.inf, "")


def complaint(value: float, name: str) -> str:
    """Return what is found and allowed if a number does not suit the unit in its name, else an empty text."""
    low, high, hint = allowed_range(name)
    return "" if low <= value <= high else f"found {value:g}, allowed: {low:g}..{high:g} ({hint})"


def check_values(values: np.ndarray, name: str, rows: np.ndarray, where: str) -> None:
    """Check all finite numbers of a column; the error names the row of the first outside the range.

    Parameters
    ----------
    values : ndarray, float64[n]
        NaN where there is none.
    name : str
        Column.
    rows : ndarray, int64[n]
        Where each stands in the file.
    where : str
        The file.

    Raises
    ------
    UserError
        If a finite value is outside the column's range.
    """
    low, high, _ = allowed_range(name)
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((values < low) | (values > high))
    if len(wrong):
        raise UserError(f"{where}: row {rows[wrong[0]]}, column {name}: {complaint(float(values[wrong[0]]), name)}")
