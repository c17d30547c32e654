"""A study of a measured device that names no learning rule has one that can use the device."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow.study import config

ROOT = Path(__file__).parents[2]
LTP = {"kind": "import", "file": str(ROOT / "docs/examples/import/ltp_ltd.csv")}
WALL = config.load(ROOT / "config.yaml")


def study(source: dict, **sections) -> dict:
    return config.laid_over(ROOT / "config.yaml", {"calibration": {"source": source}, **sections})


def test_a_device_moved_in_steps_has_states_and_a_rule_of_its_own():
    made = study(LTP)  # the format is that of the file
    assert made["calibration"]["states"]["method"] == "auto" and made["calibration"]["states"]["count"] is None
    assert made["network"]["rule"] == "stochastic_coincidence" and made["network"]["rule_options"] == {"pair": True}
    assert made["network"]["batch_size"] == 1


def test_what_the_study_says_stands():
    made = study(LTP, network={"epochs": 7, "dataset": "digits", "validation_images": 100})
    assert (made["network"]["epochs"], made["network"]["rule"]) == (7, "stochastic_coincidence")
    named = {"rule": "train_then_deploy", "rule_options": {"tolerance": 0.05}}
    made = study(LTP, network=named)
    assert made["network"]["rule"] == "train_then_deploy"
    assert made["network"]["batch_size"] == WALL["network"]["batch_size"]
    given = config.laid_over(
        ROOT / "config.yaml", {"calibration": {"source": LTP, "states": {"method": "lattice", "count": 20}}}
    )
    assert given["calibration"]["states"]["count"] == 20
    assert study(LTP, network=None)["network"] is None


@pytest.mark.parametrize("format, rule", [("switching", "outer_product_probability"), ("events", None)])
def test_the_rule_follows_from_what_the_format_tells(format, rule):
    file = str(ROOT / "docs/examples/import" / f"{format}.csv")
    options = {"conductance_low_S": 1e-5, "conductance_high_S": 2e-5} if format == "switching" else {}
    made = study({"kind": "import", "file": file, "format": format, "options": options})
    assert made["network"]["rule"] == (rule or WALL["network"]["rule"])


def test_other_studies_stay_as_they_are(tmp_path):
    assert config.laid_over(ROOT / "config.yaml", {}) == WALL
    # a study that is a whole config says all that it wants
    whole = tmp_path / "whole.yaml"
    text = (ROOT / "config.yaml").read_text().replace("kind: simulation", f"kind: import, file: {LTP['file']}")
    whole.write_text(text)
    assert config.load(whole)["network"]["rule"] == WALL["network"]["rule"]
