"""One domain wall in a perpendicular track as two coordinates, in JAX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from device_sims.engines import Result
from device_sims.problem import Problem

VERSION = "1"
BODY = "wall"


def probe() -> tuple[bool, str]:
    """Return whether the engine can run here, and on what."""
    import jax

    return True, f"JAX {jax.__version__} on {jax.default_backend()}"


def run(problems: Sequence[Problem]) -> Iterator[Result]:
    """Yield the trajectory of each problem, in order; arguments and errors as of `engine.run`."""
    from device_sims.engines.collective import engine

    return engine.run(problems)
