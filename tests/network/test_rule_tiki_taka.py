"""Tiki-Taka: the symmetry point, what A takes in and forgets, and what a transfer moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.consequences.figures_of_merit import response_pairs
from calibration.sources.parametric.cards import make
from calibration.sources.parametric.config import Parametric
from network.rules.base import Signals
from network.rules.tiki_taka import symmetry_points
from network.synapse import pulse_trains, sampling
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import (  # noqa: F401
    apply,
    bound,
    context,
    devices,
    enough,
    fits,
    kernel_p_values,
    lattice,
    quick_compile,
    rule,
    start,
)

NAME = "tiki_taka"
UP, DOWN = 0, 1


def soft(up=0.8, down=0.8, levels=32, spread=0.3):
    """Return a card whose steps fall linearly with the weight, by these parts from one end to the other."""
    pulses = {"up": (1.0, up), "down": (-1.0, down)}
    section = {
        "device": "lattice", "name": "soft",
        "lattice": {"levels": levels, "cycle_relative_sd": spread, **{
            kind: {"voltage_V": voltage, "duration_s": 1e-7, "nonlinearity": part}
            for kind, (voltage, part) in pulses.items()
        }},
        "electrical": {"conductance_max_S": 1e-5, "dynamic_range": 15.0, "read_voltage_V": 0.1,
                       "read_duration_s": 1e-8},
    }  # fmt: skip
    return make(Parametric.parse(section, "soft.yaml"), 0, "soft.yaml")


def urn(rise, fall, count=20):
    """Return kernels float64[2, S, S] that step up with chance rise (1 - s/n) and down with fall s/n (Ehrenfest)."""
    share = np.arange(count + 1) / count
    up, down = rise * (1 - share), fall * share
    return np.stack([np.diag(1 - up) + np.diag(up[:-1], 1), np.diag(1 - down) + np.diag(down[1:], -1)])


def points(kernel, occupancy=None):
    """Return the symmetry points on a scale of -1 to 1."""
    count = kernel.shape[-1]
    occupancy = np.full(count, 1 / count) if occupancy is None else np.asarray(occupancy)
    return symmetry_points(kernel, UP, DOWN, occupancy, np.linspace(-1, 1, count))


@pytest.mark.parametrize(("rise", "fall"), [(1.0, 1.0), (0.9, 0.3), (0.01, 0.04)])
def test_the_symmetry_point_of_linear_steps_is_where_they_are_equal(rise, fall):
    """Analytic: rise (1 - w) = fall (1 + w); for several kinds of device at once as for each alone."""
    wanted = (rise - fall) / (rise + fall)
    assert points(urn(rise, fall)) == pytest.approx(wanted, abs=1e-9)
    np.testing.assert_allclose(
        points(np.stack([urn(rise, fall), urn(fall, rise)])), [wanted, -wanted], rtol=0, atol=1e-9
    )


def test_the_symmetry_point_of_other_cards():
    """Equal steps: the middle. Unreachable states: where the device is. A real card: near the card's own figure."""
    assert points(rule(NAME, lattice(16)).device.transition) == pytest.approx(0, abs=1e-9)
    stuck = np.stack([np.eye(3)] * 2)
    assert points(stuck, [0.5, 0.25, 0.25]) == pytest.approx(-0.25, abs=1e-12)
    card = soft(0.9, 0.5)
    of_rule, device = rule(NAME, card), rule(NAME, card).device
    (pair,) = response_pairs(device.transition, device.occupancy, card.states["conductance_S"].to_numpy(), card.pulses)
    wanted = (pair["symmetry_point_S"] - device.g_ref) / device.g_scale
    assert abs(wanted) > 0.1
    assert of_rule.symmetric == pytest.approx(wanted, abs=0.03)  # the ends cut what the law would be beyond them


def test_each_device_has_its_own_symmetry_point():
    """Instances with kernels, factors and offsets of their own: A at its point adds nothing to the weight."""
    of_rule = rule(NAME, lattice(16), {"gamma": 0.5})
    of_rule.symmetric = np.array([-0.25, 0.5])
    rows = of_rule.commands * 16
    array = devices(np.zeros((2, 1, 4)), of_rule.device)._replace(
        kind=jnp.asarray([[[0, 0, rows, rows]], [[rows, 0, rows, 0]]], jnp.int32),
        gain=np.float32([[[1, 2, 1, 2]], [[3, 3, 3, 3]]]),
        offset=np.float32([[[0, 0.1, 0, 0.1]], [[7, 7, 7, 7]]]),
    )
    point = np.float32([[-0.25, -0.5 + 0.1, 0.5, 1.0 + 0.1]])
    slow = np.float32([[0.3, -0.3, 0.1, 0]])
    for beyond in (0.0, 0.2):
        weight = np.stack([point + np.float32(beyond), slow])
        value = jax.jit(of_rule.combine)(array._replace(weight=weight)).value
        np.testing.assert_allclose(value, slow + 0.5 * beyond, rtol=0, atol=1e-6)


