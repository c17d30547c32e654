import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from calibration.card.meta import Posterior
from calibration.counting.estimator import posterior
from calibration.tools.planner import LEAST_WIDTH, check_plan, half_width, plan, render, sweep
from spinloom.errors import UserError
from tests.calibration.conftest import meta_with
from tests.calibration.test_sample import make_card, replaced

SECTION = {"sweep": {"instances": 6, "replicas_per_instance": 20, "replicas_per_chunk": None, "replicas": []}}


PULSES = pd.DataFrame({"pulse": [0, 1], "voltage_V": [0.5, -0.5], "duration_s": 1e-9, "polarity": 1})


def begun(*starts):
    """Return writes from start positions in m that begin, on average, 5 nm further on."""
    nominal = np.repeat(starts, 2)
    return pd.DataFrame({"nominal_start_m": nominal, "start_position_m": nominal + np.tile([4e-9, 6e-9], len(starts))})


def empty_row(card, pulse, state):
    table = card.transitions.copy()
    own = (table["pulse"] == pulse) & (table["state_from"] == state)
    table.loc[own, ["count", "effective_count"]] = 0
    table.loc[own, ["probability", "ci_low", "ci_high"]] = [[p, 0.0, 1.0] for p in np.eye(3)[state]]
    table.loc[own, "basis"] = "assumed"
    return replaced(card, transitions=table.astype({"count": "int64"}))


def test_half_width_by_hand():
    beta = stats.beta(0.3 * 50, 0.7 * 50)
    expected = (beta.ppf(0.95) - beta.ppf(0.05)) / 2
    assert half_width(np.array([0.3, 0.7]), 50.0, 0.9) == pytest.approx(expected, abs=0, rel=1e-9)
    assert half_width(np.array([0.0, 1.0]), 50.0, 0.9) == 0


def test_the_needed_writes_give_the_wanted_width():
    card = make_card()
    table = plan(card, 0.05)
    assert list(table["pulse"]) == [0, 1] and list(table["state_from"]) == [0, 0]  # rows repeat
    assert list(table["advice"]) == ["replicas", "replicas"] and list(table["writes"]) == [120, 120]
    for row in table.itertuples():
        mean = card.kernel[row.pulse, 0]
        # one posterior with that many writes in the same shares
        counts = mean * (row.independent_writes_needed + 1.5) - 0.5
        _, low, high = posterior(np.maximum(counts, 1e-9)[None], 0.5, 0.95)
        assert (high - low).max() / 2 == pytest.approx(0.05, abs=1e-4)
        assert row.more_writes == np.ceil(row.independent_writes_needed) - 120
        assert row.more_replicas == np.ceil(row.more_writes / 6)
        assert 0.0499 < row.half_width_after <= 0.05 < row.half_width


def test_a_plan_carried_out_gives_what_it_predicted():
    # shares of new writes differ from those of the old ones: the width near 0.05 moves by a few percent
    card = make_card()
    table = plan(card, 0.05)
    more = int(table["more_replicas"].max())
    again = plan(make_card(writes=20 + more), 0.05)
    np.testing.assert_allclose(again["half_width"], 0.05, rtol=0.15)
    assert (again["more_writes"] < 0.3 * table["more_writes"]).all()


def test_halving_the_intervals_takes_four_times_the_writes():
    """The prior's pseudocounts count among them: (N + 1.5) becomes four times that, but for the tails' shape."""
    card = make_card()
    table = plan(card, np.nan, narrow=2.0)
    assert (table["independent_writes_needed"] + 1.5).to_numpy() == pytest.approx(4 * 121.5, abs=0, rel=0.02)
    np.testing.assert_allclose(table["half_width_after"], table["half_width"] / 2, rtol=0.01)
    for wrong in (1.0, 0.5, 1e9):
        with pytest.raises(UserError, match="plan: narrow: found .*, allowed: more than 1"):
            plan(card, 0.05, narrow=wrong)


def test_a_row_that_is_known_well_enough_needs_nothing():
    table = plan(make_card(), 0.2)
    assert (table["advice"] == "enough").all() and not table[
        ["more_writes", "more_replicas", "more_instances"]
    ].any().any()


