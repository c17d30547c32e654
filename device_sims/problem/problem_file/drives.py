"""Drives of a problem file: numbers, ramps, sines, pulses, points, columns of a CSV file, sums and products."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from device_sims.problem import waveforms
from device_sims.problem.problem_file.common import check_kind
from spinloom import quantities
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError

MOST_POINTS = 20_000  # they are part of the problem, and of its identity
# what a column's header may call its unit -> in SI, by the SI unit of what the column holds
PREFIXED = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
UNITS = {
    "s": {f"{prefix}s": factor for prefix, factor in PREFIXED.items()},
    "T": {**{f"{prefix}T": factor for prefix, factor in PREFIXED.items()}, "Oe": 1e-4, "G": 1e-4, "kOe": 0.1},
    "A/m^2": {"A/m2": 1.0, "A/m^2": 1.0, "A_per_m2": 1.0, "A/cm2": 1e4, "A/cm^2": 1e4, "MA/cm2": 1e10, "MA/cm^2": 1e10},
    "m/s": {"m/s": 1.0, "m_per_s": 1.0},
    "K": {"K": 1.0},
    "1": {"1": 1.0},
}
# the keys that each kind of pulse uses, and those that it cannot do without
KINDS = {
    "gauss": (("time_s", "width_s"), ("amplitude", "time_s", "width_s")),
    "sinc": (("time_s", "frequency_Hz"), ("amplitude", "time_s", "frequency_Hz")),
    "exponential": (("time_s", "width_s"), ("amplitude", "width_s")),
    "square": (("time_s", "width_s", "period_s"), ("amplitude", "width_s")),
}
FORMS = (
    "a number, {from, to}, {offset, amplitude, frequency_Hz, phase_rad}, {from, to, amplitude, frequency_Hz, "
    "phase_rad}, {kind, amplitude, ...}, {points} or {file}, each by itself, or {sum} or {product} of these"
)


class Elementary(Section):
    """A drive over time: a ramp, a sine, or both; a pulse; points, or a column of a CSV file."""

    from_: Real | None = key("Ramp's value at the start.", absent=True, alias="from")
    to: Real | None = key("Ramp's value at the end.", absent=True)
    offset: Real | None = key("Constant part of a sine or a pulse.", absent=True)
    amplitude: Real | None = key("Amplitude of the sine, height of the pulse.", absent=True)
    frequency_Hz: Real | None = key("Its frequency; of a sinc, the highest.", absent=True, gt=0, le=10000000000000.0)
    phase_rad: Real | None = key("Its phase at the start.", absent=True)
    kind: Literal["gauss", "sinc", "exponential", "square"] | None = key("Kind of pulse.", absent=True)
    time_s: Real | None = key(
        "Middle of a gauss or sinc; begin of an exponential or square, 0 if left out.", absent=True
    )
    width_s: Real | None = key(
        "Standard deviation of a gauss, time constant of an exponential, length of a square.", absent=True, gt=0, le=1
    )
    period_s: Real | None = key("Time from one square to the next, of a train.", absent=True, gt=0, le=1)
    points: tuple[tuple[Real, Real], ...] | None = key(
        "Pairs of time in s and value, linear in between.", absent=True, min_length=2, max_length=MOST_POINTS
    )
    file: str | None = key("CSV file with a line of headers.", absent=True, min_length=1)
    time_column: str | None = key("Its column of times, by header; the first if left out.", absent=True)
    value_column: str | None = key("Its column of values, by header; the second if left out.", absent=True)
    time_unit_s: Real | None = key(
        "What its times are multiplied by, in place of the header's unit.", absent=True, gt=0
    )
    value_unit: Real | None = key("What its values are multiplied by, in place of the header's unit.", absent=True)
    outside: Literal["hold"] | None = key(
        "hold: before the first point and after the last the drive has their values; if left out, the points must"
        " cover the phase.",
        absent=True,
    )


class Waveform(Elementary):
    """A drive over time: a ramp, a sine, a pulse, points, a column of a CSV file, or a sum or product of such."""

    sum: tuple[Real | Elementary, ...] | None = key("Drives that are added.", absent=True, min_length=2, max_length=20)
    product: tuple[Real | Elementary, ...] | None = key(
        "Drives that are multiplied.", absent=True, min_length=2, max_length=20
    )


Drive = Real | Waveform


class Of(NamedTuple):
    """What a drive stands in."""

    key: str  # its own, from the top of the file
    duration_s: float
    unit: str  # SI
    folder: Path


def unit_of(name: str) -> str:
    """Return the SI unit of a drive's key."""
    return quantities.of(name).si


def drive_of(given: float | Elementary, of: Of) -> waveforms.Drive:
    """Return a drive; `UserError` if it is none, or its points do not cover the phase."""
    if not isinstance(given, Elementary):
        return float(given)
    said = {name: part for name, part in given.model_dump(by_alias=True).items() if part is not None}
    for operation in ("sum", "product"):
        if operation in said:
            if len(said) > 1:
                raise _none(said, of)
            parts = getattr(given, operation)
            return waveforms.Combined(
                operation,
                tuple(
                    drive_of(part, of._replace(key=f"{of.key}.{operation}.{place}")) for place, part in enumerate(parts)
                ),
            )
    if "file" in said or "points" in said:
        return _points(given, said, of)
    return _pulse(said, of) if "kind" in said else _ramp(said, of)


