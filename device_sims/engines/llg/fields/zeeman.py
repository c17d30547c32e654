"""Uniform applied field B."""

from device_sims.problem import MU0, Phase, Problem


def strength(problem: Problem, phase: Phase) -> tuple[float, float, float]:
    """Return ``B / (mu0 Ms)``."""
    return tuple(component / (MU0 * problem.material.Ms_A_per_m) for component in phase.field_T)
