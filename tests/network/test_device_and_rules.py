"""Card to weights, and the hysteresis of the device rule on uneven levels."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from network import rules
from network.model import optimizers
from network.model.layers import Layer, Noise, Synapses, read
from network.rules.accumulate_quantise_program import bands, state_bands
from network.rules.base import Context, Signals
from network.sections import Device, Optimizer
from network.synapse import random_words, sampling
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from tests.network.conftest import make_card

LEVELS = np.array([-1.0, -0.5, 0.5, 1.0], np.float32)  # gaps 0.5, 1, 0.5; mid-points -0.75, 0, 0.75


def test_nominal_levels_span_minus_one_to_one(device, card):
    assert device.level[0] == -1 and device.level[-1] == 1 and np.all(np.diff(device.level) > 0)
    # the level is what a pulse may be expected to give, not the state it aims at
    conductance = card.states["conductance_S"].to_numpy()
    expected = device.transition[0, 0] @ conductance
    assert expected == pytest.approx(device.g_ref - device.g_scale, rel=1e-12, abs=0)
    np.testing.assert_allclose(device.state_weight, (conductance - device.g_ref) / device.g_scale, rtol=1e-6)
    assert device.state_weight[0] < -1 and device.state_weight[-1] > 1  # overlapping outcomes pull the levels inwards


def test_levels_are_sorted_whatever_the_order_of_pulses(card):
    flipped = card.transitions.assign(pulse=4 - card.transitions["pulse"])
    object.__setattr__(card, "transitions", flipped)
    device = DeviceModel.from_card(card)
    assert list(device.level_pulse) == [4, 3, 2, 1, 0] and np.all(np.diff(device.level) > 0)


def test_card_that_cannot_hold_a_weight(card):
    same = card.transitions.assign(probability=0.2)
    object.__setattr__(card, "transitions", same)
    with pytest.raises(UserError, match="same mean conductance"):
        DeviceModel.from_card(card)
    object.__setattr__(card, "transitions", same.assign(probability=0.3))
    with pytest.raises(UserError, match=r"pulse 0, state_from 0: found probabilities that sum to 1.5"):
        DeviceModel.from_card(card)


def test_pulses_without_the_cards_drive_have_none():
    """Pulses may be driven by different lines; what is hashed of a device must be numbers."""
    card = make_card()
    density = card.pulses["current_density_A_per_m2"].where(card.pulses["pulse"] > 0)
    object.__setattr__(card, "pulses", card.pulses.assign(current_density_A_per_m2=density))
    device = DeviceModel.from_card(card)
    np.testing.assert_array_equal(device.drive, [0.0, *density[1:]])
    assert device.digest


def test_bands_of_uneven_levels():
    low, high = bands(LEVELS, 0.1)
    # by hand: mid-point minus or plus 0.1 of the gap it lies in
    np.testing.assert_allclose(high[:3], [-0.75 + 0.05, 0.0 + 0.1, 0.75 + 0.05], atol=1e-6)
    np.testing.assert_allclose(low[1:], [-0.75 - 0.05, 0.0 - 0.1, 0.75 - 0.05], atol=1e-6)
    assert low[0] == -np.inf and high[3] == np.inf
    # even levels: |a - L| <= (1/2 + m) d
    low, high = bands(np.array([-1, 0, 1], np.float32), 0.25)
    np.testing.assert_allclose([low[1], high[1]], [-0.75, 0.75])


def test_every_level_has_a_state_that_ends_the_attempts():
    states = np.array([-1.3, -0.9, 0.8, 1.2], np.float32)  # no state is nearest to the level 0.5 but 0.8 serves it
    low, high = state_bands(states, LEVELS, 0.0)
    for level in np.linspace(-1, 1, 201):
        assert np.any((low <= level) & (level <= high))
    np.testing.assert_allclose([low[0], high[0]], [-np.inf, -0.75])


# moves by minus the gradient
PLAIN = optimizers.make(Optimizer(name="sgd", learning_rate=1.0), 1)
NOW = Context((), jnp.int32(0))


def make(name, device, options, optimizer=PLAIN):
    return rules.get(name)(device, optimizer, rules.options(name, options))


def rule_at(device, accumulator, command, margin):
    rule = make("accumulate_quantise_program", device, {"margin": margin, "compare": "command"})
    memory, _ = rule.init((random_words.stream(1, "w"),), ((1, len(accumulator)),))
    memory = memory._replace(
        accumulator=(jnp.asarray([accumulator], jnp.float32),), command=(jnp.asarray([command], jnp.int8),)
    )
    return rule, memory


def test_program_only_what_left_its_band(device):
    level = device.level
    step = float(level[2] - level[1])
    edge = float(level[1] + level[2]) / 2
    start = [edge - 0.01] * 4
    target = np.array([edge + 0.05 * step, edge + 0.15 * step, 1.7, -3.0])
    rule, memory = rule_at(device, start, [1, 1, 1, 1], 0.1)
    memory, (plan,) = rule.propose(memory, None, Signals((jnp.asarray([np.array(start) - target], jnp.float32),)), NOW)
    assert plan.mask.tolist() == [[[False, True, True, True]]]  # one device per synapse
    assert plan.pulse.tolist()[0][0][1:] == [2, 4, 0]
    assert memory.command[0].tolist() == [[1, 2, 4, 0]]
    np.testing.assert_allclose(memory.accumulator[0][0], np.clip(target, -1, 1), atol=1e-6)  # clipped
    # asked once is asked once: without a new gradient nothing is programmed again
    _, (again,) = rule.propose(memory, None, Signals((jnp.zeros((1, 4)),)), NOW)
    assert not again.mask.any()


def test_compare_state_programs_until_the_device_agrees(device):
    rule = make("accumulate_quantise_program", device, {"margin": 0.0, "compare": "state"})
    memory, _ = rule.init((random_words.stream(1, "w"),), ((1, 5),))
    memory = memory._replace(accumulator=(jnp.zeros((1, 5)),))
    state, zero = jnp.arange(5, dtype=jnp.int8)[None, None], jnp.zeros((1, 1, 5))
    array = sampling.Array(state, zero, zero, zero + 1, zero.astype(jnp.int32))
    _, (plan,) = rule.propose(memory, (array,), Signals((jnp.zeros((1, 5)),)), NOW)
    nearest = int(np.abs(device.level).argmin())
    assert plan.mask.tolist() == [[[s != nearest for s in range(5)]]]


def test_no_dead_network(device):
    """The start spreads the devices over all states; one write each, and it is counted by the caller's plan."""
    rule = make("accumulate_quantise_program", device, {})
    _, (plan,) = rule.init((random_words.stream(1, "w"),), ((64, 64),))
    share = np.bincount(np.asarray(plan.pulse).ravel(), minlength=5) / 64**2
    assert plan.mask.all() and share.min() > 0.05


