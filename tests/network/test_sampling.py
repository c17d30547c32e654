"""The kernel draws what the card says, independently, whatever else is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2, chisquare, kstest

from network import rng, sampling
from network.device import DeviceModel, alias_probabilities, alias_row
from tests.network.conftest import make_card

# compiled once for all tests of the same shape
program = jax.jit(sampling.program, static_argnames="pulses")


@pytest.mark.parametrize("key_counter_out", [
    # Random123 known answers, threefry2x32, 20 rounds
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
])  # fmt: skip
def test_threefry_known_answers(key_counter_out):
    key, counter, out = (tuple(jnp.uint32(v) for v in pair) for pair in key_counter_out)
    assert [int(v) for v in rng.threefry2x32(key, counter)] == [int(v) for v in out]


@pytest.mark.parametrize("row", [[1.0], [0.0, 1.0], [0.5, 0.5], [0.1, 0.2, 0.7], [1e-9, 1 - 1e-9, 0.0], [1 / 7] * 7])
def test_alias_table_is_exact_to_the_last_bit(row):
    columns = max(2, 1 << (len(row) - 1).bit_length())
    realised = alias_probabilities(*alias_row(np.array(row), columns), len(row))
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
            key = rng.stream(3, "test", pulse, state)
            moved, info = program(key, 0, array, plan, table, pulses)
            found = np.bincount(np.asarray(moved.state).ravel(), minlength=states)
            expected = device.transition[pulse, state] * found.sum()
            rare = expected < 5  # chi-square needs counts: rare outcomes are taken together
            seen = np.append(found[~rare], found[rare].sum())
            wanted = np.append(expected[~rare], expected[rare].sum())
            keep = wanted > 0
            assert seen[~keep].sum() == 0
            statistic = ((seen[keep] - wanted[keep]) ** 2 / wanted[keep]).sum()
            assert chi2.sf(statistic, keep.sum() - 1) > 1e-3 / (pulses * states)
            assert int(info.writes[pulse]) == found.sum() == int(info.writes.sum())
            assert int(info.transitions) == found.sum() - found[state]


def test_words_are_uniform_and_independent():
    """Each of the tests has a false-alarm rate of 0.1 % (fixed seed): bins, neighbours, steps, the word pair."""
    shape = (300, 128)
    a, b = (np.asarray(w).astype(np.float64) / 2**32 for w in rng.words(rng.stream(1, "x"), 0, shape))
    later = np.asarray(rng.words(rng.stream(1, "x"), 1, shape)[0]) / 2**32
    other = np.asarray(rng.words(rng.stream(1, "y"), 0, shape)[0]) / 2**32
    assert chisquare(np.histogram(a, 256, (0, 1))[0]).pvalue > 1e-3
    limit = 3.29 / np.sqrt(a.size)
    pairs = [(a, b), (a, later), (a, other), (a[:, 1:], a[:, :-1]), (a[1:], a[:-1])]
    for first, second in pairs:
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < limit


def test_deviates_have_the_right_distribution():
    normal = np.asarray(rng.normal(rng.stream(1, "n"), 4, (200, 101)))
    assert kstest(normal.ravel(), "norm").pvalue > 1e-3
    uniform = np.asarray(rng.uniform(rng.words(rng.stream(1, "u"), 0, (200, 101))[0]))
    assert kstest(uniform.ravel(), "uniform", args=(-(3**0.5), 2 * 3**0.5)).pvalue > 1e-3


def test_spread_is_drawn_at_programming_and_held(device):
    table, shape = sampling.tables(device), (300, 40)
    keys = (rng.stream(1, "a"), rng.stream(1, "b"))
    array, instance = sampling.fabricate(keys, shape, device, table)
    offset = device.instance_weight[np.asarray(instance)]
    assert set(np.unique(instance)) == set(range(len(device.instance_weight)))
    mask = jnp.asarray(np.random.default_rng(0).random(shape) < 0.5)
    plan = sampling.Plan(jnp.zeros(shape, jnp.int8), mask)
    after, _ = program(rng.stream(1, "p"), 9, array, plan, table, 5)
    still = ~np.asarray(mask)
    for old, new in zip(array, after, strict=True):
        np.testing.assert_array_equal(np.asarray(old)[still], np.asarray(new)[still])
    np.testing.assert_array_equal(np.asarray(after.writes), np.asarray(mask))
    deviate = np.asarray(after.weight) - device.state_weight[np.asarray(after.state)] - offset
    assert abs(deviate.std() / device.state_spread[0] - 1) < 0.02 and abs(deviate.mean()) < 0.01
    assert np.abs(deviate).max() < 1.75 * device.state_spread[0]  # bounded: a state is a bin


def test_switches_turn_spreads_off(card):
    device = DeviceModel.from_card(card, {"within_state_spread": False, "read_noise": False, "device_to_device": False})
    array, _ = sampling.fabricate((rng.stream(1, "a"), rng.stream(1, "b")), (50, 9), device, sampling.tables(device))
    assert set(np.unique(np.asarray(array.weight))) <= set(device.state_weight)
    assert not device.read_sd.any()


def test_few_rows_and_all_rows_draw_the_same(device, monkeypatch):
    """A synapse's outcome must not depend on how many others are programmed with it."""
    table, shape = sampling.tables(device), (400, 16)
    array, _ = sampling.fabricate((rng.stream(1, "a"), rng.stream(1, "b")), shape, device, table)
    mask = np.zeros(shape, bool)
    mask[[3, 77, 399], [0, 5, 15]] = True
    plan = sampling.Plan(jnp.full(shape, 2, jnp.int8), jnp.asarray(mask))
    few = program(rng.stream(1, "p"), 5, array, plan, table, 5)
    every = program(rng.stream(1, "p"), 5, array, plan._replace(mask=jnp.ones(shape, bool)), table, 5)
    monkeypatch.setattr(sampling, "FEW_ROWS", 1000)
    alone = sampling.program(rng.stream(1, "p"), 5, array, plan, table, 5)
    for a, b in zip(jax.tree.leaves(few), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    np.testing.assert_array_equal(np.asarray(few[0].weight)[mask], np.asarray(every[0].weight)[mask])
    assert int(few[1].writes[2]) == 3 and int(few[0].writes.sum()) == 3


def test_nothing_to_do_changes_nothing(device):
    table, shape = sampling.tables(device), (200, 16)
    array, _ = sampling.fabricate((rng.stream(1, "a"), rng.stream(1, "b")), shape, device, table)
    plan = sampling.Plan(jnp.zeros(shape, jnp.int8), jnp.zeros(shape, bool))
    after, info = program(rng.stream(1, "p"), 5, array, plan, table, 5)
    for a, b in zip(array, after, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert int(info.writes.sum()) == int(info.transitions) == 0


def test_pack_and_unpack():
    shapes = ((3, 50), (50, 7))
    parts = tuple(jnp.arange(a * b).reshape(a, b) + 1000 * i for i, (a, b) in enumerate(shapes))
    packed = sampling.pack(parts)
    assert packed.shape == sampling.packed_shape(shapes) == (4, 128)
    for part, back in zip(parts, sampling.unpack(packed, shapes), strict=True):
        np.testing.assert_array_equal(part, back)
