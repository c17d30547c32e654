"""Weights of a network that was trained elsewhere: the same answers in floats, programmed into devices, or refused."""

import json
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from sklearn.neural_network import MLPClassifier

from network import datasets
from network.model import layer_stack
from network.pretrained import weights
from network.pretrained.config import Pretrained
from network.results.summary import given_warnings, summarise
from network.training import settings
from spinloom.errors import UserError
from spinloom.files import sha256_file
from tests.network.conftest import make_card, quiet, train, trainer, write_config
from workflow.study import planning
from workflow.study.config import load as config_of_study

DIGITS = {
    "dataset": "digits", "layers": [64, 24, 10], "normalisation": "none", "activation": "relu", "epochs": 0,
    "validation_images": None, "rule": "float_baseline", "rule_options": {}, "seeds": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere():
    """Return a network of scikit-learn and what it makes of the test images."""
    data = datasets.get("digits").load(Path())
    network = MLPClassifier((24,), max_iter=60, random_state=1)
    with pytest.warns(match="Maximum iterations"):
        network.fit(data.train_images / 255, data.train_labels)
    return network, network.predict(data.test_images / 255), data.test_labels


def arrays(network):
    parts = zip(network.coefs_, network.intercepts_, strict=True)
    return {f"fc{n}.{kind}": one for n, pair in enumerate(parts) for kind, one in zip(("weight", "bias"), pair)}


def section(folder, network, write=np.savez, **changes):
    path = folder / "weights.npz"
    write(path, **arrays(network))
    return {"file": str(path), "names": ["fc0", "fc1"], "dense": "in_out", **changes}


def config(folder, **changes):
    return partial(write_config, folder, data={"cache": str(folder / "cache")}, **{**DIGITS, **changes})


def test_floats_answer_as_elsewhere(tmp_path, elsewhere):
    network, answers, labels = elsewhere
    result, _ = train(config(tmp_path, pretrained=section(tmp_path, network)), tmp_path / "run")
    expected = np.zeros((10, 10), int)
    np.add.at(expected, (labels, answers), 1)
    np.testing.assert_array_equal(result["confusion"], expected)  # to a sample
    assert len(result["history"]) == 1 and result["history"][0]["samples"] == 0
    assert result["history"][0]["test_accuracy"] == np.mean(answers == labels) > 0.85


@pytest.mark.long
def test_programmed_to_the_tables(tmp_path, elsewhere):
    """Programmed into devices, the tables stand beside the floats, with the hash; the training costs nothing."""
    network, answers, labels = elsewhere
    own = config(tmp_path, pretrained=section(tmp_path, network))
    card = make_card(positions=np.linspace(0, 4, 17), spread=0.05)
    told, devices, runs = [], {}, []
    for rule in ("train_then_deploy", "float_baseline"):
        changes = {"rule": rule, "rule_options": {"deployments": 3} if rule == "train_then_deploy" else {}}
        run = tmp_path / rule
        _, device = train(own, run, card, variant=rule, **changes)
        told.append(settings.read(own(variant=rule, **changes)))
        devices[rule] = device
        runs.append(run)
    summarise(runs, told, devices, tmp_path / "summary")
    summary = pd.read_csv(tmp_path / "summary" / "summary.csv")
    last = summary[summary["selection"] == "last"].set_index("variant")
    assert last["test_accuracy_mean"]["float_baseline"] == np.mean(answers == labels)
    assert 0.7 < last["test_accuracy_mean"]["train_then_deploy"]
    assert last["devices"]["train_then_deploy"] == 64 * 24 + 24 * 10
    assert (last["epoch_mean"] == 0).all() and last["warnings"].isna().all()
    assert last["pretrained"].str.fullmatch(r"weights.npz \(SHA-256 [0-9a-f]{64}\)").all()
    energy = pd.read_csv(tmp_path / "summary" / "energy.csv").query(
        "variant == 'train_then_deploy' and term == 'total'"
    )
    energy = energy.set_index(["phase", "level"])["energy_J_mean"]
    assert (energy["training"] == 0).all() and (energy["first programming"] > 0).all() and energy["inference"].all()


def test_another_scale_of_inputs_warns(tmp_path, elsewhere):
    network, *_ = elsewhere
    changes = {"input": {"range": "binary"}, "pretrained": section(tmp_path, network)}
    run = trainer(config(tmp_path, **changes))
    result = run.run(tmp_path, "digits", quiet, quiet)

    def table(matrix):
        true, predicted = np.indices(matrix.shape)
        return pd.DataFrame({
            "variant": "float_baseline", "true_class": true.ravel(), "predicted_class": predicted.ravel(),
            "images": matrix.ravel(),
        })  # fmt: skip

    told = partial(given_warnings, [run.settings], {"float_baseline": "f"})
    assert told(table(result["confusion"])) == {"float_baseline": []}
    guessed = np.outer(np.bincount(elsewhere[2], minlength=10), np.eye(10, dtype=int)[3])
    assert "no better than chance" in told(table(guessed))["float_baseline"][0]


def test_safetensors_of_out_in_are_the_same(tmp_path, elsewhere):
    network, *_ = elsewhere
    own = section(tmp_path, network)
    turned = {name: np.ascontiguousarray(one.T) for name, one in arrays(network).items()}
    save_file(turned, tmp_path / "w.safetensors")
    architecture = settings.read(config(tmp_path, pretrained=own)()).architecture()
    one = weights.given(Pretrained.parse(own, "c"), architecture)
    other = {**own, "file": str(tmp_path / "w.safetensors"), "dense": "out_in"}
    two = weights.given(Pretrained.parse(other, "c"), architecture)
    assert one.architecture == two.architecture and one.sha256 != two.sha256
    for a, b, coefficients in zip(one.weights, two.weights, network.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.abs(a).max() == 1
        largest = np.abs(coefficients).max()
        np.testing.assert_allclose(a * largest, coefficients, rtol=0, atol=1e-6 * largest)


def reference(found, x, before, epsilon):
    """Return the scores in doubles: 3 x 3 (OIHW), maximum behind or before the normalisation, dense (CHW)."""
    w, moments = found["c.weight"], {part: found[f"n.{part}"] for part in weights.MOMENTS}
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # n, rows, columns, channels, 3, 3
    y = np.einsum("nrcihw,oihw->nrco", windows, w) + found["c.bias"]

    def normalised(y):
        scale = moments["weight"] / np.sqrt(moments["running_var"] + epsilon)
        return (y - moments["running_mean"]) * scale + moments["bias"]

    def largest(y):
        return y.reshape(len(y), 2, 2, 2, 2, -1).max((2, 4))

    y = np.maximum(largest(normalised(y)) if before else normalised(largest(y)), 0)
    return y.transpose(0, 3, 1, 2).reshape(len(x), -1) @ found["fc.weight"].T + found["fc.bias"]


def convolutional(random):
    return {
        "c.weight": random.normal(0, 0.4, (5, 2, 3, 3)), "c.bias": random.normal(0, 1, 5),
        "n.weight": np.array([0.7, -1.2, 1.0, -0.3, 0.0]), "n.bias": random.normal(0, 1, 5),
        "n.running_mean": random.normal(0, 1, 5), "n.running_var": random.uniform(0.1, 2, 5),
        "n.num_batches_tracked": np.array(7), "fc.weight": random.normal(0, 1, (3, 20)),
        "fc.bias": random.normal(0, 1, 3),
    }  # fmt: skip


CONVOLUTIONAL = {"names": ["c", "fc"], "norms": ["n", None], "dense": "out_in", "convolution": "OIHW", "flatten": "CHW"}
PLAN = ((6, 6, 2), ["6x6x2", "5C3", "MP2", 3])


@pytest.mark.parametrize("before, epsilon", [(True, 1e-5), (False, 1e-3)])
def test_normalisation_and_order_of_axes(tmp_path, before, epsilon):
    """Batch normalisations before or behind the maximum, gains below 0 and another epsilon give the same scores."""
    random = np.random.default_rng(4)
    found, x = convolutional(random), random.random((50, 6, 6, 2))
    np.savez(tmp_path / "w.npz", **found)
    own = {**CONVOLUTIONAL, "file": str(tmp_path / "w.npz"), "norm_before_pool": before, "norm_epsilon": epsilon}
    given = weights.given(Pretrained.parse(own, "c"), network())
    scores, _, _ = layer_stack.forward(
        given.architecture, lambda number, x, w: product(given.architecture.layers[number], x, w), given.weights,
        layer_stack.given(given.digital), jnp.asarray(x, jnp.float32), False,
    )  # fmt: skip
    expected = reference(found, x, before, epsilon)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def network(**changes):
    from network.model.architecture import Architecture, parse

    return Architecture(PLAN[0], parse(PLAN[1], PLAN[0]), **changes)


def product(layer, x, values):
    from network.model.layers import Noise, Synapses, read

    return read(x, Synapses(jnp.asarray(values)), layer, Noise(jnp.zeros(2, jnp.uint32), 0))


@pytest.mark.parametrize("change, told", [
    ({"dense": "in_out"}, r"fc.weight: found shape \[3, 20\], allowed: \[20, 3\] \(in_out, network.pretrained.dense\)"),
    ({"convolution": "HWIO"}, r"c.weight: found shape \[5, 2, 3, 3\], allowed: \[3, 3, 2, 5\]"),
    ({"convolution": None}, "network.pretrained.convolution: found null, allowed: OIHW or HWIO"),
    ({"flatten": None}, "network.pretrained.flatten: found null, allowed: CHW or HWC"),
    ({"norm_before_pool": None}, "network.pretrained.norm_before_pool: found null, allowed: true or false"),
    ({"names": ["c"]}, "network.pretrained.names: found 1 names, allowed: 2"),
    ({"names": ["c", "c"]}, "network.pretrained.names: found c again"),
    ({"names": ["c", "head"]}, "found arrays that belong to no layer .fc.bias, fc.weight., allowed: arrays"),
    ({"norms": None, "norm_before_pool": None}, r"no layer \(n.bias, n.num_batches_tracked, n.running_mean and 2 more"),
    ({"norms": ["n", "m"]}, r"w.npz: m.weight: found no such array among .*, allowed: one of shape \[3\]"),
    ({"sha256": "0" * 64}, "found SHA-256 [0-9a-f]{64}, allowed: 0{64}"),
    ({"file": "gone.npz"}, "network.pretrained.file: found gone.npz, which cannot be read"),
])  # fmt: skip
def test_refused(tmp_path, change, told):
    np.savez(tmp_path / "w.npz", **convolutional(np.random.default_rng(4)))
    own = {**CONVOLUTIONAL, "file": str(tmp_path / "w.npz"), "norm_before_pool": True, **change}
    with pytest.raises(UserError, match=told) as error:
        weights.given(Pretrained.parse(own, "c"), network())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name, value, told", [
    ("fc.bias", np.full(3, np.nan), "fc.bias: found 3 values that are not finite"),
    ("fc.weight", np.zeros((3, 20)), "fc.weight: found zeros alone"),
    ("fc.weight", np.ones((3, 20), np.int8), "fc.weight: found values of type int8, allowed: floats"),
    ("n.running_var", np.full(5, -1.0), "n.running_var: found -1, allowed: variances of at least 0"),
])  # fmt: skip
def test_bad_values(tmp_path, name, value, told):
    np.savez(tmp_path / "w.npz", **{**convolutional(np.random.default_rng(4)), name: value})
    own = {**CONVOLUTIONAL, "file": str(tmp_path / "w.npz"), "norm_before_pool": True}
    with pytest.raises(UserError, match=told):
        weights.given(Pretrained.parse(own, "c"), network())