def test_memory_is_counted_honestly(device):
    shapes = ((7, 3), (3, 2))
    keys = (random_words.stream(1, "w", 0), random_words.stream(1, "w", 1))
    for name, moments in (("adam", 2), ("sgd", 0)):
        rule = make("accumulate_quantise_program", device, {}, optimizers.make(Optimizer(name=name), 1))
        bits = rule.memory_bits(rule.init(keys, shapes)[0])
        assert bits == {"accumulator": 27 * 32, "optimizer": moments * 27 * 32, "command": 27 * 3}
    rule = make("float_baseline", device, {}, optimizers.make(Optimizer(), 1))
    assert rule.memory_bits(rule.init(keys, shapes)[0]) == {"weights": 27 * 32, "optimizer": 2 * 27 * 32}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nonesuch", {}, "network.rule: found nonesuch, allowed: accumulate_quantise_program, "),
        ("accumulate_quantise_program", {"margin": -1}, "network.rule_options.margin: found -1"),
        ("accumulate_quantise_program", {"margins": 1}, "network.rule_options: found unknown key 'margins'"),
        ("accumulate_quantise_program", {"compare": "x"}, "network.rule_options.compare: found x"),
        ("float_baseline", {"margin": 0.1}, "network.rule_options: found unknown key 'margin'"),
    ],
)
def test_wrong_rule_options(device, name, options, message):
    with pytest.raises(UserError, match=message):
        make(name, device, options)


def test_volatile_device_is_refused():
    device = DeviceModel.from_card(make_card(flags={"volatile": True}))
    with pytest.raises(UserError, match="flags.volatile"):
        make("accumulate_quantise_program", device, {})


