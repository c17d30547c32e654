"""Logs of one device: each line has ``+`` or ``-``, the direction of a pulse, and the conductance after it in uS."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from calibration.sources.importers.base import Directions, Measured
from calibration.sources.importers.measured import DOWN, UP, direction_pulses, imported, train_writes
from calibration.sources.importers.reading import Report, file_of
from spinloom.errors import UserError


class Options(Directions, Measured):
    """Options of logs: those of all measured directions."""


def read(path, options):
    """Read the writes; the first line tells the conductance before the first of them."""
    path, lines = file_of(path), []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            lines.append(({"+": UP, "-": DOWN}[line[:1]], 1e-6 * float(line[1:])))
        except (KeyError, ValueError):
            raise UserError(f"{path}: row {number}: found {line[:40]!r}, allowed: + or - and a number") from None
    writes = train_writes([(pulse, 0, np.array([before, after])) for (_, before), (pulse, after) in pairwise(lines)])
    return imported(writes, direction_pulses(options, path), options, Report(), path, [path], "pulse_log", ["0"])
