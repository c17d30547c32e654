"""mumax3 (Vansteenkiste et al., AIP Advances 4, 107133 (2014)) by subprocess: one script, one run, for each replica.

`script.py` says how a `Problem` becomes a script, `docs/engines/mumax3.md` what differs from the built-in solver.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from device_sims.engines import Result, refuse_terms
from device_sims.engines.llg import stability
from device_sims.engines.mumax3 import outputs, process, regions, script
from device_sims.engines.mumax3.process import probe, program_version
from device_sims.problem import LEAST_TOLERANCE, Problem, couplings, demands, material, ovf
from spinloom import files
from spinloom.errors import UserError

__all__ = ["GPU", "VERSION", "SCRIPT", "check", "probe", "program_version", "run", "run_script"]

VERSION = "1"
GPU = True
SCRIPT = ".mx3"

DOES = (
    *("mesh.periodic", "material.Kc1_J_per_m3", "material.Kc2_J_per_m3", "material.Dbulk_J_per_m2", "couplings"),
    *("grains.Kc1_spread", "grains.Ms_spread", "grains.tilt_rad", "grains.random_cubic_axes", "grains.exchange_factor"),
)
EVALUATIONS = {"heun": 2, "rk4": 4, "dopri5": 6}  # of the torque, in a step
LEAST_RELAX_ERROR = 1e-8  # per step, below which single precision makes a relaxation endless (5e-9 did, 2e-8 did not)
RELAX_EVALUATIONS = 1e5  # of a relaxation, a guess for the time limit only
SCRIPT_EVALUATIONS = 1e8  # of the torque, for the time limit of a script of which nothing is known: a day
SHORT_STEP_S = 1e-14  # a guess of adaptive steps, for the time limit only


def check(problem: Problem) -> None:
    """Check that mumax3 can do exactly what a problem asks.

    Raises
    ------
    UserError
        Naming the key that it cannot.
    """
    refuse_terms(problem, "mumax3", DOES)
    demands.refuse(problem, "mumax3", does=(demands.PULSES, demands.RELAX, demands.HEAT))
    numerics, constants, mesh = problem.numerics, problem.material, problem.mesh
    if constants.Dbulk_J_per_m2 and ("D_J_per_m2" in material.varying(problem) or constants.D_J_per_m2):
        raise UserError("material.Dbulk_J_per_m2: found together with D_J_per_m2, allowed with mumax3: one of the two")
    if any(mesh.wraps) and not material.mask(problem).all():
        raise UserError(
            "mesh.periodic: found with cells without material, allowed with mumax3: a full box, because a shape read "
            "from a file sets the mesh anew"
        )
    if couplings.gaps(problem, material.mask(problem)):
        raise UserError("couplings: found layers with empty cells between them, allowed with mumax3: layers that touch")
    if numerics.integrator not in script.SOLVERS:
        raise UserError(
            f"numerics.integrator: found '{numerics.integrator}', allowed with mumax3: {', '.join(script.SOLVERS)}"
        )
    if numerics.precision != "float32":
        raise UserError(f"numerics.precision: found {numerics.precision}, allowed with mumax3: float32")
    cells = int(np.prod(mesh.shape))
    if problem.temperature_K and cells % 2 and process.version() < script.RESEEDS:
        raise UserError(
            f"mesh: found {mesh.nx} x {mesh.ny} x {mesh.nz} cells at {problem.temperature_K:g} K, allowed with mumax3: "
            "an even number of cells, which its noise needs before 3.12"
        )
    torque = bool(constants.spin_hall_angle)
    if torque and constants.field_like_ratio and constants.slonczewski_lambda != 1:
        raise UserError(
            f"material.field_like_ratio: found {constants.field_like_ratio:g} with slonczewski_lambda "
            f"{constants.slonczewski_lambda:g}, allowed with mumax3: 0, because its field-like torque has no asymmetry"
        )
    smooth = problem.geometry.edge_smoothing
    for name in ("spin_hall_angle", "Ku2_J_per_m3", "Kc2_J_per_m3", "Dbulk_J_per_m2"):
        if smooth and getattr(constants, name):
            raise UserError(
                f"geometry.edge_smoothing: found {smooth} with material.{name}, allowed with mumax3: one of the two, "
                "because this constant would then differ from cell to cell"
            )
    if torque and mesh.nz > 1 and script.moves(problem):
        raise UserError(
            f"schedule: zhang_li_u_m_per_s: found with a current through {mesh.nz} layers, allowed with mumax3: one of "
            "them or one layer, because its Zhang-Li torque would follow the current along z too"
        )
    relaxing = [(f"phase {phase.name}: tolerance", phase.relax_tolerance) for phase in problem.schedule]
    for key, relax in (("initial.relax_tolerance", problem.initial.relax_tolerance), *relaxing):
        if relax is not None and (error := script.relax_error(problem, relax)) < LEAST_RELAX_ERROR:
            least = relax * LEAST_RELAX_ERROR / error
            raise UserError(
                f"{key}: found {relax:g}, allowed with mumax3: at least {least:.2g} on these cells, which single "
                "precision can reach"
            )
    if numerics.integrator not in script.ADAPTIVE:
        stability.check(problem)  # the same schemes, so the same limits
    elif numerics.tolerance < (least := LEAST_TOLERANCE["float32"]):
        raise UserError(f"numerics.tolerance: found {numerics.tolerance:g}, allowed with mumax3: at least {least:g}")
    if problem.regions or smooth or problem.couplings or problem.grains is not None:
        regions.partition(problem, material.mask(problem))


def run(problems: Sequence[Problem], raw: str | Path | None = None) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; each run has a folder of its own and a GPU to itself.

    The folder of a run that fails is kept and named; all others are removed, or end as ``raw/i`` if that is given.

    Raises
    ------
    UserError
        If a problem cannot be mapped, mumax3 is not there, fails, takes too long or leaves other files than asked for.
    """
    for problem in problems:
        check(problem)
    executable, devices = process.executable(), process.gpus()
    version = process.version()
    base = Path(tempfile.mkdtemp(prefix="spinloom-mumax3-"))
    kernels = base / "kernels"  # the demagnetising kernel is computed once for all replicas
    kernels.mkdir()
    try:
        for number, problem in enumerate(problems):
            written, folder = script.write(problem, version), base / f"run_{number:06d}"
            folder.mkdir()
            try:
                result = _one(problem, written, folder, kernels, executable, devices)
            except UserError as error:
                kept = base.with_name(f"{base.name}-failed")
                folder.rename(kept)
                raise UserError(
                    f"mumax3: replica {problem.stream[-1]} (stream {problem.stream}): "
                    f"{str(error).replace(str(folder), str(kept))}; its files are in {kept}"
                ) from None
            if raw is None:
                shutil.rmtree(folder)
            else:
                Path(raw).mkdir(parents=True, exist_ok=True)
                shutil.move(folder, Path(raw) / str(number))
            yield result
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _one(problem: Problem, written: script.Script, folder: Path, kernels: Path, executable: str, devices) -> Result:
    for name, values in written.fields.items():
        ovf.write(folder / name, values, problem.mesh.cell_m, name=Path(name).stem)
    files.write_text(written.text, folder / "run.mx3")
    numerics = problem.numerics
    step_s = SHORT_STEP_S if numerics.integrator in script.ADAPTIVE else numerics.dt_s
    evaluations = EVALUATIONS[numerics.integrator] * problem.duration_s / step_s
    evaluations += RELAX_EVALUATIONS * sum(phase.relax_tolerance is not None for phase in problem.schedule)
    limit_s = process.limit_s(evaluations, int(np.prod(problem.mesh.shape)))
    _call(folder / "run.mx3", kernels, executable, devices, limit_s)
    return outputs.result(problem, written, folder / "out")


def _call(path: Path, kernels: Path, executable: str, devices: list[str], limit_s: float) -> None:
    # no web server; the one GPU that it sees has the number 0
    command = [executable, "-http=", "-gpu=0", f"-cache={kernels}", "-o=out", path.name]
    with process.gpu(devices) as device:
        code, _, stderr = process.call(command, path.parent, device, limit_s)
    if code:
        raise UserError(process.reason(code, stderr))


def run_script(path: Path) -> Path:
    """Run a script where it lies and return the folder of its table and snapshots.

    Raises
    ------
    UserError
        If mumax3 is not there, fails or takes too long.
    """
    kernels = path.parent.parent / "kernels"  # scripts of one device have the same demagnetising kernel
    kernels.mkdir(exist_ok=True)
    limit_s = process.limit_s(SCRIPT_EVALUATIONS, 0)
    _call(path, kernels, process.executable(), process.gpus(), limit_s)
    return path.parent / "out"
