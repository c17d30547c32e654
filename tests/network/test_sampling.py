"""The kernel draws what the card says, independently, whatever else is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import chi2, chisquare, kstest

from network.sections import Device
from network.synapse import random_words, sampling
from network.synapse.alias import BITS, alias_row
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from tests.network.conftest import make_card

# compiled once for all tests of the same shape
program = jax.jit(sampling.program, static_argnames="pulses")


def made(device, shape, commands=None):
    """Return fabricated devices, their instances, tables and number of commands."""
    table = sampling.tables(device, commands)
    count = len(device.pulses) if commands is None else len(commands.pulses)
    keys = (random_words.stream(1, "a"), random_words.stream(1, "b"))
    array, instance = jax.jit(lambda k: sampling.fabricate(k, shape, device, table, count))(keys)
    return array, np.asarray(instance), table, count


def fits(found, probability) -> float:
    """Return the p-value of counts against probabilities; rare outcomes are taken together."""
    expected = probability * found.sum()
    rare = expected < 5
    seen, wanted = np.append(found[~rare], found[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    assert seen[wanted == 0].sum() == 0
    keep = wanted > 0
    return chi2.sf(((seen[keep] - wanted[keep]) ** 2 / wanted[keep]).sum(), keep.sum() - 1)


@pytest.mark.parametrize("key_counter_out", [
    # Random123 known answers, threefry2x32, 20 rounds
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
])  # fmt: skip
def test_threefry_known_answers(key_counter_out):
    key, counter, out = (tuple(jnp.uint32(v) for v in pair) for pair in key_counter_out)
    assert [int(v) for v in random_words.threefry2x32(key, counter)] == [int(v) for v in out]


@pytest.mark.parametrize("row", [[1.0], [0.0, 1.0], [0.5, 0.5], [0.1, 0.2, 0.7], [1e-9, 1 - 1e-9, 0.0], [1 / 7] * 7])
def test_alias_table_is_exact_to_the_last_bit(row):
    columns = max(2, 1 << (len(row) - 1).bit_length())
    threshold, alias = (part.astype(int) for part in alias_row(np.array(row), columns))
    words = np.zeros(columns, int)
    np.add.at(words, np.append(np.arange(columns), alias), np.append(threshold, (1 << BITS) // columns - threshold))
    realised = words[: len(row)] / 2.0**BITS
    assert realised.sum() == 1.0
    np.testing.assert_allclose(realised, row, atol=2.0**-32, rtol=0)
    assert np.all(realised[np.array(row) == 0] == 0)


@pytest.mark.parametrize("memory", [0.0, 0.4])
def test_transitions_follow_the_card(memory):
    """Chi-square per (pulse, state); false-alarm rate 0.1 % for all 25 together (Bonferroni), fixed seed."""
    device = DeviceModel.from_card(make_card(memory=memory))
    table, shape = sampling.tables(device), (200, 100)
    pulses, states = len(device.pulses), len(device.states)
    for pulse in range(pulses):
        for state in range(states):
            zero = jnp.zeros(shape)
            array = sampling.Array(jnp.full(shape, state, jnp.int8), zero, zero, zero + 1, jnp.zeros(shape, jnp.int32))
            plan = sampling.Plan(jnp.full(shape, pulse, jnp.int8), jnp.ones(shape, bool))
            key = random_words.stream(3, "test", pulse, state)
            moved, info = program(key, 0, array, plan, table, pulses)
            found = np.bincount(np.asarray(moved.state).ravel(), minlength=states)
            assert fits(found, device.transition[pulse, state]) > 1e-3 / (pulses * states)
            assert int(info.writes[pulse]) == found.sum() == int(info.writes.sum())
            assert int(info.transitions) == found.sum() - found[state]


def test_words_are_uniform_and_independent():
    """Each of the tests has a false-alarm rate of 0.1 % (fixed seed): bins, neighbours, steps, the word pair."""
    shape = (300, 128)
    a, b = (np.asarray(w).astype(np.float64) / 2**32 for w in random_words.words(random_words.stream(1, "x"), 0, shape))
    later = np.asarray(random_words.words(random_words.stream(1, "x"), 1, shape)[0]) / 2**32
    other = np.asarray(random_words.words(random_words.stream(1, "y"), 0, shape)[0]) / 2**32
    assert chisquare(np.histogram(a, 256, (0, 1))[0]).pvalue > 1e-3
    limit = 3.29 / np.sqrt(a.size)
    pairs = [(a, b), (a, later), (a, other), (a[:, 1:], a[:, :-1]), (a[1:], a[:-1])]
    for first, second in pairs:
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < limit


@pytest.mark.long
def test_deviates_are_the_inverse_of_the_normal_distribution():
    """All values that there are, against scipy in float64."""
    found = np.asarray(random_words.inverted(jnp.arange(2**23, dtype=jnp.uint32) << 9), np.float64)
    np.testing.assert_allclose(found, ndtri((np.arange(2**23) + 0.5) / 2**23), rtol=4e-7, atol=0)
    np.testing.assert_array_equal(found, -found[::-1])


@pytest.mark.parametrize("shape", [(3, 7), (128,), (2, 5, 40)])
def test_deviates_of_any_shape_are_those_of_a_longer_one(shape):
    drawn = np.asarray(random_words.normal(random_words.stream(1, "n"), 4, shape))
    longer = np.asarray(random_words.normal(random_words.stream(1, "n"), 4, (1000,)))
    assert drawn.shape == shape and len(np.unique(longer)) == 1000
    np.testing.assert_array_equal(drawn.ravel(), longer[: drawn.size])


def test_deviates_have_the_right_distribution():
    normal = np.asarray(random_words.normal(random_words.stream(1, "n"), 4, (200, 101)))
    assert kstest(normal.ravel(), "norm").pvalue > 1e-3
    uniform = np.asarray(random_words.uniform(random_words.words(random_words.stream(1, "u"), 0, (200, 101))[0]))
    assert kstest(uniform.ravel(), "uniform", args=(-(3**0.5), 2 * 3**0.5)).pvalue > 1e-3


@pytest.mark.long
def test_spread_is_drawn_at_programming_and_held(device):
    shape = (100, 128)
    array, instance, table, _ = made(device, shape)
    offset = device.instance_weight[np.asarray(instance)]
    assert set(np.unique(instance)) == set(range(len(device.instance_weight)))
    mask = jnp.asarray(np.random.default_rng(0).random(shape) < 0.5)
    plan = sampling.Plan(jnp.zeros(shape, jnp.int8), mask)
    after, _ = program(random_words.stream(1, "p"), 9, array, plan, table, 5)
    still = ~np.asarray(mask)
    for old, new in zip(jax.tree.leaves(array), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(np.asarray(old)[still], np.asarray(new)[still])
    np.testing.assert_array_equal(np.asarray(after.writes), np.asarray(mask))
    deviate = np.asarray(after.weight) - device.state_weight[np.asarray(after.state)] - offset
    assert abs(deviate.std() / device.state_spread[0] - 1) < 0.02 and abs(deviate.mean()) < 0.01
    assert np.abs(deviate).max() < 1.75 * device.state_spread[0]  # bounded: a state is a bin


def test_switches_turn_spreads_off(card):
    device = DeviceModel.from_card(card, Device(within_state_spread=False, read_noise=False, device_to_device=False))
    array = made(device, (100, 128))[0]
    assert set(np.unique(np.asarray(array.weight))) <= set(device.state_weight)
    assert not device.read_sd.any()


@pytest.mark.long
@pytest.mark.parametrize("rows", [[3, 77, 399], range(0, 400, 5)])
def test_few_rows_and_all_rows_draw_the_same(device, monkeypatch, rows):
    """A synapse's outcome must not depend on how many others are programmed with it, nor on the way it is done."""
    shape = (400, 16)
    array, _, table, _ = made(device, shape)
    mask = np.zeros(shape, bool)
    mask[rows, np.arange(len(rows)) % 16] = True
    plan = sampling.Plan(jnp.full(shape, 2, jnp.int16), jnp.asarray(mask))
    ways = []
    for many in (0, shape[0] + 1):  # never all rows at once, always
        monkeypatch.setattr(sampling, "MANY", many)
        ways.append(
            jax.jit(lambda *given: sampling.program(*given, 5))(random_words.stream(1, "p"), 5, array, plan, table)
        )
    for a, b in zip(*map(jax.tree.leaves, ways), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    every = program(random_words.stream(1, "p"), 5, array, plan._replace(mask=jnp.ones(shape, bool)), table, 5)
    np.testing.assert_array_equal(np.asarray(ways[0][0].weight)[mask], np.asarray(every[0].weight)[mask])
    assert int(ways[0][1].writes[2]) == int(ways[0][0].writes.sum()) == len(rows)


def test_nothing_to_do_changes_nothing(device):
    shape = (400, 16)
    array, _, table, _ = made(device, shape)
    plan = sampling.Plan(jnp.zeros(shape, jnp.int8), jnp.zeros(shape, bool))
    after, info = program(random_words.stream(1, "p"), 5, array, plan, table, 5)
    for a, b in zip(jax.tree.leaves(array), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert int(info.writes.sum()) == int(info.transitions) == 0


def test_pack_and_unpack():
    shapes = ((3, 50), (50, 7))
    parts = tuple(jnp.arange(a * b).reshape(a, b) + 1000 * i for i, (a, b) in enumerate(shapes))
    packed = sampling.pack(parts)
    assert packed.shape == sampling.packed_shape(shapes) == (4, 128)
    for part, back in zip(parts, sampling.unpack(packed, shapes), strict=True):
        np.testing.assert_array_equal(part, back)


def test_each_instance_follows_its_own_kernel():
    """Chi-square per instance; false-alarm rate 0.1 % for all together (Bonferroni), fixed seed."""
    device = DeviceModel.from_card(make_card(instances=3, own=True))
    array, instance, table, count = made(device, (300, 128))
    assert set(np.unique(instance)) == {0, 1, 2}
    array = array._replace(state=jnp.full(array.state.shape, 1, jnp.int8))
    plan = sampling.Plan(jnp.full(array.state.shape, 2, jnp.int8), jnp.ones(array.state.shape, bool))
    after, _ = program(random_words.stream(1, "own"), 0, array, plan, table, count)
    state = np.asarray(after.state)
    for i in range(3):
        found = np.bincount(state[instance == i], minlength=5)
        assert fits(found, device.by_instance[i, 2, 1]) > 1e-3 / 3
        # and not the mean device's: the kernels differ enough to tell
        assert i == 2 or fits(found, device.by_instance[2, 2, 1]) < 1e-9
    # without device-to-device variation there is one kernel, the mean one
    same = DeviceModel.from_card(make_card(instances=3, own=True), Device(device_to_device=False))
    assert made(same, (2, 128))[0].kind is None and same.by_instance is None


@pytest.mark.parametrize("own", [False, True])
def test_repeated_commands_are_powers_of_the_kernel_and_count_as_pulses(own):
    """Chi-square at a false-alarm rate of 0.1 %, fixed seed."""
    device = DeviceModel.from_card(make_card(memory=0.4, own=own, instances=2))
    commands = sampling.repeated(device, 3)
    assert commands.transition.shape == ((2, 15, 5, 5) if own else (15, 5, 5))
    for pulse in range(5):
        for n in (1, 2, 3):
            one = (device.by_instance[1] if own else device.transition)[pulse]
            mine = (commands.transition[1] if own else commands.transition)[pulse * 3 + n - 1]
            np.testing.assert_allclose(mine, np.linalg.matrix_power(one, n), rtol=1e-12, atol=1e-15)
            assert commands.pulses[pulse * 3 + n - 1].tolist() == [n * (k == pulse) for k in range(5)]
    array, instance, table, count = made(device, (200, 128), commands)
    array = array._replace(state=jnp.zeros(array.state.shape, jnp.int8))
    command = 3 * 3 + 3 - 1  # three times pulse 3
    mask = jnp.asarray(np.arange(128)[None, :] % 2 == 0) & jnp.ones(array.state.shape, bool)
    plan = sampling.Plan(jnp.full(mask.shape, command, jnp.int8), mask)
    after, info = program(random_words.stream(1, "p"), 0, array, plan,
                          table, count)  # fmt: skip
    np.testing.assert_array_equal(np.asarray(after.writes), 3 * np.asarray(mask))
    events = np.asarray(info.writes)
    assert events[command] == events.sum() == mask.sum()
    assert (events @ commands.pulses).tolist() == [0, 0, 0, 3 * int(mask.sum()), 0]
    chosen = np.asarray(mask) & (instance == 0)
    kernel = commands.transition[0] if own else commands.transition
    assert fits(np.bincount(np.asarray(after.state)[chosen], minlength=5), kernel[command, 0]) > 1e-3


def test_more_commands_than_two_bytes_count_are_refused(device):
    many = sampling.Alphabet(device.transition, np.ones((32768, 5), np.int64))
    with pytest.raises(UserError, match="network.rule: found 32768 pulse commands, allowed: at most 32767"):
        sampling.tables(device, many)


def test_stuck_devices_never_move_and_others_do(card):
    """The share is binomial: within four standard deviations, false alarms below 0.01 %."""
    device = DeviceModel.from_card(card, Device(stuck_fraction=0.3))
    shape = (100, 128)
    array, _, table, count = made(device, shape)
    stuck = np.asarray(array.stuck)
    assert abs(stuck.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / stuck.size)
    after = array
    for pulse in range(5):
        plan = sampling.Plan(jnp.full(shape, pulse, jnp.int8), jnp.ones(shape, bool))
        after, info = program(random_words.stream(1, "p"), pulse, after, plan, table, count)
        assert int(info.writes[pulse]) == stuck.size  # a pulse is a pulse, whether it moves anything or not
    for name in ("state", "weight"):
        old, new = (np.asarray(getattr(one, name)) for one in (array, after))
        np.testing.assert_array_equal(old[stuck], new[stuck])
        assert np.mean(old[~stuck] != new[~stuck]) > 0.3
    assert np.all(np.asarray(after.writes) == 5)
    assert DeviceModel.from_card(card).stuck == 0 and made(DeviceModel.from_card(card), (2, 128))[0].stuck is None
