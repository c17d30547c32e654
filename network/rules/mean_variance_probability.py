r"""Volatile binary synapses: the control of a random gate is trained by the mean and the variance of what it gives.

After Ellis et al. (arXiv 2303.01886). A synapse is a wire that a domain wall passes, at each clock, with probability
p(w) = 1 - a / (1 + exp(b (w - w0))) of its analogue control w: the card's law ``passing``. With inputs x_i in 0 to 1
it fires with P_ij = x_i p(w_ij), and each is measured N times (``measurements``):

    Y_j     = sum_i Binomial(N, P_ij) / N                          what is measured
    mu_j    = sum_i P_ij,    sigma_j = sqrt(sum_i P_ij (1 - P_ij) / N + 1e-4)
    eps_j   = (Y_j - mu_j) / sigma_j                               the noise that has happened, taken as a constant
    out_j   = mu_j + eps_j sigma_j                                 numerically Y_j

    dL/dw_ij = sum over the batch of dL/dout_j p'(w_ij) x_i [1 + eps_j (1 - 2 P_ij) / (2 N sigma_j)]

The first term trains the mean, the second the variance: at N = 1 synapses harden to 0 or 1, for N to infinity
(``measurements: null``) the second vanishes. ``signed: true`` makes a weight of two wires, P+ - P-, because a wire
alone only excites. Controls are kept as b (w - w0); ``gain`` multiplies the optimiser's step (for a learning rate in
the units of w: b with adam, whose step does not follow the scale of the gradient, b^2 with sgd). ``scale_columns``
multiplies the columns by weight_range sqrt(3 / inputs), which networks of several layers need. ``initial_spread`` is
in the units of w.

Up to 16 measurements are drawn one by one (P to 2^-24). Of more, the number that fire is drawn at once: where inputs
are 0 or 1, by inversion of the binomial distribution of each synapse, which all images share (float32, to 1e-6);
elsewhere, 32 measurements at a time, bit by bit of P (to 2^-20).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import xlog1py, xlogy
from scipy.special import gammaln

from network import rng
from network.device import DeviceModel
from network.layers import Layer, Synapses
from network.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, uniform
from spinloom.errors import UserError

FLOOR = 1e-4  # under the root of sigma, as in the authors' code
FEW = 16  # measurements drawn one by one
WIDEST = 10  # in units of 1/b, of the first controls
BITS = 20  # of a probability, when 32 are drawn at once


class Memory(NamedTuple):
    """The stored controls, analogue in the device's world, 32-bit floats here."""

    control: tuple[jax.Array, ...]  # float32[wires, inputs, outputs] per layer
    optimizer: optax.OptState


