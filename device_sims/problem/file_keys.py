"""What a problem file may say (`docs/problem_file.md`); `device_sims.problem.problem_file` makes a problem of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from spinloom.declare import Flag, Real, Section, Whole, key


class Mesh(Section):
    """The box and its cells; give the number of cells or the size."""

    cell_m: tuple[Annotated[Real, Field(ge=1e-12, le=1e-05)], ...] = key(
        "Cell edges along x, y, z.",
        min_length=3,
        max_length=3,
    )
    cells: tuple[Annotated[Whole, Field(ge=1, le=65536)], ...] | None = key(
        "Number of cells along x, y, z.",
        absent=True,
        min_length=3,
        max_length=3,
    )
    size_m: tuple[Annotated[Real, Field(gt=0, le=0.01)], ...] | None = key(
        "Edges of the box, whole cells long.",
        absent=True,
        min_length=3,
        max_length=3,
    )


class Roughness(Section):
    """Line-edge roughness of the strip."""

    rms_m: Real = key("Root mean square displacement of each edge.", gt=0, le=1e-06)
    correlation_length_m: Real = key("Correlation length along the edge.", 2e-08, gt=0, le=1e-05)
    instance: Whole = key("Number of the fabricated device.", 0, ge=0)


class Notches(Section):
    """Triangular notches in both edges of the strip."""

    positions_m: tuple[Annotated[Real, Field(ge=0, le=0.01)], ...] = key("Centres.", min_length=1, max_length=10000)
    depth_m: Real = key("Depth from each edge.", gt=0, le=1e-06)
    width_m: Real = key("Width at the edge.", gt=0, le=1e-05)


class Geometry(Section):
    """Where there is magnetic material."""

    kind: Literal["box", "disc", "ellipse", "rectangle", "strip", "file"] = key(
        "Shape, in the middle of the box.",
        "box",
    )
    size_m: tuple[Annotated[Real, Field(gt=0, le=0.01)], ...] | None = key(
        "Axes or sides along x and y (disc: the diameter, twice); as large as the box if left out.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    width_m: Real | None = key("Width of the strip.", absent=True, gt=0, le=0.01)
    roughness: Roughness | None = key("Line-edge roughness of the strip.", absent=True)
    notches: Notches | None = key("Triangular notches in both edges of the strip.", absent=True)
    file: str | None = key(
        "Image (dark is material, first row is largest y) or OVF file (first component not zero is material).",
        absent=True,
        min_length=1,
    )


class Maps(Section):
    """Constants read from scalar OVF files with the mesh's number of cells, SI units."""

    Ms_A_per_m: str | None = key("Path.", absent=True, min_length=1)
    A_J_per_m: str | None = key("Path.", absent=True, min_length=1)
    alpha: str | None = key("Path.", absent=True, min_length=1)
    Ku_J_per_m3: str | None = key("Path.", absent=True, min_length=1)
    D_J_per_m2: str | None = key("Path.", absent=True, min_length=1)


