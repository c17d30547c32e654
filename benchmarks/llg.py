"""Speed of the built-in solver on this machine: ``python -m benchmarks.llg [--repeats N] [--csv FILE]``.

Medians over repeats, of wall time: keep the machine quiet. (Processor time also counts a thread that waits.) On a CPU:
one process, one thread, replicas one after the other as the engine runs them, vmap beside it, and two processes at once
against one. On a GPU: all replicas together. For each case: microseconds a step and a right-hand side (noise,
normalisation and stray field included) per replica, evaluations per simulated ns, simulated replica-ns per second, and
the ratio of the time to a floor.

The floor of a right-hand side on a core is its arithmetic alone, at 45 GFLOP/s of one AVX-512 core in float32, half
of it in float64: 150 operations per cell for the local terms, the torque and the noise, and 6 real transforms of the
padded box, of 2.5 N log2 N operations each (the usual count, halved for real data), when the stray field is
evaluated. On a GPU it is the traffic of the fields through memory at 3.35 TB/s: 12 reads and writes of three
components of all cells per right-hand side, and 4 passes over the padded complex spectra per stray field.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from rich.table import Table

from device_sims.engines.llg.fields import demag
from device_sims.engines.llg.integrators import EVALUATIONS
from device_sims.engines.llg.solver import Solver
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from spinloom import files, streams
from spinloom.progress import table_console

FLOPS = {"float32": 45e9, "float64": 22.5e9}
BANDWIDTH = 3.35e12
MESHES = ((128, 16), (150, 17), (256, 32))  # the second is the default study's
#       precision, T, scheme, dt, steps between stray fields (0: every stage)
SCHEMES = (
    ("float32", 300.0, "fdr4", 5e-13, 2),
    ("float32", 300.0, "heun", 2e-13, 4),
    ("float32", 300.0, "heun", 1e-13, 0),
    ("float32", 0.0, "rk4", 5e-13, 0),
    ("float64", 300.0, "fdr4", 5e-13, 2),
    ("float64", 0.0, "rk4", 5e-13, 0),
)


def problem(mesh, precision, temperature, scheme, dt, interval) -> Problem:
    """A wall driven along a track: all terms that the racetrack study has."""
    nx, ny = mesh
    return Problem(
        Mesh(nx, ny, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 2e-11, 0.3, 8e5, 1e-3, -0.1),
        (Phase("run", 1e-9, current_density_A_per_m2=3.5e11),), Initial("wall", position_m=nx * 2e-9),
        temperature, Numerics(dt, scheme, precision, interval), 1e-9,
    )  # fmt: skip


def seconds_per_step(case: Problem, replicas: int, together: bool, repeats: int, steps: int) -> float:
    """Return the median seconds a step takes, for all replicas."""
    with jax.enable_x64(case.numerics.precision == "float64"):
        solver = Solver(case)
        system, drive, state = solver.system(case), solver.drive(case, case.schedule[0]), solver.start(case)
        if together:

            def many(tree):
                return jax.tree.map(lambda leaf: jnp.stack([leaf] * replicas), tree)

            advance = solver.advance_together
            keys = jnp.stack([streams.key(1, "benchmark", index) for index in range(replicas)])
            arguments = many(system), many(drive), many(state), keys
        else:
            advance, arguments = solver.advance, (system, drive, state, streams.key(1, "benchmark"))
        jax.block_until_ready(advance(*arguments, 0, steps))
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            for _ in range(1 if together else replicas):
                jax.block_until_ready(advance(*arguments, 0, steps))
            times.append((time.perf_counter() - start) / steps)
    return float(np.median(times))


def floor_per_step(case: Problem, gpu: bool) -> float:
    """Return the least seconds a step of one replica could take, by the module's head."""
    numerics, cells = case.numerics, case.mesh.nx * case.mesh.ny
    stages = EVALUATIONS[numerics.integrator]
    strays = 1 / numerics.demag_interval_steps if numerics.demag_interval_steps else stages
    padded = int(np.prod(demag.kernel(case.mesh).padded))
    if gpu:
        size = 4 if numerics.precision == "float32" else 8
        return size * (stages * 12 * 3 * cells + strays * 4 * 3 * padded) / BANDWIDTH
    transforms = 6 * 2.5 * padded * np.log2(padded)
    return (stages * 150 * cells + strays * transforms) / FLOPS[numerics.precision]


def measure(
    mesh: tuple[int, int],
    scheme: tuple[str, float, str, float, int],
    replicas: int,
    together: bool,
    gpu: bool,
    repeats: int,
    steps: int = 200,
) -> dict:
    """Return one row of the table."""
    case = problem(mesh, *scheme)
    precision, temperature, name, dt, interval = scheme
    seconds = seconds_per_step(case, replicas, together, repeats, steps)
    each = seconds / replicas
    return {
        "device": "gpu" if gpu else "1 core",
        "cells": f"{mesh[0]}x{mesh[1]}",
        "precision": precision,
        "temperature_K": temperature,
        "scheme": name,
        "dt_s": dt,
        "stray_every_steps": interval,
        "replicas": replicas,
        "together": together,
        "us_per_step": each * 1e6,
        "us_per_evaluation": each * 1e6 / EVALUATIONS[name],
        "evaluations_per_ns": EVALUATIONS[name] * 1e-9 / dt,
        "replica_ns_per_s": dt * 1e9 / each,
        "times_floor": each / floor_per_step(case, gpu),
    }


def _worker(barrier, queue, seconds: float) -> None:
    case = problem(MESHES[0], *SCHEMES[0])
    solver = Solver(case)
    arguments = solver.system(case), solver.drive(case, case.schedule[0]), solver.start(case), streams.key(1, "b")
    jax.block_until_ready(solver.advance(*arguments, 0, 200))
    barrier.wait()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        jax.block_until_ready(solver.advance(*arguments, 0, 200))
        steps += 200
    queue.put(steps * case.numerics.dt_s * 1e9 / (time.perf_counter() - start))


def scaling(processes: int, seconds: float = 8.0) -> float:
    """Return replica-ns per second of so many processes at once on the first case, compilation left out."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=_worker, args=(barrier, queue, seconds)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    total = sum(queue.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--csv", help="write the table there too")
    arguments = parser.parse_args()
    gpu = jax.default_backend() == "gpu"
    plan: list[tuple[tuple[int, int], tuple[str, float, str, float, int], int, bool]] = []
    for mesh in MESHES:
        if gpu:
            plan += [(mesh, scheme, n, True) for scheme in SCHEMES for n in (1, 16, 64, 256, 1024)]
        else:
            plan += [(mesh, scheme, 1, False) for scheme in SCHEMES]
            plan += [(mesh, SCHEMES[0], n, True) for n in (16, 64)]
            plan += [(mesh, SCHEMES[0], n, False) for n in (16,)]
    rows = [measure(*case, gpu, arguments.repeats) for case in plan]
    frame = pd.DataFrame(rows)
    table = Table(*(name.replace("_", " ") for name in map(str, frame)))
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    table_console().print(table)
    if not gpu:
        ratios = []
        for _ in range(arguments.repeats):
            ratios.append(scaling(2) / scaling(1))
        print(f"two processes over one: {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    if arguments.csv:
        files.write_csv(frame, arguments.csv)


if __name__ == "__main__":
    main()
