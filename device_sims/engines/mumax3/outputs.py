"""What a mumax3 run leaves, its ``table.txt`` and OVF files, as a `Result`."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from device_sims.engines import Result
from device_sims.engines.mumax3.script import COLUMNS, Script, at, frames, ku_factors
from device_sims.problem import Problem, couplings, ovf
from spinloom.errors import UserError


def table(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the columns of a ``table.txt`` as ``float64[n]``, and their units, by name.

    Raises
    ------
    UserError
        If it cannot be read, its header is no header, or a row is not as many finite numbers.
    """
    try:
        head, *rows = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: found a file that is not a table ({error})") from None
    names = [name.strip().rpartition(" ") for name in head.lstrip("# ").split("\t")]
    if not head.startswith("# ") or not all(name and unit[:1] == "(" and unit[-1:] == ")" for name, _, unit in names):
        raise UserError(f"{path}: found header '{head[:80]}', allowed: '# t (s)' and further names with units")
    try:
        values = np.array([[float(text) for text in row.split("\t")] for row in rows if row], float)
        values = values.reshape(len(values), len(names))
    except ValueError as error:
        raise UserError(f"{path}: found rows that are not {len(names)} numbers ({error})") from None
    if not np.isfinite(values).all():
        raise UserError(f"{path}: found a value that is not a finite number")
    columns = {name: values[:, place] for place, (name, _, _) in enumerate(names)}
    return columns, {name: unit[1:-1] for name, _, unit in names}


def result(problem: Problem, script: Script, folder: Path) -> Result:
    """Return the trajectory in mumax3's output folder.

    Raises
    ------
    UserError
        If a file is missing or damaged, or holds other records than the script asks for.
    """
    records = list(frames(problem))
    steps = np.concatenate([[0], np.cumsum([count for _, count, _, _ in records])])
    t_s = steps * problem.numerics.dt_s
    columns, _ = table(folder / "table.txt")
    missing = [name for name in ("t", *COLUMNS) if name not in columns]
    if missing:
        raise UserError(f"{folder / 'table.txt'}: found no column {', '.join(missing)}")
    if len(columns["t"]) != len(t_s) or np.abs(columns["t"] - t_s).max() > problem.numerics.dt_s / 2:
        raise UserError(
            f"{folder / 'table.txt'}: found {len(columns['t'])} rows up to {columns['t'].max(initial=0):g} s, "
            f"allowed: {len(t_s)} up to {t_s[-1]:g} s"
        )
    m = np.empty((len(t_s), 3, *problem.mesh.shape), np.float32)
    for number in range(len(t_s)):
        path = folder / f"m{number:06d}.ovf"
        values = ovf.read(path).values
        if values.shape != m.shape[1:]:
            raise UserError(f"{path}: found values of shape {values.shape}, allowed: {m.shape[1:]}")
        m[number] = values
    ends = {problem.schedule[phase].name: row for row, (phase, _, _, ends) in enumerate(records, start=1) if ends}
    notes = (note,) if (note := script.regions.note()) else ()
    return Result(t_s, m, script.mask, ends, _energies(problem, script, columns, m), notes)


def _energies(problem: Problem, script: Script, columns: dict[str, np.ndarray], m: np.ndarray) -> dict[str, np.ndarray]:
    """Return energies by `Problem`'s names and zeros; mumax3's own total also holds that of the thermal field."""
    energies = {"exchange": columns["E_exch"], "demag": columns["E_demag"], "zeeman": columns["E_Zeeman"]}
    if script.regions.constants["D_J_per_m2"].any() or problem.material.Dbulk_J_per_m2:
        # mumax3 knows their sum only
        energies["exchange"] = np.array([_exchange_J(problem, script, one.astype(float)) for one in m])
        energies["dmi"] = columns["E_exch"] - energies["exchange"]
    energies["anisotropy"] = columns["E_anis"] + _along_axis_J(problem, script)
    return {**energies, "total": sum(energies.values(), start=np.zeros(len(m)))}


def _exchange_J(problem: Problem, script: Script, m: np.ndarray) -> float:
    """Return the exchange energy, V sum A (m_i - m_j)^2/d^2 over bonds, A that of `couplings.stiffness`."""
    bonds = couplings.stiffness(problem, script.mask, script.regions.constants["A_J_per_m"][script.regions.index])
    total = 0.0
    for axis, (stiffness, edge) in enumerate(zip(bonds, reversed(problem.mesh.cell_m))):
        change = np.roll(m, -1, axis + 1) - m
        total += float((stiffness * (change * change).sum(0)).sum()) / edge**2
    return total * problem.mesh.cell_volume_m3


def _along_axis_J(problem: Problem, script: Script) -> np.ndarray:
    """Return, at each record, V sum (Ku + Ku2): minus what mumax3 counts for a magnetisation along the axis."""
    cells = np.bincount(script.regions.index[script.mask], minlength=script.regions.count)
    ku, ku2 = script.regions.constants["Ku_J_per_m3"], problem.material.Ku2_J_per_m3
    sums = []
    for number, _, taken, _ in [(0, 0, 0, False), *frames(problem)]:
        phase, now = problem.schedule[number], taken * problem.numerics.dt_s
        factors = [math.prod(at(d, phase, now) for d in own) for own in ku_factors(problem, script.regions, phase)]
        sums.append(float((cells * (ku * factors + ku2)).sum()))
    return problem.mesh.cell_volume_m3 * np.array(sums)
