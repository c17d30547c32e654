"""Markov chain in continuous time that moves to neighbours only: P(t) = exp(Q t), Q tridiagonal.

``up_I_per_s`` is the rate from state I to I + 1, ``down_I_per_s`` from I to I - 1 (Karlin and Taylor, A First Course in
Stochastic Processes, chapter 4). A count of skyrmions, a wall between notches, a level of a memristor.
"""

from __future__ import annotations

import numpy as np

from calibration.laws.chains import Chain, exponential, shares, states_of
from calibration.laws.scales import Parameter

NAME = "birth_death"
KIND = "chain"
WHOLE = False
HINT = "writes from every state at a duration at which the device still remembers where it was"


def parameters_for(data: Chain, where: str) -> tuple[Parameter, ...]:
    """Return the rates of these data, per s."""
    states, shortest, longest = data.counts.shape[1], data.exposure.min(), data.exposure.max()
    names = [f"up_{i}_per_s" for i in range(states - 1)] + [f"down_{i}_per_s" for i in range(1, states)]
    return tuple(Parameter(name, "log", 1e-7 / longest, 1e3 / shortest, closed="low") for name in names)


def parameters_of(parameters: dict[str, float]) -> tuple[Parameter, ...]:
    """Return the `Parameter` of each entry of a fit."""
    return tuple(Parameter(name, "log", closed="low") for name in parameters)


def rates(parameters: dict[str, float]) -> np.ndarray:
    """Return Q, float64[S, S], per s."""
    states = states_of(parameters)
    up = [parameters.get(f"up_{i}_per_s", 0.0) for i in range(states - 1)]
    down = [parameters.get(f"down_{i}_per_s", 0.0) for i in range(1, states)]
    q = np.diag(up, 1) + np.diag(down, -1)
    return q - np.diag(q.sum(axis=1))


def matrix(parameters: dict[str, float], duration_s: float) -> np.ndarray:
    """Return P = exp(Q t), float64[S, S], rows sum to 1."""
    return exponential(rates(parameters) * duration_s)


def starts(data: Chain, parameters: tuple[Parameter, ...]) -> list[dict[str, float]]:
    """Return first guesses: what moved up and down, as if every move were one step."""
    share, exposure = shares(data)
    states = np.arange(len(share))
    moved = np.minimum(1 - np.diag(share), 0.9)
    up = -np.log1p(-moved) * np.triu(share, 1).sum(axis=1) / (1 - np.diag(share))
    down = -np.log1p(-moved) * np.tril(share, -1).sum(axis=1) / (1 - np.diag(share))
    rate = {f"up_{i}_per_s": max(up[i], 1e-3) / exposure for i in states}
    rate |= {f"down_{i}_per_s": max(down[i], 1e-3) / exposure for i in states}
    guess = {p.name: rate[p.name] for p in parameters}
    return [guess, {name: 3 * value for name, value in guess.items()}]
