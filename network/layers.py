"""The parts of a network: a crossbar product with read noise, and digital batch normalisation."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

MOMENTUM = 0.9  # of the running statistics
EPSILON = 1e-5


class Norm(NamedTuple):
    """Trained parameters of a batch normalisation, float32[outputs] each."""

    gain: jax.Array
    bias: jax.Array


class Statistics(NamedTuple):
    """Running statistics of a batch normalisation, float32[outputs] each."""

    mean: jax.Array
    variance: jax.Array


def crossbar(x: jax.Array, weight: jax.Array, variance: jax.Array | None, noise: jax.Array | None) -> jax.Array:
    """Return ``x @ weight`` with the read noise of the column currents.

    Independent Gaussian noise of sd sigma_ij on every weight adds to column j Gaussian noise of variance
    ``sum_i x_i^2 sigma_ij^2``; drawing it at the column is exact for one product and needs outputs instead of
    inputs x outputs draws.

    Parameters
    ----------
    x : jax.Array, float32[batch, inputs]
    weight : jax.Array, float32[inputs, outputs]
    variance : jax.Array or None
        sigma^2, float32[] if equal for all synapses, else float32[inputs, outputs]. None: no noise.
    noise : jax.Array or None
        Standard normal deviates, float32[batch, outputs].
    """
    current = x @ weight
    if variance is None:
        return current
    square = jax.lax.stop_gradient(x * x)
    total = jnp.sum(square, axis=1, keepdims=True) * variance if variance.ndim == 0 else square @ variance
    return current + jnp.sqrt(total) * noise


def batch_norm(x: jax.Array, norm: Norm, statistics: Statistics, training: bool) -> tuple[jax.Array, Statistics]:
    """Normalise each column over the batch (Ioffe and Szegedy, arXiv 1502.03167).

    Parameters
    ----------
    x : jax.Array, float32[batch, outputs]
    norm, statistics : Norm, Statistics
    training : bool
        Use the batch's own mean and variance and move the running statistics; else use the running ones.
    """
    mean, variance = statistics
    if training:
        mean, variance = jnp.mean(x, axis=0), jnp.var(x, axis=0)
        statistics = Statistics(
            *(
                MOMENTUM * old + (1 - MOMENTUM) * jax.lax.stop_gradient(new)
                for old, new in zip(statistics, (mean, variance), strict=True)
            )
        )
    factor = norm.gain * jax.lax.rsqrt(variance + EPSILON)
    return (x - mean[None]) * factor[None] + norm.bias[None], statistics
