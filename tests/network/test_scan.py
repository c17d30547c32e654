"""The points of a scan side by side, on studies made for the test."""

import json

import pandas as pd
import pytest

from network.__main__ import main
from network.results import scan_table
from spinloom.errors import UserError
from spinloom.files import read_table
from tests.network.conftest import contents, make_card

POINTS = {f"count={n},rule={rule}": {"count": n, "rule": rule} for n in ("2", "10") for rule in ("a", "b")}


@pytest.fixture
def studies(tmp_path):
    """Write what a scan reads of four finished points with two variants each."""
    for number, name in enumerate(POINTS):
        summary, costs = [], []
        for variant, rule in (("x", "bop"), ("float_baseline", "float_baseline")):
            for selection, shift in (("last", 0.0), ("validation_selected", 0.5)):
                row = dict.fromkeys(scan_table.COPIED, 1.0)
                accuracy = {"test_accuracy_mean": 0.8 + number / 100 + shift, "test_accuracy_sd": 0.01, "seeds": 2}
                summary.append({"variant": variant, "selection": selection, **row, **accuracy, "rule": rule})
            for phase in ("training", "inference"):
                for power, level in enumerate(("device", "array", "system")):
                    none = rule == "float_baseline" and level != "system"
                    value = 0.0 if none else 1e-12 * 10**power * (number + 1)
                    row = (phase, level, value, value / 50, 1e-6, 1e-8, 1e12, "ideal ADC, not charged")
                    costs += [(variant, "own", *row), (variant, "int8 streamed", *row)]
        folder = tmp_path / name / "network" / "summary"
        folder.mkdir(parents=True)
        pd.DataFrame(summary).to_csv(folder / "summary.csv", index=False)
        columns = ["variant", "chip", "phase", "level", "energy_J_mean", "energy_J_sd", "time_s", "area_m2"]
        columns += ["operations_per_J", "lacks"]
        pd.DataFrame(costs, columns=columns).to_csv(folder / "costs.csv", index=False)
        make_card().write(tmp_path / name / "calibration" / "card")
    return tmp_path


def test_the_table_has_each_point_with_its_labels(studies):
    table = scan_table.collect(POINTS, studies)
    assert list(table.columns)[:4] == ["point", "axis_count", "axis_rule", "variant"]
    assert table["point"].tolist() == [name for name in POINTS for _ in range(2)]
    third = table[(table["point"] == "count=10,rule=a") & (table["variant"] == "x")].iloc[0]
    assert (third["axis_count"], third["axis_rule"], third["rule"], third["states"]) == ("10", "a", "bop", 5)
    assert third["test_accuracy_mean"] == pytest.approx(0.82, abs=1e-12)  # of the last epoch
    assert third["training_energy_J_array"] == pytest.approx(3e-11, abs=0, rel=1e-12)
    assert (third["inference_time_s"], third["area_m2"]) == (1e-6, 1e-8)
    assert third["costs_lack"] == "ideal ADC, not charged"
    assert third["training_energy_sd_J_array"] == pytest.approx(6e-13, abs=0, rel=1e-12)
    assert len(third["card_sha256"]) == 64 and third["writes_behind_card"] == 0


def test_a_data_set_of_the_users_is_named_at_its_point(studies):
    first, *others = POINTS
    path = studies / first / "network" / "summary" / "summary.csv"
    pd.read_csv(path).assign(data="a.csv (SHA-256 12ab)").to_csv(path, index=False)
    told = scan_table.collect(POINTS, studies).groupby("point")["data"].first()
    assert told[first] == "a.csv (SHA-256 12ab)" and told[others].isna().all()


def test_the_command_writes_the_table(studies, tmp_path):
    config = tmp_path / "scan.json"
    config.write_text(json.dumps(POINTS))
    for name in ("one", "two"):
        out = tmp_path / name
        main(["scan", "--config", str(config), "--studies", str(studies), "--output", str(out / "scan.csv")])
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == {"scan.csv", "scan.csv.sha256"}
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "one" / "scan.csv").astype({"axis_count": str}),
        scan_table.collect(POINTS, studies),
        rtol=0,
    )


def test_a_point_that_has_not_run_is_named(studies):
    with pytest.raises(UserError, match="count=3"):
        scan_table.collect({"count=3": {"count": "3"}}, studies)


@pytest.mark.parametrize("points", [[1], {"count=3": [3]}, None])
def test_a_file_without_labels_is_refused(tmp_path, points):
    config = tmp_path / "scan.json"
    config.write_text(json.dumps(points))
    with pytest.raises(
        UserError, match=f"{config}: found no points, allowed: a mapping from the name of each point to its labels"
    ):
        main(["scan", "--config", str(config), "--studies", str(tmp_path), "--output", str(tmp_path / "scan.csv")])
