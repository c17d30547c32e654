"""Numbers that are printed in papers, or follow from them in one line, to the digits that are printed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.sources import library
from network.model import activations
from tests.network.rule_cards import SURE, junction, quick_compile, rule, shares  # noqa: F401


@pytest.mark.parametrize(
    ("nu", "p"), [(0.01, "0.030"), (0.05, "0.149"), (0.1, "0.291"), (0.3, "0.716"), (0.5, "0.905"), (1.0, "0.995")]
)
def test_gxnor_amplifies_small_steps(nu, p):
    """tanh(3 nu), arXiv 1705.09283 with m = 3, from the rule and through a junction's pulses."""
    of_rule = rule("discrete_state_transition", junction(SURE, SURE))
    strength = of_rule.strength(jnp.float32(nu))
    assert f"{float(strength):.3f}" == p
    assert f"{shares(of_rule.ladder, of_rule.device, False, np.array([strength]))[0]:.3f}" == p


def test_gxnor_ternary_activation():
    """Code of arXiv 1705.09283: +-1 from 1 on, gradient 1 for 0.5 < |x| < 1.5 and 0 elsewhere."""
    x = np.array([-3, -1.5, -1.499, -1, -0.999, -0.501, -0.5, 0, 0.5, 0.501, 0.999, 1, 1.499, 1.5, 3], np.float32)
    value = jax.vmap(activations.ternary)(x)
    slope = jax.vmap(jax.grad(activations.ternary))(x)
    assert value.tolist() == [-1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert slope.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("w", "p"), [(3, "0.0332"), (4, "0.170"), (4.63168, "0.511"), (5, "0.738"), (6, "0.977"), (7, "0.9985")]
)
def test_ellis_passing_probability(w, p):
    """p(w) = 1 - a/(1 + exp(b (w - w0))) with the constants of the code of arXiv 2303.01886, from the card's law."""
    of_rule = rule("mean_variance_probability", library.card("ellis_gate"))
    # the card's drive is in tesla, one unit of w is 1 mT
    assert (of_rule.w0, of_rule.b, of_rule.a) == pytest.approx((4.63168e-3, 2727.41, 0.97813), rel=1e-12, abs=0)
    found = float(of_rule.passing(jnp.float32(of_rule.b * (1e-3 * w - of_rule.w0))))
    assert f"{found:.{len(p) - 2}f}" == p


def test_ellis_floor():
    """1 - a = 0.0219 (papers' last digit): a wire never stops passing altogether."""
    of_rule = rule("mean_variance_probability", library.card("ellis_gate"))
    assert f"{float(of_rule.passing(jnp.float32(-50))):.4f}" == "0.0219"
    assert float(of_rule.passing(jnp.float32(50))) == 1.0
