"""Optimisers and schedules by name: those of optax that need no settings beyond plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from spinloom.errors import UserError

# name -> settings beside the learning rate
SETTINGS = {
    "adam": ("b1", "b2", "eps"),
    "adamw": ("b1", "b2", "eps", "weight_decay"),
    "sgd": ("momentum",),
    "rmsprop": ("decay", "eps", "momentum"),
    "adagrad": ("eps",),
    "lion": ("b1", "b2", "weight_decay"),
}
SCHEDULES = ("constant", "exponential", "cosine", "linear")


class Optimizer(NamedTuple):
    """What a rule needs of the optimiser."""

    transform: Any  # optax.GradientTransformation, learning rate and sign included
    rate: Callable[[Any], Any]  # learning rate at a step


def check(section: dict) -> tuple[str, dict, dict]:
    """Return the name, the settings and the schedule in ``{"name": ..., "learning_rate": ..., "schedule": ...}``.

    Raises
    ------
    UserError
        If the name or a setting is unknown.
    """
    settings = {"learning_rate": 1e-3, **section}
    name = settings.pop("name", "adam")
    schedule = {"name": "constant", "final_fraction": 0.01, **(settings.pop("schedule", None) or {})}
    if name not in SETTINGS:
        raise UserError(f"network.optimizer.name: found {name!r}, allowed {', '.join(SETTINGS)}")
    allowed = ("learning_rate", *SETTINGS[name])
    if unknown := sorted(set(settings) - set(allowed)):
        raise UserError(
            f"network.optimizer: found {', '.join(unknown)}, allowed {', '.join(allowed)}, schedule for {name}"
        )
    for key, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise UserError(f"network.optimizer.{key}: found {value!r}, allowed a number of at least 0")
    if not settings["learning_rate"]:
        raise UserError("network.optimizer.learning_rate: found 0, allowed a positive number")
    if schedule["name"] not in SCHEDULES:
        found = schedule["name"]
        raise UserError(f"network.optimizer.schedule.name: found {found!r}, allowed {', '.join(SCHEDULES)}")
    if unknown := sorted(set(schedule) - {"name", "final_fraction"}):
        raise UserError(f"network.optimizer.schedule: found {', '.join(unknown)}, allowed name, final_fraction")
    final = schedule["final_fraction"]
    if isinstance(final, bool) or not isinstance(final, int | float) or not 0 < final <= 1:
        raise UserError(f"network.optimizer.schedule.final_fraction: found {final!r}, allowed more than 0 and up to 1")
    return name, settings, schedule


def make(section: dict, steps: int) -> Optimizer:
    """Build the optimiser of a section.

    Parameters
    ----------
    section : dict
        ``network.optimizer``; errors as of `check`.
    steps : int
        Steps of the whole run, which the schedule spans.
    """
    import optax  # imported here: checking a config must not pay for JAX

    name, settings, schedule = check(section)
    start, final, steps = settings.pop("learning_rate"), schedule["final_fraction"], max(steps, 1)
    rate = {
        "constant": lambda: optax.schedules.constant_schedule(start),
        "exponential": lambda: optax.schedules.exponential_decay(start, steps, final),
        "cosine": lambda: optax.schedules.cosine_decay_schedule(start, steps, final),
        "linear": lambda: optax.schedules.linear_schedule(start, start * final, steps),
    }[schedule["name"]]()
    # a constant rate as a number: no step counter is then kept for it
    return Optimizer(
        getattr(optax, name)(learning_rate=start if schedule["name"] == "constant" else rate, **settings), rate
    )
