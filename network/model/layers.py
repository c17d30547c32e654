"""The parts of a network: an array's product with read noise and converters, pooling, digital batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from network.crossbar.converters import beyond, quantise
from network.model.architecture import Layer
from network.model.read_noise import deviates
from network.sections import Converters
from network.synapse import random_words

MOMENTUM = 0.9  # of the running statistics
EPSILON = 1e-5
WINDOWS = 2**18  # values of windows that are cut at once on a CPU: 1 MB, about its cache


class Synapses(NamedTuple):
    """A layer's weights as they are read."""

    value: jax.Array  # float32[inputs, outputs]
    variance: jax.Array | None = None  # of a read: float32[] if equal for all, else float32[inputs, outputs]


class Noise(NamedTuple):
    """Names the random numbers of one read of one layer."""

    key: jax.Array  # uint32[2]
    step: jax.Array | int


class Norm(NamedTuple):
    """Trained digital parameters of a layer, float32[outputs] each; ``gain`` is None without normalisation."""

    gain: jax.Array | None
    bias: jax.Array


class Statistics(NamedTuple):
    """Running statistics of a batch normalisation, float32[outputs] each."""

    mean: jax.Array
    variance: jax.Array


def windows(x: jax.Array, layer: Layer) -> jax.Array:
    """Return what enters a convolution's array at each place, float32[batch, rows, columns, inputs].

    That is how an array computes a convolution. It is also much faster than XLA's convolution here: the gradient of
    its weights falls back to a plain loop on a CPU (40 times slower).
    """
    side = layer.kernel
    if layer.padded:
        before = (side - 1) // 2
        x = jnp.pad(x, ((0, 0), (before, side - 1 - before), (before, side - 1 - before), (0, 0)))
    rows, columns = ((side - 1) * layer.stride + 1 for side in layer.places)
    # along the columns first: copies of a few channels each are slow, and only a part of them is left
    x = jnp.concatenate([x[:, :, j : j + columns : layer.stride, :] for j in range(side)], axis=-1)
    x = jax.lax.optimization_barrier(x)  # else both copies are fused into one
    return jnp.concatenate([x[:, i : i + rows : layer.stride] for i in range(side)], axis=-1)


def read(x: jax.Array, synapses: Synapses, layer: Layer, noise: Noise) -> jax.Array:
    """Return the column currents, scaled to about unit size.

    Independent Gaussian noise of sd sigma_ij on every weight adds to column j Gaussian noise of variance
    ``sum_i x_i^2 sigma_ij^2``; drawing it at the column is exact for one product and needs outputs instead of
    inputs x outputs draws.

    Parameters
    ----------
    x : jax.Array, float32[batch, inputs] or float32[batch, rows, columns, channels]
    synapses : Synapses
        The rows of a convolution: window row, window column, channel, the last fastest.
    layer : Layer
    noise : Noise

    Returns
    -------
    jax.Array, float32[batch, outputs] or float32[batch, rows, columns, outputs]
    """
    if layer.kernel:
        return jnp.float32(layer.scale) * _convolved(x, synapses, layer, noise)
    return jnp.float32(layer.scale) * _noisy(x @ synapses.value, _read_variance(x, synapses), noise)


def _read_variance(entering: jax.Array, synapses: Synapses) -> jax.Array | None:
    """Return the variance of the columns' noise, float32[rows, outputs] or float32[rows, 1]; None without noise."""
    variance = synapses.variance
    if variance is None:
        return None
    square = jax.lax.stop_gradient(entering * entering)
    return square.sum(-1, keepdims=True) * variance if variance.ndim == 0 else square @ variance


def _noisy(current: jax.Array, variance: jax.Array | None, noise: Noise) -> jax.Array:
    if variance is None:
        return current
    return current + jnp.sqrt(variance) * deviates(noise.key, noise.step, current.shape)