def test_devices_that_differ_need_more_devices():
    # 120 writes to 6 devices worth 12: rho = 9/19, so the 6 devices are never worth more than 6 / rho = 12.7
    card = make_card(pooling="instances")
    scaled = card.transitions.assign(effective_count=card.transitions["count"] / 10)
    table = plan(replaced(card, transitions=scaled), 0.1)
    assert (table["advice"] == "instances").all() and table["more_replicas"].isna().all()
    # as many writes to each new device: the needed independent writes are 2 per device
    np.testing.assert_array_equal(table["more_instances"], np.ceil(table["independent_writes_needed"] / 2 - 1e-9) - 6)
    assert (table["half_width_after"] <= 0.1).all()


def test_devices_that_differ_little_still_need_replicas():
    card = make_card(pooling="instances")
    scaled = card.transitions.assign(effective_count=card.transitions["count"] / 1.2)
    row = plan(replaced(card, transitions=scaled), 0.08).iloc[0]
    rho = 0.2 / 19
    total = row["writes"] + row["more_writes"]
    assert row["advice"] == "replicas"
    assert total / (1 + (total / 6 - 1) * rho) >= row["independent_writes_needed"]
    assert (total - 1) / (1 + ((total - 1) / 6 - 1) * rho) < row["independent_writes_needed"]


def test_a_row_without_writes_asks_for_a_start():
    table = plan(empty_row(make_card(reset=False), 1, 2), 0.1)
    row = table[(table["pulse"] == 1) & (table["state_from"] == 2)].iloc[0]
    assert row["advice"] == "start" and row["writes"] == 0 and row["share"] == 0 and row["more_writes"] > 10
    assert row["half_width"] > 0.4  # nothing is known, whatever the card assumes
    assert len(table) == 6


@pytest.mark.parametrize("width", [0.0, 0.5, -1.0, 1e-9, 1e-300])
def test_impossible_widths_are_refused(width):
    with pytest.raises(UserError, match="plan: width: found .*, allowed: a half-width from 0.0001 to less than 0.5"):
        plan(make_card(), width)


def test_a_card_without_counts_is_refused():
    card = make_card()
    table = card.transitions.assign(count=0, effective_count=0.0, basis="given")
    meta = card.meta.model_copy(update={"posterior": Posterior()})
    for own in (card.meta, meta):
        with pytest.raises(UserError, match="card test: this card has no counted writes; nothing to plan"):
            plan(replaced(card, transitions=table, meta=own), 0.1)


def test_the_least_width_can_be_planned():
    table = plan(make_card(), LEAST_WIDTH)
    assert (table["independent_writes_needed"] > 1e6).all()
    np.testing.assert_allclose(table["half_width_after"], LEAST_WIDTH, rtol=1e-3)


@pytest.mark.parametrize("pooling", ["events", "instances"])
def test_a_sweep_that_no_study_can_have_names_a_width_that_would_do(pooling):
    card = make_card(pooling=pooling)
    if pooling == "instances":
        # so unlike that only devices help
        card = replaced(card, transitions=card.transitions.assign(effective_count=card.transitions["count"] / 20))
    key, width = ("instances", 0.001) if pooling == "instances" else ("replicas_per_instance", 0.0004)
    with pytest.raises(
        UserError, match=f"device_sims.sweep.{key}: found a need of .*, allowed: 100000 at most"
    ) as error:
        sweep(plan(card, width), card, SECTION, PULSES)
    would_do = float(re.search(r"a half-width of ([0-9.e-]+) would do", str(error.value))[1])
    assert width < would_do < 4 * width
    change = sweep(plan(card, would_do), card, SECTION, PULSES)["device_sims"]["sweep"]
    found = [entry["replicas_per_instance"] for entry in change.get("replicas", [])] + [change.get("instances", 0)]
    assert 40_000 < max(found) <= 100_000


@pytest.mark.parametrize("kind", ["measured", "library", "parametric"])
def test_no_sweep_is_written_for_a_device_that_was_not_simulated(kind):
    card = make_card()
    other = replaced(card, meta=meta_with(card, source={"kind": kind}))
    with pytest.raises(UserError, match=f"card test: source.kind: found {kind}, allowed for a sweep: simulated"):
        sweep(plan(other, 0.1), other, SECTION, PULSES)
    check_plan(card)


