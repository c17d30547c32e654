"""Stochastic rounding: unbiased for every level, change and distance of levels; noise as it must be; few bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from network.rules.base import Signals
from network.rules.capabilities import Devices
from network.rules.stochastic_rounding import Memory, aim, falls
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import bound, context, enough, fits, proposed, quick_compile, rule, start  # noqa: F401

NAME = "stochastic_rounding"
UNEVEN = np.float32([-1.0, -0.9, -0.25, 0.1, 0.125, 1.0])
CHANGES = np.float32([0, 0.01, 0.1, 0.15, 0.35, 0.5, 0.65, 0.9, 1, 1.7, 2, 5])
EACH = 40000


@pytest.mark.parametrize("level", [UNEVEN, np.float32([-1, 1]), np.linspace(-1, 1, 255).astype(np.float32)])
def test_the_mean_is_the_wanted_weight_exactly(level):
    """level[sure] (1 - p) + level[further] p = clip(w + d), for all levels and changes of either sign, in float64."""
    held, change = (v.ravel() for v in np.meshgrid(np.arange(len(level)), np.append(CHANGES, -CHANGES), indexing="ij"))
    sure, further, chance = (np.asarray(v) for v in jax.jit(lambda h, c: aim(level, h, c))(held, change))
    exact, chance = level.astype(float), chance.astype(float)
    wanted = np.clip(exact[held] + change, -1, 1)
    np.testing.assert_allclose(exact[sure] * (1 - chance) + exact[further] * chance, wanted, rtol=0, atol=2e-7)
    # the two are the neighbours of what is wanted, so that the noise is the least possible
    assert np.all(np.abs(sure - further) <= 1) and np.all((chance >= 0) & (chance <= 1))
    low, high = np.minimum(sure, further), np.maximum(sure, further)
    assert np.all((exact[low] <= wanted + 2e-7) & (wanted <= exact[high] + 2e-7))
    # from the ends nothing goes outwards
    out = (np.abs(exact[held]) == 1) & (np.sign(change) == np.sign(exact[held]))
    assert out.any() and not chance[out].any() and np.all(sure[out] == held[out])


def test_changes_below_the_resolution_of_floats_keep_their_probability():
    """From 0.1 to 1, where floats are 7e-9 to 6e-8 apart: p = |d| / gap to the digits of a float, down to 1e-30."""
    for change in (1e-6, 1e-9, 1e-30, -1e-6, -1e-9, -1e-30):
        held = np.array([1, 3, 4])
        sure, further, chance = aim(UNEVEN, jnp.asarray(held), jnp.full(3, change, jnp.float32))
        gap = np.abs(UNEVEN[held + (1 if change > 0 else -1)].astype(float) - UNEVEN[held])
        np.testing.assert_array_equal(sure, held)
        np.testing.assert_array_equal(further, held + (1 if change > 0 else -1))
        np.testing.assert_allclose(chance, abs(change) / gap, rtol=1e-5)


@pytest.mark.parametrize("chance", [0.0, 2.0**-32, 1e-9, 0.1, 0.5, 1 - 2.0**-24, 1.0])
def test_the_words_that_fall_are_counted(chance):
    """All 2^32 words: those below the count fall and the others do not, and the count is 2^32 chance to one word."""
    chance = np.float32(chance)
    count = int(float(chance) * 2**32)
    edge = [w for w in (0, count - 1, count, 2**32 - 1) if 0 <= w < 2**32]
    found = np.asarray(falls(jnp.asarray(edge, jnp.uint32), jnp.full(len(edge), chance)))
    np.testing.assert_array_equal(found, [w < count for w in edge])


def test_rounding_is_unbiased_and_independent():
    """Binomial test per level and change, uneven levels of the card; false alarms 0.01 % in all, fixed seed.

    Lag correlations of neighbours and of steps are normal deviates, 0.01 % together.
    """
    of_rule = rule(NAME, make_card(spread=0.05), None)
    level, change = of_rule.level, np.float32([0.03, -0.03, 0.2, -0.2, 0.7, -0.7])
    p_values = []
    for held in range(len(level)):
        memory = Memory((jnp.full((EACH, len(change)), held, jnp.uint8),), of_rule.optimizer.transform.init(()))
        moved = []
        for step in range(2):
            after, plans = proposed(
                of_rule, memory, None, Signals((jnp.tile(-change, (EACH, 1)),)), context(2 * held + step)
            )
            moved.append(np.asarray(after.level[0]).astype(int))
            assert plans is None and after.level[0].dtype == np.uint8
        wanted = np.clip(level[held].astype(float) + change, -1, 1)
        for column, target in enumerate(wanted):
            up = np.clip(np.searchsorted(level, target), 1, len(level) - 1)
            p = (target - level[up - 1]) / (level[up].astype(float) - level[up - 1])
            found = moved[0][:, column]
            assert set(found) <= {up - 1, up}
            p_values.append(stats.binomtest(int((found == up).sum()), EACH, min(max(p, 0.0), 1.0)).pvalue)
        if held == 2:
            first, later = (m[:, 0] for m in moved)
            r = [
                np.corrcoef(*pair)[0, 1] for pair in ((first, later), (first[1:], first[:-1]), (first, moved[0][:, 1]))
            ]
            assert np.all(np.abs(r) < bound(3) / np.sqrt(EACH - 1))
    assert enough(p_values)


def test_a_weight_drifts_as_a_float_and_diffuses_by_whole_gaps():
    """n = 50 steps of d = 0.001 between levels L = 0.5 apart: mean n d, variance n d (L - d).

    From the lowest of five levels, whose highest is reached once in 10^6. Normal deviate of the mean and chi-square of
    the number of gaps, false alarms 0.01 % each.
    """
    of_rule, steps, d = rule(NAME, make_card(), {"levels": 5}), 50, 0.001
    memory, give = start(of_rule, (EACH, 1))[0], jax.jit(of_rule.propose)
    memory = memory._replace(level=(jnp.zeros((EACH, 1), jnp.uint8),))
    for step in range(steps):
        memory, _ = give(memory, None, Signals((jnp.full((EACH, 1), -d),)), context(step))
    gaps = np.asarray(memory.level[0]).ravel()
    moved = of_rule.level[gaps].astype(float) + 1
    assert abs(moved.mean() - steps * d) < bound() * np.sqrt(steps * d * (0.5 - d) / EACH)
    assert enough([fits(np.bincount(gaps, minlength=5), stats.binom.pmf(np.arange(5), steps, d / 0.5))])


@pytest.mark.parametrize(("levels", "each"), [(2, 1), (3, 2), (4, 2), (5, 3), (None, 3), (255, 8)])
def test_a_weight_is_as_many_bits_as_its_levels_need(levels, each):
    of_rule = rule(NAME, make_card(), {"levels": levels}, {"name": "adam", "learning_rate": 0.01})
    memory, plans = start(of_rule, (8, 6), (6, 4))
    assert plans is None and of_rule.devices is Devices.NONE and of_rule.costs.reads_per_product == 0
    assert of_rule.memory_bits(memory) == {"weights": 72 * each, "optimizer": 72 * 64}
    assert all(held.dtype == np.uint8 for held in memory.level)
    plain = rule(NAME, make_card(), {"levels": levels})
    assert plain.memory_bits(start(plain, (8, 6))[0]) == {"weights": 48 * each, "optimizer": 0}


def test_first_weights_are_the_baseline_s_rounded():
    of_rule, shape = rule(NAME, make_card(), {"levels": 6}), (40, 30)
    memory = start(of_rule, shape)[0]
    shadow = np.asarray(start(rule("float_baseline", make_card()), shape)[0].weight[0])
    weight = np.asarray(of_rule.weights(memory, None, context())[0].value)
    assert np.abs(weight - shadow).max() <= 0.2 + 1e-6 and len(np.unique(weight)) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 1}, "network.rule_options.levels: found 1, allowed: at least 2"),
        ({"levels": "three"}, "network.rule_options.levels: found three, allowed: integer or null"),
        ({"margin": 1}, "rule stochastic_rounding: network.rule_options: found unknown key 'margin', allowed: levels"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, make_card(), options)
