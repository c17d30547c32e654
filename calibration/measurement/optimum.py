"""The most probable parameters of `step_model`, and what is known of them."""

from __future__ import annotations

from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from calibration.measurement.surface import Blocks

EFFORT: Any = {"maxiter": 300, "maxcor": 15, "ftol": 1e-9}  # of the minimiser
SOME: Any = {**EFFORT, "maxiter": 60}  # of one that knows second derivatives
FEW: Any = {**EFFORT, "maxiter": 20}
FALL = 1.353  # of ln L on one side, at which 95 % are on the other
CURVE = 1e-4  # change of a parameter over which second derivatives are taken
ROUNDS = 2  # in which the priors that tie pulses are chosen anew
PRIORS = 24  # of these that are tried for what they leave open


class Posterior(Protocol):
    """Minus the log posterior and its slope, as functions of the parameters; ``tied`` is a prior that may be set."""

    tied: Any
    data: tuple[Any, ...]

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the value and its derivatives."""
        ...

    def curvature(self, theta: np.ndarray) -> np.ndarray:
        """Return the second derivatives, float64[n, n]."""
        ...


def tied(
    both: Posterior, starts: list[np.ndarray], rooms: list, blocks: Blocks, often: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the parameters, float64[n], their covariance, float64[n, n], and how many the readings decide.

    The priors that tie pulses to each other and the parameters are found in turns.

    Parameters
    ----------
    both : Posterior
    starts : list of float64[n]
    rooms : list of tuple of float
        Lowest and highest value of each parameter.
    blocks : Blocks
        Priors to begin with.
    often : bool
        Whether the readings choose the priors several times, or once.
    rng : Generator
    """
    size = len(starts[0])

    def tie(blocks: Blocks) -> np.ndarray:
        matrix = blocks.precision(size)
        both.tied = jnp.asarray(matrix), jnp.asarray(blocks.shares(len(both.data[-1].scale)))
        return matrix

    matrix = tie(blocks)
    tried = [_round(both, one, rooms, both.curvature(one), SOME) for one in starts]
    theta = min(tried, key=lambda one: both(one)[0])
    for _ in range(ROUNDS if often else 1):
        curved = both.curvature(theta) - matrix
        blocks = blocks.chosen(theta, both(theta)[1] - matrix @ theta, curved)
        matrix = tie(blocks)
        theta = _round(both, theta, rooms, curved + matrix, SOME)
    total = both.curvature(theta)
    curved, slope = total - matrix, both(theta)[1] - matrix @ theta
    decided = float(np.trace(np.linalg.lstsq(total, curved, rcond=None)[0]))
    free = _free(theta, rooms) & (np.diag(total) != 0)
    covariance = np.zeros(total.shape)
    # neither are the priors known better than the readings tell
    for _ in range(PRIORS):
        matrix = blocks.drawn(rng).precision(size)
        own = _inverse(curved + matrix, free)
        moved = own @ (slope + matrix @ theta)
        covariance += (own + np.outer(moved, moved)) / PRIORS
    return theta, covariance, decided


def _round(both: Any, theta: np.ndarray, rooms: Any, curved: np.ndarray, options: Any) -> np.ndarray:
    """Return the parameters that minimise ``both`` (value and slope), in coordinates in which ``curved`` is round."""
    low, high = np.array(rooms).T
    values, vectors = np.linalg.eigh((curved + curved.T) / 2)
    stretch = vectors / np.sqrt(np.maximum(np.abs(values), 1.0))

    def in_round(z: np.ndarray) -> tuple[float, np.ndarray]:
        at = theta + stretch @ z
        found, slope = both(np.clip(at, low, high))
        return found, stretch.T @ np.where((at > low) & (at < high), slope, 0.0)

    found = minimize(in_round, np.zeros(len(theta)), jac=True, method="L-BFGS-B", options=options)
    return np.clip(theta + stretch @ found.x, low, high)


def may_be_least(both, theta: np.ndarray, rooms: list) -> bool:
    """Return whether the readings are about as likely with the smallest noise; arguments as of `upper_noise`."""
    least = rooms[-1][0]
    held = minimize(
        both, np.append(theta[:-1], least), jac=True, method="L-BFGS-B", bounds=[*rooms[:-1], (least, least)],
        options=FEW,
    )  # fmt: skip
    return bool(held.fun - both(theta)[0] < FALL)


def upper_noise(both, theta: np.ndarray, rooms: list) -> float:
    """Return the noise at which the likelihood's profile has fallen by that of 95 %, in units of the range.

    ``theta``, float64[n], are the most probable parameters, and ``rooms`` lowest and highest value of each.
    """
    last, fallen, least = theta[-1], 0.0, both(theta)[0]
    for _ in range(12):
        tried = theta.copy()
        tried[-1] = last + np.log(2)
        held = [*rooms[:-1], (tried[-1], tried[-1])]
        found = minimize(both, tried, jac=True, method="L-BFGS-B", bounds=held, options=FEW)
        fall = found.fun - least
        if fall > FALL:
            return float(np.exp(last + np.log(2) * (FALL - fallen) / (fall - fallen)))
        last, fallen, theta = tried[-1], fall, found.x
    return float(np.exp(last))


def covariance(both, theta: np.ndarray, rooms: list, fixed: bool) -> np.ndarray:
    """Return the inverse of the second derivatives at ``theta``, float64[n], as float64[n, n].

    A parameter on the border of its room does not vary, nor does the noise, the last one, if it is ``fixed``.
    """
    free = _free(theta, rooms)
    free[-1] &= not fixed
    curved = np.zeros((len(theta), len(theta)))
    for index in np.flatnonzero(free):
        up, down = theta.copy(), theta.copy()
        up[index] += CURVE
        down[index] -= CURVE
        curved[index] = (both(up)[1] - both(down)[1]) / (2 * CURVE)
    return _inverse((curved + curved.T) / 2, free)


def _free(theta: np.ndarray, rooms: list) -> np.ndarray:
    return np.array([low < value < high for value, (low, high) in zip(theta, rooms)])


def _inverse(curved: np.ndarray, free: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(curved[np.ix_(free, free)])
    # where the likelihood is flat the priors' width is what is left; none curves less than 1 per unit squared
    inverse = (vectors / np.maximum(values, 1.0)) @ vectors.T
    out = np.zeros(curved.shape)
    out[np.ix_(free, free)] = inverse
    out[np.diag_indices_from(out)] += 1e-16
    return out