def test_pulses_go_to_A_by_minus_the_gradient_in_the_mean():
    """E[s dA] = -rate x delta from the symmetry point, where steps are equal; C gets none.

    Normal deviates of the sample's own error, false alarms 0.01 % in all, fixed seed.
    """
    steps, rate, scale = 8192, 0.4, 0.5
    of_rule = rule(NAME, soft(levels=101), optimizer={"name": "sgd", "learning_rate": rate})
    x, error = np.float32([[1.0, 0.6, -0.8, 0.0]]), np.float32([[0.02, -0.008]])
    array = devices(np.full((2, 4, 2), 50), of_rule.device)
    assert abs(np.asarray(of_rule.held(array))).max() < 1e-6

    def plans(step):
        signals = Signals(inputs=(x,), errors=(error,), scales=(scale,))
        _, (train,) = of_rule.propose((), (array,), signals, context()._replace(step=step))
        return pulse_trains.plan(train, 2)

    made = jax.jit(jax.vmap(plans))(jnp.arange(steps))
    fast = sampling.Plan(*(np.asarray(field)[:, 0].reshape(1, -1, 2) for field in made))
    assert not np.asarray(made.mask)[:, 1].any()
    before = devices(np.full(fast.mask.shape, 50), of_rule.device)
    after, info = apply(of_rule, before, fast)
    change = (after.weight - before.weight).reshape(steps, 4, 2)
    wanted = -rate / scale * np.outer(x[0], error[0])
    assert info.writes.sum() > 1000 and not change[:, 3].any()
    assert np.all(np.abs(change.mean(axis=0) - wanted) <= bound(8) * change.std(axis=0) / np.sqrt(steps))


@pytest.mark.parametrize("card", [soft(0.8, 0.8), soft(0.9, 0.4)])
def test_A_forgets_towards_its_symmetry_point(card):
    """Five pulses up and five down, six times, from each end: chi-square against the kernels' product (0.01 % in all).

    The mean is drawn to the point; an independent walk of equal steps would come back to where it was.
    """
    of_rule, each = rule(NAME, card), 4096
    device, fast = of_rule.device, of_rule.fast
    state = np.repeat([0, 31], each)[None, None, :]
    array = devices(state, device)
    once = np.eye(32)
    for direction in (fast.up, fast.down):
        once = once @ np.linalg.matrix_power(device.transition[direction], 5)
    for number in range(6):
        for direction in (fast.up, fast.down):
            command = np.full(state.shape, int(fast.command(direction, jnp.int32(5))))
            plan = sampling.Plan(command, np.ones(state.shape, bool))
            array, _ = apply(of_rule, array, plan, seed=2 * number + (direction == fast.down))
    wanted = np.linalg.matrix_power(once, 6)[[0, 31]]
    found = array.state.reshape(2, each)
    assert enough([fits(np.bincount(row, minlength=32), p) for row, p in zip(found, wanted, strict=True)])
    point = of_rule.symmetric[0]
    left = np.abs(device.state_weight[found].mean(axis=1) - point) / np.abs(device.state_weight[[0, 31]] - point)
    assert np.all(left < 0.5)


def test_a_transfer_gives_C_pulses_in_proportion_and_leaves_A():
    """n = round(lambda (A - A_ref) / Dw), up to what one command can do, Dw being the step up or the one down."""
    of_rule = rule(NAME, soft(0.9, 0.4), {"transfer_rate": 0.6, "gamma": 0.25})
    state = np.stack([np.arange(32), np.full(32, 16)])[:, None, :]
    array = devices(state, of_rule.device)
    (plan,) = jax.jit(of_rule.maintain)((array,))
    held = of_rule.device.state_weight.astype(float) - of_rule.symmetric[0]
    up, down = of_rule.moved
    assert up / down > 1.2 or down / up > 1.2
    wanted = np.clip(np.round(0.6 * held / np.where(held > 0, up, down)), -of_rule.most, of_rule.most)
    counts = of_rule.alphabet().pulses[np.asarray(plan.pulse)] * np.asarray(plan.mask)[..., None]
    given = counts[..., of_rule.fast.up] - counts[..., of_rule.fast.down]
    assert not given[0].any()
    np.testing.assert_array_equal(given[1, 0], wanted)
    assert np.ptp(wanted) > 15 and np.sum(wanted == 0) >= 2 and counts.max() <= of_rule.most
    np.testing.assert_array_equal(np.asarray(plan.mask)[1, 0], wanted != 0)
    assert rule(NAME, soft(), {"transfer_rate": 1e3}).transfer(array).mask[1].sum() >= 31  # saturated, not wrapped


