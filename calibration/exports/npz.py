"""NumPy archive: every table of the card as an array, for who writes their own program."""

from __future__ import annotations

import io
import json

import numpy as np

from calibration.card import KernelCard
from calibration.exports.arrays import FORMAT, VERSION, arrays
from calibration.exports.exported import Exported
from spinloom.declare import Section


class Options(Section):
    """Options of npz: none."""


def make(card: KernelCard, options: Options) -> Exported:
    """Return ``kernel.npz``, which loses nothing: what ``card.json`` says is the text ``meta``."""
    meta = json.dumps({**card.meta.dump(), "hash": card.hash}, sort_keys=True)
    stored = {**arrays(card), "format": np.array(FORMAT), "version": np.array(VERSION), "meta": np.array(meta)}
    file = io.BytesIO()
    np.savez_compressed(file, **stored)  # type: ignore[arg-type]
    return Exported({"kernel.npz": file.getvalue()}, ())
