"""JSON: every table of the card as nested lists, for who writes their own program."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from calibration.card import KernelCard
from calibration.exports.arrays import FORMAT, VERSION, arrays
from calibration.exports.exported import Exported
from spinloom.declare import Section

DENSE = 10_000  # values up to which an array is nested lists


class Options(Section):
    """Options of json: none."""


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``kernel.json``, which loses nothing; what the card does not know is null.

    An array of more than `DENSE` values, most of which are the same, is its shape, that value (``fill``), and the
    others (``value``) by their places in the flat array (``index``): a large kernel is zeros nearly everywhere.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "arrays": {name: _lists(values) for name, values in arrays(card).items()},
        "meta": {**card.meta.dump(), "hash": card.hash},
    }
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    return Exported({"kernel.json": text.encode()}, ())


def _lists(values: np.ndarray) -> Any:
    if values.size > DENSE:
        flat = values.ravel()
        # by hash, which takes texts too; NaN is a value
        places, _ = pd.factorize(flat if flat.dtype.kind in "biuf" else flat.astype(object), use_na_sentinel=False)
        counts = np.bincount(places)
        if counts.max() > flat.size / 2:
            often = counts.argmax()
            index, first = np.flatnonzero(places != often), int(np.argmax(places == often))
            fill = _plain(flat[first : first + 1])[0]
            return {"shape": list(values.shape), "fill": fill, "index": index.tolist(), "value": _plain(flat[index])}
    return _plain(values)


def _plain(values: np.ndarray) -> list[Any]:
    if values.dtype.kind != "f":
        return values.tolist()
    known = values.astype(object)
    known[np.isnan(values)] = None
    return known.tolist()
