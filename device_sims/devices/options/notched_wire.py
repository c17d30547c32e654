"""What a study may say of the device family notched_wire."""

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
    Ku_J_per_m3: Real = key("Uniaxial anisotropy along the normal of the film.", gt=0, le=100000000.0)
    D_J_per_m2: Real = key("Interfacial DMI, sign of mumax3's Dind.", 0, ge=-0.02, le=0.02)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)
    spin_hall_angle: Real = key(
        "Effective spin Hall angle, for drive sot; with D > 0 a negative product with J drives the wall to the right.",
        0,
        ge=-1,
        le=1,
    )
    field_like_ratio: Real = key("Field-like over damping-like torque.", 0, ge=-10, le=10)
    zhang_li_beta: Real = key("Non-adiabaticity, for drive zhang_li.", 0, ge=-10, le=10)


class Roughness(Section):
    """Rough edges."""

    rms_m: Real = key("Line-edge roughness (rms) drawn once per instance; 0 for straight edges.", 0, ge=0, le=2e-08)
    correlation_length_m: Real = key("Correlation length of the edge.", 2e-08, gt=0, le=1e-06)


class Notch(Section):
    """A pair of triangular notches, one on each edge."""

    position_m: Real = key("Centre.", gt=0)
    depth_m: Real = key("Depth from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width at the edge.", gt=0, le=1e-06)


class Wall(Section):
    """Where and how a write begins and ends."""

    start_m: Real = key("Where the wall waits; left of the notches.", gt=0)
    rest_s: Real = key("Thermalisation before the pulse.", gt=0, le=1e-06)
    settle_s: Real = key("Rest after the pulse before the wall counts as passed or pinned.", gt=0, le=1e-06)


class Pulses(Section):
    """Axes of the sweep; the one list of drives that belongs to `drive` is given."""

    fields_T: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Field along z, drive field; positive values drive to the right.",
        (),
        max_length=10000,
    )
    current_densities_A_per_m2: tuple[Annotated[Real, Field(ge=-10000000000000.0, le=10000000000000.0)], ...] = key(
        "Current density in the heavy metal, drive sot.",
        (),
        max_length=10000,
    )
    zhang_li_u_m_per_s: tuple[Annotated[Real, Field(ge=-10000, le=10000)], ...] = key(
        "Velocity u of the Zhang-Li torque, drive zhang_li; positive values drive to the right.",
        (),
        max_length=10000,
    )
    duration_s: Real = key("Length of the pulse.", gt=0, le=1e-06)


class Options(Section):
    """Domain wall clocked past a pair of notches: it passes or is pinned."""

    track: Track = key("The strip.")
    material: Material = key("Constants of the free layer.")
    roughness: Roughness = key("Rough edges.", Roughness)
    notch: Notch = key("A pair of triangular notches, one on each edge.")
    wall: Wall = key("Where and how a write begins and ends.")
    temperature_K: Real = key("Temperature.", ge=0, le=1500)
    drive: Literal["field", "sot", "zhang_li"] = key(
        "What pulls the wall: a field along z, spin-orbit torque, or Zhang-Li torque.",
    )
    pulses: Pulses = key("Axes of the sweep; the one list of drives that belongs to `drive` is given.")
