"""Turns of junctions, of which few are drawn, against drawing all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.sources import library
from network.synapse import junctions, pulse_ladder, random_words, sampling, turns
from network.synapse.device import DeviceModel
from tests.network.rule_cards import SURE, enough, fits, junction, quick_compile  # noqa: F401

WEAK = (1e-6, 0.001, 0.04, 0.3, 0.9), (0.002, 0.5, 1.0)


@pytest.mark.long
def test_ordered_words_that_leave_a_state_are_the_smallest():
    """All probabilities and both states: words are drawn to the other state up to a count, and to their own beyond."""
    random = np.random.default_rng(3)
    for p in (0.0, 2.0**-32, 1e-6, 0.3, 0.5, 0.5 + 2.0**-32, 0.8, 1.0):
        device = DeviceModel.from_card(junction((1.0,), (1.0,)), scale="states")
        kernel = np.array([[[1 - p, p], [p, 1 - p]]])
        table = sampling.tables(device, sampling.Alphabet(kernel, np.zeros((1, 0), np.int64)))
        count = round(p * 2**32)
        near = [w for w in (count - 2, count - 1, count, count + 1) if 0 <= w < 2**32]
        halves = random.integers(0, 2**32, 3000, dtype=np.uint64)
        for state in (0, 1):
            now = jnp.full(3000, state, jnp.int8)
            words = jnp.asarray(halves.astype(np.uint32))
            # its own inverse, so the words at the border are known
            border = jnp.asarray(np.array(near, np.uint32))
            words = words.at[: len(near)].set(back(border, state))
            place = np.asarray(junctions.ordered(words, now))
            assert place[: len(near)].tolist() == near
            left = np.asarray(sampling.draw_state(words, now, jnp.zeros(3000, jnp.int8), table)) != state
            np.testing.assert_array_equal(left, place < count)
            upper = junctions.ordered(words & jnp.uint32(0xFFFF0000), now) >> 16
            np.testing.assert_array_equal(upper, place >> 16)


def back(place: jax.Array, state: int) -> jax.Array:
    """Return the words that `junctions.ordered` puts at ``place``."""
    turned = jnp.where(place >> 31, place ^ jnp.uint32(2**31 - 1), place)
    return turned ^ jnp.uint32(2**31 if state == 0 else 0)


def dense(table, array, of_layers, shapes):
    """Return devices and counts with every junction drawn from the card's table, whether it may switch or not."""
    fields, begin = {name: np.asarray(getattr(array, name)).ravel().copy() for name in ("state", "weight", "writes")}, 0
    writes, moved = np.zeros(len(table.threshold), int), 0
    for one, shape in zip(of_layers, shapes, strict=True):
        plan, size = turns.plan(one), int(np.prod(shape))
        place = jnp.arange(size, dtype=jnp.int32)
        word = random_words.words_at(one.first.key, one.first.step, place)[1]
        mask, pulse = (np.asarray(field).ravel() for field in (plan.mask, plan.pulse))
        cut = slice(begin, begin + size)
        old = jax.tree.map(lambda field, cut=cut: jnp.ravel(field)[cut], array)
        drawn = sampling.draw_state(word, old.state, jnp.asarray(pulse), table, old.kind)
        fresh = sampling.placed(drawn, word, table)
        free = mask if old.stuck is None else mask & ~np.asarray(old.stuck)
        moved += int(np.sum(free & (np.asarray(drawn) != np.asarray(old.state))))
        fields["state"][cut] = np.where(free, drawn, old.state)
        fields["weight"][cut] = np.where(free, fresh * old.gain + old.offset, old.weight)
        fields["writes"][cut] += mask
        writes += np.bincount(pulse[mask], minlength=len(writes))
        begin += size
    return fields, writes, moved


