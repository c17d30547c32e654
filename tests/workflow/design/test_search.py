"""The search itself: better than chance, the same for the same seed, the same after an interruption; and its parts."""

import itertools
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks import design as benchmark
from benchmarks.design import Stage
from spinloom.errors import UserError
from workflow.design import chooser, fidelities, fronts, surrogate, tables
from workflow.design.config import FULL
from workflow.design.ending import fresh_seed
from workflow.design.objectives import Measured


def tried(search):
    return [(trial.values, trial.told, trial.labels) for trial in search.trials]


def test_hypervolume_is_the_volume_of_the_union():
    """Against points by chance in the unit cube: 5 standard errors."""
    random = np.random.default_rng(5)
    for objectives in (1, 2, 3):
        values = random.random((12, objectives))
        inside = (random.random((40_000, 1, objectives)) < values).all(axis=-1).any(axis=1).mean()
        found = fronts.hypervolume(values, np.zeros(objectives))
        assert abs(found - inside) < 5 * np.sqrt(inside * (1 - inside) / 40_000)
    assert fronts.hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.zeros(2)) == 3.0
    assert fronts.hypervolume(np.array([[-1.0, 2.0]]), np.zeros(2)) == 0.0


def test_ranks_and_the_promising():
    values = np.array([[1, 4], [2, 3], [2, 2], [4, 1], [1, 1], [2, 3]])
    assert fronts.ranks(values).tolist() == [0, 0, 1, 0, 2, 0]
    assert fronts.promising(values, 2) == [0, 3]  # the ends first
    assert fronts.spread(np.array([[0, 10], [1, 9], [5, 5], [10, 0]]), 3) == [0, 2, 3]


def test_a_search_finds_more_than_three_times_as_many_points_by_chance(search):
    """All of it is deterministic; docs/design.md has the counts over ten seeds of three problems."""
    found = search(points=48)
    found.run()
    assert benchmark.volume(found) > benchmark.by_chance(1, 144, 1, 3)


# PyTorch is not among the packages of the tests: with it, these run too
GAUSSIAN = pytest.param("gp", marks=pytest.mark.skipif(find_spec("torch") is None, reason="needs PyTorch"))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random", GAUSSIAN])
def test_the_same_seed_chooses_the_same_points(search, sampler):
    one, again, other = (search(seed=seed, sampler=sampler, points=20) for seed in (1, 1, 2))
    for each in (one, again, other):
        each.run()
    assert tried(one) == tried(again) != tried(other)
    assert len(one.trials) == 20 and one.trials[-1].generation == 2


class Killed(Stage):
    """Ends the run at its ``calls``-th generation."""

    calls = 2

    def make(self, points):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        super().make(points)


