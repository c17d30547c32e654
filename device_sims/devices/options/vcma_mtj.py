"""What a study may say of the device family vcma_mtj."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinloom.declare import Real, Section, key


class Layer(Section):
    """The free layer, a disc."""

    diameter_m: Real = key("Diameter of the disc.", gt=0, le=5e-07)
    thickness_m: Real = key("Thickness of the free layer.", gt=0, le=1e-08)
    cell_m: Real = key(
        "Cell edge in the plane; must divide the diameter. One moment has the volume and the shape of these cells.",
        ge=5e-10,
        le=1e-08,
    )


class Material(Section):
    """The free layer's constants."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness, used by engine llg.", ge=1e-13, le=1e-10)
    Ku_J_per_m3: Real = key("Uniaxial anisotropy along the normal at zero voltage.", gt=0, le=100000000.0)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)


class Spread(Section):
    """Spread between devices, drawn once per instance."""

    Ku_relative_sd: Real = key("Relative standard deviation of Ku (normal).", 0, ge=0, le=0.5)


class Wait(Section):
    """Waiting times around the pulse."""

    rest_s: Real = key("Thermalisation before the pulse.", gt=0, le=1e-06)
    relax_s: Real = key("Relaxation after the pulse before the state counts as written.", gt=0, le=1e-06)


class Junction(Section):
    """The tunnel junction, for the write's energy."""

    RA_ohm_m2: Real = key("Resistance-area product of the parallel state.", gt=0, le=0.001)
    TMR: Real = key("Tunnel magnetoresistance (R_AP - R_P)/R_P.", ge=0, le=20)


class Gate(Section):
    """How the voltage changes the anisotropy."""

    vcma_coefficient_J_per_V_m: Real = key(
        "VCMA coefficient xi, dKu = -xi V/(d t); 1e-13 is 100 fJ/(V m).",
        ge=-1e-09,
        le=1e-09,
    )
    dielectric_thickness_m: Real = key("Thickness d of the barrier.", gt=0, le=1e-08)


class Pulses(Section):
    """The axes of the sweep; the pulses are all their combinations."""

    voltages_V: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Voltages; a positive one lowers Ku if xi is positive.",
        min_length=1,
        max_length=1000,
    )
    durations_s: tuple[Annotated[Real, Field(gt=0, le=1e-06)], ...] = key(
        "Pulse widths.",
        min_length=1,
        max_length=1000,
    )
    directions: tuple[Literal["P_to_AP", "AP_to_P"], ...] = key(
        "Where a write begins and should end; P is parallel to the reference layer, up.",
        ("P_to_AP", "AP_to_P"),
        min_length=1,
        max_length=2,
    )


class Options(Section):
    """Perpendicular junction under an in-plane field whose anisotropy a voltage pulse takes away."""

    layer: Layer = key("The free layer, a disc.")
    material: Material = key("The free layer's constants.")
    spread: Spread = key("Spread between devices, drawn once per instance.", Spread)
    wait: Wait = key("Waiting times around the pulse.")
    temperature_K: Real = key("Temperature.", ge=0, le=1500)
    junction: Junction = key("The tunnel junction, for the write's energy.")
    gate: Gate = key("How the voltage changes the anisotropy.")
    bias_field_T: Real = key("In-plane field, along x, at all times: the moment turns about it.", gt=0, le=10)
    pulses: Pulses = key("The axes of the sweep; the pulses are all their combinations.")
