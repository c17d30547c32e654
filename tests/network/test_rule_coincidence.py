"""Stochastic coincidence: mean and variance of pulses and weights, and how fine steps come from coarse devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from network.rules.base import Signals
from network.synapse import pulse_trains, random_words, sampling
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import (  # noqa: F401
    apply,
    bound,
    card,
    context,
    devices,
    enough,
    fits,
    kernel_p_values,
    lattice,
    proposed,
    quick_compile,
    rule,
    start,
)

NAME = "stochastic_coincidence"
X = np.array([1.0, 0.6, 0.25, 0.0, -0.8], np.float32)
ERROR = np.array([0.02, -0.008, 0.0, -0.015], np.float32)
STEPS = 20000


def pulses(of_rule, key, step, x, error, rate):
    """Return the plan of one step (all devices of a synapse) and how often each device is pulsed."""
    made = pulse_trains.plan(of_rule.trains(key, step, x, error, jnp.float32(rate)), len(of_rule.mix))
    counts = jnp.asarray(of_rule.alphabet().pulses.sum(axis=1))
    return made, jnp.where(made.mask, counts[made.pulse.astype(jnp.int32)], 0)


def drawn(of_rule, rate, x=X, error=ERROR, steps=STEPS):
    """Return pulses (int[steps, inputs, outputs]) and the plans (of the devices that a step is for) of many steps."""
    key = random_words.stream(5, "trains")
    draw = jax.jit(jax.vmap(lambda step: pulses(of_rule, key, step, x, error, rate)))
    made, times = draw(jnp.arange(steps))
    return np.asarray(times.sum(axis=1)), made


def mean_is(found, wanted, sd, tests=1) -> bool:
    """Whether means over `STEPS` samples of known sd are as wanted (Bonferroni over ``tests``)."""
    return bool(np.all(np.abs(found - wanted) <= bound(tests) * sd / np.sqrt(STEPS)))


@pytest.mark.parametrize("managed", [True, False])
def test_pulses_are_binomial_in_the_slots(managed):
    """BL slots, p = rate |x delta| / (BL Dw): chi-square per synapse, false alarms 0.01 % in all, fixed seed."""
    of_rule = rule(NAME, lattice(), {"update_management": managed, "slots": 7})
    rate = 0.5
    p = rate * np.abs(np.outer(X, ERROR)) / (7 * of_rule.fine)
    assert 0.015 < p.max() < 0.1
    times, _ = drawn(of_rule, rate)
    assert enough([
        fits(np.bincount(times[:, i, j], minlength=8), stats.binom.pmf(np.arange(8), 7, p[i, j]))
        for i in range(5) for j in range(4)
    ])  # fmt: skip


@pytest.mark.long
def test_mean_and_variance_of_the_weight_change():
    """E = -rate x delta and Var = BL p (1 - p) Dw^2 + BL p s^2 Dw^2, with the programming spread s of the device.

    Normal deviates of both; the fourth moment for the variance's error is the sample's own. False alarms 0.01 % for the
    means of all synapses together and as much for the variances.
    """
    slots, s, rate = 10, 0.5, 0.6
    of_rule = rule(NAME, lattice(101, s), {"slots": slots})
    times, made = drawn(of_rule, rate)
    plan = sampling.Plan(*(np.asarray(field).reshape(1, -1, 4) for field in made))
    array = devices(np.full((1, STEPS * 5, 4), 50), of_rule.device)  # far from both ends
    after, info = apply(of_rule, array, plan)
    assert info.writes @ of_rule.alphabet().pulses.sum(axis=1) == times.sum() == after.writes.sum()
    change = (after.weight - array.weight).reshape(STEPS, 5, 4)
    step = of_rule.fine
    assert step == pytest.approx(2 / 100, rel=1e-6, abs=0)  # of the range of 2, a hundred steps
    p = rate * np.abs(np.outer(X, ERROR)) / (slots * step)
    variance = slots * p * (1 - p) * step**2 + slots * p * s**2 * step**2
    assert mean_is(change.mean(axis=0), -rate * np.outer(X, ERROR), np.sqrt(variance), p.size)
    square = (change - change.mean(axis=0)) ** 2
    error = square.std(axis=0) / np.sqrt(STEPS)
    assert np.all(np.abs(square.mean(axis=0) - variance) <= bound(p.size) * error + 1e-12)
    # the two parts are told apart: without the device's spread the variance would be a fifth less
    assert np.all((square.mean(axis=0) - slots * p * (1 - p) * step**2)[p > 0.01] > bound(p.size) * error[p > 0.01])


def test_management_shares_the_factor_between_rows_and_columns():
    """Plain: C|x| reaches 1 first and its part is lost. Managed: both sides end at sqrt(p), and the mean is whole."""
    x, error = np.array([1.0, 0.5], np.float32), np.array([0.01, 0.001], np.float32)
    plain, managed = (rule(NAME, lattice(101), {"update_management": m}) for m in (False, True))
    rate = 0.5 * plain.slots * plain.fine / 0.01  # p = 1/2 at the largest; C = 7, so C|x| = 7 and 3.5
    wanted = rate * np.outer(x, error) / plain.fine
    c = np.sqrt(rate / (plain.slots * plain.fine))
    saturated = 10 * np.minimum(c * x, 1)[:, None] * np.minimum(c * error, 1)
    for of_rule, mean in ((plain, saturated), (managed, wanted)):
        times, _ = drawn(of_rule, rate, x, error)
        p = mean / 10
        assert mean_is(times.mean(axis=0), mean, np.sqrt(10 * p * (1 - p)), 4)
    assert saturated[0, 0] < wanted[0, 0] / 5


def test_what_is_too_much_saturates():
    of_rule = rule(NAME, lattice(101), {"slots": 6})
    times, _ = drawn(of_rule, 1e9, np.ones(2, np.float32), -np.ones(3, np.float32), steps=50)
    assert np.all(times == 6)


@pytest.mark.long
def test_a_step_lowers_the_loss():
    """Inputs and errors of either sign: every pulse goes against the gradient x delta, none where it is 0."""
    of_rule = rule(NAME, lattice(101, 0.0), optimizer={"name": "sgd", "learning_rate": 3.0})
    random = np.random.default_rng(4)
    x, error = (random.normal(size=(1, n)).astype(np.float32) for n in (12, 9))
    x[0, 3] = error[0, 2] = 0
    array = devices(np.full((1, 12, 9), 50), of_rule.device)
    now, scale = context(), 0.5
    _, (train,) = proposed(of_rule, (), (array,), Signals(inputs=(x,), errors=(error,), scales=(scale,)), now)
    after, _ = apply(of_rule, array, pulse_trains.plan(train, 1))
    change = (after.weight - array.weight)[0]
    gradient = np.outer(x[0], error[0])
    assert np.all(change * gradient <= 0) and np.sum(change * gradient < 0) > 50
    assert not change[3].any() and not change[:, 2].any()
    # the learning rate is that of the true weight, scale times the device's
    times = pulses(of_rule, now.keys[0], now.step, x[0], error[0], 3.0 / scale)[1][0]
    np.testing.assert_allclose(change, -np.sign(gradient) * times * of_rule.fine, atol=1e-5)


def test_several_pulses_are_as_many_draws_of_the_kernel():
    """Chi-square per (command, state) of the whole alphabet, false alarms 0.01 % in all, fixed seed.

    That the table of a command is the power of the kernel is held against explicit products.
    """
    of_rule = rule(NAME, lattice(6, 0.4), {"slots": 3})
    alphabet, kernel = of_rule.alphabet(), of_rule.device.transition
    for direction in (of_rule.up, of_rule.down):
        product = np.eye(6)
        for n in range(1, of_rule.most + 1):
            product = product @ kernel[direction]
            command = int(of_rule.command(direction, jnp.int32(n)))
            np.testing.assert_allclose(alphabet.transition[command], product, rtol=1e-10, atol=1e-15)
            assert alphabet.pulses[command].tolist() == [n * (k == direction) for k in range(2)]
    assert enough(kernel_p_values(of_rule))


@pytest.mark.long
def test_a_pair_halves_the_step_and_takes_turns():
    plain, pair = rule(NAME, lattice(101, 0.0)), rule(NAME, lattice(101, 0.0), {"pair": True})
    assert pair.fine == pytest.approx(plain.fine / 2, rel=1e-7, abs=0) and pair.mix == (0.5, -0.5)
    array = devices(np.full((2, 3, 2), 50), pair.device)
    x, error = np.ones(3, np.float32), np.array([1, -1], np.float32)
    falling = np.array([[True, False]] * 3)
    for step in range(4):
        # every slot of every line fires
        plan, times = pulses(pair, random_words.stream(5, "trains"), jnp.int32(step), x, error, 1e9)
        assert np.all(times[step % 2] == pair.slots) and plan.mask[step % 2].all() and not plan.mask[1 - step % 2].any()
        after, _ = apply(pair, array, plan)
        change = pair.combine(after).value - pair.combine(array).value
        np.testing.assert_allclose(change, np.where(falling, -1, 1) * pair.slots * pair.fine, rtol=1e-5)
    # and the mean pulse number follows the finer step
    assert mean_is(drawn(pair, 0.2)[0].mean(axis=0), 0.2 * np.abs(np.outer(X, ERROR)) / pair.fine,
                   np.sqrt(0.2 * np.abs(np.outer(X, ERROR)) / pair.fine), 20)  # fmt: skip


def test_tiles_are_written_at_their_finest():
    of_rule = rule(NAME, lattice(32, 0.0), {"tiles": 3, "ratio": 0.25, "pair": True})
    np.testing.assert_allclose(of_rule.mix, [0.5, -0.5, 0.125, -0.125, 1 / 32, -1 / 32])
    assert of_rule.fine == pytest.approx(of_rule.one / 32, rel=1e-7, abs=0)
    for step in (0, 1):
        one = np.ones(2, np.float32)
        plan, _ = pulses(of_rule, random_words.stream(5, "trains"), jnp.int32(step), one, -one, 1e9)
        assert np.asarray(plan.mask).any(axis=(1, 2)).tolist() == [False] * 4 + [step == 0, step == 1]
    assert of_rule.costs.state_reads_per_step == pytest.approx(2 / 3 / 100, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("levels", "tiles", "ratio", "pair"),
    [(32, 2, 0.125, False), (127, 3, 0.25, True), (127, 2, 1 / 3, False), (127, 4, 0.05, False)],
)
def test_carrying_conserves_the_weight(levels, tiles, ratio, pair):
    """In expectation to the last digit: mean pulses times mean step, from all states that leave room."""
    of_rule = rule(NAME, lattice(levels, 0.3), {"tiles": tiles, "ratio": ratio, "pair": pair})
    count = len(of_rule.mix)
    # the coarse tiles have room above, the fine ones are anywhere
    state = np.random.default_rng(3).integers(0, levels, (count, 40, 50))
    state[: count // tiles] = levels // 2
    array = devices(state, of_rule.device)
    plan = jax.jit(of_rule.carry)(array)
    times = of_rule.alphabet().pulses[np.asarray(plan.pulse)] * np.asarray(plan.mask)[..., None]
    assert times.max() <= of_rule.most
    moved = (times[..., of_rule.up] - times[..., of_rule.down]) * of_rule.one
    weights = np.tensordot(of_rule.mix, moved, axes=1)
    assert np.abs(weights).max() < 1e-6 < np.abs(moved[0]).max()
    # what is handed on is a whole step of the tile before, and one is left that is less
    held = of_rule.combine(array).value
    assert np.all(np.sign(moved[0]) * moved[-2 if pair else -1] <= 0) or tiles > 2
    if tiles == 2 and not pair:
        rest = np.abs(array.weight[1] + moved[1]) * ratio / of_rule.one
        full = np.abs(np.round(moved[0] / of_rule.one)) == of_rule.largest
        assert np.all((rest < 1 + 1e-4) | full)
    assert held.shape == (40, 50)


@pytest.mark.parametrize(("spread", "pair"), [(0.0, False), (0.5, False), (0.5, True)])
def test_first_weights_are_spread_as_asked_whatever_the_factory_left(spread, pair):
    """Mean 0 and sd spread/sqrt(3) (/sqrt(2) for a pair), up to the places and the device's own spread."""
    of_rule = rule(NAME, lattice(32, 0.3), {"initial_spread": spread, "pair": pair})
    shape = (64, 64)
    _, (plan,) = start(of_rule, shape)
    for left in (0, 31):  # all devices at the one end or at the other
        after, info = apply(of_rule, devices(np.full((len(of_rule.mix), *shape), left), of_rule.device), plan)
        weight = of_rule.combine(after).value
        assert abs(weight.mean()) < of_rule.one
        own = of_rule.one * np.sqrt(16 * 0.3**2 + 0.5) / (np.sqrt(2) if pair else 1)
        assert weight.std() == pytest.approx(np.hypot(spread / np.sqrt(6 if pair else 3), own), abs=0.03)
        pulses = info.writes @ of_rule.alphabet().pulses
        assert pulses[of_rule.down] == of_rule.erase * weight.size * len(of_rule.mix) and of_rule.erase >= 31


