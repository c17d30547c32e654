"""Markov chain in continuous time: P(t) = exp(Q t).

Q has any non-negative rates ``rate_I_J_per_s`` off the diagonal and rows that sum to 0. Rates of transitions that the
data do not ask for come out as 0, on the bound. S states have S (S - 1) rates: beyond about ten states take
``birth_death``. At one duration Q is told only if the matrix of shares has a logarithm with such rates (embeddable:
Higham, Functions of Matrices, section 2.3); durations well below the slowest 1/rate are safe.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from calibration.laws.chains import Chain, exponential, shares, states_of
from calibration.laws.scales import Parameter

NAME = "ctmc"
KIND = "chain"
WHOLE = False
HINT = "writes from every state at a duration at which the device still remembers where it was"


def parameters_for(data: Chain, where: str) -> tuple[Parameter, ...]:
    """Return the rates of these data, per s."""
    states, shortest, longest = data.counts.shape[1], data.exposure.min(), data.exposure.max()
    return tuple(
        Parameter(f"rate_{i}_{j}_per_s", "log", 1e-7 / longest, 1e3 / shortest, closed="low")
        for i in range(states) for j in range(states) if i != j
    )  # fmt: skip


def parameters_of(parameters: dict[str, float]) -> tuple[Parameter, ...]:
    """Return the `Parameter` of each entry of a fit."""
    return tuple(Parameter(name, "log", closed="low") for name in parameters)


def rates(parameters: dict[str, float]) -> np.ndarray:
    """Return Q, float64[S, S], per s."""
    states = states_of(parameters)
    q = np.array([
        [parameters.get(f"rate_{i}_{j}_per_s", 0.0) if i != j else 0.0 for j in range(states)] for i in range(states)
    ])  # fmt: skip
    return q - np.diag(q.sum(axis=1))


def matrix(parameters: dict[str, float], duration_s: float) -> np.ndarray:
    """Return P = exp(Q t), float64[S, S], rows sum to 1."""
    return exponential(rates(parameters) * duration_s)


def starts(data: Chain, parameters: tuple[Parameter, ...]) -> list[dict[str, float]]:
    """Return first guesses: the matrix logarithm of the shares, and the shares themselves as rates."""
    share, exposure = shares(data)
    logarithm = np.real(linalg.logm(share))
    guesses = []
    for guess in (logarithm, share):
        q = np.maximum(np.nan_to_num(guess), 1e-3 * share) / exposure
        guesses.append({p.name: q[tuple(int(w) for w in p.name.split("_") if w.isdigit())] for p in parameters})
    return guesses
