"""One problem on several engines: what is compared, the intervals, engines that are not there."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import betainc

from device_sims import __main__ as cli
from device_sims import engines
from device_sims.single import engines_compared
from device_sims.validation import run as validation
from spinloom.errors import UserError
from tests import plugins
from tests.device_sims.test_problem_file import SMALL, write
from tests.device_sims.test_run import Fake, tree


class Other(Fake):
    """As `Fake`, with mx off by 0.01 from the second record on."""

    def run(self, problems):
        for result in super().run(problems):
            result.m[1:, 0] += np.float32(0.01)
            yield result


@pytest.fixture
def two(monkeypatch):
    made = {}
    for name, kind in (("fake", Fake), ("other", Other)):
        made[name] = plugins.add(monkeypatch, engines.REGISTRY, name, kind())
        made[name].VERSION = name
    plugins.add(monkeypatch, engines.REGISTRY, "absent", None)
    return made


def test_differences_of_two_engines_through_the_command_line(tmp_path, two, monkeypatch, capsys):
    path, out = write(tmp_path, SMALL), tmp_path / "out"
    arguments = ["device_sims", "compare", str(path), "--engines", "fake,absent,other", "--output", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    cli.main()
    said = capsys.readouterr().out
    assert "left out: absent cannot run here: its module cannot be imported" in said and "max_difference" in said
    summary = pd.read_csv(out / "summary.csv").set_index("quantity")
    assert set(summary["engine"]) == {"other"} == set(summary["engine_version"])
    assert summary.loc["mx", "max_difference"] == pytest.approx(0.01, abs=1e-6)
    assert summary.loc["my", "max_difference"] == 0 and summary.loc["energy_total_J", "max_difference"] == 0
    assert summary.loc["mx", "t_s"] > 0
    long = pd.read_csv(out / "comparison.csv")
    assert set(long["engine"]) == {"fake", "other"} and {"wall_position_m", "mz"} <= set(long["quantity"])
    # each engine's run is one of `run`: nothing is done again, and the tables come out the same
    before = tree(out)
    monkeypatch.setattr(engines_compared, "_draw", lambda *_: None)  # 1.5 s
    assert {"fake/table.csv", "other/table.csv", "comparison.png"} <= set(before)
    cli.main()
    assert tree(out) == before and [len(engine.started) for engine in two.values()] == [1, 1]


def test_without_names_who_cannot_do_the_problem_is_left_out(tmp_path, two, monkeypatch, capsys):
    picky = type(sys)("picky")
    picky.VERSION, picky.run, picky.probe = "1", Fake().run, lambda: (True, "")

    def check(problem):
        raise UserError("numerics.precision: found float64, allowed with picky: float32")

    picky.check = check
    plugins.add(monkeypatch, engines.REGISTRY, "picky", picky)
    monkeypatch.setattr(engines.REGISTRY, "names", lambda: ["picky", "fake", "other"])
    path = write(tmp_path, SMALL)
    summary = engines_compared.compare(path, None, tmp_path / "out")
    assert set(summary["reference"]) == {"fake"} and set(summary["engine"]) == {"other"}
    said = capsys.readouterr().out
    assert "left out: picky cannot do this problem:" in said and "allowed with picky: float32" in said
    with pytest.raises(UserError, match="allowed with picky: float32"):  # asked for by name
        engines_compared.compare(path, ["fake", "picky"], tmp_path / "named")
    assert not (tmp_path / "named").exists()


def test_ensembles_of_two_engines(tmp_path, two):
    path = write(tmp_path, {**SMALL, "temperature_K": 300})
    summary = engines_compared.compare(path, ["fake", "other"], tmp_path / "out", 16)
    rows = summary.set_index(["quantity", "engine"])
    # the same noise, shifted by 0.01: same spread, and means that are five of their errors apart
    assert rows.loc[("mx sd", "fake"), "value"] == pytest.approx(rows.loc[("mx sd", "other"), "value"], rel=1e-4, abs=0)
    assert rows.loc[("mx sd", "other"), "overlaps"] and not rows.loc[("mx mean", "other"), "overlaps"]
    assert rows.loc[("my mean", "other"), "overlaps"]
    assert "switched" not in set(summary["quantity"])  # the wall starts in the middle, there is no side to switch from
    long = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert (long["replicas"] <= 16).all() and (long[long["quantity"] == "mz"]["replicas"] == 16).all()


def test_what_cannot_be_compared_is_refused(tmp_path, two):
    path, out = write(tmp_path, SMALL), tmp_path / "out"
    with pytest.raises(UserError, match="--engines: found 1 of 2 that can run this problem here, allowed: two or more"):
        engines_compared.compare(path, ["fake", "absent"], out)
    with pytest.raises(UserError, match="--engines: found mumx3, allowed: absent, collective, "):
        engines_compared.compare(path, ["fake", "mumx3"], out)
    with pytest.raises(UserError, match="--engines: found fake, fake, allowed: each engine once"):
        engines_compared.compare(path, ["fake", "fake"], out)
    hot = write(tmp_path, {**SMALL, "temperature_K": 300}, "hot.yaml")
    with pytest.raises(UserError, match="--replicas: found 1 at 300 K, allowed: 2 or more"):
        engines_compared.compare(hot, ["fake", "other"], out)
    unfit = write(tmp_path, {**SMALL, "numerics": {"dt_s": 5e-13}}, "unfit.yaml")
    with pytest.raises(UserError, match="unfit.yaml: numerics.dt_s: found 5e-13"):
        engines_compared.compare(unfit, ["fake", "llg"], out)
    assert not out.exists()
    with pytest.raises(UserError, match="--raw: found with engine fake, allowed: only with mumax3, oommf"):
        engines_compared.run(path, "fake", out, raw=tmp_path / "raw")


def test_other_engines_validate_what_they_can(tmp_path, two):
    with pytest.raises(UserError, match="--only: found 'analytic', allowed with --engine fake: oommf, mumax3"):
        validation.validate(tmp_path, ["analytic"], engine="fake")
    with pytest.raises(UserError, match="--engine: absent cannot run here"):
        validation.validate(tmp_path, ["oommf"], engine="absent")


def test_intervals_hold_what_they_promise():
    """Each covers the truth in 95 % of 400 samples; fewer than 364 or more than 395 have probability 6e-4 in all."""
    rng = np.random.default_rng(8)
    samples = rng.normal(2.0, 3.0, (400, 24))
    for interval, truth in ((engines_compared.mean_interval, 2.0), (engines_compared.sd_interval, 3.0)):
        bounds = np.array([interval(sample)[1:] for sample in samples])
        assert 364 <= ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).sum() <= 395
    # Jeffreys' interval of 3 in 20 cuts 2.5 % off Beta(3.5, 17.5) on each side, and nothing where all are alike
    assert betainc(3.5, 17.5, engines_compared.share_interval(3, 20)) == pytest.approx([0.025, 0.975], abs=1e-9)
    assert engines_compared.share_interval(0, 64)[0] == 0.0 and engines_compared.share_interval(64, 64)[1] == 1.0
