"""`schedule` of a problem file: phases, and drives over time."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from device_sims.problem import parts
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Waveform(Section):
    """A drive over time: a ramp, a sine, or both."""

    from_: Real | None = key("Ramp's value at the start.", absent=True, alias="from")
    to: Real | None = key("Ramp's value at the end.", absent=True)
    offset: Real | None = key("Constant part of a sine.", absent=True)
    amplitude: Real | None = key("Amplitude of the sine.", absent=True)
    frequency_Hz: Real | None = key("Its frequency.", absent=True, gt=0, le=10000000000000.0)
    phase_rad: Real | None = key("Its phase at the start.", absent=True)


Drive = Real | Waveform


class Phase(Section):
    """A phase."""

    name: str | None = key(
        "Name of the phase; phase_N, from 0, if left out.",
        absent=True,
        min_length=1,
        max_length=64,
    )
    duration_s: Real = key("Length, whole time steps.", gt=0, le=1)
    field_T: tuple[Drive, ...] = key(
        "Applied field B along x, y, z: each a drive.", (0, 0, 0), min_length=3, max_length=3
    )
    current_density_A_per_m2: Drive = key(
        "Drive of the spin-orbit or Slonczewski torque: current density.",
        0,
    )
    zhang_li_u_m_per_s: Drive = key("Drive of the Zhang-Li torque: velocity u along x.", 0)
    Ku_factor: Drive = key("Drive of the anisotropy everywhere.", 1)
    region_Ku_factors: dict[Annotated[str, BeforeValidator(str)], Drive] = key(
        "Drives of the anisotropy in regions, by the region's name.",
        dict,
    )


def phase_of(given: Phase, index: int) -> parts.Phase:
    """Return phase number ``index``; `UserError` if a drive is none."""
    where = f"schedule.{index}"
    x, y, z = (_drive(value, f"{where}.field_T.{i}") for i, value in enumerate(given.field_T))
    return parts.Phase(
        f"phase_{index}" if given.name is None else given.name,
        given.duration_s,
        Ku_factor=_drive(given.Ku_factor, f"{where}.Ku_factor"),
        current_density_A_per_m2=_drive(given.current_density_A_per_m2, f"{where}.current_density_A_per_m2"),
        field_T=(x, y, z),
        zhang_li_u_m_per_s=_drive(given.zhang_li_u_m_per_s, f"{where}.zhang_li_u_m_per_s"),
        region_Ku_factors=tuple(
            (name, _drive(value, f"{where}.region_Ku_factors.{name}"))
            for name, value in sorted(given.region_Ku_factors.items())
        ),
    )


def _drive(value: Drive, where: str) -> parts.Drive:
    if not isinstance(value, Waveform):
        return float(value)
    said = {name: part for name, part in value.model_dump(by_alias=True).items() if part is not None}
    ramp, sine = {"from", "to"} & set(said), {"amplitude", "frequency_Hz"} & set(said)
    if len(ramp) == 1 or len(sine) == 1 or ramp and "offset" in said or "phase_rad" in said and not sine or not said:
        raise UserError(
            f"{where}: found {{{', '.join(sorted(said))}}}, allowed: a number, {{from, to}}, {{offset, amplitude, "
            f"frequency_Hz, phase_rad}} or {{from, to, amplitude, frequency_Hz, phase_rad}}"
        )
    start = said.get("from", said.get("offset", 0.0))
    wave = (said.get("amplitude", 0.0), said.get("frequency_Hz", 0.0), said.get("phase_rad", 0.0))
    return parts.Waveform(start, said.get("to", start), *wave)