@pytest.mark.parametrize("name, content", [("w.npz", b"PK"), ("w.safetensors", b"\x08" * 20), ("w.pt", b"")])
def test_no_file_of_arrays(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    own = {**CONVOLUTIONAL, "file": str(tmp_path / name), "norm_before_pool": True}
    with pytest.raises(
        UserError, match="network.pretrained.file: .*(found no|found a file that is not|allowed: the suffix)"
    ):
        weights.given(Pretrained.parse(own, "c"), network())


def test_planned_by_the_hash(tmp_path, elsewhere):
    """The file lies beside its config, a changed one is another training, and what does not fit is said at once."""
    section(tmp_path, elsewhere[0])
    given = {"file": "weights.npz", "names": ["fc0", "fc1"], "dense": "in_out"}
    third = {"variants": {"given": {"pretrained": given, "epochs": 0}, "trained": {"rule": "float_baseline"}}}
    study = {
        "calibration": {"source": {"kind": "library", "name": "ecram_101_levels"}},
        "network": {
            **{key: value for key, value in DIGITS.items() if key != "seeds"}, "epochs": 2, "batch_size": 20,
            "rule": "train_then_deploy", "rule_options": {"tolerance": 0.1}, **third,
        },
    }  # fmt: skip
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(study))

    def sections():
        return planning.plan(config_of_study("config.yaml", path)).sections

    before = sections()
    sha256 = before["training_given"]["pretrained"]["sha256"]
    assert sha256 == sha256_file(tmp_path / "weights.npz")
    assert before["training_trained"].get("pretrained") is None
    np.savez(tmp_path / "weights.npz", **{name: 2 * one for name, one in arrays(elsewhere[0]).items()})
    after = sections()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"network", "training_given"}
    np.savez(tmp_path / "weights.npz", allow_pickle=False, **{"fc0.weight": np.ones((64, 24))})
    with pytest.raises(
        UserError, match=r"weights.npz: fc0.bias: found no such array among fc0.weight, allowed: one of"
    ):
        sections()
    # a job notices a file that changed after the planning
    np.savez(tmp_path / "weights.npz", **{name: 3 * one for name, one in arrays(elsewhere[0]).items()})
    with pytest.raises(UserError, match=f"allowed: {sha256}"):
        weights.given(Pretrained.parse(before["training_given"]["pretrained"], "c"), settings.check(
            before["training_given"]).architecture())  # fmt: skip


@pytest.mark.parametrize("change, told", [
    ({"epochs": 3}, "network.epochs: found 3, allowed: 0 with pretrained weights"),
    ({"pretrained": None}, "network.epochs: found 0, allowed: 1 to 100000, or 0 with network.pretrained"),
    ({"rule": "stochastic_rounding"}, "allowed: null with rule stochastic_rounding, or rule float_baseline"),
    ({"weight_range": 2}, "network.weight_range: found 2.*, allowed: 1 with pretrained weights"),
])  # fmt: skip
def test_sections_that_contradict(tmp_path, elsewhere, change, told):
    with pytest.raises(UserError, match=told):
        settings.read(config(tmp_path, **{"pretrained": section(tmp_path, elsewhere[0]), **change})())
