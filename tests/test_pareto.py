"""The front, by hand and by its definition."""

import numpy as np

from spinloom.pareto import front


def test_of_equal_costs_the_better_and_of_equal_values_the_cheaper():
    cost, value = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([0.8, 0.9, 0.95, 0.95, 0.99])
    assert front(cost, value) == [0, 2, 4]
    assert front(cost[::-1], value[::-1]) == [4, 2, 0]  # by rising cost, whatever the order


def test_equals_do_not_beat_each_other():
    assert front([1.0, 1.0, 2.0], [0.5, 0.5, 0.5]) == [0, 1]
    assert front([], []) == []


def test_who_is_beaten_is_beaten_by_one_of_the_front():
    cost, value = np.random.default_rng(1).integers(0, 12, (2, 200)).astype(float)
    found = front(cost, value)
    for place in range(200):
        beats = [i for i in range(200) if cost[i] <= cost[place] and value[i] >= value[place]
                 and (cost[i], value[i]) != (cost[place], value[place])]  # fmt: skip
        assert (place in found) == (not beats) and (not beats or set(beats) & set(found))
    assert np.all(np.diff(cost[found]) >= 0)
