"""Runs: they learn, repeat to the byte, resume to the byte, and count what they do."""

import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from network.hardware.costs import totals
from network.hardware.run import Run
from network.hardware.terms import terms
from network.training import checkpoint, settings
from network.training.trainer import more
from spinloom.errors import UserError
from tests.network.conftest import EVERYTHING, contents, make_card, train, trainer, two_states


@pytest.mark.parametrize("rule", ["float_baseline", "accumulate_quantise_program"])
def test_learns(config, tmp_path, rule):
    result, _ = train(config, tmp_path / "run", rule=rule, rule_options={})
    first, last = result["history"][1], result["history"][-1]
    assert last["test_accuracy"] > 0.9 > 0.25  # chance is 0.25
    assert last["train_loss"] < first["train_loss"] / 2
    assert np.trace(result["confusion"]) / 200 == last["test_accuracy"]


@pytest.mark.long
def test_read_noise_that_drowns_the_weights_stops_learning(config, tmp_path):
    """The noise of the card really reaches the columns."""
    result, _ = train(config, tmp_path / "run", card=make_card(read_noise_S=2e-2))
    assert result["history"][-1]["test_accuracy"] < 0.6


@pytest.mark.long
@pytest.mark.parametrize("changes", [{}, EVERYTHING])
def test_same_bytes_again_and_after_resume(config, tmp_path, changes):
    whole, twice, broken = (tmp_path / name for name in ("whole", "twice", "broken"))
    card = two_states(disturb=0.02) if changes else None
    train(config, whole, card, **changes)
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    train(config, twice, card, **changes)
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()
    assert contents(whole) == contents(twice)

    class Interrupted(Exception):
        pass

    def interrupt(images, row):
        if row["epoch"] == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(config, broken, card, report=interrupt, **changes)
    assert set(contents(broken)) == {"checkpoint.npz"}  # no half results
    resumed = []
    train(config, broken, card, report=lambda images, row: resumed.append(row["epoch"]), **changes)
    assert resumed == [2, 3]  # went on after epoch 2
    assert contents(broken) == contents(whole)


def test_longer_run_goes_on_from_the_shorter(config, tmp_path):
    short, long = tmp_path / "short", tmp_path / "long"
    train(config, short, epochs=2)
    train(config, short, epochs=3)
    train(config, long, epochs=3)
    assert contents(short) == contents(long)


@pytest.mark.long
def test_checkpoint_of_another_run_is_not_used(config, tmp_path):
    train(config, tmp_path / "a", seed=2)
    other = tmp_path / "b"
    other.mkdir()
    shutil.copy(tmp_path / "a" / "checkpoint.npz", other)
    train(config, other)
    train(config, tmp_path / "c")
    assert contents(other) == contents(tmp_path / "c") != contents(tmp_path / "a")
    (other / "checkpoint.npz").write_bytes(b"damaged")
    assert checkpoint.load(other / "checkpoint.npz", "x", {}) is None


@pytest.mark.long
def test_replicates_and_seeds_differ_but_rules_share_their_batches(config, tmp_path):
    runs = [train(config, tmp_path / f"{i}", replicate=i, epochs=1)[0] for i in range(2)]
    assert runs[0]["history"][1]["train_loss"] != runs[1]["history"][1]["train_loss"]
    first, second = trainer(config, rule="float_baseline", rule_options={}), trainer(config)
    a, b = first.start()[0].memory.weight, second.start()[0].memory.accumulator
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_nothing_finite_left(config, tmp_path):
    optimizer = {"name": "adamw", "learning_rate": 1000.0, "weight_decay": 10.0}
    with pytest.raises(
        UserError, match="variant float_baseline, replicate 0: the training loss is not finite in epoch 1"
    ):
        train(config, tmp_path / "run", rule="float_baseline", rule_options={}, optimizer=optimizer)
    assert not contents(tmp_path / "run")


def test_counts_are_the_sums_of_the_epochs(config, tmp_path):
    result, device = train(config, tmp_path / "run")
    meter, history = result["meter"], result["history"]
    synapses = 16 * 12 + 12 * 4
    assert sum(history[0]["writes_by_pulse"]) == synapses == meter.first_writes  # every device once at the start
    assert np.sum([row["writes_by_pulse"] for row in history], axis=0).tolist() == list(meter.writes_by_pulse)
    assert sum(meter.writes_by_pulse) == sum(meter.writes_by_layer) > synapses
    assert 0 < meter.transitions <= sum(meter.writes_by_pulse)
    assert [sum(row) for row in meter.devices_by_state] == [16 * 12, 12 * 4]
    assert meter.samples == 3 * 600 and meter.steps == 3 * 30
    cost = meter.counts()
    assert cost["writes_per_sample"] == sum(meter.writes_by_pulse) / 1800
    assert cost["device_reads_per_sample"] == synapses + 12 * 4  # forward, and backward but for the first layer
    assert cost["memory_bits_per_synapse"] == 32 + 64 + 3
    assert max(meter.most_writes_on_a_device) == cost["most_writes_on_a_device"] >= 1


