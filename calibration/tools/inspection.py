"""What a file of measurements holds, before anything is made of it, and the commands that follow."""

from __future__ import annotations

import re
import shlex
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from rich.console import Console
from rich.table import Table as Grid

from calibration.counting.writes import REST
from calibration.sources import importers
from calibration.sources.importers import Imported
from calibration.sources.importers.base import Measured
from calibration.sources.importers.networks import NETWORKS
from calibration.sources.tabular.runs import noise_of
from calibration.sources.tabular.table import Column, Table, read_table
from spinloom.errors import UserError
from spinloom.quantities import of

MOST_ROWS = 8  # of a list on the terminal
# what an import cannot do without -> the option, and what to try it with for a first look
TRIED = {
    "current_at_V": "1",
    "conductance_unit": "uS",
    "current_unit": "nA",
    "resistance_unit": "kohm",
    "conductance_low_S": "1e-5",
    "conductance_high_S": "2e-5",
}
# what a file of readings seldom tells, in the words of the options
WISHED = {
    "duration_s": "the duration of a pulse, e.g. 100e-9",
    "voltage_up_V": "the voltage of a pulse up",
    "voltage_down_V": "the voltage of a pulse down, with its sign",
    "temperature_K": "the temperature",
    "read_voltage_V": "the voltage of a read",
    "read_duration_s": "the duration of a read",
}


@dataclass(frozen=True)
class Inspection:
    """What was seen of a file.

    Attributes
    ----------
    path : Path
    table : Table or None
        None for a folder, and for a format that is no table.
    format : str or None
        None if it is not clear.
    why : str
        Why it is of that format, or what is wrong.
    options : dict of str
        As given, and those that were told by the readings.
    missing : tuple of str
        Options without which it cannot be imported.
    imported : Imported or None
    """

    path: Path
    table: Table | None
    format: str | None
    why: str
    options: dict[str, Any]
    missing: tuple[str, ...] = ()
    imported: Imported | None = None
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)


def inspect(path: str | Path, format: str | None, options: dict[str, Any]) -> Inspection:
    """Look at a file or folder.

    Parameters
    ----------
    path : str or Path
    format : str or None
        None: as it looks.
    options : dict
        Of the format, as far as they are known.

    Raises
    ------
    UserError
        If it is no file or folder, or nothing can be read of it.
    """
    path, table, why = importers.there(path), None, "as was said"
    if path.is_file():
        known = {name: value for name, value in options.items() if name in Measured.model_fields}
        try:
            table = read_table(path, Measured.parse(known, str(path), "options"))
        except UserError:
            if format is None:
                raise
    if format is None:
        try:
            format, why = importers.recognised(path, options)
        except UserError as error:
            return Inspection(path, table, None, str(error), options)
    missing: tuple[str, ...] = ()
    tried = dict(options)
    while True:
        try:
            imported = importers.import_file(path, format, tried)
            break
        except UserError as error:
            asked = [name for name in re.findall(r"\w+", str(error)) if name in TRIED and name not in tried]
            if not asked:
                return Inspection(path, table, format, str(error), options, missing)
            missing, tried = (*missing, *asked), {**tried, **{name: TRIED[name] for name in asked}}
    runs = _runs(imported)
    return Inspection(
        path, table, format, why, {**options, **_counted(imported, runs, table, options)}, missing, imported, runs
    )


def _runs(imported: Imported) -> pd.DataFrame:
    """Return one row for each run of equal pulses: ``instance``, ``polarity``, ``pulses``."""
    if imported.writes is None or imported.writes.readings is None:
        return pd.DataFrame(columns=["instance", "polarity", "pulses"])
    readings, polarity = imported.writes.readings, imported.writes.pulses["polarity"].to_numpy()
    given = readings[readings["pulse"] != REST]
    way = pd.Series(polarity[given["pulse"]], given.index)
    new = (way.diff() != 0) | (given["series"].diff() != 0)
    runs = given.assign(run=new.cumsum(), polarity=way).groupby("run")
    return runs.agg(instance=("instance", "first"), polarity=("polarity", "first"), pulses=("pulse", "size"))


