"""From a wanted probability to pulses: exactly, because the choice between two rungs is monotone in its random word."""

import jax.numpy as jnp
import numpy as np
import pytest

from calibration.sources import library
from network.synapse import pulse_ladder
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import ONE_NS, SURE, junction, quick_compile, shares  # noqa: F401

UP, DOWN = (1e-4, 0.003, 0.04, 0.2, 0.55, 0.9), SURE
MODES = ("full", "none", "offset")
STRENGTHS = np.concatenate([np.logspace(-6, 0, 25), [0.0, 0.55, 0.9, 0.95, 1.0, 1.7, 40.0]])


def model(card):
    return DeviceModel.from_card(card, None, "states")


def test_full_gives_the_wanted_probability_in_both_directions():
    """Each of the 2^32 words counted: the mean is the wanted probability up to the strongest pulse, then that one's."""
    device = model(junction(UP, DOWN))
    table = pulse_ladder.make(device, "full", None)
    for back, top in ((False, 0.9), (True, 1.0)):
        wanted = np.minimum(STRENGTHS.astype(np.float32), np.float32(top))
        np.testing.assert_allclose(shares(table, device, back, STRENGTHS), wanted, rtol=2e-6, atol=1e-9)


def test_both_directions_at_once():
    device = model(junction(UP, DOWN))
    table = pulse_ladder.make(device, "full", None)
    strength, back = np.array([0.35, 0.35, 0.95, 0.95, 0.0, 0.0]), np.array([False, True] * 3)
    command, given = pulse_ladder.choose(table, jnp.asarray(back), jnp.asarray(strength), jnp.zeros(6, jnp.uint32))
    # word 0 takes the upper rung whenever there is anything to gain
    assert command[:4].tolist() == [4, len(UP) + 2, 5, len(UP) + 3] and given.tolist() == [True] * 4 + [False] * 2


def test_rungs_denser_than_the_bins():
    """60 rungs within 1 % of each other, where a bin is 0.2 % wide, and 200 over nine decades."""
    dense = 0.3 * (1 + np.linspace(0, 0.01, 60))
    device = model(junction(dense, np.logspace(-9, -0.1, 200)))
    table = pulse_ladder.make(device, "full", None)
    assert len(table.bins) > 4
    for back, strength in ((False, np.concatenate([dense, dense * 1.00005])), (True, np.logspace(-6, -0.2, 300))):
        wanted = np.minimum(strength, 0.303 if not back else 10**-0.1)
        np.testing.assert_allclose(shares(table, device, back, strength), wanted, rtol=2e-6, atol=1e-9)


def test_a_strength_on_a_rung_takes_that_rung_whatever_the_word():
    device = model(junction((0.125, 0.25, 0.5, 1.0), SURE))
    table = pulse_ladder.make(device, "full", None)
    for word in (0, 1, 2**31, 2**32 - 1):
        command, given = pulse_ladder.choose(
            table, jnp.zeros(4, bool), jnp.asarray([0.125, 0.25, 0.5, 1.0]), jnp.full(4, word, jnp.uint32)
        )
        assert command.tolist() == [0, 1, 2, 3] and given.all()


@pytest.mark.parametrize("mode", ["none", "offset"])
def test_the_mean_duration_is_what_the_mode_says(mode):
    """none: u T. offset: t_0 + u (T - t_0), t_0 the longest pulse with at most 1 %."""
    times = np.array([0.5, 0.9, 1.0, 1.6, 3.0, 4.0]) * ONE_NS
    device = model(junction((1e-5, 0.002, 0.01, 0.3, 0.9, 0.99), (0.5, 1.0), times, [1e-9, 2e-9]))
    table = pulse_ladder.make(device, mode, None)
    # a card whose probabilities are its durations turns the count of words into a mean duration
    clock = model(junction(times / times[-1], (0.5, 1.0), times))
    strength = np.concatenate([np.logspace(-6, 0, 13), [0.0, 0.5, 2.0]])
    start = 0.25 if mode == "offset" else 0.0  # 1 of 4 ns
    wanted = np.where(strength > 0, start + np.minimum(strength, 1) * (1 - start), 0)
    np.testing.assert_allclose(shares(table, clock, False, strength), wanted, rtol=3e-6, atol=1e-9)
    # the other direction has no dead zone, so nothing to be left out
    np.testing.assert_allclose(shares(table, device, True, np.array([0.25, 0.5])), [0.25, 0.5], rtol=1e-6, atol=0)


