"""A device that your own script simulates: mumax3's or OOMMF's, with the values of a write in place of names in braces.

The script simulates one write: it prepares the state, pulses and lets the device settle. Spinloom fills it in for each
pulse, start, device and repetition, runs it, and reads the state before and after off its table or its snapshots, as
the importer of finished runs does (docs/script.md).
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import pandera.pandas as pa
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.junctions.mtj import interval
from device_sims.finished import scripted, write
from device_sims.finished.reading import AP, SINGLE, P, Reading, meaning
from device_sims.finished.scripted import READ, SEED, Scripted, Written
from device_sims.problem import DataFile
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.files import sha256_file
from spinloom.quantities import DRIVES
from spinloom.write_events import Writes

LISTS = {
    "voltage_V": "voltages_V",
    "current_density_A_per_m2": "current_densities_A_per_m2",
    "field_T": "fields_T",
    "zhang_li_u_m_per_s": "zhang_li_u_m_per_s",
    "duration_s": "durations_s",
}
ENDINGS = (".mx3", ".mif")
NONE = "-"  # in place of a state to start from
AXES = (*LISTS, "start_state")
KEYS = ("nominal_start_m",)
_index = pa.Column(int, pa.Check.ge(0))
_number = pa.Column(float, nullable=True)
_given = pa.Column(float, nullable=True, required=False)  # of one kind of state, and not of the other
_share = pa.Column(float, pa.Check.between(0, 1), nullable=True, required=False)
_start = pa.Column(float, pa.Check.ge(0))
_drives = {name: _number for name in DRIVES}
PULSE_COLUMNS = {
    "pulse": _index,
    "channel": pa.Column(str),
    **_drives,
    "duration_s": pa.Column(float, pa.Check.gt(0)),
    "settle_s": pa.Column(float, pa.Check.ge(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
    "start_state": pa.Column(str, pa.Check.isin([AP, P, NONE])),
}
EVENT_COLUMNS = {
    "start_position_m": _given,
    "final_position_m": _given,
    "mz_start": _given,
    "mz_final": _given,
    "mz_pulse_mean": _given,
    "outcome": pa.Column(str),
    "nominal_start_m": _start,
}
TRAJECTORY_COLUMNS = {"position_m": _given, "mz": _given}
SUMMARY_COLUMNS = {
    "pulse": _index,
    **_drives,
    "duration_s": _number,
    "nominal_start_m": _start,
    "writes": pa.Column(int, pa.Check.ge(1)),
    "lost": _index,
    "position_mean_m": _given,
    "position_sd_m": _given,
    "position_sem_m": _given,
    "switched": pa.Column(int, pa.Check.ge(0), required=False),
    "probability": _share,
    "ci_low": _share,
    "ci_high": _share,
}


class Pulses(Section):
    """Values to sweep: each combination is a pulse. A list with several values needs its placeholder in the script."""

    voltages_V: tuple[Annotated[Real, Field(ge=-1000, le=1000)], ...] = key(
        "Voltages, for the placeholder `{voltage_V}`.", ()
    )
    current_densities_A_per_m2: tuple[Annotated[Real, Field(ge=-1e15, le=1e15)], ...] = key(
        "Current densities, for the placeholder `{current_density_A_per_m2}`.", ()
    )
    fields_T: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key("Fields, for the placeholder `{field_T}`.", ())
    zhang_li_u_m_per_s: tuple[Annotated[Real, Field(ge=-10000, le=10000)], ...] = key(
        "Velocities u of the Zhang-Li torque, for the placeholder `{zhang_li_u_m_per_s}`.", ()
    )
    durations_s: tuple[Annotated[Real, Field(gt=0, le=1e-3)], ...] = key(
        "Lengths of the pulse, for the placeholder `{duration_s}`.", min_length=1
    )
    start_positions_m: tuple[Annotated[Real, Field(ge=0)], ...] = key(
        "Positions of the wall at which writes begin, for the placeholder `{start_m}`. If the list is empty, "
        "each write begins with a reset, which the script makes.",
        (),
    )
    start_states: tuple[Literal["AP", "P"], ...] = key(
        "States in which writes begin, with `reading.state: levels`. The placeholder `{start_sign}` becomes "
        "-1 for AP and 1 for P.",
        (),
    )


class Options(Section):
    """A device that your own mumax3 or OOMMF script simulates (docs/script.md)."""

    file: str = key("The script (.mx3 or .mif). Names in braces mark where Spinloom puts values.")
    files: tuple[str, ...] = key("Files that the script reads. They are copied beside it under their own names.", ())
    constants: dict[str, Real | str] = key(
        "Further placeholders with their values, which are the same for all writes.", dict
    )
    channel: str = key("What the pulses act through, such as `gate+sot`. It is a label in the card.", "script")
    temperature_K: Real = key("Temperature of the simulation, for the placeholder `{temperature_K}`.", ge=0, le=1500)
    pulses: Pulses = key("Values to sweep: each combination is a pulse.")
    reading: Reading = key("How the result of a write is read from the files of a run.", Reading)


def _drives_of(options: Options) -> tuple[str, ...]:
    return tuple(name for name in DRIVES if getattr(options.pulses, LISTS[name]))


def _levels(options: Options) -> bool:
    return options.reading.state == "levels"


def _starts(options: Options) -> tuple[Any, ...]:
    """Return the states that pulses differ in; of walls the start is a key of the batch."""
    return options.pulses.start_states if _levels(options) and options.pulses.start_states else (NONE,)


def _reset(options: Options) -> bool:
    return not (options.pulses.start_states if _levels(options) else options.pulses.start_positions_m)


def check(section: Simulations) -> None:
    """Check what a declaration cannot: relations between values, and the script.

    Raises
    ------
    UserError
        Naming the first key that cannot be, or the placeholder that is missing or has no value.
    """
    where, options = "device_sims.script", section.options
    axes, reading, path = options.pulses, options.reading, Path(options.file)
    planning.check_axes(axes, f"{where}.pulses")
    planning.check_number(section, len(_plan(options)) * max(len(axes.start_positions_m), 1))
    if path.suffix not in ENDINGS:
        raise UserError(f"{where}.file: found {options.file}, allowed: a script, {' or '.join(ENDINGS)}")
    if not _drives_of(options):
        lists = ", ".join(LISTS[name] for name in DRIVES)
        raise UserError(f"{where}.pulses: found no list of pulses, allowed: one or more of {lists}")
    if axes.start_positions_m and _levels(options):
        raise UserError(f"{where}.pulses.start_positions_m: found positions, allowed with reading.state levels: none")
    if axes.start_states and not _levels(options):
        raise UserError(f"{where}.pulses.start_states: found states, allowed: only with reading.state levels")
    if reading.settle_s is None:
        raise UserError(f"{where}.reading.settle_s: found null, allowed with a script: a time after the pulse")
    if missing := reading.missing(None):
        raise UserError(f"{where}.reading.{missing}: found null, allowed with a script: a number")
    if "junction" in reading.energy and _reset(options):
        raise UserError(f"{where}.reading.energy: found junction, allowed without pulses.start_states: line, gate")
    names = [Path(file).name for file in options.files]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where}.files: found two files called {twice[0]}, allowed: each name once")
    _check_placeholders(section, _text(options))


def _check_placeholders(section: Simulations, text: str) -> None:
    """Check that each placeholder has a value, and that values that differ between writes have a placeholder."""
    options, where = section.options, "device_sims.script"
    axes, found = options.pulses, scripted.placeholders(text)
    lists = {name: getattr(axes, LISTS[name]) for name in LISTS}
    lists |= {"start_m": axes.start_positions_m, "start_sign": axes.start_states}
    given = {name for name, values in lists.items() if values}
    if wrong := sorted(set(options.constants) & {*lists, SEED, "instance", "temperature_K"}):
        raise UserError(
            f"{where}.constants: found {wrong[0]}, to which Spinloom itself gives a value, allowed: other names"
        )
    known = {*given, *options.constants, SEED, "instance", "temperature_K"}
    if options.file.endswith(".mx3") and (unknown := sorted(found - known)):
        raise UserError(
            f"{options.file}: found the placeholder {{{unknown[0]}}}, which has no value, allowed: "
            f"{', '.join(sorted(known))}, and the names in {where}.constants"
        )
    for name, values in lists.items():
        if name not in found and len(values) > 1:
            key = {**LISTS, "start_m": "start_positions_m", "start_sign": "start_states"}[name]
            raise UserError(
                f"{options.file}: found no placeholder {{{name}}}, allowed: a script with it, because "
                f"{where}.pulses.{key} has {len(values)} values"
            )
    if unused := sorted(set(options.constants) - found):
        name = unused[0]
        raise UserError(
            f"{options.file}: found no placeholder {{{name}}}, allowed: a script with it, because {where}.constants "
            f"has {name}"
        )
    sweep = section.sweep
    replicas = max([sweep.replicas_per_instance, *(one.replicas_per_instance for one in sweep.replicas)])
    for name, number, what in (
        (SEED, replicas, "sweep.replicas_per_instance"), ("instance", sweep.instances, "sweep.instances"),
    ):  # fmt: skip
        if number > 1 and name not in found:
            raise UserError(
                f"{options.file}: found no placeholder {{{name}}}, allowed: a script with it, because without it the "
                f"{number} of device_sims.{what} would all be the same"
            )


def _text(options: Options) -> str:
    try:
        return Path(options.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        raise UserError(f"device_sims.script.file: {options.file}: cannot be read ({reason})") from None


def _plan(options: Options) -> list[dict[str, Any]]:
    """Return the values of each pulse; drives that the script does not have are absent."""
    axes = {name: getattr(options.pulses, LISTS[name]) for name in LISTS}
    axes = {name: values for name, values in axes.items() if values} | {"start_state": _starts(options)}
    return [dict(zip(axes, values)) for values in itertools.product(*axes.values())]


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse of the sweep, in the order of the lists; drives that the script has not are absent."""
    options = section.options
    rows = [
        {
            "pulse": index,
            "channel": options.channel,
            **dict.fromkeys(DRIVES, math.nan),
            "settle_s": options.reading.settle_s,
            "temperature_K": options.temperature_K,
            **plan,
        }
        for index, plan in enumerate(_plan(options))
    ]
    return pd.DataFrame(rows)[list(PULSE_COLUMNS)]


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse, instance, start position.

    Raises
    ------
    UserError
        If the script, or a file that it reads, cannot be read.
    """
    options = section.options
    data = tuple(_data(file) for file in options.files)
    starts = [{"nominal_start_m": start} for start in options.pulses.start_positions_m or (0.0,)]
    text = _text(options)

    def problem(section: Simulations, plan: dict[str, Any], instance: int, nominal_start_m: float) -> Scripted:
        values = {name: value for name, value in plan.items() if name != "start_state"}
        if plan["start_state"] != NONE:
            values["start_sign"] = 1 if plan["start_state"] == P else -1
        if options.pulses.start_positions_m:
            values["start_m"] = nominal_start_m
        values |= {"instance": instance, "temperature_K": options.temperature_K, **options.constants}
        return Scripted(
            script=options.file,
            text=text,
            values=values,
            files=data,
            reading={name: getattr(options.reading, name) for name in READ},
            pulse_s=plan["duration_s"],
            # values themselves and not their places in the lists, so that reordering the sweep changes nothing
            stream=(section.seed, "thermal field", "script", *map(str, plan.items()), nominal_start_m, instance),
        )

    return planning.batches(section, _plan(options), problem, starts)


def _data(file: str) -> DataFile:
    try:
        return DataFile(file, sha256_file(file))
    except OSError as error:
        raise UserError(f"device_sims.script.files: {file}: cannot be read ({error.strerror})") from None


def observe(batch: Batch, problem: Scripted, result: Written) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a run.

    Raises
    ------
    UserError
        If a run does not begin in the state that its pulse is from.
    """
    seen = result.seen
    row = {"outcome": seen.outcome, "nominal_start_m": batch.keys["nominal_start_m"]}
    if problem.reading["state"] != "levels":
        return {"start_position_m": seen.before, "final_position_m": seen.after, **row}, {"position_m": seen.values}
    sign = problem.values.get("start_sign")
    if sign is not None and (found := write.level(seen.before)) != (wanted := P if sign == 1 else AP):
        raise UserError(
            f"{problem.script}: replica {problem.stream[-1]}: found the start state {found} ({seen.before:g} before "
            f"the pulse), allowed with start_sign {sign}: {wanted}"
        )
    own = {"mz_start": seen.before, "mz_final": seen.after, "mz_pulse_mean": seen.pulse_mean}
    return {**own, **row}, {"mz": seen.values}


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return how many writes each pulse made and lost from each start, and where it left them or how often it switched.

    The interval is that of Jeffreys, 95 %; it takes all writes as independent.
    """
    levels, rows = _levels(section.options), []
    known = pulses.set_index("pulse").to_dict("index")
    for (pulse, start), own in events.groupby(["pulse", "nominal_start_m"], sort=True):
        told = known[pulse]
        good = own[own["outcome"].isin([AP, P] if levels else [SINGLE])]
        row = {
            "pulse": pulse,
            **{name: told[name] for name in (*DRIVES, "duration_s")},
            "nominal_start_m": start,
            "writes": len(own),
            "lost": len(own) - len(good),
        }
        if levels:
            left = {AP: P, P: AP}.get(told["start_state"], P)  # from a reset: how often it ends in P
            count, switched = len(good), int((good["outcome"] == left).sum())
            share = switched / count if count else math.nan
            low, high = interval(switched, count)
            rows.append(
                {**row, "switched": switched, "probability": share, "ci_low": float(low), "ci_high": float(high)}
            )
        else:
            final = good["final_position_m"]
            sd = float(final.std(ddof=1)) if len(final) > 1 else math.nan
            sem = sd / math.sqrt(max(len(final), 1))
            rows.append({**row, "position_mean_m": float(final.mean()), "position_sd_m": sd, "position_sem_m": sem})
    return pd.DataFrame(rows)


def describe(section: Simulations) -> dict:
    """Return what there is to know of the device."""
    options = section.options
    return {
        "script": Path(options.file).name,
        "script_sha256": sha256_file(options.file),
        "reset_before_write": _reset(options),
        **{name: value for name, value in options.constants.items()},
    }


def writes(section: Simulations) -> Writes:
    """Return what the write events mean, as the section's ``reading`` says."""
    options = section.options
    return meaning(options.reading, options.channel, _drives_of(options), _reset(options), None)
