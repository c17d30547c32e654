"""What is told about a rule before anything runs is what the rule itself says when it starts."""

import pytest

from calibration.sources import library
from network import rules
from network.training import options, settings
from network.training.options import OPTIONS, Choice
from spinloom.errors import UserError
from tests.network.conftest import make_card
from tests.network.rule_cards import junction, lattice
from tests.network.rule_cards import rule as make

CARDS = {
    "accumulate_quantise_program": make_card,
    "train_then_deploy": make_card,
    "discrete_state_transition": lambda: junction((0.1, 1.0), (0.1, 1.0)),
    "outer_product_probability": lambda: junction((0.1, 1.0), (0.1, 1.0)),
    "stochastic_coincidence": lattice,
    "mean_variance_probability": lambda: library.card("ellis_gate"),
    "bop": lambda: junction((1.0,), (1.0,)),
    "tiki_taka": lattice,
    "straight_through": make_card,
    "stochastic_rounding": make_card,
    "float_baseline": make_card,
}
DIGITS = {"dataset": "digits", "layers": [64, 10], "validation_images": 100, "batch_size": 10, "seed": 1}


def wrong(option) -> list:
    """Return values just outside of an option's range, and of another type."""
    if isinstance(option, Choice):
        return ["surprise", 3]
    beyond = [option.low - 1, option.high * 1.001 if not option.whole else option.high + 1, "1", True]
    return beyond + ([option.low + 0.5] if option.whole else []) + ([] if option.null else [None])


def right(option) -> list:
    """Return the ends of an option's range, or all that may be chosen."""
    return list(option.allowed) if isinstance(option, Choice) else [option.low, option.high, option.default]


def said(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    return str(error.value)


@pytest.mark.parametrize("name", rules.REGISTRY.names())
def test_the_table_and_the_rule_agree(name):
    kind, card = rules.get(name), CARDS[name]()
    assert {key: option.default for key, option in OPTIONS[name].items()} == kind.defaults
    assert (name in options.ONE_IMAGE) == kind.single
    assert name in options.DENSE or not kind.outer
    assert (name in options.IN_PLACE) == kind.uses_device and (name in options.PROBABILITIES) == kind.unit_inputs
    for given in [{"surprise": 1}] + [{key: v} for key, option in OPTIONS[name].items() for v in wrong(option)]:
        assert said(options.check, name, given) == said(make, name, card, given)
    for given in [{key: v} for key, option in OPTIONS[name].items() for v in right(option)]:
        options.check(name, given)


def test_all_rules_are_in_the_table():
    assert list(OPTIONS) and set(OPTIONS) == set(rules.REGISTRY.names())


SINGLE = {"rule": "stochastic_coincidence", "batch_size": 1, "normalisation": "none"}
CLOCKED = {"rule": "mean_variance_probability", "normalisation": "none"}
CONVOLUTION = ["8x8x1", "3C3", 10]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**SINGLE, "batch_size": 2}, "network.batch_size: found 2, allowed 1 for stochastic_coincidence"),
        ({**SINGLE, "layers": CONVOLUTION}, "network.layers: found a convolution, allowed dense layers for stoch"),
        ({**SINGLE, "rule": "tiki_taka", "batch_size": 2}, "network.batch_size: found 2, allowed 1 for tiki_taka"),
        ({**CLOCKED, "layers": CONVOLUTION}, "network.layers: found a convolution, allowed dense layers for mean"),
        ({**CLOCKED, "input": {"range": "signed"}}, "network.input.range: found 'signed', allowed unit, binary for "),
        ({**CLOCKED, "layers": [64, 9, 10]}, "network.activation: found 'relu', allowed sigmoid"),
        ({**CLOCKED, "array": {"wire_resistance_ohm": 1.0}}, "network.array.wire_resistance_ohm: found 1.0, allowed"),
        ({**CLOCKED, "device": {"stochastic": False}}, "network.device.stochastic: found false, allowed true for mean"),
        ({**CLOCKED, "device": {"symmetric": True}}, "network.device.symmetric: found true, allowed false for mean"),
        ({**CLOCKED, "device": {"rest": {"duration_s": 1.0, "temperature_K": 300.0}}}, "device.rest: found a rest, a"),
        ({**CLOCKED, "array": {"half_select": 0.5}}, "network.array.half_select: found 0.5, allowed null for mean"),
        ({"rule": "train_then_deploy", "array": {"half_select": 0.5}}, "half_select: found 0.5, allowed null for tr"),
        ({"rule": "straight_through", "array": {"half_select": 0.5}}, "half_select: found 0.5, allowed null for str"),
        ({"rule": "surprise"}, "network.rule: found surprise, allowed: accumulate_quantise_program, "),
        ({"rule": "float_baseline", "layers": ["8x8x1", "10C8"]}, "network.layers: found 10C8 at the end, allowed a"),
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
    """What a forecast counts: two wires of 32 measurements are 18 times the mean of one."""
    one, many = (settings.check({**DIGITS, **CLOCKED, "rule_options": options}) for options in (
        {"measurements": None}, {"measurements": 32, "signed": True}
    ))  # fmt: skip
    assert settings.work(many, 100) / settings.work(one, 100) == pytest.approx(2 * 9.1, abs=1e-9)
    assert settings.work(one, 100) == 100 * one.epochs * 640


def test_an_error_in_one_of_several_variants_says_which():
    section = {**DIGITS, "rule": "accumulate_quantise_program", "variants": {"a": {}, 2: {"rule_options": {"m": 1}}}}
    assert said(settings.check_all, section).startswith("variant 2: network.rule_options: found m, allowed margin")
    section["variants"][2] = {"rule_options": {"margin": 1}}
    named = settings.variants(section)  # a number in YAML, a text in every file
    assert list(named) == ["a", "2", "float_baseline"] and named["2"]["variant"] == "2"
