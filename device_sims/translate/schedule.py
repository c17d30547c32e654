"""A job's stages as phases of a problem file."""

from __future__ import annotations

from typing import Any

import numpy as np

from device_sims.engines.mumax3.script import BOHR_MAGNETON, ELECTRON, GAMMA, GAMMA_OF_SOURCE
from device_sims.translate.constants import Constants, custom_current, ku_factor
from device_sims.translate.drives import combined, drive, samples
from device_sims.translate.values import Signal, Unrepresentable
from device_sims.translate.world import STRAINS, Job, Stage

RELAX_TOLERANCE = 1e-5  # max |m x H|/Ms to which relax and minimize go


def phases(job: Job, found: Constants, notes: list[str]) -> list[dict[str, Any]]:
    """Return the phases of a job.

    Parameters
    ----------
    job : Job
    found : Constants
        Of the job.
    notes : list of str
        Gets what the reader of the problem should know.

    Raises
    ------
    Unrepresentable
        If the problem file has no counterpart of a drive.
    """
    made = []
    for number, stage in enumerate(job.stages):
        phase: dict[str, Any] = {"name": f"{number}_{stage.kind}_line_{stage.line}"}
        if stage.kind == "run":
            phase["duration_s"] = stage.duration_s
        else:
            phase |= {"kind": "relax", "tolerance": RELAX_TOLERANCE}
        if stage.until is not None:
            column, side, value = stage.until
            phase["until"] = {"observable": column, side: value}
        phase |= _drives(job, found, stage, notes)
        made.append(phase)
    return made


def _drives(job: Job, found: Constants, stage: Stage, notes: list[str]) -> dict[str, Any]:
    drives: dict[str, Any] = {}
    for name in STRAINS:
        if any(value != 0 for value in stage.drives[name].of):
            raise Unrepresentable(f"{name}: a problem has no strain")
    maps: dict[str, Any] = {}
    field = _field(found, stage, maps)
    if any(component != 0 for component in field):
        drives["field_T"] = field
    factors = _ku_factors(job, found, stage)
    if len(set(map(repr, factors.values()))) == 1:
        (factor, *_) = factors.values()
        drives |= {"Ku_factor": factor} if factor != 1 else {}
    else:
        drives["region_Ku_factors"] = {found.name(r): factor for r, factor in factors.items() if factor != 1}
    if stage.kind == "run":
        drives |= _currents(job, found, stage, notes, maps)
        if kelvin := temperature(job, found):
            factor = _rounded(drive(_times(stage.drives["temp"].of[found.base], 1 / kelvin), stage))
            drives |= {"temperature_factor": factor} if factor != 1 else {}
    elif any(stage.drives["j"].of[r] != (0.0, 0.0, 0.0) for r in found.here):
        notes.append(f"line {stage.line}: the relaxation has no current, mumax3's has its torque")
    return drives | ({"drive_maps": maps} if maps else {})


def _field(found: Constants, stage: Stage, maps: dict[str, Any]) -> list[Any]:
    """Return the uniform field of a stage, and add to ``maps`` the drives of what differs from it."""
    values = stage.drives["b_ext"]
    base = values.of[found.base]
    for r in found.here:
        for i, axis in enumerate("xyz"):
            if (apart := _difference(values.of[r][i], base[i])) != 0:
                name = f"field_{axis}_{found.name(r)}"
                direction = [float(axis == other) for other in "xyz"]
                found.drive_maps[name] = {"name": name, "region": found.name(r), "direction": direction}
                maps[name] = drive(apart, stage)
    for extra in values.extra:
        name = _mapped(found, "field", extra.mask)
        maps[name] = drive(extra.times, stage)
    custom = np.sum([term.constant for term in found.custom] or [(0.0, 0.0, 0.0)], axis=0)
    return [
        drive(value if not c else combined([value, float(c)], lambda a, b: a + b), stage)
        for value, c in zip(base, custom)
    ]


def _difference(a: Any, b: Any) -> Any:
    return 0.0 if a == b else combined([a, b], lambda a, b: a - b)


def _mapped(found: Constants, kind: str, values: np.ndarray) -> str:
    """Return the name of a map of a file, which is added if it is new."""
    for name, known in found.files.items():
        if known.shape == values.shape and (known == values).all():
            return name.removesuffix(".ovf")
    name = f"{kind}_map_{len(found.files)}"
    found.files[f"{name}.ovf"] = values
    found.drive_maps[name] = {"name": name, kind: f"{name}.ovf"}
    return name


