"""What is said of every device given by a law."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from calibration.sources.parametric import REGISTRY
from spinloom.declare import Flag, OneOf, Real, Section, Whole, key


class Electrical(Section):
    """Conductances and what reads and writes cost. The states are equally spaced in conductance."""

    conductance_max_S: Real = key("Conductance of the last state.", gt=0, le=1)
    conductance_min_S: Real | None = key(
        "Conductance of state 0; either this or dynamic_range.",
        absent=True,
        gt=0,
        le=1,
    )
    dynamic_range: Real | None = key(
        "Conductance of the last state over that of state 0.",
        absent=True,
        gt=1,
        le=1000000000.0,
    )
    conductance_relative_sd: Real = key(
        "Spread of a state's conductance from write to write over its mean.",
        0,
        ge=0,
        le=1,
    )
    read_voltage_V: Real = key("Voltage of a read.", ge=-10, le=10)
    read_duration_s: Real = key("Duration of a read.", gt=0, le=1)
    read_noise_relative: Real = key("Noise of one read over the conductance.", 0, ge=0, le=1)
    write_path: Literal["junction", "line", "given"] = key(
        "Where a write spends its energy: junction, V^2 G t in the device itself; line, V^2 t/R in a line"
        " of write_resistance_ohm beside it; given, write_energy_J.",
        "junction",
    )
    write_resistance_ohm: Real | None = key("Resistance of the write line.", absent=True, gt=0, le=1000000000000.0)
    write_energy_J: Real | None = key("Energy of one write.", absent=True, ge=0, le=1)
    settle_s: Real = key("Rest after a pulse; adds to its latency.", 0, ge=0, le=1)


class Population(Section):
    """Spread between devices: normal factors, drawn once per device."""

    instances: Whole = key("Number of devices drawn; device 0 with no spread at all if 1.", 1, ge=1, le=10000)
    conductance_min_relative_sd: Real = key("Spread of the conductance of state 0.", 0, ge=0, le=0.2)
    conductance_max_relative_sd: Real = key("Spread of the conductance of the last state.", 0, ge=0, le=0.2)
    parameters_relative_sd: dict[str, Annotated[Real, Field(ge=0, le=0.2)]] = key(
        "Relative spread by name of parameter, with by_instance; a name that occurs twice, as for both "
        "directions, gets one factor.",
        dict,
    )
    by_instance: Flag = key("Write each device's own kernel as table by_instance.", False)


class Common(Section):
    """A device given by a law and its parameters, without any counted write."""

    device: Annotated[str, OneOf(REGISTRY.names)] = key(
        "Kind of device; its parameters stand under the key of the same name.",
    )
    name: str = key("Name of the card.", pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = key("One line about the device.", "")
    electrical: Electrical = key(
        "Conductances and what reads and writes cost. The states are equally spaced in conductance.",
    )
    population: Population = key("Spread between devices: normal factors, drawn once per device.", Population)
    provenance: dict[str, Annotated[str, Field(pattern="^(read|recalled|derived|assumed): .")]] = key(
        "Where each number is from: key, then read, recalled, derived or assumed, then the source.",
        dict,
    )