def test_column_noise_equals_noise_on_every_weight():
    """Noise injected at the column has the variance of independent noise on each weight."""
    random, layer = np.random.default_rng(0), Layer(30, 4)
    x, weight = random.random((1, 30)).astype(np.float32), random.normal(size=(30, 4)).astype(np.float32)
    sd = random.uniform(0.1, 0.5, (30, 4)).astype(np.float32)
    noise, factor = Noise(random_words.stream(1, "n"), 0), (3 / 30) ** 0.5
    many = jnp.asarray(np.repeat(x, 20000, axis=0))

    def column(variance, x=many):
        return read(x, Synapses(jnp.asarray(weight), variance), layer, noise)

    drawn = np.asarray(column(jnp.asarray(sd**2)))
    direct = factor * np.stack([(x[0] @ (weight + sd * random.normal(size=sd.shape))) for _ in range(20000)])
    np.testing.assert_allclose(drawn.std(axis=0), direct.std(axis=0), rtol=0.03)
    np.testing.assert_allclose(drawn.mean(axis=0), factor * x[0] @ weight, atol=0.05)
    # one number for all synapses is the same as an array of it
    np.testing.assert_allclose(column(jnp.float32(0.04)), column(jnp.full((30, 4), 0.04)), rtol=1e-4, atol=1e-5)
    gradient = jax.grad(lambda x: column(jnp.float32(0.04), x).sum())(jnp.asarray(x))
    np.testing.assert_allclose(gradient[0], factor * weight.sum(axis=1), rtol=1e-5)  # the noise is no function of x


def test_offsets_are_believed_as_far_as_devices_differ():
    """Offset times var_device / (var_device + se^2), which is 0 without and 1 with much spread between devices."""
    card = make_card()
    card.population["conductance_offset_se_S"] = 6e-7
    plain = DeviceModel.from_card(card).instance_weight
    assert np.abs(plain).max() > 0
    for between, expected in ((None, 1.0), (0.0, 0.0), (6e-7, 0.5), (8e-7, 0.64), (1.0, 1.0)):
        told = card.meta.model_copy(update={"spread": {"device_to_device_sd_S": between}})
        np.testing.assert_allclose(
            DeviceModel.from_card(replace(card, meta=told)).instance_weight, expected * plain, rtol=1e-6
        )


def test_more_levels_than_are_known_are_refused():
    card = make_card()
    many = [card.pulses.iloc[[0]].assign(pulse=number) for number in range(1025)]
    rows = dict(list(card.transitions.groupby("pulse")))
    card = replace(
        card,
        pulses=pd.concat(many, ignore_index=True),
        transitions=pd.concat([rows[number % 5].assign(pulse=number) for number in range(1025)], ignore_index=True),
    )
    device = DeviceModel.from_card(card)
    assert len(device.pulses) == 1025
    with pytest.raises(UserError, match="pulses.csv: found 1025 pulses, allowed: at most 1024 levels"):
        make("accumulate_quantise_program", device, {})


def test_only_the_pulses_that_are_named_are_used(card):
    # a config that names a pulse twice is refused, code may
    device = DeviceModel.from_card(card, Device().model_copy(update={"pulses": (4, 0, 4)}))
    assert device.pulses == (4, 0) and device.transition.shape == (2, 5, 5)
    np.testing.assert_array_equal(device.transition[0], DeviceModel.from_card(card).transition[4])
    assert device.level_pulse.tolist() == [1, 0] and device.write_energy.tolist() == pytest.approx(
        [15e-15, 3e-15], rel=1e-12, abs=0
    )
    with pytest.raises(UserError, match="network.device.pulses: found 9, allowed: 0, 1, 2, 3, 4"):
        DeviceModel.from_card(card, Device(pulses=[0, 9]))
    with pytest.raises(UserError, match="pulses.csv: found 1 pulses, allowed: 2"):
        DeviceModel.from_card(card, Device().model_copy(update={"pulses": (0, 0)}))


def test_scale_by_states_puts_conductances_at_the_ends(card):
    device = DeviceModel.from_card(card, scale="states")
    assert device.state_weight.min() == -1 and device.state_weight.max() == 1
    assert device.level[0] > -1 and device.level[-1] < 1


def test_a_factor_of_an_instance_scales_its_conductance_not_its_weight():
    """f G + dG in weights: f w + (f - 1) g_ref / g_scale + dG / g_scale."""
    card = make_card(instances=3)
    card.population["conductance_factor"] = [0.9, 1.0, 1.2]
    device = DeviceModel.from_card(card)
    conductance = card.states["conductance_S"].to_numpy()
    for i, (factor, offset) in enumerate(zip([0.9, 1.0, 1.2], card.population["conductance_offset_S"], strict=True)):
        expected = (factor * conductance + offset - device.g_ref) / device.g_scale
        found = device.instance_gain[i] * device.state_weight + device.instance_weight[i]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
