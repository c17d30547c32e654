"""What is said of every device given by a law."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from calibration.sources.parametric import REGISTRY
from spinloom.declare import Flag, OneOf, Real, Section, Whole, key


class Electrical(Section):
    """Conductances, reads, and the energy of a write. The states are equally spaced in conductance."""

    conductance_max_S: Real = key("Conductance of the last state.", gt=0, le=1)
    conductance_min_S: Real | None = key(
        "Conductance of state 0. Give either this or `dynamic_range`.",
        absent=True,
        gt=0,
        le=1,
    )
    dynamic_range: Real | None = key(
        "Conductance of the last state divided by that of state 0.",
        absent=True,
        gt=1,
        le=1000000000.0,
    )
    conductance_relative_sd: Real = key(
        "Standard deviation of a state's conductance from write to write, relative to its mean.",
        0,
        ge=0,
        le=1,
    )
    read_voltage_V: Real = key("Voltage of a read.", ge=-10, le=10)
    read_duration_s: Real = key("Length of a read.", gt=0, le=1)
    read_noise_relative: Real = key(
        "Read noise: standard deviation of a read, relative to the conductance.", 0, ge=0, le=1
    )
    write_path: Literal["junction", "line", "given"] = key(
        "What a write spends its energy in. `junction`: V^2 G t in the device itself. `line`: V^2 t/R in a "
        "line beside it, with R `write_resistance_ohm`. `given`: `write_energy_J`.",
        "junction",
    )
    write_resistance_ohm: Real | None = key(
        "Resistance of the line, with `write_path: line`.", absent=True, gt=0, le=1000000000000.0
    )
    write_energy_J: Real | None = key("Energy of a write, with `write_path: given`.", absent=True, ge=0, le=1)
    settle_s: Real = key("Waiting time after a pulse, which is part of a write's latency.", 0, ge=0, le=1)


class Population(Section):
    """Differences between devices: factors with a normal distribution, drawn once for each device."""

    instances: Whole = key(
        "Number of devices. A single device is the mean device, without any spread.", 1, ge=1, le=10000
    )
    conductance_min_relative_sd: Real = key(
        "Standard deviation of the conductance of state 0 from device to device, relative to it.", 0, ge=0, le=0.2
    )
    conductance_max_relative_sd: Real = key(
        "Standard deviation of the conductance of the last state from device to device, relative to it.",
        0,
        ge=0,
        le=0.2,
    )
    parameters_relative_sd: dict[str, Annotated[Real, Field(ge=0, le=0.2)]] = key(
        "Relative standard deviations of parameters of the device, by their names. Needs `by_instance`. A "
        "name that occurs twice, as for both directions, gets one factor.",
        dict,
    )
    by_instance: Flag = key("With true, each device's own kernel is written (`by_instance.csv`).", False)


class Common(Section):
    """A device that is given by a formula and its parameters. No writes are counted."""

    device: Annotated[str, OneOf(REGISTRY.names)] = key(
        "Kind of device. Its parameters are in the section of the same name.",
    )
    name: str = key("Name of the card.", pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = key("One line about the device.", "")
    electrical: Electrical = key(
        "Conductances, reads, and the energy of a write. The states are equally spaced in conductance.",
    )
    population: Population = key(
        "Differences between devices: factors with a normal distribution, drawn once for each device.", Population
    )
    provenance: dict[str, Annotated[str, Field(pattern="^(read|recalled|derived|assumed): .")]] = key(
        "Where each number comes from, by key: read, recalled, derived or assumed, and the source. The card keeps it.",
        dict,
    )
