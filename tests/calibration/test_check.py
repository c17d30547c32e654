"""A card is compared with the writes that it was made of: a right one passes, a wrong one is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration import KernelCard
from calibration.consequences import replicates
from calibration.consequences.check import ALARM, checked
from calibration.counting.writes import REST, Writes
from calibration.sources.parametric.cards import make
from calibration.sources.parametric.config import Parametric
from spinloom.errors import UserError

FLAGS = {"volatile": False, "reset_before_write": False, "destructive_read": False}


def lattice(levels=16, spread=0.3, noise=0.0, nonlinearity=0.0, method="levels") -> KernelCard:
    """Return a device of one step up and one down, with read noise (in steps), as if its states had been measured."""
    pulse = {"duration_s": 1e-7, "nonlinearity": nonlinearity}
    section = {
        "device": "lattice", "name": "lattice",
        "lattice": {
            "levels": levels, "cycle_relative_sd": spread,
            "up": {"voltage_V": 1.0, **pulse}, "down": {"voltage_V": -1.0, **pulse},
        },
        "electrical": {
            "conductance_max_S": 1e-5, "dynamic_range": 15.0, "read_voltage_V": 0.1, "read_duration_s": 1e-8
        },
    }  # fmt: skip
    card = make(Parametric.parse(section, "lattice"), 0, "lattice")
    mean = card.states["conductance_S"].to_numpy()
    edges = np.concatenate([[0.0], (mean[1:] + mean[:-1]) / 2, [2e-5]])
    states = {"method": method, "coordinate": "conductance_S", "edges": edges.tolist()}
    meta = card.meta.model_validate({**card.meta.dump(), "states": states})
    reads = card.reads.assign(noise_sd_S=noise * (mean[1] - mean[0]))
    return replace(card, meta=meta, reads=reads)


def read(card, count, rng, missing=0.0, length=10**6) -> pd.DataFrame:
    """Return readings of the card's device: as many pulses up as it has states, as many down, and so on."""
    states, mean = len(card.states), card.states["conductance_S"].to_numpy()
    pulse = np.resize(np.repeat([0, 1], states), count)
    series = np.arange(count) // length
    pulse[np.append(True, np.diff(series) > 0)] = REST
    state, value = 0, np.empty(count)
    for place, own in enumerate(pulse):
        state = state if own == REST else rng.choice(states, p=card.kernel[own, state])
        value[place] = mean[state] + card.reads["noise_sd_S"][state] * rng.standard_normal()
    value[rng.random(count) < missing] = np.nan
    return pd.DataFrame({"series": series, "instance": 0, "pulse": pulse, "value": value})


def writes(card, readings) -> Writes:
    before = readings.groupby("series")["value"].shift()
    events = readings.assign(before=before, replica=0).rename(columns={"value": "after"})
    events = events[(events["pulse"] != REST) & events[["before", "after"]].notna().all(axis=1)]
    events = events[["pulse", "instance", "replica", "before", "after"]].reset_index(drop=True)
    source = {"kind": "measured"}
    return Writes(
        "x", events, card.pulses, "conductance_S", (0, 2e-5), np.asarray, FLAGS, source, "x.csv", readings=readings
    )


def counted(card, readings, prior=0.0) -> KernelCard:
    """Return the card with rows counted from readings as if these were states, and without read noise."""
    of, states = writes(card, readings).events, len(card.states)
    edges = np.array(card.meta.states.edges)[1:-1]
    counts = np.full((2, states, states), prior)
    np.add.at(counts, (of["pulse"], np.searchsorted(edges, of["before"]), np.searchsorted(edges, of["after"])), 1)
    counts[counts.sum(axis=-1) == 0] += 1
    probability = (counts / counts.sum(axis=-1, keepdims=True)).ravel()
    rows = card.transitions.assign(probability=probability, ci_low=probability, ci_high=probability)
    return replace(card, transitions=rows, reads=card.reads.assign(noise_sd_S=0.0))


def found(card, of, accept=True) -> KernelCard:
    return checked(card, of, 1, accept)


