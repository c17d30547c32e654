"""Turns of the devices of a pair against the dense plan of all devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.synapse import random_words, sampling, turns
from network.synapse.device import DeviceModel
from tests.network.conftest import make_card

SHAPES = ((2, 70, 9), (2, 9, 4))  # layers that end within a row of lanes


def turn(random, second, chance, commands) -> turns.Turn:
    pulse = random.integers(0, commands, second.shape).astype(np.int16)
    return turns.Turn(second, pulse, random.random(second.shape) < chance)


@pytest.mark.parametrize("first, other", [(0.0, 0.0), (0.6, 0.0), (0.6, 0.01), (1.0, 1.0)])
def test_the_same_devices_are_written_as_by_the_plan(first, other):
    """Bit for bit, with devices that have a kernel of their own and some that are stuck."""
    device = DeviceModel.from_card(make_card(own=True))
    commands, random = len(device.pulses), np.random.default_rng(5)
    table, rows = sampling.tables(device), sampling.packed_shape(SHAPES)
    keys = random_words.stream(1, "a"), random_words.stream(1, "b")
    array, _ = sampling.fabricate(keys, rows, device, table, commands)
    array = array._replace(stuck=jnp.asarray(random.random(rows) < 0.1))
    of_layers = []
    for shape in SHAPES:
        second = random.random(shape[1:]) < 0.5
        of_layers.append(turns.Turns(turn(random, second, first, commands), turn(random, ~second, other, commands)))
    key, step = random_words.stream(1, "program"), jnp.int32(7)

    @jax.jit
    def both(of_layers):
        plans = [turns.plan(one) for one in of_layers]
        dense = sampling.Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        found = turns.program(key, step, array, of_layers, SHAPES, table, commands)
        return found, sampling.program(key, step, array, dense, table, commands)

    found, wanted = both(tuple(of_layers))
    given = sum(np.sum(one.mask) for layer in of_layers for one in layer)
    assert found[1].writes.sum() == given and (given > 0) == (first > 0)
    for one, dense in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(one, dense)