@pytest.mark.long
def test_a_killed_search_goes_on_to_the_same_front(search, tmp_path):
    whole = search()
    whole.run()
    stage = Killed(1, 3)
    killed = search(stage)
    with pytest.raises(KeyboardInterrupt):
        killed.run(lambda: killed.chooser.keep(None, tmp_path))
    assert len(killed.trials) == 16
    stage.calls = 100
    again = search(stage)
    again.run(lambda: again.chooser.keep(None, tmp_path))
    assert tried(again) == tried(whole) and [one.number for one in again.front()] == [
        one.number for one in whole.front()
    ]
    for name, table in tables.of(again, []).items():
        pd.testing.assert_frame_equal(table, tables.of(whole, [])[name], check_exact=True)
    study = again.chooser.optuna.load_study(study_name="zdt", storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    assert len(study.trials) == 24
    kept = sorted(trial.user_attrs["point"] for trial in study.best_trials)
    assert kept == sorted(trial.labels[FULL] for trial in again.front())


class Faulty(Stage):
    """Fails where x0 is large."""

    def measured(self, label):
        return "the training loss is not finite" if self.points[label][0] > 0.5 else super().measured(label)


def test_points_that_fail_are_told_and_passed_over(search):
    lines = []
    found = search(Faulty(1, 3), points=16)
    found.say = lines.append
    found.run()
    failed = [trial for trial in found.trials if trial.reason]
    assert 0 < len(failed) < 16 and all(not trial.told for trial in failed)
    assert "failed (the training loss is not finite)" in "".join(lines)
    table = tables.trials(found)
    assert table["failed"].notna().sum() == len(failed) and not table["front"][table["failed"].notna()].any()


class Level(Stage):
    """Has one objective that never varies."""

    def measured(self, label):
        return [Measured(0.5), super().measured(label)[1]]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", GAUSSIAN])
def test_a_search_finds_the_corner_that_constraints_leave(search, sampler):
    """About one point in a hundred keeps the constraint, and the better points lie far from it."""
    found = search(constraints=["x0 + x1 > 1.85"], sampler=sampler, generation=4)
    found.run()
    assert len(found.trials) == 24
    assert all(trial.values["x0"] + trial.values["x1"] > 1.85 for trial in found.trials)
    again = search(constraints=["x0 + x1 > 1.85"], sampler=sampler, generation=4)
    again.run()
    assert [trial.values for trial in again.trials] == [trial.values for trial in found.trials]


def test_a_point_that_cannot_be_is_approached(search):
    asks = search(constraints=["x0 + x1 > 1.5"]).chooser
    wanted = {"x0": 0.5, "x1": 0.5, "x2": 0.3}
    near, chance = (asks._drawn(7, place) for place in (wanted, None))
    assert near["x0"] + near["x1"] > 1.5 and chance["x0"] + chance["x1"] > 1.5
    # the closest is (0.75, 0.75, 0.3); about 250 points are left, a typical one of them 0.1 from its neighbour
    assert max(abs(near["x0"] - 0.75), abs(near["x1"] - 0.75), abs(near["x2"] - 0.3)) < 0.2


def test_what_gaussian_processes_ask_for_is_approached_at_once(search, monkeypatch):
    """With a sampler in their place that always asks for the same point, as they do, and no PyTorch."""
    threads = []
    monkeypatch.setattr(chooser, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=threads.append))
    asks = search(constraints=["x0 + x1 > 1.5"], sampler="gp").chooser
    place = {"x0": 0.5, "x1": 0.5, "x2": 0.3}
    samplers = asks.optuna.samplers
    monkeypatch.setattr(asks, "_sampler", lambda number: samplers.PartialFixedSampler(place, samplers.RandomSampler()))
    found = asks.ask().values
    assert asks.refused == 1 and threads == [1]
    assert max(abs(found["x0"] - 0.75), abs(found["x1"] - 0.75), abs(found["x2"] - 0.3)) < 0.2


def test_gaussian_processes_need_a_package(search, monkeypatch):
    monkeypatch.setattr(chooser, "find_spec", lambda name: None)
    message = "^design.sampler: found gp, which needs PyTorch, allowed: .*pip install torch`, or tpe, nsga2, random$"
    with pytest.raises(UserError, match=message):
        search(sampler="gp")


def test_an_objective_that_never_varies_is_one_line(search):
    with pytest.raises(
        UserError, match="objectives.0.quantity: found validation_accuracy = 0.5 in all 8 points, allowed"
    ):
        search(Level(1, 3)).run()


def test_bounds_decide_who_is_on_the_front(search):
    wanted = [{"quantity": "validation_accuracy", "at_least": 0.6}, {"quantity": "training_energy_J_device"}]
    found = search(objectives=wanted, points=40)
    found.run()
    front = found.front()
    assert front and all(trial.told[0] >= 0.6 for trial in front)
    free = search()
    free.run()
    assert any(trial.told[0] < 0.6 for trial in free.front())
    # looked for where it is allowed: by chance 40 % would be
    assert np.mean([trial.told[0] >= 0.6 for trial in found.trials[16:]]) > 0.6


class Cheap(Stage):
    """Is off by noise of a given size, or worth nothing, at the fidelity that changes the epochs."""

    def __init__(self, off):
        super().__init__(1, 3)
        self.off, self.levels, self.dear = off, {}, 0

    def make(self, points):
        super().make(points)
        for label, changes in points.items():
            self.levels[label] = "epochs" in changes["network"]
            self.dear += not self.levels[label]

    def measured(self, label):
        accuracy, energy = super().measured(label)
        if not self.levels[label]:
            return [accuracy, energy]
        random = np.random.default_rng(int(label[:8], 16))
        shift = self.off * random.normal(size=2)
        return [Measured(0.5 * accuracy.mean + shift[0]), Measured(energy.mean * 10 ** (1 + 10 * shift[1]))]


