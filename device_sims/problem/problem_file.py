"""Problem files: one `Problem`, and what to write of its trajectory, as YAML (`docs/problem_file.md`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from device_sims.problem import geometry, material
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
from device_sims.problem.schema_check import resolve_with
from spinloom import config, files
from spinloom.errors import UserError

SCHEMA = Path(__file__).parents[1] / "schemas" / "problem.schema.yaml"
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
    """What is written of a trajectory besides its table: see the schema's ``outputs``."""

    ovf: str
    ovf_interval_s: float | None
    ovf_format: str

    def snapshots(self, t_s: np.ndarray) -> list[int]:
        """Return the records to write as OVF files, given the time of each."""
        if self.ovf_interval_s is None:
            return {"none": [], "final": [len(t_s) - 1], "each record": list(range(len(t_s)))}[self.ovf]
        # the number of the interval that a record lies in; times are sums of steps, hence the tolerance
        number = np.floor(np.asarray(t_s) / self.ovf_interval_s + 1e-6)
        return [0, *(np.flatnonzero(np.diff(number) > 0) + 1).tolist()]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of problem files."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


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
    content = resolve_with(schema(), config.read(path), str(path))
    if seed is not None:
        content["seed"] = seed
    try:
        problem = _problem(content, path.parent)
        _check(problem)
        return problem, _outputs(content["outputs"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _problem(content: dict, folder: Path) -> Problem:
    constants = dict(content["material"])
    maps = constants.pop("maps")
    for name in ("axis", "polarisation"):
        constants[name] = _unit(constants[name], f"material.{name}")
    return Problem(
        mesh=_mesh(content["mesh"]),
        geometry=_geometry(content["geometry"], content["seed"], folder),
        material=Material(**constants),
        schedule=tuple(_phase(phase, i) for i, phase in enumerate(content["schedule"])),
        initial=_initial(content["initial"], folder),
        temperature_K=content["temperature_K"],
        numerics=Numerics(**content["numerics"]),
        record_interval_s=content["outputs"]["record_interval_s"],
        stream=(content["seed"], "thermal field", "run"),
        regions=tuple(_region(r, f"regions.{i}", constants, maps) for i, r in enumerate(content["regions"])),
        maps=tuple(Map(name, _file(maps[name], f"material.maps.{name}", folder)) for name in sorted(maps)),
    )


def _mesh(section: dict) -> Mesh:
    if ("cells" in section) == ("size_m" in section):
        found = "both" if "cells" in section else "neither"
        raise UserError(f"mesh: found {found} of cells and size_m, allowed: one of them")
    cell = tuple(section["cell_m"])
    counts = section.get("cells")
    if counts is None:
        exact = [size / edge for size, edge in zip(section["size_m"], cell)]
        counts = [round(number) for number in exact]
        if any(count < 1 or abs(number - count) > 1e-6 * count for number, count in zip(exact, counts)):
            raise UserError(f"mesh.size_m: found {section['size_m']}, allowed: whole multiples of mesh.cell_m = {cell}")
    if math.prod(counts) > MAX_CELLS:
        raise UserError(f"mesh: found {math.prod(counts)} cells, allowed: at most {MAX_CELLS}")
    return Mesh(counts[0], counts[1], cell, counts[2])


def _geometry(section: dict, seed: int, folder: Path) -> Geometry:
    _check_kind(section, "geometry", GEOMETRY)
    size, notches = section.get("size_m"), section.get("notches", {})
    if section["kind"] == "disc" and size and size[0] != size[1]:
        raise UserError(f"geometry.size_m: found {size}, allowed: the diameter of the disc, twice")
    rough = section.get("roughness")
    return Geometry(
        section["kind"],
        section.get("width_m"),
        Roughness(rough["rms_m"], rough["correlation_length_m"], seed, rough["instance"]) if rough else None,
        tuple(notches.get("positions_m", ())),
        notches.get("depth_m", 0.0),
        notches.get("width_m", 0.0),
        tuple(size) if size else None,
        _file(section["file"], "geometry.file", folder) if "file" in section else None,
    )


def _initial(section: dict, folder: Path) -> Initial:
    _check_kind(section, "initial", INITIAL)
    given = {key: value for key, value in section.items() if key not in ("chirality", "file", "direction")}
    if section["kind"] == "wall":
        if ("azimuth_rad" in section) == ("chirality" in section):
            found = "both" if "chirality" in section else "neither"
            raise UserError(f"initial: found {found} of azimuth_rad and chirality, allowed: one of them")
        if "chirality" in section:
            towards_right = (section["chirality"] == "right") == section.get("up_left", True)
            given["azimuth_rad"] = 0.0 if towards_right else math.pi
    if "direction" in section:
        given["direction"] = _unit(section["direction"], "initial.direction")
    if "file" in section:
        given["file"] = _file(section["file"], "initial.file", folder)
    return Initial(**given)


def _check_kind(section: dict, where: str, kinds: dict) -> None:
    uses, needs = kinds[section["kind"]]
    for key in needs:
        if key not in section:
            raise UserError(f"{where}: key '{key}' is missing; kind {section['kind']} needs it")
    for key in section:
        owners = [kind for kind, (keys, _) in kinds.items() if key in keys]
        if owners and key not in uses:
            raise UserError(f"{where}.{key}: found with kind {section['kind']}, allowed: with {', '.join(owners)}")


def _region(section: dict, where: str, constants: dict, maps: dict) -> Region:
    factors = dict(section["factors"])
    for name, value in section["values"].items():
        if name in factors or name in maps or not constants[name]:
            raise UserError(
                f"{where}.values.{name}: allowed only for a constant without a factor here, without a map, and whose "
                "uniform value is not 0"
            )
        factors[name] = value / constants[name]
    return Region(tuple(section["x_m"]), tuple(section["y_m"]), tuple(sorted(factors.items())), section["name"])


def _phase(section: dict, index: int) -> Phase:
    where = f"schedule.{index}"
    drives = {
        key: _drive(section[key], f"{where}.{key}")
        for key in ("Ku_factor", "current_density_A_per_m2", "zhang_li_u_m_per_s")
    }
    x, y, z = (_drive(value, f"{where}.field_T.{i}") for i, value in enumerate(section["field_T"]))
    return Phase(
        section.get("name", f"phase_{index}"),
        section["duration_s"],
        field_T=(x, y, z),
        region_Ku_factors=tuple(
            (name, _drive(value, f"{where}.region_Ku_factors.{name}"))
            for name, value in sorted(section["region_Ku_factors"].items(), key=lambda item: str(item[0]))
        ),
        **drives,
    )


def _drive(value: Any, where: str) -> Drive:
    if not isinstance(value, dict):
        return float(value)
    ramp, sine = {"from", "to"} & set(value), {"amplitude", "frequency_Hz"} & set(value)
    if len(ramp) == 1 or len(sine) == 1 or ramp and "offset" in value or "phase_rad" in value and not sine or not value:
        raise UserError(
            f"{where}: found {{{', '.join(value)}}}, allowed: a number, {{from, to}}, {{offset, amplitude, "
            f"frequency_Hz, phase_rad}} or {{from, to, amplitude, frequency_Hz, phase_rad}}"
        )
    start = value.get("from", value.get("offset", 0.0))
    wave = (value.get("amplitude", 0.0), value.get("frequency_Hz", 0.0), value.get("phase_rad", 0.0))
    return Waveform(start, value.get("to", start), *wave)


def _outputs(section: dict) -> Outputs:
    interval, record = section["ovf_interval_s"], section["record_interval_s"]
    if interval is not None and section["ovf"] != "none":
        raise UserError("outputs: found both ovf and ovf_interval_s, allowed: one of them")
    if interval is not None and interval < record * (1 - 1e-6):
        raise UserError(f"outputs.ovf_interval_s: found {interval:g}, allowed: at least record_interval_s = {record:g}")
    return Outputs(section["ovf"], interval, section["ovf_format"])


def _unit(vector: list[float], where: str) -> tuple[float, float, float]:
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
