import io

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from calibration.sources import library
from calibration.tools.compare_cards import compare, conductances, holm, render
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.calibration.conftest import meta_with
from tests.calibration.test_sample import make_card, replaced

OTHER = [[0.5, 0.4, 0.1], [0.1, 0.3, 0.6]]


def shown(a, b):
    text = io.StringIO()
    render(compare(a, b), Console(file=text, width=200))
    return text.getvalue()


def test_a_card_is_like_itself():
    card = make_card()
    found = compare(card, card)
    assert found["same_tables"] and found["alike"] and found["largest_total_variation"] == 0
    np.testing.assert_allclose(found["rows"]["p_value"], 1)
    assert (found["states"]["t"] == 0).all() and (found["derived"]["ratio"] == 1).all()
    assert "tables of the two cards are the same" in shown(card, card)


def test_homogeneity_is_the_chi_square_test_of_the_counts():
    a, b = make_card(seed=1), make_card(seed=2)
    found = compare(a, b)["rows"]
    assert list(found["pulse_a"]) == [0, 1]  # rows repeat
    for row in found.itertuples():
        counts = [c.transitions["count"].to_numpy().reshape(2, 3, 3)[row.pulse_a, 0] for c in (a, b)]
        expected = stats.chi2_contingency(counts, correction=False)
        assert row.statistic == pytest.approx(expected.statistic, abs=0, rel=1e-12)
        assert row.p_value == pytest.approx(expected.pvalue, abs=0, rel=1e-12) and row.dof == 2


def counted(card, counts):
    """Return the card with the counts int64[pulses, states] in every row of a pulse."""
    rows = np.repeat(counts, 3, axis=0).ravel()
    return replaced(card, transitions=card.transitions.assign(count=rows, effective_count=rows.astype(float)))


def test_false_alarms_and_power():
    # 60 pairs of one device at level 5 %: 3 expected, 12 or more for 1 right seed in 25,000. The other device differs
    # in pulse 0 by a total variation of 0.2 with 120 writes: chi-square of noncentrality 10.2, found in 74 % or more;
    # below 30 of 60 for 1 right seed in 10,000
    card, kernel = make_card(), np.array([[0.7, 0.25, 0.05], [0.1, 0.3, 0.6]])
    alarms = hits = first = 0
    for study in range(60):
        rng = generator(1, "compare", study)
        one, same, other = (counted(card, rng.multinomial(120, p)) for p in (kernel, kernel, np.array(OTHER)))
        alarms += not compare(one, same)["alike"]
        found = compare(one, other)
        hits += not found["alike"]
        first += found["rows"]["p_holm"][0] < 0.05
    assert alarms < 12 and hits >= 30 and first >= 30


def test_effective_counts_weaken_the_test():
    a, b = make_card(seed=1), make_card(seed=1, kernel=OTHER, name="other")
    plain = compare(a, b)["rows"]
    weak = replaced(b, transitions=b.transitions.assign(effective_count=b.transitions["count"] / 4))
    np.testing.assert_allclose(compare(a, weak)["rows"]["statistic"], plain["statistic"] / 4)
    assert (compare(a, weak)["rows"]["p_value"] > plain["p_value"]).all()


def test_few_writes_are_tested_by_permutation():
    # 5 writes each, (4, 1, 0) and (0, 2, 3): the probability of a table at least as far off by exact enumeration
    a, b = make_card(seed=1, writes=5, instances=1), make_card(seed=2, writes=5, instances=1)
    counts = np.array([[4, 1, 0], [0, 2, 3]])
    found = compare(*(counted(card, np.tile(row, (2, 1))) for card, row in zip((a, b), counts)))["rows"]
    total, expected = counts.sum(axis=0), counts.sum(axis=0) / 2

    def square(x):
        return (2 * (x - expected) ** 2 / expected).sum()

    tables = [np.array([i, j, 5 - i - j]) for i in range(6) for j in range(6 - i) if (total >= [i, j, 5 - i - j]).all()]
    chance = [stats.multivariate_hypergeom.pmf(x, total, 5) for x in tables]
    exact = sum(p for p, x in zip(chance, tables) if square(x) >= square(counts[0]) - 1e-9)
    # 9999 permutations: 4.5 standard errors
    assert abs(found["p_value"][0] - exact) < 4.5 * np.sqrt(exact * (1 - exact) / 9999) + 1e-4


def test_conductances_are_compared_in_their_standard_errors():
    a = make_card(seed=1)
    b = replaced(a, states=a.states.assign(conductance_S=a.states["conductance_S"] + [0, 1e-6, 0]))
    found = compare(a, b)["states"]
    error = a.states["conductance_sd_S"][1] * np.sqrt(2 / a.states["count"][1])
    np.testing.assert_allclose(found["t"], [0, 1e-6 / error, 0])
    p_value = stats.t(2 * (a.states["count"][1] - 1)).sf(1e-6 / error)
    assert found["p_holm"][1] == pytest.approx(min(1, 3 * 2 * p_value), abs=1e-15)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_conductances_of_few_writes_give_few_false_alarms(count):
    # one device, 3 states, 400 pairs at 5 %: 60 of 1200 expected, 90 or more for 1 right seed in 7000
    card, alarms = make_card(), 0
    for study in range(400):
        both = []
        for name in "ab":
            values = generator(1, "few", count, study, name).normal(1e-5, 1e-6, (3, count))
            told = {"conductance_S": values.mean(axis=1), "conductance_sd_S": values.std(axis=1, ddof=1)}
            both.append(replaced(card, states=card.states.assign(count=count, **told)))
        alarms += int((conductances(*both)["p_value"] < 0.05).sum())
    assert alarms < 90


