"""Every rule as a run: it learns, and gives the same bytes again, in another process, interrupted and resumed."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from calibration.sources import library
from network import datasets, rules
from network.datasets.files import idx
from network.results.run_tables import write_run
from network.rules.capabilities import Devices
from network.rules.mean_variance_probability import Wires
from network.synapse.device import DeviceModel
from network.training import settings
from network.training.trainer import Trainer
from tests import plugins
from tests.network.conftest import contents, make_card, quiet, toy_arrays
from tests.network.rule_cards import junction, lattice, quick_compile  # noqa: F401

ROOT = Path(__file__).parents[2]
LADDER = (0.001, 0.01, 0.05, 0.2, 0.6, 1.0)
# rule: card, what differs from `SECTION`
RUNS = {
    "train_then_deploy": (
        lambda: make_card(spread=0.3),
        {
            "layers": [16, 4], "rule_options": {"deployments": 3, "attempts": 2},
            "optimizer": {"name": "adam", "learning_rate": 0.02},
        },
    ),
    "discrete_state_transition": (
        lambda: junction(LADDER, LADDER),
        {"optimizer": {"name": "adam", "learning_rate": 0.02}, "input": {"range": "signed"}, "activation": "ternary"},
    ),
    "stochastic_coincidence": (
        lambda: lattice(32, 0.3),
        {
            "batch_size": 1, "normalisation": "none", "activation": "tanh", "input": {"range": "signed"},
            "rule_options": {"tiles": 2, "pair": True}, "optimizer": {"name": "sgd", "learning_rate": 0.02},
        },
    ),
    "outer_product_probability": (
        lambda: junction(LADDER, LADDER),
        {
            "layers": [16, 4], "input": {"range": "signed"}, "optimizer": {"name": "sgd", "learning_rate": 0.02},
            "rule_options": {"devices": 4, "normalise": "layer"},
        },
    ),
    "mean_variance_probability": (
        lambda: library.card("ellis_gate"),
        {
            "layers": [16, 4], "input": {"range": "binary"},
            "rule_options": {"measurements": 4, "signed": True, "scale_columns": True, "draws": 2, "gain": 2.72741,
                             "initial_spread": 2e-4},
            "optimizer": {"name": "adam", "learning_rate": 0.05},
        },
    ),
    "bop": (
        lambda: junction((0.9,), (0.8,)),
        {
            "rule_options": {"adaptivity": 0.02, "threshold": 0.003},
            "optimizer": {"name": "adam", "learning_rate": 0.02},
        },
    ),
    "tiki_taka": (  # without A in the forward pass, so that what is learnt has gone through transfers
        lambda: lattice(32, 0.3),
        {
            "batch_size": 1, "normalisation": "none", "activation": "tanh", "input": {"range": "signed"},
            "rule_options": {"gamma": 0.0}, "optimizer": {"name": "sgd", "learning_rate": 0.02},
        },
    ),
    "straight_through": (make_card, {"optimizer": {"name": "adam", "learning_rate": 0.02}}),
    "stochastic_rounding": (
        make_card, {"rule_options": {"levels": 6}, "optimizer": {"name": "adam", "learning_rate": 0.02}},
    ),
}  # fmt: skip
# that train within some two seconds; the others are long
SHORT = ("train_then_deploy", "mean_variance_probability", "stochastic_rounding", "straight_through")
SECTION = {
    "dataset": "runs", "data": {}, "layers": [16, 8, 4], "validation_images": 100, "epochs": 3, "batch_size": 20,
    "seed": 1, "seeds": 1, "rule_options": {},
}  # fmt: skip


def data() -> datasets.base.Data:
    """Return the toy data in memory."""
    values = toy_arrays()
    flat = [v.reshape(len(v), -1) if "images" in role else v for role, v in values.items()]
    return datasets.base.Data(*flat, 4, (4, 4, 1))


def trainer(rule, **more) -> Trainer:
    """Return the trainer of one rule; ``more`` changes its section of the config."""
    of_card, changes = RUNS[rule]
    toy = data()
    section = settings.check({**SECTION, "rule": rule, **changes, **more})
    scale = rules.get(rule).scaled_by(section.options)
    return Trainer(section, DeviceModel.from_card(of_card(), section.device, scale), 0, toy)


def train(run, folder, report=quiet) -> dict:
    """Train, or resume, and write the run into ``folder``."""
    folder.mkdir(exist_ok=True)
    result = run.run(folder, "toy", report, quiet)
    write_run(folder, result, run.machine.device)
    return result


@contextmanager
def registered():
    """Register the data set "runs"."""
    files = tuple(idx.IdxFile(role, role, v.shape, "0" * 64) for role, v in toy_arrays().items())
    with pytest.MonkeyPatch.context() as patch:
        plugins.add_dataset(patch, idx.dataset("runs", "runs", files, classes=4))
        yield


@pytest.fixture(scope="module", autouse=True)
def with_data():
    with registered():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(
    scope="module", params=[pytest.param(rule, marks=[] if rule in SHORT else pytest.mark.long) for rule in RUNS]
)
def done(request, folder):
    """Train once; return the rule and the result."""
    return request.param, train(trainer(request.param), folder / request.param)


def test_learns_and_counts_what_it_does(done):
    rule, result = done
    first, last = result["history"][1], result["history"][-1]
    assert last["test_accuracy"] > 0.8 > 0.25  # chance is 0.25
    assert last["train_loss"] < 0.8 * first["train_loss"]
    meter, kind = result["meter"], rules.get(rule)
    cost = meter.counts()
    assert (cost["writes"] > 0) == (kind.devices in (Devices.IN_PLACE, Devices.DEPLOYED))
    for name, bits in (("stochastic_coincidence", 0), ("outer_product_probability", 0),
                       ("tiki_taka", 0), ("bop", 32), ("discrete_state_transition", 64),
                       ("stochastic_rounding", 64 + 3), ("straight_through", 64 + 32)):  # fmt: skip
        if rule == name:
            assert cost["memory_bits_per_synapse"] == bits  # floats for moments; a float weight for the last alone
    assert meter.weight_bits == (3 if rule in ("stochastic_rounding", "straight_through") else 32)
    verified = sum(meter.deployment_by_pulse) if rule == "train_then_deploy" else 0
    assert meter.verify_reads == verified and (verified > 0) == (kind.devices is Devices.DEPLOYED)
    assert meter.normalisation == RUNS[rule][1].get("normalisation", "batch")
    draws = [row for row in result["evaluations"] if row["condition"] == "draw"]
    if kind.devices in (Devices.DEPLOYED, Devices.CLOCKED):
        assert len({(row["test_accuracy"], row["writes"]) for row in draws}) > 1  # each has numbers of its own
        assert np.mean([row["test_accuracy"] for row in draws]) > 0.75
    if kind.devices is Devices.DEPLOYED:
        assert all(row["writes"] >= 16 * 4 for row in draws)


@pytest.mark.long
@pytest.mark.parametrize("scaled", [True, False])
def test_converters_of_counted_wires_reach_as_far_as_those_of_weights(folder, scaled):
    """Full scale is in units of the sd of a column of uniform weights and unit inputs, scaled to a sd of 1 or not."""
    name, inputs = "mean_variance_probability", 16
    options = {**RUNS[name][1]["rule_options"], "scale_columns": scaled}
    run = trainer(name, rule_options=options, converters={"adc_bits": 3, "adc_full_scale": 1.5})
    control = np.random.default_rng(3).normal(0, 2, (2, inputs, 4)).astype(np.float32)
    columns = run.machine.product((jnp.uint32([1, 2]),), 0)(0, jnp.ones((500, inputs)), Wires(jnp.asarray(control)))
    step = 0.5 if scaled else 0.5 * np.sqrt(inputs / 3)
    found = np.unique(np.round(np.asarray(columns) / step, 4))
    assert set(found) <= {-3, -2, -1, 0, 1, 2, 3} and len(found) > 3


@registered()
def again(folder) -> None:
    """Train every rule, the last first, and resume each once more from where it was after the second epoch."""
    for rule in reversed(RUNS):
        run, whole, resumed = trainer(rule), folder / rule, folder / f"{rule}_resumed"
        resumed.mkdir()

        def keep(images, row, whole=whole, resumed=resumed):
            if row["epoch"] == 2:
                shutil.copy(whole / "checkpoint.npz", resumed)

        train(run, whole, keep)
        seen = []
        train(run, resumed, lambda images, row, seen=seen: seen.append(row["epoch"]))
        assert seen == [2, 3]  # went on after the second


@pytest.mark.long
def test_in_another_process_and_resumed_the_bytes_are_the_same(folder, tmp_path):
    """And with another seed of Python's hashes, and the rules in the reverse order."""
    code = "import sys, pathlib; from tests.network.test_rule_runs import again; again(pathlib.Path(sys.argv[1]))"
    environment = {
        **os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": str(ROOT), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }  # fmt: skip
    for rule in RUNS:
        if not (folder / rule).exists():
            train(trainer(rule), folder / rule)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True, timeout=300)
    for rule in RUNS:
        assert contents(tmp_path / rule) == contents(tmp_path / f"{rule}_resumed") == contents(folder / rule), rule


@pytest.mark.long
def test_tiles_carry_after_every_hundredth_step(folder):
    run = trainer("stochastic_coincidence")
    assert run.rule.interval == run.rule.every == 100
    state, _ = run.start()  # first weights leave something to carry in most of the fine tiles
    carry = jax.jit(lambda step: run._maintain(run.machine.stream("x"), step, state.array, None, run.machine.nothing))
    after = {step: carry(jnp.int32(step)) for step in (0, 98, 99, 100, 199)}
    given = {step: int(info.writes.sum()) for step, (_, _, info) in after.items()}
    assert given[0] == given[98] == given[100] == 0 < given[99]
    assert given[199] == given[99]  # by the same devices, with other random numbers
    assert not np.array_equal(after[99][0].state, after[199][0].state)
    np.testing.assert_array_equal(after[98][0].state, state.array.state)
