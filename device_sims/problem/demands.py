"""What a problem asks beyond what every engine does, and the line in which an engine refuses it."""

from __future__ import annotations

from collections.abc import Iterator

from device_sims.problem.problem import Problem
from device_sims.problem.waveforms import Combined, Drive, Points, Pulse, simple
from spinloom.errors import UserError

PULSES, RELAX, UNTIL, WINDOW, MAPS, HEAT = "pulses", "relax", "until", "window", "maps", "heat"
PARTNER = "partner"


def refuse(problem: Problem, engine: str, does: tuple[str, ...] = ()) -> None:
    """Check that a problem asks for nothing but what every engine and this one ``does``.

    Raises
    ------
    UserError
        Naming the first key that it does not do.
    """
    for demand, key, found, allowed in _demands(problem):
        if demand not in does:
            raise UserError(f"{key}: found {found}, allowed with {engine}: {allowed}")


def _demands(problem: Problem) -> Iterator[tuple[str, str, str, str]]:
    """Yield ``(demand, key, what was found, what is allowed without it)``."""
    if problem.partner is not None:
        yield PARTNER, "partner", "a second moment", "one body"
    if problem.window is not None:
        yield WINDOW, "window", f"one that follows m{problem.window.component}", "a box that stays"
    if problem.drive_maps:
        yield MAPS, "drive_maps", problem.drive_maps[0].name, "fields and currents that are uniform"
    for index, phase in enumerate(problem.schedule):
        where = f"schedule.{index}"
        for name, drive in phase.drives().items():
            # an engine that heats does so with any drive
            if not simple(drive) and name != "temperature_factor":
                yield PULSES, f"{where}.{name}", _kind(drive), "numbers, ramps and sines"
        if phase.temperature_factor != 1.0:
            yield HEAT, f"{where}.temperature_factor", "one that is not 1", "one temperature for all times"
        if phase.relax_tolerance is not None:
            yield RELAX, f"{where}.kind", "relax", "run"
        if phase.until is not None:
            yield UNTIL, f"{where}.until", phase.until.observable, "phases of a given duration"


def _kind(drive: Drive) -> str:
    if isinstance(drive, (Pulse, Combined)):
        return f"a {drive.kind if isinstance(drive, Pulse) else drive.operation}"
    return "points" if isinstance(drive, Points) else str(drive)
