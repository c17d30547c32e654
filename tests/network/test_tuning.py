"""Tuning: the learning rate that validation images like best is found, for devices and for floats alike."""

import json
import math

import pandas as pd
import pytest

from network.__main__ import main
from network.training import settings, tunable, tuning
from spinloom.errors import UserError
from spinloom.files import write_json
from tests import plugins
from tests.dictionary import documented
from tests.network.conftest import make_card, make_toy, write_config


@pytest.fixture
def toy(tmp_path, monkeypatch):
    plugins.add_dataset(monkeypatch, make_toy(tmp_path / "toy"))
    return tmp_path


def section(folder, variant="accumulate_quantise_program", **changes):
    return settings.parts(json.loads(write_config(folder, **changes).read_text()))[f"training_{variant}"]


def peak(one):
    """Return an accuracy that is best at a learning rate of 0.02 and a margin of 0.3."""
    margin = one.options.dump().get("margin", 0.3)
    return 1 - 0.1 * abs(math.log10(one.optimizer.learning_rate / 0.02)) - 0.1 * abs(math.log10(margin / 0.3))


def test_what_is_better_is_found_and_all_is_told(toy):
    own = section(toy, tune={"trials": 30})
    found, table = tuning.tune(own, peak)
    assert list(table) == tuning.COLUMNS and table["trial"].nunique() == 30
    assert set(table["key"]) == {"learning_rate", "margin"}
    first = table[table["trial"] == 0].set_index("key")["value"]
    assert first["learning_rate"] == own["optimizer"]["learning_rate"] and first["margin"] == 0.1
    best = table[table["chosen"]].set_index("key")["value"]
    assert table.loc[table["chosen"], "validation_accuracy"].iloc[0] == table["validation_accuracy"].max()
    assert abs(math.log10(best["learning_rate"] / 0.02)) < 0.4
    assert found["optimizer"]["learning_rate"] == best["learning_rate"]
    assert found["rule_options"]["margin"] == best["margin"] and "tune" not in found
    again = tuning.tune(own, peak)
    assert again[0] == found and again[1].equals(table)


def test_short_trainings_are_short_and_of_no_seed_of_the_study(toy):
    seen = []
    own = section(toy, tune={"trials": 3, "epochs": 1, "training_images": 300}, epochs=5)
    found, _ = tuning.tune(own, lambda one: seen.append(one) or 0.5)
    assert all((one.epochs, one.training_images, one.tunes) == (1, 300, False) for one in seen)
    assert found["epochs"] == 5 and found["optimizer"] == own["optimizer"]  # none better: as the config says


def test_the_float_baseline_has_as_many_trials_and_no_margin(toy):
    own = section(toy, "float_baseline", tune={"trials": 6, "keys": ["learning_rate", "margin", "batch_size"]})
    _, table = tuning.tune(own, peak)
    assert set(table["key"]) == {"learning_rate", "batch_size"} and table["trial"].nunique() == 6
    batches = table.loc[table["key"] == "batch_size", "value"]
    assert (batches % 1 == 0).all() and batches.min() >= 2


def test_digital_weights_are_tuned_as_devices_are(toy):
    own = section(toy, "straight_through", tune={"trials": 8}, rule="straight_through", rule_options={"levels": 4})
    found, table = tuning.tune(own, peak)
    assert set(table["key"]) == {"learning_rate"} and table["trial"].nunique() == 8
    best = table.loc[table["chosen"], "value"].iloc[0]
    assert found["optimizer"]["learning_rate"] == best and peak(settings.check(found)) > peak(settings.check(own))


def test_trainings_that_fail_are_passed_over(toy):
    def train(one):
        if one.optimizer.learning_rate > 0.005:
            raise UserError("the training loss is not finite")
        return peak(one)

    found, table = tuning.tune(section(toy, tune={"trials": 12}), train)
    assert found["optimizer"]["learning_rate"] <= 0.005 and table["failed"].notna().any()
    with pytest.raises(
        UserError, match="network.tune: found none of 2 trials that could be trained, the last because of: no"
    ):
        tuning.tune(section(toy, tune={"trials": 2}), lambda one: (_ for _ in ()).throw(UserError("no")))


