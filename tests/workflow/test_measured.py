"""A study of a measured device that names no learning rule has one that can use the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.config import Stage
from calibration.sources import build, library
from network.training import settings
from network.training.card import suits
from spinloom.config import section as study_section
from spinloom.errors import UserError
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


def test_a_learning_rate_that_nobody_chose_is_looked_for():
    made = study(LTP)
    assert made["network"]["tune"]["trials"] == 6
    assert all(one.tunes for one in settings.check_all(study_section(made, "network")))  # the float baseline too
    assert study(LTP, network={"rule": "train_then_deploy"})["network"]["tune"]["trials"] == 6
    assert study(LTP, network={"tune": {"trials": 0}})["network"]["tune"]["trials"] == 0
    for own in ({"optimizer": {"learning_rate": 0.1}}, {"variants": {"a": {"optimizer": {"learning_rate": 0.1}}}}):
        assert "tune" not in study(LTP, network=own)["network"]
    assert "tune" not in WALL["network"]


def test_counts_of_switching_are_trained_as_junctions():
    file, options = str(ROOT / "docs/examples/import/switching.csv"), {"conductance_low_S": 1e-5}
    made = study({"kind": "import", "file": file, "options": options | {"conductance_high_S": 2e-5}})
    assert made["network"]["rule"] == "outer_product_probability"


def writes(kind: str) -> pd.DataFrame:
    """Return rows of writes of a device that is moved in steps, whose pulses write levels, or that has two states."""
    rng = np.random.default_rng(1)
    pulse = rng.integers(0, 2 if kind != "levels" else 5, 600)
    if kind == "steps":
        state = np.clip(np.cumsum(np.where(pulse, 1e-6, -1e-6)) % 40e-6, 1e-6, None)
        before, after = np.roll(state, 1)[1:], state[1:]
    elif kind == "levels":
        before, after = 1e-5 + 1e-5 * rng.permutation(pulse)[1:], 1e-5 + 1e-5 * pulse[1:]
    else:
        before, switches = rng.integers(0, 2, 599), rng.random(599) < 0.3
        after = np.where((before != pulse[1:]) & switches, pulse[1:], before)
        before, after = 1e-5 * (1 + before), 1e-5 * (1 + after)
    noise = 2e-7 * rng.standard_normal((2, 599))
    table = {"voltage_V": pulse[1:] - 0.5, "duration_s": 1e-8}
    return pd.DataFrame({"conductance_before_S": before + noise[0], "conductance_after_S": after + noise[1], **table})


@pytest.mark.parametrize(
    "kind, options, states, rule",
    [
        ("steps", {}, None, "stochastic_coincidence"),
        ("levels", {}, None, "accumulate_quantise_program"),
        ("two", {}, None, "outer_product_probability"),
        # what is asked for are states between which steps lead
        ("two", {}, {"method": "lattice", "count": 20}, "stochastic_coincidence"),
        ("two", {"reset_before_write": True}, None, "accumulate_quantise_program"),
    ],
)
def test_rows_of_writes_tell_what_the_devices_are(kind, options, states, rule, tmp_path):
    writes(kind).to_csv(tmp_path / "writes.csv", index=False)
    source = {"kind": "import", "file": str(tmp_path / "writes.csv"), "options": options}
    sections = {"calibration": {"source": source, **({"states": states} if states else {})}}
    made = config.laid_over(ROOT / "config.yaml", sections)
    assert made["network"]["rule"] == rule
    assert made["calibration"]["states"]["method"] == (states or {}).get("method", "auto")
    if not options and not states:  # the card is of a kind that the rule can use
        section = Stage.parse(study_section(made, "calibration"), "config", "calibration")
        card, _ = build.make(section, "config", None)
        suits(card, settings.check_all(study_section(made, "network"))[0], "card")


def test_a_device_for_which_no_rule_can_be_chosen_is_refused_before_anything_runs():
    with pytest.raises(
        UserError, match=r"kind volatile and no learning rule.*mean_variance_probability.*network: null"
    ):
        study(LTP | {"options": {"volatile": True}})
    assert study(LTP | {"options": {"volatile": True}}, network=None)["network"] is None


def test_a_look_at_a_long_file_sees_all_of_it(tmp_path):
    # sorted by their pulses, as a database gives them: the first rows are all of one pulse
    table = pd.concat([writes("levels")] * 20).sort_values("voltage_V")
    table.to_csv(tmp_path / "writes.csv", index=False)
    made = study({"kind": "import", "file": str(tmp_path / "writes.csv")})
    assert made["network"]["rule"] == "accumulate_quantise_program"


@pytest.mark.parametrize("kind", ["library", "card"])
def test_a_ready_card_of_steps_has_a_rule_that_can_use_it(kind, tmp_path):
    source = {"kind": "library", "name": "ecram_101_levels"}
    if kind == "card":
        library.card("ecram_101_levels").write(tmp_path / "card")
        source = {"kind": "card", "file": str(tmp_path / "card")}
    made = study(source)
    assert made["network"]["rule"] == "stochastic_coincidence" and made["network"]["batch_size"] == 1
    # what a layer says stands
    above = {"calibration": {"source": source}, "network": {"rule": "tiki_taka", "batch_size": 1}}
    assert config.laid_over(ROOT / "config.yaml", above)["network"]["optimizer"] == WALL["network"]["optimizer"]


def test_a_ready_card_of_levels_has_the_default_network():
    assert study({"kind": "library", "name": "nyu_stochastic_write_40nm"})["network"] == WALL["network"]


def test_other_studies_stay_as_they_are(tmp_path):
    assert config.laid_over(ROOT / "config.yaml", {}) == WALL
    # a study that is a whole config says all that it wants
    whole = tmp_path / "whole.yaml"
    text = (ROOT / "config.yaml").read_text().replace("kind: simulation", f"kind: import, file: {LTP['file']}")
    whole.write_text(text)
    assert config.load(whole)["network"]["rule"] == WALL["network"]["rule"]
