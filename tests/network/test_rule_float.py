"""The float baseline: what its learning rate means."""

import jax
import numpy as np
import pytest

from network import rules
from network.rules.base import Signals
from network.synapse.device import NO_DEVICE
from network.training import settings
from tests.network.rule_cards import context, proposed, quick_compile, start  # noqa: F401
from tests.network.test_variants import BASE

SCALES = (0.2, 3.0)


def moved(rate_of, optimizer):
    """Return the change of the weights of two layers of different scales, and the gradients of the unit weights."""
    from network.model import optimizers
    from network.sections import Optimizer

    made = optimizers.make(Optimizer(**optimizer), 1)
    of_rule = rules.get("float_baseline")(NO_DEVICE, made, rules.options("float_baseline", {"rate_of": rate_of}))
    memory, _ = start(of_rule, (5, 4), (4, 3))
    memory = memory._replace(weight=jax.tree.map(lambda w: w / 2, memory.weight))  # away from the ends
    random = np.random.default_rng(1)
    gradients = tuple(2e-2 * random.normal(size=w.shape).astype(np.float32) for w in memory.weight)
    after, _ = proposed(of_rule, memory, (), Signals(gradients, scales=SCALES), context())
    return [np.asarray(b - a) for a, b in zip(memory.weight, after.weight, strict=True)], gradients


@pytest.mark.parametrize(
    ("optimizer", "power"), [({"name": "sgd", "learning_rate": 0.1}, 2), ({"name": "adam", "learning_rate": 0.01}, 1)]
)
def test_the_rate_is_that_of_the_true_weight_if_asked_for(optimizer, power):
    """W = s w: sgd moves W by -rate dL/dW, hence w by -rate g / s^2; adam moves W by the rate, hence w by rate / s."""
    unit, gradients = moved("unit_weight", optimizer)
    true, _ = moved("true_weight", optimizer)
    for one, other, scale, gradient in zip(unit, true, SCALES, gradients, strict=True):
        np.testing.assert_allclose(other, one / scale**power, rtol=1e-3, atol=5e-6)
        assert np.all(np.sign(one) == -np.sign(gradient))
        if optimizer["name"] == "sgd":
            np.testing.assert_allclose(scale * other, -0.1 * gradient / scale, rtol=1e-3, atol=5e-6)


@pytest.mark.parametrize("rule", ["stochastic_coincidence", "tiki_taka", "accumulate_quantise_program"])
def test_the_baseline_of_outer_products_learns_at_their_rate(rule):
    found = settings.variants({**BASE, "rule": rule, "rule_options": {}})["float_baseline"]
    outer = rules.get(rule).outer
    assert found["rule_options"] == ({"rate_of": "true_weight"} if outer else {})
