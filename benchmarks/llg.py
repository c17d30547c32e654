"""Speed of the built-in solver on this machine: ``python -m benchmarks.llg [--repeats N]``.

One process, one thread, medians over repeats. For each case: microseconds a time step and replica, field evaluations
per simulated ns, replica-ns per second, and the ratio to a floor.

The floor is the arithmetic of the transforms alone: per evaluation of the stray field of nx x ny cells padded to
px x py, 6 real transforms of 2.5 px py log2(px py) operations (the usual FFT count, halved for real data), at
45 GFLOP/s of one AVX-512 core in float32 and half of it in float64. With the stray field every n steps a step's floor
is 1/n of that.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import jax
import numpy as np
from rich.table import Table

from device_sims.engines.llg.solver import Solver
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from spinloom import streams
from spinloom.progress import table_console

FLOPS = {"float32": 45e9, "float64": 22.5e9}
CASES = [
    # nx, ny, precision, T, integrator, dt, interval
    (128, 16, "float32", 300.0, "heun", 2e-13, 4),
    (150, 17, "float32", 300.0, "heun", 2e-13, 4),
    (256, 32, "float32", 300.0, "heun", 2e-13, 4),
    (128, 16, "float32", 300.0, "heun", 2e-13, 0),
    (128, 16, "float32", 0.0, "rk4", 4e-13, 0),
    (128, 16, "float64", 0.0, "rk4", 4e-13, 0),
    (128, 16, "float64", 300.0, "heun", 2e-13, 4),
]


def measure(nx, ny, precision, temperature, integrator, dt, interval, repeats, steps=400):
    """Return seconds per step (median) and the solver."""
    problem = Problem(
        Mesh(nx, ny, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 2e-11, 0.3, 8e5, 1e-3, -0.1),
        (Phase("run", 1e-9, current_density_A_per_m2=3.5e11),), Initial("wall", position_m=nx * 2e-9),
        temperature, Numerics(dt, integrator, precision, interval), 1e-9,
    )  # fmt: skip
    with jax.enable_x64(precision == "float64"):
        solver = Solver(problem)
        system, drive, state = solver.system(problem), solver.drive(problem, problem.schedule[0]), solver.start(problem)
        key = streams.key(1, "benchmark")
        state = jax.block_until_ready(solver.advance(system, drive, state, key, 0, steps))
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            state = jax.block_until_ready(solver.advance(system, drive, state, key, 0, steps))
            times.append((time.perf_counter() - start) / steps)
    return float(np.median(times)), solver


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    table = Table("cells", "type", "T (K)", "scheme", "dt (ps)", "stray every", "us/step", "eval/ns", "ns/s", "x floor")
    for nx, ny, precision, temperature, integrator, dt, interval in CASES:
        seconds, solver = measure(nx, ny, precision, temperature, integrator, dt, interval, repeats)
        stages = {"heun": 2, "rk4": 4}[integrator]
        py, px = solver.kernel.padded
        strays = 1 / interval if interval else stages
        floor = 6 * 2.5 * px * py * np.log2(px * py) / FLOPS[precision] * strays
        table.add_row(
            f"{nx}x{ny}", precision, f"{temperature:g}", integrator, f"{dt * 1e12:g}", f"{interval or 'stage'}",
            f"{seconds * 1e6:.0f}", f"{stages * 1e-9 / dt:.0f}", f"{dt * 1e9 / seconds:.2f}", f"{seconds / floor:.1f}",
        )  # fmt: skip
    table_console().print(table)


if __name__ == "__main__":
    main()
