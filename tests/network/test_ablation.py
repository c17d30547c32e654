"""What is taken away from a device, or happens to it while nobody writes: least noise, symmetry, rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from network.sections import Device, Rest
from network.synapse import ablation, random_words, sampling
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from tests.network.conftest import make_card, trainer, two_states
from tests.network.rule_cards import ALARM, SURE, junction, lattice, quick_compile  # noqa: F401

RATE = 3e-4  # per second


def forgetful(rates=(RATE, RATE)):
    """Return a card of two states that are lost at ``rates``, at 300 K, and never at 4 K."""
    card = two_states()
    rows = [(t, s, 1 - s, rate * (t == 300)) for t in (4.0, 300.0) for s, rate in enumerate(rates)]
    card.extras["retention"] = pd.DataFrame(rows, columns=["temperature_K", "state_from", "state_to", "rate_per_s"])
    return card


def test_least_noise_keeps_the_mean_and_two_neighbours():
    """Uneven levels in no order: means to the last digits, and no kernel on these states spreads less."""
    random = np.random.default_rng(2)
    conductance = np.array([3.0, 1.0, 7.0, 1.5, 4.0]) * 1e-6
    kernel = random.dirichlet(np.ones(5), (3, 5))
    kernel[0, 0] = np.eye(5)[2]  # the highest, for sure
    sharp = ablation.least_noise(kernel, conductance)
    np.testing.assert_allclose(sharp.sum(axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(sharp @ conductance, kernel @ conductance, rtol=1e-12)
    rank = np.argsort(np.argsort(conductance))
    for row in sharp.reshape(-1, 5):
        assert np.ptp(rank[row > 0]) <= 1
    variance = [k @ conductance**2 - (k @ conductance) ** 2 for k in (sharp, kernel)]
    assert np.all(variance[0] <= variance[1] + 1e-24)
    two = random.dirichlet(np.ones(2), (4, 2))
    np.testing.assert_allclose(ablation.least_noise(two, conductance[:2]), two, atol=1e-12)


@pytest.mark.parametrize("card", [lattice(9, 0.4), junction(SURE, SURE[:2] + (0.7, 0.8)), make_card()])
def test_symmetric_devices_are_their_own_mirror_image(card):
    """Also where up and down were not alike, and then with the mean of both; with uneven states the kernel alone."""
    plain, device = (DeviceModel.from_card(card, Device(symmetric=on), "states") for on in (False, True))
    count = len(device.pulses)
    up = device.level_pulse
    conductance = device.state_weight.astype(float)
    image = ablation.mirrored(device.transition, up, conductance)
    np.testing.assert_allclose(image, device.transition, atol=1e-12)
    assert sorted(up) == list(range(count))
    if np.allclose(conductance, -conductance[::-1], atol=1e-6):
        np.testing.assert_allclose(device.level, -device.level[::-1], atol=1e-6)
        np.testing.assert_allclose(device.level, (plain.level - plain.level[::-1]) / 2, atol=1e-6)
        assert np.allclose(plain.level, device.level, atol=1e-6) == (count == 2)  # the lattice was symmetric before
    else:
        assert count == 5


def test_without_noise_a_pulse_has_one_outcome_or_two():
    card = lattice(9, 0.8)
    noisy, sharp = (DeviceModel.from_card(card, Device(stochastic=on), "states") for on in (True, False))
    assert (noisy.transition > 0).sum(axis=2).max() > 2 >= (sharp.transition > 0).sum(axis=2).max()
    np.testing.assert_allclose(sharp.level, noisy.level, atol=1e-6)


def test_rest_follows_the_rates():
    """exp(Q t) of two states in closed form; drawn, chi-square for both states, false alarms 0.01 %, fixed seed."""
    rates, time = (RATE, 3 * RATE), 1200.0
    device = DeviceModel.from_card(forgetful(rates), Device(rest=Rest(duration_s=time, temperature_K=300.0)), "states")
    lost = -np.expm1(-sum(rates) * time) * np.array(rates) / sum(rates)
    np.testing.assert_allclose(device.rest, [[1 - lost[0], lost[0]], [lost[1], 1 - lost[1]]], rtol=1e-12)

    table = sampling.tables(device, sampling.Alphabet(device.rest[None], np.zeros((1, 0), np.int64)))
    rows, n = 512, 256 * sampling.LANES
    state = jnp.repeat(jnp.arange(2, dtype=jnp.int8), n).reshape(rows, sampling.LANES)
    zero = jnp.zeros(state.shape)
    stuck = (jnp.arange(rows) % 4 == 0)[:, None] & jnp.ones(state.shape, bool)
    array = sampling.Array(state, device.state_weight[state], zero, zero + 1, state.astype(jnp.int32), None, stuck)
    after, moved = jax.jit(sampling.relax)(random_words.stream(1, "rest"), 3, array, table)
    change = np.asarray(after.state != state)
    assert not change[np.asarray(stuck)].any() and moved == change.sum()
    np.testing.assert_array_equal(after.writes, array.writes)  # nobody has written
    np.testing.assert_array_equal(np.asarray(after.weight)[~change], np.asarray(array.weight)[~change])
    free = ~np.asarray(stuck)
    for s in range(2):
        of_state = free & (np.asarray(state) == s)
        assert stats.binomtest(int(change[of_state].sum()), int(of_state.sum()), lost[s]).pvalue > ALARM / 2


def test_between_the_cards_temperatures_rates_follow_arrhenius():
    card = two_states()
    rows = [(t, s, 1 - s, 1e9 * np.exp(-9000 / t)) for t in (300.0, 400.0) for s in range(2)]
    card.extras["retention"] = pd.DataFrame(rows, columns=["temperature_K", "state_from", "state_to", "rate_per_s"])
    device = DeviceModel.from_card(card, Device(rest=Rest(duration_s=60.0, temperature_K=341.0)))
    lost = -np.expm1(-2 * 60 * 1e9 * np.exp(-9000 / 341)) / 2
    np.testing.assert_allclose(device.rest, [[1 - lost, lost], [lost, 1 - lost]], rtol=1e-9)


@pytest.mark.long
def test_a_network_that_rests_forgets(config, tmp_path):
    """After each epoch about half of the devices are anywhere, or all of them; a rest at 4 K does nothing at all."""
    runs = {}
    for name, rest, time in (("none", None, 0.0), ("cold", 4.0, 1200.0), ("warm", 300.0, 1200.0), ("long", 300.0, 1e6)):
        section = None if rest is None else {"duration_s": time, "temperature_K": rest}
        run = trainer(config, forgetful(), device={"rest": section}, epochs=2)
        folder = tmp_path / name
        folder.mkdir()
        runs[name] = run.run(folder, "toy", lambda *_: None, lambda *_: None)
    none, cold, warm = (
        [{k: v for k, v in row.items() if k != "train_loss"} for row in runs[name]["history"]]
        for name in ("none", "cold", "warm")
    )
    assert none == cold
    synapses = 16 * 12 + 12 * 4
    expected = synapses * -np.expm1(-2 * RATE * 1200) / 2
    for row in warm[1:]:  # 5 standard deviations
        assert abs(row["disturbs"] - expected) < 5 * np.sqrt(expected)
    assert warm[0]["disturbs"] == 0 and runs["warm"]["meter"].disturbs == sum(row["disturbs"] for row in warm)
    # devices that are anywhere classify by chance, one picture in four; trained ones more than every second
    assert runs["long"]["history"][-1]["test_accuracy"] < cold[-1]["test_accuracy"] - 0.1


@pytest.mark.parametrize(
    ("card", "rest", "message"),
    [
        (two_states(), {"duration_s": 1.0, "temperature_K": 300.0}, "network.device.rest: found a rest, allowed: null"),
        (
            forgetful(),
            {"duration_s": 1.0, "temperature_K": 310.0},
            "temperature_K: found 310, allowed: 4 to 300, the temperatures of the card",
        ),
    ],
)
def test_rests_that_the_card_does_not_know(card, rest, message):
    with pytest.raises(UserError, match=message):
        DeviceModel.from_card(card, Device(rest=rest))