def test_cheap_points_are_promoted_by_what_they_are_worth(search):
    design = {"fidelities": {"short": {"network": {"epochs": 1}}}, "points": 40}
    good, useless = (search(Cheap(off), **design) for off in (0.0, 10.0))
    for each in (good, useless):
        each.run()
    assert good.maker.dear < 25 < useless.maker.dear == 40
    made = [trial.full for trial in good.trials]
    assert all(made[:8]) and sum(made[8:]) <= 4 * 3  # a quarter, and one by chance, of each later generation
    table = tables.correlations(good)
    assert (table["spearman"] == 1).all() and (table["points"] == good.maker.dear).all()
    assert (tables.correlations(useless)["spearman_low"] < 0.4).all()
    # what a cheap point says is brought to the scale of the dear one
    for trial in good.trials[16:]:
        np.testing.assert_allclose(
            trial.told, [one.mean for one in Stage.measured(good.maker, trial.labels["short"])], rtol=1e-6
        )


def test_rank_correlation_has_an_interval_that_covers():
    """Normal pairs with Pearson's r = 0.8, so rho = 6/pi asin(r/2); 80 % intervals, 400 draws: 4.5 standard errors."""
    truth, random = 6 / np.pi * np.arcsin(0.4), np.random.default_rng(8)
    hits = 0
    for _ in range(400):
        a, b = random.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 20).T
        found = fidelities.agreement(a, b)
        hits += found.low < truth < found.high
    assert abs(hits / 400 - 0.8) < 4.5 * np.sqrt(0.8 * 0.2 / 400)
    assert np.isnan(fidelities.agreement(np.ones(9), np.arange(9.0)).rho)
    assert fidelities.share(np.zeros((3, 2)), np.zeros((3, 2))) == 1.0


def test_sensitivities_are_those_of_a_known_function(search):
    """Of 4 x0 + x1 with uniform x the indices are 16/17 and 1/17, and 0 for what does not take part."""
    space = search().space
    random = np.random.default_rng(2)
    points = [space.drawn(random) for _ in range(40)]
    y = np.array([4 * values["x0"] + values["x1"] for values in points])
    found = surrogate.fit(space, points, y, np.zeros(40), 1)
    assert found.r2 > 0.99
    own = surrogate.sobol(found, 1)
    np.testing.assert_allclose(own.first, [16 / 17, 1 / 17, 0], atol=0.05)
    np.testing.assert_allclose(own.total, [16 / 17, 1 / 17, 0], atol=0.05)
    again = surrogate.sobol(surrogate.fit(space, points, y, np.zeros(40), 1), 1)
    np.testing.assert_array_equal(own, again)  # to the bit, the intervals too
    assert np.max(own.first_half) < 0.02
    noisy = surrogate.fit(space, points, random.normal(size=40), np.ones(40), 1)
    assert noisy.r2 < 0.3  # noise is not predicted, and the page says so


def test_the_tables_of_a_search(search):
    found = search()
    found.run()
    made = tables.of(found, [])
    assert list(made) == list(tables.NAMES)
    volume = made["hypervolume"]["hypervolume"].to_numpy()
    assert np.all(np.diff(volume) > -1e-12) and 0 < volume[-1] <= 1
    assert made["trials"]["front"].sum() == len(found.front())
    for name, goal in itertools.product(found.space.variables, found.goals):
        rows = made["curves"][(made["curves"]["variable"] == name) & (made["curves"]["objective"] == goal.name)]
        assert len(rows) == surrogate.STEPS
    centre = tables.chosen(found)
    own = made["curves"][(made["curves"]["variable"] == "x0") & (made["curves"]["objective"] == found.goals[0].name)]
    # f1 is linear in x0: along the knob the fit follows it
    assert stats.pearsonr(own["value"].astype(float), own["predicted"]).statistic < -0.99
    assert own["predicted"].iloc[0] == pytest.approx(1, abs=0.1) and centre.number == made["curves"]["number"].iloc[0]
    assert set(made["robustness"]["variable"]) == set(found.space.variables)


def test_what_is_made_again_has_another_seed():
    assert fresh_seed(1) != 1 and fresh_seed(1) != fresh_seed(2) and 0 <= fresh_seed(2**40) < 2**53


def test_the_objective_that_is_ranked_worst_says_how_many_go_on():
    """One objective ranked alike by both fidelities, one by chance: all go on, in whatever order the two stand."""
    dear = np.linspace(0, 1, 20)
    shuffled = np.random.default_rng(2).permutation(dear)
    same, both = np.stack([dear, dear], axis=1), np.stack([dear, shuffled], axis=1)
    assert fidelities.share(same, same) == fidelities.LEAST_SHARE
    assert fidelities.share(both, same) > 0.9
    assert fidelities.share(both[:, ::-1], same) > 0.9
