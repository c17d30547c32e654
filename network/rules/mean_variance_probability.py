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

Inputs of the paper are 0 or 1. A grey one may be a rate, as above: a wall is sent at a share x_i of the clocks. Or it
is the amplitude at which the wire is read after each clock (``input_coding: amplitude``), as in any crossbar:

    Y_j = sum_i x_i Binomial(N, p_ij) / N,         sigma_j^2 = sum_i x_i^2 p_ij (1 - p_ij) / N + 1e-4

with the same mean; eps_j (1 - 2 P_ij) becomes eps_j x_i (1 - 2 p_ij). A wire that is sure then has no noise, where a
rate leaves x_i (1 - x_i) if it always passes. For inputs of 0 or 1 both are the same to the bit.

Devices. What is measured is what the devices do; the gradient's mu, sigma and p' are of the card's one law, because
nobody knows the law of each wire of an array. Each wire is one of the card's named instances i. If the card has their
own kernels, it passes with p(w) + d_i(w), d_i being linear between the pulses of the card; if they conduct unlike the
mean device, pinned wires add x_i l_ij to the column and passed ones x_i h_ij, l and h being 0 and 1 for the mean
device. A stuck wire stays in the state in which it was made. Reads are noisy: each of the N adds a Gaussian of the
variance of the read noise and of the spread within the state that is read, times x_i^2 if that is the amplitude. Rows
without input are not read.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from calibration.card import Kind
from network.model.layers import Layer, Noise
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, uniform
from network.rules.capabilities import Costs, Devices
from network.synapse import random_words
from network.synapse.device import DeviceModel
from network.synapse.measurement import measure
from network.synapse.sampling import Array
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

FLOOR = 1e-4  # under the root of sigma, as in the authors' code
WIDEST = 10  # in units of 1/b, of the first controls
KINDS = 3  # of each instance: free, stuck when pinned, stuck when passed


class Options(Section):
    """Options of mean_variance_probability."""

    measurements: Whole | None = key(
        "Number N of measurements of each synapse. With null, their mean is used, without noise.", 1, ge=1, le=4096
    )
    signed: Flag = key("With true, a weight is the difference of two wires.", False)
    scale_columns: Flag = key(
        "With true, columns are multiplied by weight_range sqrt(3 / inputs), which networks of several layers need.",
        False,
    )
    initial_spread: Real = key(
        "The controls start uniformly distributed within this distance of w0, in the SI unit of the card's drive.",
        0.0,
        ge=0,
        le=100,
    )
    gain: Real = key("Factor on the optimiser's step.", 1.0, ge=1e-6, le=1e6)
    input_coding: Literal["rate", "amplitude"] = key(
        "What an input between 0 and 1 is: the share of clocks at which a wall is sent (`rate`), or the "
        "voltage at which the wire is read (`amplitude`).",
        "rate",
    )
    draws: Whole = key("Number of tests of the trained network, each with its own random numbers.", 16, ge=1, le=1000)


class Memory(NamedTuple):
    """The stored controls, analogue in the device's world, 32-bit floats here."""

    control: tuple[jax.Array, ...]  # float32[wires, inputs, outputs] per layer
    optimizer: optax.OptState
    kind: tuple[jax.Array, ...] | None  # as in `Wires`, per layer; what the devices are, not something that is stored


class Wires(NamedTuple):
    """A layer's wires."""

    value: jax.Array  # float32[wires, inputs, outputs], the controls b (w - w0)
    # int32, KINDS x instance + 0 free, 1 stuck pinned, 2 stuck passed; None: all are the mean device
    kind: jax.Array | None = None


