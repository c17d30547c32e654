"""Residual blocks, strides, means and dropout against a plain float network, their costs and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from network.hardware.rivals import rivals
from network.hardware.terms import terms
from network.model import layer_stack
from network.model.architecture import Architecture, Between, parse
from network.model.layers import Noise, Synapses, drop, read
from network.synapse import random_words
from network.synapse.device import DeviceModel
from spinloom.errors import UserError
from tests.network.conftest import make_card, meter, train
from tests.network.test_costs import run

KEY = random_words.stream(1, "dropout")


def uniform(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def network(entries, picture):
    return Architecture(picture, parse(entries, picture), normalisation="none")


def scores(net, weights, x, dropout=None):
    def product(number, x, weight):
        return read(x, Synapses(weight), net.layers[number], Noise(KEY, 0))

    return layer_stack.forward(net, product, weights, layer_stack.init(net), x, dropout is not None, dropout=dropout)[0]


def convolution(x, weight, kernel, stride, padded):
    """XLA's own convolution, scaled as a column."""
    inputs, outputs = weight.shape
    padding = ((kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2) if padded else (0, 0)
    filters = weight.reshape(kernel, kernel, -1, outputs)
    out = jax.lax.conv_general_dilated(
        x, filters, (stride, stride), [padding, padding], dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return (3 / inputs) ** 0.5 * out


def dense(x, weight):
    return (3 / len(weight)) ** 0.5 * x.reshape(len(x), -1) @ weight


def projected(weights, x):
    """8x4x2, 3C3ps2, 5C3p, +2, AP2, 4."""
    first, second, shortcut, last = weights
    hidden = jax.nn.relu(convolution(x, first, 3, 2, True))
    out = jax.nn.relu(convolution(hidden, second, 3, 1, True) + convolution(x, shortcut, 1, 2, False))
    out = (out[:, ::2, ::2] + out[:, 1::2, ::2] + out[:, ::2, 1::2] + out[:, 1::2, 1::2]) / 4
    return dense(out, last)


def identical(weights, x):
    """8x6x2, 3C4s2, 3C3p, 3C3p, +2, GAP, 4."""
    out = jax.nn.relu(convolution(x, weights[0], 4, 2, False))
    hidden = jax.nn.relu(convolution(out, weights[1], 3, 1, True))
    out = jax.nn.relu(convolution(hidden, weights[2], 3, 1, True) + out)
    return dense(out.mean((1, 2)), weights[3])


def of_widths(weights, x):
    """96, 7, 5, +2, 5, +1, 4: a projection of everything that enters, and a block of one array."""
    x = x.reshape(len(x), -1)
    out = jax.nn.relu(dense(jax.nn.relu(dense(x, weights[0])), weights[1]) + dense(x, weights[2]))
    return dense(jax.nn.relu(dense(out, weights[3]) + out), weights[4])


@pytest.mark.long
@pytest.mark.parametrize(
    ("entries", "reference"),
    [
        (["8x4x2", "3C3ps2", "5C3p", "+2", "AP2", 4], projected),
        (["8x6x2", "3C4s2", "3C3p", "3C3p", "+2", "GAP", 4], identical),
        ([96, 7, 5, "+2", 5, "+1", 4], of_widths),
    ],
)
def test_scores_and_gradients_are_those_of_a_plain_network(entries, reference):
    picture = (8, 4, 2) if entries[0] == "8x4x2" else (8, 6, 2)
    net = network(entries, picture)
    x = jnp.asarray(uniform(1, 6, *picture))
    weights = tuple(jnp.asarray(uniform(2 + n, *shape)) for n, shape in enumerate(net.shapes))
    labels = jnp.asarray([0, 1, 2, 3, 0, 1])

    def loss(function):
        return lambda weights: layer_stack.loss(function(weights, x), labels)

    np.testing.assert_allclose(scores(net, weights, x), reference(weights, x), atol=2e-5)
    found = jax.grad(loss(lambda weights, x: scores(net, weights, x)))(weights)
    for one, other in zip(found, jax.grad(loss(reference))(weights), strict=True):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_dropout_keeps_the_mean_and_acts_in_training_alone():
    """The share dropped of 40000 values lies within 5 sd (false alarms < 1e-6); each step has a mask of its own."""
    x = jnp.ones((40, 1000))
    first, again, other = (np.asarray(drop(x, 0.3, Noise(KEY, step))) for step in (4, 4, 5))
    assert abs((first == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 40000)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
    np.testing.assert_array_equal(first, again)
    assert abs((first != other).mean() - 2 * 0.3 * 0.7) < 0.02  # independent masks

    net = network([96, 50, "D0.5", 4], (8, 6, 2))
    x = jnp.asarray(uniform(1, 6, 8, 6, 2))
    weights = tuple(jnp.asarray(uniform(2 + n, *shape)) for n, shape in enumerate(net.shapes))
    hidden = jax.nn.relu(dense(x, weights[0]))
    np.testing.assert_allclose(scores(net, weights, x), dense(hidden, weights[1]), atol=1e-5)
    noise = tuple(Noise(key, 3) for key in (KEY, KEY))
    dropped = dense(drop(hidden, 0.5, noise[0]), weights[1])
    np.testing.assert_allclose(scores(net, weights, x, noise), dropped, atol=1e-5)
    assert np.abs(dropped - dense(hidden, weights[1])).max() > 0.1


def test_what_lies_between_the_arrays_is_counted():
    net = network(["8x4x2", "3C3ps2", "5C3p", "+2", "AP2", "D0.5", 4], (8, 4, 2))
    # the picture of 4 x 2 places and 5 channels; the projection reads the input of 8 x 4 x 2 again
    assert net.between == Between(sums=40, fetched=64, averaged=40, dropped=10)
    assert [layer.shape for layer in net.layers] == [(18, 3), (27, 5), (2, 5), (10, 4)]
    assert [layer.uses for layer in net.layers] == [8, 8, 8, 1]
    assert network(["8x8x1", "4C3", "MP2", 4], (8, 8, 1)).between == Between()


def test_devices_and_rivals_are_charged_the_same_between_the_arrays():
    device = DeviceModel.from_card(make_card())
    plain = run(meter(), device)
    blocks = run(meter(between=[40, 64, 30, 10]), device)
    each = blocks.hardware.constant("float_addition_J")
    for one in (blocks, *rivals(blocks).values()):
        found = {t.phase: t.energy_J for t in terms(one) if t.name == "between arrays"}
        assert found["inference"] == pytest.approx(70 * each, rel=1e-12, abs=0)
        assert found["training"] == pytest.approx(170 * each, rel=1e-12, abs=0)
    assert "between arrays" not in {t.name for t in terms(plain)}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["8x8x1", "4C3ps0", 4], "here[1]: found 4C3ps0, allowed: strides of 1 to 8"),
        (["8x8x1", "4C3", "AP4", 4], "here[2]: found AP4, allowed: a side that divides 6 and 6"),
        (["8x8x1", "4C3p", "4C3p", "+3", 4], "here[3]: found +3, allowed: +1 to +2"),
        (["8x8x1", "4C3", "4C3", "+1", 4], "6x6x4 enters this one, 4x4x4 leaves it"),
        (["8x8x1", "4C3p", 9, "+2", 4], "8x8x1 enters this one, 1x1x9 leaves it"),
        (["8x8x1", "4C3p", "AP2", "+1", 4], "here[3]: found +1, allowed: a width"),
        ([64, 9, "D0.5", "D0.5", 4], "here[3]: found D0.5, allowed: a width"),
        ([64, 9, "D1.5", 4], "here[2]: found D1.5, allowed: a width"),
        ([64, "D0.5", 4], "here[1]: found D0.5, allowed: a width"),
        ([64, 4, "D0.5"], "here: found D0.5 at the end, allowed: a width"),
        ([64, 4, "+1"], "here: found +1 at the end, allowed: a width"),
    ],
)
def test_lists_that_do_not_fit_are_refused(entries, message):
    with pytest.raises(UserError) as error:
        parse(entries, (8, 8, 1), "here")
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.long
@pytest.mark.parametrize(
    ("rule", "layers", "more"),
    [
        ("accumulate_quantise_program", ["4x4x1", "4C3p", "6C3ps2", "6C3p", "+2", "GAP", 4], {}),
        ("train_then_deploy", ["4x4x1", "4C3p", "4C3p", "+1", "AP2", "D0.2", 4], {"rule_options": {"deployments": 2}}),
        ("float_baseline", [16, 12, 12, "+1", "D0.2", 4], {"rule_options": {}}),
    ],
)
def test_networks_of_blocks_learn(config, tmp_path, rule, layers, more):
    """Four classes: chance is 0.25."""
    result, _ = train(config, tmp_path / "run", rule=rule, layers=layers, **{"rule_options": {}, **more})
    assert result["history"][-1]["validation_accuracy"] > 0.4
    assert result["meter"].between is not None
