"""A rule is refused with one line if it cannot use the devices of a card, before anything is trained."""

import numpy as np
import pytest

from network import rules
from network.rules.capabilities import Devices
from network.training import settings
from network.training.card import read_device
from spinloom.errors import UserError
from tests.network.conftest import make_card, train
from tests.network.rule_cards import junction, lattice, quick_compile  # noqa: F401

CHANCE = 0.25  # of four classes
SINGLE = {
    "batch_size": 1, "normalisation": "none", "activation": "tanh", "input": {"range": "signed"}, "weight_range": 4.0,
    "optimizer": {"name": "sgd", "learning_rate": 0.05}, "epochs": 2,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes a card and returns its folder."""

    def write(card):
        card.write(tmp_path / "card")
        return tmp_path / "card"

    return write


DEPLOYED = "train_then_deploy"


def checked(config, rule, **changes):
    outer = rules.get(rule).outer
    section = {"rule": rule, "rule_options": {}, **(SINGLE if outer else {}), **changes}
    if rules.get(rule).devices is Devices.CLOCKED:
        section |= {"activation": "sigmoid", "input": {"range": "binary"}}
    return settings.read(config(**section))


@pytest.mark.long
@pytest.mark.parametrize("rule", rules.REGISTRY.own())
def test_a_device_of_steps_is_refused_or_learns(config, folder, tmp_path, rule):
    """No rule trains an up/down device to chance without a word."""
    card = lattice(16)
    own = checked(config, rule)
    if not own.uses_card:
        return
    try:
        read_device(folder(card), own)
    except UserError as error:
        assert str(error).startswith(f"{tmp_path / 'card' / 'card.json'}: kind: found steps, allowed for {rule}: ")
        able = f"stochastic_coincidence, tiki_taka, {DEPLOYED}{' with other options' if rule == DEPLOYED else ''}"
        assert str(error).endswith(f"rules that can use this card (network.rule): {able}")
        return
    result, _ = train(config, tmp_path / "run", card, rule=rule, rule_options={}, **SINGLE)
    assert result["history"][-1]["test_accuracy"] > CHANCE + 0.2


def test_a_device_of_steps_is_programmed_in_a_closed_loop(config, folder):
    device = read_device(folder(lattice(16)), checked(config, DEPLOYED, rule_options={"tolerance": 0.1}))
    assert device.state_weight.min() == -1 and device.state_weight.max() == 1  # the ends of the range, not levels


@pytest.mark.parametrize(
    "card, rule, options, able",
    [
        (make_card(), "stochastic_coincidence", {}, "accumulate_quantise_program, bop, "),
        (junction([0.1], [0.1]), "train_then_deploy", {}, "accumulate_quantise_program, bop, "),
        (junction([0.1], [0.1], flags={"volatile": True}), "bop", {}, "mean_variance_probability"),
    ],
)
def test_the_rules_that_can_use_the_card_are_named(config, folder, card, rule, options, able):
    own = checked(config, rule, rule_options=options)
    with pytest.raises(UserError, match=f"kind: found .* allowed for {rule}: .*: {able}"):
        read_device(folder(card), own)


def test_a_pulse_that_seldom_switches_will_do_if_it_is_given_again(config, folder):
    read_device(folder(junction([0.1], [0.1])), checked(config, "train_then_deploy", rule_options={"attempts": 9}))


def test_a_draw_is_of_its_cards_kind(config, folder):
    card = junction([0.49], [0.49])
    source = card.meta.source.model_copy(update={"sample": {"number": 0}})
    drawn = type(card)(**{**vars(card), "meta": card.meta.model_copy(update={"source": source})})
    own = checked(config, "train_then_deploy")
    assert np.isfinite(read_device(folder(drawn), own).level).all()
    with pytest.raises(UserError, match="kind: found switching"):
        read_device(folder(card), own)
