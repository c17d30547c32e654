"""A micromagnetic problem, as every engine understands it.

A `Problem` says what is simulated and nothing about how: mesh, shape, material, a schedule of drives, the
initial state, temperature and numerics. It is plain data: it goes to JSON and back, and two problems with the
same canonical JSON are the same problem.

Conventions (those of the reference data in `docs/device_sims/model.md`):

* SI units; x runs along the track, z is the film normal; arrays over cells have shape ``(nz, ny, nx)``.
* Interfacial DMI energy density ``w = D [mz div m - (m . grad) mz]`` (the sign of mumax3's ``Dind``; the D of
  ubermag's ``Cnv_z`` has the opposite sign). With D > 0 a wall from up (left) to down has mx < 0 at its centre.
* The damping-like torque of a current density J with spin polarisation vector p is that of an effective field
  ``a (m x p)``, the field-like one that of ``b p``, with ``a = hbar theta J / (2 e mu0 Ms t)`` and ``b = ratio a``;
  for a Slonczewski junction theta is its polarisation P, and ``a`` (``b`` with it) is multiplied by
  ``2 L^2 / (L^2 + 1 + (L^2 - 1) m.p)``, 1 for ``L = 1``. t is the thickness of the film (all layers of cells).
* The Zhang-Li torque of a velocity u along x is ``dm/dt = -u dm/dx + beta m x (u dm/dx)`` (before solving for the
  damping): a positive u carries a texture to the right.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from device_sims.problem.parts import (
    Coupling,
    DriveMap,
    Geometry,
    Grains,
    Initial,
    Map,
    Material,
    Mesh,
    Numerics,
    Phase,
    Region,
    Vector,
    Window,
    later,
)
from spinloom.errors import UserError
from spinloom.files import canonical_json, sha256_text


@dataclass(frozen=True)
class Partner:
    """A second layer of the same outline above the first, one moment as that is.

    Each is the other's spin polarisation: a current that turns the first towards the second drives the second away from
    the first, with ``torque_ratio`` times the first one's efficiency. They feel each other's mean stray field, a
    coupling ``-J m1.m2`` per area, and the phases' fields; ``pinning_T`` acts on the partner alone, along z.
    """

    thickness_m: float
    gap_m: float
    Ms_A_per_m: float
    alpha: float
    Ku_J_per_m3: float
    torque_ratio: float = 1.0
    coupling_J_per_m2: float = 0.0
    pinning_T: float = 0.0
    direction: Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Problem:
    """What an engine needs to know to compute trajectories.

    A constant in a cell is the material's, or that of its map, times the factors of all ``regions`` that hold the
    cell and of its grain; Ku also times the phase's factors. ``couplings`` act in their order.
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
    maps: tuple[Map, ...] = ()
    couplings: tuple[Coupling, ...] = later(())
    grains: Grains | None = later(None)
    window: Window | None = later(None)
    drive_maps: tuple[DriveMap, ...] = later(())
    partner: Partner | None = later(None)

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as plain JSON-ready data."""
        return _plain(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Problem:
        """Inverse of `to_dict`."""
        return _built(cls, data)

    def hash(self) -> str:
        """Return the SHA-256 of the canonical JSON, in which a file is its content and not its path."""
        return sha256_text(canonical_json(self.identity()))

    def identity(self) -> dict[str, Any]:
        """Return `to_dict` without the paths of files, and without what `later` leaves out."""
        return identity_of(self)

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

    def phase_steps(self, phase: Phase) -> int:
        """Return how many time steps a phase takes, 0 if it relaxes; `UserError` as of `steps`."""
        if phase.relax_tolerance is not None:
            return 0
        return self.steps(phase.duration_s, f"the duration of phase {phase.name}")

    def frames(self) -> Iterator[tuple[Phase, int, bool]]:
        """Yield ``(phase, number of steps, phase ends here)`` for each record after that of t = 0."""
        for phase in self.schedule:
            for count, is_end in self.frames_of(phase):
                yield phase, count, is_end

    def frames_of(self, phase: Phase) -> Iterator[tuple[int, bool]]:
        """Yield ``(number of steps, phase ends here)`` for each record of a phase; one that relaxes has one."""
        every = self.steps(self.record_interval_s, "record_interval_s")
        left = self.phase_steps(phase)
        if not left:
            yield 0, True
        while left:
            count = min(every, left)
            left -= count
            yield count, not left

    @property
    def duration_s(self) -> float:
        """Time that the schedule takes."""
        return sum(phase.duration_s for phase in self.schedule)

    @property
    def cell_steps(self) -> float:
        """Cells x time steps: the work of a trajectory."""
        return math.prod(self.mesh.shape) * self.duration_s / self.numerics.dt_s

    def told(self) -> str:
        """Return its size in a few words."""
        mesh = self.mesh
        return (
            f"{mesh.nx} x {mesh.ny} x {mesh.nz} cells, {self.duration_s * 1e9:.3g} ns in steps of "
            f"{self.numerics.dt_s * 1e12:.3g} ps"
        )


def identity_of(value: Any) -> Any:
    """Return a problem, or a part of one, as `Problem.identity` does."""
    return _plain(value, paths=False)


@cache
def _fields(kind: type) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(kind)


def _plain(value: Any, paths: bool = True) -> Any:
    """Return ``value`` as JSON values; if not ``paths``, as `Problem.identity` wants it."""
    kind = type(value)
    if kind in (float, int, str, bool, NoneType):  # nearly all there is
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(item, paths) for item in value]
    if dataclasses.is_dataclass(kind):
        pairs = [(field, getattr(value, field.name)) for field in _fields(kind)]
        value = {
            field.name: item
            for field, item in pairs
            if paths or not field.metadata.get("later") or item != field.default
        }
    if isinstance(value, dict):
        left_out = () if paths or "sha256" not in value else ("path",)
        return {key: _plain(item, paths) for key, item in value.items() if key not in left_out}
    return value


def _built(kind: Any, value: Any) -> Any:
    """Return ``value``, as `_plain` left it, as an instance of the annotation ``kind``."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        said = [one for one in dataclasses.fields(kind) if one.name in value or not one.metadata.get("later")]
        return kind(**{field.name: _built(hints[field.name], value[field.name]) for field in said})
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        if kinds[-1] is Ellipsis:
            return tuple(_built(kinds[0], item) for item in value)
        return tuple(_built(item_kind, item) for item_kind, item in zip(kinds, value, strict=True))
    if get_origin(kind) in (Union, UnionType):
        made_of_fields = [k for k in get_args(kind) if dataclasses.is_dataclass(k)]
        if isinstance(value, dict):
            fits = (k for k in made_of_fields if value.keys() <= {field.name for field in _fields(k)})
            return _built(next(fits, made_of_fields[0]), value)
        tuples = [k for k in get_args(kind) if get_origin(k) is tuple]
        return _built(tuples[0], value) if tuples and isinstance(value, list) else value
    return value