def test_what_cannot_be_tuned_is_one_line(toy):
    with pytest.raises(
        UserError, match="network.tune.keys: found speed, allowed: adaptivity, batch_size, learning_rate"
    ):
        settings.check(section(toy, tune={"trials": 2, "keys": ["speed"]}))


def test_a_short_training_holds_a_batch(toy):
    with pytest.raises(UserError, match="network.tune.training_images: found 10, allowed: a batch at least, 50"):
        settings.check(section(toy, tune={"trials": 2, "training_images": 10}, batch_size=50))
    short = {"trials": 2, "training_images": 100, "keys": ["batch_size"]}
    assert tunable.ranges(settings.check(section(toy, tune=short, batch_size=50)))["batch_size"].high == 100


def test_what_no_variant_has_is_not_tuned(toy):
    """A float baseline has no margin: there is nothing to try, and it is trained as the config says."""
    keys = {"trials": 2, "keys": ["margin"]}
    assert settings.check(section(toy, tune=keys)).tunes
    assert not settings.check(section(toy, "float_baseline", tune=keys)).tunes
    whole = json.loads(write_config(toy, tune={"trials": 2, "keys": ["adaptivity"]}).read_text())
    with pytest.raises(UserError, match="network.tune.keys: found adaptivity, allowed: a key that one of the variants"):
        settings.check_all(whole)


def test_without_tuning_nothing_changes(toy):
    assert "tune" not in section(toy) and not settings.check(section(toy)).tunes
    assert not settings.check(section(toy, tune={"trials": 0})).tunes
    plain, tuned = (settings.check(section(toy, **more)) for more in ({}, {"tune": {"trials": 2}}))
    assert plain.identity() == tuned.identity()


def test_every_rule_s_range_is_one_that_its_options_allow():
    from network import rules

    for name in rules.REGISTRY.own():
        for option, ends in rules.get(name).tunable.items():
            for end in ends:
                assert getattr(rules.options(name, {option: end}), option) == end


@pytest.mark.long
def test_from_the_command_line_to_the_summary(toy):
    path = write_config(toy, epochs=1, tune={"trials": 2, "training_images": 200})
    make_card().write(toy / "card")
    main(["data", "--config", str(path), "--output", str(toy / "manifest.json"), "--log", str(toy / "d.log")])
    runs = []
    for variant in ("accumulate_quantise_program", "float_baseline"):
        write_json(section(toy, variant, epochs=1, tune={"trials": 2, "training_images": 200}), toy / "section.json")
        common = ["--card", str(toy / "card"), "--cache", str(toy / "cache")]
        main(["tune", "--config", str(toy / "section.json"), *common, "--output", str(toy / f"tuned/{variant}.json"),
              "--table", str(toy / f"tuned/{variant}.csv"), "--log", str(toy / "t.log")])  # fmt: skip
        for replicate in range(json.loads(path.read_text())["seeds"]):
            runs.append(str(toy / f"{variant}_{replicate}"))
            main(["train", "--config", str(toy / f"tuned/{variant}.json"), *common, "--replicate", str(replicate),
                  "--output", runs[-1], "--log", f"{runs[-1]}.log"])  # fmt: skip
    main(["summarise", "--runs", *runs, "--config", str(path), "--card", str(toy / "card"), "--tuned",
          str(toy / "tuned"), "--output", str(toy / "summary")])  # fmt: skip
    summary = pd.read_csv(toy / "summary" / "summary.csv")
    assert summary["tuned"].str.contains("learning_rate .*: best of 2 short trainings by validation images").all()
    table = pd.read_csv(toy / "tuned" / "accumulate_quantise_program.csv")
    assert table["validation_accuracy"].between(0, 1).all()
    assert set(documented("tuned/VARIANT.csv")) == set(table)
