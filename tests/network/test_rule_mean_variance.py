"""Mean-variance probability: exact binomial measurements, the published gradient, and what each number costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from calibration.sources import library
from calibration.sources.parametric.cards import make
from calibration.sources.parametric.config import Parametric
from network.model.architecture import Layer
from network.model.layers import Noise
from network.rules.base import Signals
from network.rules.mean_variance_probability import FLOOR, Wires
from network.synapse import random_words
from network.synapse.measurement import measure
from network.training import settings
from spinloom.errors import UserError
from tests.network.rule_cards import SURE, bound, context, enough, fits, junction, proposed, quick_compile, rule, start  # noqa: F401

NAME = "mean_variance_probability"
CARD = library.card("ellis_gate")
BATCH, INPUTS, OUTPUTS = 6, 9, 4
A = 0.97813
random = np.random.default_rng(8)
CONTROL = random.normal(0, 1.5, (1, INPUTS, OUTPUTS)).astype(np.float32)
BINARY = (random.random((BATCH, INPUTS)) < 0.6).astype(np.float32)
GREY = random.random((BATCH, INPUTS)).astype(np.float32)
ERRORS = random.normal(size=(BATCH, OUTPUTS)).astype(np.float32)  # dL/dout

measured = jax.jit(measure, static_argnums=3)


def column(of_rule, key=None, **more):
    """Return the compiled product ``(controls, x, step) -> columns`` of one layer."""
    layer, key = Layer(INPUTS, OUTPUTS, **more), random_words.stream(3, "reads") if key is None else key

    def read(control, x, step, kind=None):
        return of_rule.product(layer, x, Wires(control, kind), Noise(key, step))

    return jax.jit(read)


@pytest.mark.parametrize("number", [1, 3, 8, 16, 17, 32, 40, 128, 1000])
def test_measurements_are_exactly_binomial(number):
    """Chi-square per probability, false alarms 0.01 % in all, fixed seeds; 0 and 1 are certain."""
    p = np.array([0.0, 0.02, 0.5, 0.978, 1.0])
    wide = np.tile(p.astype(np.float32), (6000, 4))
    got = np.asarray(measured(random_words.stream(2, "measure", number), 0, wide, number)).reshape(-1, 5) * number
    counts = np.round(got).astype(int)
    np.testing.assert_allclose(got, counts, atol=1e-4)
    assert not counts[:, 0].any() and np.all(counts[:, 4] == number)
    assert enough([
        fits(np.bincount(counts[:, k], minlength=number + 1), stats.binom.pmf(np.arange(number + 1), number, p[k]))
        for k in (1, 2, 3)
    ])  # fmt: skip


@pytest.mark.parametrize("number", [1, 3, 40, 128, 1000])
def test_measurements_are_independent(number):
    """Neighbours, rows, steps, streams and the words within one cell: correlations below 0.01 % in all, fixed seed."""
    wide, key = np.full((400, 60), 0.5, np.float32), random_words.stream(2, "cells")
    one, later, other = (
        np.asarray(measured(k, step, wide, number)) for k, step in ((key, 0), (key, 1), (key ^ jnp.uint32(1), 0))
    )
    pairs = [(one[:, 1:], one[:, :-1]), (one[1:], one[:-1]), (one, later), (one, other), (later[1:], one[:-1])]
    correlation = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert np.all(np.abs(correlation) < bound(len(pairs)) / np.sqrt(wide.size - 400))
    # were the measurements of one cell alike, their sum would spread more: sd of a sample variance
    variance, size = np.var(one * number), wide.size
    assert abs(variance / (number / 4) - 1) < bound() * np.sqrt((2 - 2 / number) / size + 1e-9) + 1e-4


@pytest.mark.parametrize(
    ("x", "number", "signed", "coding"),
    [
        (BINARY, 1, False, "rate"),
        (BINARY, 8, True, "rate"),
        (GREY, 20, False, "rate"),
        (GREY, 1, True, "amplitude"),
        (GREY, 20, False, "amplitude"),
    ],
)
def test_mean_and_variance_of_a_column(x, number, signed, coding):
    """E[out] = mu and Var[Y] = sum P (1 - P) / N, or sum x^2 p (1 - p) / N, over 4000 measurements.

    False alarms 0.01 % each, fixed seed.
    """
    of_rule = rule(NAME, CARD, {"measurements": number, "signed": signed, "input_coding": coding})
    control = np.concatenate([CONTROL, -0.5 * CONTROL]) if signed else CONTROL
    repeats = 4000
    read = column(of_rule)
    many = jnp.asarray(np.tile(x, (repeats // 8, 1)))
    out = np.concatenate([np.asarray(read(control, many, step)) for step in range(8)]).reshape(repeats, *ERRORS.shape)
    p = 1 - A * expit(-control.astype(float))
    fires = x[None, :, :, None] * p[:, None]
    sign = np.array([1, -1][: len(p)])[:, None, None]
    each = fires * (1 - fires) if coding == "rate" else x[None, :, :, None] ** 2 * (p * (1 - p))[:, None]
    mean, variance = (sign * fires.sum(axis=2)).sum(axis=0), each.sum(axis=2).sum(axis=0) / number
    assert np.all(np.abs(out.mean(axis=0) - mean) < bound(mean.size) * np.sqrt(variance / repeats))
    # a sum of many near-independent bits: the kurtosis is near a normal's, and is left its own for one bit
    square = (out - mean) ** 2
    assert np.all(np.abs(square.mean(axis=0) - variance) < bound(mean.size) * square.std(axis=0) / np.sqrt(repeats))
    if coding == "rate":
        np.testing.assert_allclose(out * number, np.round(out * number), atol=1e-3)  # counts, whatever the formula


@pytest.mark.long
@pytest.mark.parametrize("number", [1, 20])
def test_codings_agree_where_inputs_are_zero_or_one(number):
    """To the bit, noise of the reads and differing wires included; grey inputs part them."""
    card = wires(40, {"read_noise_relative": 0.2}, conductance_max_relative_sd=0.1)
    rules = [rule(NAME, card, {"measurements": number, "input_coding": coding}) for coding in ("rate", "amplitude")]
    kind = start(rules[0], (INPUTS, OUTPUTS))[0].kind[0]
    for x, same in ((BINARY, True), (GREY, False)):
        rate, amplitude = (np.asarray(column(r)(CONTROL, x, 0, kind)) for r in rules)
        assert np.array_equal(rate, amplitude) == same


def gradient(control, x, out, number, coding="rate"):
    """Return the published gradient, float64, of sum(ERRORS * out) with respect to b (w - w0).

    For amplitudes: that of the same formula with sigma^2 = sum x^2 p (1 - p) / N + 1e-4.
    """
    s = expit(control.astype(float))
    p, slope = 1 - A * (1 - s), A * s * (1 - s)  # dp/d(b w) = a s (1 - s)
    wide = x[:, :, None].astype(float)
    fires = wide * p
    each = fires * (1 - fires) if coding == "rate" else wide**2 * p * (1 - p)
    sigma = np.sqrt(each.sum(axis=1) / number + 1e-4)
    epsilon = (out - fires.sum(axis=1)) / sigma
    leans = 1 - 2 * fires if coding == "rate" else wide * (1 - 2 * p)
    noise = 1 + epsilon[:, None, :] * leans / (2 * number * sigma[:, None, :])
    return (ERRORS[:, None, :] * slope * wide * noise).sum(axis=0)


def forward(control, x, noise, number, coding="rate"):
    """Return the published forward pass written with square roots of sums, given the noise that has happened."""
    p = (1 - A) + A * jax.nn.sigmoid(control)
    fires = x[:, :, None] * p[None]
    each = fires * (1 - fires) if coding == "rate" else jnp.square(x)[:, :, None] * (p * (1 - p))[None]
    return fires.sum(1) + noise * jnp.sqrt((each / number).sum(1) + 1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    ("x", "number", "coding"),
    [(BINARY, 1, "rate"), (BINARY, 40, "rate"), (GREY, 3, "rate"), (GREY, 1, "amplitude"), (GREY, 40, "amplitude")],
)
def test_gradient_is_the_published_one(x, number, coding):
    """Against the formula and autograd of an independent forward in double precision, to 1e-6 of the largest entry."""
    of_rule = rule(NAME, CARD, {"measurements": number, "input_coding": coding})
    assert FLOOR == 1e-4
    read = column(of_rule)
    out, back = jax.vjp(lambda control: read(control, x, 0), CONTROL)
    found = np.asarray(back(jnp.asarray(ERRORS))[0])[0]
    formula = gradient(CONTROL[0], x, np.asarray(out, float), number, coding)
    np.testing.assert_allclose(found, formula, atol=1e-6 * np.abs(formula).max(), rtol=0)
    with jax.enable_x64(True):
        c, wide, y = jnp.asarray(CONTROL[0], jnp.float64), jnp.asarray(x, jnp.float64), jnp.asarray(out, jnp.float64)
        sigma = forward(c, wide, 1.0, number, coding) - forward(c, wide, 0.0, number, coding)
        noise = (y - forward(c, wide, 0.0, number, coding)) / sigma
        np.testing.assert_allclose(forward(c, wide, noise, number, coding), y, rtol=1e-12, atol=1e-12)
        same = jax.grad(lambda control: jnp.sum(ERRORS * forward(control, wide, noise, number, coding)))(c)
    np.testing.assert_allclose(found, same, atol=1e-6 * np.abs(formula).max(), rtol=0)


def test_without_end_of_measurements_only_the_mean_is_left():
    of_rule = rule(NAME, CARD, {"measurements": None})
    out, back = jax.vjp(lambda control: column(of_rule)(control, BINARY, 0), CONTROL)
    p = 1 - A * expit(-CONTROL[0].astype(float))
    np.testing.assert_allclose(out, BINARY @ p, rtol=1e-6)
    exact = gradient(CONTROL[0], BINARY, BINARY @ p, 10**12)
    np.testing.assert_allclose(back(jnp.asarray(ERRORS))[0][0], exact, atol=1e-6 * np.abs(exact).max(), rtol=0)


def test_the_variance_is_trained_as_it_is():
    """The squared error about the mean has the mean sum P (1 - P) / N: its gradient hardens, 8 times less at N = 8.

    Projected on the wanted gradient; the error is that of the columns' means over the batch, at 0.01 % false alarms.
    """
    batch, x = 4000, np.ones((4000, INPUTS), np.float32)
    p = 1 - A * expit(-CONTROL[0].astype(float))
    slope = A * expit(CONTROL[0].astype(float)) * expit(-CONTROL[0].astype(float))
    target = jnp.asarray(x @ p, jnp.float32)
    for number in (1, 8):
        read = column(rule(NAME, CARD, {"measurements": number}))
        loss = jax.grad(lambda control, read=read: jnp.sum(jnp.mean((read(control, x, 0) - target) ** 2, axis=0)))
        found, wanted = np.asarray(loss(CONTROL))[0], slope * (1 - 2 * p) / number
        ratio = np.sum(found * wanted) / np.sum(wanted**2)
        noise = 2 * np.sqrt((p * (1 - p)).sum(axis=0) / number / batch)
        error = np.sqrt(np.sum((noise * (slope * wanted).sum(axis=0)) ** 2)) / np.sum(wanted**2)
        assert error < 0.1 and abs(ratio - 1) < bound(2) * error


def test_scaled_and_signed_columns():
    plain, scaled = (
        rule(NAME, CARD, {"measurements": None, "signed": True, "scale_columns": s}) for s in (False, True)
    )
    both = np.concatenate([CONTROL, 2 * CONTROL])
    p = 1 - A * expit(-both.astype(float))
    np.testing.assert_allclose(column(plain)(both, GREY, 0), GREY @ (p[0] - p[1]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        column(scaled, weight_range=2.5)(both, GREY, 0),
        2.5 * np.sqrt(3 / INPUTS) * GREY @ (p[0] - p[1]),
        rtol=1e-5,
        atol=1e-5,
    )


def test_wires_of_a_weight_are_measured_apart():
    """Equal controls: the difference of two wires has twice the variance of one, not none. False alarms 0.01 %."""
    of_rule = rule(NAME, CARD, {"measurements": 1, "signed": True})
    x = np.ones((4000, INPUTS), np.float32)
    out = np.asarray(column(of_rule)(np.zeros((2, INPUTS, OUTPUTS), np.float32), x, 0))
    p = 1 - A / 2
    assert abs(out.var() / (2 * INPUTS * p * (1 - p)) - 1) < bound() * np.sqrt(2 / out.size)


def wires(instances=40, electrical=None, **population):
    """Return a card of `CARD`'s law whose wires differ: by 3 % in their thresholds unless told otherwise."""
    section = library.recipe("ellis_gate").dump()
    own = {"instances": instances, **({"by_instance": True, "parameters_relative_sd": {"w0": 0.03}} | population)}
    section |= {"electrical": section["electrical"] | (electrical or {}), "population": own}
    return make(Parametric.parse(section, "w"), 5, "w")


