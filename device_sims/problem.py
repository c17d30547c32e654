"""A micromagnetic problem, as every engine understands it.

A `Problem` says what is simulated and nothing about how: mesh, shape, material, a schedule of drives, the
initial state, temperature and numerics. It is plain data: it goes to JSON and back, and two problems with the
same canonical JSON are the same problem.

Conventions (those of the reference data in `docs/device_sims.md`):

* SI units; x runs along the track, z is the film normal; arrays over cells have shape ``(ny, nx)``.
* Interfacial DMI energy density ``w = D [mz div m - (m . grad) mz]`` (the sign of mumax3's ``Dind``; the D of
  ubermag's ``Cnv_z`` has the opposite sign). With D > 0 a wall from up (left) to down has mx < 0 at its centre.
* The damping-like torque of a current density J with spin polarisation vector p is that of an effective field
  ``a (m x p)``, the field-like one that of ``b p``, with ``a = hbar theta J / (2 e mu0 Ms t)`` and ``b = ratio a``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinloom.errors import UserError
from spinloom.files import canonical_json, sha256_text

MU0 = 1.25663706212e-6  # N/A^2
HBAR = 1.054571817e-34  # J s
ELEMENTARY_CHARGE = 1.602176634e-19  # C
BOLTZMANN = 1.380649e-23  # J/K
GAMMA0 = 2.211e5  # m/(A s), mu0 times the gyromagnetic ratio; OOMMF's and mumax3's conventional value

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """A film of ``nx`` x ``ny`` cells and one cell of thickness."""

    nx: int
    ny: int
    cell_m: Vector

    @property
    def cell_volume_m3(self) -> float:
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
class Geometry:
    """Where there is magnetic material.

    ``kind`` is ``box`` (all of it), ``disc`` (diameter = the shorter side) or ``strip`` (a track of ``width_m``
    in the middle of the box, with optional rough edges and notches).
    """

    kind: str = "box"
    width_m: float | None = None
    roughness: Roughness | None = None
    notch_positions_m: tuple[float, ...] = ()
    notch_depth_m: float = 0.0
    notch_width_m: float = 0.0


@dataclass(frozen=True)
class Material:
    """Uniform material constants; the easy axis is z."""

    Ms_A_per_m: float
    A_J_per_m: float
    alpha: float
    Ku_J_per_m3: float = 0.0
    D_J_per_m2: float = 0.0
    spin_hall_angle: float = 0.0
    field_like_ratio: float = 0.0
    polarisation: Vector = (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Region:
    """A rectangle ``x0 <= x < x1, y0 <= y < y1`` (cell centres, m from the box's corner) whose Ku is scaled."""

    x_m: tuple[float, float]
    y_m: tuple[float, float]
    Ku_factor: float


@dataclass(frozen=True)
class Phase:
    """A stretch of time with constant drives."""

    name: str
    duration_s: float
    Ku_factor: float = 1.0
    current_density_A_per_m2: float = 0.0
    field_T: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Initial:
    """The state at t = 0: ``uniform`` along ``direction``, or one ``wall`` between up (left) and down (right).

    The wall is ``m = (c sech u cos phi, c sech u sin phi, -tanh u)``, ``u = (x - position) / width``, with the
    azimuth ``phi`` at its centre; c is 1.
    """

    kind: str
    direction: Vector = (0.0, 0.0, 1.0)
    position_m: float = 0.0
    width_m: float = 1e-8
    azimuth_rad: float = 0.0


@dataclass(frozen=True)
class Numerics:
    """How time is stepped.

    ``demag_interval_steps`` 0 means the full stray field at each evaluation. With n > 0 only the cell's own
    demagnetising field is evaluated each time; the field of all other cells is evaluated every n steps and
    extrapolated linearly in time in between (second order; `docs/device_sims.md` shows what it costs).
    """

    dt_s: float
    integrator: str = "heun"
    precision: str = "float32"
    demag_interval_steps: int = 4
    demag: bool = True


@dataclass(frozen=True)
class Problem:
    """What an engine needs to know to compute trajectories.

    ``Ku(x, y, t)`` is the material's Ku, times the factors of all ``regions`` that hold the cell, times the phase's.
    """

    mesh: Mesh
    geometry: Geometry
    material: Material
    schedule: tuple[Phase, ...]
    initial: Initial
    temperature_K: float
    numerics: Numerics
    record_interval_s: float
    stream: tuple[str | int | float, ...] = (0, "thermal field")
    regions: tuple[Region, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as plain JSON-ready data."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Problem:
        """Inverse of `to_dict`."""
        roughness = data["geometry"]["roughness"]
        geometry = {**data["geometry"], "roughness": None if roughness is None else Roughness(**roughness)}
        geometry["notch_positions_m"] = tuple(geometry["notch_positions_m"])
        return cls(
            mesh=Mesh(**{**data["mesh"], "cell_m": tuple(data["mesh"]["cell_m"])}),
            geometry=Geometry(**geometry),
            material=Material(**{**data["material"], "polarisation": tuple(data["material"]["polarisation"])}),
            schedule=tuple(Phase(**{**phase, "field_T": tuple(phase["field_T"])}) for phase in data["schedule"]),
            initial=Initial(**{**data["initial"], "direction": tuple(data["initial"]["direction"])}),
            temperature_K=data["temperature_K"],
            numerics=Numerics(**data["numerics"]),
            record_interval_s=data["record_interval_s"],
            stream=tuple(data["stream"]),
            regions=tuple(Region(tuple(r["x_m"]), tuple(r["y_m"]), r["Ku_factor"]) for r in data["regions"]),
        )

    def hash(self) -> str:
        """Return the SHA-256 of the canonical JSON."""
        return sha256_text(canonical_json(self.to_dict()))

    def steps(self, duration_s: float, name: str = "duration_s") -> int:
        """Return how many time steps make ``duration_s``; ``name`` is what to call it in the error.

        Raises
        ------
        UserError
            If it is not a whole number of steps, or more than 1e9 of them.
        """
        count = duration_s / self.numerics.dt_s
        if not 0.5 < count < 1e9 or abs(count - round(count)) > 1e-6 * count:
            raise UserError(
                f"{name}: found {duration_s:g}, allowed: a whole number (1 to 1e9) of steps of "
                f"numerics.dt_s = {self.numerics.dt_s:g}"
            )
        return round(count)

    @property
    def duration_s(self) -> float:
        return sum(phase.duration_s for phase in self.schedule)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def initial_magnetisation(problem: Problem, mask: np.ndarray) -> np.ndarray:
    """Return the initial unit magnetisation, ``float64[3, ny, nx]``, zero outside the mask."""
    mesh, initial = problem.mesh, problem.initial
    m = np.zeros((3, mesh.ny, mesh.nx))
    if initial.kind == "uniform":
        direction = np.asarray(initial.direction, float)
        m[:] = (direction / np.linalg.norm(direction))[:, None, None]
    elif initial.kind == "wall":
        x = (np.arange(mesh.nx) + 0.5) * mesh.cell_m[0]
        u = (x - initial.position_m) / initial.width_m
        m[0] = np.cos(initial.azimuth_rad) / np.cosh(u)
        m[1] = np.sin(initial.azimuth_rad) / np.cosh(u)
        m[2] = -np.tanh(u)
    else:
        raise UserError(f"initial.kind: found '{initial.kind}', allowed: uniform, wall")
    return m * mask
