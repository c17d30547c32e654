"""Perceptrons and convolutional networks on arrays of synapses, from the config's list of layers.

A layer is a product, then a maximum over squares if asked for, then batch normalisation (or a bias), then the sum of a
residual block, then the activation, then means over squares, then dropout; the last layer has no activation. The
product alone is analogue. Weights are in units of the device (about -1 to 1). The factor
sqrt(3 / inputs) brings the columns to unit size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from network.model import activations
from network.model.architecture import Architecture
from network.model.layers import Noise, Norm, Statistics, average, batch_norm, drop, pool


class Model(NamedTuple):
    """The digital part of the network, one entry per layer."""

    norms: tuple[Norm, ...]
    statistics: tuple[Statistics | None, ...]


def init(architecture: Architecture) -> Model:
    """Return gains 1, biases 0, statistics of unit columns."""
    widths = [layer.outputs for layer in architecture.layers]
    if architecture.normalisation == "none":
        return Model(tuple(Norm(None, jnp.zeros(n)) for n in widths), (None,) * len(widths))
    return Model(
        tuple(Norm(jnp.ones(n), jnp.zeros(n)) for n in widths),
        tuple(Statistics(jnp.zeros(n), jnp.ones(n)) for n in widths),
    )


def given(digital: Iterable[tuple]) -> Model:
    """Return a model of bias, gain, mean and variance of each layer, the last three None without normalisation."""
    norms, statistics = [], []
    for bias, gain, mean, variance in digital:
        norms.append(Norm(None if gain is None else jnp.asarray(gain), jnp.asarray(bias)))
        statistics.append(None if gain is None else Statistics(jnp.asarray(mean), jnp.asarray(variance)))
    return Model(tuple(norms), tuple(statistics))


def forward(
    architecture: Architecture,
    product: Callable[[int, jax.Array, Any], jax.Array],
    weights: tuple[Any, ...],
    model: Model,
    x: jax.Array,
    training: bool,
    probes: tuple[jax.Array, ...] | None = None,
    dropout: tuple[Noise, ...] | None = None,
) -> tuple[jax.Array, tuple[Statistics | None, ...], tuple[jax.Array, ...]]:
    """Return the class scores, the new running statistics and what entered each array.

    Parameters
    ----------
    architecture : Architecture
    product : callable
        ``product(number of the layer, x, its weights)``: the column values as the digital side sees them.
    weights : tuple
        One entry per layer, whatever ``product`` takes.
    model : Model
    x : jax.Array, float32[batch, rows, columns, channels]
    training : bool
        See `network.model.layers.batch_norm`.
    probes : tuple of float32[batch, outputs] or None
        Added to the column values: the gradient with respect to a probe is the error of its column.
    dropout : tuple of Noise or None
        Names the random numbers of each layer's dropout; None: nothing is dropped, as in every test.

    Returns
    -------
    scores : jax.Array, float32[batch, classes]
    statistics : tuple of Statistics or None
    inputs : tuple of jax.Array
    """
    moved, inputs, last, block = [], [], len(weights) - 1, x
    for number, layer in enumerate(architecture.layers):
        if layer.projects is not None:
            block, x = x, inputs[layer.projects]
        if not layer.kernel:
            x = x.reshape(len(x), -1)
        inputs.append(x)
        x = product(number, x, weights[number])
        if probes is not None:
            x = x + probes[number]
        if layer.pool > 1:
            x = pool(x, layer.pool)
        norm, statistics = model.norms[number], model.statistics[number]
        if statistics is None or norm.gain is None:
            x = x + norm.bias.reshape((1,) * (x.ndim - 1) + (-1,))
        else:
            x, statistics = batch_norm(x, norm.gain, norm.bias, statistics, training)
        moved.append(statistics)
        if layer.adds is not None:
            x = x + inputs[layer.adds]
        if layer.projects is not None:
            x = x + block
        if number < last and not layer.summed:
            x = activations.REGISTRY[architecture.activation](x)
        if layer.average != (1, 1):
            x = average(x, layer.average)
        if layer.dropout and dropout is not None:
            x = drop(x, layer.dropout, dropout[number])
    return x, tuple(moved), tuple(inputs)


def loss(scores: jax.Array, labels: jax.Array, name: str = "cross_entropy") -> jax.Array:
    """Return the mean loss of ``scores`` (float32[batch, classes]) against ``labels`` (int[batch]).

    ``squared_hinge`` is sum over the classes of max(0, 1 - t s)^2 with targets t of 1 and -1, as GXNOR-Net's.
    """
    if name == "squared_hinge":
        target = 2 * jax.nn.one_hot(labels, scores.shape[1]) - 1
        return jnp.mean(jnp.sum(jnp.maximum(0, 1 - target * scores) ** 2, axis=1))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None].astype(jnp.int32), axis=1))
