r"""Discrete state transition: the weight is the state of the device, and a step either moves it or does not.

GXNOR-Net (Deng et al., arXiv 1705.09283) with the synapse of Greenberg-Toledo et al. (arXiv 1912.12636). No float
weight exists. With d the change that the optimiser proposes and L the distance between two weights,

    kappa = floor(|d| / L)          whole steps, taken surely
    nu    = |d| / L - kappa         remainder; one step more with probability tau(nu)
    tau   = tanh(m nu) (``law: tanh``, m = ``steepness``) or nu (``law: linear``)

and the weight stays between -1 and 1.

``synapse: pair`` is a ternary weight, L = 1, made of two junctions: (on, off) is 1, (off, on) is -1, (off, off) and
(on, on) are 0. A positive step switches the first on or the second off, one junction for each step, the first if
there is a choice; "surely" is the card's strongest pulse. ``synapse: single`` is a binary weight, one junction, L = 2.

The probability tau(nu) comes from the junction itself: how is the business of ``predistortion``, ``voltage_V`` and
``dither`` (`network.synapse.pulse_ladder`). Which junction is to be switched depends on the state, which is read once
per step.

The optimiser's moments are float memory per weight, if it has any (sgd without momentum has none); the rule has none.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from calibration.card import Kind
from network.model.optimizers import Optimizer
from network.rules.base import Context, Keys, Rule, Shapes, Signals, bits, uniform
from network.rules.capabilities import Costs
from network.synapse import junctions, pulse_ladder
from network.synapse.device import DeviceModel
from network.synapse.sampling import Array, Plan
from network.synapse.turns import Turn, Turns
from spinloom.declare import Real, key

MIX = {"pair": (0.5, -0.5), "single": (1.0,)}


class Options(pulse_ladder.Options):
    """Options of discrete_state_transition."""

    synapse: Literal["pair", "single"] = key(
        "`pair`: a ternary weight of two junctions. `single`: a binary weight of one junction.",
        "pair",
    )
    law: Literal["tanh", "linear"] = key(
        "Function from the rest of a wanted change to the probability of one more step.", "tanh"
    )
    steepness: Real = key("Steepness m of `law: tanh`.", 3.0, ge=1e-3, le=1e3)


class Memory(NamedTuple):
    """Digital memory of the rule."""

    optimizer: optax.OptState


def split(change: jax.Array, step: float) -> tuple[jax.Array, jax.Array]:
    """Return kappa (whole) and nu (0 to 1) of proposed changes, all float32[...] (see the module text)."""
    size = jnp.abs(change) / step
    whole = jnp.floor(size)
    return whole, size - whole


class DiscreteStateTransition(Rule[Options]):
    """See the module text."""

    name = "discrete_state_transition"
    kinds = (Kind.SWITCHING,)
    scale = "states"
    costs = Costs(state_reads_per_step=1)

    def __init__(self, device: DeviceModel, optimizer: Optimizer, options: Options):
        super().__init__(device, optimizer, options)
        self.needs(states=2, volatile=False, destructive_read=False)
        self.synapse, self.law, self.steepness = options.synapse, options.law, options.steepness
        self.mix = MIX[options.synapse]
        self.ladder = pulse_ladder.make(device, options.predistortion, options.voltage_V)
        self.junctions = junctions.make(device, self.ladder, options.dither)

    @classmethod
    def effort(cls, options: Options) -> tuple[float, float]:
        """Return the work of a weight at each use and at each step, as measured in batches of 32 and 128."""
        return 2.0, 350.0

    def init(self, keys: Keys, shapes: Shapes) -> tuple[Memory, tuple[Plan, ...]]:
        """Draw weights uniformly, round them to the states, and ask for every junction to be programmed so."""
        plans = []
        values = uniform(keys, shapes)
        for value in values:
            on = (value > 0.5, value < -0.5) if self.synapse == "pair" else (value > 0,)
            on = jnp.stack(on)
            strongest = jnp.where(on, self.ladder.strongest[0], self.ladder.strongest[1])
            plans.append(Plan(strongest, jnp.ones(on.shape, bool)))
        return Memory(self.optimizer.transform.init(values)), tuple(plans)

    def strength(self, nu: jax.Array) -> jax.Array:
        """Return tau(nu), both float32[...]."""
        return jnp.tanh(self.steepness * nu) if self.law == "tanh" else nu

    def turns(self, change: jax.Array, state: jax.Array) -> tuple[tuple[jax.Array, jax.Array, jax.Array], ...]:
        """Return which junction is to be switched how strongly, and the same for the other one.

        Parameters
        ----------
        change : jax.Array, float32[inputs, outputs]
            Proposed by the optimiser.
        state : jax.Array, int[devices, inputs, outputs]
            1: on.

        Returns
        -------
        first : tuple of (bool, bool, float32), [inputs, outputs]
            Whether it is the second junction, whether it is to be switched off instead of on, and the strength (0: no
            pulse, 1: surely).
        other : tuple
            The same of the other junction; the strength is 0 unless both are to be switched.
        """
        rising = change > 0
        kappa, nu = split(change, 2.0 if self.synapse == "single" else 1.0)
        sooner = self.strength(nu)
        strength = jnp.where(kappa >= 1, 1.0, sooner)
        if self.synapse == "single":
            reached = (state[0] == 1) == rising
            return ((jnp.zeros_like(rising), ~rising, jnp.where(reached, 0, strength)),)
        # a rising weight switches the first on or the second off; of a falling one they exchange their parts
        on, off = jnp.where(rising, state[0], state[1]) == 0, jnp.where(rising, state[1], state[0]) == 1
        first = (rising != on, ~on, jnp.where(on | off, strength, 0))
        both = on & off & (kappa >= 1)
        return first, (rising == on, on, jnp.where(both, jnp.where(kappa >= 2, 1.0, sooner), 0))

    def propose(
        self, memory: Memory, arrays: tuple[Array, ...], signals: Signals, context: Context
    ) -> tuple[Memory, tuple[Turns, ...]]:
        """Split the optimiser's change into sure and probable steps and give the pulses."""
        weights = tuple(self.combine(array).value for array in arrays)
        changes, optimizer = self.optimizer.transform.update(signals.gradients, memory.optimizer, weights)
        plans = []
        for stream, array, change in zip(context.keys, arrays, changes, strict=True):

            def draw(number: int, stream=stream, change=change, state=array.state) -> Turn:
                second, off, strength = self.turns(change, state)[number]
                which = second if self.synapse == "pair" else None
                return junctions.draw(self.junctions, stream, context.step, off, strength, state, which)

            first = draw(0)
            if self.synapse == "single":
                plans.append(Turns(first))
                continue
            # seldom are both junctions of any synapse to be switched
            both = jnp.any(jnp.abs(change) >= 1)
            nothing = first._replace(code=jnp.zeros_like(first.code))
            plans.append(Turns(first, jax.lax.cond(both, lambda draw=draw: draw(1), lambda turn=nothing: turn), both))
        return Memory(optimizer), tuple(plans)

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the optimiser's moments."""
        return {"optimizer": bits(memory.optimizer)}


RULE = DiscreteStateTransition
