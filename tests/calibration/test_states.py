import numpy as np
import pytest
from scipy import stats

from calibration.counting.states import assign_states, check, longest_chain, resolved, state_edges
from calibration.sections import States
from spinloom.errors import UserError
from spinloom.streams import generator

BOUNDS = (0.0, 600.0)


def frame(*values_of_pulse):
    """Return values and pulse of writes given pulse by pulse."""
    sizes = [len(values) for values in values_of_pulse]
    return np.concatenate(values_of_pulse).astype(float), np.repeat(np.arange(len(sizes)), sizes)


def edges_of(values_and_pulse, bounds=BOUNDS, unit="m", **options):
    return state_edges(*values_and_pulse, States(**({"method": "nearest_mean"} | options)), bounds, unit, "study.json")


def clusters(means, sd, writes, name="clusters"):
    return frame(*(generator(1, name, pulse).normal(mean, sd, writes) for pulse, mean in enumerate(means)))


def test_nearest_mean_edges_lie_midway_whatever_the_order_of_pulses():
    np.testing.assert_allclose(edges_of(frame([390, 410], [90, 110], [190, 210]), count=3), [0, 150, 300, 600])


def test_nearest_mean_assigns_the_pulse_with_the_nearest_mean():
    means = np.array([100.0, 170.0, 400.0])
    edges = edges_of(frame(*([mean - 5, mean + 5] for mean in means)), count=3)
    x = generator(1, "positions").uniform(*BOUNDS, 500)
    np.testing.assert_array_equal(assign_states(x, edges), np.abs(x[:, None] - means).argmin(axis=1))


def test_nearest_mean_without_a_count_keeps_the_pulses_that_can_be_told_apart():
    # sd 10: neighbours need 2.33 * 20 = 46.5; 100, 130 | 200, 220 | 300 leave three
    edges = edges_of(frame(*([m - 10, m, m + 10] for m in (100, 130, 200, 220, 300))))
    np.testing.assert_allclose(edges, [0, 150, 250, 600])


def test_equal_width_divides_the_range_that_was_reached():
    np.testing.assert_allclose(edges_of(frame([100, 130, 500]), method="equal_width", count=4), [0, 200, 300, 400, 600])


def test_equal_population_gives_each_state_as_many_writes():
    values, pulse = frame(*(generator(2, "x", pulse).exponential(50, 40) for pulse in range(3)))
    edges = edges_of((values, pulse), method="equal_population", count=5)
    np.testing.assert_array_equal(np.bincount(assign_states(values, edges)), [24] * 5)


def test_equal_width_without_a_count_is_the_finest_that_can_be_told_apart():
    # each pulse -s, 0, +s has sd s = 1, and writes fill 99..401: parts of 302 / 64 = 4.72 hold 2 * 2.326, 302 / 65 do
    # not; at 0.001 % it is 8.63 of 2 * 4.265 with 35 parts
    data = frame(*([m - 1, m, m + 1] for m in np.arange(100, 400.01, 0.05)))
    assert len(edges_of(data, method="equal_width")) - 1 == 64
    assert len(edges_of(data, method="equal_width", misread=1e-5)) - 1 == 35


def test_equal_population_without_a_count_parts_the_clusters():
    edges = edges_of(clusters([100, 200, 300], 5, 60), method="equal_population")
    assert len(edges) == 4
    assert 115 < edges[1] < 185 and 215 < edges[2] < 285


def test_mixture_edge_is_where_the_components_are_equally_probable():
    # 2000 + 500 writes, N(200, 20) and N(300, 20): midway plus sd^2 ln(w1 / w2) / distance = 255.5
    values = np.concatenate(
        [
            200 + 20 * stats.norm.ppf((np.arange(2000) + 0.5) / 2000),
            300 + 20 * stats.norm.ppf((np.arange(500) + 0.5) / 500),
        ]
    )
    edges = edges_of((values, np.zeros(2500, int)), method="mixture", count=2)
    np.testing.assert_allclose(edges[1], 250 + 400 * np.log(4) / 100, atol=1.0)


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_mixture_finds_how_many_clusters_there_are_in_any_unit(scale):
    values, pulse = clusters([100, 220, 330, 480], 12, 150)
    edges = edges_of((scale * values, pulse), bounds=(0, 600 * scale), method="mixture")
    np.testing.assert_allclose(edges / scale, [0, 160, 275, 405, 600], atol=8)


def test_mixture_merges_clusters_that_one_read_cannot_tell_apart():
    # 3.3 sd apart: two components to the criterion, but either crosses any threshold in 5 % of its writes
    values, pulse = clusters([100, 140, 400], 12, 400)
    assert len(edges_of((values, pulse), method="mixture")) == 3
    assert len(edges_of((values, pulse), method="mixture", misread=0.1)) == 4


@pytest.mark.parametrize("method", ["nearest_mean", "equal_width", "equal_population", "mixture"])
def test_the_order_of_the_writes_does_not_matter(method):
    values, pulse = clusters([100, 220, 330], 12, 40)
    order = generator(3, "order").permutation(len(values))
    first, other = (edges_of(data, method=method) for data in ((values, pulse), (values[order], pulse[order])))
    np.testing.assert_array_equal(first, other)


