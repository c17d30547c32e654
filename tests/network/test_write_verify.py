"""Programming in a closed loop: the pulses that it takes, what it reaches, and that each pulse and read is counted."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from network.results.run_tables import PROGRAMMING_COLUMNS
from network.results.summary import programming_table
from network.synapse import random_words, sampling, write_verify
from network.synapse.sampling import Plan
from network.training import settings
from network.training.card import read_device
from network.training.trainer import Trainer
from spinloom.errors import UserError
from tests.network.conftest import make_card, quiet
from tests.network.rule_cards import context, lattice, quick_compile, rule, start  # noqa: F401
from tests.network.test_rule_runs import SECTION, data, with_data  # noqa: F401

NAME = "train_then_deploy"
SHAPE = (64, 50)
SHAPES = ((1, *SHAPE),)


def loop(of_card, told, target, seed=1, state=None):
    """Return the devices, float weights [1, inputs, outputs] before and after a closed loop, and what it did.

    ``state``: of all devices before; None: as they are made.
    """
    of_rule = rule(NAME, of_card, told)
    device, key = of_rule.device, random_words.stream(seed, "program")
    table, count = sampling.tables(device), len(device.pulses)
    keys = random_words.stream(seed, "made"), random_words.stream(seed, "instance")
    array, _ = jax.jit(lambda k: sampling.fabricate(k, sampling.packed_shape(SHAPES), device, table, count))(keys)
    if state is not None:
        filled = jnp.full_like(array.state, state)
        array = array._replace(state=filled, weight=table.state_weight[filled.astype(int)])

    def program(step, array, plans):
        plan = Plan(*(sampling.pack(parts) for parts in zip(*plans, strict=True)))
        return sampling.program(key, step, array, plan, table, count)

    memory = start(of_rule, SHAPE)[0]
    memory = memory._replace(weight=(jnp.asarray(target, jnp.float32),))
    before = sampling.views(array, SHAPES)[0]
    array, done = jax.jit(lambda m, a: of_rule.deploy(m, a, SHAPES, program, context()))(memory, array)
    return of_rule, before, sampling.views(array, SHAPES)[0], done


@pytest.mark.long
def test_a_known_step_takes_as_many_pulses_as_it_is_away():
    """Steps of exactly one state without spread: each device gets its distance in pulses, in its direction, no more."""
    target = np.broadcast_to(np.linspace(-1, 1, 50), SHAPE)
    of_rule, before, after, done = loop(lattice(101, 0.0), {"tolerance": 0.0101, "most_pulses": 200}, target)
    step = 2 / 100
    away = np.abs(target - np.asarray(before.weight[0])) / step
    # half a step is the tolerance: the first state within it is the nearest
    np.testing.assert_array_equal(after.writes[0], np.ceil(away - 0.505).clip(0))
    assert np.abs(np.asarray(after.weight[0]) - target).max() <= 0.0101
    up = (target > np.asarray(before.weight[0])) * np.asarray(after.writes[0])
    assert np.asarray(done.writes).tolist() == [up.sum(), np.asarray(after.writes).sum() - up.sum()]
    rows = write_verify.table(done.reached, of_rule.device.g_scale)
    assert len(rows) == 1 + np.asarray(after.writes).max() and rows[-1]["unfinished"] == 0
    for number in (0, 3, 20):
        assert rows[number]["unfinished"] == pytest.approx(np.mean(np.asarray(after.writes) > number), abs=1e-6)
    error = (np.asarray(before.weight[0]) - target).ravel()
    assert rows[0]["error_rms"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5, abs=0)
    assert rows[0]["error_p25"] == pytest.approx(np.quantile(error, 0.25), abs=1e-5)
    assert rows[0]["error_p25_S"] == pytest.approx(rows[0]["error_p25"] * of_rule.device.g_scale, rel=1e-6, abs=0)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_noisy_steps_end_within_the_tolerance_and_every_pulse_and_read_is_counted(spread):
    target = np.random.default_rng(2).uniform(-0.9, 0.9, SHAPE)
    _, _, after, done = loop(lattice(32, spread), {"tolerance": 0.05, "most_pulses": 500}, target)
    assert np.abs(np.asarray(after.weight[0]) - target).max() <= 0.05
    writes = int(np.asarray(after.writes).sum())
    assert np.asarray(done.writes).sum() == writes > 0
    assert done.looks == target.size + writes  # one before the first pulse, one after each


@pytest.mark.long
def test_no_more_pulses_than_allowed():
    target = np.ones(SHAPE)
    _, _, after, done = loop(lattice(101, 0.0), {"tolerance": 0.005, "most_pulses": 7}, target, state=0)
    assert np.all(np.asarray(after.writes[0]) == 7) and done.looks == 8 * target.size
    assert int(done.reached.rounds) == 7 and float(done.reached.trace[7, 0]) == 1


@pytest.mark.long
@pytest.mark.parametrize("reads", [1, 16])
def test_reads_are_noisy_and_averaged(reads):
    """Read noise of three tolerances: a device is accepted where a reading happens to lie, not where it is.

    The error of the accepted is at least that of the noise's part within the tolerance; more reads make it smaller.
    """
    card = lattice(101, 0.0)
    card.reads["noise_sd_S"] = 0.06 * (card.states["conductance_S"].max() - card.states["conductance_S"].min()) / 2
    told = {"tolerance": 0.02, "most_pulses": 300, "reads": reads}
    _, _, after, done = loop(card, told, np.zeros(SHAPE))
    error = np.asarray(after.weight[0])
    rms = np.sqrt(np.mean(error**2))
    assert float(done.reached.trace[int(done.reached.rounds), 1]) == pytest.approx(rms, rel=1e-4, abs=0)
    assert (rms > 0.03) == (reads == 1) and (rms < 0.025) == (reads == 16)


def test_of_several_steps_the_longest_that_does_not_overshoot_comes_first():
    """Pulses of 1, 1/2 and 1/4 of a step of 10 states: 7.5 states take 5 and 2.5, or as good; far fewer than of 2.5."""
    card = lattice(101, 0.0)
    single = card.transitions.pivot(index=["pulse", "state_from"], columns="state_to", values="probability")
    kernel = single.to_numpy().reshape(2, 101, 101)
    strong = np.stack([np.linalg.matrix_power(k, 10) for k in kernel])
    card.transitions["probability"] = strong.ravel()
    target = np.full(SHAPE, 0.46)  # state 73
    counts = {}
    for widths in ([], [0.5, 0.25]):
        of_rule = rule(NAME, card, {"tolerance": 0.03}, device_options={"widths": widths})
        mean = np.asarray(of_rule.loop.mean[:, 50])
        sizes = np.array([1.0, *widths]) * 0.2
        np.testing.assert_allclose(np.abs(mean), np.repeat(sizes, 2), atol=1e-6)
        reading = jnp.asarray([0.0, 0.46 - 0.2, 0.46 - 0.09, 0.46 + 0.06, 0.46 - 0.35])
        counts[len(widths)] = np.asarray(of_rule.loop.choose(reading, jnp.full(5, target[0, 0]))).tolist()
    assert counts == {0: [0, 0, 0, 1, 0], 2: [0, 0, 2, 5, 0]}


def test_pulses_that_write_levels_are_chosen_by_their_level():
    of_rule = rule(NAME, make_card(spread=0.2), {"tolerance": 0.1})
    mean, variance = (np.asarray(of_rule.loop.mean[:, 0]), np.asarray(of_rule.loop.variance[:, 0]))
    for wanted in np.linspace(-1, 1, 9):
        best = np.argmin((mean - wanted) ** 2 + variance)
        assert int(of_rule.loop.choose(jnp.float32(0.9), jnp.float32(wanted))) == best


def test_devices_that_differ_end_where_they_are_wanted():
    """A closed loop reads the device itself, so its own conductance does not matter; programming once leaves it."""
    card = lattice(101, 0.3)
    population = pd.concat([card.population.assign(instance=i) for i in range(3)], ignore_index=True)
    card = replace(card, population=population.assign(conductance_factor=[0.9, 1.0, 1.1]))
    target = np.random.default_rng(2).uniform(-0.6, 0.6, SHAPE)
    _, _, after, _ = loop(card, {"tolerance": 0.03, "most_pulses": 400}, target)
    assert len(np.unique(np.asarray(after.gain))) == 3
    assert np.abs(np.asarray(after.weight[0]) - target).max() <= 0.03


def test_training_draws_weights_within_the_tolerance():
    of_rule = rule(NAME, lattice(101, 0.3, read_noise_relative=0.02), {"tolerance": 0.1}, None, {"stuck_fraction": 0.2})
    target = np.full((200, 100), 0.3, np.float32)
    near = jax.jit(of_rule.near)
    one, two = (near(random_words.stream(1, "near"), step, target) for step in (0, 1))
    error = np.asarray(one.value) - 0.3
    free = np.abs(error) <= 0.1 + 1e-6
    # uniform within the tolerance, and the stuck anywhere: five sd of each
    assert abs(free.mean() - (0.8 + 0.2 * 0.1)) < 5 * np.sqrt(0.16 / error.size)
    inside = error[free]
    assert abs(inside.mean()) < 5 * 0.1 / np.sqrt(3 * inside.size) and abs(inside.std() - 0.1 / np.sqrt(3)) < 1e-3
    assert np.mean(np.asarray(one.value) == np.asarray(two.value)) < 0.01
    level = np.asarray(of_rule.device.state_weight)
    sd = np.interp(np.asarray(one.value), level, np.asarray(of_rule.device.read_sd) ** 2)
    np.testing.assert_allclose(one.variance, sd, rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("of_rule", "options", "stages"),
    [
        (NAME, {"tolerance": 0.1, "deployments": 2, "reads": 3}, {"deployment"}),
        ("stochastic_coincidence", {"tolerance": 0.1}, {"first programming"}),
        ("tiki_taka", {"tolerance": 0.1, "gamma": 0.0}, {"first programming"}),
    ],
)
def test_a_run_meters_its_loops(of_rule, options, stages, tmp_path):
    """What the meter says is what the devices count, and the table of errors is the run's."""
    changes = {"layers": [16, 4], "rule": of_rule, "rule_options": options, "epochs": 1}
    if of_rule != NAME:
        changes |= {"batch_size": 1, "normalisation": "none"}
    section = settings.check({**SECTION, **changes})
    lattice(32, 0.3).write(tmp_path / "card")
    run = Trainer(section, read_device(tmp_path / "card", section), 0, data())
    result = run.run(tmp_path, "toy", quiet, quiet)
    meter, rows = result["meter"], pd.DataFrame(result["programming"])
    assert set(rows["stage"]) == stages
    assert rows["unfinished"].iloc[0] > 0.5 and rows["unfinished"].iloc[-1] == 0
    assert rows["error_rms"].iloc[-1] < 0.1 < rows["error_rms"].iloc[0]
    devices, reads = meter.devices, options.get("reads", 1)
    first = meter.first_writes + sum(meter.deployment_by_pulse)
    assert meter.verify_reads == reads * (devices + first) and first > devices
    assert meter.writes == sum(meter.writes_by_layer)


def test_the_tables_of_seeds_are_averaged_and_the_sooner_done_counts_with_its_end():
    rows = [
        {"variant": "a", "rule": "r", "replicate": seed, "stage": "deployment", "pulses": k, "unfinished": left,
         "error_rms": left}
        for seed, lefts in enumerate([(1.0, 0.0), (0.8, 0.4, 0.2)]) for k, left in enumerate(lefts)
    ]  # fmt: skip
    table = programming_table(pd.DataFrame(rows).reindex(columns=PROGRAMMING_COLUMNS))
    assert table["pulses"].tolist() == [0, 1, 2] and table["seeds"].tolist() == [2] * 3
    np.testing.assert_allclose(table["unfinished"], [0.9, 0.2, 0.1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"tolerance": 0.1, "attempts": 2},
            "network.rule_options.attempts: found 2, allowed: 1 if there is a tolerance",
        ),
        (
            {"tolerance": 0.1, "margin": 0.5},
            "network.rule_options.margin: found 0.5, allowed: 0 if there is a tolerance",
        ),
        ({"tolerance": 0}, "network.rule_options.tolerance: found 0, allowed: more than 0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, lattice(), options)
