"""The parts of the calibration section, apart from the source: how writes become the tables of a kernel card."""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from calibration import laws
from spinloom.declare import Flag, OneOf, Real, Section, Whole, key, some_given
from spinloom.errors import UserError


class States(Section):
    """How a position or a conductance becomes a state."""

    method: Literal[
        "device", "nearest_mean", "equal_width", "equal_population", "mixture", "edges", "lattice", "auto", "wells"
    ] = key(
        "How states are defined (docs/calibration.md). `device`: by the device itself. `nearest_mean`: one "
        "for each pulse. `equal_width`, `equal_population`: equal parts of the range, or of the writes. "
        "`mixture`: clusters. `edges`: as you give them. `lattice`: equal parts of the whole range. `auto`: "
        "levels if the readings have some, otherwise a lattice. `wells`: where the walls of a notched track "
        "settle.",
    )
    count: Whole | None = key("Number of states. With null, as many as can be told apart.", None, ge=2, le=1024)
    edges: tuple[Real, ...] | None = key(
        "Borders between the states, in m or S, with `method: edges`.",
        None,
        min_length=1,
        max_length=1025,
    )
    misread: Real = key(
        "Two states count as told apart if a state is taken for its neighbour with at most this probability.",
        0.01,
        gt=0,
        lt=0.5,
    )


# of positions and of measured conductances
METHODS = [name for name in get_args(States.model_fields["method"].annotation) if name not in ("device", "wells")]


class Posterior(Section):
    """Priors and credible intervals of the probabilities."""

    pseudocount: Real = key(
        "Dirichlet prior, as a number of writes for each next state. 0.5 is Jeffreys' prior.", 0.5, gt=0, le=1000
    )
    interval: Real = key("Probability mass of the credible intervals.", 0.95, gt=0, lt=1)
    borrow: Flag | None = key(
        "With true, the prior of a row comes from the rows around it and a fitted step, and `pseudocount` is "
        "not used. With null, this is so for lattices, and for readings with four or more levels "
        "(docs/statistics.md).",
        None,
    )
    pooling: Literal["events", "instances"] = key(
        "What the intervals hold for. `events`: the devices that were written. `instances`: any device of their kind.",
        "events",
    )
    by_instance: Flag = key(
        "With true, each device's own probabilities are written too (`by_instance.csv`). They are always "
        "written if readings show that devices differ.",
        False,
    )


class Kernel(Section):
    """How the rows of the card are made. A row is a pulse and the state before it."""

    form: Literal["counts", "law"] = key(
        "`counts`: probabilities from counted writes. `law`: the fitted law, in all rows.", "counts"
    )
    law: Annotated[str, OneOf(lambda: ["auto", *laws.REGISTRY.names()])] = key(
        "Law to fit (docs/laws.md). `auto` takes the best of those that suit the device.",
        "auto",
    )
    criterion: Literal["aic", "held_out"] = key(
        "How `auto` chooses the best law: by Akaike's criterion, or by the likelihood of writes held out of the fit.",
        "aic",
    )
    empty_rows: Literal["error", "law", "stay"] = key(
        "What to do with rows without writes. `error` refuses the card. `law` uses the fitted law. `stay` "
        "assumes that the device does not change.",
        "error",
    )


class Point(Section):
    """A pulse to add."""

    voltage_V: Real | None = key("Voltage of the pulse.", absent=True)
    duration_s: Real | None = key("Length of the pulse.", absent=True, gt=0)
    temperature_K: Real | None = key("Temperature of the pulse.", absent=True, gt=0)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        return some_given(self, type(self).model_fields)


class Interpolate(Section):
    """Pulses to add to the card, between those that were simulated."""

    points: tuple[Point, ...] = key(
        "The pulses. A value that you leave out is that of the card's other pulses.",
        (),
        max_length=1000,
    )
    extrapolate: Flag = key("With true, pulses outside the simulated range are allowed too.", False)


class HalfSelect(Section):
    """What happens to cells that share a line with the written cell and see a part of its voltage."""

    fractions: tuple[Annotated[Real, Field(gt=0, lt=1)], ...] = key(
        "Parts of the voltage, such as 0.5.",
        (),
        max_length=10,
    )


class Retention(Section):
    """How the card says that devices lose their state in time (docs/calibration/consequences.md)."""

    temperatures_K: tuple[Annotated[Real, Field(gt=0, le=1500)], ...] = key(
        "Temperatures for which the card holds the rates of losing a state.",
        (),
        max_length=100,
    )
    thermal_stability: Real | None = key(
        "Energy barrier divided by kB T, at the card's temperature. With null, the barrier of the device stage.",
        None,
        gt=0,
        le=1000,
    )
    attempt_time_s: Real = key("Attempt time tau0 of the rates exp(-barrier/kB T)/tau0.", 1e-09, gt=0, le=0.001)


class Readout(Section):
    """What a state conducts, and how it is read."""

    RA_ohm_m2: Real | None = key(
        "Resistance-area product of the junction in the parallel state. Junction families have their own.",
        absent=True,
        gt=0,
        le=1,
    )
    TMR: Real | None = key(
        "Tunnel magnetoresistance ratio at zero voltage (1.5 is 150 %). Junction families have their own.",
        absent=True,
        gt=0,
        le=100,
    )
    TMR_half_voltage_V: Real | None = key(
        "Voltage at which the ratio is half of that at zero voltage. With null, it does not fall.",
        None,
        gt=0,
        le=100,
    )
    RA_relative_sd: Real = key("Standard deviation of RA from device to device, relative to RA.", 0, ge=0, le=0.3)
    read_voltage_V: Real = key("Voltage of a read.", gt=0, le=10)
    read_duration_s: Real = key("Length of a read.", gt=0, le=0.001)
    noise_fraction: Real = key("Read noise: standard deviation of a read, relative to the conductance.", ge=0, le=1)


class WriteEnergy(Section):
    """What the energy of a write is computed from. A device needs the keys of its own mechanism."""

    resistivity_ohm_m: Real | None = key(
        "Resistivity of the heavy metal, for spin-orbit torque.",
        absent=True,
        gt=0,
        le=1,
    )
    heavy_metal_thickness_m: Real | None = key(
        "Thickness of the heavy metal, for spin-orbit torque.",
        absent=True,
        gt=0,
        le=1e-06,
    )
    gate_relative_permittivity: Real | None = key(
        "Relative permittivity of the gate dielectric, for VCMA.",
        absent=True,
        ge=1,
        le=100000,
    )
    reset_current_density_A_per_m2: Real | None = key(
        "Current density of the reset before a write.",
        absent=True,
        ge=0,
        le=10000000000000.0,
    )
    reset_duration_s: Real | None = key("Length of the reset before a write.", absent=True, ge=0, le=0.001)
    clock_energy_J: Real | None = key(
        "Energy of a clock pulse of a field or a Zhang-Li current, which is made outside the device.",
        absent=True,
        ge=0,
        le=1,
    )


def given(config: Section, path: str, where: str) -> float:
    """Return a value that this kind of device needs, though others do without.

    Parameters
    ----------
    config : Section
        The calibration section.
    path : str
        Dotted key of the value in it.
    where : str
        Name of the config file; begins the error.

    Raises
    ------
    UserError
        If there is none.
    """
    value = attrgetter(path)(config)
    if value is None:
        raise UserError(f"{where}: key {path} is missing")
    return value
