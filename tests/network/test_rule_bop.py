"""Bop: flips step by step as in a few lines of numpy, writes that fail, and which cards can serve."""

import jax
import numpy as np
import pytest
from scipy import stats

from network.rules.base import Signals
from network.rules.bop import Memory
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import (  # noqa: F401
    apply,
    bound,
    context,
    devices,
    enough,
    fits,
    junction,
    kernel_p_values,
    proposed,
    quick_compile,
    rule,
    start,
)

NAME = "bop"
SURE = ((1.0,), (1.0,))


def reference(gradients, weight, adaptivity, threshold):
    """Return averages and weights (-1 or 1) of every step by the paper's algorithm, in float64."""
    average, rows = np.zeros(weight.shape), []
    for gradient in gradients:
        average = (1 - adaptivity) * average + adaptivity * gradient
        flip = (np.abs(average) > threshold) & (np.sign(average) == np.sign(weight))
        weight = np.where(flip, -weight, weight)
        rows.append((average, weight))
    return rows


@pytest.mark.parametrize(("adaptivity", "threshold"), [(0.1, 0.02), (1.0, 0.1), (0.5, 0.0)])
def test_every_step_is_the_paper_s(adaptivity, threshold):
    """Devices that always obey, gradients that drift: the same averages and the same flips as the reference."""
    of_rule = rule(NAME, junction(*SURE), {"adaptivity": adaptivity, "threshold": threshold})
    random = np.random.default_rng(8)
    shape = (12, 9)
    gradients = [random.normal(0.05 * np.sin(step / 2), 0.1, shape).astype(np.float32) for step in range(15)]
    state = random.integers(0, 2, (1, *shape))
    array, memory, give, writes = devices(state, of_rule.device), start(of_rule, shape)[0], jax.jit(of_rule.propose), 0
    flips, before = 0, 2.0 * state[0] - 1
    for step, (average, weight) in enumerate(reference(gradients, before, adaptivity, threshold)):
        memory, (plan,) = give(memory, (array,), Signals((gradients[step],)), context(step))
        array, info = apply(of_rule, array, plan, seed=step)
        np.testing.assert_allclose(memory.average[0], average, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(of_rule.combine(array).value, weight)
        flips, before, writes = flips + np.sum(weight != before), weight, writes + int(info.writes.sum())
    assert flips == writes > 50  # every write is a flip


def test_the_threshold_must_be_passed_and_the_sign_be_the_same():
    """By adaptivity 1 the average is the gradient; at the threshold itself nothing happens, in either direction."""
    of_rule = rule(NAME, junction(*SURE), {"adaptivity": 1.0, "threshold": 0.25})
    gradient = np.float32([[0.25, 0.2500001, -0.25, -0.2500001, 0, 9, -9]])
    for state, wrong in ((1, [0, 1, 0, 0, 0, 1, 0]), (0, [0, 0, 0, 1, 0, 0, 1])):
        array = devices(np.full((1, 1, 7), state), of_rule.device)
        memory, (plan,) = proposed(of_rule, start(of_rule, (1, 7))[0], (array,), Signals((gradient,)), context())
        np.testing.assert_array_equal(plan.mask[0, 0], np.bool_(wrong))
        assert np.all(np.asarray(plan.pulse)[plan.mask] == (of_rule.down if state else of_rule.up))
        np.testing.assert_array_equal(memory.average[0], gradient)


def test_a_failed_write_is_seen_and_repeated_and_a_success_is_not():
    """Switching with probability 0.3 against a steady gradient: n steps leave 0.7^n, one write for each step in it.

    Binomial tests of the survivors after each of five steps, false alarms 0.01 % in all, fixed seed.
    """
    each, p = 20000, 0.3
    of_rule = rule(NAME, junction((0.6,), (p,)), {"adaptivity": 1.0, "threshold": 0.1})
    array, memory = devices(np.ones((1, each, 1)), of_rule.device), start(of_rule, (each, 1))[0]
    give, left, p_values = jax.jit(of_rule.propose), each, []
    for step in range(5):
        memory, (plan,) = give(memory, (array,), Signals((np.ones((each, 1), np.float32),)), context(step))
        np.testing.assert_array_equal(plan.mask, array.state == 1)  # read back
        array, info = apply(of_rule, array, plan, seed=step)
        assert int(info.writes[of_rule.down]) == int(info.writes.sum()) == left
        survived = int(array.state.sum())
        p_values.append(stats.binomtest(survived, left, 1 - p).pvalue)
        left = survived
    assert enough(p_values) and left > 1000 and of_rule.costs.state_reads_per_step == 1


def test_two_pulses_of_a_card_of_many_states_will_do():
    """Pulses 1 and 3 of five: levels -1 and 1, and a device anywhere is judged by its side of the middle."""
    of_rule = rule(NAME, make_card(), {"adaptivity": 1.0, "threshold": 0.0}, device_options={"pulses": [1, 3]})
    device = of_rule.device
    np.testing.assert_allclose(device.level, [-1, 1], rtol=0, atol=1e-6)
    array = devices(np.tile(np.arange(5), (2, 1))[None], device)
    gradient = np.float32([[1] * 5, [-1] * 5])
    _, (plan,) = proposed(of_rule, start(of_rule, (2, 5))[0], (array,), Signals((gradient,)), context())
    positive = device.state_weight > 0
    assert positive.tolist() == [False, False, True, True, True]
    np.testing.assert_array_equal(plan.mask[0], [positive, ~positive])
    aimed = device.transition[np.asarray(plan.pulse)[0]] @ device.state_weight @ device.occupancy
    np.testing.assert_allclose(aimed[0][positive], -1, rtol=0, atol=0.2)  # from other states, other means
    np.testing.assert_allclose(aimed[1][~positive], 1, rtol=0, atol=0.2)


def test_every_kernel_is_drawn_as_the_card_says():
    """Chi-square per (pulse, state), false alarms 0.01 % in all, fixed seed."""
    assert enough(kernel_p_values(rule(NAME, junction((0.8,), (0.97,), back=0.01))))


def test_devices_start_up_or_down_at_random_and_one_float_each_is_kept():
    """Share of devices up: normal deviate, false alarms 0.01 %, fixed seed; each is written once."""
    of_rule, shapes = rule(NAME, junction(*SURE)), ((64, 50), (50, 10))
    memory, plans = start(of_rule, *shapes)
    assert isinstance(memory, Memory) and not any(average.any() for average in memory.average)
    assert of_rule.memory_bits(memory) == {"average": 32 * (3200 + 500)}
    after, info = apply(of_rule, devices(np.zeros((1, 64, 50)), of_rule.device), plans[0])
    assert info.writes.sum() == 3200 and plans[1].mask.all() and plans[1].mask.shape == (1, 50, 10)
    assert abs(after.state.mean() - 0.5) < bound() / 2 / np.sqrt(3200)
    assert enough([fits(np.bincount(after.state.ravel()), [0.5, 0.5])])


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        (make_card(), {}, "pulses.csv: found 5 pulses, allowed: 2 for bop, one for each level"),
        (junction((0.1, 1.0), (1.0,)), {}, "pulses.csv: found 3 pulses, allowed: 2 for bop"),
        (
            junction(*SURE, flags={"volatile": True}),
            {},
            "card.json: flags.volatile: found true, allowed: false for bop",
        ),
        (junction(*SURE), {"adaptivity": 0}, "network.rule_options.adaptivity: found 0, allowed: at least 1e-9"),
        (junction(*SURE), {"threshold": -1}, "network.rule_options.threshold: found -1, allowed: at least 0"),
        (
            junction(*SURE),
            {"gamma": 1},
            "rule bop: network.rule_options: found unknown key 'gamma', allowed: adap",
        ),
    ],
)
def test_errors(card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, card, options)
