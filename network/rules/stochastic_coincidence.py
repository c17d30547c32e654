r"""Stochastic coincidence: pulse trains on rows and columns whose overlap is the outer product.

The rule of Babu and Rajendran (arXiv 1711.03640) with the pulse trains of Gokmen and Vlasov (Front. Neurosci. 10, 333
(2016)). One image at a time; in each of BL slots (``slots``) row i fires with probability C_x |x_i| and column j with
C_d |delta_j|. Every coincidence is one pulse to the device at the crossing, up or down against the sign of
x_i delta_j. With Dw the mean step of a weight per pulse, rate the learning rate and s the column value of one input
and weight 1 (so that the true weight is s w),

    C_x = C_d = sqrt(rate / (s BL Dw)),      E[s dw_ij] = -rate x_i delta_j,      Var[n_ij] = BL p (1 - p),

p = rate |x_i delta_j| / (s BL Dw). Dw is the mean step of the pulse that is given: where up and down differ, so do the
probabilities of the columns (``mean_step: direction``). With ``both`` it is the mean of the two, and the weight drifts
by the rest. The learning rate is that of the true weight, as in the papers. Probabilities end at 1: what saturates is
lost. ``update_management`` shares the factor between rows and columns, C_x/C_d = max|delta| / max|x|, so that neither
side saturates before the other. n pulses to a device are n draws of its kernel (one draw of the kernel's n-th power).

``pulses`` says what a driver gives:

``whole``
    the trains above.
``ladder``
    one pulse per device and step, of the card's several widths or voltages: the two whose mean steps are next to the
    wanted change are drawn from, so that the mean is right; below the smallest, it or nothing. The strongest may come
    up to ``slots`` times. The driver knows x_i and delta_j and goes through the array device by device.
``fractional``
    any fraction of a pulse, for comparison with programs that have no pulses (`network.synapse.fractions`): no device
    can do it.

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
count as writes; or, with a ``tolerance``, in a closed loop (`network.synapse.write_verify`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from calibration.card import Kind
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, uniform
from network.rules.capabilities import Costs
from network.synapse import fractions, pulse_ladder, pulse_trains, random_words, sampling, up_down, write_verify
from network.synapse.device import DeviceModel
from network.synapse.fractions import Fractions
from network.synapse.pulse_trains import Trains
from network.synapse.sampling import Alphabet, Array, Plan
from network.synapse.write_verify import Targets
from spinloom.declare import Flag, Real, Whole, key
from spinloom.errors import UserError

PLACES = 32  # to which a device can be brought at first
STILL = 0.01  # of a step: a device that moves less per pulse has arrived
LONGEST = 1000  # pulses of an erasure


class TrainOptions(write_verify.Options):
    """Options of pulse trains."""

    slots: Whole = key("Number of slots of a pulse train.", 10, ge=1, le=31)
    gain: Real = key("Factor on the learning rate, for the devices only.", 1.0, ge=1e-6, le=1e6)
    update_management: Flag = key(
        "With true, the probabilities of rows and columns are balanced, so that neither saturates first.", True
    )
    initial_spread: Real = key("Part of the range over which the first weights are spread.", 0.5, ge=0, le=1)


class Options(TrainOptions):
    """Options of stochastic_coincidence."""

    pulses: Literal["whole", "ladder", "fractional"] = key(
        "What the driver gives for a wanted change: `whole` pulses of one kind, a `ladder` of several widths "
        "or voltages, or a `fractional` number of pulses, which no device can do (docs/rules/steps.md).",
        "whole",
    )
    mean_step: Literal["direction", "both"] = key(
        "Step by which a wanted change is divided: that of the pulse given (`direction`), or the mean of up "
        "and down (`both`).",
        "direction",
    )
    pair: Flag = key("With true, a weight is half the difference of two devices.", False)
    tiles: Whole = key("Number of devices, or pairs, whose weighted sum is a weight.", 1, ge=1, le=6)
    ratio: Real = key("Significance of a tile relative to the one before. 1/ratio must be whole.", 0.125, ge=1e-3, le=1)
    carry_every: Whole = key("Number of steps from one carry between tiles to the next.", 100, ge=1, le=10**9)


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

        self.pulses = options.pulses
        steps = up_down.steps(device, several=self.pulses == "ladder")
        self.strongest = steps.strongest  # pulses of the card that are told by their places here: up and down
        self.up, self.down = (self.strongest.index(side[-1]) for side in (steps.ups, steps.downs))
        sizes = steps.size[list(self.strongest)]
        self.one = float((sizes[self.up] + sizes[self.down]) / 2)  # a device's step
        if np.isclose(*sizes, rtol=1e-6, atol=0):  # equal, but for the digits of the weights
            sizes = np.full(2, self.one)
        # of each place; what changes are divided by
        self.each, self.sizes = sizes, sizes if options.mean_step == "direction" else np.full(2, self.one)
        self.fine = self.one * abs(self.mix[-1])  # of the weight, by a pulse in the last tile
        self.most = max(self.slots, min(31, len(device.states) - 1))
        self.costs = Costs(state_reads_per_step=(self.tiles - 1) / self.tiles / self.every)
        # whole steps that all tiles can hand on at once with ``most`` pulses each
        uneven = float(self.sizes.max() / self.sizes.min())
        self.largest = int(self.most * self.ratio / (uneven + self.ratio) + 1e-9)
        if self.tiles > 1 and self.pulses == "fractional":
            raise UserError(f"network.rule_options.tiles: found {self.tiles}, allowed: 1 with pulses: fractional")
        if options.mean_step == "both" and self.pulses == "ladder":
            raise UserError("network.rule_options.mean_step: found both, allowed: direction with pulses: ladder")
        if self.tiles > 1:
            self.interval = self.every
            high = min(self.most - 1, int((2 if self.pair else 1) / self.one))
            if abs(1 / self.ratio - round(1 / self.ratio)) > 1e-6 or round(1 / self.ratio) > high:
                raise UserError(
                    f"network.rule_options.ratio: found {self.ratio:g}, allowed: 1/n with n = 1 to {high} (for a "
                    f"larger n, a tile of {len(device.states)} states cannot hold n of its steps)"
                )
        self.erase, self.raised, self.placed = self.places()
        first, single = 2 * self.most + len(self.raised), [int(self.command(n, 1)) for n in range(2)]
        self.rungs = [rung for rung in (*steps.ups, *steps.downs) if rung not in self.strongest]
        if options.tolerance is not None:
            commands = [*single, *range(first, first + len(self.rungs))]
            self.loop = write_verify.Loop(device, options, [*self.strongest, *self.rungs], commands)
        if self.pulses == "ladder":
            self.ladder = pulse_ladder.of_steps([self.side(steps, n) for n in (self.up, self.down)])
        if self.pulses == "fractional":
            pulses, commands = ((of[self.up], of[self.down]) for of in (self.strongest, single))
            self.law = fractions.law(device, pulses, commands, first)

    @classmethod
    def effort(cls, options: Options) -> tuple[float, float]:
        """Return the work of a weight at each use, and at each step, as measured with 784-100-10."""
        return 1.0, {"whole": 25.0, "ladder": 400.0, "fractional": 350.0}[options.pulses]

    @classmethod
    def assumes(cls, options: Options) -> str:
        """Say that no device is driven by fractions."""
        return "fractions of a pulse, which no device can do" if options.pulses == "fractional" else ""

    def side(self, steps: up_down.Steps, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return commands and mean steps (int64[R], float64[R]) of a direction's ladder.

        The strongest pulse is repeated at its end.
        """
        pulses = steps.ups if place == self.up else steps.downs
        first, times = 2 * self.most + len(self.raised), np.arange(1, self.slots + 1)
        commands = [first + self.rungs.index(pulse) for pulse in pulses[:-1]]
        return (
            np.concatenate([np.array(commands, np.int64), np.asarray(self.command(place, times))]),
            np.concatenate([steps.size[list(pulses[:-1])], times * self.each[place]]),
        )

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
                occupancy = occupancy @ self.device.transition[self.strongest[pulse]]
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
        """Return the strongest pulses repeated 1 to ``most`` times, the way to each of the `places`, then the rungs."""
        trains, one = sampling.repeated(self.device, self.most, self.strongest), sampling.alphabet(self.device)
        down, up = (one.transition[..., self.strongest[n], :, :] for n in (self.down, self.up))
        erased = np.linalg.matrix_power(down, self.erase)
        ways = np.stack([erased @ np.linalg.matrix_power(up, n) for n in self.raised], axis=-3)
        pulses = np.zeros((len(self.raised), len(self.device.pulses)), np.int64)
        pulses[:, self.strongest[self.down]], pulses[:, self.strongest[self.up]] = self.erase, self.raised
        kernels, counts = [trains.transition, ways], [trains.pulses, pulses]
        if self.pulses == "ladder":
            kernels.append(one.transition[..., self.rungs, :, :])
            counts.append(one.pulses[self.rungs])
        return Alphabet(np.concatenate(kernels, axis=-3), np.concatenate(counts))

    def command(self, pulse: int | jax.Array, times: int | np.ndarray | jax.Array) -> jax.Array:
        """Return the commands, int16[...], "``times`` times ``pulse``"."""
        return (pulse * self.most + jnp.maximum(times, 1) - 1).astype(jnp.int16)

    def init(self, keys: Keys, shapes: Shapes) -> tuple[tuple, tuple[Plan, ...] | tuple[Targets, ...]]:
        """Ask for each device to be brought to a weight that is uniform about 0, or to the place nearest to it."""
        middle = jnp.asarray((self.placed[1:] + self.placed[:-1]) / 2, jnp.float32)
        plans = []
        for stream, (inputs, outputs) in zip(keys, shapes, strict=True):
            (value,) = uniform((stream,), ((len(self.mix) * inputs, outputs),))
            weight = self.spread * value.reshape(-1, inputs, outputs)
            if self.loop is not None:
                plans.append(Targets(weight))
                continue
            place = jnp.searchsorted(middle, weight)
            plans.append(Plan((2 * self.most + place).astype(jnp.int16), jnp.ones(place.shape, bool)))
        return (), tuple(plans)

    def propose(
        self, memory: tuple, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[tuple, tuple[Trains | Fractions | Plan, ...]]:
        """Draw the pulses."""
        rate = self.gain * self.optimizer.rate(context.step)
        ways = {"whole": self.trains, "ladder": self.chosen, "fractional": self.fractions}
        layers = zip(context.keys, signals.inputs, signals.errors, signals.scales, strict=True)
        return memory, tuple(
            ways[self.pulses](key, context.step, x[0], e[0], rate / scale) for key, x, e, scale in layers
        )

    def turn(self, step: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return which device of the last tile is for a step (of its shape), and whether it is a pair's second."""
        second = (step % 2 == 1) if self.pair else jnp.bool_(False)
        return len(self.mix) - (2 if self.pair else 1) + second.astype(jnp.int32), second

    def wanted(self, second: jax.Array, x: jax.Array, error: jax.Array, rate: jax.Array) -> jax.Array:
        """Return the wanted changes of the step's devices, float32[inputs, outputs]; arguments as of `trains`."""
        change = -rate / abs(self.mix[-1]) * x[:, None] * error[None, :]
        return jnp.where(second, -change, change)

    def fractions(self, key: jax.Array, step: jax.Array, x: jax.Array, error: jax.Array, rate: jax.Array) -> Fractions:
        """Return as many pulses as the wanted changes are mean steps; arguments as of `trains`."""
        device, second = self.turn(step)
        change = self.wanted(second, x, error, rate)
        size = jnp.where(change < 0, jnp.float32(self.sizes[self.down]), jnp.float32(self.sizes[self.up]))
        return Fractions(change / size, device, self.law)

    def chosen(self, key: jax.Array, step: jax.Array, x: jax.Array, error: jax.Array, rate: jax.Array) -> Plan:
        """Draw rungs of the ladder for the wanted changes; arguments as of `trains`."""
        device, second = self.turn(step)
        change = self.wanted(second, x, error, rate)
        word = random_words.words(key, step, change.shape)[0]
        pulse, given = pulse_ladder.choose(self.ladder, change < 0, jnp.abs(change), word)
        target = jnp.arange(len(self.mix))[:, None, None] == device
        return Plan(jnp.broadcast_to(pulse[None], (len(self.mix), *pulse.shape)), given[None] & target)

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
        device, second = self.turn(step)
        chance = factor / share * jnp.abs(error)
        columns = jnp.stack(
            [pulse_trains.drawn(key, 2 * step + 1, one, self.slots) for one in self.uneven(chance, error, second)]
        )
        pulses = jnp.where(second, jnp.array([self.down, self.up]), jnp.array([self.up, self.down]))
        commands = self.command(pulses, jnp.ones(2, jnp.int32)).astype(jnp.int32)
        return Trains(rows, columns, x > 0, error > 0, device, commands)

    def uneven(self, chance: jax.Array, error: jax.Array, second: jax.Array) -> list[jax.Array]:
        """Return the columns' probabilities where they meet rows that do not fall, and that do, float32[outputs] each.

        One for both if a pulse up moves a device as far as one down.
        """
        up, down = (np.float32(self.one / self.sizes[n]) for n in (self.up, self.down))
        if up == down == 1:
            return [chance]
        rising, falling = jnp.where(second, down, up), jnp.where(second, up, down)
        return [chance * jnp.where((error > 0) == row, falling, rising) for row in (False, True)]

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
        # of a tile's own weight, by one pulse up and by one down
        up, down = ((0.5 if self.pair else 1.0) * float(self.sizes[n]) for n in (self.up, self.down))
        amount = [jnp.zeros_like(held[0])] * self.tiles
        for high, low in pairwise(range(self.tiles)):
            rising = held[low] > 0
            unit, back = jnp.where(rising, up, down), jnp.where(rising, up / down, down / up)
            whole = jnp.clip(jnp.trunc(self.ratio * held[low] / unit), -self.largest, self.largest)
            amount[high] = amount[high] + whole
            amount[low] = amount[low] - jnp.round(whole * back / self.ratio)
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
