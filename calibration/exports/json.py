"""JSON: every table of the card as nested lists, for who writes their own program."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from calibration.card import KernelCard
from calibration.exports.arrays import FORMAT, VERSION, arrays
from calibration.exports.exported import Exported
from spinloom.declare import Section


class Options(Section):
    """Options of json: none."""


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``kernel.json``, which loses nothing; what the card does not know is null."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "arrays": {name: _lists(values) for name, values in arrays(card).items()},
        "meta": {**card.meta.dump(), "hash": card.hash},
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    return Exported({"kernel.json": text.encode()}, ())


def _lists(values: np.ndarray) -> Any:
    if values.dtype.kind != "f":
        return values.tolist()
    known = values.astype(object)
    known[np.isnan(values)] = None
    return known.tolist()
