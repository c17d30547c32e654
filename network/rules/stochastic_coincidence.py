r"""Stochastic coincidence: pulse trains on rows and columns whose overlap is the outer product.

The rule of Babu and Rajendran (arXiv 1711.03640) with the pulse trains of Gokmen and Vlasov (Front. Neurosci. 10, 333
(2016)). One image at a time; in each of BL slots (``slots``) row i fires with probability C_x |x_i| and column j with
C_d |delta_j|. Every coincidence is one pulse to the device at the crossing, up or down against the sign of
x_i delta_j. With Dw the mean step of a weight per pulse, rate the learning rate and s the column value of one input
and weight 1 (so that the true weight is s w),

    C_x = C_d = sqrt(rate / (s BL Dw)),      E[s dw_ij] = -rate x_i delta_j,      Var[n_ij] = BL p (1 - p),

p = rate |x_i delta_j| / (s BL Dw). The learning rate is that of the true weight, as in the papers. Probabilities end at
1: what saturates is lost. ``update_management`` shares the factor between rows and columns, C_x/C_d =
max|delta| / max|x|, so that neither side saturates before the other. n pulses to a device are n draws of its kernel
(one draw of the kernel's n-th power).

Fine steps from coarse devices (each an ablation of the plain rule):

``pair``
    a weight is half the difference of two devices; pulses go to the one in even steps and, reversed, to the other in
    odd steps. Twice the levels, half the step.
``tiles``, ``ratio``, ``carry_every``
    a weight is the sum of tiles, each ``ratio`` times as significant as the one before (the significance of multi-tile
    residual learning, arXiv 2510.02516); 1/``ratio`` is whole. Pulses go to the last tile. Every ``carry_every`` steps
    each tile but the first is read, and what amounts to whole steps of the tile before is carried there by pulses: one
    up there, 1/``ratio`` down here. The weights are kept by devices alone, there is no float memory.

``initial_spread`` is the part of the range over which the first weights are spread. Devices leave the factory at any
level. They are brought to their place by pulses down until they move no more and pulses up from there, all of which
count as writes.
"""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from calibration.card import Kind
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, uniform
from network.rules.capabilities import Costs
from network.synapse import pulse_trains, sampling
from network.synapse.device import DeviceModel
from network.synapse.pulse_trains import Trains
from network.synapse.sampling import Alphabet, Array, Plan
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

PLACES = 32  # to which a device can be brought at first
STILL = 0.01  # of a step: a device that moves less per pulse has arrived
LONGEST = 1000  # pulses of an erasure


class TrainOptions(Section):
    """Options of pulse trains."""

    slots: Whole = key("Slots of a pulse train.", 10, ge=1, le=31)
    gain: Real = key("Factor of the learning rate for the devices.", 1.0, ge=1e-6, le=1e6)
    update_management: Flag = key(
        "Rows and columns share the factor of their probabilities so that neither saturates before the other.", True
    )
    initial_spread: Real = key("Part of the range over which the first weights are spread.", 0.5, ge=0, le=1)


class Options(TrainOptions):
    """Options of stochastic_coincidence."""

    pair: Flag = key("A weight is half the difference of two devices.", False)
    tiles: Whole = key("Tiles whose sum is a weight.", 1, ge=1, le=6)
    ratio: Real = key("Significance of a tile over that of the one before; 1/ratio is whole.", 0.125, ge=1e-3, le=1)
    carry_every: Whole = key("Steps between two carries from tile to tile.", 100, ge=1, le=10**9)