def test_the_dead_zone_of_the_high_current_law():
    """Durations in proportion to the strength ignore what is weak (papers: incubation); docs/rules/pulses.md."""
    device = model(library.card("gt_stt_mtj_28nm"))
    weak = np.array([0.01, 0.05, 0.1, 0.15])
    got = {mode: shares(pulse_ladder.make(device, mode, None), device, False, weak) for mode in MODES}
    np.testing.assert_allclose(got["full"], weak, rtol=1e-5, atol=0)
    # pulses below 0.58 ns of 3.91 (u = 0.148) do not exist; the weakest switches with 8e-7
    assert got["none"].max() < 2e-6
    assert np.all(got["offset"] > 0.009) and np.all(np.diff(got["offset"]) > 0)
    assert np.all(got["offset"] < 3 * weak)


def test_without_dither_the_nearest_rung_is_taken_whatever_the_word():
    device = model(junction((0.1, 0.2, 0.4, 0.8), SURE))
    table = pulse_ladder.make(device, "full", None)
    strength = jnp.asarray([0.04, 0.06, 0.149, 0.151, 0.29, 0.31, 0.59, 0.61, 0.9, 5.0])
    for word in (0, 2**31, 2**32 - 1):
        words = jnp.full(strength.shape, word, jnp.uint32)
        command, given = pulse_ladder.choose(table, jnp.zeros(strength.shape, bool), strength, words, dither=False)
        assert given.tolist() == [False] + [True] * 9
        assert command[1:].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]


def test_which_pulses_make_the_rungs():
    # pulses 0 to 3 up: two voltages; 4 and 5 down
    card = junction((0.1, 0.4, 0.3, 0.9), (0.5, 1.0), [1e-9, 2e-9, 1e-9, 2e-9], voltage_V=1.0)
    card.pulses["voltage_V"] = [0.8, 0.8, 1.0, 1.0, -0.8, -1.0]
    device = model(card)
    for mode, voltage, rungs in (
        ("full", None, [0, 2, 1, 3]), ("full", 0.8, [0, 1]), ("full", -0.8, [0, 1]), ("none", None, [2, 3]),
        ("none", 0.8, [0, 1]),
    ):  # fmt: skip
        table = pulse_ladder.make(device, mode, voltage)
        command = np.asarray(table.command[0])
        assert list(dict.fromkeys(command[1:].tolist())) == rungs and table.strongest[0] == rungs[-1]
    # a pulse is one of the direction in which it switches more often: number 0, meant to switch on, does so less
    both = model(junction((0.2, 0.6), (0.3, 0.9), back=0.25))
    table = pulse_ladder.make(both, "full", None)
    assert set(np.asarray(table.command[0]).tolist()) == {1} and np.asarray(table.command[1])[1:].tolist() == [0, 2, 3]


def test_of_equals_the_shortest_and_of_equally_long_the_strongest():
    device = model(junction((0.5, 0.5, 0.7, 0.7), (1.0,), [3e-9, 2e-9, 2e-9, 5e-9]))
    assert np.asarray(pulse_ladder.make(device, "full", None).command[0]).tolist() == [1, 1, 2]
    assert np.asarray(pulse_ladder.make(device, "none", None).command[0]).tolist() == [2, 2, 0, 3]


def test_one_pulse_each_way_is_a_ladder():
    device = model(junction((0.7,), (0.2,)))
    table = pulse_ladder.make(device, "full", None)
    np.testing.assert_allclose(
        shares(table, device, False, np.array([1e-6, 0.35, 0.7, 1.0])), [1e-6, 0.35, 0.7, 0.7], rtol=1e-3, atol=0
    )
    np.testing.assert_allclose(shares(table, device, True, np.array([0.1, 1.0])), [0.1, 0.2], rtol=1e-6, atol=0)


def test_errors():
    with pytest.raises(
        UserError, match="states.csv: found 5 states, allowed: 2 for a rule that chooses pulses by their probability"
    ):
        pulse_ladder.make(model(make_card()), "full", None)
    device = model(junction(UP, DOWN))
    with pytest.raises(UserError, match=r"here.voltage_V: found no pulse of the card that moves state 0 to 1 at 0.7 V"):
        pulse_ladder.make(device, "full", 0.7, "here")
    with pytest.raises(
        UserError, match=r"network.rule_options.voltage_V: found no pulse of the card that moves state 1 to"
    ):
        pulse_ladder.make(model(junction(UP, (0.0, 0.0))), "none", None)


def test_a_second_state_of_lower_conductance_is_refused():
    """Up and down would be exchanged, and a rule would climb its gradient."""
    with pytest.raises(UserError, match="states.csv: conductance_S: found a second state that conducts less"):
        pulse_ladder.make(model(junction(UP, DOWN, conductance_S=(2e-4, 1e-4))), "full", None)
