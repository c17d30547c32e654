"""The parts of a `Problem`: mesh, shape, material, drives, first state and numerics, as plain data.

The conventions, signs and units are those of `device_sims.problem.problem`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from device_sims.problem.waveforms import Drive

MU0 = 1.25663706212e-6  # N/A^2
HBAR = 1.054571817e-34  # J s
ELEMENTARY_CHARGE = 1.602176634e-19  # C
BOLTZMANN = 1.380649e-23  # J/K
GAMMA0 = 2.211e5  # m/(A s), mu0 times the gyromagnetic ratio; OOMMF's and mumax3's conventional value

Vector = tuple[float, float, float]


def later(default: Any) -> Any:
    """Return a dataclass field that joined after problems had hashes.

    A problem's identity leaves it out while it has its default, so a new key changes no hash of a problem that does
    not use it. A default that is changed afterwards needs a new version of the engines.
    """
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True)
class Mesh:
    """``nx`` x ``ny`` x ``nz`` cells; the origin is a corner of the box.

    ``periodic`` are the repetitions along x and y of mumax3's ``SetPBC``, 0 where the box ends: with n > 0 neighbours
    wrap around, and a cell feels the stray field of all cells less than n box lengths away on either side.
    """

    nx: int
    ny: int
    cell_m: Vector
    nz: int = 1
    periodic: tuple[int, int] = later((0, 0))

    @property
    def wraps(self) -> tuple[bool, bool, bool]:
        """Whether neighbours wrap around along z, y and x, the axes of an array."""
        return False, self.periodic[1] > 0, self.periodic[0] > 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array over cells."""
        return self.nz, self.ny, self.nx

    @property
    def size_m(self) -> Vector:
        """Edges of the box."""
        return self.nx * self.cell_m[0], self.ny * self.cell_m[1], self.nz * self.cell_m[2]

    @property
    def cell_volume_m3(self) -> float:
        """Volume of a cell."""
        return self.cell_m[0] * self.cell_m[1] * self.cell_m[2]


@dataclass(frozen=True)
class Roughness:
    """Line-edge roughness of a strip: each edge is an Ornstein-Uhlenbeck process along the track.

    ``seed`` and ``instance`` name the random stream: an instance is one fabricated device.
    """

    rms_m: float
    correlation_length_m: float
    seed: int
    instance: int


@dataclass(frozen=True)
class DataFile:
    """A file that a problem depends on; the hash of its content, not its path, belongs to the problem's identity.

    ``interpolate`` stretches an OVF file of other cells over the box.
    """

    path: str
    sha256: str
    interpolate: bool = later(False)


@dataclass(frozen=True)
class Shape:
    """A set of points; `device_sims.problem.shapes` says what each kind holds and in which order it is moved.

    Positions are from the box's corner. A shape stands in the middle of the box until it is scaled, turned by
    ``rotate_rad`` about ``rotate_axis``, repeated with the periods ``repeat_m`` (0: not along that axis) and moved by
    ``translate_m``; ``invert`` takes the complement. ``operands`` are what a union, intersection or difference is
    made of, ``strip`` is a `Geometry` of that kind.
    """

    kind: str
    size_m: tuple[float, ...] = ()
    points_m: tuple[tuple[float, float], ...] = ()
    ranges_m: tuple[tuple[float, float] | None, ...] = ()
    layers: tuple[int, int] = (0, 0)
    file: DataFile | None = None
    values: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    strip: Geometry | None = None
    operands: tuple[Shape, ...] = ()
    scale: Vector = (1.0, 1.0, 1.0)
    rotate_rad: float = 0.0
    rotate_axis: str = "z"
    repeat_m: Vector = (0.0, 0.0, 0.0)
    translate_m: Vector = (0.0, 0.0, 0.0)
    invert: bool = False