class Material(Section):
    """Constants, uniform but for `maps` and `regions`."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness.", ge=0, le=1e-10)
    alpha: Real = key("Gilbert damping.", gt=0, le=10)
    Ku_J_per_m3: Real = key("First uniaxial anisotropy constant.", 0, ge=-1e8, le=1e8)
    Ku2_J_per_m3: Real = key("Second uniaxial anisotropy constant.", 0, ge=-1e8, le=1e8)
    axis: tuple[Real, ...] = key("Axis of the anisotropy, any length.", (0, 0, 1), min_length=3, max_length=3)
    D_J_per_m2: Real = key("Interfacial DMI, sign of mumax3's Dind.", 0, ge=-0.02, le=0.02)
    spin_hall_angle: Real = key("Spin Hall angle, or the polarisation P of a Slonczewski junction.", 0, ge=-10, le=10)
    field_like_ratio: Real = key("Field-like over damping-like torque.", 0, ge=-100, le=100)
    polarisation: tuple[Real, ...] = key(
        "Direction of the spin polarisation, any length.", (0, 1, 0), min_length=3, max_length=3
    )
    slonczewski_lambda: Real = key("Asymmetry Lambda of the Slonczewski torque.", 1, ge=1, le=100)
    zhang_li_beta: Real = key("Non-adiabaticity of the Zhang-Li torque.", 0, ge=-100, le=100)
    maps: Maps = key("Constants read from scalar OVF files with the mesh's number of cells, SI units.", Maps)


class Constants(Section):
    """Constants of a region: factors, or values in place of the uniform ones."""

    Ms_A_per_m: Real | None = key("Saturation magnetisation.", absent=True, gt=0)
    A_J_per_m: Real | None = key("Exchange stiffness.", absent=True, ge=0)
    alpha: Real | None = key("Gilbert damping.", absent=True, gt=0)
    Ku_J_per_m3: Real | None = key("First uniaxial anisotropy constant.", absent=True)
    D_J_per_m2: Real | None = key("Interfacial DMI.", absent=True)


class Region(Section):
    """A rectangle with other constants."""

    name: str = key("What the schedule calls it.", "", max_length=64)
    x_m: tuple[Real, ...] = key(
        "From (included) and to (excluded), of cell centres, from the box's corner.", min_length=2, max_length=2
    )
    y_m: tuple[Real, ...] = key("The same along y.", min_length=2, max_length=2)
    factors: Constants = key("What constants are multiplied by.", Constants)
    values: Constants = key("Constants in the region, in place of the uniform values.", Constants)


class Initial(Section):
    """The state at t = 0."""

    kind: Literal["uniform", "wall", "vortex", "file"] = key("Kind of state.")
    direction: tuple[Real, ...] | None = key(
        "Of the uniform state, any length.", absent=True, min_length=3, max_length=3
    )
    position_m: Real | None = key("Centre of the wall, from the box's corner.", absent=True)
    width_m: Real | None = key("Width parameter of the wall, sqrt(A/K).", absent=True, gt=0, le=1e-05)
    azimuth_rad: Real | None = key("Angle of m to x in the middle of the wall.", absent=True)
    chirality: Literal["left", "right"] | None = key(
        "In place of the azimuth: left is the Neel wall that D > 0 favours, right the other.",
        absent=True,
    )
    tilt_rad: Real | None = key("Rotation of the wall.", absent=True, gt=-1.5, lt=1.5)
    up_left: Flag | None = key("Whether the domain on the left is up.", absent=True)
    file: str | None = key("OVF file of three components with the mesh's number of cells.", absent=True, min_length=1)
    relax_tolerance: Real | None = key(
        "Relax at T = 0 under the drives of t = 0, without currents, until max |m x H|/Ms is below it; null: do not.",
        None,
        gt=0,
        le=1,
    )


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


class Numerics(Section):
    """How time is stepped."""

    integrator: Literal["heun", "rk4", "fdr4", "dopri5"] = key(
        "Time stepping scheme; heun and fdr4 are for noise; dopri5 chooses its own steps and is for T = 0.",
        "heun",
    )
    dt_s: Real = key("Time step; every time of the file is a whole number of them.", ge=1e-17, le=1e-09)
    tolerance: Real = key("Error per step that dopri5 keeps; at least 1e-6 with float32.", 1e-06, ge=1e-12, le=0.01)
    precision: Literal["float32", "float64"] = key("Floating-point type.", "float64")
    demag: Flag = key("Whether there is a stray field.", True)
    demag_interval_steps: Whole = key(
        "Steps between evaluations of the other cells' stray field, extrapolated in between; 0 evaluates "
        "it at every stage.",
        0,
        ge=0,
        le=100,
    )


class Outputs(Section):
    """What is written."""

    record_interval_s: Real = key("Time between rows of table.csv.", gt=0)
    ovf: Literal["none", "final", "each record"] = key("Which states are written as OVF files.", "none")
    ovf_interval_s: Real | None = key(
        "In place of `ovf`: time between OVF files, taken from the first record at or after it.",
        None,
        gt=0,
    )
    ovf_format: Literal["text", "binary4", "binary8"] = key("Numbers in OVF files.", "binary4")


class ProblemFile(Section):
    """One micromagnetic problem, for `python -m device_sims run`. SI units; docs/problem_file.md explains it."""

    seed: Whole = key(
        "Seed of the thermal noise and of the rough edges; --seed replaces it.",
        0,
        ge=0,
        le=9007199254740991,
    )
    temperature_K: Real = key("Temperature.", 0, ge=0, le=1500)
    mesh: Mesh = key("The box and its cells; give the number of cells or the size.")
    geometry: Geometry = key("Where there is magnetic material.", Geometry)
    material: Material = key("Constants, uniform but for `maps` and `regions`.")
    regions: tuple[Region, ...] = key(
        "Rectangles with other constants, or with a Ku that the schedule drives. Where they overlap, factors multiply.",
        (),
        max_length=1000,
    )
    initial: Initial = key("The state at t = 0.")
    schedule: tuple[Phase, ...] = key("Phases, one after the other.", min_length=1, max_length=10000)
    numerics: Numerics = key("How time is stepped.")
    outputs: Outputs = key("What is written.")
