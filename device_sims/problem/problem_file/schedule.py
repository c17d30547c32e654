"""`schedule` of a problem file: phases that run or relax, once or over the values of a drive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator

from device_sims.problem import parts
from device_sims.problem.observables import MEANS, WALL
from device_sims.problem.problem_file.common import given_of
from device_sims.problem.problem_file.drives import Drive, Of, drive_of, unit_of
from device_sims.problem.waveforms import steady
from spinloom.declare import Real, Section, Whole, key
from spinloom.errors import UserError

RELAX_TOLERANCE = 1e-5  # of a phase that relaxes, if it names none
MOST_REPEATS = 10_000


class Until(Section):
    """What ends a phase before its duration: a column of the table above or below a value."""

    observable: str = key("Column of table.csv.", min_length=1)
    above: Real | None = key("The phase ends at the first record at which the column is above it.", absent=True)
    below: Real | None = key("The phase ends at the first record at which the column is below it.", absent=True)


class Range(Section):
    """Values of a drive, one for each repetition of a phase."""

    from_: Real | tuple[Real, Real, Real] = key("First value; of field_T, three numbers.", alias="from")
    to: Real | tuple[Real, Real, Real] = key("Last value.")
    steps: Whole = key("Number of equal steps between them: there is one value more.", ge=1, lt=MOST_REPEATS)


class Phase(Section):
    """A phase."""

    name: str | None = key(
        "Name of the phase; phase_N, from 0, if left out.",
        absent=True,
        min_length=1,
        max_length=64,
    )
    kind: Literal["run", "relax"] = key(
        "run lets time pass; relax goes to the energy minimum at the phase's drives and T = 0, and takes no time.",
        "run",
    )
    duration_s: Real | None = key("Length of a run, whole time steps.", absent=True, gt=0, le=1)
    tolerance: Real | None = key(
        "Largest |m x H|/Ms at which relax is done; 1e-5 if left out.", absent=True, gt=0, le=1
    )
    until: Until | None = key("Ends a run before its duration.", absent=True)
    for_: dict[str, Range | tuple[Real | tuple[Real, Real, Real], ...]] | None = key(
        "One drive by its key, as field_T.2, and its values, as a range or a list: the phase is repeated with each.",
        absent=True,
        alias="for",
        min_length=1,
        max_length=1,
    )
    field_T: tuple[Drive, ...] = key(
        "Applied field B along x, y, z: each a drive.", (0, 0, 0), min_length=3, max_length=3
    )
    current_density_A_per_m2: Drive = key(
        "Drive of the spin-orbit or Slonczewski torque: current density.",
        0,
    )
    zhang_li_u_m_per_s: Drive = key("Drive of the Zhang-Li torque: velocity u along x.", 0)
    Ku_factor: Drive = key("Drive of the anisotropy everywhere.", 1)
    temperature_factor: Drive = key("Drive of the temperature: what temperature_K is multiplied by; 0 or more.", 1)
    region_Ku_factors: dict[Annotated[str, BeforeValidator(str)], Drive] = key(
        "Drives of the anisotropy in regions, by the region's name.",
        dict,
    )
    drive_maps: dict[Annotated[str, BeforeValidator(str)], Drive] = key(
        "What the maps of `drive_maps` are multiplied by, by the map's name; 0 for those left out.",
        dict,
    )


def phases_of(given: Phase, index: int, folder: Path) -> list[parts.Phase]:
    """Return what entry ``index`` of the schedule stands for: its phase, or one for each value of its ``for``.

    Parameters
    ----------
    given : Phase
    index : int
    folder : path
        What files of drives are named relative to.

    Raises
    ------
    UserError
        If keys do not fit the kind of phase, a drive is none, or one of a phase that relaxes changes in time.
    """
    name = f"phase_{index}" if given.name is None else given.name
    if given.for_ is None:
        return [_phase(given, f"schedule.{index}", name, folder)]
    return [
        _phase(one, f"schedule.{index}", f"{name}_{number:04d}", folder)
        for number, one in enumerate(_repeated(given, f"schedule.{index}"))
    ]


def _repeated(given: Phase, where: str) -> Iterator[Phase]:
    ((name, values),) = (given.for_ or {}).items()
    if isinstance(values, Range):
        if np.shape(values.from_) != np.shape(values.to):
            raise UserError(f"{where}.for.{name}: found a number and a vector, allowed: two numbers or two vectors")
        fractions = np.arange(values.steps + 1) / values.steps
        first, last = np.array(values.from_), np.array(values.to)
        found = [_rounded(first * (1 - f) + last * f) for f in fractions]
    else:
        found = list(values)
    if not 1 <= len(found) <= MOST_REPEATS:
        raise UserError(f"{where}.for.{name}: found {len(found)} values, allowed: 1 to {MOST_REPEATS}")
    key_, _, entry = name.partition(".")
    content = given.model_dump(by_alias=True, exclude_unset=True, exclude={"for_"})
    for value in found:
        own: dict[str, Any] = dict(content)
        if not entry:
            own[key_] = value
        elif key_ == "field_T" and entry in ("0", "1", "2"):
            field = list(own.get(key_, (0.0, 0.0, 0.0)))
            field[int(entry)] = value
            own[key_] = field
        elif isinstance(getattr(given, key_, None), dict) and key_ != "for_":
            own[key_] = {**own.get(key_, {}), entry: value}
        else:
            own = {}
        if key_ in ("name", "kind", "duration_s", "tolerance", "until") or key_ not in own:
            raise UserError(
                f"{where}.for: found '{name}', allowed: the key of one drive of the phase, as field_T.2 or Ku_factor"
            )
        yield Phase.parse(own, where, f"for.{name}")


def _rounded(values: np.ndarray) -> Any:
    """Return a value of a range with twelve digits: 0.3 and not 0.30000000000000004."""
    return np.vectorize(lambda x: float(f"{x:.12g}"))(values).tolist()


def _phase(given: Phase, where: str, name: str, folder: Path) -> parts.Phase:
    relaxes = given.kind == "relax"
    for key_, wrong in (("duration_s", relaxes), ("until", relaxes), ("tolerance", not relaxes)):
        if wrong and getattr(given, key_) is not None:
            raise UserError(
                f"{where}.{key_}: found with kind {given.kind}, which does not have this key, allowed: no such key"
            )
    if not relaxes and given.duration_s is None:
        raise UserError(f"{where}: key 'duration_s' is missing")
    duration_s = given.duration_s or 0.0

    def drive(value: Drive, key_: str, of: str) -> parts.Drive:
        return drive_of(value, Of(f"{where}.{key_}", duration_s, unit_of(of), folder))

    x, y, z = (drive(value, f"field_T.{i}", "field_T") for i, value in enumerate(given.field_T))
    current, velocity = given.current_density_A_per_m2, given.zhang_li_u_m_per_s
    phase = parts.Phase(
        name,
        duration_s,
        Ku_factor=drive(given.Ku_factor, "Ku_factor", "Ku_factor"),
        current_density_A_per_m2=drive(current, "current_density_A_per_m2", "current_density_A_per_m2"),
        field_T=(x, y, z),
        zhang_li_u_m_per_s=drive(velocity, "zhang_li_u_m_per_s", "zhang_li_u_m_per_s"),
        region_Ku_factors=tuple(
            (region, drive(value, f"region_Ku_factors.{region}", "Ku_factor"))
            for region, value in sorted(given.region_Ku_factors.items())
        ),
        drive_maps=tuple(
            (one, drive(value, f"drive_maps.{one}", "Ku_factor")) for one, value in sorted(given.drive_maps.items())
        ),
        temperature_factor=drive(given.temperature_factor, "temperature_factor", "Ku_factor"),
        relax_tolerance=(given.tolerance or RELAX_TOLERANCE) if relaxes else None,
        until=None if given.until is None else _until(given.until, f"{where}.until"),
    )
    if relaxes:
        _check_relaxing(phase, where)
    return phase


def _until(given: Until, where: str) -> parts.Until:
    if len(given_of(given)) != 2:
        raise UserError(f"{where}: found {', '.join(given_of(given))}, allowed: observable, and one of above and below")
    if given.observable not in (allowed := (*MEANS, WALL)):
        raise UserError(f"{where}.observable: found '{given.observable}', allowed: {', '.join(allowed)}")
    return parts.Until(given.observable, given.above, given.below)


def _check_relaxing(phase: parts.Phase, where: str) -> None:
    for name, drive in phase.drives().items():
        if steady(drive) is None:
            raise UserError(f"{where}.{name}: found a function of time, allowed in a phase that relaxes: a number")
    for name in ("current_density_A_per_m2", "zhang_li_u_m_per_s"):
        if steady(getattr(phase, name)) != 0:
            raise UserError(
                f"{where}.{name}: found in a phase that relaxes, allowed: 0, because the torque of a current has no "
                "energy that could be minimised; to let a state come to rest under a current, use a phase of kind run "
                "with a large alpha"
            )
