"""The entries of a scan's axis: labels, and what each changes of the config."""

from __future__ import annotations

import re
from typing import Any

from spinloom.errors import UserError

LABEL = re.compile(r"[A-Za-z0-9.+-]([A-Za-z0-9._+-]{0,38}[A-Za-z0-9.+-])?")
WORDS = {"None": "none", "True": "true", "False": "false"}  # readers of tables take null and None for a missing number


def axis_entries(number: int, axis: dict[str, Any]) -> tuple[str, dict[str, dict]]:
    """Return the name of an axis, the ``number``-th of its scan, and its entries: changes of the config by label.

    Raises
    ------
    UserError
        If it is no axis, or has a name that no folder may have.
    """
    where = f"scan.axes.{number}"
    if (axis["key"] is None) == (axis["points"] is None) or (axis["key"] is None) != (axis["values"] is None):
        raise UserError(f"{where}: found {', '.join(k for k in axis if axis[k])}, allowed: key with values, or points")
    if axis["points"] is not None:
        name, entries = axis["name"], {str(label): entry or {} for label, entry in axis["points"].items()}
        if name is None:
            raise UserError(f"{where}.name: found null, allowed for an axis with points: a name")
    else:
        name = axis["name"] or axis["key"].rsplit(".", 1)[-1]
        entries = {}
        for value in axis["values"]:
            text = f"{value:g}" if isinstance(value, float) else WORDS.get(str(value), str(value))
            label = text
            if isinstance(value, list):  # what stands between the entries becomes a hyphen, their signs stay
                label = re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_").replace("_", "-")
            entry: Any = value
            for part in reversed(axis["key"].split(".")):
                entry = {part: entry}
            if label in entries:
                raise UserError(f"{where}.values: found {value} a second time, allowed: each value once")
            entries[label] = entry
    for text in (name, *entries):
        if not LABEL.fullmatch(text):
            raise UserError(
                f"{where}: found '{text[:50]}', allowed as a name: up to 40 characters of A-Z, a-z, 0-9, . + - and _"
            )
    return name, entries
