"""Outer-product probability: a step is a probability to switch, and what that makes of a weight's mean and spread."""

import jax
import numpy as np
import pytest
from scipy import stats

from network.rules.base import Signals
from network.synapse import turns
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import (  # noqa: F401
    SURE,
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

NAME = "outer_product_probability"
EACH = 16384  # synapses that share a gradient
PAIR = (0.001, 0.02, 0.3, 1.0), (0.05, 0.6, 1.0)


def stepped(of_rule, gradient, state, step=0):
    """Return the devices and counts after one step; one column per gradient, all devices in ``state``."""
    wide = np.tile(np.asarray(gradient, np.float32), (EACH, 1))
    array = devices(np.full((len(of_rule.mix), *wide.shape), state), of_rule.device)
    _, (plan,) = proposed(of_rule, (), (array,), Signals((wide,)), context(step))
    after, info = apply(of_rule, array, plan, seed=step)
    return after, info, plan


def test_the_probability_is_rate_times_gradient_and_its_direction_against_it():
    """Binomial test per gradient and device, false alarms 0.01 % in all, fixed seed; gain times rate is 0.5."""
    of_rule = rule(NAME, junction(*PAIR), {"devices": 2, "gain": 5.0}, {"name": "sgd", "learning_rate": 0.1})
    gradient = np.array([0.0, 0.0004, -0.0004, 0.03, -0.03, 0.5, -0.5, 1.7, -1.7, 3.0, -3.0])
    p = np.minimum(0.5 * np.abs(gradient), 1)
    for state in (0, 1):
        after, info, plan = stepped(of_rule, gradient, state)
        moved = (after.state != state).sum(axis=1)
        right = (gradient < 0) if state == 0 else (gradient > 0)
        assert not moved[:, ~right].any()  # a pulse towards the state that the device is in does nothing
        assert enough(
            [stats.binomtest(int(k), EACH, q).pvalue for row in moved[:, right] for k, q in zip(row, p[right])]
        )
        given = np.asarray(plan.mask).mean(axis=(0, 1))
        assert given[0] == 0 and np.all(given[1:] >= p[1:] * 0.98)  # but it is given: no state is read
        assert int(info.writes.sum()) == np.asarray(plan.mask).sum()


def test_devices_of_a_synapse_switch_by_themselves():
    """Joint outcomes of three devices against the product, chi-square at 0.01 %; so are synapses and steps (phi)."""
    of_rule = rule(NAME, junction(*PAIR), {"devices": 3})
    after, _, plan = stepped(of_rule, [-0.13], 0)
    on = after.state[:, :, 0]
    p = 0.13
    joint = np.bincount(on[0] + 2 * on[1] + 4 * on[2], minlength=8)
    wanted = [p ** bin(k).count("1") * (1 - p) ** (3 - bin(k).count("1")) for k in range(8)]
    later = stepped(of_rule, [-0.13], 0, step=1)[0].state[:, :, 0]
    assert enough([fits(joint, wanted)])
    phi = [np.corrcoef(a, b)[0, 1] for a, b in ((on[0], later[0]), (on[0][1:], on[0][:-1]), (on[2][1:], on[0][:-1]))]
    assert np.all(np.abs(phi) < bound(3) / np.sqrt(EACH))
    # the choice of the rung is each device's own, too
    command = np.asarray(plan.pulse)[:, :, 0]
    assert abs(np.corrcoef(command[0], command[1])[0, 1]) < bound() / np.sqrt(EACH)


@pytest.mark.parametrize("count", [1, 4])
def test_drift_and_diffusion_over_many_steps(count):
    """n steps of gradient g: M junctions go as 1 - (1 - P)^n; drift 2 n P, variance 4 n P / M while small.

    Means and variances within the normal error of 16384 synapses, false alarms 0.01 % each.
    """
    steps, gradients = 8, np.array([-0.0005, -0.002, -0.008, -0.1])
    of_rule = rule(NAME, junction((0.0005, 0.004, 0.3, 1.0), (0.5, 1.0)), {"devices": count})
    wide = np.tile(gradients.astype(np.float32), (EACH, 1))
    array = devices(np.zeros((count, *wide.shape)), of_rule.device)
    give = jax.jit(of_rule.propose)
    for step in range(steps):
        _, (now,) = give((), (array,), Signals((wide,)), context(step))
        array, _ = apply(of_rule, array, turns.plan(now), seed=100 + step)
    q = 1 - (1 + gradients) ** steps
    weight = of_rule.combine(array).value
    error = np.sqrt(4 * q * (1 - q) / count / EACH)
    assert np.all(np.abs(weight.mean(axis=0) - (2 * q - 1)) < bound(4) * error)
    assert enough([
        fits(np.bincount(array.state[:, :, k].sum(axis=0), minlength=count + 1), stats.binom.pmf(np.arange(count + 1),
                                                                                               count, q[k]))
        for k in range(4)
    ])  # fmt: skip
    # while small: drift in proportion to P, diffusion to its root
    drift, sd = weight.mean(axis=0) + 1, weight.std(axis=0)
    np.testing.assert_allclose(drift[:3] / (2 * steps * -gradients[:3]), 1, atol=0.15 / np.sqrt(count), rtol=0)
    expected = 2 * np.sqrt(steps * -gradients[:3] / count)
    np.testing.assert_allclose(sd[:3] / expected, 1, atol=0.1, rtol=0)  # the root alone is 4.5 % off at P = 0.06
    # and the diffusion itself, of binomial counts, within the error of a standard deviation
    excess = (1 - 6 * q * (1 - q)) / (count * q * (1 - q))
    exact = 2 * np.sqrt(q * (1 - q) / count)
    assert np.all(np.abs(sd / exact - 1) < bound(4) * np.sqrt((excess + 2) / (4 * EACH)))


def test_normalised_gradients_have_no_scale():
    """Divided by the layer's root mean square: 1, 1e-6 and 1e6 times a gradient give the same pulses."""
    random = np.random.default_rng(3).normal(size=(20, 10)).astype(np.float32)
    of_rule = rule(NAME, junction(*PAIR), {"normalise": "layer", "gain": 0.2})
    array = devices(np.zeros((1, 20, 10)), of_rule.device)
    give = jax.jit(of_rule.propose)
    plans = [
        turns.plan(give((), (array,), Signals((random * scale,)), context())[1][0])
        for scale in np.float32([1, 2**20, 2**-20])
    ]
    for plan in plans[1:]:
        np.testing.assert_array_equal(plan.mask, plans[0].mask)
        np.testing.assert_array_equal(plan.pulse, plans[0].pulse)
    # and what it is: strength 0.2 |g| / rms(g)
    other = rule(NAME, junction(*PAIR), {"gain": 0.2 / float(np.sqrt(np.mean(random.astype(float) ** 2)))})
    _, (same,) = proposed(other, (), (array,), Signals((random,)), context())
    assert np.mean(np.asarray(same.pulse) == np.asarray(plans[0].pulse)) > 0.995
    _, (none,) = give((), (array,), Signals((random * 0,)), context())
    assert not turns.plan(none).mask.any()


def test_every_kernel_of_the_alphabet_is_drawn_as_the_card_says():
    """Chi-square per (pulse, state), false alarms 0.01 % in all, fixed seed."""
    assert enough(kernel_p_values(rule(NAME, junction((0.02, 0.5), (0.1, 0.97), back=0.01))))


def test_devices_start_on_or_off_at_random_and_nothing_is_remembered():
    of_rule = rule(NAME, junction(*PAIR), {"devices": 3})
    memory, (plan,) = start(of_rule, (64, 64))
    after, _ = apply(of_rule, devices(np.zeros((3, 64, 64)), of_rule.device), plan)
    counts = [np.bincount((after.state[0] + 2 * after.state[1] + 4 * after.state[2]).ravel(), minlength=8)]
    assert memory == () and of_rule.memory_bits(memory) == {} and plan.mask.all()
    assert enough([fits(counts[0], np.full(8, 1 / 8))])


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        (make_card(), {}, "states.csv: found 5 states, allowed: 2 for outer_product_probability"),
        (junction(SURE, SURE, flags={"volatile": True}), {}, "card.json: flags.volatile: found true, allowed: false"),
        (junction(SURE, SURE), {"devices": 0}, "network.rule_options.devices: found 0, allowed: at least 1"),
        (junction(SURE, SURE), {"normalise": "x"}, "network.rule_options.normalise: found x, allowed: none, layer"),
        (junction(SURE, SURE), {"gain": -1}, "network.rule_options.gain: found -1, allowed: at least 1e-9"),
        (
            junction(SURE, SURE),
            {"slots": 1},
            "rule_options: found unknown key 'slots', allowed: devices, dither, gain",
        ),
    ],
)
def test_errors(card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, card, options)