def test_no_memory_is_kept():
    of_rule = rule(NAME, lattice())
    assert start(of_rule, (3, 2))[0] == () and of_rule.memory_bits(()) == {}


@pytest.mark.parametrize(
    ("of_card", "options", "message"),
    [
        (lattice(), {"slots": 32}, "network.rule_options.slots: found 32, allowed: at most 31"),
        (lattice(), {"slots": True}, "network.rule_options.slots: found true, allowed: integer"),
        (lattice(), {"gain": 0}, "network.rule_options.gain: found 0, allowed: at least 1e-6"),
        (lattice(), {"tiles": 7}, "network.rule_options.tiles: found 7, allowed: at most 6"),
        (lattice(), {"tiles": 2, "ratio": 0.3}, "network.rule_options.ratio: found 0.3, allowed: 1/n with n = 1 to 15"),
        (lattice(), {"tiles": 2, "ratio": 0.05}, "ratio: found 0.05, allowed: 1/n with n = 1 to 15"),
        (lattice(8), {"tiles": 2}, "ratio: found 0.125, allowed: 1/n with n = 1 to 3"),
        (lattice(), {"initial_spread": 1.5}, "network.rule_options.initial_spread: found 1.5, allowed: at most 1"),
        (
            make_card(memory=0.9),
            {},
            "pulses.csv: found 5 pulses, allowed: one that raises the conductance and one that",
        ),
        (make_card(), {}, "card.json: flags.reset_before_write: found true, allowed: false for stochastic_coincidence"),
        (card([[[0.5, 0.5], [0.0, 1.0]]] * 2, [1.0, 1.1], 1e-9), {}, "pulses.csv: found 2 pulses, allowed: one that"),
    ],
)
def test_errors(of_card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, of_card, options)
