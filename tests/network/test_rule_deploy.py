"""Train, then deploy: what training draws is what programming gives, and what verifying costs and gains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from network.model.layers import Synapses
from network.rules.base import Context, Signals
from network.synapse import random_words, sampling
from network.synapse.sampling import Plan
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import ALARM, context, enough, fits, kernel_p_values, proposed, quick_compile, rule, start  # noqa: F401

NAME = "train_then_deploy"
SHAPE = (128, 100)


def fabricated(of_rule, shape, seed=1):
    """Return packed devices as they leave the factory, all compiled at once."""
    keys = (random_words.stream(seed, "made"), random_words.stream(seed, "instance"))
    count = len(of_rule.device.pulses)
    table = sampling.tables(of_rule.device)
    return jax.jit(lambda k: sampling.fabricate(k, sampling.packed_shape(shape), of_rule.device, table, count)[0])(keys)


def deployed(of_rule, level, seed=1):
    """Return devices [1, inputs, outputs] programmed to levels, and the commands that it took."""
    shapes, count = ((1, *level.shape),), len(of_rule.device.pulses)
    table, key = sampling.tables(of_rule.device), random_words.stream(seed, "program")

    def program(step, array, plans):
        plan = Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        return sampling.program(key, step, array, plan, table, count)

    memory = start(of_rule, level.shape)[0]._replace(command=(jnp.asarray(level, jnp.int8),))
    array, done = jax.jit(lambda m, a: of_rule.deploy(m, a, shapes, program, context()))(
        memory, fabricated(of_rule, shapes, seed)
    )
    assert int(done.looks) == (int(done.writes.sum()) if of_rule.attempts > 1 else 0)  # verified after each write
    return sampling.views(array, shapes)[0], np.asarray(done.writes)


def diverse(**options):
    """Return a card whose three instances differ in conductance."""
    card = make_card(instances=3, **options)
    card.population["conductance_factor"] = [0.8, 1.0, 1.2]
    card.population["conductance_offset_S"] = [1e-5, 0.0, -2e-5]
    return card


@pytest.mark.parametrize(
    ("card", "options"),
    [
        (diverse(memory=0.2, spread=0.7, own=True), {}),
        (diverse(memory=0.5), {}),
        (make_card(memory=0.5, own=True, instances=3), {"stuck_fraction": 0.2, "within_state_spread": False}),
        (make_card(), {"within_state_spread": False, "device_to_device": False}),
    ],
)
def test_training_draws_what_programming_gives(card, options):
    """Two-sample tests per level, of states and weights, at a false-alarm rate of 0.01 % in all; fixed seeds.

    Rows that depend on the state before, kernels, offsets and spread of each instance, stuck devices: all in it.
    """
    of_rule = rule(NAME, card, device_options=options)
    levels = len(of_rule.device.level)
    level = np.tile(np.arange(levels), (256, 50))
    drawn = np.asarray(jax.jit(of_rule.sample)(random_words.stream(4, "draw"), 3, level).value)
    real = deployed(of_rule, level)[0].weight[0]
    p_values = []
    for k in range(levels):
        a, b = drawn[level == k], np.asarray(real)[level == k]
        if options.get("within_state_spread", True):
            p_values.append(stats.ks_2samp(a, b).pvalue)
        else:
            # ties: as many of each value
            values = np.unique(np.concatenate([a, b]))
            table = np.array([[np.sum(side == v) for v in values] for side in (a, b)])
            p_values.append(stats.chi2_contingency(table[:, table.sum(axis=0) > 10]).pvalue)
    assert enough(p_values)


def test_each_step_draws_afresh_and_alike_whatever_the_order():
    of_rule = rule(NAME, make_card())
    level = np.full(SHAPE, 2, np.int8)
    sample = jax.jit(of_rule.sample)
    a, b, again = (np.asarray(sample(random_words.stream(4, "draw"), step, level).value) for step in (0, 1, 0))
    np.testing.assert_array_equal(a, again)
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < stats.norm.isf(ALARM / 2) / np.sqrt(a.size)
    # neither do neighbouring steps share words
    assert not np.isin(a.ravel(), b.ravel()).mean() > 0.01


def test_reads_of_sampled_devices_are_as_noisy_as_their_states():
    card = make_card(read_noise_S=np.array([1e-6, 2e-6, 3e-6, 4e-6, 5e-6]))
    of_rule = rule(NAME, card, device_options={"within_state_spread": False, "device_to_device": False})
    found = jax.jit(of_rule.sample)(random_words.stream(4, "draw"), 0, np.full(SHAPE, 2, np.int8))
    assert isinstance(found, Synapses)
    value, variance = np.asarray(found.value), np.asarray(found.variance)
    for s, weight in enumerate(of_rule.device.state_weight):
        np.testing.assert_allclose(variance[value == weight], of_rule.device.read_sd[s] ** 2, rtol=1e-6)
    assert len(np.unique(variance)) == 5


def test_accumulating_is_that_of_the_rule_in_place():
    """Margin 0.1: a level changes when the accumulator leaves its band; no device takes part."""
    of_rule = rule(NAME, make_card(), {"margin": 0.1})
    inplace = rule("accumulate_quantise_program", make_card(), {"margin": 0.1})
    gradient = np.random.default_rng(1).normal(0, 0.3, (30, 20)).astype(np.float32)
    memory, none = start(of_rule, gradient.shape)
    same, plans = start(inplace, gradient.shape)
    assert none is None and plans is not None
    np.testing.assert_array_equal(memory.command[0], same.command[0])
    after, none = proposed(of_rule, memory, None, Signals((gradient,)), context())
    also, (plan,) = proposed(inplace, same, (None,), Signals((gradient,)), context())
    assert none is None
    for a, b in ((after.accumulator, also.accumulator), (after.command, also.command)):
        np.testing.assert_array_equal(a[0], b[0])
    changed = np.asarray(after.command[0] != memory.command[0])
    assert 0.1 < changed.mean() < 0.9 and np.all(np.asarray(plan.mask[0])[changed])
    assert of_rule.memory_bits(after) == inplace.memory_bits(also)


@pytest.mark.long
def test_attempts_lower_the_error_and_are_counted():
    """Off by more than half of the smallest gap: written again, the rest never; fewer are off each time."""
    card = make_card(spread=0.8)
    level = np.tile(np.arange(5), (SHAPE[0], SHAPE[1] // 5))
    errors, writes_of, off = [], [], []
    for attempts in (1, 8):
        of_rule = rule(NAME, card, {"attempts": attempts, "verify_margin": 0.5})
        array, writes = deployed(of_rule, level)
        difference = np.abs(np.asarray(array.weight[0]) - of_rule.device.level[level])
        gap = np.diff(of_rule.device.level).min()
        errors.append(np.sqrt(np.mean(difference**2)))
        writes_of.append(np.asarray(array.writes[0]))
        off.append(np.mean(difference > 0.5 * gap))
        assert writes.sum() == np.asarray(array.writes).sum() and np.asarray(array.writes).min() == 1
        assert np.asarray(array.writes).max() == attempts
        # a device that fits is left alone
        early = writes_of[-1] < attempts
        assert np.all(difference[early] <= 0.5 * gap)
        if attempts == 1:
            assert writes.tolist() == [2560] * 5
    assert np.mean(writes_of[1] > 1) == pytest.approx(
        off[0], abs=1e-12
    )  # again are written exactly those that were off
    assert errors[0] > 1.5 * errors[1] and off[0] > 0.2 and off[1] < 3 * off[0] ** 4


@pytest.mark.long
def test_a_wide_margin_is_always_met_and_none_never():
    card, level = make_card(), np.full(SHAPE, 2)
    wide, never = (rule(NAME, card, {"attempts": 3, "verify_margin": m}) for m in (10, 0))
    assert deployed(wide, level)[1].sum() == level.size
    assert deployed(never, level)[1].sum() == 3 * level.size


def test_every_kernel_of_the_alphabet_is_drawn_as_the_card_says():
    """Chi-square per (pulse, state), false alarms 0.01 % in all, fixed seed."""
    assert enough(kernel_p_values(rule(NAME, make_card(memory=0.4))))


@pytest.mark.long
def test_deployments_differ_and_repeat():
    of_rule, level = rule(NAME, make_card()), np.full(SHAPE, 2)
    a, b, again = (np.asarray(deployed(of_rule, level, seed)[0].weight) for seed in (1, 2, 1))
    np.testing.assert_array_equal(a, again)
    state = [np.asarray(deployed(of_rule, level, seed)[0].state) for seed in (1, 2)]
    row = of_rule.device.occupancy @ of_rule.device.transition[of_rule.device.level_pulse[2]]
    assert np.mean(a == b) < 0.01
    # as independent draws: equal as often as chance, five binomial sd
    chance = np.sum(row**2)
    assert abs(np.mean(state[0] == state[1]) - chance) < 5 * np.sqrt(chance * (1 - chance) / level.size)
    assert enough([fits(np.bincount(s.ravel(), minlength=5), row) for s in state])


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        (make_card(flags={"volatile": True}), {}, "card.json: flags.volatile: found true, allowed: false for train_"),
        (make_card(), {"attempts": 0}, "network.rule_options.attempts: found 0, allowed: at least 1"),
        (make_card(), {"verify_margin": -1}, "network.rule_options.verify_margin: found -1, allowed: at least 0"),
        (make_card(), {"deployments": 0}, "network.rule_options.deployments: found 0, allowed: at least 1"),
        (make_card(), {"compare": "state"}, "found unknown key 'compare', allowed: attempts, deployments, margin"),
    ],
)
def test_errors(card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, card, options)


def test_layers_draw_from_their_own_streams():
    of_rule = rule(NAME, make_card())
    memory, _ = start(of_rule, (40, 30), (40, 30))
    memory = memory._replace(command=(memory.command[0],) * 2)
    now = Context(tuple(random_words.stream(1, "rule", layer) for layer in range(2)), jnp.int32(0))
    one, two = jax.jit(lambda m, c: of_rule.weights(m, None, c))(memory, now)
    assert np.mean(np.asarray(one.value) == np.asarray(two.value)) < 0.01
