"""Straight-through quantisation: the nearest level is seen, and its gradient moves the shadow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.rules.base import Signals
from network.rules.capabilities import Devices
from network.rules.float_baseline import Memory
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import card, context, lattice, proposed, quick_compile, rule, start  # noqa: F401

NAME = "straight_through"
SHADOW = np.linspace(-1, 1, 4001).astype(np.float32).reshape(1, -1)


def seen(of_rule, shadow):
    """Return the weights that the network sees for shadow weights of any shape."""
    return np.asarray(of_rule.weights(Memory((jnp.asarray(shadow),), None), None, context())[0].value)


@pytest.mark.parametrize("levels", [2, 3, 4, 17, 255, None])
def test_the_nearest_level_is_seen(levels):
    """By comparison with all levels in float64, even ones and the card's own five uneven ones."""
    of_rule = rule(NAME, make_card(), {"levels": levels})
    wanted = of_rule.device.level if levels is None else np.linspace(-1, 1, levels)
    np.testing.assert_allclose(of_rule.level, wanted, rtol=0, atol=1e-7)
    assert levels is not None or np.ptp(np.diff(wanted)) > 0.1
    distance = np.abs(SHADOW[0].astype(float)[:, None] - of_rule.level.astype(float)[None, :])
    found = seen(of_rule, SHADOW)[0]
    assert set(found) == set(of_rule.level)
    np.testing.assert_allclose(np.abs(found - SHADOW[0].astype(float)), distance.min(axis=1), rtol=0, atol=1e-7)


def test_half_way_counts_as_the_lower():
    of_rule = rule(NAME, make_card(), {"levels": 5})
    np.testing.assert_array_equal(seen(of_rule, np.float32([[-0.75, -0.25, 0.25, 0.75]])), [[-1, -0.5, 0, 0.5]])


def test_pulses_that_aim_at_the_same_are_one_level():
    kernels = [[[1, 0], [1, 0]], [[0, 1], [0, 1]], [[0, 1], [0, 1]], [[0.5, 0.5], [0.5, 0.5]]]
    of_rule = rule(NAME, card(kernels, [-1.0, 1.0, 2.0, 0.5], 1e-9))
    np.testing.assert_array_equal(of_rule.level, [-1, 0, 1])
    np.testing.assert_array_equal(rule(NAME, lattice(32, 0.0)).level, [-1, 1])  # one pulse up and one down


@pytest.mark.parametrize("levels", [2, 6])
def test_the_gradient_is_that_of_the_rounded_weight_and_moves_the_shadow(levels):
    """A least-squares layer: x'(x w - y), by hand in float64, passes to the shadow, is clipped there, and no more."""
    of_rule = rule(NAME, make_card(), {"levels": levels}, {"name": "sgd", "learning_rate": 0.3})
    random = np.random.default_rng(2)
    x, y = random.normal(size=(5, 7)), random.normal(size=(5, 4))
    shadow = random.uniform(-1, 1, (7, 4)).astype(np.float32)
    memory = Memory((jnp.asarray(shadow),), of_rule.optimizer.transform.init((jnp.asarray(shadow),)))
    entry = of_rule.weights(memory, None, context())[0]
    loss = jax.grad(lambda value: 0.5 * jnp.sum((jnp.float32(x) @ value - jnp.float32(y)) ** 2))
    after, plans = proposed(of_rule, memory, None, Signals((loss(entry.value),)), context())
    rounded = of_rule.level[np.abs(shadow[..., None] - of_rule.level).argmin(axis=-1)].astype(float)
    wanted = np.clip(shadow - 0.3 * x.T @ (x @ rounded - y), -1, 1)
    assert plans is None and 0 < np.sum(np.abs(wanted) == 1) < wanted.size
    np.testing.assert_allclose(after.weight[0], wanted, rtol=0, atol=2e-6)
    # at the shadow itself it would be another gradient
    assert np.abs(wanted - np.clip(shadow - 0.3 * x.T @ (x @ shadow - y), -1, 1)).max() > 0.1


def test_steps_below_the_resolution_add_up():
    """Steps of 1/64 that the network does not see: its weight changes when their sum passes a middle, 0 or 2/3."""
    of_rule = rule(NAME, make_card(), {"levels": 4})
    memory = Memory((jnp.full((1, 1), -0.0625),), of_rule.optimizer.transform.init((jnp.zeros((1, 1)),)))
    rows, give = [], jax.jit(of_rule.propose)
    for step in range(60):
        rows.append(float(of_rule.weights(memory, None, context(step))[0].value[0, 0]))
        memory, _ = give(memory, None, Signals((jnp.full((1, 1), -1 / 64),)), context(step))
    shadow = -0.0625 + np.arange(60) / 64  # exact in float32
    wanted = np.where(shadow <= 0, -1 / 3, np.where(shadow <= 2 / 3, 1 / 3, 1))
    np.testing.assert_allclose(rows, wanted, rtol=0, atol=1e-7)
    assert set(np.round(rows, 3)) == {-0.333, 0.333, 1.0}


@pytest.mark.parametrize(("name", "moments"), [("sgd", 0), ("adam", 64)])
def test_shadow_and_moments_are_counted_and_no_device_is_used(name, moments):
    of_rule = rule(NAME, make_card(), {"levels": 2}, {"name": name, "learning_rate": 0.01})
    memory, plans = start(of_rule, (8, 6), (6, 4))
    baseline = start(rule("float_baseline", make_card()), (8, 6), (6, 4))[0]
    assert plans is None and of_rule.devices is Devices.NONE and of_rule.costs.reads_per_product == 0
    assert 2 ** (of_rule.costs.weight_bits - 1) < len(of_rule.level) <= 2**of_rule.costs.weight_bits
    assert of_rule.memory_bits(memory) == {"weights": 32 * 72, "optimizer": moments * 72}
    np.testing.assert_array_equal(memory.weight[0], baseline.weight[0])  # a paired comparison


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (1, "network.rule_options.levels: found 1, allowed: at least 2"),
        (1025, "network.rule_options.levels: found 1025, allowed: at most 1024"),
        (2.5, "network.rule_options.levels: found 2.5, allowed: integer or null"),
        (None, "pulses.csv: found 1100 nominal levels, allowed: at most 1024 for straight_through"),
    ],
)
def test_errors(levels, message):
    up = np.linspace(0, 1, 1100)
    many = card([[[1 - p, p], [1 - p, p]] for p in up], np.linspace(0.1, 1, 1100), 1e-9)
    with pytest.raises(UserError, match=message):
        rule(NAME, many, {"levels": levels})