@pytest.mark.long
def test_a_larger_margin_writes_less(config, tmp_path):
    writes = []
    for margin in (0.1, 0.5):
        result, _ = train(config, tmp_path / str(margin), rule_options={"margin": margin}, epochs=2)
        writes.append(sum(result["meter"].writes_by_pulse))
    assert writes[0] - 240 > 2 * (writes[1] - 240) > 0  # beyond the first programming


@pytest.mark.long
def test_compare_state_costs_reads_and_saves_memory(config, tmp_path):
    result, _ = train(config, tmp_path / "run", rule_options={"compare": "state"}, epochs=1)
    cost = result["meter"].counts()
    assert cost["memory_bits_per_synapse"] == 96
    assert cost["device_reads_per_sample"] == pytest.approx(240 + 48 + 240 / 20, abs=0, rel=1e-9)


def test_a_run_is_charged_for_what_it_did(config, tmp_path):
    result, device = train(config, tmp_path / "run")
    run = costs_of(config, result, device)
    value, meter = {(t.phase, t.name): t.energy_J for t in terms(run)}, result["meter"]
    energy = (np.array(meter.writes_by_pulse) * 3e-15 * np.arange(1, 6)).sum()
    first = meter.first_writes / meter.writes
    assert value["training", "writes"] == pytest.approx(energy * (1 - first) / 1800, abs=0, rel=1e-9)
    assert value["first programming", "writes"] == pytest.approx(energy * first, abs=0, rel=1e-9)
    read = np.array(meter.devices_by_state) @ (1e-17 * np.arange(1, 6))
    assert value["inference", "reads"] == pytest.approx(read.sum(), abs=0, rel=1e-9)
    assert value["training", "reads"] == pytest.approx(read.sum() + read[1], abs=0, rel=1e-9)
    assert run.conversions("inference") == 12 + 4 and run.conversions("training") == 12 + 4 + 12
    assert run.rows_driven("training") == 16 + 12 + 4 and run.digital_products("training") == 240
    bits, per_bit = 240 * 99, run.hardware.constant("memory_J_per_bit")
    assert value["training", "optimiser memory"] == pytest.approx(2 * bits * per_bit / 20, abs=0, rel=1e-9)
    sums = {key: one.energy_J for key, one in totals(terms(run)).items()}
    device_level = value["training", "writes"] + value["training", "reads"]
    assert sums["training", "device"] == pytest.approx(device_level, abs=0, rel=1e-9)
    whole = sum(v for (phase, _), v in value.items() if phase == "training")
    assert sums["training", "system"] == pytest.approx(whole, abs=0, rel=1e-9)
    assert sums["inference", "device"] < sums["inference", "array"] < sums["inference", "system"]


def costs_of(config, result, device, **changes) -> Run:
    """Return a run as the tables of costs see it."""
    return Run.of(result["meter"], device, settings.read(config(**changes)))


def test_float_baseline_has_no_device_energy(config, tmp_path):
    changes = {"rule": "float_baseline", "rule_options": {}, "epochs": 1}
    result, device = train(config, tmp_path / "run", **changes)
    sums = {key: one.energy_J for key, one in totals(terms(costs_of(config, result, device, **changes))).items()}
    assert sums["training", "device"] == sums["training", "array"] == 0 < sums["inference", "system"]
    assert result["meter"].counts()["writes"] == result["meter"].counts()["device_reads_per_sample"] == 0


@pytest.mark.long
@pytest.mark.parametrize("layers", [[16, 12, 4], ["4x4x1", "5C3", 4]])
def test_groups_of_rows_that_are_converted_by_themselves_add_up(config, layers):
    """Ideal converters leave the sum of the groups equal to the column; each bit more leaves a smaller error."""

    def scores(**changes):
        changes = {"layers": layers, "device": {"read_noise": False}, "epochs": 1, **changes}
        machine = trainer(config, **changes).machine
        keys = machine.streams("evaluation", "test")
        memory, plans = machine.rule.init(machine.streams("rule"), machine.architecture.shapes)
        arrays = machine.arrays(SimpleNamespace(array=machine.fabricate()[0]))
        weights = machine.rule.weights(memory, arrays, None)
        images = machine.shaped(machine.prepare(machine.test[0][:50]))
        first = machine.architecture.layers[0]
        x = images if first.kernel else images.reshape(50, -1)
        return np.asarray(machine.product(keys, 0)(0, x, weights[0]))

    exact = scores()
    groups = {"partial_sums": "digital", "tile_rows": 5}
    np.testing.assert_allclose(scores(array=groups), exact, atol=2e-6)
    errors = [
        np.sqrt(np.mean((scores(array=groups, converters={"adc_bits": bits}) - exact) ** 2)) for bits in (4, 6, 8)
    ]
    assert errors[0] > 3 * errors[1] > 9 * errors[2] > 0
    assert np.any(scores(converters={"adc_bits": 4}) != scores(array=groups, converters={"adc_bits": 4}))