def test_unequal_spreads_have_welchs_degrees_of_freedom():
    a = make_card(seed=1)
    values = [generator(2, "welch", name).normal(1e-5, sd, n) for name, sd, n in (("a", 1e-6, 4), ("b", 5e-6, 9))]
    cards = [
        replaced(a, states=a.states.assign(conductance_S=x.mean(), conductance_sd_S=x.std(ddof=1), count=len(x)))
        for x in values
    ]
    expected = stats.ttest_ind(values[1], values[0], equal_var=False)
    row = compare(*cards)["states"].iloc[1]
    np.testing.assert_allclose(
        [row["t"], row["dof"], row["p_value"]], [expected.statistic, expected.df, expected.pvalue]
    )


def test_bins_of_a_lattice_conduct_what_they_do():
    a = make_card()
    lattice = replaced(a, meta=meta_with(a, states={"method": "lattice"}))
    other = replaced(lattice, states=a.states.assign(conductance_S=a.states["conductance_S"] * 1.001))
    assert compare(lattice, other)["states"]["p_holm"].isna().all()


def test_the_verdict_says_whom_it_holds_for():
    a, b = make_card(seed=1), make_card(seed=2)
    assert "The counts of the devices that were written do not differ" in shown(a, b)
    assert "pooling instances" not in shown(a, b)
    differ = replaced(b, meta=meta_with(b, spread={"p_value": 0.01}))
    found = compare(a, differ)
    assert found["of_devices"] and found["devices_differ"]
    assert "make both cards with posterior.pooling instances to test the kinds" in shown(a, differ)
    wafers = [make_card(seed=seed, pooling="instances") for seed in (1, 2)]
    assert "The counts do not differ" in shown(*wafers)


def test_spreads_of_probabilities_tell_that_devices_differ():
    a = make_card(seed=1)

    def card(*lows):
        rows = [{"pulse": 0, "state_from": 0, "sd": 0.1, "sd_se": 0.1, "interval": [low, 0.3]} for low in lows]
        return replaced(a, meta=meta_with(a, probability_spread=rows))

    assert compare(a, card(0.05, 0.01))["devices_differ"]
    # one in 40 intervals of alike devices lies above 0: one of 10 is none too many (p = 0.22)
    assert not compare(a, card(0.01, *[0.0] * 9))["devices_differ"]


def test_states_by_nature_match_by_their_names():
    with pytest.raises(UserError, match="compare: found no pulse of pbit in telegraph_smtj, and other states"):
        compare(library.card("pbit"), library.card("telegraph_smtj"))
    junctions = library.card("sot_mtj_80nm_a"), library.card("sot_mtj_80nm_b")
    assert compare(*junctions)["same_states"]


def test_total_variation_and_figures():
    a, b = make_card(seed=1), make_card(seed=1, kernel=OTHER, name="other")
    found = compare(a, b)
    expected = np.abs(a.kernel[0, 0] - b.kernel[0, 0]).sum() / 2
    assert found["rows"]["total_variation"][0] == pytest.approx(expected, abs=1e-15)
    figures = found["derived"].set_index("figure")
    assert figures.loc["conductance_ratio", "ratio"] == 1 and "spread: cycle_to_cycle_sd_S" in figures.index
    assert "pulse 1: energy_mean_J" in figures.index and "state 2: occupancy" in figures.index


def test_pulses_match_by_their_drive_whatever_their_number():
    a = make_card(seed=1)
    pulses, rows = a.pulses.copy(), a.transitions.copy()
    pulses["pulse"], rows["pulse"] = 1 - pulses["pulse"], 1 - rows["pulse"]
    b = replaced(a, pulses=pulses, transitions=rows).validate()
    found = compare(a, b)
    assert list(found["pulses"]["pulse_b"]) == [1, 0]
    assert found["largest_total_variation"] == 0 and found["alike"]


def test_pulses_that_one_card_lacks_are_named():
    a = make_card(seed=1)
    b = replaced(a, pulses=a.pulses.assign(voltage_V=[0.5, -0.7]))
    found = compare(a, b)
    assert found["only_a"] == [1] and found["only_b"] == [1] and len(found["rows"]) == 1
    assert "pulses of a alone: 1" in shown(a, b)


def test_other_states_leave_pulses_and_figures():
    a = make_card(seed=1)
    meta = meta_with(a, states={"edges": [0.0, 100e-9, 400e-9, 600e-9]})
    found = compare(a, replaced(a, meta=meta))
    assert found["rows"].empty and found["states"].empty and found["alike"] is None
    assert "pulse 0: latency_s" in list(found["derived"]["figure"])
    assert "the states differ" in shown(a, replaced(a, meta=meta))


def test_rows_that_no_counts_speak_for_are_not_tested():
    a = make_card(seed=1)
    law = replaced(a, transitions=a.transitions.assign(basis="law"))
    found = compare(a, law)
    assert found["alike"] is None and found["rows"]["p_value"].isna().all()
    assert found["largest_total_variation"] == 0
    assert "no test is possible" in shown(a, replaced(law, pulses=a.pulses.assign(energy_mean_J=1e-15)))


def test_cards_that_have_nothing_in_common_are_refused():
    a = make_card(seed=1)
    meta = meta_with(a, states={"edges": [0.0, 100e-9, 400e-9, 600e-9]})
    b = replaced(a, meta=meta, pulses=a.pulses.assign(duration_s=2e-9))
    with pytest.raises(UserError, match="compare: found no pulse of test in test, and other states"):
        compare(a, b)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.04 times 3, 2, 1, and never falling; what was not tested does not count
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, np.nan, 0.02])), [0.04, 0.03, np.nan, 0.04])
    assert np.isnan(holm(np.array([np.nan]))).all()
