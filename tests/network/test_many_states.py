"""More states than a byte counts: the same kernels, in int16; up to 127 states stay in int8."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration.counting.states import MOST
from network.synapse import random_words, sampling
from network.synapse.device import MAX_STATES, DeviceModel, index_type
from spinloom.errors import UserError
from tests.network.conftest import train
from tests.network.rule_cards import lattice, quick_compile, rule  # noqa: F401

SECTION = {
    "rule": "stochastic_coincidence", "rule_options": {"slots": 2}, "batch_size": 1, "normalisation": "none",
    "activation": "tanh", "input": {"range": "signed"}, "optimizer": {"name": "sgd", "learning_rate": 0.05},
    "weight_range": 2.0, "epochs": 2,
}  # fmt: skip


def test_a_byte_is_used_as_long_as_it_counts_the_states():
    assert [index_type(count).name for count in (2, 127, 128, 1024)] == ["int8", "int8", "int16", "int16"]
    assert MAX_STATES == MOST == 1024
    for levels, kind in ((127, jnp.int8), (128, jnp.int16)):
        device = DeviceModel.from_card(lattice(levels))
        table = sampling.tables(device)
        array, _ = sampling.fabricate(
            (random_words.stream(1, "a"), random_words.stream(1, "b")), (8, 8), device, table, 2
        )
        assert table.alias.dtype == array.state.dtype == kind


def test_a_draw_of_500_states_follows_the_card():
    """Chi-square from a state that no byte holds, cells below 5 pooled; false-alarm rate 1e-3, fixed seed."""
    device = DeviceModel.from_card(lattice(500, 3.0))
    table, shape = sampling.tables(device), (400, 128)
    start = jnp.full(shape, 300, jnp.int16)
    word, _ = random_words.words(random_words.stream(5, "many"), 0, shape)
    drawn = sampling.draw_state(word, start, jnp.zeros(shape, jnp.int8), table)
    found = np.bincount(np.asarray(drawn).ravel(), minlength=500)
    expected = device.transition[0, 300] * found.sum()
    kept = expected >= 5
    assert drawn.dtype == jnp.int16 and kept.sum() > 10 and found[expected == 0].sum() == 0
    pooled = [np.append(one[kept], one[~kept].sum()) for one in (found, expected)]
    assert stats.chisquare(pooled[0][pooled[1] > 0], pooled[1][pooled[1] > 0]).pvalue > 1e-3


@pytest.mark.long
def test_a_network_of_500_levels_learns(config, tmp_path):
    result, device = train(config, tmp_path / "run", lattice(500, 0.3), **SECTION)
    assert len(device.states) == 500
    assert result["history"][-1]["test_accuracy"] > 0.9  # chance is 0.25
    # states on both sides of those of a byte are in use
    used = np.flatnonzero(np.sum(result["meter"].devices_by_state, axis=0))
    assert used.max() > 275 and used.min() < 225


def test_stochastic_rounding_holds_more_levels_than_a_byte():
    memory, _ = rule("stochastic_rounding", lattice(32), {"levels": 500}).init(
        (random_words.stream(1, "levels"),), ((64, 64),)
    )
    assert memory.level[0].dtype == jnp.uint16 and int(memory.level[0].max()) > 255


def test_more_states_than_the_tables_can_hold_are_refused():
    card = lattice(32)
    many = pd.concat([card.states] * 33).iloc[:1025].assign(state=np.arange(1025))
    with pytest.raises(UserError, match=r"states.csv: found 1025 states, allowed: 2 to 1024"):
        DeviceModel.from_card(replace(card, states=many))