def _ku_factors(job: Job, found: Constants, stage: Stage) -> dict[int, Any]:
    return {
        r: _rounded(drive(ku_factor(job, found, stage.drives["ku1"].of[r], r), stage))
        for r in found.here
        if found.ku[r] and any(job.constants["anisu"][r])
    } or {found.base: 1.0}


def _rounded(factor: Any) -> Any:
    return 1.0 if isinstance(factor, float) and abs(factor - 1) < 1e-12 else factor


def _currents(job: Job, found: Constants, stage: Stage, notes: list[str], maps: dict[str, Any]) -> dict[str, Any]:
    """Return the drives that a current density is: through the film, and along it."""
    drives: dict[str, Any] = {}
    thickness_m = job.mesh.size_m[2]
    if any(any(term.across) for term in found.custom):
        drives["current_density_A_per_m2"] = custom_current(found, thickness_m)
        return drives
    values = stage.drives["j"]
    j = values.of[found.base]
    unlike = [r for r in found.here if values.of[r] != j]
    if found.torque and (j[2] != 0 or unlike or values.extra):
        free_m = {job.constants["freelayerthickness"][r] for r in found.here}
        if len(free_m) > 1:
            raise Unrepresentable("FreeLayerThickness differs between regions")
        scale = (
            (-1.0 if job.settings["fixedlayerposition"] == "bottom" else 1.0)
            * thickness_m
            / (free_m.pop() or thickness_m)
        )
        if j[2] != 0:
            drives["current_density_A_per_m2"] = drive(_times(j[2], scale), stage)
        for r in unlike:
            name = f"current_{found.name(r)}"
            found.drive_maps[name] = {"name": name, "region": found.name(r)}
            maps[name] = drive(_times(_difference(values.of[r][2], j[2]), scale), stage)
        for extra in values.extra:
            maps[_mapped(found, "current", extra.mask[2])] = drive(extra.times.scaled(scale), stage)
    if j[2] != 0 and job.mesh.cells[2] > 1 and not job.settings["disablezhanglitorque"]:
        if not found.torque:
            raise Unrepresentable("J along z through several layers: a problem's Zhang-Li torque is along x")
        notes.append(f"line {stage.line}: mumax3 adds a Zhang-Li torque along z here, a problem does not")
    in_plane = any(values.of[r][:2] != j[:2] for r in unlike) or any(extra.mask[:2].any() for extra in values.extra)
    if in_plane and not job.settings["disablezhanglitorque"]:
        raise Unrepresentable("J along the film differs from place to place, a problem's Zhang-Li torque does not")
    along = [i for i in (0, 1) if j[i] != 0]
    if along and not job.settings["disablezhanglitorque"]:
        if along == [1] or len(along) == 2:
            raise Unrepresentable("J along y moves textures along y: a problem's Zhang-Li torque is along x")
        drives["zhang_li_u_m_per_s"] = drive(_times(j[0], velocity_per_current(job, found)), stage)
    return drives


def _times(value: Any, factor: float) -> Any:
    return value.scaled(factor) if isinstance(value, Signal) else value * factor


def velocity_per_current(job: Job, found: Constants) -> float:
    """Return the Zhang-Li velocity along x per current density along x, m3/(A s): below 0, for electrons run against J.

    Raises
    ------
    Unrepresentable
        If Pol or Ms differs between regions.
    """
    pols = {job.constants["pol"][r] for r in found.here}
    moments = {job.constants["msat"][r] for r in found.here}
    if len(pols) > 1 or len(moments) > 1:
        raise Unrepresentable("Pol or Msat differs between regions, and with them the velocity of the Zhang-Li torque")
    xi = found.material.get("zhang_li_beta", 0.0)
    ms = found.material["Ms_A_per_m"]
    return -BOHR_MAGNETON * pols.pop() / (ELECTRON * ms * (1 + xi**2)) * GAMMA / GAMMA_OF_SOURCE


def temperature(job: Job, found: Constants) -> float:
    """Return the highest temperature of a job, K; `Unrepresentable` if it differs between regions."""
    highest = 0.0
    for stage in job.stages:
        if stage.kind == "run":
            first, *others = (samples(stage.drives["temp"].of[r], stage) for r in found.here)
            if any((first != other).any() for other in others):
                raise Unrepresentable("Temp differs from region to region")
            highest = max(highest, float(first.max()))
    return highest
