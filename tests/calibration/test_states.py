import numpy as np
import pandas as pd
import pytest

from calibration import assign_states, state_edges
from spinloom.errors import UserError
from spinloom.streams import generator

LENGTH = 600.0


def frame(*positions_of_pulse):
    return pd.DataFrame(
        [(pulse, x) for pulse, positions in enumerate(positions_of_pulse) for x in positions],
        columns=["pulse", "final_position_m"],
    )


def test_nearest_mean_edges_lie_midway_whatever_the_order_of_pulses():
    events = frame([390, 410], [90, 110], [190, 210])
    np.testing.assert_allclose(state_edges(events, "nearest_mean", 3, LENGTH), [0, 150, 300, 600])


def test_nearest_mean_assigns_the_pulse_with_the_nearest_mean():
    means = np.array([100.0, 170.0, 400.0])
    events = frame(*([mean - 5, mean + 5] for mean in means))
    x = generator(1, "positions").uniform(0, LENGTH, 500)
    nearest = np.abs(x[:, None] - means).argmin(axis=1)
    np.testing.assert_array_equal(assign_states(x, state_edges(events, "nearest_mean", 3, LENGTH)), nearest)


def test_equal_width_divides_the_range_that_was_reached():
    np.testing.assert_allclose(state_edges(frame([100, 130, 500]), "equal_width", 4, LENGTH), [0, 200, 300, 400, 600])


def test_equal_population_gives_each_state_as_many_events():
    events = frame(*(generator(2, "x", pulse).exponential(50, 40) for pulse in range(3)))
    edges = state_edges(events, "equal_population", 5, LENGTH)
    np.testing.assert_array_equal(np.bincount(assign_states(events["final_position_m"].to_numpy(), edges)), [24] * 5)


def test_every_position_has_a_state_and_an_edge_belongs_to_the_lower_one():
    edges = np.array([0.0, 100, 200, 600])
    np.testing.assert_array_equal(assign_states(np.array([0.0, 100, 100.1, 200, 600]), edges), [0, 0, 1, 1, 2])


@pytest.mark.parametrize(
    ("events", "method", "count", "words"),
    [
        (frame([1, 2], [3, 4]), "nearest_mean", 3, "states.count is 3 but there are 2 pulses"),
        (frame([100, 200], [140, 160]), "nearest_mean", 2, "pulse means coincide"),
        (frame([150, 150], [150, 150]), "equal_width", 3, "edges coincide"),
        (frame([150, 150], [150, 150]), "equal_population", 3, "edges coincide"),
        (frame([100, 200]), "equal_width", 1, "allowed is 2 or more"),
        (frame([100, 200]), "by_eye", 2, "allowed are nearest_mean, equal_width, equal_population"),
    ],
)
def test_positions_that_cannot_carry_the_states_are_refused(events, method, count, words):
    with pytest.raises(UserError, match=words) as error:
        state_edges(events, method, count, LENGTH, "study.json")
    assert str(error.value).startswith("study.json: states.")
