"""What a rule can be told, and what it asks of the network, is checked before anything runs."""

import pytest

from network import rules
from network.training import settings
from spinloom.declare import schema
from spinloom.errors import UserError

DIGITS = {
    "dataset": "digits", "layers": [64, 10], "validation_images": 100, "epochs": 1, "batch_size": 10, "seed": 1,
}  # fmt: skip


def wrong(option: dict) -> list:
    """Return values just outside of what the schema of an option allows, and of another type."""
    ends = [option[end] + sign for end, sign in (("minimum", -1), ("maximum", 1)) if end in option]
    return ["surprise", [1], *ends]


def right(option: dict) -> list:
    """Return the ends of an option's range, or all that may be chosen."""
    choices = [True, False] if option.get("type") == "boolean" else option.get("enum", [])
    return [*choices, *(option[end] for end in ("minimum", "maximum", "default") if end in option)]


def said(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    return str(error.value)


@pytest.mark.parametrize("name", rules.REGISTRY.names())
def test_options_are_checked_when_a_config_is_read(name):
    declared = schema(rules.REGISTRY.get(name).Options).get("properties", {})
    assert rules.options(name, {}).dump() == {key: option["default"] for key, option in declared.items()}
    assert said(rules.options, name, {"surprise": 1}).startswith(f"rule {name}: network.rule_options: found unknown")
    for key, option in declared.items():
        assert option["description"].endswith(".")
        for value in wrong(option):
            assert said(rules.options, name, {key: value}).startswith(f"rule {name}: network.rule_options.{key}: found")
        for value in right(option):
            assert getattr(rules.options(name, {key: value}), key) == value


SINGLE = {"rule": "stochastic_coincidence", "batch_size": 1, "normalisation": "none"}
CLOCKED = {"rule": "mean_variance_probability", "normalisation": "none"}
CONVOLUTION = ["8x8x1", "3C3", 10]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**SINGLE, "batch_size": 2}, "network.batch_size: found 2, allowed: 1 for stochastic_coincidence"),
        ({**SINGLE, "layers": CONVOLUTION}, "network.layers: found a convolution, allowed: dense layers for stoch"),
        ({**SINGLE, "rule": "tiki_taka", "batch_size": 2}, "network.batch_size: found 2, allowed: 1 for tiki_taka"),
        ({**CLOCKED, "layers": CONVOLUTION}, "network.layers: found a convolution, allowed: dense layers for mean"),
        ({**CLOCKED, "layers": [64, 9, "D0.5", 10]}, "network.layers: found a residual block or dropout, allowed: n"),
        ({**CLOCKED, "input": {"range": "signed"}}, "network.input.range: found 'signed', allowed: unit, binary for "),
        ({**CLOCKED, "layers": [64, 9, 10]}, "network.activation: found 'relu', allowed: sigmoid"),
        ({**CLOCKED, "array": {"wire_resistance_ohm": 1.0}}, "array.wire_resistance_ohm: found 1, allowed: none for"),
        ({**CLOCKED, "device": {"stochastic": False}}, "network.device.stochastic: found false, allowed: true for"),
        ({**CLOCKED, "device": {"symmetric": True}}, "network.device.symmetric: found true, allowed: false for mean"),
        ({**CLOCKED, "device": {"rest": {"duration_s": 1.0, "temperature_K": 300.0}}}, "device.rest: found a rest, a"),
        ({**CLOCKED, "array": {"half_select": 0.5}}, "network.array.half_select: found 0.5, allowed: null for mean"),
        ({"rule": "train_then_deploy", "array": {"half_select": 0.5}}, "half_select: found 0.5, allowed: null for tr"),
        ({"rule": "straight_through", "array": {"half_select": 0.5}}, "half_select: found 0.5, allowed: null for str"),
        ({"rule": "surprise"}, "rule: found surprise, allowed: accumulate_quantise_program, "),
        ({"rule": "float_baseline", "layers": ["8x8x1", "10C8"]}, "network.layers: found 10C8 at the end, allowed: a"),
        ({"rule": "float_baseline", "layers": ["8x8x1", "10C5", "MP4"]}, "network.layers: found MP4 at the end"),
    ],
)  # fmt: skip
def test_networks_that_a_rule_cannot_train(changes, message):
    """Before the card is there; a part of the array that would have no effect is refused and not ignored."""
    assert message in said(settings.check, {**DIGITS, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        SINGLE,
        CLOCKED,
        {**CLOCKED, "layers": [64, 9, 10], "activation": "sigmoid", "input": {"range": "binary"}},
        {**CLOCKED, "converters": {"adc_bits": 4}, "array": {"wire_resistance_ohm": 0.0, "tile_rows": 8}},
        {**CLOCKED, "device": {"stuck_fraction": 0.1, "stochastic": True, "rest": None}},
        {"rule": "train_then_deploy", "array": {"wire_resistance_ohm": 1.0, "half_select": None}},
        {"rule": "float_baseline", "array": {"half_select": 0.5}, "converters": {"adc_bits": 4}},
        {"rule": "discrete_state_transition", "layers": CONVOLUTION},
    ],
)
def test_networks_that_a_rule_can_train(changes):
    assert settings.check({**DIGITS, **changes}).rule == changes["rule"]


def test_measuring_often_is_told_to_take_long():
    """What a forecast counts: two wires of 32 measurements take some 580 times as long as the mean of one."""
    one, many = (settings.check({**DIGITS, **CLOCKED, "rule_options": options}) for options in (
        {"measurements": None}, {"measurements": 32, "signed": True}
    ))  # fmt: skip
    for section, use, step in ((one, 2, 35), (many, 2.6 * 445, 2.6 * 35)):
        image = use * 640 + 130 * 10 + step * 640 / section.batch_size
        assert section.work(100) == pytest.approx(100 * section.epochs * image, abs=1e-6)


def test_convolutions_count_the_values_that_they_copy_and_small_batches_their_steps():
    layers, uses = ["8x8x1", "4C5", "MP2", 10], 16  # 25 by 4 at 4 x 4 places, then 16 by 10
    section = {**DIGITS, "rule": "float_baseline", "layers": layers}
    few, many = (settings.check({**section, "batch_size": size}) for size in (2, 20))
    image = uses * (25 * 4 + 130 * (25 + 4)) + 16 * 10 + 130 * 10
    assert many.work(100) == pytest.approx(100 * many.epochs * (image + 35 * (100 + 160) / 20), abs=1e-6)
    layers = ["8x8x1", "4C5s2", "GAP", 10]  # at 2 x 2 places, whose 16 values are averaged
    strided = settings.check({**section, "layers": layers, "batch_size": 20})
    image = 4 * (25 * 4 + 130 * (25 + 4)) + 4 * 10 + 130 * 10 + 130 * 16
    assert strided.work(100) == pytest.approx(100 * strided.epochs * (image + 35 * (100 + 40) / 20), abs=1e-6)
    assert few.work(100) - many.work(100) == pytest.approx(100 * few.epochs * 35 * 260 * (1 / 2 - 1 / 20), abs=1e-6)


def test_an_error_in_one_of_several_variants_says_which():
    section = {**DIGITS, "rule": "accumulate_quantise_program", "variants": {"a": {}, 2: {"rule_options": {"m": 1}}}}
    assert said(settings.check_all, section).startswith("variant 2: rule accumulate_quantise_program: network.rule_o")
    section["variants"][2] = {"rule_options": {"margin": 1}}
    named = settings.variants(section)  # a number in YAML, a text in every file
    assert list(named) == ["a", "2", "float_baseline"] and named["2"]["variant"] == "2"