def test_training_ends_when_validation_no_longer_improves(config, tmp_path):
    """A rate that changes nothing: the first epoch stays the best as soon as the running statistics have settled."""
    changes = {
        "rule": "float_baseline", "rule_options": {}, "epochs": 60, "early_stopping": {"patience": 3},
        "optimizer": {"name": "sgd", "learning_rate": 1e-30},
    }  # fmt: skip
    result, _ = train(config, tmp_path / "run", **changes)
    accuracy = [row["validation_accuracy"] for row in result["history"][1:]]
    assert len(accuracy) == int(np.argmax(accuracy)) + 1 + 3 < 60
    assert result["meter"].epochs == len(accuracy)
    # an interrupted or repeated run ends at the same place
    before, seen = contents(tmp_path / "run"), []
    train(config, tmp_path / "run", report=lambda images, row: seen.append(row["epoch"]), **changes)
    assert seen == [len(accuracy)] and contents(tmp_path / "run") == before
    # more patience goes on from there
    longer, _ = train(config, tmp_path / "run", **{**changes, "early_stopping": {"patience": 5}})
    assert len(longer["history"]) == len(result["history"]) + 2
    # less would never have come so far: what lies in the folder decides nothing
    train(config, tmp_path / "run", **changes)
    assert contents(tmp_path / "run") == before


def test_an_epoch_may_have_more_writes_than_32_bits_hold():
    each = (jnp.asarray([2**30 - 1, 0, 1], jnp.int32), jnp.int32(2**29 + 3))
    none = jax.tree.map(jnp.zeros_like, each)
    low, high = jax.lax.fori_loop(0, 1000, lambda _, sums: more(*sums, each), (none, none))
    total = [np.asarray(a, np.int64) + (np.asarray(b, np.int64) << 30) for a, b in zip(low, high, strict=True)]
    assert total[0].tolist() == [1000 * (2**30 - 1), 0, 1000] and total[1] == 1000 * (2**29 + 3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "activation", "signed"),
    [("unit", "relu", (False, False)), ("binary", "tanh", (False, True)), ("signed", "sigmoid", (True, False))],
)
def test_row_converters_are_signed_where_values_are(config, kind, activation, signed):
    """One bit tells black from white: a signed one has no zero and would show every picture as white."""
    run = trainer(config, input={"range": kind}, activation=activation, converters={"dac_bits": 1})
    assert run.machine.signed == signed
    state, _ = run.start()
    weights = run.rule.weights(state.memory, run.machine.arrays(state), None)
    x = jnp.asarray(np.eye(16, dtype=np.float32))
    columns = run.machine.product(run.machine.streams("read noise"), 0)(0, x, weights[0]._replace(variance=None))
    seen = np.where(np.eye(16) > 0.5, 1.0, 1.0 if signed[0] else 0.0)
    expected = run.machine.architecture.layers[0].scale * seen @ np.asarray(weights[0].value)
    np.testing.assert_allclose(columns, expected, atol=1e-5)


def test_waiting_counts_from_the_first_of_the_best_epochs(config):
    run = trainer(config, early_stopping={"patience": 2})
    epochs = [{"epoch": n, "validation_accuracy": a} for n, a in enumerate([None, 0.5, 0.7, 0.7, 0.6, 0.9])]
    assert [run.waited(epochs[: n + 1]) for n in range(6)] == [False, False, False, False, True, False]
    assert not trainer(config).waited(epochs[:5])


