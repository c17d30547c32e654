"""Pulses counted: n pulses of a train do T^n, and one pulse changes the state by at most a bandwidth.

``p_I_J`` is the probability that one pulse leads from I to J, |I - J| <= bandwidth; the rest stays. With an even n only
T^n is seen and two matrices may give the same: the one nearest to small changes is searched from.
"""

from __future__ import annotations

import numpy as np

from calibration.laws.chains import Chain, shares, states_of
from calibration.laws.scales import Parameter
from spinloom.errors import UserError

NAME = "banded"
KIND = "chain"
WHOLE = True
HINT = "writes from every state after so few pulses that the device still remembers where it was"


def parameters_for(data: Chain, where: str, bandwidth: int = 1) -> tuple[Parameter, ...]:
    """Return the probabilities of these data."""
    states = data.counts.shape[1]
    if not 1 <= bandwidth < states:
        raise UserError(f"{where}: bandwidth: found {bandwidth}, allowed: 1..{states - 1}")
    names = [
        f"p_{i}_{j}" for i in range(states) for j in range(states) if i != j and abs(i - j) <= bandwidth
    ]  # fmt: skip
    return parameters_of(dict.fromkeys(names, 0.0))


def parameters_of(parameters: dict[str, float]) -> tuple[Parameter, ...]:
    """Return the `Parameter` of each entry of a fit."""
    return tuple(Parameter(name, "odds", closed="low", group=int(name.split("_")[1])) for name in parameters)


def one_pulse(parameters: dict[str, float]) -> np.ndarray:
    """Return T, float64[S, S], rows sum to 1."""
    states = states_of(parameters)
    t = np.zeros((states, states))
    for name, value in parameters.items():
        i, j = map(int, name.split("_")[1:])
        t[i, j] = value
    return t + np.diag(1 - t.sum(axis=1))


def matrix(parameters: dict[str, float], pulses: float) -> np.ndarray:
    """Return T^n, float64[S, S], for n = ``pulses``."""
    return np.linalg.matrix_power(one_pulse(parameters), int(round(float(pulses))))


def starts(data: Chain, parameters: tuple[Parameter, ...]) -> list[dict[str, float]]:
    """Return first guesses: the shares moved, up and down, divided among the pulses."""
    share, pulses = shares(data)
    stay = np.diag(share) ** (1 / pulses)
    guess = {}
    for parameter in parameters:
        i, j = map(int, parameter.name.split("_")[1:])
        side = np.triu(share, 1)[i] if j > i else np.tril(share, -1)[i]
        same = sum(p.group == i and (int(p.name.split("_")[2]) > i) == (j > i) for p in parameters)
        moved = 1 - share[i, i]
        guess[parameter.name] = max((1 - stay[i]) * side.sum() / moved / same, 1e-4) * 0.99
    return [guess, {name: value / 2 for name, value in guess.items()}]
