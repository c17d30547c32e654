"""One config, several trainings: how variants are laid over the study's section, and what names a run."""

import copy

import pytest

from network.training import settings
from spinloom.errors import UserError

BASE = {
    "dataset": "digits", "data": {"folder": None, "cache": "cache"}, "layers": [64, 20, 10], "validation_images": 100,
    "epochs": 4, "batch_size": 10, "seed": 1, "seeds": 2, "rule": "accumulate_quantise_program",
    "rule_options": {"margin": 0.2, "compare": "state"},
    "optimizer": {"name": "adam", "learning_rate": 0.01, "b1": 0.8}, "array": {"tile_rows": 32, "tile_columns": 16},
    "converters": {"adc_bits": 6}, "hardware": {"node_nm": 7}, "baseline": "float_baseline",
}  # fmt: skip


def variants(**named):
    before = copy.deepcopy(BASE)
    found = settings.variants({**BASE, "variants": named or None})
    assert before == BASE  # nothing is shared with what went in
    return found


def test_without_variants_there_is_one_named_after_its_rule():
    found = variants()
    assert list(found) == ["accumulate_quantise_program", "float_baseline"]
    assert found["accumulate_quantise_program"]["rule_options"] == BASE["rule_options"]
    assert found["float_baseline"]["rule"] == "float_baseline" and found["float_baseline"]["rule_options"] == {}
    assert found["float_baseline"]["converters"] == {}  # floats are not converted
    assert list(settings.variants({**BASE, "baseline": None})) == ["accumulate_quantise_program"]
    alone = settings.variants({**BASE, "rule": "float_baseline", "rule_options": {}})
    assert list(alone) == ["float_baseline"]


def test_variants_are_laid_over_the_section_key_by_key():
    found = variants(
        plain=None,
        small={"layers": [64, 10], "array": {"tile_rows": 8}, "epochs": 2},
        eager={"rule_options": {"margin": 0.0}, "optimizer": {"learning_rate": 0.1}},
    )
    assert list(found) == ["plain", "small", "eager", "float_baseline"]
    assert found["plain"] == {**{k: v for k, v in BASE.items() if k != "baseline"}, "variant": "plain"}
    assert found["small"]["layers"] == [64, 10] and found["small"]["epochs"] == 2
    assert found["small"]["array"] == {"tile_rows": 8, "tile_columns": 16}
    assert found["eager"]["rule_options"] == {"margin": 0.0, "compare": "state"}
    assert found["eager"]["optimizer"] == {"name": "adam", "learning_rate": 0.1, "b1": 0.8}
    assert found["float_baseline"]["layers"] == BASE["layers"]


def test_another_rule_or_optimiser_has_settings_of_its_own():
    found = variants(
        floats={"rule": "float_baseline"}, sgd={"optimizer": {"name": "sgd"}}, same={"optimizer": {"name": "adam"}}
    )
    assert found["floats"]["rule_options"] == {} and found["floats"]["optimizer"] == BASE["optimizer"]
    assert found["sgd"]["optimizer"] == {"name": "sgd"}
    assert found["same"]["optimizer"] == BASE["optimizer"]


