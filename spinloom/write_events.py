"""What the write events of a device mean: the entry ``writes`` of ``device.json``.

A device family of stage 1 states it, and stage 2 reads the tables of any device by it: which writes count, which states
they begin and end in, what is read, and what a write costs. Columns are those of ``events.parquet`` and ``pulses.csv``.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spinloom.declare import Flag, Number, OneOf, Real, Section, Whole, key
from spinloom.quantities import DRIVES

Drive = Annotated[str, OneOf(lambda: DRIVES)]


class Outcome(Section):
    """Which writes count, and what the user hears about the others."""

    column: str = key("Column of the events that says how a write ended.")
    counted: tuple[str, ...] = key("Its values for writes that count.", min_length=1)
    left_out: tuple[str, ...] = key("Its other values.", ())
    what: str = key("What the writes left out did, as in '3 of 80 events lost their wall'.")
    advice: str = key("What the user can do against it.")


class Position(Section):
    """A wall whose position is the state: the calibration chooses the states."""

    kind: Literal["position"] = key("Kind of states.", "position")
    length_m: Real = key("Length of the track; positions are 0 to this.", gt=0)
    before: str | None = key("Column of the position before a write; null: the device is reset before each.", None)
    after: str = key("Column of the position after it.")
    start: str | None = key("Column of the start that a write was prepared in; null: all are prepared alike.", None)
    wells_m: tuple[Real, ...] = key("Positions where a wall rests by design, rising; none: anywhere.", ())


class Levels(Section):
    """States by nature, from antiparallel to parallel."""

    kind: Literal["levels"] = key("Kind of states.", "levels")
    labels: tuple[str, ...] = key("Their names.", min_length=2)
    passed: str | None = key(
        "Column of true and false: whether a write ended in the second of two states; null: `outcome.column` names "
        "the state after it.",
        None,
    )
    before: str | None = key("Column of the pulses for the state before; null: the device is reset before each.", None)
    starts: dict[str, Whole] = key("Number of the state before, from 0, by the value of this column.", dict)
    missing: Literal["error", "stay"] = key(
        "What it means if no write of a pulse began in a state: an error, or that the pulse leaves the state alone.",
        "error",
    )
    volatile: Flag = key("Whether the state is lost before the next write.", False)


class Pulse(Section):
    """What a pulse is."""

    channel: str = key("What is pulsed, in words.")
    drives: tuple[Drive, ...] = key("Columns of the pulses that drive the device.", min_length=1)
    polarity: Drive = key("The drive whose sign is the polarity.")
    settle: str = key("Column of the time after the pulse, which belongs to a write's latency.")


class Junction(Section):
    """The tunnel junction that reads the state: the share of the state is parallel, the rest antiparallel."""

    area_m2: Real = key("Its area.", gt=0)
    RA_ohm_m2: Real | None = key("Resistance-area product of the parallel state; null: calibration's.", None, gt=0)
    TMR: Real | None = key("Tunnel magnetoresistance at zero voltage; null: calibration's.", None, ge=0)


class Line(Section):
    """A heavy-metal line, heated by a current pulse."""

    width_m: Real = key("Width.", gt=0)
    length_m: Real = key("Length.", gt=0)
    thickness_m: Real | None = key("Thickness, if the device says it; else calibration's.", absent=True, gt=0)
    resistivity_ohm_m: Real | None = key("Resistivity, if the device says it; else calibration's.", absent=True, gt=0)


class Plates(Section):
    """A gate, charged by the voltage."""

    area_m2: Real = key("Area.", gt=0)
    dielectric_thickness_m: Real = key("Thickness of the dielectric.", gt=0)
    relative_permittivity: Real | None = key("Of the dielectric; left out: calibration's.", absent=True, ge=1)


class Heat(Section):
    """The junction that reads the state is heated by the voltage of a write."""

    mz: str = key("Column of the mean of mz over the pulse.")


class Energy(Section):
    """What a write spends, by mechanism: of each the geometry; constants are those of calibration.write_energy."""

    sot: Line | None = key("Line of the spin-orbit torque.", None)
    junction: Heat | None = key("Heat in the junction.", None)
    gate: Plates | None = key("Charge of the gate.", None)
    reset: Line | None = key("Line of the reset pulse, if the device is reset.", None)
    clock: Flag = key("Whether a clock outside of the device drives it.", False)


class Barrier(Section):
    """The barrier between two states."""

    thermal_stability: Real = key("Its height over kB T.", gt=0)
    critical_voltage_V: dict[str, Real] | None = key("Voltage that takes it away, by direction; null: unknown.", None)
    exponent: Number = key("Of its fall with the voltage, (1 - V/V_c)^exponent.", 2)


class Writes(Section):
    """What the write events of a device mean."""

    outcome: Outcome = key("Which writes count.")
    states: Annotated[Position | Levels, Field(discriminator="kind")] = key("What a write changes.")
    pulse: Pulse = key("What a pulse is.")
    junction: Junction = key("What reads the state.")
    energy: Energy = key("What a write spends.")
    barrier: Barrier | None = key("Barrier between two states; null: not known.", None)

    @model_validator(mode="after")
    def _known_starts(self) -> Self:
        if self.energy.junction is not None and (isinstance(self.states, Position) or self.reset):
            raise ValueError("found energy.junction, allowed: only if each write states the level before it")
        return self

    @property
    def reset(self) -> bool:
        """Whether the device is reset before each write."""
        return self.states.before is None
