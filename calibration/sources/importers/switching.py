"""Counts of switching, as junctions are published: direction, pulse, trials, and how many of them switched.

A device of two states by nature, whose conductances the options give. Each row of the file counts how often one pulse
took the device from one state to the other. The counts are used as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from calibration import laws
from calibration.card import Kind
from calibration.card.tables import PULSES
from calibration.counting.kernel_rows import leaving
from calibration.counting.writes import Writes
from calibration.laws.fitting.switching import PULSE_AXES
from calibration.sources.importers import headers
from calibration.sources.importers.base import Common, Imported, Switch
from calibration.sources.importers.headers import HIGH, LOW
from calibration.sources.importers.measured import instances, pulse_row, unknown
from calibration.sources.importers.reading import Report
from calibration.sources.importers.units import check_values
from calibration.sources.tabular.content import Content, read_content
from calibration.sources.tabular.options import Written
from calibration.sources.tabular.table import Table
from spinloom.declare import Real, Whole, key
from spinloom.errors import UserError
from spinloom.files import sha256_file
from spinloom.text_tables import Text

BRINGS_STATES = True
KIND = Kind.SWITCHING
LAWS = (*laws.tried("switching", PULSE_AXES), "neel_brown_ballistic")
DRIVES = ("voltage", "current", "current_density", "field")
NUMBERS = (*DRIVES, "duration", "temperature")
COUNTS, SHARES = ("trials", "switched", "stayed"), ("probability", "error_rate")
# in a card
COLUMNS = {
    "voltage": "voltage_V",
    "current_density": "current_density_A_per_m2",
    "field": "field_T",
    "duration": "duration_s",
    "temperature": "temperature_K",
}
MOST_V = 30.0  # in the middle of a file's voltages; more are millivolts

Positive = Annotated[Real, Field(gt=0)]
UnitText = Annotated[str, Field(min_length=1)]


class Options(Common, Written):
    """Options of counts of switching."""

    conductance_low_S: Positive | None = key("Conductance of the state that conducts less (antiparallel).", None)
    conductance_high_S: Positive | None = key("Conductance of the state that conducts more (parallel).", None)
    resistance_P_ohm: Positive | None = key("Resistance of the parallel state, in place of the conductances.", None)
    resistance_AP_ohm: Positive | None = key("Resistance of the antiparallel state.", None)
    TMR: Annotated[Real, Field(gt=0, le=20)] | None = key(
        "Tunnel magnetoresistance ratio (1.5 is 150 %), in place of a second resistance or conductance.", None
    )
    high_state: Text | None = key(
        "The file's name for the state that conducts more. With null, names such as P, LRS and on are known.", None
    )
    direction: Text | None = key("Direction of all rows, such as `AP-P`, if the file has no such column.", None)
    unsigned: Switch | None = key(
        "With true, voltages are sizes and get their sign from the direction. With null, the file's signs hold.",
        None,
    )
    current_path: Literal["junction", "line"] = key(
        "Where a current flows: through the junction, where V = I/G of the state before, or in a line beside it.",
        "junction",
    )
    area_m2: Positive | None = key("Cross-section through which the current flows, for the current density.", None)
    duration_s: Real | None = key("Length of each pulse, if the file has none.", None)
    trials: Whole | None = key("Number of trials of each row, if the file has none.", None, ge=1)
    energy_J: Real | None = key("Energy of each write. With null, V^2 G t of the junction.", None)
    latency_s: Real | None = key("Time that a write takes. With null, the length of the pulse.", None)
    direction_column: Text | None = key("Column of the direction.", None)
    from_column: Text | None = key("Column of the state before the pulse, in place of a direction.", None)
    voltage_column: Text | None = key("Column of the voltage.", None)
    current_column: Text | None = key("Column of the current.", None)
    current_density_column: Text | None = key("Column of the current density.", None)
    field_column: Text | None = key("Column of the field.", None)
    duration_column: Text | None = key("Column of the pulse's length.", None)
    temperature_column: Text | None = key("Column of the temperature.", None)
    trials_column: Text | None = key("Column of the number of trials.", None)
    switched_column: Text | None = key("Column of the number of trials that switched.", None)
    probability_column: Text | None = key("Column of the share of trials that switched.", None)
    device_column: Text | None = key("Column of the device.", None)
    voltage_unit: UnitText | None = key("Unit of voltages, such as mV. With null, the header's, or V.", None)
    current_unit: UnitText | None = key("Unit of currents, such as uA. With null, the header's, or A.", None)
    current_density_unit: UnitText | None = key("Unit of current densities (MA/cm2). With null, the header's.", None)
    field_unit: UnitText | None = key("Unit of fields, such as mT or Oe. With null, the header's, or T.", None)
    duration_unit: UnitText | None = key("Unit of lengths of pulses, such as ns. With null, the header's, or s.", None)


def recognise(path: Path, table: Table | None) -> str | None:
    """Return why a file is taken for this format, None if it is not."""
    if table is None or not table.named:
        return None
    try:
        found = headers.roles([column.name for column in table.columns], [""] * len(table.columns), {}, str(path))
    except UserError:
        return None
    counted = found.keys() & {"switched", "stayed", *SHARES}
    if not counted or not found.keys() & {*DRIVES} or table.all("conductance") or table.all("after"):
        return None
    return (
        f"it has a column of {min(counted).replace('_', ' ')}"
        if found.keys() & {"direction", "from", "trials"}
        else None
    )


def read(path: str | Path, options: Options) -> Imported:
    """Read counts of switching.

    Pulses are the distinct combinations of voltage, current density, field, duration, polarity and temperature. A
    pulse against the direction in which a state was left has no writes from there: the device stays.

    Parameters
    ----------
    path : str or Path
        A table with a header. Columns are known by many names (`headers.NAMES`) and have the unit of their header.
    options : Options

    Raises
    ------
    UserError
        Names the file, and the row and column or the option.
    """
    content = read_content(Path(path), options)
    path, where, rows = content.path, str(path), content.row
    names = [name or str(place + 1) for place, name in enumerate(content.names)]
    given = {role: header for role in headers.NAMES if (header := getattr(options, f"{role}_column", None)) is not None}
    places = headers.roles(names, content.units, given, where)
    report, notes = Report(), list(content.notes)
    report.total = len(rows)
    if unused := [name for place, name in enumerate(names) if place not in {own for own, _ in places.values()}]:
        notes.append(f"columns not used: {', '.join(unused)}")
    table = pd.DataFrame({"row": rows, **_numbers(content, places, options, where)})
    missing = table.drop(columns="row").isna()
    for row, reason in content.spoiled.items():
        report.drop(path, row, reason)
    texts, before = _directions(content, places, options, where)
    missing["direction"] = texts == ""
    spoiled = np.isin(rows, list(content.spoiled))
    for index in np.flatnonzero(missing.any(axis=1) & ~spoiled):
        report.drop(path, rows[index], f"no {missing.columns[int(missing.iloc[index].argmax())].replace('_', ' ')}")
    kept = ~spoiled & ~missing.any(axis=1).to_numpy()
    if not kept.any():
        raise UserError(f"{path}: found no row with all numbers, allowed: 1 or more")
    table = table[kept].reset_index(drop=True)
    table["from"], labels = headers.states(texts[kept], before, options.high_state, rows[kept], where)
    table["device"] = headers.labels(content, places["device"][0])[kept] if "device" in places else "0"
    _counts(table, options, where, notes)
    for row in table.loc[table["trials"] == 0, "row"]:
        report.drop(path, row, "no trials")
    table = table[table["trials"] > 0].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{path}: found no row with trials, allowed: 1 or more")
    conductance = _conductances(options, where)
    _drives(table, conductance, options, where, notes)
    if left_out := len(report.table()):
        notes.append(f"{left_out} of {len(rows)} rows have no trials or lack a number and are left out")
    writes = _writes(table, conductance, labels, options, path, notes, content.told)
    return Imported(rows=len(rows), report=report.table(), writes=writes, notes=tuple(writes.meta["import"]["notes"]))


def _numbers(content: Content, places: dict[str, tuple[int, str]], options: Options, where: str) -> dict[str, Any]:
    """Return the columns of numbers by role in SI units, NaN where there is none."""
    found: dict[str, np.ndarray] = {}
    for role in (*NUMBERS, *COUNTS, *SHARES):
        if role not in places or (role in ("stayed", *SHARES) and "switched" in found):
            continue
        place, unit = places[role]
        if (given := getattr(options, f"{role}_unit", None)) is not None:
            unit = headers.checked(role, given, f"{where}: option {role}_unit")
        found[role] = headers.column(content, place, role in SHARES, unit)
    for role, constant in (("duration", options.duration_s), ("temperature", options.temperature_K)):
        if role not in found:
            if constant is None:
                names = ", ".join(content.names)
                raise UserError(
                    f"{where}: found no column of the {role} in {names}, allowed: one, or option duration_s"
                )
            found[role] = np.full(len(content.row), constant)
    for role, name in COLUMNS.items():
        if role in found:
            check_values(found[role], name, content.row, where)
    if "voltage" in found and (middle := np.nanmedian(np.abs(found["voltage"]))) > MOST_V:
        raise UserError(
            f"{where}: voltage: found {middle:g} V in the middle, allowed: up to {MOST_V:g} (is that in mV? then give "
            "option voltage_unit=mV)"
        )
    if not set(found) & set(DRIVES):
        raise UserError(f"{where}: found no drive in {', '.join(content.names)}, allowed: {', '.join(DRIVES)}")
    return found


def _directions(
    content: Content, places: dict[str, tuple[int, str]], options: Options, where: str
) -> tuple[np.ndarray, bool]:
    """Return the direction of each row, or the state before, as text, str[rows], and whether it is that state."""
    for role in ("from", "direction"):
        if role in places:
            return headers.labels(content, places[role][0]), role == "from"
    if options.direction is None:
        names = ", ".join(content.names)
        raise UserError(
            f"{where}: found no column of the direction in {names}, allowed: one, or option direction (e.g. AP-P)"
        )
    return np.full(len(content.row), options.direction, dtype=object), False


def _counts(table: pd.DataFrame, options: Options, where: str, notes: list[str]) -> None:
    """Add the columns ``trials`` and ``switched``, int64, checked."""
    if "trials" not in table:
        if options.trials is None:
            raise UserError(f"{where}: found no column of the trials, allowed: one, or option trials")
        table["trials"] = float(options.trials)

    def refuse(wrong: np.ndarray, column: str, allowed: str) -> None:
        if wrong.any():
            row = table.iloc[int(wrong.argmax())]
            raise UserError(f"{where}: row {row['row']}: found {row[column]:g} {column}, allowed: {allowed}")

    whole = "a whole number of 0 or more"
    for column in {*COUNTS} & {*table}:
        refuse(((table[column] < 0) | (table[column] != np.rint(table[column]))).to_numpy(), column, whole)
    if "switched" not in table and "stayed" in table:
        table["switched"] = table["trials"] - table["stayed"]
        refuse((table["switched"] < 0).to_numpy(), "stayed", "up to the trials")
    if "switched" not in table:
        share = next((name for name in ("probability", "error_rate") if name in table), None)
        if share is None:
            raise UserError(
                f"{where}: found no column that says how many switched, allowed: a column switched, or a probability"
            )
        refuse(
            ((table[share] < 0) | (table[share] > 1)).to_numpy(),
            share,
            "0..1 (is that in %? then say so in the header)",
        )
        exact = table["trials"] * (table[share] if share == "probability" else 1 - table[share])
        table["switched"] = np.rint(exact)
        if (off := np.abs(exact - table["switched"]).max()) > 0.05:
            notes.append(f"shares are no whole numbers of the trials: they are rounded, by up to {off:.2g} of a trial")
    wrong = (table["switched"] > table["trials"]).to_numpy()
    if wrong.any():
        row = table.iloc[int(wrong.argmax())]
        raise UserError(
            f"{where}: row {row['row']}: found {row['switched']:g} switched of {row['trials']:g} trials, allowed: at "
            "most as many as the trials"
        )
    for column in ("trials", "switched"):
        table[column] = table[column].astype(np.int64)


def _conductances(options: Options, where: str) -> np.ndarray:
    """Return the conductances of the two states, float64[2], S, the lower first."""
    low = options.conductance_low_S or (1 / options.resistance_AP_ohm if options.resistance_AP_ohm else None)
    high = options.conductance_high_S or (1 / options.resistance_P_ohm if options.resistance_P_ohm else None)
    if options.TMR is not None:
        low = high / (1 + options.TMR) if low is None and high is not None else low
        high = low * (1 + options.TMR) if high is None and low is not None else high
    if low is None or high is None:
        raise UserError(
            f"{where}: options conductance_low_S and conductance_high_S: found nothing, allowed: both, or "
            "resistance_P_ohm with TMR or resistance_AP_ohm, because this format does not hold them"
        )
    if not low < high:
        raise UserError(
            f"{where}: option conductance_low_S: found {low:g} S, allowed: below {high:g} S, the higher one"
        )
    return np.array([low, high])


def _drives(table: pd.DataFrame, conductance: np.ndarray, options: Options, where: str, notes: list[str]) -> None:
    """Put the pulse of each row into the columns of a card, with signs and the voltages that follow from currents."""
    drive = next(name for name in DRIVES if name in table)
    ways = [
        np.unique(np.sign(table.loc[(table["from"] == state) & (table[drive] != 0), drive])) for state in (LOW, HIGH)
    ]
    alike = all(len(way) == 1 for way in ways) and ways[0][0] == ways[1][0]
    if options.unsigned or (alike and options.unsigned is None):
        if not options.unsigned:
            raise UserError(
                f"{where}: found a {drive.replace('_', ' ')} of one sign in both directions, allowed: option "
                "unsigned=true (magnitudes; the two directions are written with opposite signs), or unsigned=false "
                "(one pulse does both)"
            )
        table[drive] = table[drive].abs() * np.where(table["from"] == LOW, 1, -1)
    if options.area_m2 is not None:
        if "current" in table:
            table["current_density"] = table["current"] / options.area_m2
        elif "current_density" in table:
            table["current"] = table["current_density"] * options.area_m2
    if "current" in table and "voltage" not in table and options.current_path == "junction":
        table["voltage"] = table["current"] / conductance[table["from"]]
        notes.append(
            "the current is taken to flow through the junction, V = I / G of the state before the pulse (option "
            "current_path=line if it does not)"
        )
    elif "current" in table and options.area_m2 is None:
        raise UserError(f"{where}: option area_m2: found nothing, allowed: the cross-section of the line's current")
    table["polarity"] = np.sign(table[drive])


def _writes(
    table: pd.DataFrame,
    conductance: np.ndarray,
    labels: tuple[str, str],
    options: Options,
    path: Path,
    notes: list[str],
    written: dict[str, str],
) -> Writes:
    table = table.rename(columns=COLUMNS)
    fields = [name for name in (*COLUMNS.values(), "polarity") if name in table]
    pulse = table.groupby(fields).ngroup().to_numpy()
    pulses = table.assign(pulse=pulse).drop_duplicates("pulse").sort_values("pulse")
    pulses = pulses.reindex(columns=[*COLUMNS.values(), "polarity"])
    devices, instance = instances(table["device"].astype(str))
    parts = []
    for after, count in ((1 - table["from"], table["switched"]), (table["from"], table["trials"] - table["switched"])):
        parts.append(
            pd.DataFrame(
                {"pulse": pulse, "instance": instance, "before": table["from"], "after": after, "count": count}
            )
        )
    keys = ["pulse", "instance", "before", "after"]
    events = pd.concat(parts).groupby(keys, as_index=False)["count"].sum()
    events = events[events["count"] > 0].reset_index(drop=True)
    events = events.astype({"pulse": np.int64, "before": np.float64, "after": np.float64}).assign(replica=0)
    if (twice := int(table.duplicated([*fields, "from", "device"]).sum())) > 0:
        notes.append(f"{twice} rows repeat the pulse, direction and device of another: their counts are added")
    missing = _missing(table, pulse, pulses["polarity"].to_numpy(), labels, notes)
    held = (conductance[events["before"].astype(int)] + conductance[events["after"].astype(int)]) / 2
    rows = []
    constants = {"energy_J": options.energy_J, "latency_s": options.latency_s}
    constants = {name: np.nan if value is None else value for name, value in constants.items()}
    for number, row in enumerate(pulses.to_dict("records")):
        own = (events["pulse"] == number).to_numpy()
        weight = events.loc[own, "count"] / events.loc[own, "count"].sum()
        mean = float(weight @ held[own])
        sd = float(np.sqrt(weight @ (held[own] - mean) ** 2))
        rows.append(pulse_row(number, {**row, **constants}, options, mean, sd))
    drive = next(name for name in COLUMNS.values() if name in table)
    if drive != "voltage_V":
        notes.append(
            "the thermally activated laws know a voltage alone; to a current density or a field only passing is fitted "
            "(option area_m2 gives the voltage of a current density through the junction)"
        )
    pulse_rows = pd.DataFrame(rows).reindex(columns=list(PULSES.columns))
    content: dict[str, Any] = {
        "name": options.name or path.stem,
        "events": events[["pulse", "instance", "replica", "before", "after", "count"]],
        "pulses": pulse_rows,
        "assumed": unknown(pulse_rows, options),
        "coordinate": "level",
        "bounds": (-0.5, 1.5),
        "edges": np.array([-0.5, 0.5, 1.5]),
        "labels": labels,
        "conductance": lambda level: np.interp(level, (LOW, HIGH), conductance),
        "laws": LAWS if drive == "voltage_V" else ("passing",),
        "missing": missing,
    }
    flags = {"volatile": options.volatile, "reset_before_write": False, "destructive_read": options.destructive_read}
    source = {"kind": "measured", "format": "switching", "files": {path.name: sha256_file(path)}}
    told = {"values": int(table["trials"].sum()), "devices": devices, "notes": notes, "written": written}
    return Writes(
        **content, flags=flags, source={**source, "options": options.given()}, where=str(path), meta={"import": told}
    )


def _missing(
    table: pd.DataFrame, pulse: np.ndarray, polarity: np.ndarray, labels: tuple[str, str], notes: list[str]
) -> str:
    """Return what a row without writes means: that the device stays, if all go against the state's direction."""
    stays = True
    for state in (LOW, HIGH):
        own = (table["from"] == state).to_numpy()
        bare = np.setdiff1d(np.arange(len(polarity)), pulse[own])
        if not len(bare):
            continue
        if own.any() and (polarity[bare] == leaving(table["polarity"][own], table["switched"][own])).any():
            stays = False
            continue
        against = "none was measured" if not own.any() else "they go against the direction in which it was left"
        notes.append(
            f"{len(bare)} of {len(polarity)} pulses have no writes from {labels[state]} ({against}): the device is "
            "taken to stay there, unless calibration.kernel.empty_rows is law"
        )
    return "stay" if stays else "error"
