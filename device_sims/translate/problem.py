"""Writes what a script set up: problem files, OVF files beside them, and the report."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from device_sims.engines.llg import stability
from device_sims.problem import GAMMA0, MU0, Mesh, Problem, geometry, ovf, problem_file
from device_sims.problem.problem_file.shape import Geometry, geometry_of
from device_sims.translate.constants import Constants, constants
from device_sims.translate.language import parse
from device_sims.translate.machine import Machine
from device_sims.translate.report import in_words
from device_sims.translate.schedule import RELAX_TOLERANCE, phases, temperature
from device_sims.translate.values import Unrepresentable
from device_sims.translate.world import Job
from spinloom.errors import UserError

REPORT = "report.txt"
UNTIL_S = 1e-11  # between rows of the table where a run ends by a condition, if the script does not say it
STEP_S = 1e-13  # first step of dopri5, of which every time is a whole number
MOST_VALUES = 2e9  # of all records of m


def translate(source: str | Path, output: str | Path) -> str:
    """Translate a script into problem files, and return the report.

    Parameters
    ----------
    source : path
        Script in mumax3's language.
    output : path
        New or empty directory for ``problem.yaml`` or ``problem_0.yaml``, ..., OVF files and ``report.txt``.

    Raises
    ------
    UserError
        If the script cannot be read or represented; then the directory holds the report alone.
    """
    source, output = Path(source), Path(output)
    try:
        text = source.read_text(encoding="utf-8-sig", errors="replace")  # comments may be in any encoding
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror or error})") from None
    if output.exists() and any(output.iterdir()):
        raise UserError(f"{output}: found a directory that is not empty, allowed: a new or empty directory")
    output.mkdir(parents=True, exist_ok=True)
    machine = Machine(source.parent)
    try:
        machine.run(parse(text, str(source)))
    except UserError as error:
        raise UserError(f"{source}: {error}" if str(source) not in str(error) else str(error)) from None
    report, written = machine.report, []
    if not machine.world.jobs and not report.refused:
        report.refused[0, "it runs nothing: there is no run, relax or minimize that could be followed"] += 1
    if not report.refused:
        written = _write_all(machine, source, output)
    told = in_words(report, source, text.splitlines(), written)
    if not report.refused:
        (output / REPORT).write_text(told, encoding="utf-8")
        return told
    for path in output.iterdir():
        path.unlink()
    (output / REPORT).write_text(told, encoding="utf-8")
    (line, reason), more = min(report.refused), len(report.refused) - 1
    where = f"line {line}: " if line else ""
    others = f", and {more} more" if more else ""
    raise UserError(
        f"{source}: {where}{reason}{others}; the script is not translated ({output / REPORT} lists all lines)"
    )


def _write_all(machine: Machine, source: Path, output: Path) -> list[Path]:
    jobs = machine.world.jobs
    names = ["problem"] if len(jobs) == 1 else [f"problem_{number}" for number in range(len(jobs))]
    written = []
    for number, (job, name) in enumerate(zip(jobs, names)):
        writer = Writer(job, output, name, source)
        writer.follows = None if job.follows is None else names[job.follows]
        writer.followed = any(other.follows == number for other in jobs)
        try:
            written.append(writer.write())
        except (Unrepresentable, UserError) as error:
            machine.report.refused[job.stages[0].line, str(error)] += 1
        for note in writer.notes:
            machine.report.notes[0, f"{name}: {note}" if len(jobs) > 1 else note] += 1
    return written


class Writer:
    """Writes the problem file of a job, and the OVF files beside it."""

    def __init__(self, job: Job, folder: Path, name: str, source: Path):
        self.job, self.folder, self.name, self.source = job, folder, name, source
        self.follows: str | None = None  # the problem from whose last state this one starts
        self.followed = False
        self.notes: list[str] = []
        self.prefix = "" if name == "problem" else name.removeprefix("problem").lstrip("_") + "_"

    def write(self) -> Path:
        """Write the files and return the problem's.

        Raises
        ------
        Unrepresentable, UserError
            If the problem file cannot say what the job is, or what it says is none.
        """
        job = self.job
        self._check_settings()
        found = constants(job)
        self.notes += found.notes
        drawn = (job.start.key or {}).get("seed", 0)
        content: dict[str, Any] = {"seed": job.temperature_seed or drawn}
        if kelvin := temperature(job, found):
            content["temperature_K"] = kelvin
        content["mesh"] = {"cell_m": list(job.mesh.cell_m), "cells": list(job.mesh.cells)}
        if any(job.mesh.images):
            if job.mesh.images[2]:
                raise Unrepresentable("SetPBC repeats the box along z, which a problem does not")
            content["mesh"]["periodic"] = list(job.mesh.images[:2])
        shape = self._geometry(found)
        if job.beyond_mx is not None:
            shape = (shape or {"kind": "box"}) | {"beyond_mx": list(job.beyond_mx)}
        if shape:
            content["geometry"] = shape
        content["material"] = found.material
        if found.maps:
            content["material"]["maps"] = {
                ours: self._file(f"{ours}.ovf", values, ours) for ours, values in sorted(found.maps.items())
            }
        if found.regions:
            file = self._file("regions.ovf", job.regions.astype(float), "region")
            for region in found.regions:
                region["shape"]["file"] = file
            content["regions"] = found.regions
        if found.couplings:
            content["couplings"] = found.couplings
        if job.window is not None:
            content["window"] = {"component": "xyz"[job.window]}
        content["initial"] = self._start()
        content["schedule"] = phases(job, found, self.notes)
        for name, values in found.files.items():
            self._file(name, values, name.removesuffix(".ovf"))
        if found.drive_maps:
            content["drive_maps"] = [self._prefixed(entry) for entry in found.drive_maps.values()]
        self._first_relaxation(content)
        content |= self._numerics(content, kelvin)
        path = self.folder / f"{self.name}.yaml"
        self._checked(content, path, kelvin)
        return path

    # -- parts -----------------------------------------------------------------------------------------------------
    def _check_settings(self) -> None:
        settings, runs = self.job.settings, any(stage.kind == "run" for stage in self.job.stages)
        if runs and not settings["doprecess"]:
            raise Unrepresentable("DoPrecess is false: a problem's m precesses")
        if runs and abs(settings["gammall"] * MU0 / GAMMA0 - 1) > 1e-3:
            raise Unrepresentable(f"GammaLL is {settings['gammall']:g}, a problem's is {GAMMA0 / MU0:g} rad/(T s)")

    def _file(self, name: str, values: np.ndarray, what: str) -> str:
        name = self.prefix + name
        ovf.write(self.folder / name, values, self.job.mesh.cell_m, format="binary8", name=what)
        return name

    def _prefixed(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return an entry of `drive_maps` with its file's full name."""
        return {key: self.prefix + value if key in ("field", "current") else value for key, value in entry.items()}

    def _geometry(self, found: Constants) -> dict[str, Any] | None:
        """Return the shape: by its key if that holds the same cells, else by a file; None for the whole box."""
        job = self.job
        if (job.fill == 1).all():
            return None
        mesh = _mesh(job)
        smooth = min(int(job.settings["edgesmooth"]), 8)
        if job.shape is not None and job.shape.key is not None:
            said = job.shape.key(job.mesh.size_m) | ({"edge_smoothing": smooth} if smooth else {})
            try:
                made = geometry_of(Geometry.parse(said, "geometry"), mesh, 0, self.folder)
                if smooth:  # points that lie on the edge may count otherwise: a layer of them
                    same = np.abs(geometry.part(made, mesh) - job.fill).max() <= 1 / smooth
                else:
                    same = (geometry.mask(made, mesh) == (job.fill > 0)).all()
            except UserError:
                same = False
            if same:
                return said
        inside = job.fill > 0
        if not ((job.fill == 0) | (job.fill == 1)).all():
            self.notes.append("EdgeSmooth: constants of cells that are filled in part are multiplied by that part")
            for ours in ("Ms_A_per_m", "A_J_per_m", "Ku_J_per_m3", "D_J_per_m2", "Kc1_J_per_m3"):
                if found.material.get(ours) and any(ours in region.get("values", {}) for region in found.regions):
                    raise Unrepresentable("EdgeSmooth beside regions, of a shape that a problem file cannot name")
                if found.material.get(ours):
                    part = np.where(inside, job.fill, 1.0)
                    found.maps[ours] = found.maps.get(ours, found.material[ours]) * part
        return {"kind": "file", "file": self._file("shape.ovf", inside.astype(float), "shape")}

    def _start(self) -> dict[str, Any]:
        start = self.job.start
        if self.follows is not None:
            self.notes.append(
                f"starts from the last state of {self.follows}: run that in this directory with --output {self.follows}"
            )
            return {"kind": "file", "file": f"{self.follows}/m000000.ovf"}
        if start.key is not None:
            return {name: value for name, value in start.key.items() if name != "seed"}
        norm = np.sqrt((start.m**2).sum(0))
        m = start.m / np.where(norm > 0, norm, 1.0)
        return {"kind": "file", "file": self._file("start.ovf", m, "m")}

    def _first_relaxation(self, content: dict[str, Any]) -> None:
        """Say a relaxation at the start by the start, where the drives that follow are those that it feels."""
        schedule = content["schedule"]
        if len(schedule) < 2 or schedule[0].get("kind") != "relax" or schedule[1].get("kind") == "relax":
            return
        felt = ("field_T", "Ku_factor", "region_Ku_factors")
        if all(schedule[0].get(name) == schedule[1].get(name) for name in felt):
            content["initial"]["relax_tolerance"] = RELAX_TOLERANCE
            del schedule[0]

    def _numerics(self, content: dict[str, Any], kelvin: float) -> dict[str, Any]:
        """Return `numerics` and `outputs`, with a time step of which all times are whole numbers."""
        job, settings = self.job, self.job.settings
        runs = [phase for phase in content["schedule"] if "duration_s" in phase]
        longest = max((phase["duration_s"] for phase in runs), default=1e-10)
        whole = UNTIL_S if any(stage.until for stage in job.stages) else longest / 100
        record = min(filter(None, (job.record_s, job.ovf_s)), default=0.0) or whole
        record = min(record, longest)
        step = min(STEP_S, settings["fixdt"] or STEP_S) if kelvin else STEP_S
        times = [phase["duration_s"] for phase in runs] + [record]
        step, times = common_step(times, step)
        for phase, time_s in zip(runs, times):
            if abs(time_s - phase["duration_s"]) > 1e-9 * time_s:
                self.notes.append(f"phase {phase['name']}: {phase['duration_s']:g} s is rounded to {time_s:g} s")
            phase["duration_s"] = time_s
        record = times[-1]
        cells = math.prod(job.mesh.cells)
        records = sum(phase["duration_s"] for phase in runs) / record + len(content["schedule"])
        if 3 * cells * records > MOST_VALUES:
            record *= math.ceil(3 * cells * records / MOST_VALUES)
            self.notes.append(f"rows of the table come every {record:g} s, since all records are kept in memory")
        for stage in job.stages:
            if stage.until is not None:
                self.notes.append(
                    f"line {stage.line}: the run ends at the first row of the table (every {record:g} s) at which its "
                    f"condition no longer holds, and after {stage.duration_s:g} s at the latest"
                )
        outputs: dict[str, Any] = {"record_interval_s": record}
        if self.followed:
            outputs["ovf"] = "final"
            outputs["ovf_format"] = "binary8"
        elif job.ovf_s:
            outputs["ovf_interval_s"] = max(job.ovf_s, record)
        elif job.saves:
            outputs["ovf"] = "each record" if not runs else "final"
        if outputs.get("ovf") != "each record":
            for stages in sorted({after for after in job.saves if after < len(job.stages)}):
                self.notes.append(
                    f"the state saved after line {job.stages[stages - 1].line} is not written: with `ovf: each record` "
                    "there is one for every row of the table"
                )
        if self.followed and job.ovf_s:
            self.notes.append("autosave is left out: the last state is written, which the next problem starts from")
        if str(settings["outputformat"]).startswith("OVF1") and ("ovf" in outputs or "ovf_interval_s" in outputs):
            self.notes.append("OVF files are of version 2.0")
        if str(settings["outputformat"]).endswith("_TEXT") and ("ovf" in outputs or "ovf_interval_s" in outputs):
            outputs["ovf_format"] = "text"
        outputs |= self._outputs("ovf" in outputs or "ovf_interval_s" in outputs)
        numerics = {"integrator": "heun" if kelvin else "dopri5", "dt_s": step}
        if settings["fixdt"] and not kelvin:
            self.notes.append("FixDt is left out: the steps are those that MaxErr needs")
        if not kelvin:
            numerics["tolerance"] = min(max(float(settings["maxerr"]), 1e-12), 1e-2)
        if not settings["enabledemag"]:
            numerics["demag"] = False
        return {"numerics": numerics, "outputs": outputs}

    def _outputs(self, ovf: bool) -> dict[str, Any]:
        """Return columns, fields and crop."""
        job, found = self.job, {}
        columns = []
        for number, column in enumerate(job.outputs.columns):
            own = dict(column)
            if "region" in own:
                own["region"] = f"region_{own['region']}"
            if "part" in own:
                own |= {"shape": self._box(own.pop("part")), "name": f"part_{number}"}
            columns.append(own)
        if columns:
            found["columns"] = columns
        if job.outputs.drives:
            found["drives"] = True
        if job.outputs.fields and ovf:
            found["fields"] = sorted(job.outputs.fields)
        if len(job.outputs.crops) == 1 and ovf and not self.followed:
            (x, y, z), edges = job.outputs.crops[0], job.mesh.cell_m
            found["crop"] = {
                "x_m": [limit * edges[0] for limit in x], "y_m": [limit * edges[1] for limit in y], "layers": list(z),
            }  # fmt: skip
        elif job.outputs.crops and ovf:
            self.notes.append("OVF files hold the whole box: the script saves several parts of it")
        return found

    def _box(self, part: tuple[tuple[int, int], ...]) -> dict[str, Any]:
        axes = zip(("x_m", "y_m", "z_m"), self.job.mesh.cell_m, part)
        return {"kind": "range", **{name: [low * edge, high * edge] for name, edge, (low, high) in axes}}

    def _checked(self, content: dict[str, Any], path: Path, kelvin: float) -> None:
        """Write the problem file and load it; with a temperature, shorten its step as the noise needs it."""
        self._dump(content, path)
        problem = self._loaded(content, path)
        if kelvin:
            limit = min(
                stability.largest_step("heun", alpha, True) / rate for alpha, rate in stability.fastest_waves(problem)
            )
            step = content["numerics"]["dt_s"]
            if step > limit:
                content["numerics"]["dt_s"] = step / math.ceil(step / limit)
                if self.job.settings["fixdt"]:
                    self.notes.append(f"FixDt = {self.job.settings['fixdt']:g} s is too long for heun on these cells")
                self._dump(content, path)
                self._loaded(content, path)

    def _loaded(self, content: dict[str, Any], path: Path) -> Problem:
        if self.follows is None:
            return problem_file.load(path)[0]
        # its start is not there yet: checked with another
        other = path.with_name(f".{path.name}")
        self._dump({**content, "initial": {"kind": "uniform", "direction": [0, 0, 1]}}, other)
        try:
            return problem_file.load(other)[0]
        except UserError as error:
            raise UserError(str(error).replace(str(other), str(path))) from None
        finally:
            other.unlink()

    def _dump(self, content: dict[str, Any], path: Path) -> None:
        head = f"# {self.source.name}, translated from mumax3's language; {REPORT} says what was left out\n"
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110)
        path.write_text(head + text, encoding="utf-8")


class _Dumper(yaml.SafeDumper):
    """Writes a list that stands in two places twice, and not as a reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _mesh(job: Job) -> Mesh:
    nx, ny, nz = job.mesh.cells
    return Mesh(nx, ny, job.mesh.cell_m, nz)


def common_step(times_s: list[float], longest_s: float) -> tuple[float, list[float]]:
    """Return a step of at most ``longest_s`` and the times as whole numbers of it.

    Times without a common step of at least a thousandth of ``longest_s`` are rounded to that.
    """
    exact = [Fraction(repr(float(f"{time_s:.9g}"))) for time_s in times_s]
    common = exact[0]
    for time in exact[1:]:
        common = Fraction(
            math.gcd(common.numerator * time.denominator, time.numerator * common.denominator),
            common.denominator * time.denominator,
        )
    if common < longest_s / 1000:
        unit = Fraction(repr(longest_s)) / 10
        exact = [max(1, round(time / unit)) * unit for time in exact]
        return float(unit), [float(time) for time in exact]
    step = common / math.ceil(common / Fraction(repr(longest_s)))
    return float(step), [float(time) for time in exact]