class StochasticCoincidence(Rule[Options]):
    """See the module text. The optimiser serves the digital parameters; the devices take its learning rate alone."""

    name = "stochastic_coincidence"
    kinds = (Kind.STEPS, Kind.SWITCHING)
    scale = "states"
    outer = True

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(volatile=False, destructive_read=False, reset_before_write=False)
        self.slots, self.gain, self.managed = options.slots, options.gain, options.update_management
        self.pair, self.tiles, self.ratio = options.pair, options.tiles, options.ratio
        self.every, self.spread = options.carry_every, options.initial_spread
        of_tile = (0.5, -0.5) if self.pair else (1.0,)
        self.mix = tuple(factor * self.ratio**tile for tile in range(self.tiles) for factor in of_tile)

        step = np.einsum("kst,t->ks", device.transition, device.state_weight) - device.state_weight
        mean = step @ device.occupancy
        if len(mean) != 2 or not mean.min() < 0 < mean.max():
            raise UserError(
                f"pulses.csv: found {len(mean)} pulses, allowed one that raises the conductance and one that lowers it "
                "(choose them by network.device.pulses)"
            )
        self.up, self.down = int(np.argmax(mean)), int(np.argmin(mean))
        # in the middle half of the range: at the ends it cuts the steps
        inner = slice(len(device.states) // 4, len(device.states) - len(device.states) // 4)
        self.one = float((step[self.up, inner].mean() - step[self.down, inner].mean()) / 2)  # a device's step
        self.fine = self.one * abs(self.mix[-1])  # of the weight, by a pulse in the last tile
        self.most = max(self.slots, min(31, len(device.states) - 1))
        self.costs = Costs(state_reads_per_step=(self.tiles - 1) / self.tiles / self.every)
        # whole steps that all tiles can hand on at once with ``most`` pulses each
        self.largest = int(self.most * self.ratio / (1 + self.ratio) + 1e-9)
        if self.tiles > 1:
            self.interval = self.every
            high = min(self.most - 1, int((2 if self.pair else 1) / self.one))
            if abs(1 / self.ratio - round(1 / self.ratio)) > 1e-6 or round(1 / self.ratio) > high:
                raise UserError(
                    f"network.rule_options.ratio: found {self.ratio:g}, allowed 1/n with n = 1 to {high} (a tile of "
                    f"{len(device.states)} states cannot hold n of its steps for more)"
                )
        self.erase, self.raised, self.placed = self.places()

    def places(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Return how devices are brought to their first weights.

        Returns
        -------
        erase : int
            Pulses down that come first.
        raised : ndarray, int64[places]
            Pulses up that follow, for each of at most `PLACES` places.
        mean : ndarray, float64[places]
            Mean weight at each place, rising.
        """

        def moved(pulse: int, occupancy: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
            means = [occupancy @ self.device.state_weight]
            while len(means) <= LONGEST:
                occupancy = occupancy @ self.device.transition[pulse]
                means.append(occupancy @ self.device.state_weight)
                if abs(means[-1] - means[-2]) < STILL * self.one:
                    break
            return occupancy, means

        highest = np.eye(len(self.device.states))[np.argmax(self.device.state_weight)]
        lowest, down = moved(self.down, highest)
        means = np.maximum.accumulate(moved(self.up, lowest)[1])
        raised = np.unique(np.round(np.linspace(0, len(means) - 1, PLACES)).astype(np.int64))
        return len(down) - 1, raised, means[raised]

    def alphabet(self) -> Alphabet:
        """Return the pulses repeated 1 to ``most`` times, then the way to each of the `places`."""
        pulse_trains, one = sampling.repeated(self.device, self.most), sampling.alphabet(self.device).transition
        erased, up = np.linalg.matrix_power(one[..., self.down, :, :], self.erase), one[..., self.up, :, :]
        ways = np.stack([erased @ np.linalg.matrix_power(up, n) for n in self.raised], axis=-3)
        pulses = np.zeros((len(self.raised), 2), np.int64)
        pulses[:, self.down], pulses[:, self.up] = self.erase, self.raised
        return Alphabet(
            np.concatenate([pulse_trains.transition, ways], axis=-3), np.concatenate([pulse_trains.pulses, pulses])
        )

    def command(self, pulse: int | jax.Array, times: jax.Array) -> jax.Array:
        """Return the commands, int16[...], "``times`` times ``pulse``"."""
        return (pulse * self.most + jnp.maximum(times, 1) - 1).astype(jnp.int16)

    def init(self, keys: Keys, shapes: Shapes) -> tuple[tuple, tuple[Plan, ...]]:
        """Ask for each device to be brought to the place nearest to a weight that is uniform about 0."""
        middle = jnp.asarray((self.placed[1:] + self.placed[:-1]) / 2, jnp.float32)
        plans = []
        for stream, (inputs, outputs) in zip(keys, shapes, strict=True):
            (value,) = uniform((stream,), ((len(self.mix) * inputs, outputs),))
            place = jnp.searchsorted(middle, self.spread * value.reshape(-1, inputs, outputs))
            plans.append(Plan((2 * self.most + place).astype(jnp.int16), jnp.ones(place.shape, bool)))
        return (), tuple(plans)

    def propose(
        self, memory: tuple, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[tuple, tuple[Trains, ...]]:
        """Draw the pulse trains."""
        rate = self.gain * self.optimizer.rate(context.step)
        layers = zip(context.keys, signals.inputs, signals.errors, signals.scales, strict=True)
        return memory, tuple(self.trains(key, context.step, x[0], e[0], rate / scale) for key, x, e, scale in layers)

    def trains(self, key: jax.Array, step: jax.Array, x: jax.Array, error: jax.Array, rate: jax.Array) -> Trains:
        """Return the trains of one step for the last tile: this step's device of a pair, reversed for the second.

        Parameters
        ----------
        key, step : uint32[2], int32[]
            Name the random numbers.
        x, error : jax.Array, float32[inputs], float32[outputs]
        rate : jax.Array, float32[]
            Learning rate of the weight between -1 and 1.
        """
        factor = jnp.sqrt(rate / (self.slots * self.fine))
        share = 1.0
        if self.managed:
            share = jnp.sqrt((jnp.max(jnp.abs(error)) + 1e-30) / (jnp.max(jnp.abs(x)) + 1e-30))
        rows = pulse_trains.drawn(key, 2 * step, factor * share * jnp.abs(x), self.slots)
        columns = pulse_trains.drawn(key, 2 * step + 1, factor / share * jnp.abs(error), self.slots)
        second = (step % 2 == 1) if self.pair else jnp.bool_(False)
        pulses = jnp.where(second, jnp.array([self.down, self.up]), jnp.array([self.up, self.down]))
        device = len(self.mix) - (2 if self.pair else 1) + second.astype(jnp.int32)
        commands = self.command(pulses, jnp.ones(2, jnp.int32)).astype(jnp.int32)
        return Trains(rows, columns, x > 0, error > 0, device, commands)

    def maintain(self, arrays: tuple[Array, ...]) -> tuple[Plan, ...]:
        """Carry."""
        return tuple(self.carry(array) for array in arrays)

    def carry(self, array: Array) -> Plan:
        """Return pulses that move whole steps of each tile from the one after it.

        The first devices of the pairs do it; every tile hands on by what it holds when it is read. What is more than
        the pulses of one command can move is left for the next time: the sum of the tiles must stay.
        """
        each = 2 if self.pair else 1
        held = [
            sum(array.weight[tile * each + d] * f for d, f in enumerate((0.5, -0.5) if self.pair else (1.0,)))
            for tile in range(self.tiles)
        ]
        unit = self.one * (0.5 if self.pair else 1.0)  # of a tile's own weight, by one pulse
        amount = [jnp.zeros_like(held[0])] * self.tiles
        for high, low in pairwise(range(self.tiles)):
            whole = jnp.clip(jnp.trunc(self.ratio * held[low] / unit), -self.largest, self.largest)
            amount[high] = amount[high] + whole
            amount[low] = amount[low] - jnp.round(whole / self.ratio)
        commands, given = [], []
        for tile in range(self.tiles):
            times = jnp.abs(amount[tile]).astype(jnp.int32)
            pulse = jnp.where(amount[tile] < 0, self.down, self.up)
            commands.append(self.command(pulse, times))
            given.append(times > 0)
            if self.pair:
                commands.append(jnp.zeros_like(commands[-1]))
                given.append(jnp.zeros_like(given[-1]))
        return Plan(jnp.stack(commands), jnp.stack(given))

    def memory_bits(self, memory: tuple) -> dict[str, int]:
        """Return no memory: there is none per synapse."""
        return {}


RULE = StochasticCoincidence
