"""What a study may say of the device family domain_wall."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinloom.declare import Real, Section, key


class Track(Section):
    """The strip."""

    length_m: Real = key("Length of the track.", gt=0, le=1e-05)
    width_m: Real = key("Nominal width.", gt=0, le=1e-06)
    thickness_m: Real = key("Thickness of the free layer.", gt=0, le=1e-08)
    cell_m: Real = key("Cell edge in the plane; must divide length and width.", ge=5e-10, le=1e-08)


class Material(Section):
    """Constants of the free layer."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness.", ge=1e-13, le=1e-10)
    Ku_J_per_m3: Real = key("Uniaxial anisotropy along the normal at zero voltage.", gt=0, le=100000000.0)
    D_J_per_m2: Real = key("Interfacial DMI, sign of mumax3's Dind.", ge=-0.02, le=0.02)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)


class Gate(Section):
    """How a voltage acts on the anisotropy."""

    mechanism: Literal["vcma", "strain"] = key("How the voltage changes Ku.")
    vcma_coefficient_J_per_V_m: Real = key(
        "VCMA coefficient xi, dKu = xi V / (d t); 1e-13 is 100 fJ/(V m).",
        1e-13,
        ge=-1e-09,
        le=1e-09,
    )
    dielectric_thickness_m: Real = key(
        "Thickness d of the gate dielectric, of the piezoelectric for strain.",
        1.2e-09,
        gt=0,
        le=0.001,
    )
    magnetostriction: Real = key(
        "Saturation magnetostriction lambda_s, dKu = 3/2 lambda_s sigma.",
        0.00025,
        ge=-1,
        le=1,
    )
    stress_Pa_per_V: Real = key(
        "Stress that the piezoelectric exerts per volt.",
        100000000.0,
        ge=-1000000000000.0,
        le=1000000000000.0,
    )


class Sot(Section):
    """The spin-orbit torque of a pulse."""

    current_density_A_per_m2: Real = key(
        "Current density in the heavy metal during the pulse.",
        ge=-10000000000000.0,
        le=10000000000000.0,
    )
    duration_s: Real = key("Length of the pulse.", gt=0, le=1e-06)
    spin_hall_angle: Real = key(
        "Effective spin Hall angle; with D > 0 a negative product with J drives the wall to the right.",
        ge=-1,
        le=1,
    )
    field_like_ratio: Real = key("Field-like over damping-like torque.", 0, ge=-10, le=10)


class Roughness(Section):
    """Rough edges."""

    rms_m: Real = key("Line-edge roughness (rms) drawn once per instance; 0 for straight edges.", 0, ge=0, le=2e-08)
    correlation_length_m: Real = key("Correlation length of the edge.", 2e-08, gt=0, le=1e-06)


class Notches(Section):
    """Notches in the edges."""

    positions_m: tuple[Annotated[Real, Field(ge=0)], ...] = key("Centres of triangular notches on both edges.", ())
    depth_m: Real = key("Depth of a notch from each edge.", 0, ge=0)
    width_m: Real = key("Width of a notch at the edge.", 2e-08, gt=0)


class Wall(Section):
    """Where and how a write begins and ends."""

    start_m: Real = key("Reset position; not used by write_mode present_state.", gt=0)
    rest_s: Real = key("Thermalisation before the pulse.", gt=0, le=1e-06)
    settle_s: Real = key("Rest after the pulse before the position counts as written.", gt=0, le=1e-06)


class Pulses(Section):
    """Axes of the sweep."""

    voltages_V: tuple[Annotated[Real, Field(ge=-1000, le=1000)], ...] = key(
        "Gate voltage of each pulse; the pulses are numbered in this order.",
        min_length=1,
        max_length=10000,
    )
    start_positions_m: tuple[Annotated[Real, Field(gt=0)], ...] = key(
        "Where the wall is when a write begins, with write_mode present_state only.",
        (),
        max_length=1000,
    )
    polarities: tuple[Literal[1, -1], ...] = key(
        "Sign of the current; other than [1] with write_mode present_state only. All voltages are pulsed "
        "with the first, then with the second.",
        (1,),
        min_length=1,
        max_length=2,
    )


class Options(Section):
    """Voltage-controlled domain-wall racetrack."""

    track: Track = key("The strip.")
    material: Material = key("Constants of the free layer.")
    gate: Gate = key("How a voltage acts on the anisotropy.")
    sot: Sot = key("The spin-orbit torque of a pulse.")
    roughness: Roughness = key("Rough edges.", Roughness)
    notches: Notches = key("Notches in the edges.", Notches)
    wall: Wall = key("Where and how a write begins and ends.")
    temperature_K: Real = key("Temperature.", ge=0, le=1500)
    write_mode: Literal["reset", "present_state"] = key(
        "Where a write begins: at wall.start_m after a reset, or where the last write left the wall "
        "(pulses.start_positions_m).",
        "reset",
    )
    pulses: Pulses = key("Axes of the sweep.")
