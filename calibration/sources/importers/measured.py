"""Measured conductances before and after pulses -> `calibration.counting.writes.Writes`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.card.tables import PULSES
from calibration.counting.writes import REST, Writes
from calibration.sources.importers.base import Common, Directions, Imported, Measured
from calibration.sources.importers.reading import Report
from calibration.sources.tabular.settings import settings
from spinloom.errors import UserError
from spinloom.files import sha256_file

UP, DOWN = 0, 1


def direction_pulses(options: Directions) -> pd.DataFrame:
    """Return the two pulses, up and down, of a format that tells the direction alone.

    Returns
    -------
    DataFrame
        Fields of the pulses, NaN where not given; row 0 is up.
    """

    def pair(name: str, unit: str) -> list[float]:
        values = (getattr(options, f"{name}_{way}_{unit}") for way in ("up", "down"))
        return [np.nan if value is None else value for value in values]

    return pd.DataFrame(
        {
            "voltage_V": pair("voltage", "V"),
            "current_density_A_per_m2": pair("current_density", "A_per_m2"),
            "field_T": np.nan,
            "duration_s": np.nan if options.duration_s is None else options.duration_s,
            "polarity": np.array([1, -1]),
            "temperature_K": options.temperature_K,
            "energy_J": pair("energy", "J"),
            "latency_s": np.nan if options.latency_s is None else options.latency_s,
        }
    )


@dataclass(frozen=True)
class Series:
    """Readings of one device, between which nothing happened but the pulses.

    Attributes
    ----------
    instance : int
        Number of the device.
    pulse : ndarray, int64[n]
        Applied before each reading; `REST` where none was, as before the first.
    reading_S : ndarray, float64[n]
        NaN where the pulse was applied and the reading is missing.
    """

    instance: int
    pulse: np.ndarray
    reading_S: np.ndarray


def readings_of(series: list[Series]) -> pd.DataFrame:
    """Return `calibration.counting.writes.Writes.readings` of the series, in their order."""
    tables = [
        pd.DataFrame({"series": number, "instance": own.instance, "pulse": own.pulse, "value": own.reading_S})
        for number, own in enumerate(series)
    ]
    columns = {"series": np.int64, "instance": np.int64, "pulse": np.int64, "value": np.float64}
    return pd.concat([pd.DataFrame(columns=list(columns)), *tables], ignore_index=True).astype(columns)


def writes_of(readings: pd.DataFrame) -> pd.DataFrame:
    """Return the writes between neighbouring readings of a series that are both there.

    Returns
    -------
    DataFrame
        ``pulse``, ``instance``, ``replica`` (counts the writes of a pulse to a device), ``before_S``, ``after_S``.
    """
    before = readings.groupby("series")["value"].shift()
    table = readings.assign(before_S=before).rename(columns={"value": "after_S"})
    table = table[(table["pulse"] != REST) & table[["before_S", "after_S"]].notna().all(axis=1)]
    table = table[["pulse", "instance", "before_S", "after_S"]].reset_index(drop=True)
    return table.assign(replica=table.groupby(["pulse", "instance"]).cumcount())


def instances(labels: pd.Series) -> tuple[list[str], np.ndarray]:
    """Return the devices' labels in order, and the place of each row's label among them, int64[rows].

    Labels that are numbers come first, in numerical order.
    """
    devices = sorted(labels.unique(), key=lambda label: (0, int(label), "") if label.isdecimal() else (1, 0, label))
    place = {label: index for index, label in enumerate(devices)}
    return devices, labels.map(place).to_numpy(dtype=np.int64)


def both_directions(writes: pd.DataFrame, where: str | Path, names: tuple[str, str]) -> tuple[str, ...]:
    """Check that there are writes up and writes down, and which way they go.

    Parameters
    ----------
    writes : DataFrame
        As of `writes_of`.
    where : str or Path
        Begins the error.
    names : tuple of str
        What the user calls up and down: files, columns, runs.

    Returns
    -------
    tuple of str
        One note if the mean step of one direction goes the other way.

    Raises
    ------
    UserError
        Names the direction that is missing, or both if both go the other way.
    """
    for pulse, name in ((UP, "up"), (DOWN, "down")):
        if not (writes["pulse"] == pulse).any():
            raise UserError(f"{where}: found no write {name}, allowed: writes up and writes down")
    steps = (writes["after_S"] - writes["before_S"]).groupby(writes["pulse"]).mean()
    return directions(float(steps[UP]), float(steps[DOWN]), where, names)


def directions(up_S: float, down_S: float, where: str | Path, names: tuple[str, str]) -> tuple[str, ...]:
    """Check which way the mean steps up and down go; arguments, return and errors as of `both_directions`."""
    if up_S < 0 < down_S:
        raise UserError(
            f"{where}: found a mean step of {up_S:.3g} S up ({names[UP]}) and {down_S:.3g} S down ({names[DOWN]}), "
            "allowed: up raises the conductance and down lowers it; the two look exchanged"
        )
    found = ((up_S, "up", names[UP], "lowers"), (-down_S, "down", names[DOWN], "raises"))
    return tuple(
        f"the mean step {name} ({own}) {does} the conductance, by {-step:.3g} S"
        for step, name, own, does in found
        if step < 0
    )


def imported(
    writes: pd.DataFrame,
    readings: pd.DataFrame | None,
    pulses: pd.DataFrame,
    options: Measured,
    report: Report,
    path: Path,
    files: list[Path],
    format: str,
    devices: list[str],
    reset: bool = False,
    notes: tuple[str, ...] = (),
    written: dict[str, str] | None = None,
    read_at_V: float | None = None,
) -> Imported:
    """Return the writes with all that the calibration needs besides.

    Parameters
    ----------
    writes : DataFrame
        Columns of `writes_of`, and ``energy_J`` and ``latency_s`` where each write has its own.
    readings : DataFrame or None
        As of `readings_of`; None if the device is reset before each write.
    pulses : DataFrame
        Fields of each pulse, with constant ``energy_J`` and ``latency_s``, NaN where not given.
    options : Measured
    report : Report
    path : Path
        What the user named; begins the errors.
    files : list of Path
        What was read.
    format : str
    devices : list of str
        Label of each instance.
    reset : bool
        The device is reset before each write; ``before_S`` is then NaN.
    notes : tuple of str
        What was guessed, and those of `both_directions`.
    written : dict, optional
        How the file is written, as `calibration.sources.tabular` found it.
    read_at_V : float, optional
        Read voltage that the file tells, V.

    Raises
    ------
    UserError
        If too many values were left out, or all conductances are equal.
    """
    report.check(options.max_dropped_fraction, path)
    if writes.empty:
        raise UserError(f"{path}: found no write, allowed: one conductance before and one after a pulse, or more")
    both = writes[["before_S", "after_S"]].to_numpy()
    low, high = np.nanmin(both), np.nanmax(both)
    if low == high:
        raise UserError(f"{path}: found the conductance {low:g} S alone, allowed: two states or more")
    applied = writes["pulse"] if readings is None else readings.loc[readings["pulse"] != REST, "pulse"]
    programmed = settings(pulses, applied.to_numpy(), writes, options.pulse_tolerance, str(path))
    if len(programmed.pulses) < len(pulses):
        number = np.append(programmed.number, REST)  # the last is that of REST
        writes = writes.assign(pulse=number[writes["pulse"]])
        writes["replica"] = writes.groupby(["pulse", "instance"]).cumcount()
        readings = None if readings is None else readings.assign(pulse=number[readings["pulse"]])
    notes = (*notes, *programmed.notes)
    writes = writes.sort_values(["pulse", "instance", "replica"], ignore_index=True)
    events = pd.DataFrame(
        {
            **{name: writes[name].astype("int64") for name in ("pulse", "instance", "replica")},
            "before": writes["before_S"].astype("float64"),
            "after": writes["after_S"].astype("float64"),
        }
    )
    table = _pulse_table(writes, programmed.pulses, options)
    read = options.read_voltage_V or (abs(options.current_at_V) if options.current_at_V else read_at_V)
    return Imported(
        rows=report.total,
        report=report.table(),
        notes=notes,
        writes=Writes(
            name=options.name or (path.resolve().name if path.is_dir() else path.stem),
            events=events,
            pulses=table,
            coordinate="conductance_S",
            bounds=(float(low), float(high)),
            conductance=_itself,
            flags={
                "volatile": options.volatile,
                "reset_before_write": reset,
                "destructive_read": options.destructive_read,
            },
            source={
                "kind": "measured",
                "format": format,
                "files": {file.name: sha256_file(file) for file in files},
                "options": options.given(),
            },
            where=str(path),
            meta={
                "import": {
                    "values": report.total,
                    "left_out": len(report.table()),
                    "devices": devices,
                    "notes": list(notes),
                    **({"written": written} if written else {}),
                }
            },
            readings=readings,
            read_voltage_V=read,
            read_duration_s=options.read_duration_s,
            assumed=(*programmed.assumed, *unknown(table, options)),
            read_noise_S=options.read_noise_S,
        ),
    )


def _itself(conductance: np.ndarray) -> np.ndarray:
    return np.asarray(conductance)


def unknown(pulses: pd.DataFrame, options: Common) -> tuple[str, ...]:
    """Return a sentence for each quantity of the pulses that is not known.

    Parameters
    ----------
    pulses : DataFrame
        `calibration.card.tables.PULSES`.
    options : Common
        Names what could be given.
    """
    told = []
    if pulses["duration_s"].isna().any():
        told.append("The duration of a pulse is unknown: neither the file nor the option duration_s tells it.")
    if pulses["energy_mean_J"].isna().any():
        known = [name for name in type(options).model_fields if name.startswith(("energy_", "voltage_"))]
        names = ", ".join([name for name in known if not name.endswith(("_unit", "_column"))] + ["duration_s"])
        told.append(f"The energy of a write is unknown: neither the file nor options ({names}) tell it.")
    if "temperature_K" not in options.model_fields_set and (pulses["temperature_K"] == options.temperature_K).all():
        told.append(f"The temperature is assumed to be {options.temperature_K:g} K (option temperature_K).")
    return tuple(told)


def pulse_row(pulse: int, fields: dict[Hashable, Any], options: Common, mean: float, sd: float) -> dict[str, Any]:
    """Return a row of `calibration.card.tables.PULSES` without the columns that stay empty.

    Parameters
    ----------
    pulse : int
    fields : dict
        Fields of the pulse with constant ``energy_J`` and ``latency_s``, NaN where not given.
    options : Common
    mean, sd : float
        Of the conductance during the pulse, S; without a given energy, a write costs V^2 G t in the junction, NaN if
        voltage or duration are not known.
    """
    energy, energy_sd, junction = fields["energy_J"], 0.0, np.nan
    if not np.isfinite(energy):
        heat_per_S = fields["voltage_V"] ** 2 * fields["duration_s"]
        energy, energy_sd, junction = heat_per_S * mean, heat_per_S * sd, heat_per_S * mean
    return {
        "pulse": pulse,
        "channel": options.channel,
        **{name: fields[name] for name in ("voltage_V", "current_density_A_per_m2", "field_T", "duration_s")},
        "polarity": int(fields["polarity"]),
        "temperature_K": fields["temperature_K"],
        "energy_mean_J": energy,
        "energy_sd_J": energy_sd,
        "energy_junction_J": junction,
        "latency_s": fields["latency_s"] if np.isfinite(fields["latency_s"]) else fields["duration_s"],
    }


def _pulse_table(writes: pd.DataFrame, pulses: pd.DataFrame, options: Common) -> pd.DataFrame:
    """Return `calibration.card.tables.PULSES`; energies and times that each write has come first."""
    between = writes[["before_S", "after_S"]].mean(axis=1)  # of those known
    rows = []
    for pulse, fields in enumerate(pulses.to_dict("records")):
        own = writes[writes["pulse"] == pulse]
        for column in {"energy_J", "latency_s"} & set(own):
            fields[column] = own[column].mean()
        row = pulse_row(pulse, fields, options, between[own.index].mean(), _sd(between[own.index]))
        rows.append(row | ({"energy_sd_J": _sd(own["energy_J"])} if "energy_J" in own else {}))
    # what a measurement does not tell is NaN
    return pd.DataFrame(rows).reindex(columns=list(PULSES.columns))


def _sd(values: pd.Series) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