def _counted(imported: Imported, runs: pd.DataFrame, table: Table | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the pulses in a run as options, if the readings told them and all runs agree."""
    guessed = any("(options pulses_up, pulses_down)" in note for note in imported.notes)
    if not guessed or "pulses_up" in options or not len(runs):
        return {}
    note = next(note for note in imported.notes if "(options pulses_up, pulses_down)" in note)
    up, down = [int(word) for word in note.replace(",", " ").split() if word.isdecimal()][:2]
    first = {} if runs["polarity"].iloc[0] > 0 else {"first": "down"}
    return {"pulses_up": up, "pulses_down": down, **first}


def show(found: Inspection, console: Console) -> None:
    """Print what was seen."""

    def tell(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if found.table is not None:
        table, written = found.table, found.table.written
        how = ", ".join(f"{key} {value}" for key, value in written.items() if key != "kind")
        tell(f"{found.path}: {written.get('kind', 'text')}{f' ({how})' if how else ''}, {len(table.row)} rows")
        if table.preamble:
            more = " ..." if len(table.preamble) > 3 else ""
            tell(f"lines above the table: {' | '.join(table.preamble[:3])}{more}")
        console.print(_columns(table))
    else:
        what = "a folder" if found.path.is_dir() else "no table" if found.path.exists() else "a pattern of paths"
        tell(f"{found.path}: {what}")
    if found.format is not None:
        tell(f"taken for: {found.format}" + (f" ({found.why})" if found.imported is not None else ""))
    if found.imported is None:
        return
    for note in found.imported.notes:
        tell(f"note: {note}")
    for name in found.missing:
        tell(f"not told: {name}; what follows is with {name}={TRIED[name]}, so its scale is not right")
    for line in _facts(found):
        tell(line)


def _columns(table: Table) -> Grid:
    grid = Grid(title="columns", title_justify="left")
    for heading in ("column", "taken for", "unit", "from", "to", "empty or no number"):
        grid.add_column(heading, justify="left" if heading in ("column", "taken for") else "right")
    for own in table.columns:
        known = own.number[np.isfinite(own.number)]
        unit = own.meaning.unit.name if own.meaning.unit else "-"
        ends = [_plain(own, value) for value in (known.min(), known.max())] if len(known) else _words(own)
        missing = str(int((~np.isfinite(own.number)).sum())) if len(known) else "-"
        grid.add_row(own.name, (own.role or "not used").replace("_", " "), unit, *ends, missing)
    return grid


def _plain(column: Column, value: float) -> str:
    return f"{value / (column.scale or 1.0):.6g}"


def _words(column: Column) -> list[str]:
    words = list(dict.fromkeys(str(text) for text in column.text))
    return [words[0], words[-1]] if words else ["-", "-"]


def _facts(found: Inspection) -> list[str]:
    imported = found.imported
    if imported is not None and imported.simulated is not None:
        return [*imported.facts, f"left out: {len(imported.report)} of {imported.rows} runs"]
    if imported is None or imported.writes is None:
        return [f"{imported.rows} values; the states come with the table"] if imported else []
    writes, unit = imported.writes, of(imported.writes.coordinate)
    if writes.edges is not None:
        return _switched(imported)
    devices = list(writes.meta.get("import", {}).get("devices", []))
    names = f": {', '.join(devices[:MOST_ROWS])}" if devices != ["0"] else ""  # what one without a name is called
    lines = [f"{len(devices)} device{'s' if len(devices) != 1 else ''}{names}"]
    if len(devices) > MOST_ROWS:
        lines[0] += ", ..."
    for polarity, name in ((1, "up"), (-1, "down")):
        own = found.runs[found.runs["polarity"] == polarity]
        if len(own):
            usual = int(own["pulses"].mode().iloc[-1])
            span = "" if own["pulses"].nunique() == 1 else f" ({own['pulses'].min()} to {own['pulses'].max()})"
            lines.append(f"runs {name}: {len(own)}, of {usual} pulses{span}")
    events = writes.events
    step = events["after"] - events["before"]
    for number, pulse in enumerate(writes.pulses.head(MOST_ROWS).to_dict("records")):
        own = step[events["pulse"] == number].dropna()
        if len(own):
            drive = ", ".join(
                of(name).told(pulse[name]) for name in ("voltage_V", "duration_s") if np.isfinite(pulse[name])
            )
            way = {1: "up", -1: "down"}.get(int(pulse["polarity"]), "")
            lines.append(
                f"pulse {number} {way}{f' ({drive})' if drive else ''}: {len(own)} writes, mean step "
                f"{own.mean() * unit.scale:+.3g} {unit.unit}, scatter {own.std() * unit.scale:.3g} {unit.unit}"
            )
    low, high = (bound * unit.scale for bound in writes.bounds)
    lines.append(f"range: {low:.4g} to {high:.4g} {unit.unit}")
    if writes.readings is not None:
        lines += _readings(writes.readings, unit.scale, unit.unit)
    dropped = imported.report
    lines.append(f"left out: {len(dropped)} of {imported.rows} values or rows")
    lines += [
        f"  row {row}: {reason}" for row, reason in dropped[["row", "reason"]].head(MOST_ROWS).itertuples(index=False)
    ]
    return lines


def shares(imported: Imported) -> pd.DataFrame:
    """Return of states by nature how often each pulse left each: ``pulse``, ``before``, ``trials``, ``share``."""
    writes = imported.writes
    if writes is None or writes.edges is None:
        return pd.DataFrame(columns=["pulse", "before", "trials", "share"])
    events = writes.events
    count = events["count"] if "count" in events else pd.Series(1, events.index)
    table = events.assign(trials=count, left=count * (events["before"] != events["after"]))
    table = table.groupby(["pulse", "before"], as_index=False)[["trials", "left"]].sum()
    return table.assign(share=table["left"] / table["trials"])


def _switched(imported: Imported) -> list[str]:
    writes, lines = imported.writes, []
    if writes is None:
        return lines
    found = shares(imported)
    for before, own in found.groupby("before"):
        name = writes.labels[int(float(str(before)))]
        lines.append(
            f"from {name}: {len(own)} pulses, {own['trials'].sum():g} trials, share switched "
            f"{own['share'].min():.3g} to {own['share'].max():.3g}"
        )
    return [*lines, f"left out: {len(imported.report)} of {imported.rows} values or rows"]


def _readings(readings: pd.DataFrame, scale: float, unit: str) -> list[str]:
    same = readings["series"] == readings["series"].shift()
    rest = same & (readings["pulse"] == REST)
    gaps = int(readings["value"].isna().sum())
    lines = [f"gaps: {gaps} pulses without a reading; repeats: {int(rest.sum())} readings without a pulse before"]
    again = (readings["value"] - readings["value"].shift())[rest].dropna()
    if len(again) > 2:
        lines.append(f"noise of a reading, from the repeats: about {again.std() / np.sqrt(2) * scale:.3g} {unit}")
    else:
        rough = [noise_of(own["value"].to_numpy()) for _, own in readings.groupby("series")]
        lines.append(
            f"scatter about a smooth run: {np.median(rough) * scale:.3g} {unit}, noise of a reading and spread of a "
            "write together"
        )
    return lines


def command(found: Inspection, output: str) -> str:
    """Return the import command that follows, with ``VALUE`` where something must be said."""
    options = {**found.options, **dict.fromkeys(found.missing, "VALUE")}
    words = ["python", "-m", "calibration", "import", str(found.path), "--format", str(found.format)]
    words += ["--output", output]
    for name, value in options.items():
        words += ["--option", f"{name}={value}"]
    return shlex.join(words)


def wished(found: Inspection) -> list[str]:
    """Return the options that would tell what the card would otherwise state as unknown or assumed."""
    if found.imported is None or found.format is None or found.imported.simulated is not None:
        return []
    fields = importers.REGISTRY.get(found.format).Options.model_fields
    pulses = None if found.imported.writes is None else found.imported.writes.pulses
    told = set(found.options) | set(found.missing)
    if pulses is not None:
        told |= {"duration_s"} if pulses["duration_s"].notna().all() else set()
        told |= {"voltage_up_V", "voltage_down_V"} if pulses["voltage_V"].notna().all() else set()
        told |= {"read_voltage_V"} if found.imported.writes and found.imported.writes.read_voltage_V else set()
    if "current_at_V" in told:
        told |= {"read_voltage_V"}
    return [
        f"--option {name}=...   {meaning}" for name, meaning in WISHED.items() if name in fields and name not in told
    ]


def study(found: Inspection, name: str) -> str:
    """Return a study of the file as YAML: it makes the card and trains a network with it.

    Raises
    ------
    UserError
        If something must be said first.
    """
    if found.imported is None or found.missing:
        asked = ", ".join(f"--option {name}=VALUE, as {TRIED[name]}" for name in found.missing) or found.why
        raise UserError(f"{found.path}: no study can be written yet: {asked}")
    source = {"kind": "import", "file": str(found.path), "format": found.format, "options": _typed(found)}
    content: dict[str, Any] = {"study": name, "calibration": {"source": source}}
    if not importers.brings_states(str(found.format)):
        content["calibration"]["states"] = {"method": "auto", "count": None}
    kind = importers.kind(found.path, str(found.format), found.options)
    if kind is not None and kind in NETWORKS:
        content["network"] = deepcopy(NETWORKS[kind])
    head = (
        f"# A study of {found.path.name}: its card, and a network that is trained with it.\n"
        f"#   python -m spinloom run {name}.yaml        (results in results/{name}, its page is report.html)\n"
        "# What the measurement does not tell goes below calibration.source.options, in SI units; docs/measured.md.\n"
    )
    return head + yaml.safe_dump(content, sort_keys=False, width=110)


def _typed(found: Inspection) -> dict[str, Any]:
    """Return the options as the format's section has them: numbers for numbers."""
    known = importers.check(str(found.format), found.options, str(found.path)).dump()
    return {name: known[name] for name in found.options}
