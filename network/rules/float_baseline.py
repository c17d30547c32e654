"""The same network with float weights and no device: what the devices are compared with.

Everything but the device is as in the device rule: network, optimiser, initial accumulator (uniform in -1 to 1, the
same words) and the clip to -1 to 1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from network import rng
from spinloom.errors import UserError


class Memory(NamedTuple):
    """Digital memory of the rule."""

    weight: tuple[jax.Array, ...]  # float32[inputs, outputs] per layer
    optimizer: optax.OptState


class FloatBaseline:
    """Float weights, moved by the optimiser and clipped to -1 to 1."""

    uses_device = False
    state_reads_per_step = 0

    def __init__(self, device, optimizer: optax.GradientTransformation, options: dict):
        del device
        if options:
            raise UserError(f"network.rule_options: found {', '.join(options)}, allowed none for float_baseline")
        self.optimizer = optimizer

    def init(self, keys: tuple[jax.Array, ...], shapes: tuple[tuple[int, int], ...]) -> tuple[Memory, None]:
        """Draw weights uniformly in -1 to 1."""
        weight = initial(keys, shapes)
        return Memory(weight, self.optimizer.init(weight)), None

    def weights(self, memory: Memory, arrays: None) -> tuple[jax.Array, ...]:
        """Return the float weights."""
        return memory.weight

    def propose(self, memory: Memory, arrays: None, gradients: tuple[jax.Array, ...]) -> tuple[Memory, None]:
        """Take one optimiser step."""
        return Memory(*step(self.optimizer, memory.weight, memory.optimizer, gradients)), None

    def memory_bits(self, memory: Memory) -> dict[str, int]:
        """Count the weights and the optimiser's moments."""
        return {"weights": bits(memory.weight), "optimizer": bits(memory.optimizer)}


def initial(keys: tuple[jax.Array, ...], shapes: tuple[tuple[int, int], ...]) -> tuple[jax.Array, ...]:
    """Draw float32[inputs, outputs] uniformly in -1 to 1 for each layer from the streams ``keys`` (uint32[2])."""
    return tuple(
        rng.uniform(rng.words(key, 0, shape)[0]) / jnp.float32(3**0.5) for key, shape in zip(keys, shapes, strict=True)
    )


def step(
    optimizer: optax.GradientTransformation,
    value: tuple[jax.Array, ...],
    state: optax.OptState,
    gradients: tuple[jax.Array, ...],
) -> tuple[tuple[jax.Array, ...], optax.OptState]:
    """Move ``value`` by one optimiser step and clip it to -1 to 1."""
    updates, state = optimizer.update(gradients, state, value)
    return tuple(jnp.clip(v + u, -1.0, 1.0) for v, u in zip(value, updates, strict=True)), state


def bits(tree) -> int:
    """Return the size of all arrays of one or more axes in ``tree`` (a step counter is not memory of synapses)."""
    return sum(leaf.nbytes * 8 for leaf in jax.tree.leaves(tree) if leaf.ndim)