def measure(key: jax.Array, step: jax.Array | int, probability: jax.Array, number: int) -> jax.Array:
    """Return Binomial(number, probability) / number for each value.

    Parameters
    ----------
    key, step : uint32[2], int32[]
        Name the random numbers.
    probability : jax.Array, float32[rows, columns]
    number : int

    Returns
    -------
    jax.Array, float32[rows, columns]
    """
    rows, columns = probability.shape
    total = jnp.zeros(probability.shape, jnp.int32)
    if number <= FEW:
        # 24 bits decide: all that a float between 0 and 1 can tell apart
        limit = jnp.round(probability * 2**24).astype(jnp.uint32)
        for first in range(0, number, 2):
            block = jnp.uint32(first // 2 * rows) + jax.lax.iota(jnp.uint32, rows)
            for word in rng.words(key, step, probability.shape, block)[: number - first]:
                total = total + ((word >> 8) < limit)
        return total.astype(jnp.float32) / number
    digits = jnp.minimum(jnp.round(probability * 2**BITS), 2**BITS).astype(jnp.uint32)
    sure = digits >> BITS  # probability 1 has no binary fraction
    for lane in range(0, number, 32):
        passed = jnp.zeros(probability.shape, jnp.uint32)
        for bit in range(0, BITS, 2):
            block = jnp.uint32(bit // 2 * rows) + jax.lax.iota(jnp.uint32, rows)
            # a stream for each 32 (the lowest bit is the second wire's): positions are only 32 bits wide
            for i, word in enumerate(rng.words(key ^ jnp.uint32(lane), step, probability.shape, block)):
                one = ((digits >> (bit + i)) & 1).astype(bool)
                passed = jnp.where(one, passed | word, passed & word)
        passed = jnp.where(sure.astype(bool), jnp.uint32(0xFFFFFFFF), passed)
        left = min(32, number - lane)
        total = total + jax.lax.population_count(passed >> (32 - left)).astype(jnp.int32)
    return total.astype(jnp.float32) / number


def measure_alike(key: jax.Array, step: jax.Array | int, x: jax.Array, p: jax.Array, number: int) -> jax.Array:
    """Return Binomial(number, p) / number for each image where its input is 1, and 0 where it is 0.

    Parameters
    ----------
    key, step : uint32[2], int32[]
        Name the random numbers.
    x : jax.Array, float32[batch, inputs]
        Of 0 and 1.
    p : jax.Array, float32[inputs, outputs]
    number : int

    Returns
    -------
    jax.Array, float32[batch, inputs * outputs]
    """
    p, count = p.ravel(), np.arange(number)
    ways = jnp.asarray(gammaln(number + 1) - gammaln(count + 1) - gammaln(number - count + 1), jnp.float32)

    def add(below, term):
        k, logarithm = term
        below = below + jnp.exp(logarithm + xlogy(k, p) + xlog1py(number - k, -p))
        return below, below

    k = jnp.arange(number, dtype=jnp.float32)
    _, distribution = jax.lax.scan(add, jnp.zeros_like(p), (k, ways))  # P(at most k fire), [number, synapses]
    table, synapse = distribution.ravel(), jnp.arange(len(p))[None]
    # a word for each, laid out as in `measure`
    chance = rng.fraction(rng.words(key, step, (len(x), len(p)))[0])
    fired = jnp.zeros(chance.shape, jnp.int32)
    for half in (1 << n for n in reversed(range(number.bit_length()))):  # bisection
        beyond = fired + half
        place = (jnp.minimum(beyond, number) - 1) * len(p) + synapse
        fired = jnp.where((beyond <= number) & (table[place] <= chance), beyond, fired)
    return jnp.repeat(x, len(p) // x.shape[1], axis=1) * fired.astype(jnp.float32) / number


class MeanVarianceProbability(Rule):
    """See the module text."""

    name = "mean_variance_probability"
    defaults = {"measurements": 1, "signed": False, "scale_columns": False, "initial_spread": 0.0, "gain": 1.0,
                "draws": 16}  # fmt: skip
    uses_device = False
    scale = "states"
    unit_inputs = True

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: dict):
        super().__init__(device, optimizer, options)
        self.needs(states=2, volatile=True)
        self.number_of = None if self.options["measurements"] is None else self.whole("measurements", 1, 4096)
        self.signed = self.choice("signed", (True, False))
        self.scaled = self.choice("scale_columns", (True, False))
        self.spread, self.draws = self.number("initial_spread", 0, 100), self.whole("draws", 1, 1000)
        self.gain = self.number("gain", 1e-6, 1e6)
        law = next((law for law in device.laws if law["law"] == "passing"), None)
        if law is None:
            raise UserError(f"card.json: laws: found no law 'passing', which {self.name} needs")
        self.w0, self.b, self.a = (float(law["parameters"][key]) for key in ("threshold", "slope", "amplitude"))
        if self.b * self.spread > WIDEST:
            raise UserError(
                f"network.rule_options.initial_spread: found {self.spread:g}, allowed 0 to {WIDEST / self.b:.3g}, "
                f"{WIDEST} widths of the card's law: wires further away always or never pass, and learn nothing"
            )
        self.reads_per_product = self.number_of or 0  # without measurements there is no device, only its mean
        self.mix = (1.0, -1.0) if self.signed else (1.0,)

    def passing(self, scaled: jax.Array) -> jax.Array:
        """Return p at the control w0 + scaled / b: the law in its own units."""
        return 1 - self.a * jax.nn.sigmoid(-scaled)

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, None]:
        """Set the controls to the threshold, where p is about a half, with a uniform spread if asked for."""
        control = tuple(
            self.b * self.spread * value.reshape(len(self.mix), *shape)
            for value, shape in zip(
                uniform(keys, tuple((len(self.mix) * i, o) for i, o in shapes)), shapes, strict=True
            )
        )
        return Memory(control, self.optimizer.transform.init(control)), None

    def weights(self, memory: Memory, arrays: None, context: Context) -> tuple[Synapses, ...]:
        """Return the controls; the product makes probabilities of them."""
        return tuple(Synapses(control) for control in memory.control)

    def product(self, layer: Layer, x: jax.Array, weights: Synapses, key: jax.Array, step: jax.Array) -> jax.Array:
        """Measure the columns (see the module text); x is float32[batch, inputs]."""
        if layer.kernel:
            raise UserError(f"network.layers: found a convolution, allowed dense layers for {self.name}")
        x = jnp.clip(x, 0, 1)  # noise on pictures may leave the range of probabilities
        total = 0.0
        for wire, sign in enumerate(self.mix):
            p = self.passing(weights.value[wire])
            mean = x @ p
            if self.number_of is None:
                total = total + sign * mean
                continue
            variance = (mean - (x * x) @ (p * p)) / self.number_of + FLOOR
            spread = jnp.sqrt(variance)
            fires = jax.lax.stop_gradient(x[:, :, None] * p[None])
            word_key = key ^ jnp.uint32(wire)  # another stream for the second wire
            flat = self.measured(word_key, step, x, jax.lax.stop_gradient(p), fires.reshape(len(x), -1))
            measured = flat.reshape(fires.shape).sum(axis=1)
            noise = jax.lax.stop_gradient((measured - mean) / spread)
            total = total + sign * (mean + noise * spread)
        return jnp.float32(layer.scale) * total if self.scaled else total

    def measured(self, key: jax.Array, step: jax.Array, x: jax.Array, p: jax.Array, fires: jax.Array) -> jax.Array:
        """Measure each synapse for each image, with the fastest way there is for these inputs."""
        number = self.number_of
        if number <= FEW:
            return measure(key, step, fires, number)
        return jax.lax.cond(
            jnp.all((x == 0) | (x == 1)),
            lambda: measure_alike(key, step, x, p, number),
            lambda: measure(key, step, fires, number),
        )

    def propose(self, memory: Memory, arrays: None, signals: Signals, context: Context) -> tuple[Memory, None]:
        """Take one optimiser step."""
        updates, state = self.optimizer.transform.update(signals.gradients, memory.optimizer, memory.control)
        return Memory(tuple(c + self.gain * u for c, u in zip(memory.control, updates, strict=True)), state), None

    def clocks(self, memory: Memory) -> list[float] | None:
        """Count the clocks of one product by the card's pulse of the nearest probability."""
        if self.number_of is None:
            return None
        of_pulse = self.device.transition[:, 0, 1]
        p = np.concatenate([np.asarray(self.passing(control)).ravel() for control in memory.control])
        nearest = np.abs(p[:, None] - of_pulse[None]).argmin(axis=1)
        return (np.bincount(nearest, minlength=len(of_pulse)) * float(self.reads_per_product)).tolist()

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the stored controls and the optimiser's moments."""
        return {"controls": bits(memory.control), "optimizer": bits(memory.optimizer)}
