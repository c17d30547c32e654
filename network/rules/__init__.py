"""Learning rules by name. A new rule is one file with a class that fits `Rule` and one line in `REGISTRY`."""

from __future__ import annotations

from typing import Any, Protocol

import jax

from network.rules.accumulate_quantise_program import AccumulateQuantiseProgram
from network.rules.float_baseline import FloatBaseline
from network.sampling import Array, Plan
from spinloom.errors import UserError

REGISTRY: dict[str, type] = {
    "accumulate_quantise_program": AccumulateQuantiseProgram,
    "float_baseline": FloatBaseline,
}


class Rule(Protocol):
    """What the trainer asks of a learning rule: pure functions on a memory that is any pytree.

    A rule is made as ``Rule(device, optimizer, options)``; ``uses_device`` tells whether its weights are devices. If
    not, ``arrays`` and the plans are None.
    """

    uses_device: bool
    state_reads_per_step: int  # times a training step reads each device's state to decide whether to program it

    def init(
        self, keys: tuple[jax.Array, ...], shapes: tuple[tuple[int, int], ...]
    ) -> tuple[Any, tuple[Plan, ...] | None]:
        """Return the memory and the plan of the first programming; ``keys`` are uint32[2], one stream per layer."""

    def weights(self, memory: Any, arrays: tuple[Array, ...] | None) -> tuple[jax.Array, ...]:
        """Return the weights of the forward pass, float32[inputs, outputs] per layer."""

    def propose(
        self, memory: Any, arrays: tuple[Array, ...] | None, gradients: tuple[jax.Array, ...]
    ) -> tuple[Any, tuple[Plan, ...] | None]:
        """Take in the gradients of the weights and say which devices get which pulse."""

    def memory_bits(self, memory: Any) -> dict[str, int]:
        """Return the bits of digital memory that the rule keeps, by name, for all synapses together."""


def make(name: str, device, optimizer, options: dict) -> Rule:
    """Build the rule called ``name``; `UserError` if there is none or an option is wrong."""
    if name not in REGISTRY:
        raise UserError(f"network.rule: found {name!r}, allowed {', '.join(REGISTRY)}")
    return REGISTRY[name](device, optimizer, options)
