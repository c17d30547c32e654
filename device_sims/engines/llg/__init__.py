"""The built-in solver: batched Landau-Lifshitz-Gilbert dynamics in JAX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from device_sims.engines import Result
from device_sims.engines.llg import extrapolation, stability
from device_sims.problem import Problem

__all__ = ["VERSION", "check", "probe", "run"]

VERSION = "3"


def check(problem: Problem) -> None:
    """Check that the integrator, its step and the evaluations of the stray field suit the problem.

    Raises
    ------
    UserError
        As of `stability.check` and `extrapolation.check`.
    """
    stability.check(problem)
    extrapolation.check(problem)


def probe() -> tuple[bool, str]:
    """Return whether the engine can run here, and on what."""
    import jax

    return True, f"JAX {jax.__version__} on {jax.default_backend()}: {jax.devices()[0].device_kind}"


def run(problems: Sequence[Problem]) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; arguments and errors as of `ensemble.run`."""
    from device_sims.engines.llg import ensemble

    return ensemble.run(problems)
