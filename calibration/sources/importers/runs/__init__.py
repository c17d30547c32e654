"""Finished runs of a micromagnetic program, one write each: folders of mumax3, OOMMF, ubermag, mumax+, or our own.

What distinguishes the runs stands in the names of their folders, in a manifest, or in their tables. The state before
and after the pulse is a column of the table, or the position of the wall in the snapshots. The readers are those of
stage 1 (`device_sims.finished`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, model_validator

from calibration.card import Kind
from calibration.counting.writes import Simulated
from calibration.sources.importers.base import Common, Imported, Switch
from calibration.sources.importers.reading import Report
from calibration.sources.importers.runs import gather
from calibration.sources.importers.runs.names import Pattern
from calibration.sources.tabular.table import Table
from device_sims.finished import reading
from device_sims.finished.reading import Reading
from spinloom.declare import Real, key
from spinloom.errors import UserError
from spinloom.files import canonical_json, sha256_text
from spinloom.quantities import of
from spinloom.text_tables import Text


def _pairs(value: Any) -> Any:
    """Return the pairs in a text ``voltage_V=V_gate, field_T=B_extz``, as a command line gives them."""
    if not isinstance(value, str):
        return value
    found = [part.partition("=") for part in value.split(",") if part.strip()]
    return {name.strip(): column.strip() for name, _, column in found}


class Options(Reading, Common):
    """Options of finished runs."""

    channel: Text = key("What the pulses act through, such as `gate+sot`. It is a label in the card.", "simulated")
    pattern: Text | None = key(
        "How the folders of the runs are named, such as `V{voltage_V}_seed{replica}`. `*` stands for "
        "anything, and values may have units.",
        None,
    )
    manifest: Text | None = key("CSV table with a column `run` and columns for what a pattern could say.", None)
    columns: Annotated[dict[str, str], BeforeValidator(_pairs)] = key(
        "Columns of the runs' tables that hold a quantity of the pulse, such as `field_T=B_extz`. Their value "
        "during the pulse counts.",
        dict,
    )
    voltage_V: Real | None = key("Voltage of the pulse, if no pattern, manifest or column says it.", None)
    current_density_A_per_m2: Real | None = key(
        "Current density of the pulse, if no pattern, manifest or column says it.", None
    )
    field_T: Real | None = key("Field of the pulse, if no pattern, manifest or column says it.", None)
    zhang_li_u_m_per_s: Real | None = key(
        "Velocity u of the Zhang-Li torque, if no pattern, manifest or column says it.", None
    )
    duration_s: Real | None = key("Length of the pulse, if no pattern, manifest or column says it.", None, gt=0)
    reset_before_write: Switch | None = key(
        "With true, each write begins with a reset. With null, this is so if the state is a position and no "
        "`start_m` is given.",
        None,
    )
    restarted: Literal["leave_out", "last"] = key(
        "What to do with a run whose table goes back in time: leave it out, or use its last part.", "leave_out"
    )
    max_dropped_fraction: Real = key(
        "Largest share of runs that may be left out because they cannot be used. A larger share is an error.",
        0.05,
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _known_names(self) -> Options:
        if self.pattern is not None:
            try:
                Pattern(self.pattern)
            except ValueError as error:
                raise ValueError(f"pattern: {error}") from None
        if wrong := sorted(set(self.columns) - set(known := (*gather.DRIVES, "temperature_K"))):
            raise ValueError(f"columns: found {wrong[0]}, allowed: {', '.join(known)}")
        return self


def recognise(path: Path, table: Table | None) -> str | None:
    """Return why a path holds finished runs, None if it does not."""
    if table is not None:
        return None
    runs = gather.runs_at(path)
    return f"{len(runs)} finished runs" if runs and gather.looks_like_runs(runs[0]) else None


def kind(path: str | Path, options: Options) -> Kind:
    """Return what the devices are, from the options alone."""
    if options.state == "levels":
        return Kind.SWITCHING
    return Kind.LEVELS if _reset(options, "start_m" in gather.told_names(options)) else Kind.STEPS


def inputs(path: str | Path, options: Options) -> list[Path]:
    """Return the files that an import reads: tables, or tables and snapshots, and the manifest."""
    return gather.inputs(Path(path), options)


def _reset(options: Options, starts: bool) -> bool:
    if options.reset_before_write is not None:
        return options.reset_before_write
    return options.state != "levels" and not starts


def read(path: str | Path, options: Options) -> Imported:
    """Read the writes of finished runs.

    Parameters
    ----------
    path : str or Path
        Folder or table of a run, or a pattern of them (``runs/V*.out``).
    options : Options

    Raises
    ------
    UserError
        Names the run, the file or the option.
    """
    path, report = Path(path), Report()
    starts = "start_m" in gather.told_names(options)
    reset = _reset(options, starts)
    if reset and "junction" in options.energy:
        raise UserError(f"{path}: energy: found junction with reset_before_write, allowed: line, gate")
    found = gather.gather(path, options, reset, report)
    notes = [*found.notes]
    left_out = report.table()
    if len(left_out) > options.max_dropped_fraction * report.total:
        raise UserError(
            f"{left_out['reason'].iloc[0]}; found {len(left_out)} of {report.total} runs that cannot be used, allowed: "
            f"a share of {options.max_dropped_fraction:g} (option max_dropped_fraction)"
        )
    if found.table.empty:
        raise UserError(f"{path}: found no run that can be used, allowed: one or more")
    table, size = found.table, found.size_m
    if missing := options.missing(size):
        raise UserError(
            f"{path}: option {missing}: found null, and the files do not tell it, allowed: a number in "
            f"{of(missing).si.replace('^', '')}"
        )
    drives = tuple(name for name in gather.DRIVES if name in table and table[name].notna().any())
    if not drives:
        raise UserError(
            f"{path}: found nothing that drives a write, allowed: one or more of {', '.join(gather.DRIVES)}, by "
            "pattern, manifest, columns or an option"
        )
    means = reading.meaning(options, options.channel, drives, reset, size)
    if options.volatile:
        if options.state != "levels":
            raise UserError(f"{path}: volatile: found true with state {options.state}, allowed: with state levels")
        means = means.model_copy(update={"states": means.states.model_copy(update={"volatile": True})})
    pulses, events = _tables(table, drives, options.state == "levels" and not reset)
    assumed = []
    if "temperature_K" not in gather.told_names(options) and "temperature_K" not in options.model_fields_set:
        assumed.append(f"The temperature is taken to be {options.temperature_K:g} K (option temperature_K).")
    if options.state == "share" or (options.state == "position" and options.state_column is not None):
        notes.append(
            "a column of the state does not tell whether there was one wall: runs that lost it may be among these"
        )
    source = {
        "kind": "simulated",
        "engine": ", ".join(found.programs),
        "engine_version": "not told by the files",
        "spec_hashes": sorted(set(events["spec_hash"])),
        "events_sha256": sha256_text(canonical_json(sorted(events["spec_hash"]))),
        "options": options.given(),
    }
    return Imported(
        rows=report.total,
        report=left_out,
        notes=tuple(notes),
        facts=_facts(pulses, events, options),
        simulated=Simulated(
            name=options.name or (path.stem if path.exists() else path.parent.name or "runs"),
            source=source,
            events_file=path,
            means=means,
            pulses=pulses,
            events=events,
            destructive_read=options.destructive_read,
            assumed=tuple(assumed),
            meta={
                "import": {
                    "values": report.total,
                    "left_out": len(left_out),
                    "devices": found.devices,
                    "notes": notes,
                }
            },
        ),
    )


def _tables(table: pd.DataFrame, drives: tuple[str, ...], by_start: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pulses, sorted by what tells them apart, and the events."""
    fields = [*drives, "duration_s", "settle_s", "temperature_K", *(["start_state"] if by_start else [])]
    pulses = table[fields].drop_duplicates().sort_values(fields, ignore_index=True)
    pulses.insert(0, "pulse", range(len(pulses)))
    events = table.merge(pulses, on=fields, how="left")
    order = ["pulse", "instance", "nominal_start_m", "replica"]
    return pulses, events.sort_values(order, ignore_index=True)


def _facts(pulses: pd.DataFrame, events: pd.DataFrame, options: Options) -> tuple[str, ...]:
    """Return what there is to see, for people."""
    lines = [f"{len(events)} writes by {len(pulses)} pulses on {events['instance'].nunique()} devices"]
    levels = options.state == "levels"
    for pulse in pulses.head(8).to_dict("records"):
        own = events[events["pulse"] == pulse["pulse"]]
        told = ", ".join(f"{of(name).told(pulse[name])}" for name in (*gather.DRIVES, "duration_s") if name in pulse)
        if levels:
            lines.append(
                f"pulse {pulse['pulse']} ({told}): {len(own)} writes, {(own['outcome'] == 'P').sum()} end in P"
            )
            continue
        unit, after = of("position_m"), own["final_position_m"].dropna()
        spread = f", sd {after.std() * unit.scale:.4g}" if len(after) > 1 else ""
        lines.append(
            f"pulse {pulse['pulse']} ({told}): {len(own)} writes, {len(own) - len(after)} without one wall, "
            f"position after {after.mean() * unit.scale:.4g} {unit.unit}{spread}"
        )
    return tuple(lines)
