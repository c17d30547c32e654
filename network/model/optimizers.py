"""Optimisers and schedules by name: those of optax that need no settings beyond plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from network import sections
from network.sections import OPTIMIZERS
from spinloom.errors import UserError


class Optimizer(NamedTuple):
    """What a rule needs of the optimiser."""

    transform: Any  # optax.GradientTransformation, learning rate and sign included
    rate: Callable[[Any], Any]  # learning rate at a step


def check(section: sections.Optimizer) -> None:
    """Refuse settings that are not the named optimiser's (`UserError`)."""
    allowed = OPTIMIZERS[section.name]
    if unknown := sorted(set(section.settings) - set(allowed)):
        raise UserError(
            f"network.optimizer: found {', '.join(unknown)}, allowed for {section.name}: learning_rate, "
            f"{', '.join(allowed)}, schedule"
        )


def make(section: sections.Optimizer, steps: int) -> Optimizer:
    """Build the optimiser of a section.

    Parameters
    ----------
    section : sections.Optimizer
    steps : int
        Steps of the whole run, which the schedule spans.
    """
    import optax  # imported here: checking a config must not pay for JAX

    start, steps, schedule = section.learning_rate, max(steps, 1), section.schedule
    build = getattr(optax, section.name)
    if schedule is None or schedule.name == "constant":
        # a constant rate as a number: no step counter is then kept for it
        return Optimizer(build(learning_rate=start, **section.settings), optax.schedules.constant_schedule(start))
    final = schedule.final_fraction
    rate = {
        "exponential": lambda: optax.schedules.exponential_decay(start, steps, final),
        "cosine": lambda: optax.schedules.cosine_decay_schedule(start, steps, final),
        "linear": lambda: optax.schedules.linear_schedule(start, start * final, steps),
    }[schedule.name]()
    return Optimizer(build(learning_rate=rate, **section.settings), rate)
