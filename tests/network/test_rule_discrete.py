"""Discrete state transition: the split, the two-junction table, the worth of a step, and the kernels drawn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.sources import library
from network.rules.base import Signals
from network.rules.discrete_state_transition import split
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import (  # noqa: F401
    SURE,
    apply,
    context,
    devices,
    enough,
    fits,
    junction,
    kernel_p_values,
    proposed,
    quick_compile,
    rule,
    shares,
    start,
)

NAME = "discrete_state_transition"
# (first, second) junction on: the weight is half of the difference of the signs
STATES = {(0, 1): -1, (0, 0): 0, (1, 1): 0, (1, 0): 1}


def table(state, positive, kappa, p) -> dict:
    """Return the next states and their probabilities, as the published table has them, entry by entry."""
    minus, weak, strong, plus = (0, 1), (0, 0), (1, 1), (1, 0)
    if not positive:  # "negative commands by exchanging the two"
        return {b[::-1]: q for b, q in table(state[::-1], True, kappa, p).items()}
    rows = {
        (minus, 0): {strong: p, minus: 1 - p}, (minus, 1): {plus: p, strong: 1 - p}, (minus, 2): {plus: 1},
        (weak, 0): {plus: p, weak: 1 - p}, (weak, 1): {plus: 1}, (weak, 2): {plus: 1},
        (strong, 0): {plus: p, strong: 1 - p}, (strong, 1): {plus: 1}, (strong, 2): {plus: 1},
        (plus, 0): {plus: 1}, (plus, 1): {plus: 1}, (plus, 2): {plus: 1},
    }  # fmt: skip
    return rows[state, kappa]


def strengths(of_rule, change, state):
    """Return how strongly each junction is to be switched, and whether off instead of on, [junctions, ...]."""
    turns = jax.jit(of_rule.turns)(change, state)
    sides = np.arange(len(state))[:, None, None]
    own = [[np.asarray(second) == sides, np.asarray(off), np.asarray(strength)] for second, off, strength in turns]
    assert np.all(sum(mine for mine, _, _ in own) <= 1)  # no junction has two turns
    off, strength = (sum(np.where(turn[0], turn[part], 0) for turn in own) for part in (1, 2))
    return strength, off == 1


def exact(of_rule, change) -> dict:
    """Return the distribution over the next states that strengths and ladder imply, by state: [changes, 2, 2]."""
    states = np.array(list(STATES), np.int8).T[:, :, None] * np.ones((1, 1, len(change)), np.int8)
    strength, off = strengths(of_rule, np.tile(change, (len(STATES), 1)), states)
    moves = shares(of_rule.ladder, of_rule.device, np.asarray(off), strength)
    # a pulse towards the state that the junction is in does nothing
    moves = np.where(np.asarray(off) == (states == 1), moves, 0)
    on = np.where(states == 1, 1 - moves, moves)  # [junctions, states, changes]
    each = np.stack([1 - on, on], axis=-1)
    both = each[0][..., :, None] * each[1][..., None, :]
    return dict(zip(STATES, both, strict=True))


@pytest.mark.parametrize(
    ("change", "step", "kappa", "nu"),
    [
        (0.0, 1.0, 0, 0), (-0.0, 1.0, 0, 0), (0.3, 1.0, 0, 0.3), (-0.3, 1.0, 0, 0.3), (1.0, 1.0, 1, 0),
        (-2.0, 1.0, 2, 0), (1.25, 1.0, 1, 0.25), (-1.25, 1.0, 1, 0.25), (7.5, 1.0, 7, 0.5), (1.0, 2.0, 0, 0.5),
        (-2.0, 2.0, 1, 0), (5.0, 2.0, 2, 0.5), (1e-30, 1.0, 0, 1e-30), (0.99999994, 1.0, 0, 0.99999994),
    ],
)  # fmt: skip
def test_split(change, step, kappa, nu):
    found = split(jnp.float32(change), step)
    assert found[0] == kappa and found[1] == pytest.approx(nu, rel=1e-6, abs=0)
    assert float(found[0] + found[1]) * step == pytest.approx(abs(change), rel=1e-6, abs=0)


@pytest.mark.parametrize("law", ["tanh", "linear"])
def test_the_two_junction_table_exactly(law):
    """All states and commands: the exact distribution, from counted words, against the published table."""
    of_rule = rule(NAME, junction(SURE, SURE), {"law": law})
    changes = np.array([s * (k + nu) for s in (1, -1) for k in (0, 1, 2) for nu in (0.0, 0.02, 0.25, 0.7)], np.float32)
    for state, found in exact(of_rule, changes).items():
        for change, distribution in zip(changes, found, strict=True):
            nu = abs(change) % 1
            p = np.tanh(3 * nu) if law == "tanh" else nu
            wanted = np.zeros((2, 2))
            for target, q in table(state, change > 0, int(abs(change)), p).items():
                wanted[target] = q
            np.testing.assert_allclose(distribution, wanted, rtol=2e-6, atol=2e-7)


def test_the_two_junction_table_drawn():
    """Chi-square per (state, command) through `propose` and `program`; false alarms 0.01 % in all, fixed seed."""
    of_rule = rule(NAME, junction(SURE, SURE[::-1]))
    commands = [(s, k, nu) for s in (1, -1) for k in (0, 1, 2) for nu in (0.03, 0.2)]
    cases = [(state, *command) for state in STATES for command in commands]
    each = 2560  # synapses of a case, one column
    state = np.stack([np.tile([case[0][j] for case in cases], (each, 1)) for j in range(2)])
    change = np.array([[s * (k + nu) for _, s, k, nu in cases]] * each, np.float32)
    array = devices(state, of_rule.device)
    memory, _ = start(of_rule, change.shape)
    _, (plan,) = proposed(of_rule, memory, (array,), Signals((-change,)), context())
    after, info = apply(of_rule, array, plan)
    # no pulse to a junction that is where it should be
    assert int(info.transitions) == int(np.sum(after.state != state))
    number = 2 * after.state[0].astype(int) + after.state[1]
    p_values = []
    for column, (before, sign, kappa, nu) in enumerate(cases):
        wanted = np.zeros(4)
        for target, q in table(before, sign > 0, kappa, np.tanh(3 * nu)).items():
            wanted[2 * target[0] + target[1]] = q
        p_values.append(fits(np.bincount(number[:, column], minlength=4), wanted))
    assert enough(p_values)


SIZES = np.concatenate([np.logspace(-5, 0, 26), [0.07, 0.5, 1.0, 1.3, 1.5, 1.9999, 2.0]])
CHANGES = np.concatenate([SIZES, -SIZES]).astype(np.float32)


def worth(law, unit):
    """Return the mean change wanted for each of `CHANGES`: the change itself, or with tanh(3 nu) for nu."""
    whole, rest = np.divmod(np.abs(CHANGES).astype(float) / unit, 1)
    return np.sign(CHANGES) * unit * (whole + (rest if law == "linear" else np.tanh(3 * rest)))


def room(weight, unit):
    """Return whether the weight can go as far as each of `CHANGES` may take it."""
    return np.abs(weight + np.sign(CHANGES) * unit * np.ceil(np.abs(CHANGES) / unit)) <= 1


@pytest.mark.parametrize("law", ["linear", "tanh"])
def test_the_mean_change_of_a_pair_is_the_proposed_one(law):
    """E[dW] = d with the linear law wherever the weight has room, to the digits of a float."""
    of_rule = rule(NAME, junction((0.001, 0.02, 0.3, 1.0), (0.1, 0.7, 1.0)), {"law": law})
    for state, found in exact(of_rule, CHANGES).items():
        weight = STATES[state]
        mean, free = found[:, 1, 0] - found[:, 0, 1] - weight, room(weight, 1)
        assert free.sum() >= 33  # downwards from 1, upwards from -1, up to 1 both ways from 0
        np.testing.assert_allclose(mean[free], worth(law, 1)[free], rtol=3e-6, atol=1e-9)
        assert not mean[CHANGES * weight > 0].any()  # at the end of the range


@pytest.mark.parametrize("law", ["linear", "tanh"])
def test_the_mean_change_of_a_single_junction_is_the_proposed_one(law):
    of_rule = rule(NAME, junction((0.001, 0.02, 0.3, 1.0), (0.1, 0.7, 1.0)), {"synapse": "single", "law": law})
    state = np.repeat(np.array([[[0], [1]]], np.int8), len(CHANGES), axis=2)
    strength, off = strengths(of_rule, np.tile(CHANGES, (2, 1)), state)
    moves = shares(of_rule.ladder, of_rule.device, np.asarray(off), strength)[0]
    for weight, mean in ((-1, 2 * moves[0]), (1, -2 * moves[1])):
        free = room(weight, 2)
        assert free.sum() == 33
        np.testing.assert_allclose(mean[free], worth(law, 2)[free], rtol=3e-6, atol=1e-9)
        assert not mean[CHANGES * weight > 0].any()


def test_a_strongest_pulse_that_may_fail():
    """ "Surely" is as sure as the card's strongest pulse: 0.8 on, 0.9 off, the junctions independent."""
    of_rule = rule(NAME, junction((0.2, 0.8), (0.4, 0.9)))
    both = exact(of_rule, np.array([2.0, -2.0, 1.0], np.float32))[0, 1]
    np.testing.assert_allclose(both[0], [[0.2 * 0.9, 0.2 * 0.1], [0.8 * 0.9, 0.8 * 0.1]], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(both[1], [[0, 1], [0, 0]], rtol=0, atol=1e-9)  # it is there already
    np.testing.assert_allclose(both[2], [[0, 0.2], [0, 0.8]], rtol=1e-6, atol=1e-9)


def test_what_the_dead_zone_costs():
    """The published junction without predistortion ignores nu = 0.05, which is 15 % of a step under tanh; the offset
    takes it for twice as much."""
    change = np.array([0.05], np.float32)
    got = {}
    for mode in ("full", "none", "offset"):
        of_rule = rule(NAME, library.card("gt_stt_mtj_28nm"), {"predistortion": mode})
        got[mode] = float(exact(of_rule, change)[0, 0][0, 1, 0])
    assert got["full"] == pytest.approx(np.tanh(0.15), rel=1e-5, abs=0)
    assert got["none"] < 1e-5 and 1.8 < got["offset"] / got["full"] < 2.1


def test_every_kernel_of_the_alphabet_is_drawn_as_the_card_says():
    """Chi-square per (pulse, state), false alarms 0.01 % in all, fixed seed."""
    assert enough(kernel_p_values(rule(NAME, junction((0.01, 0.37, 0.9), (0.2, 0.999), back=0.004))))


@pytest.mark.long
def test_order_of_layers_does_not_matter():
    """What happens to a layer is named by its own stream: evaluated in the other order, the same pulses."""
    of_rule = rule(NAME, junction(SURE, SURE))
    shapes, random = ((5, 4), (4, 3)), np.random.default_rng(2)
    gradients = tuple(random.normal(size=shape).astype(np.float32) for shape in shapes)
    arrays = tuple(devices(random.integers(0, 2, (2, *shape)), of_rule.device) for shape in shapes)
    now, plans = context(3, layers=2), []
    for turn in (slice(None), slice(None, None, -1)):
        memory, _ = start(of_rule, *shapes[turn])
        signals = Signals(gradients[turn])
        plans.append(proposed(of_rule, memory, arrays[turn], signals, now._replace(keys=now.keys[turn])))
    for a, b in zip(plans[0][1], plans[1][1][::-1], strict=True):
        np.testing.assert_array_equal(a.pulse, b.pulse)
        np.testing.assert_array_equal(a.mask, b.mask)
    assert sum(int(plan.mask.sum()) for plan in plans[0][1]) > 10


def test_weights_start_as_rounded_uniform_numbers():
    """A quarter -1, a quarter 1, half 0, all of it weak zeros; five binomial sd (false alarms 6e-7 each)."""
    of_rule = rule(NAME, junction(SURE, SURE))
    shape = (128, 100)
    _, (plan,) = start(of_rule, shape)
    after, info = apply(of_rule, devices(np.ones((2, *shape)), of_rule.device), plan)
    assert plan.mask.all() and int(info.writes.sum()) == 2 * 12800
    weight = of_rule.combine(after).value
    for value, share in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        assert abs(np.mean(weight == value) - share) < 5 * np.sqrt(share * (1 - share) / weight.size)
    assert not np.any(after.state.sum(axis=0) == 2)


def test_memory_is_the_optimisers_alone():
    for optimizer, moments in (({"name": "sgd", "learning_rate": 1.0}, 0), ({"name": "adam"}, 2)):
        of_rule = rule(NAME, junction(SURE, SURE), optimizer=optimizer)
        memory, _ = start(of_rule, (7, 3))
        assert of_rule.memory_bits(memory) == {"optimizer": moments * 21 * 32}
    assert of_rule.costs.state_reads_per_step == 1


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        (make_card(), {}, "states.csv: found 5 states, allowed: 2 for discrete_state_transition"),
        (junction(SURE, SURE, flags={"volatile": True}), {}, "card.json: flags.volatile: found true, allowed: false"),
        (
            junction(SURE, SURE, conductance_S=(2e-4, 1e-4)),
            {},
            "found a second state that conducts less than the first",
        ),
        (junction(SURE, SURE), {"synapse": "triple"}, "rule_options.synapse: found triple, allowed: pair, single"),
        (junction(SURE, SURE), {"law": "x"}, "network.rule_options.law: found x, allowed: tanh, linear"),
        (junction(SURE, SURE), {"steepness": 0}, "network.rule_options.steepness: found 0, allowed: at least 0.001"),
        (
            junction(SURE, SURE),
            {"predistortion": 1},
            "options.predistortion: found 1, allowed: full, none, offset",
        ),
        (
            junction(SURE, SURE),
            {"voltage_V": 0.3},
            "voltage_V: found no pulse of the card that moves state 0 to 1 at 0.3 V",
        ),
        (junction(SURE, SURE), {"voltage_V": "a"}, "network.rule_options.voltage_V: found a, allowed: number or null"),
        (junction(SURE, SURE), {"dither": "no"}, "network.rule_options.dither: found no, allowed: boolean"),
        (junction(SURE, SURE), {"margin": 1}, "rule_options: found unknown key 'margin', allowed: dither, law"),
    ],
)
def test_errors(card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, card, options)
