"""One row per write: a long CSV or Parquet table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calibration.counting.writes import REST
from calibration.sources.importers.base import Imported, Measured, Switch
from calibration.sources.importers.measured import imported, in_siemens, instances
from calibration.sources.importers.reading import Report, read_long
from calibration.sources.importers.units import check_values
from spinloom import quantities
from spinloom.declare import Real, key
from spinloom.errors import UserError

FIELDS = [name for name in quantities.PULSE if name != "zhang_li_u_m_per_s"]  # nobody measures a drift velocity
DRIVES = [name for name in quantities.DRIVES if name in FIELDS]
CONDUCTANCES = ["conductance_before_S", "conductance_after_S"]
COSTS = ["energy_J", "latency_s"]


class Options(Measured):
    """Options of tables of writes."""

    duration_s: Real | None = key("Duration of each pulse, where the file has none.", None)
    reset_before_write: Switch = key("Each write begins with a reset; the conductance before is not used.", False)
    energy_J: Real | None = key("Energy of each write, where the file has none; null: V^2 G t of the junction.", None)
    latency_s: Real | None = key("Time that a write takes, where the file has none; null: the duration.", None)


def read(path: str | Path, options: Options) -> Imported:
    """Read writes.

    Pulses are the distinct combinations of voltage, current density, field, duration, polarity and temperature,
    numbered in the sorted order of these columns. The order of the rows does not matter.

    Parameters
    ----------
    path : str
        Columns ``device`` (label), ``cycle`` (integer; each (device, pulse, cycle) once), ``conductance_after_S``,
        at least one of ``voltage_V``, ``current_density_A_per_m2``, ``field_T``; ``conductance_before_S`` unless the
        device is reset; optional ``temperature_K``, ``duration_s``, ``polarity`` (default the sign of the first
        drive that is not 0), ``energy_J``, ``latency_s``.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    reset = options.reset_before_write
    needed = ["device", "cycle", "conductance_after_S", *([] if reset else ["conductance_before_S"])]
    numbers = [*FIELDS, *CONDUCTANCES, "cycle", *COSTS]
    table, path = read_long(path, numbers, ["device"], needed, ["polarity", "cycle"])
    if not set(DRIVES) & set(table):
        raise UserError(f"{path}: column {DRIVES[0]} is missing: found no drive, allowed: {', '.join(DRIVES)}")
    # after a reset it says nothing, not even by being absent
    table = table.drop(columns=["conductance_before_S"] if reset else [], errors="ignore")
    for column in {"duration_s", "temperature_K"} - set(table):
        if getattr(options, column) is None:
            raise UserError(f"{path}: column {column} is missing: found none, allowed: the column or option {column}")
        table[column] = getattr(options, column)
    report, rows = Report(), table["row"].to_numpy()
    for column in set(CONDUCTANCES) & set(table):
        table[column] = in_siemens(table[column].to_numpy(), options)
    used = [column for column in numbers if column in table]
    table = _without_gaps(table, used, path, report)
    rows = table["row"].to_numpy()
    for column in used:
        check_values(table[column].to_numpy(), column, rows, str(path))
    _polarity(table, path)
    fields = [column for column in FIELDS if column in table]
    pulses = table[fields].drop_duplicates().sort_values(fields, ignore_index=True)
    table = table.merge(pulses.assign(pulse=np.arange(len(pulses))), on=fields, how="left")
    key = ["device", "pulse", "cycle"]
    if (twice := np.flatnonzero(table.duplicated(key))).size:
        row = table.iloc[twice[0]]
        raise UserError(
            f"{path}: row {row['row']}: found device {row['device']}, cycle {row['cycle']:g} a second time for "
            "the same pulse, allowed: each (device, pulse, cycle) once"
        )
    devices, instance = instances(table["device"])
    writes = pd.DataFrame(
        {
            "pulse": table["pulse"],
            "instance": instance,
            "replica": table["cycle"],
            "before_S": table.get("conductance_before_S", np.nan),
            "after_S": table["conductance_after_S"],
            **{column: table[column] for column in COSTS if column in table},
        }
    )
    constants = {column: np.nan if getattr(options, column) is None else getattr(options, column) for column in COSTS}
    pulses = pulses.reindex(columns=FIELDS).assign(**constants)
    readings = None if reset else _readings(writes)
    return imported(writes, readings, pulses, options, report, path, [path], "events", devices, reset)


def _readings(writes: pd.DataFrame) -> pd.DataFrame:
    """Return the readings of writes in the order of the measurement.

    A write whose conductance before is, to the last digit, that after the device's write in the row before continues
    its series: both are one reading.
    """
    writes = writes.sort_values("instance", kind="stable", ignore_index=True)
    last = writes.groupby("instance")["after_S"].shift()
    begins = last != writes["before_S"]
    number = begins.cumsum() - 1
    after = pd.DataFrame({"series": number, "instance": writes["instance"], "pulse": writes["pulse"]})
    after = after.assign(value=writes["after_S"])
    first = after[begins].assign(pulse=REST, value=writes["before_S"])
    # a series' first reading stands before its first write
    return pd.concat([first, after]).sort_index(kind="stable", ignore_index=True)


def _without_gaps(table: pd.DataFrame, used: list[str], path, report: Report) -> pd.DataFrame:
    gaps = ~np.isfinite(table[used].to_numpy())
    report.total += len(table)
    for index in np.flatnonzero(gaps.any(axis=1)):
        column = used[int(gaps[index].argmax())]
        report.drop(path, table["row"].iloc[index], f"column {column} is {table[column].iloc[index]:g}")
    return table.iloc[np.flatnonzero(~gaps.any(axis=1))].reset_index(drop=True)


def _polarity(table: pd.DataFrame, path) -> None:
    if "polarity" in table:
        if (wrong := np.flatnonzero(~table["polarity"].isin([-1, 0, 1]))).size:
            row = table.iloc[wrong[0]]
            raise UserError(
                f"{path}: row {row['row']}, column polarity: found {row['polarity']:g}, allowed: -1, 0 or 1"
            )
        return
    table["polarity"] = 0.0
    for drive in reversed([drive for drive in DRIVES if drive in table]):
        table["polarity"] = np.where(table[drive] != 0, np.sign(table[drive]), table["polarity"])