@dataclass(frozen=True)
class Geometry:
    """Where there is magnetic material.

    ``kind`` is ``box`` (all of it), ``disc`` (diameter ``size_m[0]``), ``ellipse`` and ``rectangle`` (axes or sides
    ``size_m``), each in the middle of the box and as large as the box if ``size_m`` is None; ``strip`` (a track of
    ``width_m`` in the middle of the box, with optional rough edges and notches); ``file`` (the dark pixels of an
    image stretched over the box, or the cells where an OVF file is not zero); or ``shape``.

    ``edge_smoothing`` n > 0 gives a cell the part of its material that lies inside, counted at n^3 points.
    ``beyond_mx`` is mx of the track to the left and to the right of the box, None: it ends there.
    ``first_column`` is that of a track's columns which is at the left end of the box: a window moves it.
    ``notch_profile`` is ``triangular`` or ``rounded`` (a raised cosine of the same depth and width).
    """

    kind: str = "box"
    width_m: float | None = None
    roughness: Roughness | None = None
    notch_positions_m: tuple[float, ...] = ()
    notch_depth_m: float = 0.0
    notch_width_m: float = 0.0
    size_m: tuple[float, float] | None = None
    file: DataFile | None = None
    shape: Shape | None = later(None)
    edge_smoothing: int = later(0)
    beyond_mx: tuple[float, float] | None = later(None)
    first_column: int = later(0)
    notch_profile: str = later("triangular")