CARDS = {
    "weak": junction(*WEAK), "back": junction((0.02, 0.5), (0.1, 0.97), back=0.01), "sure": junction(SURE, SURE),
    "own": library.card("sot_mtj_80nm_a"),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(
    ("card", "devices", "most"),
    [("weak", "pair", 0.1), ("weak", "pair", -2.5), ("own", "pair", -2), ("sure", 1, 0.1), ("back", 3, 0.1)],
)
def test_all_that_switches_is_drawn(card, devices, most):
    """Bit for bit the states, weights and counts of drawing every junction, few that may switch and many.

    Some junctions are stuck or have kernels of their own. ``most`` is the strongest wish, as a power of ten.
    """
    device = DeviceModel.from_card(CARDS[card], scale="states")
    ladder = pulse_ladder.make(device, "full", None)
    of, table, random = junctions.make(device, ladder, True), sampling.tables(device), np.random.default_rng(5)
    number, commands = 2 if devices == "pair" else devices, len(device.pulses)
    shapes = ((number, 301, 65), (number, 65, 4))  # layers that end within a row of lanes
    rows = sampling.packed_shape(shapes)
    keys = random_words.stream(1, "a"), random_words.stream(1, "b")
    array, _ = sampling.fabricate(keys, rows, device, table, commands)
    array = array._replace(stuck=jnp.asarray(random.random(rows) < 0.1))
    step = jnp.int32(7)
    strengths = [np.where(random.random(s[1:]) < 0.2, 0, 10 ** random.uniform(-7, most, s[1:])) for s in shapes]
    fall, second = ([jnp.asarray(random.random(shape[1:]) < 0.5) for shape in shapes] for _ in range(2))
    pair = devices == "pair"

    @jax.jit
    def both(array):
        layers = []
        for layer, (one, strength) in enumerate(zip(sampling.views(array, shapes), strengths, strict=True)):
            strength = jnp.asarray(strength, jnp.float32)
            given = junctions.draw(
                of,
                random_words.stream(1, layer),
                step,
                fall[layer],
                strength,
                one.state,
                second[layer] if pair else None,
            )
            if pair:
                rare = jnp.where(strength > 0.8 * 10**most, strength, 0)
                other = junctions.draw(of, given.key, step, fall[layer], rare, one.state, ~second[layer])
                layers.append(turns.Turns(given, other, jnp.bool_(True)))
            else:
                layers.append(turns.Turns(given))
        return layers, turns.program(array, tuple(layers), shapes, table, commands)

    layers, (after, info) = both(array)
    fields, writes, moved = dense(table, array, layers, shapes)
    for name, wanted in fields.items():
        np.testing.assert_array_equal(np.asarray(getattr(after, name)).ravel(), wanted)
    np.testing.assert_array_equal(info.writes, writes[:commands])
    assert int(info.transitions) == moved > (0 if most < 0 else 100) and writes.sum() > 1000
    may = [np.mean((np.asarray(one.first.code) & turns.MAY) != 0) for one in layers[:1]]
    assert (max(may) * turns.MANY > 1) == (most > 0)


def test_the_probability_to_switch_is_the_wanted_one():
    """Chi-square per strength and direction over the whole way, false alarms 0.01 % in all, fixed seed."""
    device = DeviceModel.from_card(junction(*WEAK), scale="states")
    of = junctions.make(device, pulse_ladder.make(device, "full", None), True)
    strength = np.array([3e-4, 0.004, 0.07, 0.2, 0.5, 0.85], np.float32)
    each, table, shape = 60000, sampling.tables(device), (1, 60000, 6)
    step = jnp.int32(3)
    p_values = []
    for state in (0, 1):
        size = sampling.packed_shape((shape,))
        zero = jnp.zeros(size, jnp.float32)
        array = sampling.Array(jnp.full(size, state, jnp.int8), zero, zero, zero + 1, jnp.zeros(size, jnp.int32))

        @jax.jit
        def after(array, state=state):
            (one,) = sampling.views(array, (shape,))
            wanted = jnp.broadcast_to(strength, shape[1:])
            given = junctions.draw(of, random_words.stream(2, state), step, wanted < state, wanted, one.state)
            new, info = turns.program(array, (turns.Turns(given),), (shape,), table, len(device.pulses))
            return sampling.views(new, (shape,))[0].state, info

        new, info = after(array)
        left = np.sum(np.asarray(new[0]) != state, axis=0)
        assert int(info.transitions) == left.sum()
        p_values += [fits([k, each - k], [p, 1 - p]) for k, p in zip(left, strength.astype(float), strict=True)]
    assert enough(p_values)
