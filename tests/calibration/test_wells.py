"""States of a device that rests in wells."""

import numpy as np
import pandas as pd
import pytest

from calibration.counting.wells import well_edges
from calibration.sources import simulated
from spinloom.errors import UserError
from spinloom.streams import generator
from spinloom.write_events import Writes
from tests.calibration.conftest import HASH, WALL, stage, walking

BOUNDS = (0.0, 600.0)


def test_wells_are_found_where_the_writes_settled_and_not_where_the_design_has_them():
    """An edge between medians of 200 writes of sd 3 each has an sd of 0.19: 1.3 is never reached by chance."""
    true = np.array([95.0, 210.0, 290.0, 415.0, 500.0])
    rng = generator(7, "wells")
    values = np.concatenate([rng.normal(centre, 3.0, 200) for centre in true])
    edges = well_edges(rng.permutation(values), (100.0, 200.0, 300.0, 400.0, 500.0), BOUNDS, "m", "events")
    assert edges[[0, -1]].tolist() == list(BOUNDS)
    np.testing.assert_allclose(edges[1:-1], (true[1:] + true[:-1]) / 2, rtol=0, atol=1.3)
    # the order of the writes is no matter, and one stray between two wells moves none
    np.testing.assert_array_equal(edges, well_edges(values, (100.0, 200.0, 300.0, 400.0, 500.0), BOUNDS, "m", "events"))
    stray = well_edges(np.append(values, 455.0), (100.0, 200.0, 300.0, 400.0, 500.0), BOUNDS, "m", "events")
    np.testing.assert_allclose(stray, edges, rtol=0, atol=0.1)


def test_wells_follow_settled_positions_that_the_design_puts_into_a_neighbour():
    # the first assignment takes some of the second well for the first
    values = np.concatenate([np.full(10, 100.0), np.full(5, 145.0), np.full(10, 155.0)])
    np.testing.assert_allclose(well_edges(values, (100.0, 200.0), BOUNDS, "m", "e"), [0.0, 127.5, 600.0])


def test_a_well_that_nothing_reached_is_told():
    with pytest.raises(UserError, match=r"events: states.method: found wells, but no write ended in well 1 \(300 m\)"):
        well_edges(np.array([100.0, 101.0, 500.0]), (100.0, 300.0, 500.0), BOUNDS, "m", "events")


@pytest.mark.parametrize(
    ("wells", "changes", "words"),
    [
        ([], {"states.method": "wells"}, "states.method: found 'wells', allowed for domain_wall: nearest_mean"),
        (
            [1e-7, 3e-7],
            {"states.method": "wells", "states.count": 5},
            "states.count: found 5, allowed: 2, the number of",
        ),
        ([1e-7, 3e-7], {"states.method": "device"}, "allowed for domain_wall: nearest_mean, .*, wells"),
    ],
)
def test_only_a_device_that_states_its_wells_has_them(wells, changes, words):
    means = {**WALL["writes"], "states": {**WALL["writes"]["states"], "wells_m": wells}}
    config = stage({"states.count": None, **changes})
    with pytest.raises(UserError, match=words) as error:
        simulated.check("domain_wall", Writes.parse(means, "device.json", "writes"), config, 5, "study.yaml")
    assert "\n" not in str(error.value)
    fitting = stage({"states.method": "wells", "states.count": None})
    if wells:
        simulated.check("domain_wall", Writes.parse(means, "device.json", "writes"), fitting, 5, "study.yaml")


def test_a_card_of_wells_has_the_transitions_that_were_written(tmp_path):
    """Walls in four wells, stepping by one up or down but where there is none; one in ten stays."""
    true = np.array([120e-9, 230e-9, 360e-9, 470e-9])
    begin, pulse, replica = np.indices((4, 2, 40)).reshape(3, -1)
    step = np.where(replica % 10 == 0, 0, np.where(pulse == 0, 1, -1))
    end = np.clip(begin + step, 0, 3)
    rng = generator(3, "settled")
    before, after = (true[state] + rng.normal(0, 2e-9, len(state)) for state in (begin, end))
    study = walking(tmp_path, **{"states.method": "wells", "states.count": None, "posterior.pseudocount": 0.5})
    study.events = pd.DataFrame(
        {
            "pulse": pulse, "instance": replica % 4, "replica": np.arange(len(pulse)), "start_position_m": before,
            "final_position_m": after, "wall_state": "single", "spec_hash": HASH,
        }
    )  # fmt: skip
    # by design they are evenly spaced, which puts a border on none of the true midpoints
    study.device["writes"]["states"]["wells_m"] = [120e-9, 240e-9, 360e-9, 480e-9]
    card = study.card()
    assert card.meta.states.method == "wells" and len(card.states) == 4
    # the mean of 80 writes of sd 2 nm: 1.2 nm is five standard errors
    np.testing.assert_allclose(card.states["position_m"], true, rtol=0, atol=1.2e-9)
    np.testing.assert_allclose(
        card.states["position_high_m"].to_numpy()[:-1], (true[1:] + true[:-1]) / 2, rtol=0, atol=1.5e-9
    )
    counts = card.transitions["count"].to_numpy().reshape(2, 4, 4)
    for up, target in ((0, [1, 2, 3, 3]), (1, [0, 0, 1, 2])):
        for state, goal in enumerate(target):
            expected = np.zeros(4, int)
            expected[state] += 4
            expected[goal] += 36
            np.testing.assert_array_equal(counts[up, state], expected)
