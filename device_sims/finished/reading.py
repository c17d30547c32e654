"""What the user says of a run: where the state stands, when the pulse was, and what reads the state and spends energy.

`Reading` is part of the options of whoever reads finished runs: the importer of runs, and the device that is a script.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, model_validator

from spinloom.declare import Real, Section, key
from spinloom.write_events import Energy, Heat, Junction, Levels, Line, Outcome, Plates, Position, Pulse, Writes

SINGLE, LOST, MULTIPLE = "single", "lost", "multiple"
AP, P, UNDECIDED = "AP", "P", "undecided"
Mechanism = Literal["line", "gate", "junction"]


def _listed(value: Any) -> Any:
    """Return a text, as a command line gives it, as the list that it names."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


class Reading(Section):
    """How the result of a write is read from the files of a run."""

    state: Literal["position", "share", "levels"] = key(
        "What the state is. `position`: where the wall is, from a column in m or from snapshots. `share`: how "
        "much of the track is reversed, from a column of the mean magnetisation. `levels`: P (above 0.5) or "
        "AP (below -0.5), from such a column.",
        "position",
    )
    state_column: str | None = key(
        "Column of the table that holds the state, such as `ext_dwpos (m)` or `mz`. With null, the position "
        "of the wall is taken from the snapshots.",
        None,
    )
    component: Literal["x", "y", "z"] = key("Component of the magnetisation in which the two domains differ.", "z")
    left: Literal["up", "down"] | None = key(
        "Sign of that component left of the wall. With null, it is taken from the first snapshot. With "
        "`state: share` you must give it.",
        None,
    )
    position_offset_m: Real = key(
        "Length that is added to a column of positions, so that they count from the track's left end.", 0
    )
    length_m: Real | None = key("Length of the track. With null, that of the snapshots' mesh.", None, gt=0)
    width_m: Real | None = key("Width of the track. With null, that of the snapshots' mesh.", None, gt=0)
    pulse_start_s: Real = key(
        "Time at which the pulse begins. The state at this time is the state before the write.", 0, ge=0
    )
    settle_s: Real | None = key(
        "Time after the pulse at which the state counts as written. With null, the end of the run.", None, ge=0
    )
    table: str | None = key(
        "File name of the table in a run's folder. With null, the name that mumax3 or OOMMF gives it.", None
    )
    snapshots: str | None = key(
        "File names of the snapshots, such as `m*.ovf`. With null, the names that mumax3 or OOMMF gives them.", None
    )
    junction_area_m2: Real | None = key(
        "Area of the junction that reads the state. With null, the area of the track.", None, gt=0
    )
    RA_ohm_m2: Real | None = key(
        "Resistance-area product of that junction. With null, `calibration.readout.RA_ohm_m2`.", None, gt=0
    )
    TMR: Real | None = key(
        "Tunnel magnetoresistance ratio of that junction. With null, `calibration.readout.TMR`.", None, ge=0
    )
    energy: Annotated[tuple[Mechanism, ...], BeforeValidator(_listed)] = key(
        "What a write spends energy in. `line`: the current in a heavy-metal line under the track, and its "
        "reset. `gate`: the charge of the gate. `junction`: the current through the junction. If the list is "
        "empty, the energy is unknown.",
        (),
    )
    dielectric_thickness_m: Real | None = key("Thickness of the gate dielectric, for `energy: [gate]`.", None, gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.state != "position" and self.state_column is None:
            raise ValueError(f"state_column: found null, allowed with state {self.state}: a column")
        if self.state == "share" and self.left is None:
            raise ValueError("left: found null, allowed with state share: up, down")
        if "gate" in self.energy and self.dielectric_thickness_m is None:
            raise ValueError("dielectric_thickness_m: found null, allowed with energy gate: a thickness")
        if ("junction" in self.energy) and self.state != "levels":
            raise ValueError(f"energy: found junction, allowed with state {self.state}: line, gate")
        return self

    def missing(self, size_m: tuple[float, float] | None) -> str | None:
        """Return the first key that must be given, None if none; ``size_m`` is length and width of the snapshots."""
        known, line = size_m is not None, "line" in self.energy
        if self.length_m is None and not known and (line or self.state != "levels"):
            return "length_m"
        if self.width_m is None and not known and line:
            return "width_m"
        # a free layer does not fill its mesh
        if self.junction_area_m2 is None and (self.state == "levels" or (self.width_m is None and not known)):
            return "junction_area_m2"
        return None


def meaning(reading: Reading, channel: str, drives: tuple[str, ...], reset: bool, size_m) -> Writes:
    """Return what the write events of such runs mean.

    Parameters
    ----------
    reading : Reading
        With all that `Reading.missing` asks for.
    channel : str
        What is pulsed.
    drives : tuple of str
        Columns of the pulses that drive; the sign of the last is the polarity.
    reset : bool
        Each write begins alike.
    size_m : tuple of 2 floats or None
        Length and width of the snapshots' mesh.
    """
    length, width = reading.length_m or (size_m or (None,))[0], reading.width_m or (size_m or (None, None))[1]
    area = reading.junction_area_m2 or (length or 0) * (width or 0)
    line = Line(width_m=width, length_m=length) if "line" in reading.energy else None  # pyright: ignore[reportArgumentType]
    gate = None
    if reading.dielectric_thickness_m is not None and "gate" in reading.energy:
        gate = Plates(area_m2=area, dielectric_thickness_m=reading.dielectric_thickness_m)
    if reading.state == "levels":
        counted, left_out, what = (AP, P), (UNDECIDED,), "ended in neither state"
        states = Levels(labels=(AP, P), before=None if reset else "start_state", starts={} if reset else {AP: 0, P: 1})
    else:
        counted, left_out, what = (SINGLE,), (LOST, MULTIPLE), "lost their wall"
        states = Position(
            length_m=length,  # pyright: ignore[reportArgumentType]: `missing` has asked for it
            before=None if reset else "start_position_m",
            after="final_position_m",
            start="nominal_start_m",
        )
    advice = "settle for longer" if reading.state == "levels" else "lengthen the track or shorten the pulse"
    return Writes(
        outcome=Outcome(column="outcome", counted=counted, left_out=left_out, what=what, advice=advice),
        states=states,
        pulse=Pulse(channel=channel, drives=drives, polarity=drives[-1], settle="settle_s"),
        junction=Junction(area_m2=area, RA_ohm_m2=reading.RA_ohm_m2, TMR=reading.TMR),
        energy=Energy(
            sot=line,
            gate=gate,
            reset=line,
            junction=Heat(mz="mz_pulse_mean") if "junction" in reading.energy else None,
        ),
    )
