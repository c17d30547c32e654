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
        "device: the device has states by nature (junctions, notched wire). Of a wall's position or a "
        "measured conductance: nearest_mean (a state per pulse), equal_width, equal_population, mixture "
        "(Gaussian components; of series of readings, levels), edges (given), lattice (equal parts of the whole "
        "range), auto (levels if series of readings have some, otherwise a lattice). wells: where the walls of a "
        "notched track settle.",
    )
    count: Whole | None = key("Number of states; null: as many as can be told apart.", None, ge=2, le=1024)
    edges: tuple[Real, ...] | None = key(
        "Borders between states, in m or S; with method edges.",
        None,
        min_length=1,
        max_length=1025,
    )
    misread: Real = key(
        "Probability of taking a state for its neighbour at which two states count as told apart.",
        0.01,
        gt=0,
        lt=0.5,
    )


# of positions and of measured conductances
METHODS = [name for name in get_args(States.model_fields["method"].annotation) if name not in ("device", "wells")]


class Posterior(Section):
    """Priors and intervals of the probabilities."""

    pseudocount: Real = key("Dirichlet prior per cell (0.5 is Jeffreys').", 0.5, gt=0, le=1000)
    interval: Real = key("Mass of the credible interval.", 0.95, gt=0, lt=1)
    borrow: Flag | None = key(
        "Rows take what their neighbours and a fitted step say for their prior, not pseudocount; null: if states "
        "are a lattice, or four levels of readings or more.",
        None,
    )
    pooling: Literal["events", "instances"] = key(
        "events: intervals for the devices that were written; instances: for any device of their kind.",
        "events",
    )
    by_instance: Flag = key(
        "Also write each device's own probabilities (by_instance.csv); always, if readings show that devices differ.",
        False,
    )


class Kernel(Section):
    """How a row of probabilities is made."""

    form: Literal["counts", "law"] = key("counts: the writes counted; law: the fitted law in all rows.", "counts")
    law: Annotated[str, OneOf(lambda: ["auto", *laws.REGISTRY.names()])] = key(
        "Law that is fitted; auto: the best of those that suit.",
        "auto",
    )
    criterion: Literal["aic", "held_out"] = key("What the best law is judged by.", "aic")
    empty_rows: Literal["error", "law", "stay"] = key(
        "Rows without writes. error: refuse; law: by the fitted law; stay: the device does not change.",
        "error",
    )


class Point(Section):
    """A pulse between the simulated ones."""

    voltage_V: Real | None = key("Voltage.", absent=True)
    duration_s: Real | None = key("Length.", absent=True, gt=0)
    temperature_K: Real | None = key("Temperature.", absent=True, gt=0)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        return some_given(self, type(self).model_fields)


class Interpolate(Section):
    """Pulses that were not simulated, between pulses that were."""

    points: tuple[Point, ...] = key(
        "Pulses to add to the card; what is left out is as in the other pulses.",
        (),
        max_length=1000,
    )
    extrapolate: Flag = key("Also beyond the simulated pulses.", False)


class HalfSelect(Section):
    """Pulses at a fraction of their voltage, as cells see them that share a line with the one that is written."""

    fractions: tuple[Annotated[Real, Field(gt=0, lt=1)], ...] = key(
        "Fractions of the voltage, e.g. 0.5.",
        (),
        max_length=10,
    )


class Retention(Section):
    """Loss of the state in time."""

    temperatures_K: tuple[Annotated[Real, Field(gt=0, le=1500)], ...] = key(
        "Temperatures of the table.",
        (),
        max_length=100,
    )
    thermal_stability: Real | None = key(
        "Barrier over kB T at the card's temperature; null: the device's own.",
        None,
        gt=0,
        le=1000,
    )
    attempt_time_s: Real = key("Attempt time.", 1e-09, gt=0, le=0.001)


class Readout(Section):
    """What a state conducts, and what a read is."""

    RA_ohm_m2: Real | None = key(
        "Resistance-area product of the parallel junction; junction families have their own.",
        absent=True,
        gt=0,
        le=1,
    )
    TMR: Real | None = key(
        "Tunnel magnetoresistance ratio at zero voltage (1.5 is 150 %); junction families have their own.",
        absent=True,
        gt=0,
        le=100,
    )
    TMR_half_voltage_V: Real | None = key(
        "Voltage at which half of the ratio is left; null: it does not fall.",
        None,
        gt=0,
        le=100,
    )
    RA_relative_sd: Real = key("Spread of RA between devices, relative.", 0, ge=0, le=0.3)
    read_voltage_V: Real = key("Read voltage.", gt=0, le=10)
    read_duration_s: Real = key("Length of a read.", gt=0, le=0.001)
    noise_fraction: Real = key("Read noise (sd) as a fraction of the conductance.", ge=0, le=1)


class WriteEnergy(Section):
    """Circuit quantities of a write; a device needs those of its own mechanism."""

    resistivity_ohm_m: Real | None = key(
        "Resistivity of the heavy metal (spin-orbit torque).",
        absent=True,
        gt=0,
        le=1,
    )
    heavy_metal_thickness_m: Real | None = key(
        "Thickness of the heavy metal (spin-orbit torque).",
        absent=True,
        gt=0,
        le=1e-06,
    )
    gate_relative_permittivity: Real | None = key(
        "Relative permittivity of the gate dielectric (VCMA, strain).",
        absent=True,
        ge=1,
        le=100000,
    )
    reset_current_density_A_per_m2: Real | None = key(
        "Current density of the reset pulse.",
        absent=True,
        ge=0,
        le=10000000000000.0,
    )
    reset_duration_s: Real | None = key("Length of the reset pulse.", absent=True, ge=0, le=0.001)
    clock_energy_J: Real | None = key(
        "Energy of a clock pulse of a field or a Zhang-Li current, made outside of the device.",
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
