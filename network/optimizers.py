"""Optimisers by name: those of optax that need no settings beyond plain numbers."""

from __future__ import annotations

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


def check(section: dict) -> tuple[str, dict]:
    """Return the name and the settings in ``{"name": ..., "learning_rate": ..., ...}``.

    Raises
    ------
    UserError
        If the name or a setting is unknown.
    """
    settings = {"learning_rate": 1e-3, **section}
    name = settings.pop("name", "adam")
    if name not in SETTINGS:
        raise UserError(f"network.optimizer.name: found {name!r}, allowed {', '.join(SETTINGS)}")
    allowed = ("learning_rate", *SETTINGS[name])
    if unknown := sorted(set(settings) - set(allowed)):
        raise UserError(f"network.optimizer: found {', '.join(unknown)}, allowed {', '.join(allowed)} for {name}")
    for key, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise UserError(f"network.optimizer.{key}: found {value!r}, allowed a number of at least 0")
    if not settings["learning_rate"]:
        raise UserError("network.optimizer.learning_rate: found 0, allowed a positive number")
    return name, settings


def make(section: dict):
    """Build the optax optimiser of a section; errors as of `check`."""
    import optax  # imported here: checking a config must not pay for JAX

    name, settings = check(section)
    return getattr(optax, name)(**settings)