@pytest.mark.long
@pytest.mark.parametrize(("gamma", "share"), [(0.25, 0.25), (0.5, 0.2), (1.0, 1.0), (1.0, 0.3)])
def test_a_transfer_that_is_given_back_conserves_the_weight(gamma, share):
    """Equal steps: exact mean over the kernels to half a step of A, and a drawn one; normal deviate, 0.01 %."""
    of_rule = rule(NAME, lattice(64, 0.3), {"gamma": gamma, "transfer_rate": share, "give_back": True})
    device, one = of_rule.device, of_rule.fast.one
    random = np.random.default_rng(6)
    state = np.stack([random.integers(13, 51, (64, 50)), random.integers(28, 36, (64, 50))])  # room for all steps
    array = devices(state, device)
    plan = jax.jit(of_rule.transfer)(array)
    alphabet = of_rule.alphabet()
    told = (alphabet.transition @ device.state_weight)[np.asarray(plan.pulse), state]
    mean = np.where(plan.mask, told, device.state_weight[state])
    before = np.asarray(of_rule.combine(array).value, float)
    after = np.asarray(of_rule.combine(array._replace(weight=np.float32(mean))).value, float)
    # pulses are whole: n / gamma is rounded; and the card's conductances end
    assert np.abs(after - before).max() <= gamma * one * (0.5 if (1 / gamma) % 1 else 0.02)
    moved = mean[1] - device.state_weight[state[1]]
    assert np.abs(moved).max() > 2 * one
    drawn, _ = apply(of_rule, array, plan)
    change = np.asarray(of_rule.combine(drawn).value, float) - before
    assert change.std() > 0 and abs(change.mean() - (after - before).mean()) < bound() * change.std() / np.sqrt(3200)
    plain = rule(NAME, lattice(64, 0.3), {"gamma": gamma, "transfer_rate": share}).transfer(array)
    assert not plain.mask[0].any() and plain.mask[1].any()  # the paper's leaves A as it is


def test_every_command_is_drawn_as_the_card_says():
    """Chi-square per (command, state) of the whole alphabet, false alarms 0.01 % in all, fixed seed."""
    assert enough(kernel_p_values(rule(NAME, soft(levels=5), {"slots": 2}), each=1024))


def test_A_starts_at_its_symmetry_point_and_C_is_spread():
    """Whatever the factory left: mean of A within a step of the point, C uniform to the places and its own spread."""
    of_rule, shape = rule(NAME, soft(0.9, 0.4)), (64, 64)
    memory, (plan,) = start(of_rule, shape)
    assert memory == () and of_rule.memory_bits(memory) == {}
    for left in (0, 31):
        after, _ = apply(of_rule, devices(np.full((2, *shape), left), of_rule.device), plan)
        held = np.asarray(of_rule.held(after))
        assert abs(held.mean()) < of_rule.fast.one and held.std() < 6 * of_rule.fast.one
        assert abs(after.weight[1].mean()) < of_rule.fast.one
        assert after.weight[1].std() > 0.5 / np.sqrt(3)


def test_a_transfer_reads_one_of_two_devices_once_in_so_many_steps():
    of_rule = rule(NAME, soft(), {"transfer_every": 25})
    assert of_rule.interval == 25 and of_rule.costs.state_reads_per_step == pytest.approx(1 / 50, rel=1e-12, abs=0)
    assert of_rule.mix == (1.0, 1.0)


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        (make_card(), {}, "card.json: flags.reset_before_write: found true, allowed: false for tiki_taka"),
        (
            make_card(memory=0.9),
            {},
            "pulses.csv: found 5 pulses, allowed: one that raises the conductance and one that",
        ),
        (lattice(), {"gamma": -1}, "network.rule_options.gamma: found -1, allowed: at least 0"),
        (lattice(), {"gamma": 0.01, "give_back": True}, "gamma: found 0.01, allowed: 0.0322581 to 10 with give_back"),
        (lattice(), {"transfer_every": 0}, "network.rule_options.transfer_every: found 0, allowed: at least 1"),
        (lattice(), {"transfer_rate": 0}, "network.rule_options.transfer_rate: found 0, allowed: at least 1e-6"),
        (lattice(8), {"transfer_rate": 0.1}, "transfer_rate: found 0.1, allowed: 0.143 to 1000 .a device of 8 states"),
        (
            lattice(),
            {"pulses": "ladder"},
            "network.rule_options.pulses: found ladder, allowed: whole",
        ),
        (lattice(), {"tiles": 2}, "network.rule_options: found unknown key 'tiles', allowed: gain, gamma, give_back"),
    ],
)
def test_errors(card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, card, options)