def test_given_edges_may_be_the_inner_ones_or_all():
    data = frame([100, 500])
    for edges in ([200.0, 400.0], [0.0, 200.0, 400.0, 600.0]):
        np.testing.assert_array_equal(edges_of(data, method="edges", edges=edges), [0, 200, 400, 600])


def test_lattice_divides_all_that_the_device_can_have():
    np.testing.assert_allclose(edges_of(frame([100, 101]), method="lattice", count=4), [0, 150, 300, 450, 600])


def test_every_value_has_a_state_and_an_edge_belongs_to_the_lower_one():
    edges = np.array([0.0, 100, 200, 600])
    np.testing.assert_array_equal(assign_states(np.array([-1.0, 0, 100, 100.1, 200, 601]), edges), [0, 0, 0, 1, 1, 2])


def test_longest_chain_prefers_number_to_nearness():
    # the wide second state would stand between two others
    mean, sd = np.array([0.0, 5, 10, 20]), np.array([1.0, 6, 1, 1])
    np.testing.assert_array_equal(longest_chain(mean, sd, 2.0), [0, 2, 3])


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (frame([1, 2], [3, 4]), {"count": 3}, "states.count: found 3 with 2 pulses, allowed: 2"),
        (frame([100, 200], [140, 160]), {"count": 2}, "pulse means coincide"),
        (frame([100, 200], [140, 170]), {}, "no two pulses can be told apart"),
        (frame([150, 150], [150, 150]), {"method": "equal_width", "count": 3}, "edges coincide"),
        (frame([150, 150], [150, 150]), {"method": "equal_population", "count": 3}, "edges coincide"),
        (frame([100, 200, 300, 400]), {"method": "equal_width"}, "no two parts of 100, 400 m"),
        (frame([150, 150], [150, 150]), {"method": "mixture", "count": 2}, "mixture with one value only, 150 m"),
        (frame([1, 2]), {"method": "edges", "edges": [400.0, 200.0]}, "states.edges: found 400, 200 m"),
        (frame([1, 2]), {"method": "edges", "edges": [200.0, 700.0]}, "between 0, 600 m"),
        (frame([1, 2]), {"method": "edges", "edges": [0.0, 600.0]}, "one or more inner edges"),
        (frame([1, 2]), {"method": "edges", "edges": [200.0], "count": 3}, "found 1 inner edges, allowed: 2"),
        (frame([1, 2]), {"method": "edges"}, "states.edges: found null, allowed: a list of edges"),
        (frame([1, 2]), {"method": "lattice"}, "states.count: found null, allowed: 2..1024 (states.method lattice)"),
    ],
)
def test_values_that_cannot_carry_the_states_are_refused(data, options, words):
    with pytest.raises(UserError) as error:
        edges_of(data, **options)
    assert str(error.value).startswith("study.json: states.") and words in str(error.value)


def test_a_mixture_refuses_a_component_within_another():
    # a narrow cluster on a wide one: there is no edge between them
    shares = (np.arange(900) + 0.5) / 900
    values = np.concatenate([300 + 5 * stats.norm.ppf(shares), 305 + 60 * stats.norm.ppf(shares[4::9])])
    with pytest.raises(UserError, match=r"states.count: found 2 but two components of the mixture lie within each"):
        edges_of((values, np.zeros(1000, int)), method="mixture", count=2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 4}, "calibration.states.count: found 4, allowed: 5, the number of pulses"),
        ({"method": "lattice"}, "states.count: found null, allowed: 2..1024"),
        ({"method": "edges"}, "states.edges: found null, allowed: a list of edges"),
        ({"edges": [1.0]}, "states.edges: found edges, allowed: null"),
    ],
)
def test_entries_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(UserError) as error:
        check(States(**({"method": "nearest_mean"} | options)), 5)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "edges", "edges": []}, "states.edges: found \\[\\], allowed: at least 1 entries"),
        ({"count": 1}, "states.count: found 1, allowed: at least 2"),
        ({"method": "lattice", "count": 1025}, "states.count: found 1025, allowed: at most 1024"),
        ({"misread": 0.5}, "states.misread: found 0.5, allowed: less than 0.5"),
        ({"method": "by_eye"}, "states.method: found by_eye, allowed: device, nearest_mean"),
    ],
)
def test_entries_outside_of_their_range_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        States.parse({"method": "nearest_mean"} | options, "study.json", "states")


def test_entries_that_agree_are_accepted():
    for options in ({"count": 5}, {}, {"method": "device"}, {"method": "edges", "edges": [1.0]}, {"method": "mixture"}):
        check(States(**({"method": "nearest_mean"} | options)), 5)


def test_auto_takes_levels_where_values_leave_gaps():
    values = np.repeat([1e-5, 2e-5, 4e-5], 40) + 1e-7 * generator(1, "levels").standard_normal(120)
    found = resolved(States(method="auto"), values, False)
    assert found.method == "edges" and found.edges == pytest.approx((1.5e-5, 3e-5), rel=0.05, abs=0)
    even = generator(1, "even").uniform(1e-5, 4e-5, 300)
    assert resolved(States(method="auto"), even, False) == States(method="lattice", count=16)
    assert resolved(States(method="auto", count=9), values, False) == States(method="lattice", count=9)
    assert resolved(States(method="auto"), values, True).method == "nearest_mean"
    assert resolved(States(method="mixture"), values, False) == States(method="mixture")
