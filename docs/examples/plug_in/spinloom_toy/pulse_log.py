"""Logs of one device: each line has ``+`` or ``-``, the direction of a pulse, and the conductance after it in uS."""

from __future__ import annotations

import numpy as np

from calibration.counting.writes import REST
from calibration.sources.importers.base import Directions, Measured
from calibration.sources.importers.measured import DOWN, UP, Series, direction_pulses, imported, readings_of, writes_of
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
    pulse, reading_S = map(np.array, zip(*lines))
    readings = readings_of([Series(0, np.where(np.arange(len(pulse)) > 0, pulse, REST), reading_S)])
    pulses = direction_pulses(options)
    return imported(writes_of(readings), readings, pulses, options, Report(), path, [path], "pulse_log", ["0"])
