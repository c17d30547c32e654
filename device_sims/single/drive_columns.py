"""The drives at the records of a trajectory, as columns of its table."""

from __future__ import annotations

import numpy as np

from device_sims.engines import Result
from device_sims.problem import Problem
from device_sims.problem.waveforms import at, steady

NAMES = {"field_T.0": "field_x_T", "field_T.1": "field_y_T", "field_T.2": "field_z_T"}
# what a drive is if it does nothing, where that is not 0
AT_REST = {"Ku_factor": 1.0, "region_Ku_factors": 1.0, "temperature_factor": 1.0}


def drive_columns(problem: Problem, result: Result) -> dict[str, np.ndarray]:
    """Return the value of each drive at each record, ``float64[n]``, by name and only if any phase uses it.

    The drives of the record of t = 0 are those at the begin of the first phase, and of a record between two phases
    those at the end of the first of them.
    """
    columns: dict[str, np.ndarray] = {}
    first, begin_s = 0, 0.0
    for phase in problem.schedule:
        last = result.phase_end[phase.name]
        times = result.t_s[first : last + 1] - begin_s
        for key, drive in phase.drives().items():
            rest = next((value for name, value in AT_REST.items() if key.startswith(name)), 0.0)
            if steady(drive) != rest:
                values = columns.setdefault(NAMES.get(key, key), np.full(len(result.t_s), rest))
                values[first : last + 1] = [at(drive, t, phase.duration_s) for t in times]
        first, begin_s = last + 1, float(result.t_s[last])
    return columns
