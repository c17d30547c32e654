"""Problem files: one `Problem`, and what to write of its trajectory, as YAML (`docs/problem_file.md`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from device_sims.problem import file_keys, geometry, material
from device_sims.problem.file_keys import ProblemFile
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.problem import (
    ADAPTIVE,
    LEAST_TOLERANCE,
    DataFile,
    Drive,
    Geometry,
    Initial,
    Map,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    Roughness,
    Waveform,
)
from spinloom import config, files
from spinloom.declare import Section
from spinloom.errors import UserError

MAX_CELLS, MAX_RECORDS = 2**22, 10**6  # beyond these a slip of the keyboard
MAX_VALUES = 2 * 10**9  # numbers of all records of m, which an engine holds in memory

# the keys that each kind uses, and those that it cannot do without
GEOMETRY = {
    "box": ((), ()),
    "disc": (("size_m",), ()),
    "ellipse": (("size_m",), ()),
    "rectangle": (("size_m",), ()),
    "strip": (("width_m", "roughness", "notches"), ("width_m",)),
    "file": (("file",), ("file",)),
}
INITIAL = {
    "uniform": (("direction",), ("direction",)),
    "wall": (("position_m", "width_m", "azimuth_rad", "chirality", "tilt_rad", "up_left"), ("position_m", "width_m")),
    "vortex": ((), ()),
    "file": (("file",), ("file",)),
}


@dataclass(frozen=True)
class Outputs:
    """What is written of a trajectory besides its table: see `device_sims.problem.file_keys.Outputs`."""

    ovf: str
    ovf_interval_s: float | None
    ovf_format: str

    def snapshots(self, t_s: np.ndarray) -> list[int]:
        """Return the records to write as OVF files, given the time of each, float64[records]."""
        if self.ovf_interval_s is None:
            return {"none": [], "final": [len(t_s) - 1], "each record": list(range(len(t_s)))}[self.ovf]
        # the number of the interval that a record lies in; times are sums of steps, hence the tolerance
        number = np.floor(np.asarray(t_s) / self.ovf_interval_s + 1e-6)
        return [0, *(np.flatnonzero(np.diff(number) > 0) + 1).tolist()]


def load(path: str | Path, seed: int | None = None) -> tuple[Problem, Outputs]:
    """Return the problem of a file, and the outputs that it asks for.

    Parameters
    ----------
    path : path
        YAML; paths inside are relative to its directory.
    seed : int, optional
        In place of the file's.

    Returns
    -------
    Problem, Outputs
        The problem's stream is ``(seed, "thermal field", "run")``: a replica appends its number.

    Raises
    ------
    UserError
        One line with the file, the key, what was found and what is allowed.
    """
    path = Path(path)
    content = ProblemFile.parse(config.read(path), str(path))
    try:
        problem = _problem(content, content.seed if seed is None else seed, path.parent)
        _check(problem)
        return problem, _outputs(content.outputs)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _problem(content: ProblemFile, seed: int, folder: Path) -> Problem:
    maps = content.material.maps.model_dump()
    constants = content.material.model_dump(exclude={"maps"})
    for name in ("axis", "polarisation"):
        constants[name] = _unit(constants[name], f"material.{name}")
    return Problem(
        mesh=_mesh(content.mesh),
        geometry=_geometry(content.geometry, seed, folder),
        material=Material(**constants),
        schedule=tuple(_phase(phase, i) for i, phase in enumerate(content.schedule)),
        initial=_initial(content.initial, folder),
        temperature_K=content.temperature_K,
        numerics=Numerics(**content.numerics.model_dump()),
        record_interval_s=content.outputs.record_interval_s,
        stream=(seed, "thermal field", "run"),
        regions=tuple(_region(r, f"regions.{i}", constants, maps) for i, r in enumerate(content.regions)),
        maps=tuple(Map(name, _file(maps[name], f"material.maps.{name}", folder)) for name in sorted(maps)),
    )


def _mesh(given: file_keys.Mesh) -> Mesh:
    if (given.cells is None) == (given.size_m is None):
        found = "neither" if given.cells is None else "both"
        raise UserError(f"mesh: found {found} of cells and size_m, allowed: one of them")
    cell = given.cell_m
    counts = given.cells
    if counts is None:
        exact = [size / edge for size, edge in zip(given.size_m or (), cell)]
        counts = [round(number) for number in exact]
        if any(count < 1 or abs(number - count) > 1e-6 * count for number, count in zip(exact, counts)):
            found = list(given.size_m or ())
            raise UserError(f"mesh.size_m: found {found}, allowed: whole multiples of mesh.cell_m = {cell}")
    if math.prod(counts) > MAX_CELLS:
        raise UserError(f"mesh: found {math.prod(counts)} cells, allowed: at most {MAX_CELLS}")
    return Mesh(counts[0], counts[1], (cell[0], cell[1], cell[2]), counts[2])


def _geometry(given: file_keys.Geometry, seed: int, folder: Path) -> Geometry:
    _check_kind(given.kind, _given(given), "geometry", GEOMETRY)
    size, rough, notches = given.size_m, given.roughness, given.notches
    if given.kind == "disc" and size and size[0] != size[1]:
        raise UserError(f"geometry.size_m: found {list(size)}, allowed: the diameter of the disc, twice")
    return Geometry(
        given.kind,
        given.width_m,
        Roughness(rough.rms_m, rough.correlation_length_m, seed, rough.instance) if rough else None,
        notches.positions_m if notches else (),
        notches.depth_m if notches else 0.0,
        notches.width_m if notches else 0.0,
        (size[0], size[1]) if size else None,
        _file(given.file, "geometry.file", folder) if given.file is not None else None,
    )


def _initial(given: file_keys.Initial, folder: Path) -> Initial:
    said = _given(given)
    _check_kind(given.kind, said, "initial", INITIAL)
    own = {name: value for name, value in said.items() if name not in ("chirality", "file", "direction")}
    if given.kind == "wall":
        if (given.azimuth_rad is None) == (given.chirality is None):
            found = "neither" if given.chirality is None else "both"
            raise UserError(f"initial: found {found} of azimuth_rad and chirality, allowed: one of them")
        if given.chirality is not None:
            towards_right = (given.chirality == "right") == (given.up_left is not False)
            own["azimuth_rad"] = 0.0 if towards_right else math.pi
    if given.direction is not None:
        own["direction"] = _unit(given.direction, "initial.direction")
    if given.file is not None:
        own["file"] = _file(given.file, "initial.file", folder)
    return Initial(**own)


def _given(section: Section) -> dict[str, Any]:
    """Return what a section says, without what it leaves out."""
    return {name: value for name, value in section if value is not None}


def _check_kind(kind: str, said: dict[str, Any], where: str, kinds: dict) -> None:
    uses, needs = kinds[kind]
    for key in needs:
        if key not in said:
            raise UserError(f"{where}: key '{key}' is missing; kind {kind} needs it")
    for key in said:
        owners = [one for one, (keys, _) in kinds.items() if key in keys]
        if owners and key not in uses:
            raise UserError(f"{where}.{key}: found with kind {kind}, allowed: with {', '.join(owners)}")


def _region(given: file_keys.Region, where: str, constants: dict, maps: dict) -> Region:
    factors = _given(given.factors)
    for name, value in _given(given.values).items():
        if name in factors or name in maps or not constants[name]:
            raise UserError(
                f"{where}.values.{name}: allowed only for a constant without a factor here, without a map, and whose "
                "uniform value is not 0"
            )
        factors[name] = value / constants[name]
    (x0, x1), (y0, y1) = given.x_m, given.y_m
    return Region((x0, x1), (y0, y1), tuple(sorted(factors.items())), given.name)


def _phase(given: file_keys.Phase, index: int) -> Phase:
    where = f"schedule.{index}"
    x, y, z = (_drive(value, f"{where}.field_T.{i}") for i, value in enumerate(given.field_T))
    return Phase(
        f"phase_{index}" if given.name is None else given.name,
        given.duration_s,
        Ku_factor=_drive(given.Ku_factor, f"{where}.Ku_factor"),
        current_density_A_per_m2=_drive(given.current_density_A_per_m2, f"{where}.current_density_A_per_m2"),
        field_T=(x, y, z),
        zhang_li_u_m_per_s=_drive(given.zhang_li_u_m_per_s, f"{where}.zhang_li_u_m_per_s"),
        region_Ku_factors=tuple(
            (name, _drive(value, f"{where}.region_Ku_factors.{name}"))
            for name, value in sorted(given.region_Ku_factors.items())
        ),
    )


def _drive(value: file_keys.Drive, where: str) -> Drive:
    if not isinstance(value, file_keys.Waveform):
        return float(value)
    said = {name: part for name, part in value.model_dump(by_alias=True).items() if part is not None}
    ramp, sine = {"from", "to"} & set(said), {"amplitude", "frequency_Hz"} & set(said)
    if len(ramp) == 1 or len(sine) == 1 or ramp and "offset" in said or "phase_rad" in said and not sine or not said:
        raise UserError(
            f"{where}: found {{{', '.join(sorted(said))}}}, allowed: a number, {{from, to}}, {{offset, amplitude, "
            f"frequency_Hz, phase_rad}} or {{from, to, amplitude, frequency_Hz, phase_rad}}"
        )
    start = said.get("from", said.get("offset", 0.0))
    wave = (said.get("amplitude", 0.0), said.get("frequency_Hz", 0.0), said.get("phase_rad", 0.0))
    return Waveform(start, said.get("to", start), *wave)


def _outputs(given: file_keys.Outputs) -> Outputs:
    interval, record = given.ovf_interval_s, given.record_interval_s
    if interval is not None and given.ovf != "none":
        raise UserError("outputs: found both ovf and ovf_interval_s, allowed: one of them")
    if interval is not None and interval < record * (1 - 1e-6):
        raise UserError(f"outputs.ovf_interval_s: found {interval:g}, allowed: at least record_interval_s = {record:g}")
    return Outputs(given.ovf, interval, given.ovf_format)


def _unit(vector: Sequence[float], where: str) -> tuple[float, float, float]:
    if not any(vector):
        raise UserError(f"{where}: found the zero vector, allowed: any other")
    exponent = math.frexp(max(map(abs, vector)))[1]
    x, y, z = (math.ldexp(component, -exponent) for component in vector)  # exact, and its length is finite
    length = math.hypot(x, y, z)
    return x / length, y / length, z / length


def _file(name: str, where: str, folder: Path) -> DataFile:
    try:
        path = (folder / Path(name).expanduser()).resolve()
        return DataFile(str(path), files.sha256_file(path))
    except OSError as error:
        raise UserError(f"{where}: {folder / name}: cannot be read ({error.strerror})") from None
    except (ValueError, RuntimeError) as error:  # a NUL in the path, no such user
        raise UserError(f"{where}: found {name!r}, allowed: the path of a file ({error})") from None


def _check(problem: Problem) -> None:
    """Check relations between parts, and that shape, state and constants can be made."""
    problem.steps(problem.record_interval_s, "outputs.record_interval_s")
    numerics = problem.numerics
    least = LEAST_TOLERANCE[numerics.precision]
    if numerics.integrator == ADAPTIVE and numerics.tolerance < least:
        raise UserError(
            f"numerics.tolerance: found {numerics.tolerance:g}, allowed: at least {least:g} with {numerics.precision}"
        )
    records = 1  # that of t = 0
    driven = [name for phase in problem.schedule for name, _ in phase.region_Ku_factors]
    for where, named in (("schedule", problem.schedule), ("regions", problem.regions)):
        names = [item.name for item in named]
        twice = {name for name in names if name and names.count(name) > 1}
        if twice:
            raise UserError(f"{where}: found two of the name '{min(twice)}', allowed: each name once")
    for name in driven:
        if name not in [region.name for region in problem.regions]:
            raise UserError(f"schedule: region_Ku_factors: found '{name}', allowed: the name of a region")
    for index, phase in enumerate(problem.schedule):
        problem.steps(phase.duration_s, f"schedule.{index}.duration_s")
        records += math.ceil(phase.duration_s / problem.record_interval_s - 1e-6)
        if phase.current_density_A_per_m2 and not problem.material.spin_hall_angle:
            raise UserError(
                f"schedule.{index}.current_density_A_per_m2: found with material.spin_hall_angle 0, where it does "
                "nothing; allowed: any other angle, or no current"
            )
    if records > MAX_RECORDS:
        raise UserError(f"outputs.record_interval_s: found {records} records, allowed: at most {MAX_RECORDS}")
    cells = math.prod(problem.mesh.shape)
    if 3 * cells * records > MAX_VALUES:
        raise UserError(
            f"outputs.record_interval_s: found {records} records of {cells} cells, which are kept in memory, allowed: "
            f"at most {MAX_VALUES // (3 * cells)} records"
        )
    for index, region in enumerate(problem.regions):
        if not material.region_mask(problem.mesh, region).any():
            raise UserError(f"regions.{index}: x_m and y_m hold no cell, allowed: at least one cell's centre")
    mask = geometry.mask(problem.geometry, problem.mesh)
    material.constants(problem, mask)
    initial_magnetisation(problem, mask)