@pytest.mark.long
def test_noise_on_the_pictures(config, tmp_path):
    """No noise is the test itself; much noise is chance (0.25, four binomial sd of 200 images: 0.12)."""
    result, _ = train(config, tmp_path / "run", evaluation={"input_noise_sds": [0.0, 0.3, 100.0]}, epochs=2)
    rows = result["evaluations"]
    assert [(r["condition"], r["value"], r["draw"]) for r in rows] == [("input_noise_sd", v, 0) for v in (0, 0.3, 100)]
    none, some, much = (r["test_accuracy"] for r in rows)
    assert none == result["history"][-1]["test_accuracy"] > some > much + 0.1
    assert abs(much - 0.25) < 0.13
    # asking for more of it neither changes nor repeats the training
    seen = []
    again, _ = train(config, tmp_path / "run", evaluation={"input_noise_sds": [0.3]}, epochs=2,
                     report=lambda images, row: seen.append(row["epoch"]))  # fmt: skip
    assert seen == [2] and again["evaluations"][0]["test_accuracy"] == some
    assert again["history"] == result["history"]


@pytest.mark.long
def test_a_convolutional_network_trains_and_is_counted_by_use(config, tmp_path):
    result, device = train(config, tmp_path / "run", layers=["4x4x1", "5C3", "MP2", 4], activation="tanh", epochs=2)
    assert result["history"][-1]["train_loss"] < result["history"][1]["train_loss"]
    assert result["meter"].layers == ((9, 5, 4), (5, 4, 1)) and result["meter"].first_writes == 65
    # 45 synapses read at 4 places each, then 20; the backward pass leaves out the first layer
    assert result["meter"].counts()["device_reads_per_sample"] == 4 * 45 + 20 + 20
    run = costs_of(config, result, device, layers=["4x4x1", "5C3", "MP2", 4])
    energy = {(t.phase, t.name): t.energy_J for t in terms(run)}
    assert run.conversions("inference") == 4 * 5 + 4
    read = np.array(result["meter"].devices_by_state) @ device.read_energy
    assert energy["inference", "reads"] == pytest.approx(4 * read[0] + read[1], rel=1e-9, abs=0)


def test_inputs_are_brought_into_their_range(config):
    pictures = jnp.asarray([[0, 51, 127, 128, 204, 255] + [0] * 10], jnp.uint8)
    expected = {
        "unit": np.array([0, 0.2, 127 / 255, 128 / 255, 0.8, 1]),
        "signed": 2 * np.array([0, 0.2, 127 / 255, 128 / 255, 0.8, 1]) - 1,
        "binary": [0, 0, 0, 1, 1, 1],
    }
    for kind, values in expected.items():
        run = trainer(config, input={"range": kind})
        x = run.machine.shaped(run.machine.prepare(pictures))
        assert x.shape == (1, 4, 4, 1)
        np.testing.assert_allclose(x.ravel()[:6], values, atol=1e-6)
    pooled = trainer(config, input={"pool": 2}, layers=[4, 4]).machine.prepare(pictures)
    np.testing.assert_allclose(pooled.ravel() * 255, [255, 128, 0, 0], atol=1e-4)


@pytest.mark.parametrize(
    "section", [{"adc_J": 1}, {"node_nm": 3}, {"constants": {"adc_J": 1}}, {"constants": {"adc_J_per_step": -1}}]
)
def test_wrong_hardware(config, section):
    with pytest.raises(UserError, match=r"config.json: hardware.*found .*, allowed: "):
        trainer(config, rule="float_baseline", rule_options={}, hardware=section)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"array": {"rows_read_at_once": 8}}, "array.rows_read_at_once: found 8, allowed: null with partial_sums"),
        (
            {"array": {"partial_sums": "digital", "rows_read_at_once": 8, "wire_resistance_ohm": 1.0}},
            "array.rows_read_at_once: found 8, allowed: null with resistances of lines",
        ),
    ],
)
def test_groups_of_rows_that_nothing_forms_are_refused(config, changes, message):
    with pytest.raises(UserError, match=message):
        trainer(config, **changes)


def test_fewer_training_images_are_part_of_more(config):
    """The first n after the validation images in the split's random order; validation stays, and null is all."""
    whole, some, few = (trainer(config, training_images=n).machine for n in (None, 300, 40))
    assert [len(one.labels) for one in (whole, some, few)] == [600, 300, 40]
    for one, other in ((few, some), (some, whole)):
        rows = {row.tobytes() for row in np.asarray(other.images)}
        assert all(row.tobytes() in rows for row in np.asarray(one.images))
        np.testing.assert_array_equal(one.validation[0], other.validation[0])
    assert few.steps == 40 // few.settings.batch_size


def test_each_array_has_a_weight_range_of_its_own(config):
    one = trainer(config, weight_range=[2.0, 0.5]).machine.architecture.layers
    same = trainer(config, weight_range=2.0).machine.architecture.layers
    assert [layer.weight_range for layer in one] == [2.0, 0.5]
    assert [layer.weight_range for layer in same] == [2.0, 2.0]
    assert one[1].scale == pytest.approx(same[1].scale / 4, rel=1e-12, abs=0)
