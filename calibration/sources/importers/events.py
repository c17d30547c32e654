"""One row per write, with the conductance before and after it: a table of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calibration.card import Kind
from calibration.card.kinds import at_a_glance
from calibration.counting.writes import REST
from calibration.sources.importers.base import LOOK, Imported, Measured, Switch
from calibration.sources.importers.measured import imported, instances
from calibration.sources.importers.reading import Report, file_of
from calibration.sources.importers.series.sequence import ways_of
from calibration.sources.importers.units import check_values
from calibration.sources.tabular.table import Table, read_table
from spinloom import quantities
from spinloom.declare import Real, key
from spinloom.errors import UserError

FIELDS = [name for name in quantities.PULSE if name != "zhang_li_u_m_per_s"]  # nobody measures a drift velocity
DRIVES = [name for name in quantities.DRIVES if name in FIELDS]
COSTS = ["energy_J", "latency_s"]


class Options(Measured):
    """Options of tables of writes."""

    duration_s: Real | None = key("Length of each pulse, if the file has none. With null, it is unknown.", None)
    reset_before_write: Switch = key(
        "With true, each write begins with a reset, and the conductance before it is not used.", False
    )
    energy_J: Real | None = key(
        "Energy of each write, if the file has none. With null, V^2 G t of the junction if the voltage is known.", None
    )
    latency_s: Real | None = key(
        "Time that a write takes, if the file has none. With null, the length of the pulse.", None
    )


def recognise(path: Path, table: Table | None) -> str | None:
    """Return why the file is one of these, None if it is not."""
    if table is None or not table.all("after") or not table.all("before"):
        return None
    return "columns of the conductance before and after a write"


def kind(path: str | Path, options: Options) -> Kind:
    """Return what the devices are, as far as some of the rows tell; errors as of `read`."""
    if options.reset_before_write:
        return Kind.LEVELS
    table = _columns(read_table(file_of(path), options, most=LOOK), options, Report())
    table = table[table["reason"] == ""]
    pulse = table.groupby([name for name in FIELDS if name in table], dropna=False).ngroup()
    before, after = (table[f"conductance_{name}_S"].to_numpy() for name in ("before", "after"))
    return at_a_glance(pulse.to_numpy(), before, after)


def read(path: str | Path, options: Options) -> Imported:
    """Read writes.

    Pulses are the distinct combinations of voltage, current density, field, duration, polarity and temperature,
    numbered in the sorted order of these columns.

    Parameters
    ----------
    path : str
        A table with the conductance after the write, and before it unless the device is reset; at least one of
        voltage, current density and field, or a direction; any of device (label), cycle (integer; then each (device,
        pulse, cycle) once), temperature, duration, polarity (default the direction, or the sign of the first drive
        that is not 0), energy and latency.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    reset, path, report = options.reset_before_write, file_of(path), Report()
    source = read_table(path, options)
    table = _columns(source, options, report)
    report.total += len(table)
    bad = (table["reason"] != "").to_numpy()
    for row, reason in table.loc[bad, ["row", "reason"]].itertuples(index=False):
        report.drop(path, row, reason)
    table = table[~bad].drop(columns="reason").reset_index(drop=True)
    rows = table["row"].to_numpy()
    for column in [name for name in (*FIELDS, *COSTS) if name in table]:
        check_values(table[column].to_numpy(), column, rows, str(path))
    _polarity(table, path)
    fields = [column for column in FIELDS if column in table]
    pulses = table[fields].drop_duplicates().sort_values(fields, ignore_index=True)
    table = table.merge(pulses.assign(pulse=np.arange(len(pulses))), on=fields, how="left")
    if "cycle" in table:
        key = ["device", "pulse", "cycle"]
        if (twice := np.flatnonzero(table.duplicated(key))).size:
            row = table.iloc[twice[0]]
            raise UserError(
                f"{path}: row {row['row']}: found device {row['device']}, cycle {row['cycle']:g} a second time for "
                "the same pulse, allowed: each (device, pulse, cycle) once"
            )
    else:
        table["cycle"] = table.groupby(["device", "pulse"]).cumcount()
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
    return imported(
        writes, readings, pulses, options, report, path, [path], "events", devices, reset, tuple(source.notes),
        source.written, source.read_at_V,
    )  # fmt: skip


def _columns(source: Table, options: Options, report: Report) -> pd.DataFrame:
    """Return the table with the columns of `FIELDS`, `CONDUCTANCES`, `COSTS`, device, cycle, row and reason."""
    path, reset = source.path, options.reset_before_write
    after = source.get("after") or (next(iter(source.readings()), None) if reset else None)
    before = None if reset else source.get("before")
    for role, column in (("after", after), ("before", before)):
        if column is None and not (role == "before" and reset):
            found = ", ".join(own.name for own in source.columns)
            raise UserError(
                f"{path}: column conductance_{role}_S is missing: found {found}, allowed: a column of the conductance "
                f"{role} the write (option {role}_column)"
            )
    table = pd.DataFrame({"row": source.row, "reason": [source.spoiled.get(int(row), "") for row in source.row]})
    device, cycle = source.get("device"), source.get("cycle")
    table["device"] = device.text if device is not None else "0"
    if device is not None and (table["device"] == "").any():
        row = table.loc[table["device"] == "", "row"].iloc[0]
        raise UserError(f"{path}: row {row}, column {device.name}: found nothing, allowed: a label")
    if cycle is not None:
        whole = np.isfinite(cycle.number) & (cycle.number != np.rint(cycle.number))
        if whole.any():
            at = int(np.flatnonzero(whole)[0])
            raise UserError(
                f"{path}: row {source.row[at]}, column cycle: found {cycle.number[at]:g}, allowed: an integer"
            )
    numbers = {"voltage": "voltage_V", "current_density": "current_density_A_per_m2", "field": "field_T"}
    numbers |= {"duration": "duration_s", "temperature": "temperature_K", "energy": "energy_J", "latency": "latency_s"}
    numbers |= {"polarity": "polarity", "cycle": "cycle"}
    for role, name in numbers.items():
        column = source.get(role)
        if column is None:
            continue
        table[name] = column.number
        missing = ~np.isfinite(column.number) & (table["reason"] == "").to_numpy()
        for place in np.flatnonzero(missing):
            table.loc[place, "reason"] = f"column {column.name} is {column.text[place] or 'empty'}"
    direction = source.get("direction")
    if direction is not None and "polarity" not in table:
        table["polarity"] = ways_of(direction, source)
    if not set(DRIVES) & set(table) and direction is None:
        raise UserError(
            f"{path}: column {DRIVES[0]} is missing: found no drive, allowed: {', '.join(DRIVES)}, or a direction"
        )
    for name, column in (("conductance_before_S", before), ("conductance_after_S", after)):
        if column is not None:
            reading = source.reading(column, options)
            table[name] = reading.value_S
            table["reason"] = np.where(table["reason"] == "", reading.reason, table["reason"])
    for column in ("duration_s", "temperature_K"):
        if column not in table:
            value = getattr(options, column)
            table[column] = np.nan if value is None else value
    if options.device is not None:
        known = list(dict.fromkeys(table["device"]))
        if options.device not in known:
            raise UserError(f"{path}: option device: found {options.device!r}, allowed: {', '.join(known)}")
        table = table[table["device"] == options.device]
    return table.reset_index(drop=True)


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