@pytest.mark.long
def test_right_cards_pass(monkeypatch):
    """None of 80 is refused, where 80 x 1e-4 are by chance; each has 20 to 300 statistics."""
    monkeypatch.setattr(replicates, "MOST", 40)
    largest = []
    for number in range(80):
        rng = np.random.default_rng(number)
        levels, noise = int(rng.choice([2, 3, 5, 16, 32])), float(rng.choice([0, 0.1, 0.5, 1, 2]))
        card = lattice(levels, float(rng.choice([0, 0.1, 0.5, 1.5])), noise, float(rng.choice([0, 0.6])))
        readings = read(
            card, int(rng.choice([60, 300])), rng, missing=0.1 * (number % 2), length=[10**6, 40, 7][number % 3]
        )
        check = found(card, writes(card, readings)).meta.check
        assert check.alarm == ALARM and check.contradictions == 0, (number, check.worst)
        largest.append(check.worst.deviation)
    assert np.median(largest) < 0.6  # the limits leave room, but none that would hide a wrong card


def test_read_noise_that_is_counted_as_writing_is_refused():
    truth = lattice(11, 0.0, noise=0.5)
    readings = read(truth, 1200, np.random.default_rng(1))
    assert found(truth, writes(truth, readings)).meta.warnings == ()
    wrong = counted(truth, readings)
    with pytest.raises(
        UserError, match="x.csv: the card contradicts its own writes.*pulse . from all states: a corr.*noise"
    ):
        found(wrong, writes(wrong, readings), accept=False)


def test_exchanged_pulses_are_refused():
    card = lattice(16)
    readings = read(card, 600, np.random.default_rng(2))
    other = readings.assign(pulse=readings["pulse"].map({0: 1, 1: 0, REST: REST}))
    with pytest.raises(
        UserError, match="pulse . from .* against the pulse of 0.* where .* more than 1000 times .*; give pulses that"
    ):
        found(card, writes(card, other), accept=False)


def test_a_prior_that_outweighs_the_writes_is_refused():
    truth = lattice(32, 0.3, method="lattice")
    readings = read(truth, 32 * 2 * 14, np.random.default_rng(3))
    assert found(counted(truth, readings), writes(truth, readings), accept=False).meta.check.contradictions == 0
    with pytest.raises(UserError, match="the worst of .*fewer states, more writes|give pulses that were"):
        found(counted(truth, readings, prior=0.5), writes(truth, readings), accept=False)


def test_an_accepted_misfit_stays_in_the_card(tmp_path):
    card = lattice(16)
    shifted = counted(card, read(card, 600, np.random.default_rng(2)))
    # all rows one state up
    wrong = np.roll(shifted.kernel, 3, axis=2).ravel()
    wrong = replace(shifted, transitions=shifted.transitions.assign(probability=wrong, ci_low=wrong, ci_high=wrong))
    told = found(wrong, writes(card, read(card, 600, np.random.default_rng(2))))
    told.write(tmp_path)
    again = KernelCard.read(tmp_path)
    (warning,) = again.meta.warnings
    assert warning.startswith("the card contradicts its own writes") and again.meta.check.contradictions > 10
    assert again.hash == wrong.hash  # the comparison tells nothing of the device
    assert again.extras["check"]["deviation"].max() > 1


def test_the_table_has_what_was_read_and_what_the_card_makes_of_it():
    card = lattice(8, 0.3, noise=0.5)
    readings = read(card, 4000, np.random.default_rng(4))
    of = writes(card, readings)
    table = found(card, of).extras["check"].set_index(["pulse", "state_from"])
    events, edges = of.events, np.array(card.meta.states.edges)[1:-1]
    step = (events["after"] - events["before"]).groupby([events["pulse"], np.searchsorted(edges, events["before"])])
    np.testing.assert_allclose(table["step_mean_S"], step.mean())
    # clipped at six standard deviations, about the card's mean
    np.testing.assert_allclose(
        table["step_sd_S"][table["writes"] > 50], step.std(ddof=0)[table["writes"] > 50], rtol=0.05
    )
    np.testing.assert_array_equal(table["writes"], step.size())
    (up, _) = found(card, of).meta.check.pulses
    assert up["correlation"] == pytest.approx(up["correlation_card"], abs=0.06) and up["correlation"] < -0.2


def test_the_order_of_the_writes_does_not_matter():
    card = lattice(8)
    of = replace(writes(card, read(card, 200, np.random.default_rng(5))), readings=None)
    mixed = replace(of, events=of.events.sample(frac=1, random_state=1))
    one, other = (found(card, each).extras["check"] for each in (of, mixed))
    pd.testing.assert_frame_equal(one, other, rtol=1e-12)
