"""What distinguishes runs, as the names of their folders, a manifest or the columns of their tables say it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.sources.tabular.units import unit_of
from spinloom.errors import UserError

# what is told of a run -> what its unit measures
QUANTITIES = {
    "voltage_V": "voltage",
    "current_density_A_per_m2": "current_density",
    "field_T": "field",
    "zhang_li_u_m_per_s": "velocity",
    "duration_s": "time",
    "temperature_K": "temperature",
    "start_m": "length",
}
LABELS = ("device",)
COUNTS = ("replica", "seed")  # one and the same: the repetition
KNOWN = (*QUANTITIES, *LABELS, *COUNTS)
LENGTHS = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "pm": 1e-12}
_NUMBER = r"[+-]?\d+(?:[.p]\d+)?(?:[eE][+-]?\d+)?"
_UNIT = r" ?(?:[A-Za-zµμ]+(?:/m\^?2|m\^?-2|/s)?)??"


def quantity(text: str, name: str) -> float:
    """Return a number with or without a unit, as ``0.5``, ``2ns``, ``500 mV`` or ``0p5``, in SI.

    Raises
    ------
    ValueError
        If it is no number, or its unit measures something else.
    """
    found = re.fullmatch(rf"\s*({_NUMBER})\s*(\D.*?)?\s*", text)
    if not found:
        raise ValueError(f"found '{text}', allowed: a number, with its unit or in SI")
    value, unit = float(found[1].replace("p", ".")), found[2]
    if unit is None:
        return value
    wanted = QUANTITIES[name]
    plain = unit.replace("µ", "u").replace("μ", "u")
    known = unit_of(unit)
    if wanted == "length" and plain in LENGTHS:
        return _times(found[1], LENGTHS[plain])
    if wanted == "velocity" and plain == "m/s":
        return value
    if known is None or known.quantity != wanted:
        raise ValueError(f"found the unit '{unit}' of '{text}', allowed: a unit of {wanted.replace('_', ' ')}")
    return _times(found[1], known.scale)


def _times(number: str, scale: float) -> float:
    """Return a number times a power of ten, rounded once: 2 ns is the float 2e-9."""
    digits, _, power = number.replace("p", ".").lower().partition("e")
    return float(f"{digits}e{int(power or 0) + round(np.log10(scale))}")


class Pattern:
    """A pattern of folder names with the names of what they tell in braces: ``V{voltage_V}_seed{replica}``.

    It may have several parts, separated by ``/``; ``*`` stands for anything within a part.

    Parameters
    ----------
    text : str

    Raises
    ------
    ValueError
        If a name in it is not known, or stands in it twice.
    """

    def __init__(self, text: str):
        self.text, self.names = text, re.findall(r"\{([^{}]*)\}", text)
        for name in self.names:
            if name not in KNOWN:
                raise ValueError(f"found {{{name}}}, allowed: {', '.join(KNOWN)}")
        if len(set(self.names)) < len(self.names) or not self.names:
            raise ValueError(f"found '{text}', allowed: one or more names in braces, each once")
        parts = re.split(r"(\{[^{}]*\}|\*)", text.strip("/"))
        body = "".join(self._part(part) for part in parts)
        self._expression = re.compile(rf"(?:^|.*/){body}(?:\.[A-Za-z]\w*)?(?:/.*)?")

    @staticmethod
    def _part(part: str) -> str:
        if part == "*":
            return "[^/]*"
        if not part.startswith("{"):
            return re.escape(part)
        name = part[1:-1]
        inner = rf"{_NUMBER}{_UNIT}" if name in QUANTITIES else r"\d+" if name in COUNTS else "[^/]+?"
        return f"(?P<{name}>{inner})"

    def told(self, path: Path) -> dict[str, str] | None:
        """Return what a path says, by name; None if the pattern does not fit it."""
        found = self._expression.fullmatch(path.as_posix())
        return None if found is None else found.groupdict()


def manifest(path: str | Path) -> dict[str, dict[str, str]]:
    """Return what a manifest says of each run, by the run as it is written there.

    Parameters
    ----------
    path : str or Path
        CSV with a column ``run`` (folder or table of a run, or the last parts of its path) and others of `KNOWN`.

    Raises
    ------
    UserError
        If it cannot be read, a column is not known, or a run stands in it twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, sep=None, engine="python", encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: cannot be read as a table ({error})") from None
    table.columns = [str(column).strip() for column in table.columns]
    wrong = [name for name in table.columns if name not in ("run", *KNOWN)]
    if "run" not in table or wrong or table.columns.has_duplicates:
        raise UserError(
            f"{path}: found columns {', '.join(table.columns)}, allowed: run, and any of {', '.join(KNOWN)}, each once"
        )
    runs = [text.strip().strip("/") for text in table["run"]]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise UserError(f"{path}: found run {twice[0]} in two rows, allowed: each once")
    rows = table.drop(columns="run").to_dict("records")
    return {run: {str(name): str(text).strip() for name, text in row.items()} for run, row in zip(runs, rows)}
