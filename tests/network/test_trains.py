"""Coincident trains as events: the very same devices as with a dense plan, and trains with the asked probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from network.synapse import pulse_trains, random_words, sampling
from network.synapse.device import DeviceModel
from tests.network.rule_cards import ALARM, lattice, quick_compile  # noqa: F401

SHAPES = ((2, 40, 70), (2, 9, 3), (2, 5, 32))
SLOTS = 10


@pytest.fixture(scope="module")
def tables():
    """The device, its tables and how many commands they hold: up 1 to 10 times, down 1 to 10 times."""
    device = DeviceModel.from_card(lattice(8, 0.4), None, "states")
    alphabet = sampling.repeated(device, SLOTS)
    return device, sampling.tables(device, alphabet), len(alphabet.pulses)


def train(random, shape, chance, device, kinds):
    """Return trains of a layer in which every line fires with ``chance`` in each slot.

    Columns have ``kinds`` trains: one, or one for each sign of a row.
    """
    _, inputs, outputs = shape
    lines = [
        np.sum((random.random((SLOTS, n)) < chance) << np.arange(SLOTS)[:, None], axis=0)
        for n in (inputs, *(outputs,) * kinds)
    ]
    signs = [random.random(n) < 0.5 for n in (inputs, outputs)]
    words = jnp.asarray(lines[0], jnp.uint32), jnp.asarray(np.stack(lines[1:]), jnp.uint32)
    return pulse_trains.Trains(*words, *map(jnp.asarray, signs), jnp.int32(device), jnp.array([0, SLOTS], jnp.int32))


@pytest.mark.long
@pytest.mark.parametrize(
    ("chance", "kinds"), [(0.0, 1), (0.01, 1), (0.1, 1), (0.5, 1), (1.0, 1), (0.01, 2), (0.1, 2), (0.5, 2)]
)
def test_events_do_what_the_dense_plan_does(tables, chance, kinds):
    """Bit for bit, from no event to more than are programmed at once, in layers that end within a row of lanes."""
    device, table, commands = tables
    random = np.random.default_rng(3)
    rows = sampling.packed_shape(SHAPES)
    array, _ = sampling.fabricate(
        (random_words.stream(1, "a"), random_words.stream(1, "b")), rows, device, table, commands
    )
    key, step = random_words.stream(1, "program"), jnp.int32(7)
    of_layers = tuple(train(random, shape, chance, number % 2, kinds) for number, shape in enumerate(SHAPES))

    @jax.jit
    def both(of_layers):
        plans = [pulse_trains.plan(one, shape[0]) for one, shape in zip(of_layers, SHAPES, strict=True)]
        dense = sampling.Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        events = pulse_trains.program(key, step, array, of_layers, SHAPES, table, commands)
        return events, sampling.program(key, step, array, dense, table, commands), dense.mask.sum()

    (found, info), (wanted, dense_info), count = both(of_layers)
    met = 0
    for one in of_layers:
        rows, columns, falls = (np.asarray(field) for field in (one.rows, one.columns, one.falling_rows))
        met += np.sum(rows[:, None] & columns[falls.astype(int) * (kinds - 1)] != 0)
    assert count == met == info.writes.sum() and (chance > 0) == (met > 0)
    for one, other in zip(jax.tree.leaves((found, info)), jax.tree.leaves((wanted, dense_info)), strict=True):
        np.testing.assert_array_equal(one, other)
    if chance == 1:
        assert met == sum(inputs * outputs for _, inputs, outputs in SHAPES) > 3 * pulse_trains.EVENTS


def test_trains_fire_as_often_as_asked():
    """Per slot and together: chi-square, false alarms 0.01 % in all, fixed seed. Certain is certain, never is never."""
    chance = np.array([0.0, 0.003, 0.3, 0.7, 1.0, 40.0], np.float32)
    key, steps = random_words.stream(2, "trains"), 20000
    for slots in (1, 7, 10):
        draw = jax.jit(jax.vmap(lambda step, slots=slots: pulse_trains.drawn(key, step, jnp.asarray(chance), slots)))
        words = np.asarray(draw(jnp.arange(steps)))
        bits = (words[..., None] >> np.arange(32)) & 1
        assert not bits[..., slots:].any() and not bits[:, 0].any() and bits[:, 4:, :slots].all()
        some = bits[:, 1:4, :slots].astype(float)
        p = chance[1:4, None]
        z = (some.mean(axis=0) - p) / np.sqrt(p * (1 - p) / steps)
        tests = [2 * stats.norm.sf(np.abs(z)).ravel()]
        if slots > 1:  # neighbouring slots share a block of random numbers, and must not be alike
            pairs = np.mean((some[..., 1:] - p) * (some[..., :-1] - p), axis=0) / (p * (1 - p))
            tests.append(2 * stats.norm.sf(np.abs(pairs[1:]) * np.sqrt(steps)).ravel())
        family = np.concatenate(tests)
        assert family.min() > ALARM / 3 / len(family)
