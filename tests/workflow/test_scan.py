"""Points of a scan: which studies they are, and what is refused."""

import io

import pandas as pd
import pytest
import yaml

from spinloom.errors import UserError
from workflow.study import axes, config, planning, scan

STATES = {"key": "calibration.states.count", "values": [2, 3]}
LIBRARY = {"calibration": {"source": {"kind": "library", "name": "sot_mtj_80nm_a"}}}


def points(*axes, **layer):
    return scan.points("config.yaml", {"study": "s", **layer, "scan": {"axes": list(axes)}})


def test_no_scan_no_points():
    assert scan.points("config.yaml", {}) == [] and config.load("config.yaml")["scan"] is None


def test_every_combination_is_a_complete_study():
    margin = {"name": "margin", "points": {"tight": {"network": {"rule_options": {"margin": 0.1}}}, "wide": None}}
    found = points(STATES, margin, network={"rule_options": {"margin": 0.5}, "epochs": 2})
    assert [point.name for point in found] == [
        "count=2,margin=tight", "count=2,margin=wide", "count=3,margin=tight", "count=3,margin=wide",
    ]  # fmt: skip
    assert found[1].labels == {"count": "2", "margin": "wide"}
    values = [
        (p.config["calibration"]["states"]["count"], p.config["network"]["rule_options"]["margin"]) for p in found
    ]
    assert values == [(2, 0.1), (2, 0.5), (3, 0.1), (3, 0.5)]
    assert all(p.config["network"]["epochs"] == 2 and p.config["scan"] is None for p in found)


def test_lists_are_told_apart_by_their_signs():
    axis = {"key": "a.b", "name": None, "points": None, "values": [[-1.0], [1.0], [0, -1]]}
    assert list(axes.axis_entries(0, axis)[1]) == ["-1.0", "1.0", "0--1"]


def test_null_and_switches_have_names_that_stay_in_a_table():
    axis = {"key": "a.b", "name": None, "points": None, "values": [1, None, True, False]}
    labels = list(axes.axis_entries(0, axis)[1])
    assert labels == ["1", "none", "true", "false"]
    assert pd.read_csv(io.StringIO("\n".join(["label", *labels])))["label"].tolist() == labels


def test_points_differ_in_their_axes_alone():
    low, high = (p.config for p in points({"key": "network.epochs", "values": [3, 4]}))
    assert low["network"].pop("epochs") == 3 and high["network"].pop("epochs") == 4
    assert low == high


def test_sections_of_another_config_lie_underneath(tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"study": "o", "seed": 5, "network": {"epochs": 7, "batch_size": 20}, **LIBRARY}))
    take = {"from": str(other), "take": ["calibration"]}
    (both,) = points({"name": "of", "points": {"a": {"from": str(other)}}}, network={"epochs": 2})
    assert (both.config["network"]["epochs"], both.config["network"]["batch_size"]) == (2, 20)
    assert both.config["calibration"]["source"]["name"] == "sot_mtj_80nm_a" and both.config["seed"] == 20211107
    (card,) = points({"name": "of", "points": {"a": take}})
    assert card.config["network"]["epochs"] == 10 and card.config["calibration"]["source"]["name"] == "sot_mtj_80nm_a"
    assert not planning.plan(card.config).simulates


@pytest.mark.parametrize(
    "axes, message",
    [
        ([{"key": "network.epochs"}], "scan.axes.0: found key, allowed: key with values, or points"),
        ([{"name": "x", "points": {"a": {}}, "values": [1]}], "allowed: key with values, or points"),
        ([{"points": {"a": {}}}], "scan.axes.0.name: found null, allowed for an axis with points: a name"),
        ([{"key": "network.epochs", "values": [1, 1]}], "scan.axes.0.values: found 1 a second time"),
        ([STATES, STATES], "scan.axes: found the name count a second time"),
        ([{"name": "../x", "points": {"a": {}}}], "scan.axes.0: found '../x', allowed as a name"),
        ([{"name": "x", "points": {"a": {"from": "no/such.yaml"}}}], "no/such.yaml: cannot be read"),
        ([{"name": "x", "points": {"a": {"from": "config.yaml", "take": ["study"]}}}], "take: found study, allowed"),
        ([{"key": "network.epochz", "values": [1]}], "point epochz=1: .*did you mean 'epochs'"),
        ([{"key": "network.epochs", "values": [-1]}], "point epochs=-1: .*epochs: found -1, allowed: at least 0"),
        ([{"name": "a", "points": {"b": {"network": None}}}], "point a=b: network: found null, allowed in a scan"),
        ([{"key": f"network.{k}", "values": list(range(1, 50))} for k in ("epochs", "batch_size", "seeds")],
         "scan.axes: found 117649 points, allowed: at most 2000"),
        ([], "scan.axes: found \\[\\], allowed: at least 1 entries"),
    ],
)  # fmt: skip
def test_what_is_refused(axes, message):
    with pytest.raises(UserError, match=message) as error:
        points(*axes)
    assert "\n" not in str(error.value)


def test_a_value_that_is_no_file_name_gets_one():
    (point,) = points({"key": "network.layers", "values": [["28x28x1", 10]]})
    assert point.name == "layers=28x28x1-10"