@pytest.mark.long
def test_each_wire_passes_by_its_own_law():
    """Means of 4096 measurements against the exact law of each wire's own threshold; false alarms 0.01 %."""
    card, size = wires(), 600
    of_rule = rule(NAME, card, {"measurements": 4096})
    memory, _ = start(of_rule, (1, size))
    kind = memory.kind[0]
    assert np.all(np.asarray(kind) % 3 == 0) and len(np.unique(kind)) == 40  # none is stuck, all instances are used
    own = card.extras["by_instance"].query("state_from == 0 and state_to == 1").pivot(
        index="instance", columns="pulse", values="probability"
    ).to_numpy()  # fmt: skip
    at = card.pulses["pulse"][7]  # its drive is the threshold of the mean wire
    control = np.random.default_rng(2).uniform(-3, 3, (1, 1, size)).astype(np.float32)
    # from p at the mean threshold back to the wire's own; the law is exact, the tables are linear between 16 drives
    moved = -np.log((1 - own[:, at]) / (A - (1 - own[:, at])))[np.asarray(kind)[0, 0] // 3]
    exact = 1 - A * expit(-(control[0, 0].astype(float) + moved))
    layer = Layer(1, size)
    found = of_rule.product(
        layer, np.ones((1, 1), np.float32), Wires(control, kind), Noise(random_words.stream(4, "r"), 0)
    )
    noise = bound(size) * np.sqrt(exact * (1 - exact) / 4096)
    error, common = (np.abs(p - exact) for p in (np.asarray(found)[0], 1 - A * expit(-control[0, 0])))
    assert np.all(error < noise + 0.007)
    assert 5 * error.mean() < common.mean()  # and not by the law of all
    # at the card's drives nothing is interpolated
    scaled = np.broadcast_to(of_rule.knots, (40, 16))
    kinds = np.broadcast_to(3 * np.arange(40)[:, None], scaled.shape)
    np.testing.assert_allclose(of_rule.passing_of(scaled, kinds), own, atol=2e-6)


@pytest.mark.long
def test_wires_that_differ_are_trained_by_the_common_law():
    """The gradient is the published one with the noise that has happened, to which the differences belong."""
    card = wires(conductance_max_relative_sd=0.1)
    for number in (1, 40):
        of_rule = rule(NAME, card, {"measurements": number})
        kind = start(of_rule, (INPUTS, OUTPUTS))[0].kind[0]
        read = column(of_rule)
        out, back = jax.vjp(lambda control, read=read, kind=kind: read(control, GREY, 0, kind), CONTROL)
        found = np.asarray(back(jnp.asarray(ERRORS))[0])[0]
        formula = gradient(CONTROL[0], GREY, np.asarray(out, float), number)
        np.testing.assert_allclose(found, formula, atol=1e-5 * np.abs(formula).max(), rtol=0)


def test_wires_conduct_what_their_devices_do():
    """Without end of measuring: the sum over the wires of what each adds when pinned and when passed."""
    spread = {"conductance_max_relative_sd": 0.1, "conductance_min_relative_sd": 0.1}
    card = wires(by_instance=False, parameters_relative_sd={}, **spread)
    of_rule = rule(NAME, card, {"measurements": None})
    kind = start(of_rule, (INPUTS, OUTPUTS))[0].kind[0]
    offset = card.population["conductance_offset_S"].to_numpy()[np.asarray(kind)[0] // 3] / 1e-4  # in passed - pinned
    p = 1 - A * expit(-CONTROL[0].astype(float))
    np.testing.assert_allclose(column(of_rule)(CONTROL, GREY, 0, kind), GREY @ (p + offset), rtol=1e-5, atol=1e-5)
    assert np.abs(GREY @ offset).max() > 0.02
    alone = rule(NAME, card, {"measurements": None}, device_options={"device_to_device": False})
    assert alone.alike and start(alone, (INPUTS, OUTPUTS))[0].kind is None


@pytest.mark.parametrize(("number", "coding"), [(1, "rate"), (20, "rate"), (1, "amplitude"), (20, "amplitude")])
def test_reads_are_noisy(number, coding):
    """Each measurement adds the variance of the state that is read; rows without input none. False alarms 0.01 %.

    An amplitude of a half reads a quarter of the variance.
    """
    relative, within = 0.3, 0.2
    electrical = {"read_noise_relative": relative, "conductance_relative_sd": within}
    card = wires(1, electrical, by_instance=False, parameters_relative_sd={})
    options = {"measurements": number, "input_coding": coding}
    of_rule = rule(NAME, card, options)
    quiet = rule(NAME, card, options, device_options={"read_noise": False, "within_state_spread": False})
    half = 0.5 if coding == "amplitude" else 1
    x = np.tile(half * np.array([1, 1, 0, 1, 1, 1, 0, 1, 1], np.float32), (3000, 1))
    with_noise, without = (np.asarray(column(r)(CONTROL, x, 1)) for r in (of_rule, quiet))  # same wires fire
    p = (1 - A * expit(-CONTROL[0].astype(float)))[x[0] > 0]
    # conductances are 1 and 2 in units of their difference
    power = x[0][x[0] > 0, None] ** 2
    variance = (relative**2 + within**2) * (power * ((1 - p) + 4 * p)).sum(axis=0) / number
    difference = with_noise - without
    assert np.all(np.abs(difference.mean(axis=0)) < bound(OUTPUTS) * np.sqrt(variance / len(x)))
    ratio = difference.var(axis=0) / variance
    assert np.all(np.abs(ratio - 1) < bound(OUTPUTS) * np.sqrt(2.2 / len(x)))
    dark = np.asarray(column(of_rule)(CONTROL, 0 * x, 1))
    np.testing.assert_array_equal(dark, 0)


@pytest.mark.long
def test_stuck_wires_stay_as_they_were_made():
    """Share and states of the stuck are binomial (0.01 %), and whatever the control, they do not move."""
    share, shape = 0.3, (60, 50)
    of_rule = rule(NAME, CARD, {"measurements": 3}, device_options={"stuck_fraction": share})
    kind = start(of_rule, shape)[0].kind[0]
    stuck = np.asarray(kind)[0] % 3
    passed = of_rule.device.occupancy[1]
    assert enough([
        stats.binomtest(int((stuck > 0).sum()), stuck.size, share).pvalue,
        stats.binomtest(int((stuck == 2).sum()), int((stuck > 0).sum()), float(passed)).pvalue,
    ])  # fmt: skip
    x, noise = np.eye(60, dtype=np.float32), Noise(random_words.stream(6, "r"), 0)
    for control, free in ((-30.0, 1 - A), (30.0, 1.0)):
        value = np.full((1, *shape), control, np.float32)
        many = np.stack(
            [of_rule.product(Layer(*shape), x, Wires(value, kind), noise._replace(step=s)) for s in range(9)]
        )
        np.testing.assert_allclose(many[:, stuck == 1], 0)
        np.testing.assert_allclose(many[:, stuck == 2], 1)
        moving = many[:, stuck == 0]
        assert abs(moving.mean() - free) < bound() * np.sqrt(free * (1 - free) / 3 / moving.size) + 1e-6


def test_controls_start_at_the_threshold_and_move_by_gain_times_the_step():
    shape, gain = (30, 20), 2.72741
    of_rule = rule(NAME, CARD, {"gain": gain}, {"name": "sgd", "learning_rate": 0.5})
    memory, plans = start(of_rule, shape)
    assert plans is None and not np.asarray(memory.control[0]).any()
    np.testing.assert_allclose(of_rule.passing(memory.control[0]), 1 - A / 2, rtol=1e-6)
    slope = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    after, none = proposed(of_rule, memory, None, Signals((slope,)), context())
    assert none is None
    np.testing.assert_allclose(after.control[0], -0.5 * gain * slope, rtol=1e-6)
    # in the units of w, here tesla: the law of the card has b = 2727 per tesla
    wide, _ = start(rule(NAME, CARD, {"initial_spread": 1e-3}), shape)
    assert 0.95 * 2.72741 < np.abs(wide.control[0]).max() <= 2.72741


def test_clocks_memory_and_reads_are_counted():
    of_rule = rule(NAME, CARD, {"measurements": 8, "signed": True}, {"name": "adam"})
    memory, _ = start(of_rule, (5, 4))
    assert of_rule.memory_bits(memory) == {"controls": 40 * 32, "optimizer": 80 * 32}
    clocks = np.array(of_rule.clocks(memory))
    # all at the threshold, which the card has a pulse for: its eighth
    assert clocks.sum() == 8 * 40 == clocks[7] and of_rule.costs.reads_per_product == 8 and len(of_rule.mix) == 2


@pytest.mark.parametrize(
    ("card", "options", "message"),
    [
        (junction(SURE, SURE), {}, "card.json: flags.volatile: found false, allowed: true for mean_variance"),
        (library.card("pbit"), {}, "card.json: laws: found no law 'passing', allowed for mean_variance_probability: "),
        (CARD, {"measurements": 0}, "network.rule_options.measurements: found 0, allowed: at least 1"),
        (CARD, {"measurements": 2.5}, "network.rule_options.measurements: found 2.5, allowed: integer or null"),
        (CARD, {"signed": 2}, "network.rule_options.signed: found 2, allowed: boolean"),
        (CARD, {"gain": 0}, "network.rule_options.gain: found 0, allowed: at least 1e-6"),
        (
            CARD,
            {"initial_spread": 0.4},
            "initial_spread: found 0.4, allowed: 0 to 0.00367, which is 10 widths of the card's law",
        ),
    ],
)
def test_errors(card, options, message):
    with pytest.raises(UserError, match=message):
        rule(NAME, card, options)


def test_convolutions_are_refused():
    layer = Layer(9, 4, kernel=3, image=(4, 4, 1))
    with pytest.raises(UserError, match="network.layers: found a convolution, allowed: dense layers"):
        rule(NAME, CARD).product(layer, BINARY, Wires(CONTROL), Noise(random_words.stream(1, "r"), 0))


@pytest.mark.parametrize("changes, message", [
    ({"input": {"range": "signed"}}, "network.input.range: found 'signed', allowed: unit, binary"),
    ({"layers": [64, 5, 10]}, "network.activation: found 'relu', allowed: sigmoid"),
])  # fmt: skip
def test_inputs_must_be_probabilities(changes, message):
    section = {
        "dataset": "digits", "layers": [64, 10], "rule": "mean_variance_probability", "seed": 1,
        "epochs": 1, "batch_size": 100, "validation_images": 10, **changes,
    }  # fmt: skip
    with pytest.raises(UserError, match=message):
        settings.check(section)
