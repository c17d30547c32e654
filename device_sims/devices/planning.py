"""What the plans of all families have in common: checks of a section before it is simulated, and its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from device_sims.common import Simulations
from device_sims.devices import Batch
from device_sims.finished.scripted import Scripted
from device_sims.problem import Problem
from spinloom.declare import Section
from spinloom.errors import UserError

MAX_EVENTS = 1_000_000  # a sweep beyond this is a slip of the keyboard
Plan = TypeVar("Plan")


def batches(
    section: Simulations,
    plans: Sequence[Plan],
    problem: Callable[..., Problem | Scripted],
    keys: Iterable[dict[str, float]] = ({},),
) -> list[Batch]:
    """Return the batches of a sweep, ordered by pulse, instance and ``keys``.

    Parameters
    ----------
    section : Simulations
    plans : sequence
        What each pulse is, as the family has it.
    problem : callable
        ``problem(section, plan, instance, **keys)``, a problem of this pulse on that instance.
    keys : iterable of dict of float
        Values of the family's ``KEYS`` that each pulse is simulated with.
    """
    return [
        Batch(pulse, instance, problem(section, plan, instance, **own), section.sweep.replicas_per_instance, own)
        for pulse, plan in enumerate(plans)
        for instance in range(section.sweep.instances)
        for own in keys
    ]


def check_cells(where: str, cell_m: float, **edges_m: float) -> None:
    """Check that whole cells make the edges of a body, by their keys; ``where`` is its part of the config.

    Raises
    ------
    UserError
        Naming the key.
    """
    for name, edge in edges_m.items():
        cells = edge / cell_m
        if cells < 1 or abs(cells - round(cells)) > 1e-6 * cells:
            raise UserError(f"{where}.cell_m: found {cell_m:g}, allowed: a length that divides {name} = {edge:g}")


def check_axes(axes: Section, where: str) -> None:
    """Check that the lists of ``axes``, the part ``where`` of the config, have each entry once.

    Raises
    ------
    UserError
        Naming the key.
    """
    for name, values in axes:
        if isinstance(values, tuple) and len(set(values)) != len(values):
            raise UserError(f"{where}.{name}: found {list(values)}, allowed: each value once")


def check_number(section: Simulations, per_instance: int) -> None:
    """Check the number of write events, with ``per_instance`` pulses (from each start) on each instance.

    Raises
    ------
    UserError
        If there are too many.
    """
    number = per_instance * section.sweep.instances * section.sweep.replicas_per_instance
    if number > MAX_EVENTS:
        raise UserError(f"device_sims.sweep: found {number} write events, allowed: at most {MAX_EVENTS}")


def check_times(section: Simulations, problem: Problem, times: Iterable[tuple[str, float]]) -> None:
    """Check that times are whole numbers of a problem's steps.

    ``times`` are pairs of a key below the family's section and a duration, s.

    Raises
    ------
    UserError
        Naming the key.
    """
    for name, duration in times:
        problem.steps(duration, f"device_sims.{section.device}.{name}")
    problem.steps(problem.record_interval_s, "device_sims.numerics.record_interval_s")