def _ramp(said: dict[str, Any], of: Of) -> waveforms.Waveform:
    ramp, sine = {"from", "to"} & set(said), {"amplitude", "frequency_Hz"} & set(said)
    others = set(said) - {"from", "to", "offset", "amplitude", "frequency_Hz", "phase_rad"}
    half = len(ramp) == 1 or len(sine) == 1 or "phase_rad" in said and not sine
    if half or others or ramp and "offset" in said or not said:
        raise _none(said, of)
    start = said.get("from", said.get("offset", 0.0))
    wave = (said.get("amplitude", 0.0), said.get("frequency_Hz", 0.0), said.get("phase_rad", 0.0))
    return waveforms.Waveform(start, said.get("to", start), *wave)


def _pulse(said: dict[str, Any], of: Of) -> waveforms.Pulse:
    kind = said["kind"]
    check_kind(kind, said, of.key, KINDS)
    if set(said) - {"kind", "amplitude", "offset", *KINDS[kind][0]}:
        raise _none(said, of)
    width = 1 / (2 * math.pi * said["frequency_Hz"]) if kind == "sinc" else said["width_s"]
    period = said.get("period_s", 0.0)
    if period and period <= width:
        raise UserError(f"{of.key}.period_s: found {period:g}, allowed: more than width_s = {width:g}")
    return waveforms.Pulse(kind, said["amplitude"], said.get("time_s", 0.0), width, said.get("offset", 0.0), period)


def _points(given: Elementary, said: dict[str, Any], of: Of) -> waveforms.Points:
    columns = {"time_column", "value_column", "time_unit_s", "value_unit"} if "file" in said else set()
    if set(said) - {"file" if "file" in said else "points", "outside", *columns}:
        raise _none(said, of)
    if given.file is not None:
        times, values = _columns(given, of)
        source = f"{of.key}: {given.file}"
    else:
        times, values = zip(*given.points or ())
        source = f"{of.key}.points"
    for first, second in zip(times, times[1:]):
        if second < first:
            raise UserError(f"{source}: found the time {second:g} s after {first:g} s, allowed: times in rising order")
    # the tolerance is for times that were written with few digits
    slack = 1e-6 * of.duration_s
    if given.outside is None and (times[0] > slack or times[-1] < of.duration_s - slack):
        raise UserError(
            f"{source}: found times from {times[0]:g} to {times[-1]:g} s, allowed: points that cover the phase, 0 to "
            f"{of.duration_s:g} s, or outside: hold"
        )
    return waveforms.Points(tuple(map(float, times)), tuple(map(float, values)))


def _columns(given: Elementary, of: Of) -> tuple[list[float], list[float]]:
    """Return times and values of a CSV file in SI units."""
    path = of.folder / Path(str(given.file)).expanduser()
    try:
        table = pd.read_csv(path, sep=None, engine="python", comment="#", encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise UserError(f"{of.key}.file: {path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{of.key}.file: {path}: found a file that is not a table ({error})") from None
    if not 2 <= len(table) <= MOST_POINTS:
        raise UserError(f"{of.key}.file: {path}: found {len(table)} rows, allowed: 2 to {MOST_POINTS}")
    found = []
    named = (("time_column", given.time_column, "s", "time_unit_s", given.time_unit_s),)
    named += (("value_column", given.value_column, of.unit, "value_unit", given.value_unit),)
    for place, (where, header, unit, factor_key, factor) in enumerate(named):
        headers = list(map(str, table.columns))
        if header is None:
            if len(headers) != 2:
                raise UserError(
                    f"{of.key}.{where}: found no such key, but {path} has {len(headers)} columns, allowed: one of "
                    f"{', '.join(headers)}"
                )
            header = headers[place]
        if header not in headers:
            raise UserError(f"{of.key}.{where}: found '{header}', allowed: {', '.join(headers)} (of {path})")
        if factor is None:
            factor = _header_unit(header, unit)
        if factor is None:
            raise UserError(
                f"{of.key}: {path}: found the column '{header}' without a unit, allowed: a header that ends in one of "
                f"{', '.join(UNITS[unit])}, as 't (ns)' or 't_ns', or {factor_key}"
            )
        column = pd.to_numeric(table.iloc[:, headers.index(header)], errors="coerce")
        if not column.map(math.isfinite).all():
            row = int((~column.map(math.isfinite)).argmax()) + 2
            raise UserError(f"{of.key}: {path}: column '{header}': found no finite number in line {row}")
        found.append((column * factor).tolist())
    return found[0], found[1]


def _header_unit(header: str, unit: str) -> float | None:
    """Return the factor to SI that a header names, or None; a quantity of unit 1 needs none."""
    units = UNITS[unit]
    bracketed = re.search(r"[(\[/]\s*([^()\[\]]+?)\s*[)\]]?\s*$", header)
    for name in (bracketed.group(1) if bracketed else "", *(f for f in units if header.endswith(f"_{f}"))):
        if name in units:
            return units[name]
    return 1.0 if unit == "1" and not bracketed else None


def _none(said: dict[str, Any], of: Of) -> UserError:
    return UserError(f"{of.key}: found {{{', '.join(sorted(said))}}}, allowed: {FORMS}")