@dataclass(frozen=True)
class Material:
    """Material constants, uniform but for the problem's ``regions``, ``maps`` and ``grains``.

    The uniaxial anisotropy's energy density is ``Ku sin^2 + Ku2 sin^4`` of the angle to ``axis``; the second one's is
    ``second_Ku sin^2`` of the angle to ``second_axis``. The cubic one's is ``Kc1 (a1^2 a2^2 + a2^2 a3^2 + a3^2 a1^2) +
    Kc2 a1^2 a2^2 a3^2`` with m's components a along two unit vectors at right angles, ``cubic_axes``, and their cross
    product. Bulk DMI is ``Dbulk m.(curl m)``, mumax3's ``Dbulk`` and the D of ubermag's class T.
    """

    Ms_A_per_m: float
    A_J_per_m: float
    alpha: float
    Ku_J_per_m3: float = 0.0
    D_J_per_m2: float = 0.0
    spin_hall_angle: float = 0.0
    field_like_ratio: float = 0.0
    polarisation: Vector = (0.0, 1.0, 0.0)
    Ku2_J_per_m3: float = 0.0
    axis: Vector = (0.0, 0.0, 1.0)
    slonczewski_lambda: float = 1.0
    zhang_li_beta: float = 0.0
    Kc1_J_per_m3: float = later(0.0)
    Kc2_J_per_m3: float = later(0.0)
    cubic_axes: tuple[Vector, Vector] = later(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    second_Ku_J_per_m3: float = later(0.0)
    second_axis: Vector = later((1.0, 0.0, 0.0))
    Dbulk_J_per_m2: float = later(0.0)


# what may differ from cell to cell
MAPPED = ("Ms_A_per_m", "A_J_per_m", "alpha", "Ku_J_per_m3", "D_J_per_m2", "Kc1_J_per_m3")


@dataclass(frozen=True)
class Region:
    """A rectangle ``x0 <= x < x1, y0 <= y < y1`` (cell centres, m from the box's corner), or any ``shape``.

    ``factors`` are pairs of a constant of `MAPPED` and what it is multiplied by there, ``values`` pairs of a constant
    and what it is there, whatever the material, maps and earlier regions say; Ms 0 means no material. ``axis`` and
    ``cubic_axes`` are those of the anisotropies. A phase can drive the Ku of a region by its ``name``.
    """

    x_m: tuple[float, float]
    y_m: tuple[float, float]
    factors: tuple[tuple[str, float], ...] = ()
    name: str = ""
    shape: Shape | None = later(None)
    values: tuple[tuple[str, float], ...] = later(())
    axis: Vector | None = later(None)
    cubic_axes: tuple[Vector, Vector] | None = later(None)

    @property
    def changes(self) -> frozenset[str]:
        """Names of the constants that are others here, ``axis`` among them."""
        names = [name for name, _ in (*self.factors, *self.values)]
        return frozenset([*names, "axis"] if self.axis is not None else names)


@dataclass(frozen=True)
class Map:
    """A constant of `MAPPED` read from a scalar OVF file with the mesh's number of cells, SI units."""

    constant: str
    file: DataFile


@dataclass(frozen=True)
class Grains:
    """Columnar grains: the Voronoi cells of points thrown at random, one per ``size_m`` squared on average.

    A grain's Ku, Kc1 and Ms are those of its cells times ``1 + spread N(0, 1)``. Its easy axis leans by ``tilt_rad
    N(0, 1)`` in each of two directions at right angles to the axis; ``random_cubic_axes`` turns its cubic axes any way.
    Exchange across a boundary of grains is multiplied by ``exchange_factor``. ``seed`` and ``instance`` name the random
    stream: an instance is one fabricated device.
    """

    size_m: float
    seed: int
    instance: int
    Ku_spread: float = 0.0
    Kc1_spread: float = 0.0
    Ms_spread: float = 0.0
    tilt_rad: float = 0.0
    random_cubic_axes: bool = False
    exchange_factor: float = 1.0


@dataclass(frozen=True)
class Coupling:
    """Exchange across the faces where two parts touch, in place of the two cells' harmonic mean.

    The parts are two ``regions`` by name, or one and all cells outside of it; or two ``layers`` of cells, counted from
    0 at the bottom, which may have empty cells in between. One of: ``factor`` on the mean; the stiffness ``A_J_per_m``;
    the surface energy ``J_J_per_m2``, ``-J m1.m2`` per area, of either sign. Across empty cells only J acts.
    """

    regions: tuple[str, ...] = ()
    layers: tuple[int, int] | None = None
    factor: float | None = None
    A_J_per_m: float | None = None
    J_J_per_m2: float | None = None


@dataclass(frozen=True)
class Until:
    """The condition that ends a phase: a column of the table ``above`` or ``below`` a value, seen at its records."""

    observable: str
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Phase:
    """A stretch of time; each drive is a number or a waveform of `device_sims.problem.waveforms`.

    ``region_Ku_factors`` are pairs of a region's name and a factor on the Ku inside it, ``drive_maps`` of the name of a
    `DriveMap` and what it is multiplied by. ``temperature_factor`` multiplies the problem's temperature. With a
    ``relax_tolerance`` the phase takes no time: its state is the energy minimum below the last one, at T = 0 and under
    its drives, which are constant, found until ``max |m x H| / Ms`` is below the tolerance. ``until`` ends a phase
    before its duration.
    """

    name: str
    duration_s: float
    Ku_factor: Drive = 1.0
    current_density_A_per_m2: Drive = 0.0
    field_T: tuple[Drive, Drive, Drive] = (0.0, 0.0, 0.0)
    zhang_li_u_m_per_s: Drive = 0.0
    region_Ku_factors: tuple[tuple[str, Drive], ...] = ()
    relax_tolerance: float | None = later(None)
    until: Until | None = later(None)
    drive_maps: tuple[tuple[str, Drive], ...] = later(())
    temperature_factor: Drive = later(1.0)

    def drives(self) -> dict[str, Drive]:
        """Return the drives by their keys."""
        named = {
            "Ku_factor": self.Ku_factor,
            "current_density_A_per_m2": self.current_density_A_per_m2,
            **{f"field_T.{axis}": drive for axis, drive in enumerate(self.field_T)},
            "zhang_li_u_m_per_s": self.zhang_li_u_m_per_s,
            "temperature_factor": self.temperature_factor,
        }
        named |= {f"region_Ku_factors.{name}": drive for name, drive in self.region_Ku_factors}
        return {**named, **{f"drive_maps.{name}": drive for name, drive in self.drive_maps}}


@dataclass(frozen=True)
class DriveMap:
    """A ``field`` or a ``current``, as ``acts`` says, that phases drive by ``name``.

    It is a ``file`` (OVF: three components of a field, one of a current), a ``region`` by name (for a field along
    ``direction``), or the Oersted field of a current through a ``pillar``, a cylinder along z of x, y and radius.
    """

    name: str
    acts: str
    file: DataFile | None = None
    region: str = ""
    direction: Vector = (0.0, 0.0, 0.0)
    pillar: Vector | None = None


@dataclass(frozen=True)
class Window:
    """The box follows a wall between domains of the ``component`` x, y or z of m, by whole columns of cells."""

    component: str = "z"


@dataclass(frozen=True)
class Initial:
    """The state at t = 0; `device_sims.problem.initial` holds the formulas.

    ``uniform`` along ``direction``; a ``wall`` between up (left) and down (right), or the reverse if ``up_left`` is
    false; ``two_domains`` with the ``directions`` left of, in and right of the wall; a ``vortex``, or a
    ``vortex_wall`` between two domains along x, ``width_m`` long; a ``skyrmion``; ``random``, a draw for each cell
    from the problem's stream; or a ``file`` (OVF, three components).

    The wall is ``m = (sech u cos phi, sech u sin phi, -+ tanh u)`` with the azimuth ``phi`` at its centre and
    ``u = ((x - position) cos(tilt) - (y - middle) sin(tilt)) / width``.

    ``center_m`` is x and y of a vortex or skyrmion, None: the middle of the box; ``core_up`` whether mz is positive in
    its core; ``circulation`` that of a vortex, 1 counterclockwise; ``radius_m`` that of a skyrmion, or the width of a
    vortex's core, None: one cell; ``vorticity`` and ``helicity_rad`` those of a skyrmion. ``inside`` are other states
    in shapes or regions, the last one counting.

    ``relax_tolerance``: if not None the state is relaxed, at T = 0 and under the drives of t = 0 without any current,
    until ``max |m x H| / Ms`` is below it.
    """

    kind: str
    direction: Vector = (0.0, 0.0, 1.0)
    position_m: float = 0.0
    width_m: float = 1e-8
    azimuth_rad: float = 0.0
    tilt_rad: float = 0.0
    up_left: bool = True
    file: DataFile | None = None
    relax_tolerance: float | None = None
    directions: tuple[Vector, Vector, Vector] | None = later(None)
    center_m: tuple[float, float] | None = later(None)
    radius_m: float | None = later(None)
    core_up: bool = later(True)
    circulation: int = later(1)
    vorticity: int = later(1)
    helicity_rad: float = later(0.0)
    inside: tuple[Inside, ...] = later(())


@dataclass(frozen=True)
class Inside:
    """A state of its own in a shape, or in the region of a name."""

    state: Initial
    shape: Shape | None = None
    region: str = ""


ADAPTIVE = "dopri5"  # the integrator that chooses its steps
LEAST_TOLERANCE = {"float32": 1e-6, "float64": 1e-13}  # below, rounding alone is a larger error


@dataclass(frozen=True)
class Numerics:
    """How time is stepped.

    ``demag_interval_steps`` 0 means the full stray field at each evaluation. With n > 0 only the cell's own
    demagnetising field is evaluated each time; the field of all other cells is evaluated every n steps and
    extrapolated linearly in time in between (second order; `docs/device_sims/time_steps.md` shows the cost).

    ``tolerance`` is the error per step in m that an adaptive integrator keeps; its first step is ``dt_s``.
    """

    dt_s: float
    integrator: str = "heun"
    precision: str = "float32"
    demag_interval_steps: int = 4
    demag: bool = True
    tolerance: float = 1e-6
