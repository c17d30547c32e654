"""The network's parts against explicit arithmetic: layers from the config, products, pooling, activations, losses."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.config import Training
from network.model import activations, layer_stack, layers, optimizers
from network.model.architecture import Architecture, Layer, parse
from network.model.layers import EPSILON, MOMENTUM, Noise, Synapses, converted, driven, in_groups, pool, read
from network.sections import Converters, Optimizer
from network.synapse import random_words
from spinloom.errors import UserError

QUIET = Noise(random_words.stream(1, "quiet"), 0)


def uniform(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def im2col(x, kernel, padded):
    """Return the windows of pictures, float32[batch, rows, columns, kernel * kernel * channels]."""
    if padded:
        before = (kernel - 1) // 2
        x = np.pad(x, ((0, 0), *[(before, kernel - 1 - before)] * 2, (0, 0)))
    rows, columns = x.shape[1] - kernel + 1, x.shape[2] - kernel + 1
    windows = [x[:, i : i + kernel, j : j + kernel].reshape(len(x), -1) for i in range(rows) for j in range(columns)]
    return np.stack(windows, axis=1).reshape(len(x), rows, columns, -1)


def test_lists_of_layers():
    assert parse([784, 128, "10"], (28, 28, 1)) == (
        Layer(784, 128, image=(1, 1, 784)), Layer(128, 10, image=(1, 1, 128)),
    )  # fmt: skip
    assert parse(["784", 10], (28, 28, 1)) == parse([784, 10], (28, 28, 1))
    first, second, third = parse(["28x28x1", "32C5", "MP2", "64C3p", "MP2", 10], (28, 28, 1))
    assert (first.shape, first.places, first.uses, first.pool) == ((25, 32), (24, 24), 576, 2)
    assert (second.shape, second.places, second.image, second.pool) == ((9 * 32, 64), (12, 12), (12, 12, 32), 2)
    assert (third.shape, third.uses, third.kernel) == ((6 * 6 * 64, 10), 1, 0)
    assert parse(["4x4x1", 10], (4, 4, 1))[0].shape == (16, 10)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([100, 10], "here: found 100 inputs, allowed: 64 or 8x8x1 for this data set"),
        (["8x8x3", 10], "here: found 8x8x3 inputs, allowed: 64 or 8x8x1"),
        (["8x8x1", "4C9", 10], "here[1]: found 4C9, allowed: windows of 1 to 8 here"),
        (["8x8x1", "4C0", 10], "here[1]: found 4C0, allowed: windows"),
        (["8x8x1", "0C3", 10], "here[1]: found 0C3, allowed: windows"),
        (["8x8x1", "4C3", "MP4", 10], "here[2]: found MP4, allowed: a side that divides 6 and 6"),
        (["8x8x1", "4C3", "MP1", 10], "here[2]: found MP1, allowed: a side that divides"),
        (["8x8x1", "MP2", 10], "here[1]: found MP2, allowed: a width; before the first width also convolutions"),
        (["8x8x1", "4C3", "MP2", "MP3", 10], "here[3]: found MP3, allowed: a width"),
        (["8x8x1", 20, "4C1", 10], "here[2]: found 4C1, allowed: a width"),
        ([64, "4C3", 10], "here[1]: found 4C3, allowed: a width"),
        ([64, "ten"], "here[1]: found ten, allowed: a width"),
        ([64, 0], "here[1]: found 0, allowed: a width"),
        ([64, -3], "here[1]: found -3, allowed: a width"),
        ([64], "here: found [64], allowed: a list of at least two entries"),
    ],
)
def test_layers_that_cannot_be(entries, message):
    with pytest.raises(UserError) as error:
        parse(entries, (8, 8, 1), "here")
    assert message in str(error.value)


@pytest.mark.parametrize(("kernel", "padded"), [(3, False), (3, True), (2, True)])
def test_a_convolution_is_the_product_of_its_windows(kernel, padded):
    layer = parse(["5x6x2", f"4C{kernel}{'p' * padded}", 10], (5, 6, 2))[0]
    x, weight = uniform(1, 3, 5, 6, 2), uniform(2, *layer.shape)
    found = read(jnp.asarray(x), Synapses(jnp.asarray(weight)), layer, QUIET)
    assert found.shape == (3, *layer.places, 4)
    np.testing.assert_allclose(found, layer.scale * im2col(x, kernel, padded) @ weight, atol=1e-5)


def test_noise_of_a_convolution_has_the_variance_of_its_windows():
    """Relative sd of a sample sd is 1 / sqrt(2 n) = 0.0112: 5 standard deviations, 32 values, false alarms < 1e-4."""
    layer = parse(["3x3x1", "2C2", 10], (3, 3, 1))[0]
    x, sd = uniform(1, 1, 3, 3, 1), np.abs(uniform(2, *layer.shape))
    for variance in (sd**2, np.float32(0.09)):
        synapses = Synapses(jnp.zeros(layer.shape), jnp.asarray(variance))
        drawn = np.asarray(read(jnp.asarray(np.repeat(x, 4000, axis=0)), synapses, layer, QUIET))
        expected = np.sqrt(im2col(x, 2, False) ** 2 @ np.broadcast_to(variance, layer.shape) * 3 / layer.inputs)
        np.testing.assert_allclose(drawn.std(axis=0), expected[0], rtol=5 * 0.0112)
        # places and columns have noise of their own: Pearson's r below 5 / sqrt(4000)
        flat = drawn.reshape(4000, -1)
        r = np.corrcoef(flat.T) - np.eye(8)
        assert np.abs(r).max() < 5 / np.sqrt(4000)


@pytest.mark.long
@pytest.mark.parametrize("variance", ["none", "one", "each"])
@pytest.mark.parametrize("step", ["", "s2"])
def test_images_in_parts_are_read_as_all_at_once(step, variance, monkeypatch):
    """Currents with their noise, and gradients of both factors: the same random numbers, another order of sums."""
    layer = parse(["6x6x2", f"4C3p{step}", 10], (6, 6, 2))[0]
    x, weight = (jnp.asarray(uniform(seed, *shape)) for seed, shape in ((1, (12, 6, 6, 2)), (2, layer.shape)))
    noise = {"none": None, "one": jnp.float32(0.1), "each": jnp.asarray(uniform(3, *layer.shape) ** 2)}[variance]
    out = jnp.asarray(uniform(4, 12, *layer.places, 4))

    def both(images):
        monkeypatch.setattr(layers, "WINDOWS", images * layer.uses * layer.inputs)
        product = lambda x, weight: read(x, Synapses(weight, noise), layer, QUIET)  # noqa: E731
        found, back = jax.vjp(product, x, weight)
        return layers.together(len(x), layer), (found, *back(out))

    (few, parts), (whole, once) = both(5), both(12)
    assert (few, whole) == (4, 12)
    for one, other in zip(parts, once, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_a_batch_without_a_divisor_that_fills_the_cache_stays_whole(monkeypatch):
    layer = parse(["6x6x2", "4C3p", 10], (6, 6, 2))[0]
    monkeypatch.setattr(layers, "WINDOWS", 100 * layer.uses * layer.inputs)
    assert [layers.together(batch, layer) for batch in (90, 100, 101, 202, 300, 505)] == [90, 100, 101, 202, 100, 505]
    monkeypatch.setattr(layers, "WINDOWS", 1)  # an image alone is larger
    assert layers.together(500, layer) == 1
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert layers.together(500, layer) == 500


def test_pooling():
    x = uniform(3, 2, 4, 6, 3)
    expected = x.reshape(2, 2, 2, 3, 2, 3).max(axis=(2, 4))
    np.testing.assert_array_equal(pool(jnp.asarray(x), 2), expected)
    assert np.asarray(pool(jnp.asarray(x), 2))[1, 0, 2, 1] == x[1, 0:2, 4:6, 1].max()


@pytest.mark.parametrize(
    ("name", "x", "value", "slope"),
    [
        # +1 from 1 on, -1 up to -1; the surrogate is 1 strictly inside 0.5 to 1.5
        ("ternary", [-2, -1.5, -1, -0.75, -0.5, 0, 0.5, 0.75, 1, 1.49, 1.5], [-1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1],
         [0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0]),
        # 0 is positive; the gradient passes where the clip to -1 to 1 does
        ("binary", [-1.01, -1, -0.1, 0, 0.3, 1, 1.01], [-1, -1, -1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 0]),
        ("relu", [-1, 2], [0, 2], [0, 1]),
        ("tanh", [0.5], [np.tanh(0.5)], [1 - np.tanh(0.5) ** 2]),
        ("sigmoid", [0.5], [1 / (1 + np.exp(-0.5))], [np.exp(-0.5) / (1 + np.exp(-0.5)) ** 2]),
    ],
)  # fmt: skip
def test_activations_and_their_gradients(name, x, value, slope):
    function, x = activations.REGISTRY[name], jnp.asarray(x, jnp.float32)
    np.testing.assert_allclose(function(x), value, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.grad(function))(x), slope, atol=1e-6)


def test_names_of_activations():
    assert tuple(activations.REGISTRY) == get_args(Training.model_fields["activation"].annotation)


def test_losses_by_hand():
    scores, labels = jnp.asarray([[0.5, -2.0, 0.2], [1.5, 0.0, -1.0]]), jnp.asarray([0, 2])
    # targets 1, -1, -1 and -1, -1, 1: max(0, 1 - t s)^2
    first = 0.5**2 + 0 + 1.2**2
    second = 2.5**2 + 1.0**2 + 2.0**2
    assert float(layer_stack.loss(scores, labels, "squared_hinge")) == pytest.approx(
        (first + second) / 2, rel=1e-6, abs=0
    )
    entropy = [-np.log(np.exp(row[k]) / np.exp(row).sum()) for row, k in zip(np.asarray(scores), (0, 2), strict=True)]
    assert float(layer_stack.loss(scores, labels)) == pytest.approx(np.mean(entropy), rel=1e-6, abs=0)


def forward(net, weights, x, training, model=None, probes=None):
    def product(number, x, weight):
        return read(x, Synapses(weight), net.layers[number], QUIET)

    return layer_stack.forward(net, product, weights, model or layer_stack.init(net), x, training, probes)


@pytest.mark.long
def test_a_whole_network_by_hand():
    """Convolution, maximum, batch normalisation over places and pictures, activation, dense layer."""
    net = Architecture((4, 4, 1), parse(["4x4x1", "3C3", "MP2", 4], (4, 4, 1)), "tanh")
    x, weights = uniform(4, 6, 4, 4, 1), tuple(uniform(5 + i, *shape) for i, shape in enumerate(net.shapes))
    scores, statistics, inputs = forward(net, tuple(map(jnp.asarray, weights)), jnp.asarray(x), True)

    columns = np.sqrt(3 / 9) * im2col(x, 3, False) @ weights[0]
    columns = columns.max(axis=(1, 2), keepdims=True)
    mean, variance = columns.mean((0, 1, 2)), columns.var((0, 1, 2))
    hidden = np.tanh((columns - mean) / np.sqrt(variance + EPSILON)).reshape(6, 3)
    last = np.sqrt(3 / 3) * hidden @ weights[1]
    np.testing.assert_allclose(scores, (last - last.mean(0)) / np.sqrt(last.var(0) + EPSILON), atol=1e-4)
    np.testing.assert_allclose(statistics[0].mean, (1 - MOMENTUM) * mean, atol=1e-6)
    np.testing.assert_allclose(statistics[0].variance, MOMENTUM + (1 - MOMENTUM) * variance, atol=1e-6)
    np.testing.assert_allclose(inputs[1], hidden, atol=1e-5)

    plain = Architecture((4, 4, 1), net.layers, "tanh", normalisation="none")
    model = layer_stack.init(plain)
    model = model._replace(norms=(model.norms[0]._replace(bias=jnp.asarray([0.1, 0.2, 0.3])), model.norms[1]))
    scores, statistics, _ = forward(plain, tuple(map(jnp.asarray, weights)), jnp.asarray(x), True, model)
    assert statistics == (None, None)
    expected = np.tanh(columns.reshape(6, 3) + [0.1, 0.2, 0.3]) @ weights[1]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.long
def test_errors_at_the_probes_are_those_of_the_columns():
    """The gradient of a dense layer is the outer product of its inputs and its columns' errors, times the scale."""
    net = Architecture((1, 1, 5), parse([5, 7, 3], (1, 1, 5)))
    x, labels = jnp.asarray(uniform(6, 8, 1, 1, 5)), jnp.asarray([0, 1, 2, 0, 1, 2, 0, 1])
    weights = tuple(jnp.asarray(uniform(7 + i, *shape)) for i, shape in enumerate(net.shapes))

    def objective(weights, probes):
        scores, _, inputs = forward(net, weights, x, True, probes=probes)
        return layer_stack.loss(scores, labels), inputs

    zero = tuple(jnp.zeros((8, layer.outputs)) for layer in net.layers)
    (gradients, errors), inputs = jax.grad(objective, argnums=(0, 1), has_aux=True)(weights, zero)
    for layer, gradient, entered, error in zip(net.layers, gradients, inputs, errors, strict=True):
        expected = np.sqrt(3 / layer.inputs) * np.asarray(entered).T @ np.asarray(error)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_converters_stand_before_and_behind_the_array():
    layer, x, weight = Layer(6, 3), np.abs(uniform(8, 20, 6)), uniform(9, 6, 3)
    synapses = Synapses(jnp.asarray(weight))

    def column(first=False, **bits):
        both = Converters(**bits)
        current = read(driven(jnp.asarray(x), both, first, signed=True), synapses, layer, QUIET)
        return np.asarray(converted(current, both))

    ideal = column()
    np.testing.assert_allclose(ideal, np.sqrt(3 / 6) * x @ weight, atol=1e-6)
    # 2 signed bits: -F, 0, F; the threshold between them is F / 2
    full = np.where(x > 0.5, 1.0, 0.0)
    np.testing.assert_allclose(column(True, dac_bits=2), np.sqrt(3 / 6) * full @ weight, atol=1e-6)
    assert np.all(column(dac_bits=2, dac_full_scale=4.0) == 0)  # hidden values below half of full scale
    levels = column(adc_bits=3, adc_full_scale=1.5)
    assert set(np.round(np.unique(levels) / 0.5, 5)) <= {-3, -2, -1, 0, 1, 2, 3} and len(np.unique(levels)) > 3
    assert np.abs(levels - np.clip(ideal, -1.5, 1.5)).max() <= 0.25 + 1e-6
    np.testing.assert_allclose(column(dac_bits=16, adc_bits=16), ideal, atol=2e-3)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (None, [0.1, 0.1, 0.1]),
        ({"name": "constant"}, [0.1, 0.1, 0.1]),
        ({"name": "linear", "final_fraction": 0.2}, [0.1, 0.06, 0.02]),
        ({"name": "exponential", "final_fraction": 0.04}, [0.1, 0.02, 0.004]),
        ({"name": "cosine", "final_fraction": 0.2}, [0.1, 0.06, 0.02]),
        ({"name": "cosine"}, [0.1, 0.0505, 0.001]),
    ],
)
def test_learning_rates_fall_over_the_whole_run(schedule, expected):
    made = optimizers.make(Optimizer(name="sgd", learning_rate=0.1, schedule=schedule), 400)
    assert [float(made.rate(step)) for step in (0, 200, 400)] == pytest.approx(expected, rel=1e-5, abs=0)
    # and the optimiser follows it
    state = made.transform.init(jnp.ones(2))
    update, _ = made.transform.update(jnp.ones(2), state)
    np.testing.assert_allclose(update, -0.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"schedule": {"name": "steps"}}, "optimizer.schedule.name: found steps, allowed: constant, exponential"),
        (
            {"schedule": {"name": "cosine", "warmup": 3}},
            "schedule: found unknown key 'warmup', allowed: final",
        ),
        ({"schedule": {"name": "cosine", "final_fraction": 0}}, "final_fraction: found 0, allowed: more than 0"),
        ({"learning_rate": 0}, "optimizer.learning_rate: found 0, allowed: more than 0"),
        ({"b1": True}, "network.optimizer.b1: found true"),
    ],
)
def test_wrong_optimisers(section, message):
    with pytest.raises(UserError, match=message):
        Optimizer.parse(section, "config", "network.optimizer")


def test_a_group_of_rows_ends_where_its_own_converter_does():
    """Four groups of four rows, each clipped at the root of a quarter of the column's full scale: 4 x 0.5, not 1."""
    layer, ones = Layer(16, 1), Synapses(jnp.ones((16, 1)))
    bits = Converters(adc_bits=8, adc_full_scale=1.0)

    def product(layer, x, weights, noise):
        return read(x, weights, layer, noise)

    found = in_groups(product, layer, jnp.ones((1, 16)), ones, QUIET, 4, bits, 1.0)
    np.testing.assert_allclose(found, [[2.0]], rtol=1e-6)
