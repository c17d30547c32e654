"""What each learning rule can be told and asks of the network; without JAX, so that a plan can be checked at once.

A study may simulate for hours before its first training: what is wrong with a rule's options must be said before. The
rules themselves check the same again, and the card, when the training starts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from network import rules
from spinloom.errors import UserError


class Number(NamedTuple):
    """An option that is a number of ``low`` to ``high``."""

    default: float | None
    low: float
    high: float
    whole: bool = False
    null: bool = False  # whether null is allowed too


class Choice(NamedTuple):
    """An option that is one of ``allowed``."""

    default: Any
    allowed: tuple


YES_NO = (True, False)
_LADDER = {
    "predistortion": Choice("full", ("full", "none", "offset")),
    "voltage_V": Number(None, -1e3, 1e3, null=True),
    "dither": Choice(True, YES_NO),
}
OPTIONS: dict[str, dict[str, Number | Choice]] = {
    "accumulate_quantise_program": {"margin": Number(0.1, 0, 10), "compare": Choice("command", ("command", "state"))},
    "train_then_deploy": {
        "margin": Number(0.0, 0, 10),
        "attempts": Number(1, 1, 100, whole=True),
        "verify_margin": Number(0.5, 0, 10),
        "deployments": Number(20, 1, 1000, whole=True),
    },
    "discrete_state_transition": {
        "synapse": Choice("pair", ("pair", "single")),
        "law": Choice("tanh", ("tanh", "linear")),
        "steepness": Number(3.0, 1e-3, 1e3),
        **_LADDER,
    },
    "stochastic_coincidence": {
        "slots": Number(10, 1, 31, whole=True),
        "gain": Number(1.0, 1e-6, 1e6),
        "update_management": Choice(True, YES_NO),
        "pair": Choice(False, YES_NO),
        "tiles": Number(1, 1, 6, whole=True),
        "ratio": Number(0.125, 1e-3, 1.0),
        "carry_every": Number(100, 1, 10**9, whole=True),
        "initial_spread": Number(0.5, 0, 1),
    },
    "outer_product_probability": {
        "devices": Number(1, 1, 64, whole=True),
        "gain": Number(1.0, 1e-9, 1e9),
        "normalise": Choice("none", ("none", "layer")),
        **_LADDER,
    },
    "mean_variance_probability": {
        "measurements": Number(1, 1, 4096, whole=True, null=True),
        "signed": Choice(False, YES_NO),
        "scale_columns": Choice(False, YES_NO),
        "initial_spread": Number(0.0, 0, 100),
        "gain": Number(1.0, 1e-6, 1e6),
        "input_coding": Choice("rate", ("rate", "amplitude")),
        "draws": Number(16, 1, 1000, whole=True),
    },
    "bop": {"adaptivity": Number(1e-4, 1e-9, 1), "threshold": Number(1e-8, 0, 1e3)},
    "tiki_taka": {
        "slots": Number(10, 1, 31, whole=True),
        "gain": Number(1.0, 1e-6, 1e6),
        "update_management": Choice(True, YES_NO),
        "gamma": Number(1.0, 0, 10),
        "transfer_every": Number(100, 1, 10**9, whole=True),
        "transfer_rate": Number(1.0, 1e-6, 1e3),
        "give_back": Choice(False, YES_NO),
        "initial_spread": Number(0.5, 0, 1),
    },
    "straight_through": {"levels": Number(None, 2, 255, whole=True, null=True)},
    "stochastic_rounding": {"levels": Number(None, 2, 255, whole=True, null=True)},
    "float_baseline": {},
}
ONE_IMAGE = ("stochastic_coincidence", "tiki_taka")  # rules whose step is one image
DENSE = ("stochastic_coincidence", "tiki_taka", "mean_variance_probability")  # rules without convolutions
PROBABILITIES = ("mean_variance_probability",)  # rules whose inputs are probabilities
VOLATILE = ("mean_variance_probability",)  # rules whose devices hold nothing that an array could spoil
DIGITAL = ("float_baseline", "straight_through", "stochastic_rounding")  # rules without devices
# rules whose arrays are written in the course of the training, so that neighbours can be disturbed
IN_PLACE = (
    "accumulate_quantise_program", "discrete_state_transition", "stochastic_coincidence", "outer_product_probability",
    "bop", "tiki_taka",
)  # fmt: skip


def uses_card(rule: str, options: dict) -> bool:
    """Return whether a training with the rule depends on the kernel card: on its devices, or on its levels."""
    return rule not in DIGITAL or ("levels" in OPTIONS[rule] and options.get("levels") is None)


def check(rule: str, options: dict) -> None:
    """Refuse options that the rule does not have, or values out of range.

    Parameters
    ----------
    rule : str
    options : dict
        Config section ``network.rule_options``.

    Raises
    ------
    UserError
    """
    rules.REGISTRY.module(rule)
    if rule not in OPTIONS:  # of an installed package: the rule itself checks them when the training begins
        return
    known = OPTIONS[rule]
    if unknown := sorted(set(options) - set(known)):
        allowed = ", ".join(known) or "none"
        raise UserError(f"network.rule_options: found {', '.join(unknown)}, allowed {allowed} for {rule}")
    for key, value in options.items():
        option = known[key]
        if isinstance(option, Choice):
            fits, allowed = value in option.allowed, ", ".join(map(str, option.allowed))
        else:
            kind = int if option.whole else int | float
            fits = isinstance(value, kind) and not isinstance(value, bool) and option.low <= value <= option.high
            fits = fits or (value is None and option.null)
            allowed = f"{option.low:g} to {option.high:g}"
            if option.whole:
                allowed = f"whole numbers {option.low} to {option.high}"
        if not fits:
            raise UserError(f"network.rule_options.{key}: found {value!r}, allowed {allowed}")


def effort(rule: str, options: dict) -> float:
    """Return how much work a synapse is per image, where 1 is a multiplication forward and backward."""
    if rule not in VOLATILE:
        return 1.0
    number, wires = options.get("measurements", 1), 1 + bool(options.get("signed", False))
    return wires * (1.0 if number is None else 2.7 + 0.2 * number)  # measured: ns per wire and image


def fit(rule: str, settings: Any, layers: tuple) -> None:
    """Refuse a network that the rule cannot train, and parts of the array that would be without effect.

    Parameters
    ----------
    rule : str
    settings : network.settings.Settings
    layers : tuple of network.architecture.Layer

    Raises
    ------
    UserError
    """

    def refuse(key: str, found: Any, allowed: str) -> None:
        raise UserError(f"network.{key}: found {found}, allowed {allowed} for {rule}")

    if rule in ONE_IMAGE and settings.batch_size != 1:
        refuse("batch_size", settings.batch_size, "1")
    if rule in DENSE and any(layer.kernel for layer in layers):
        refuse("layers", "a convolution", "dense layers")
    if rule in PROBABILITIES:
        if settings.input.get("range", "unit") == "signed":
            refuse("input.range", "'signed'", "unit, binary")
        if len(layers) > 1 and settings.activation != "sigmoid":
            refuse("activation", repr(settings.activation), "sigmoid")
    if settings.array.get("half_select") and rule not in (*IN_PLACE, "float_baseline"):
        refuse("array.half_select", settings.array["half_select"], "null")
    if rule in VOLATILE:
        for key, value in settings.array.items():
            if key.endswith("_resistance_ohm") and value:
                refuse(f"array.{key}", value, "none")
        idle = {"stochastic": (True, "true"), "symmetric": (False, "false"), "rest": (None, "null")}
        for key, (wanted, allowed) in idle.items():
            if (found := settings.device.get(key, wanted)) != wanted:
                refuse(f"device.{key}", str(found).lower() if isinstance(found, bool) else "a rest", allowed)
