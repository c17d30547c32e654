"""What stochastic coincidence gives for a wanted change: a step per direction, a ladder of pulses, fractions of one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.synapse import fractions, pulse_trains, random_words, sampling
from network.synapse.widths import interpolated, shortened
from network.training import settings
from spinloom.errors import UserError
from tests.network.rule_cards import bound, card, context, devices, lattice, quick_compile, rule  # noqa: F401
from tests.network.test_rule_coincidence import ERROR, NAME, STEPS, X, drawn, mean_is
from tests.network.test_rule_runs import SECTION, data, trainer, with_data  # noqa: F401

RATE = 0.3


def uneven(levels=101, up=2, down=1, spread=0.0):
    """Return a lattice on which a pulse up moves by ``up`` states and one down by ``down``."""
    made = lattice(levels, spread)
    kernel = made.transitions.pivot(index=["pulse", "state_from"], columns="state_to", values="probability")
    ups, downs = kernel.to_numpy().reshape(2, levels, levels)
    powers = np.stack([np.linalg.matrix_power(ups, up), np.linalg.matrix_power(downs, down)])
    made.transitions["probability"] = powers.ravel()
    return made


@pytest.mark.long
@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("mean_step", ["direction", "both"])
def test_each_direction_is_divided_by_its_own_step(pair, mean_step):
    """The mean change of the weight is -rate x delta for inputs and errors of either sign, or drifts with one step."""
    of_rule = rule(NAME, uneven(), {"pair": pair, "mean_step": mean_step, "slots": 20})
    assert of_rule.each[of_rule.up] == pytest.approx(2 * of_rule.each[of_rule.down], rel=1e-6, abs=0)
    times, _ = drawn(of_rule, RATE)
    wanted = -RATE * np.outer(X, ERROR)
    # pulses to the first device of a pair in even steps, to the second, which is reversed, in odd ones
    for second in range(1 + pair):
        rising = (wanted > 0) != bool(second)
        step = np.where(rising, of_rule.each[of_rule.up], of_rule.each[of_rule.down]) * abs(of_rule.mix[-1])
        divided = step if mean_step == "direction" else of_rule.fine
        mine = times[second::2] if pair else times
        p = np.abs(wanted) / divided
        error = bound(2 * wanted.size) * np.sqrt(p * (1 + p) / len(mine))
        assert np.all(np.abs(mine.mean(axis=0) - p) <= error + 1e-9)
    if mean_step == "both":
        assert not np.allclose(divided, step)


@pytest.mark.long
def test_equal_steps_need_one_train_of_each_column():
    """As many bits of randomness, and the same, as before directions were told apart."""
    even, odd = rule(NAME, lattice()), rule(NAME, uneven())
    trains = [r.trains(random_words.stream(5, "t"), jnp.int32(3), X, ERROR, jnp.float32(RATE)) for r in (even, odd)]
    assert [len(one.columns) for one in trains] == [1, 2]
    assert len(even.uneven(jnp.ones(4), jnp.asarray(ERROR), jnp.bool_(False))) == 1


def test_carrying_conserves_the_weight_of_uneven_devices():
    of_rule = rule(NAME, uneven(127), {"tiles": 2, "ratio": 0.25})
    state = np.random.default_rng(3).integers(0, 127, (2, 40, 50))
    state[0] = 63
    plan = jax.jit(of_rule.carry)(devices(state, of_rule.device))
    times = of_rule.alphabet().pulses[np.asarray(plan.pulse)] * np.asarray(plan.mask)[..., None]
    assert 0 < times.max() <= of_rule.most
    moved = times[..., of_rule.up] * of_rule.each[of_rule.up] - times[..., of_rule.down] * of_rule.each[of_rule.down]
    # to half a pulse of the fine tile
    assert np.abs(np.tensordot(of_rule.mix, moved, axes=1)).max() <= 0.25 * of_rule.each.max() / 2 + 1e-9


@pytest.mark.long
@pytest.mark.parametrize("number", [0.01, 0.3, 1.0, 2.7])
def test_a_fraction_has_the_share_of_mean_and_variance(number):
    """E = n m and Var = n v of 20,000 devices each way, normal bounds at 0.01 % in all; counts are n in the mean."""
    of_rule = rule(NAME, uneven(101, 2, 1, spread=0.5), {"pulses": "fractional"})
    table, shape = sampling.tables(of_rule.device, of_rule.alphabet()), (20000, 1)
    place = jnp.arange(20000)[:, None]
    array = jax.tree.map(jnp.asarray, devices(np.full(shape, 50), of_rule.device))
    between = 0.3 * float(of_rule.device.state_weight[51] - of_rule.device.state_weight[50])
    array = array._replace(weight=array.weight + between)
    for sign, pulse in ((1, of_rule.up), (-1, of_rule.down)):
        after, given = jax.jit(fractions.apply)(
            random_words.stream(3, "f"), 0, place, array, jnp.full(shape, sign * number), of_rule.law, table
        )
        row, level = of_rule.device.transition[pulse, 50], of_rule.device.state_weight.astype(float)
        mean = row @ level - level[50]
        variance = row @ (level - row @ level) ** 2
        change = np.asarray(after.weight - array.weight, np.float64)
        assert abs(change.mean() - number * mean) <= bound(12) * np.sqrt(number * variance / change.size)
        fourth = np.mean((change - change.mean()) ** 4) - change.var() ** 2
        assert abs(change.var() - number * variance) <= bound(12) * np.sqrt(fourth / change.size)
        given = np.asarray(given)
        assert set(np.unique(given)) <= {int(number), int(number) + 1} and np.all(after.writes == given)
        assert abs(given.mean() - number) <= bound(12) * np.sqrt(0.25 / given.size)
        nearest = np.abs(np.asarray(after.weight)[..., None] - level).min(axis=-1)
        np.testing.assert_allclose(
            np.abs(np.asarray(after.weight) - level[np.asarray(after.state)]), nearest, atol=1e-6
        )


@pytest.mark.long
def test_fractions_end_where_the_states_end_and_nothing_is_nothing():
    of_rule = rule(NAME, lattice(11, 0.3), {"pulses": "fractional"})
    table = sampling.tables(of_rule.device, of_rule.alphabet())
    array = jax.tree.map(jnp.asarray, devices(np.array([[0, 5, 10, 5]]), of_rule.device))
    amount = jnp.array([[-50.0, 0.0, 50.0, 1e-6]])
    after, given = fractions.apply(
        random_words.stream(3, "f"), 0, jnp.arange(4)[None], array, amount, of_rule.law, table
    )
    assert np.asarray(after.weight)[0, :3].tolist() == [-1.0, 0.0, 1.0] and np.asarray(given)[0, 1] == 0
    assert 0 < abs(float(after.weight[0, 3])) < 1e-2


@pytest.mark.long
def test_rows_without_a_change_are_left_out_and_the_rest_is_as_one_by_one():
    """Programming a network does what `apply` does to each device, and counts it."""
    of_rule = rule(NAME, lattice(21, 0.5), {"pulses": "fractional", "pair": True})
    alphabet = of_rule.alphabet()
    table, count = sampling.tables(of_rule.device, alphabet), len(alphabet.pulses)
    shapes, random = ((2, 70, 9), (2, 9, 4)), np.random.default_rng(1)
    parts = [jax.tree.map(jnp.asarray, devices(random.integers(0, 21, shape), of_rule.device)) for shape in shapes]
    packed = sampling.Array(*(None if f[0] is None else sampling.pack(f) for f in zip(*parts, strict=True)))
    amounts = [random.normal(0, 1, shape[1:]).astype(np.float32) for shape in shapes]
    amounts[0][random.random(70) < 0.7] = 0
    plans = tuple(
        fractions.Fractions(jnp.asarray(a), jnp.int32(device), of_rule.law) for device, a in enumerate(amounts)
    )
    key = random_words.stream(1, "p")
    after, info = jax.jit(
        lambda array: fractions.program(key, jnp.int32(4), array, plans, shapes, table, count)
    )(packed)  # fmt: skip
    first, writes = 0, 0
    for device, (shape, part, amount, new) in enumerate(
        zip(shapes, parts, amounts, sampling.views(after, shapes), strict=True)
    ):
        place = first + device * amount.size + jnp.arange(amount.size).reshape(amount.shape)
        old = jax.tree.map(lambda field, device=device: field[device], part)
        alone, given = fractions.apply(key, jnp.int32(4), place, old, jnp.asarray(amount), of_rule.law, table)
        for name in ("state", "weight", "writes"):
            np.testing.assert_array_equal(getattr(new, name)[device], getattr(alone, name))
            np.testing.assert_array_equal(getattr(new, name)[1 - device], getattr(part, name)[1 - device])
        first, writes = first + int(np.prod(shape)), writes + int(given.sum())
    up, down = (int(of_rule.command(n, 1)) for n in (of_rule.up, of_rule.down))
    assert info.writes[up] + info.writes[down] == info.writes.sum() == writes
    assert info.transitions == np.sum(after.state != packed.state) > 0


def test_wanted_changes_become_fractions_of_the_step_that_is_given():
    of_rule = rule(NAME, uneven(), {"pulses": "fractional", "pair": True})
    for step in (0, 1):
        one = of_rule.fractions(context().keys[0], jnp.int32(step), X, ERROR, jnp.float32(RATE))
        amount = np.asarray(one.amount)
        step_size = np.where(amount > 0, of_rule.each[of_rule.up], of_rule.each[of_rule.down])
        np.testing.assert_allclose(
            of_rule.mix[step] * amount * step_size, -RATE * np.outer(X, ERROR), rtol=1e-5, atol=1e-9
        )
        assert int(one.device) == step


def test_a_ladder_takes_the_two_pulses_about_the_wanted_change():
    """The mean is right, what comes is one of the two next to the wanted step, the largest up to three times."""
    of_rule = rule(NAME, uneven(101, 8, 4), {"pulses": "ladder", "slots": 3}, None, {"widths": [0.5, 0.25]})
    pulses = of_rule.alphabet().pulses
    step = np.array([1.0, 1.0, 0.5, 0.5, 0.25, 0.25]) * np.tile([0.16, 0.08], 3)  # of pulses up and down
    x = np.ones(1, np.float32)
    wanted = np.array([0.4, 0.2, 0.1, 0.03, 0.001, -0.15, -0.05, -0.001], np.float32)
    draw = jax.jit(jax.vmap(lambda n: of_rule.chosen(random_words.stream(9, "l"), n, x, -wanted, jnp.float32(1.0))))
    plan = draw(jnp.arange(STEPS))
    given = pulses[np.asarray(plan.pulse)[:, 0, 0]] * np.asarray(plan.mask)[:, 0, 0, :, None]
    moved = given @ (step * np.tile([1, -1], 3))
    assert mean_is(moved.mean(axis=0), wanted, moved.std(axis=0) + 1e-9, len(wanted))
    for k, value in enumerate(wanted):
        rungs = np.array([0, 0.25, 0.5, 1, 2, 3]) * (0.16 if value > 0 else 0.08)
        low = rungs[rungs <= abs(value)].max()
        seen = np.unique(np.round(np.abs(moved[:, k]), 9))
        assert set(seen) <= {round(low, 9), round(rungs[rungs > abs(value)].min(), 9)}
    coordinate = of_rule.ladder.coordinate  # relative to the largest step
    np.testing.assert_allclose(coordinate, [[0, 1 / 12, 1 / 6, 1 / 3, 2 / 3, 1]] * 2, rtol=1e-5)


def test_shorter_pulses_have_the_share_of_mean_and_variance():
    """Exact in the middle of an uneven range as far as its states can show it; rows sum to 1 everywhere."""
    made = lattice(64, 2.0)
    kernel = made.transitions["probability"].to_numpy().reshape(2, 64, 64)
    conductance = np.linspace(1, 3, 64) ** 1.1
    mean, (inner, half) = kernel @ conductance, (slice(24, 40), 0.5)
    variance = (kernel * (conductance - mean[..., None]) ** 2).sum(axis=-1)
    short = shortened(kernel, conductance, half)
    np.testing.assert_allclose(short.sum(axis=-1), 1, rtol=1e-12)
    assert short.min() >= 0
    found = short @ conductance
    np.testing.assert_allclose((found - conductance)[:, inner], half * (mean - conductance)[:, inner], rtol=1e-9)
    spread = (short * (conductance - found[..., None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(spread[:, inner], half * variance[:, inner], rtol=1e-6)


def test_a_pulse_in_between_has_a_step_in_between():
    """Mean and variance are between those of both pulses; drawing one of the two has a larger variance."""
    made = lattice(64, 2.0)
    one = made.transitions["probability"].to_numpy().reshape(2, 64, 64)[0]
    conductance, share, inner = np.linspace(1, 3, 64) ** 1.1, 0.25, slice(24, 40)
    low, high = np.linalg.matrix_power(one, 2), np.linalg.matrix_power(one, 6)

    def moments(kernel):
        mean = kernel @ conductance
        return (mean - conductance)[inner], (kernel * (conductance - mean[:, None]) ** 2).sum(axis=-1)[inner]

    found = interpolated(low, high, conductance, share)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-12)
    assert found.min() >= 0
    (mean, variance), ends = moments(found), (moments(low), moments(high))
    np.testing.assert_allclose(mean, (1 - share) * ends[0][0] + share * ends[1][0], rtol=1e-6)
    np.testing.assert_allclose(variance, (1 - share) * ends[0][1] + share * ends[1][1], rtol=1e-6)
    drawn = moments((1 - share) * low + share * high)
    np.testing.assert_allclose(drawn[1] - variance, share * (1 - share) * (ends[1][0] - ends[0][0]) ** 2, rtol=1e-6)


def test_a_ladder_with_pulses_in_between_has_finer_rungs():
    of_rule = rule(NAME, uneven(101, 8, 4), {"pulses": "ladder", "slots": 1}, None, {"widths": [0.5], "between": 3})
    device = of_rule.device
    assert device.pulses[:5] == (0, 1, "0 x 0.5", "1 x 0.5", "0 x 0.5 to 0, 1/4") and len(device.pulses) == 10
    np.testing.assert_allclose(device.write_duration[4:7], device.write_duration[0] * np.array([5, 6, 7]) / 8)
    np.testing.assert_allclose(device.write_voltage[4:7], device.write_voltage[0])
    rungs = of_rule.ladder.coordinate
    np.testing.assert_allclose(rungs, [[0, 1 / 2, 5 / 8, 3 / 4, 7 / 8, 1]] * 2, rtol=1e-5)
    assert device.assumed.endswith("; 3 pulses between each two of a direction, steps and variances in between")


def test_assumed_widths_are_told_with_energy_and_duration():
    of_rule = rule(NAME, lattice(), {"pulses": "ladder"}, None, {"widths": [0.25]})
    device = of_rule.device
    assert device.pulses == (0, 1, "0 x 0.25", "1 x 0.25")
    np.testing.assert_allclose(device.write_energy[2:], device.write_energy[:2] / 4, rtol=1e-12)
    np.testing.assert_allclose(device.write_duration[2:], device.write_duration[:2] / 4, rtol=1e-12)
    assert device.assumed == "pulses of 0.25 of their width, steps and variances in proportion"


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "changes", "assumed"),
    [
        ({"pulses": "fractional", "pair": True}, {}, "fractions of a pulse, which no device can do"),
        ({"pulses": "ladder"}, {"device": {"widths": [0.5]}}, "pulses of 0.5 of their width, steps and variances in "),
        ({"pulses": "ladder", "tiles": 2}, {"device": {"widths": [0.5]}}, "pulses of 0.5 of their width, "),
    ],
)
def test_networks_learn_and_say_what_they_assume(options, changes, assumed, tmp_path):
    run = trainer(NAME, rule_options=options, epochs=2, **changes)
    result = run.run(tmp_path, "toy", lambda *_: None, lambda *_: None)
    assert result["history"][-1]["test_accuracy"] > 0.8  # chance is 0.25
    meter = result["meter"]
    assert meter.assumed.startswith(assumed)
    assert meter.writes == sum(meter.writes_by_layer) > meter.first_writes
    assert len(meter.pulses) == 2 + 2 * len(run.settings.device.widths)


@pytest.mark.parametrize(
    ("of_card", "options", "traits", "message"),
    [
        (lattice(), {"pulses": "fractional", "tiles": 2}, {}, "rule_options.tiles: found 2, allowed: 1 with pulses: "),
        (
            lattice(),
            {"pulses": "ladder", "mean_step": "both"},
            {"widths": [0.5]},
            "mean_step: found both, allowed: dir",
        ),
        (lattice(), {"pulses": "ladder"}, {}, "found 1 pulses that raise the conductance and 1 that lower it, allo"),
        (lattice(), {}, {"widths": [0.5]}, "pulses.csv: found 4 pulses, allowed: one that raises"),
        (
            lattice(),
            {"pulses": "ladder"},
            {"between": 3},
            "network.device.between: found 3, allowed: 0, because neither direction",
        ),
    ],
)
def test_errors(of_card, options, traits, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, of_card, options, None, traits)


def test_half_selected_cells_are_refused_with_fractions():
    section = {**SECTION, "rule": NAME, "batch_size": 1, "normalisation": "none", "array": {"half_select": 0.5}}
    settings.check(section)
    with pytest.raises(UserError, match="half_select: found 0.5, allowed: null with pulses: fractional for stochastic"):
        settings.check({**section, "rule_options": {"pulses": "fractional"}})


def test_dense_plans_of_uneven_trains_agree(tmp_path):
    """`plan` lists what the trains of both signs meet."""
    of_rule = rule(NAME, uneven())
    train = of_rule.trains(random_words.stream(5, "t"), jnp.int32(3), X, ERROR * 30, jnp.float32(RATE))
    plan = pulse_trains.plan(train, 1)
    rows, columns, falls = (np.asarray(field) for field in (train.rows, train.columns, train.falling_rows))
    met = (rows[:, None] & np.where(falls[:, None], columns[1], columns[0])) != 0
    np.testing.assert_array_equal(plan.mask[0], met)
    assert met.any()
