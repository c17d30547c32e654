"""Lines with resistance, and neighbours that are half-selected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.crossbar import array_effects as lines
from network.crossbar import nodal_solver
from network.sections import Array, Device
from network.synapse import random_words, sampling
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from tests.network.conftest import EVERYTHING, trainer, two_states


def devices(device, shape, seed=0):
    """Return an `Array` of devices in random states, [1, inputs, outputs]."""
    state = np.random.default_rng(seed).integers(0, len(device.states), (1, *shape)).astype(np.int8)
    zero = jnp.zeros((1, *shape))
    weight = jnp.asarray(device.state_weight)[state]
    return sampling.Array(jnp.asarray(state), weight, zero, zero + 1, zero.astype(jnp.int32))


def test_ideal_lines_change_nothing(device, config):
    array = devices(device, (9, 5))
    (factor,) = lines.factors((array,), device, Array())
    assert np.all(np.asarray(factor.device) == 1) and np.all(np.asarray(factor.reference) == 1)
    np.testing.assert_allclose(lines.seen(array, factor, device).weight, array.weight, atol=1e-6)
    run = trainer(config, epochs=1)
    assert not run.machine.lines.resistive and run.machine.factors(run.start()[0]) is None


def test_resistive_lines_lower_what_is_read(device):
    array = devices(device, (40, 30))
    own = Array(wire_resistance_ohm=2.0, driver_resistance_ohm=20.0, tile_rows=16, tile_columns=30)
    (factor,) = lines.factors((array,), device, own)
    f = np.asarray(factor.device, np.float64)
    assert 0.3 < f.min() < f.max() < 1
    # what is read is the conductance of the circuit, against a reference that is read through the same lines
    conductance = np.asarray(array.weight[0], np.float64) * device.g_scale + device.g_ref
    effective = nodal_solver.tiled_transfer(conductance, 16, 30, wire_resistance_ohm=2.0, driver_resistance_ohm=20.0)
    reference = f[0].mean(axis=1, keepdims=True) * device.g_ref
    expected = (effective - reference) / device.g_scale
    weight = np.asarray(lines.seen(array, factor, device).weight[0])
    np.testing.assert_allclose(weight, expected, atol=1e-5)
    assert weight.std() < np.asarray(array.weight).std()
    # columns far from the drivers lose more; longer lines lose more
    assert f[0, :, :5].mean() > f[0, :, -5:].mean()
    (shorter,) = lines.factors(
        (array,), device, Array(wire_resistance_ohm=2.0, driver_resistance_ohm=20.0, tile_rows=8, tile_columns=8)
    )
    assert np.asarray(shorter.device).mean() > f.mean()


def test_a_network_in_resistive_lines_is_another(config):
    """The same devices classify through the lines of the last refresh."""
    changes = {"epochs": 1, "device": {"read_noise": False}}
    ideal, dropping = trainer(config, **changes), trainer(config, **changes, array={"wire_resistance_ohm": 300.0})
    (state, _), (other, _) = ideal.start(), dropping.start()
    np.testing.assert_array_equal(state.array.weight, other.array.weight)
    factors = dropping.machine.factors(other)
    assert [f.device.shape for f in factors] == [(1, 16, 12), (1, 12, 4)]
    assert max(float(f.device.max()) for f in factors) < 0.99
    x = dropping.machine.prepare(jnp.asarray(dropping.machine.test[0]))
    seen = []
    for run, at, through in ((ideal, state, None), (dropping, other, factors)):
        streams = {
            "read noise": run.machine.streams("evaluation", "x"),
            "rule": run.machine.streams("evaluated rule", "x"),
        }
        seen.append(np.asarray(run.evaluator._scores(at, x, streams, through, jnp.int32(0))))
    assert 0.01 < np.abs(seen[0] - seen[1]).max()


def commands(device):
    return sampling.alphabet(device)


def test_exposure_counts_the_writes_of_a_line():
    device = DeviceModel.from_card(two_states(disturb=0.01))
    rates = lines.half_select_rates(device, commands(device), 0.5)
    np.testing.assert_allclose(rates, 0.01, rtol=1e-9)
    three = lines.half_select_rates(device, sampling.repeated(device, 3), 0.5)
    np.testing.assert_allclose(three, 0.01 * np.array([[1, 1], [2, 2], [3, 3]] * 2), rtol=1e-9)

    rates = jnp.asarray([[0.1, 0.01], [0.2, 0.02]])  # [command, state of the neighbour]
    mask = jnp.asarray([[[True, False, True], [False, False, True]]])
    plan = sampling.Plan(jnp.asarray([[[0, 0, 1], [0, 0, 1]]], jnp.int8), mask)
    (exposure,) = lines.expose(lines.nothing(((1, 2, 3),)), (plan,), rates)
    np.testing.assert_allclose(exposure.rows[0], [[0.3, 0.03], [0.2, 0.02]], rtol=1e-6)
    np.testing.assert_allclose(exposure.columns[0], [[0.1, 0.01], [0, 0], [0.4, 0.04]], rtol=1e-6)
    (twice,) = lines.expose((exposure,), (plan,), rates)
    np.testing.assert_allclose(twice.rows, 2 * exposure.rows, rtol=1e-6)
    state = jnp.asarray([[[0, 1, 0], [1, 1, 1]]], jnp.int8)
    expected = [[0.3 + 0.1, 0.03 + 0, 0.3 + 0.4], [0.02 + 0.01, 0.02 + 0, 0.02 + 0.04]]
    np.testing.assert_allclose(lines.probability(exposure, state)[0], -np.expm1(-np.array(expected)), rtol=1e-5)


def test_disturbs_come_at_their_rate():
    """Counts within four standard deviations of the binomial, two tests: false alarms below 0.02 %."""
    device = DeviceModel.from_card(two_states(disturb=0.01), Device(stuck_fraction=0.2))
    table, shape = sampling.tables(device), (300, 128)
    keys = (random_words.stream(1, "a"), random_words.stream(1, "b"))
    array, _ = jax.jit(lambda k: sampling.fabricate(k, shape, device, table, 2))(keys)
    free, state = ~np.asarray(array.stuck), np.asarray(array.state)
    chance = np.where(np.arange(128) < 64, 0.05, 0.002) * np.ones(shape)
    after, moved = lines.disturb(random_words.stream(1, "d"), 20, array, jnp.asarray(chance, jnp.float32), table)
    hit = np.asarray(after.state) != state
    assert int(moved) == hit.sum() and not hit[~free].any()
    np.testing.assert_array_equal(np.asarray(after.state)[hit], 1 - state[hit])
    for half in (slice(0, 64), slice(64, 128)):
        p, n = chance[0, half][0], free[:, half].sum()
        assert abs(hit[:, half].sum() - p * n) < 4 * np.sqrt(p * (1 - p) * n)
    weight = np.asarray(after.weight)
    np.testing.assert_array_equal(weight[~hit], np.asarray(array.weight)[~hit])
    inside = np.abs(weight - np.asarray(array.offset) - device.state_weight[np.asarray(after.state)])
    assert inside.max() < 1.75 * device.state_spread.max()
    assert np.array_equal(after.writes, array.writes)  # a disturb is no write


@pytest.mark.long
def test_disturbs_of_a_run_are_counted(config):
    """Off without `half_select`; on, applied every 20 steps and nothing is left over from before."""
    card = two_states(disturb=0.02)
    assert trainer(config, card, epochs=1).start()[0].exposure is None
    run = trainer(config, card, **EVERYTHING)
    state, _ = run.start()
    state, meter = run.epoch(state, 1)
    assert int(meter.disturbs) > 0 and int(state.step) == 30
    # steps 20 to 29 have been written since the disturbs of step 19
    written = sum(float(e.rows.sum()) for e in state.exposure)
    assert 0 <= written < 0.02 * int(meter.writes.sum())
    assert int(meter.transitions) <= int(meter.writes.sum())  # disturbs are none of them


@pytest.mark.parametrize(
    ("disturb", "share", "message"), [(None, 0.5, "found 0.5, allowed: none"), (0.1, 0.3, "found 0.3, allowed: 0.5")]
)
def test_half_select_needs_the_card_s_kernel(disturb, share, message):
    device = DeviceModel.from_card(two_states(disturb=disturb))
    with pytest.raises(UserError, match=f"network.array.half_select: {message} .the fractions of the card"):
        lines.half_select_rates(device, commands(device), share)
