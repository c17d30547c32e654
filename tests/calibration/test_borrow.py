"""Sparse rows borrow from their neighbours and from the fitted step. All seeds are fixed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calibration.counting import estimator
from calibration.counting.states import assign_states
from calibration.counting.writes import Writes
from calibration.measurement import kernel
from calibration.measurement.borrow import beside_written, borrowed
from calibration.measurement.step_model import Steps
from calibration.sections import Posterior

from .conftest import Study


def test_sparse_rows_borrow_from_the_others():
    """14 writes a row over 32 states: the total variation falls to less than a quarter, and far jumps vanish."""
    rng = np.random.default_rng(0)
    size, count = 32, 14 * 32
    before = rng.uniform(0, 1, count)
    after = np.clip(before + 0.1 * (1.2 - before) + 0.04 * rng.standard_normal(count), 0, 1)
    edges = np.linspace(0, 1, size + 1)
    start, stop = assign_states(before, edges), assign_states(after, edges)
    events = pd.DataFrame({"pulse": 0, "instance": 0, "replica": range(count), "before": before, "after": after})
    pulses = pd.DataFrame({"pulse": [0]})
    flags = {"reset_before_write": False}
    writes = Writes("w", events, pulses, "position_m", (0.0, 1.0), np.asarray, flags, {"kind": "simulated"}, "f")
    pulse = np.zeros(count, dtype=np.int64)
    rows = estimator.transition_rows(pulse, start, stop, pulse, 1, size, Posterior(), "f")
    own = borrowed(writes, rows, edges, Posterior(), 0)
    middle = (edges[1:] + edges[:-1]) / 2
    steps = Steps(middle, 0.1 * (1.2 - middle)[None], np.full((1, size), 0.04), -np.inf, np.inf, 0.0)
    truth = kernel.in_intervals(steps, edges)[0]

    def error(found):
        return 0.5 * np.abs(found.probability[0] - truth).sum(axis=1).mean()

    assert error(own) < 0.25 * error(rows)
    assert (own.ci_low <= own.probability).all() and (own.probability <= own.ci_high).all()
    covered = (own.ci_low[0] <= truth) & (truth <= own.ci_high[0])
    assert covered[truth > 0.01].mean() > 0.8


def test_rows_after_a_reset_have_the_mean_and_spread_of_their_writes():
    """32 writes over 32 bins, in which a prior of half a write a bin triples the spread."""
    rng = np.random.default_rng(0)
    after = 220e-9 + 54e-9 * rng.standard_normal(32)
    events = pd.DataFrame({"pulse": 0, "instance": 0, "replica": range(32), "before": np.nan, "after": after})
    flags = {"reset_before_write": True, "volatile": False, "destructive_read": False}
    pulses = pd.DataFrame({"pulse": [0]})
    writes = Writes("w", events, pulses, "position_m", (0.0, 600e-9), np.asarray, flags, {"kind": "simulated"}, "f")
    edges = np.linspace(0, 600e-9, 33)
    none = np.zeros(32, dtype=np.int64)
    rows = estimator.transition_rows(none, none, assign_states(after, edges), none, 1, 32, Posterior(), "f")
    own = borrowed(writes, rows, edges, Posterior(), 0).probability[0, 0]
    middle = (edges[1:] + edges[:-1]) / 2
    mean = own @ middle
    assert mean == pytest.approx(after.mean(), abs=5e-9)
    assert np.sqrt(own @ middle**2 - mean**2) == pytest.approx(after.std(), rel=0.15, abs=0)


def test_a_lattice_borrows_unless_the_config_says_otherwise(tmp_path):
    spread = []
    for borrow in (None, True, False):
        study = Study(tmp_path / str(borrow))
        card = study.card(states__method="lattice", states__count=32, posterior__borrow=borrow)
        middle, row = card.states["position_m"].to_numpy(), card.kernel[:, 0]
        spread.append(np.sqrt(row @ middle**2 - (row @ middle) ** 2))
    assert spread[0] == pytest.approx(spread[1], abs=1e-15)
    assert (spread[0] < 0.7 * spread[2]).all()


def test_a_row_that_nobody_wrote_borrows_from_those_beside_it_and_no_further():
    rng = np.random.default_rng(1)
    before = rng.uniform(0.1, 0.9, 600)
    before = before[(before < 0.5) | (before > 0.55)]  # one state of 20 without writes
    after = np.clip(before + 0.1 + 0.03 * rng.standard_normal(len(before)), 0, 1)
    events = pd.DataFrame({"pulse": 0, "instance": 0, "replica": range(len(before)), "before": before, "after": after})
    flags = {"reset_before_write": False}
    writes = Writes("w", events, pd.DataFrame({"pulse": [0]}), "x", (0.0, 1.0), np.asarray, flags, {}, "f")
    edges, none = np.linspace(0, 1, 21), np.zeros(len(before), dtype=np.int64)
    start, stop = assign_states(before, edges), assign_states(after, edges)
    rows = estimator.transition_rows(none, start, stop, none, 1, 20, Posterior(), "f")
    beside = beside_written(rows)[0]
    assert beside[10] and beside[[0, 1, 18, 19]].all() and beside.sum() == 5
    own = borrowed(writes, rows, edges, Posterior(), 0)
    middle = (edges[1:] + edges[:-1]) / 2
    assert own.probability[0, 10] @ middle - middle[10] == pytest.approx(0.1, abs=0.01)
    assert own.effective.sum(axis=-1)[0, 10] < own.effective.sum(axis=-1)[0, 5]
