"""A multilayer perceptron on crossbars: product, batch normalisation, ReLU; the last layer has no ReLU.

Weights are in units of the device (about -1 to 1). A fixed factor sqrt(3 / inputs) brings the columns to unit size;
as batch normalisation follows, it only fixes the scale of the running statistics.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp

from network import rng
from network.layers import Norm, Statistics, batch_norm, crossbar


class Model(NamedTuple):
    """The digital part of the network, one entry per layer."""

    norms: tuple[Norm, ...]
    statistics: tuple[Statistics, ...]


def shapes(layers: list[int]) -> tuple[tuple[int, int], ...]:
    """Return the (inputs, outputs) of each crossbar."""
    return tuple(pairwise(layers))


def init(layers: list[int]) -> Model:
    """Return gains 1, biases 0, statistics of unit columns."""
    widths = layers[1:]
    return Model(
        tuple(Norm(jnp.ones(n), jnp.zeros(n)) for n in widths),
        tuple(Statistics(jnp.zeros(n), jnp.ones(n)) for n in widths),
    )


def forward(
    weights: tuple[jax.Array, ...],
    norms: tuple[Norm, ...],
    statistics: tuple[Statistics, ...],
    x: jax.Array,
    *,
    training: bool,
    variances: tuple[jax.Array, ...] | None = None,
    keys: tuple[jax.Array, ...] | None = None,
    step: jax.Array | int = 0,
) -> tuple[jax.Array, tuple[Statistics, ...]]:
    """Return the class scores and the new running statistics.

    Parameters
    ----------
    weights : tuple of float32[inputs, outputs]
    norms, statistics : see `Model`
    x : jax.Array, float32[batch, inputs]
        Inputs in [0, 1].
    training : bool
        See `network.layers.batch_norm`.
    variances, keys, step : tuple of float32, tuple of uint32[2], int
        Read noise of each layer (see `network.layers.crossbar`), its stream, and which use of the stream this is;
        None: noiseless reads.

    Returns
    -------
    scores : jax.Array, float32[batch, classes]
    statistics : tuple of Statistics
    """
    new = []
    for layer, weight in enumerate(weights):
        scale = (3.0 / weight.shape[0]) ** 0.5
        noise = variance = None
        if variances is not None:
            variance = variances[layer]
            noise = rng.normal(keys[layer], step, (x.shape[0], weight.shape[1]))
        x = scale * crossbar(x, weight, variance, noise)
        x, moved = batch_norm(x, norms[layer], statistics[layer], training)
        new.append(moved)
        if layer < len(weights) - 1:
            x = jax.nn.relu(x)
    return x, tuple(new)


def loss(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean cross-entropy of ``scores`` (float32[batch, classes]) against ``labels`` (int[batch])."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None].astype(jnp.int32), axis=1))
