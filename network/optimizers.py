"""Optimisers by name: those of optax that need no settings beyond plain numbers."""

from __future__ import annotations

import optax

from spinloom.errors import UserError

ALLOWED = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "lion")


def make(section: dict) -> optax.GradientTransformation:
    """Build an optimiser from ``{"name": ..., "learning_rate": ..., ...}``; further keys go to optax.

    Raises
    ------
    UserError
        If the name or a setting is unknown.
    """
    settings = dict(section)
    name = settings.pop("name", None)
    if name not in ALLOWED:
        raise UserError(f"network.optimizer.name: found {name!r}, allowed {', '.join(ALLOWED)}")
    rate = settings.get("learning_rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise UserError(f"network.optimizer.learning_rate: found {rate!r}, allowed a positive number")
    try:
        return getattr(optax, name)(**settings)
    except TypeError as error:
        raise UserError(f"network.optimizer: {name} does not take these settings ({error})") from None