def test_sweep_raises_the_replicas_of_the_pulses_that_need_them():
    card = make_card(kernel=[[0.5, 0.4, 0.1], [0.01, 0.01, 0.98]])
    table = plan(card, 0.07)
    assert list(table["advice"]) == ["replicas", "enough"]
    change = sweep(table, card, SECTION, PULSES)
    # the pulses differ by their voltage alone; 33 replicas in blocks of the 20 that are finished
    assert 20 + int(table["more_replicas"][0]) == 33
    entry = {"voltage_V": 0.5, "replicas_per_instance": 40}
    assert change == {"device_sims": {"sweep": {"replicas": [entry], "replicas_per_chunk": 20}}}


def test_sweep_rounds_up_to_blocks_and_keeps_older_entries():
    card = make_card(kernel=[[0.5, 0.4, 0.1], [0.01, 0.01, 0.98]])
    table = plan(card, 0.07)
    old = {"voltage_V": 0.5, "replicas_per_instance": 30}
    section = {"sweep": {**SECTION["sweep"], "replicas_per_chunk": 8, "replicas": [old]}}
    entries = sweep(table, card, section, PULSES)["device_sims"]["sweep"]["replicas"]
    wanted = 8 * int(np.ceil((30 + table["more_replicas"][0]) / 8))
    assert entries == [old, {"voltage_V": 0.5, "replicas_per_instance": wanted}]


def test_sweep_names_a_direction_where_it_tells_pulses_apart():
    pulses = pd.DataFrame({"pulse": [0, 1], "direction": ["P_to_AP", "AP_to_P"], "voltage_V": 0.5, "duration_s": 1e-9})
    card = make_card()
    entries = sweep(plan(card, 0.05), card, SECTION, pulses)["device_sims"]["sweep"]["replicas"]
    assert [entry["direction"] for entry in entries] == ["AP_to_P", "P_to_AP"] and "voltage_V" not in entries[0]


def test_sweep_writes_from_the_starts_that_lead_into_the_state():
    card = empty_row(make_card(reset=False, writes=100), 1, 2)
    # 395 nm is in state 1 and its writes begin, 5 nm on, in state 1 still; 397 nm begins in state 2
    started = begun(50e-9, 395e-9, 397e-9, 500e-9)
    table = plan(card, 0.06)
    change = sweep(table, card, SECTION, PULSES, started)["device_sims"]["sweep"]
    row = table[table["advice"] == "start"].iloc[0]
    entries = [
        entry for entry in change["replicas"] if entry["voltage_V"] == -0.5 and entry["nominal_start_m"] > 300e-9
    ]
    own = [entry for entry in entries if entry["nominal_start_m"] > 396e-9]
    assert [entry["nominal_start_m"] for entry in own] == [397e-9, 500e-9]
    # two starts of 6 devices share the writes
    assert all(entry["replicas_per_instance"] == 20 + np.ceil(row["more_writes"] / 12) for entry in own)


def test_sweep_without_a_start_in_the_state_says_so():
    card = empty_row(make_card(reset=False), 1, 2)
    with pytest.raises(UserError, match="pulse 1, state 2: found no start position whose writes begin there"):
        sweep(plan(card, 0.1), card, SECTION, PULSES, begun(50e-9, 250e-9))


def test_sweep_raises_the_devices():
    card = make_card(pooling="instances")
    card = replaced(card, transitions=card.transitions.assign(effective_count=card.transitions["count"] / 10))
    table = plan(card, 0.1)
    change = sweep(table, card, SECTION, PULSES)
    assert change == {"device_sims": {"sweep": {"instances": 6 + int(table["more_instances"].max())}}}


def test_sweep_of_a_good_card_is_empty():
    card = make_card()
    assert sweep(plan(card, 0.2), card, SECTION, PULSES) == {"device_sims": {"sweep": {}}}


def test_replicas_are_per_start():
    card = make_card(reset=False)
    one, three = plan(card, 0.1), plan(card, 0.1, 3)
    # 20 replicas of 3 starts are 60 writes to each device
    np.testing.assert_array_equal(three["more_replicas"], np.ceil(three["more_writes"] * 20 / three["writes"]))
    assert (one["more_replicas"] >= three["more_replicas"]).all()


def test_a_plan_is_printed():
    text = io.StringIO()
    render(plan(make_card(), 0.05), make_card(), "intervals of half-width 0.05", Console(file=text, width=200))
    assert "replicas" in text.getvalue() and "0 of 2 rows are known well enough." in text.getvalue()