def test_the_baseline_comes_last_and_is_one():
    found = variants(float_baseline={"rule": "float_baseline", "epochs": 9}, mine={})
    assert list(found) == ["mine", "float_baseline"] and found["float_baseline"]["epochs"] == 9
    # listed or not, floats have the converters of the hardware only if they say so themselves
    assert not found["float_baseline"]["converters"] and found["mine"]["converters"] == {"adc_bits": 6}
    own = {"rule": "float_baseline", "converters": {"adc_bits": 4}}
    assert variants(float_baseline=own, mine={})["float_baseline"]["converters"] == {"adc_bits": 4}


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"Big": {}}, "variants: found Big, allowed: text that matches ^[a-z0-9_]+$"),
        ({"a\n": {}}, "variants: found a\\n, allowed: text that matches"),
        ({"a" * 41: {}}, "aaa, allowed: at most 40 characters"),
        (
            {"a": {"seeds": 3, "dataset": "mnist"}},
            "variants.a: found unknown key 'seeds', allowed: activation",
        ),
        ({"a": {"hardware": {}}}, "variants.a: found unknown key 'hardware', allowed: activation"),
        ({"a": {"surprise": 1}}, "variants.a: found unknown key 'surprise'"),
        ({"a": {"layers": [64, 9]}}, "network.layers: found 9 outputs, allowed: 10 for digits"),
        ({"a": {"optimizer": {"name": "sgd", "b1": 0.9}}}, "network.optimizer: found b1"),
        (
            {"float_baseline": {"epochs": 3}},
            "network.variants.float_baseline.rule: found accumulate_quantise_program, allowed: float_baseline",
        ),
    ],
)
def test_variants_that_cannot_be(named, message):
    with pytest.raises(UserError) as error:
        settings.check_all({**BASE, "variants": named})
    assert message in str(error.value)


def test_a_job_sees_its_own_part_only():
    named = {"a": None, "b": {"epochs": 2}}
    before = settings.parts({**BASE, "variants": named})
    assert list(before) == ["data", "training_a", "training_b", "training_float_baseline"]
    assert before["data"] == {"dataset": "digits", "data": {"folder": None}}
    assert all("hardware" not in part and "variants" not in part for part in before.values())

    def touched(**changes):
        after = settings.parts({**BASE, "variants": named, **changes})
        return {name for name in after if after[name] != before.get(name)}

    assert touched(hardware={"node_nm": 45}) == set()
    assert touched(variants={"a": None, "b": {"epochs": 3}}) == {"training_b"}
    assert touched(variants={"a": None}) == set()
    assert touched(data={**BASE["data"], "cache": "elsewhere"}) == set()
    assert touched(data={**BASE["data"], "folder": "elsewhere"}) == set(before)
    assert touched(epochs=9) == {"training_a", "training_float_baseline"}  # b has its own
    for part in ("training_a", "training_b"):
        assert settings.check(before[part]).variant == part.removeprefix("training_")


def one(**changes):
    return settings.check({**{k: v for k, v in BASE.items() if k != "baseline"}, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": [64, 10]}, {"activation": "tanh"}, {"normalisation": "none"}, {"loss": "squared_hinge"},
        {"input": {"range": "binary"}}, {"batch_size": 20}, {"rule": "float_baseline", "rule_options": {}},
        {"rule_options": {"margin": 0.3}}, {"device": {"read_noise": False}}, {"converters": {"adc_bits": 5}},
        {"array": {"wire_resistance_ohm": 1.0}}, {"seed": 2}, {"validation_images": 90},
        {"optimizer": {"name": "adam", "learning_rate": 0.01, "schedule": {"name": "cosine"}}},
    ],
)  # fmt: skip
def test_whatever_trains_differently_is_another_run(changes):
    assert one(**changes).identity() != one().identity()


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 9}, {"data": {"folder": "elsewhere"}}, {"hardware": {}}, {"evaluation": {"input_noise_sds": [0.1]}},
        {"early_stopping": {"patience": 2}}, {"variant": "renamed"}, {"epochs": 9},
    ],
)  # fmt: skip
def test_whatever_does_not_is_the_same_run(changes):
    assert one(**changes).identity() == one().identity()


def test_a_longer_run_is_another_where_the_rate_falls():
    falling = {"name": "adam", "learning_rate": 0.01, "schedule": {"name": "linear"}}
    assert one(optimizer=falling, epochs=9).identity() != one(optimizer=falling).identity()
    steady = {"name": "adam", "learning_rate": 0.01, "schedule": {"name": "constant"}}
    assert one(optimizer=steady, epochs=9).identity() == one(optimizer=steady).identity()