def _convolved(x: jax.Array, synapses: Synapses, layer: Layer, noise: Noise) -> jax.Array:
    """Return the column currents of a convolution; parameters and return as of `read`.

    A CPU takes a few images at a time: their windows stay in its cache, and the backward pass cuts them again instead
    of reading them from memory.
    """

    def some(images: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        # as a matrix: where XLA has to contract several axes, the weights' gradient takes up to three times as long
        entering = windows(images, layer).reshape(-1, layer.inputs)
        return entering @ value, _read_variance(entering, synapses)

    batch, count = len(x), together(len(x), layer)
    if count == batch:
        current, variance = some(x, synapses.value)
    else:
        again = jax.checkpoint(some)
        parts = x.reshape(batch // count, count, *x.shape[1:])
        current, variance = jax.lax.map(lambda images: again(images, synapses.value), parts)
        current, variance = jax.tree.map(lambda a: a.reshape(-1, a.shape[-1]), (current, variance))
    return _noisy(current, variance, noise).reshape(batch, *layer.places, -1)


def together(batch: int, layer: Layer) -> int:
    """Return how many of ``batch`` images' windows are cut at once: a divisor that fills `WINDOWS`, else all.

    A GPU has no such cache and wants large products.
    """
    most = max(1, WINDOWS // (layer.uses * layer.inputs))
    fitting = [count for count in range(1, batch + 1) if batch % count == 0 and most / 4 <= count <= most]
    return max(fitting, default=batch) if jax.default_backend() == "cpu" else batch


class Clipping:
    """Gathers which shares of a layer's conversions end at full scale; each list has one float32[] per conversion."""

    def __init__(self):
        self.dac: list[jax.Array] = []
        self.adc: list[jax.Array] = []


def driven(
    x: jax.Array, converters: Converters, first: bool, signed: bool, clipping: Clipping | None = None
) -> jax.Array:
    """Return what the rows' converters make of ``x``.

    Parameters
    ----------
    x : jax.Array, float32[...]
    converters : Converters
    first : bool
        Whether ``x`` are pictures (of at most 1) and not hidden values.
    signed : bool
        Whether ``x`` may be negative: if not, the converters have all their levels above 0.
    clipping : Clipping or None
        Is told the share that ends at full scale.
    """
    if not converters.dac_bits:
        return x
    full_scale = 1.0 if first else converters.dac_full_scale
    if clipping is not None:
        clipping.dac.append(beyond(x, converters.dac_bits, full_scale, signed))
    return quantise(x, converters.dac_bits, full_scale, signed)


def converted(
    current: jax.Array, converters: Converters, unit: float = 1.0, clipping: Clipping | None = None
) -> jax.Array:
    """Return the column currents, float32[...], after the converters, whose full scale is in units of ``unit``."""
    if not converters.adc_bits:
        return current
    full_scale = converters.adc_full_scale * unit
    if clipping is not None:
        clipping.adc.append(beyond(current, converters.adc_bits, full_scale, signed=True))
    return quantise(current, converters.adc_bits, full_scale, signed=True)


def in_groups(
    product: Callable,
    layer: Layer,
    x: jax.Array,
    weights: Any,
    noise: Noise,
    rows: int,
    converters: Converters,
    unit: float,
    clipping: Clipping | None = None,
) -> jax.Array:
    """Return the column values of an array whose rows are read and converted in groups, which are added as numbers.

    The full scale of a group's converter is that of the whole column times the root of the group's share of the rows:
    the spread of a sum of independent currents.

    Parameters
    ----------
    product : callable
        ``product(layer, x, weights, noise)``: the column values of some rows.
    layer : Layer
    x : jax.Array, float32[batch, inputs] or float32[batch, rows, columns, channels]
    weights : Any
        A pytree; arrays of two axes are [inputs, outputs].
    noise : Noise
        Each group draws noise of its own.
    rows : int
        Of a group, less than the layer has.
    converters : Converters
    unit : float
        See `converted`.
    clipping : Clipping or None
        Is told of each group's conversions.

    Returns
    -------
    jax.Array, float32[batch, outputs] or float32[batch, rows, columns, outputs]
    """  # fmt: skip
    entering = x if not layer.kernel else windows(x, layer)
    dense = replace(layer, kernel=0)
    starts = range(0, layer.inputs, rows)
    found = None
    for number, start in enumerate(starts):
        stop = min(start + rows, layer.inputs)
        part = jax.tree.map(lambda leaf, a=start, b=stop: leaf[a:b] if leaf.ndim == 2 else leaf, weights)
        own = Noise(noise.key, noise.step * len(starts) + number)
        current = product(dense, entering[..., start:stop], part, own)
        value = converted(current, converters, unit * ((stop - start) / layer.inputs) ** 0.5, clipping)
        found = value if found is None else found + value
    assert found is not None
    return found


def pool(x: jax.Array, side: int) -> jax.Array:
    """Return the maximum over squares of ``side``; x is float32[batch, rows, columns, channels]."""
    batch, rows, columns, channels = x.shape
    return x.reshape(batch, rows // side, side, columns // side, side, channels).max((2, 4))


def average(x: jax.Array, sides: tuple[int, int]) -> jax.Array:
    """Return the mean over rectangles of ``sides`` rows and columns; x is float32[batch, rows, columns, channels]."""
    batch, rows, columns, channels = x.shape
    return x.reshape(batch, rows // sides[0], sides[0], columns // sides[1], sides[1], channels).mean((2, 4))


def drop(x: jax.Array, share: float, noise: Noise) -> jax.Array:
    """Return ``x``, float32[batch, ...], with a ``share`` of its values set to 0, the others scaled by 1/(1 - share).

    The mean of each value stays what it is (Srivastava et al., JMLR 15, 1929 (2014)), so nothing is scaled without
    dropout.
    """
    word, _ = random_words.words(noise.key, noise.step, (len(x), x[0].size))
    kept = random_words.fraction(word).reshape(x.shape) >= share
    return jnp.where(kept, x / jnp.float32(1 - share), 0.0)


def batch_norm(
    x: jax.Array, gain: jax.Array, bias: jax.Array, statistics: Statistics, training: bool
) -> tuple[jax.Array, Statistics]:
    """Normalise each column over the batch and its places (Ioffe and Szegedy, arXiv 1502.03167).

    Parameters
    ----------
    x : jax.Array, float32[..., outputs]
    gain, bias : jax.Array, float32[outputs]
    statistics : Statistics
    training : bool
        Use the batch's own mean and variance and move the running statistics; else use the running ones.
    """
    mean, variance = statistics
    if training:
        axes = tuple(range(x.ndim - 1))
        mean, variance = jnp.mean(x, axis=axes), jnp.var(x, axis=axes)
        statistics = Statistics(
            *(
                MOMENTUM * old + (1 - MOMENTUM) * jax.lax.stop_gradient(new)
                for old, new in zip(statistics, (mean, variance), strict=True)
            )
        )
    factor = gain * jax.lax.rsqrt(variance + EPSILON)
    wide = (1,) * (x.ndim - 1) + (-1,)
    return (x - mean.reshape(wide)) * factor.reshape(wide) + bias.reshape(wide), statistics