class MeanVarianceProbability(Rule[Options]):
    """See the module text."""

    name = "mean_variance_probability"
    kinds = (Kind.VOLATILE,)
    devices = Devices.CLOCKED
    scale = "states"

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(states=2, volatile=True)
        self.number_of, self.signed, self.scaled = options.measurements, options.signed, options.scale_columns
        self.spread, self.draws, self.gain = options.initial_spread, options.draws, options.gain
        self.amplitude = options.input_coding == "amplitude"
        law = next((law for law in device.laws if law["law"] == "passing"), None)
        if law is None:
            raise UserError(f"card.json: laws: found no law 'passing', allowed for {self.name}: a card with this law")
        self.w0, self.b, self.a = (float(law["parameters"][key]) for key in ("threshold", "slope", "amplitude"))
        if self.b * self.spread > WIDEST:
            raise UserError(
                f"network.rule_options.initial_spread: found {self.spread:g}, allowed: 0 to {WIDEST / self.b:.3g}, "
                f"which is {WIDEST} widths of the card's law; a wire beyond always or never passes its wall and learns "
                "nothing"
            )
        self.costs = Costs(reads_per_product=self.number_of or 0)  # measuring without end has no price
        self.mix = (1.0, -1.0) if self.signed else (1.0,)

        self._tabulate()

    @classmethod
    def effort(cls, options: Options) -> tuple[float, float]:
        """Return the work of a weight at each use, which is that of drawing, and at each step."""
        # measured with 196-10 and 196-200-10 in batches of 64, 30 November 2026. Two wires take 1.9 to 3.4 times as
        # long as one: XLA keeps eight arrays of a value for each image and weight where one wire needs three, and large
        # ones leave the cache
        wires, number = 2.6 if options.signed else 1.0, options.measurements
        return wires * (2.0 if number is None else 125.0 + 10.0 * number), wires * 35.0

    def _tabulate(self) -> None:
        """Make the tables of the instances."""
        device = self.device
        offset, gain = device.instance_weight[:, None], device.instance_gain[:, None]
        adds = (1 + device.state_weight[None] * gain + offset) / 2  # float32[I, 2], of a pinned and of a passed wire
        own = device.by_instance
        self.alike = own is None and not device.stuck and np.array_equal(adds, [[0.0, 1.0]])
        pinned, passed = adds.T
        self.pinned, self.step = jnp.asarray(pinned), jnp.asarray(passed - pinned)
        self.noise = (np.square(device.read_sd) + np.square(device.state_spread)) / 4  # float32[2], of one measurement
        self.knots, self.differ = jnp.zeros(0), jnp.zeros((0, 0))  # of instances that do not differ
        if own is not None:
            order = np.argsort(device.drive, kind="stable")
            self.knots = jnp.asarray(self.b * (device.drive[order] - self.w0), jnp.float32)
            # what the instances' counts say against the counts of all, so that chance they share is left out
            self.differ = jnp.asarray((own - device.transition)[:, order, 0, 1], jnp.float32)

    def passing(self, scaled: jax.Array) -> jax.Array:
        """Return p at the control w0 + scaled / b, the law in its own units; both float32[...]."""
        return 1 - self.a * jax.nn.sigmoid(-scaled)

    def passing_of(self, scaled: jax.Array, kind: jax.Array | None) -> jax.Array:
        """Return p of the wires as they are (see the module text); arguments float32 and int32 of the same shape."""
        p = self.passing(scaled)
        if kind is None:
            return p
        instance, stuck = kind // KINDS, kind % KINDS
        return jnp.where(stuck == 0, self._moved(p, scaled, instance) if self.differ.size else p, stuck - 1.0)

    def _moved(self, p: jax.Array, scaled: jax.Array, instance: jax.Array) -> jax.Array:
        """Return p of each instance at ``scaled``, given that of the mean device."""
        last = len(self.knots) - 1
        right = jnp.clip(jnp.searchsorted(self.knots, scaled), 1, last)
        low, high = self.knots[right - 1], self.knots[right]
        share = jnp.clip((scaled - low) / jnp.maximum(high - low, 1e-30), 0, 1)  # pulses may be alike
        more = (1 - share) * self.differ[instance, right - 1] + share * self.differ[instance, right]
        return jnp.clip(p + more, 0, 1)

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, None]:
        """Set the controls to the threshold, where p is about a half, with a uniform spread if asked for."""
        flat = tuple((len(self.mix) * inputs, outputs) for inputs, outputs in shapes)
        control = tuple(
            self.b * self.spread * value.reshape(len(self.mix), *shape)
            for value, shape in zip(uniform(keys, flat), shapes, strict=True)
        )
        kind = None
        if not self.alike:
            kind = tuple(
                self._made(key, size).reshape(len(self.mix), *shape)
                for key, size, shape in zip(keys, flat, shapes, strict=True)
            )
        return Memory(control, self.optimizer.transform.init(control), kind), None

    def _made(self, key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        """Draw the kinds of new wires."""
        which, stuck = random_words.words(key, 1, shape)  # the first controls are step 0
        state = random_words.fraction(random_words.words(key, 2, shape)[0]) >= jnp.float32(self.device.occupancy[0])
        instance = (which % jnp.uint32(len(self.device.instance_weight))).astype(jnp.int32)
        return KINDS * instance + jnp.where(
            random_words.fraction(stuck) < self.device.stuck, 1 + state.astype(jnp.int32), 0
        )

    def weights(self, memory: Memory, arrays: tuple[Array, ...], context: Context) -> tuple[Wires, ...]:
        """Return the controls; the product makes probabilities of them."""
        kinds = memory.kind or (None,) * len(memory.control)
        return tuple(Wires(*of_layer) for of_layer in zip(memory.control, kinds, strict=True))

    def product(self, layer: Layer, x: jax.Array, weights: Wires, noise: Noise) -> jax.Array:
        """Measure the columns (see the module text); x is float32[batch, inputs].

        Raises
        ------
        UserError
            If the layer is a convolution.
        """
        if layer.kernel:
            raise UserError(f"network.layers: found a convolution, allowed: dense layers for {self.name}")
        x = jnp.clip(x, 0, 1)  # noise on pictures may leave the range of probabilities
        total: jax.Array | float = 0.0
        for wire, sign in enumerate(self.mix):
            p = self.passing(weights.value[wire])
            mean = x @ p
            variance = FLOOR
            if self.number_of is not None:
                first = (x * x) @ p if self.amplitude else mean
                variance = (first - (x * x) @ (p * p)) / self.number_of + FLOOR
            spread = jnp.sqrt(variance)
            measured = self.measured(wire, x, jax.tree.map(lambda leaf, wire=wire: leaf[wire], weights), noise)
            happened = 0.0 if measured is None else jax.lax.stop_gradient((measured - mean) / spread)
            total = total + sign * (mean + happened * spread)
        return jnp.float32(layer.scale) * total if self.scaled else jnp.asarray(total)

    def column_unit(self, layer: Layer) -> float:
        """Return the column value of uniform weights and unit inputs."""
        return 1.0 if self.scaled else (layer.inputs / 3) ** 0.5

    def measured(self, wire: int, x: jax.Array, weights: Wires, noise: Noise) -> jax.Array | None:
        """Return the columns of one wire of each weight as they are measured, float32[batch, outputs]; None: the mean.

        ``wire`` is its number; ``weights`` holds [inputs, outputs].
        """
        x, kind, number = jax.lax.stop_gradient(x), weights.kind, self.number_of
        p = self.passing_of(jax.lax.stop_gradient(weights.value), kind)
        own = None if kind is None else (self.pinned[kind // KINDS], self.step[kind // KINDS])
        if number is None:
            return None if own is None else x @ (own[0] + own[1] * p)
        key = noise.key ^ jnp.uint32(2 * wire)  # streams of its own
        shape = (len(x), *p.shape)
        grey = x[:, :, None]
        sent, read = (1.0, grey) if self.amplitude else (grey, 1.0)  # share of the clocks, amplitude of the reads
        chance = jnp.broadcast_to(sent * p[None], shape)
        share = measure(key, noise.step, chance.reshape(len(x), -1), number).reshape(shape)
        signal = read * share
        passed = signal.sum(axis=1)
        columns = passed if own is None else x @ own[0] + jnp.einsum("bio,io->bo", signal, own[1])
        if np.any(self.noise > 0):
            of_passed, of_all = (read * signal).sum(axis=1), jnp.asarray(sent * read * read).sum(axis=1)
            variance = self.noise[0] * (of_all - of_passed) + self.noise[1] * of_passed
            deviate = random_words.normal(key ^ jnp.uint32(1), noise.step, columns.shape)
            columns = columns + jnp.sqrt(jnp.maximum(variance, 0) / number) * deviate
        return columns

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, None]:
        """Take one optimiser step."""
        updates, state = self.optimizer.transform.update(signals.gradients, memory.optimizer, memory.control)
        control = tuple(c + self.gain * u for c, u in zip(memory.control, jax.tree.leaves(updates), strict=True))
        return memory._replace(control=control, optimizer=state), None

    def clocks(self, memory: Memory) -> list[float] | None:
        """Count the clocks of one product by the card's pulse of the nearest probability."""
        if self.number_of is None:
            return None
        of_pulse = self.device.transition[:, 0, 1]
        p = np.concatenate([np.asarray(self.passing(control)).ravel() for control in memory.control])
        nearest = np.abs(p[:, None] - of_pulse[None]).argmin(axis=1)
        return (np.bincount(nearest, minlength=len(of_pulse)) * float(self.costs.reads_per_product)).tolist()

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the stored controls and the optimiser's moments."""
        return {"controls": bits(memory.control), "optimizer": bits(memory.optimizer)}


RULE = MeanVarianceProbability
