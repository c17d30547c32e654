"""A small uneven card, a small data set in IDX format, and a config that fits both."""

import gzip
import hashlib
import json
import struct
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from calibration.card import SCHEMA_VERSION, KernelCard, Meta
from calibration.card.tables import TRANSITIONS
from network import rules
from network.datasets.files import idx
from network.datasets.files.cached import CachedDataset
from network.results.meter import Meter
from network.results.run_tables import write_run
from network.synapse.device import DeviceModel
from network.training import data, settings
from network.training.trainer import Trainer
from tests import plugins


# of the package, not of the session: the engines' tests that a worker runs next are about exact bytes
@pytest.fixture(scope="package", autouse=True)
def compile_fast():
    """Most of a tiny run's time would go into compiling."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(autouse=True)
def strict_ranks():
    """No silent broadcasting of a vector against a matrix in this stage."""
    with jax.numpy_rank_promotion("raise"):
        yield


POSITIONS = np.array([0.0, 0.7, 2.0, 2.6, 4.0])  # uneven, in units of 100 nm


def outcomes(positions, spread, memory) -> pd.DataFrame:
    """Return transitions between states at ``positions``; the pulses aim at one each."""
    edges = np.concatenate([[-np.inf], (positions[1:] + positions[:-1]) / 2, [np.inf]])
    rows = []
    for pulse, goal in enumerate(positions):
        for start, position in enumerate(positions):
            mean = (1 - memory) * goal + memory * position
            for end, p in enumerate(np.diff(norm.cdf(edges, mean, spread))):
                rows.append((pulse, start, end, 0, 0.0, p, 0.0, 1.0, "given"))
    return pd.DataFrame(rows, columns=list(TRANSITIONS.columns))


def make_card(
    spread=0.55, memory=0.0, read_noise_S=1e-6, flags=None, instances=7, positions=POSITIONS, own=False, disturb=None
) -> KernelCard:
    """Return a card of as many pulses as states (5) with overlapping outcomes.

    ``memory`` lets the mean outcome depend on the state before, so that rows differ. ``own``: each instance has its own
    transitions. ``disturb``: probability that half of a pulse's voltage moves a device to its other state.
    """
    transitions = outcomes(positions, spread, memory)
    n, extras = len(positions), {}
    if own:
        each = [
            outcomes(positions, spread * (0.4 + 0.3 * i), memory).assign(instance=i)[
                ["instance", "pulse", "state_from", "state_to", "count", "probability", "ci_low", "ci_high"]
            ]
            for i in range(instances)
        ]
        extras["by_instance"] = pd.concat(each, ignore_index=True)
    if disturb is not None:
        extras["half_select"] = pd.DataFrame(
            [
                (pulse, 0.5, start, end, disturb if start != end else 1 - disturb)
                for pulse in range(2) for start in range(2) for end in range(2)
            ],
            columns=["pulse", "fraction", "state_from", "state_to", "probability"],
        )  # fmt: skip
    occupancy = transitions.groupby("state_to")["probability"].mean().to_numpy()
    states = pd.DataFrame({
        "state": range(n), "label": [f"s{k}" for k in range(n)], "position_m": positions * 1e-7,
        "position_low_m": positions * 1e-7 - 1e-8, "position_high_m": positions * 1e-7 + 1e-8,
        "conductance_S": 2e-4 + 4e-5 * positions, "conductance_sd_S": 4e-6, "count": 0, "occupancy": occupancy,
    })  # fmt: skip
    pulses = pd.DataFrame({
        "pulse": range(n), "channel": "gate+sot", "voltage_V": np.linspace(0, 1, n), "current_density_A_per_m2": 3e11,
        "field_T": np.nan, "zhang_li_u_m_per_s": np.nan, "duration_s": 1e-9, "polarity": 1, "temperature_K": 300.0,
        "energy_mean_J": 3e-15 * (1 + np.arange(n)), "energy_sd_J": 0.0, "energy_sot_J": 3e-15,
        "energy_junction_J": np.nan, "energy_gate_J": 3e-15 * np.arange(n), "energy_reset_J": 0.0, "latency_s": 2e-9,
    })  # fmt: skip
    offsets = 2e-6 * np.linspace(-1, 1, instances)
    population = pd.DataFrame({
        "instance": range(instances), "events": 100, "position_offset_m": 0.0, "position_offset_se_m": 0.0,
        "conductance_factor": 1.0, "conductance_offset_S": offsets, "conductance_offset_se_S": np.nan,
    })  # fmt: skip
    reads = pd.DataFrame({"state": range(n), "read_voltage_V": 0.1, "energy_J": 1e-17 * (1 + np.arange(n)),
                          "latency_s": 1e-8, "noise_sd_S": read_noise_S})  # fmt: skip
    flags = {"volatile": False, "reset_before_write": memory == 0, "destructive_read": False, **(flags or {})}
    flags = {**flags, **dict.fromkeys(extras, True)}
    meta = {"name": "fixture", "schema_version": SCHEMA_VERSION, "flags": flags, "source": {"kind": "parametric"}}
    return KernelCard(states, pulses, transitions, population, reads, Meta(**meta), extras).validate()


def two_states(disturb=None) -> KernelCard:
    """Return a card of two states and two pulses."""
    return make_card(positions=np.array([0.0, 4.0]), spread=1.2, disturb=disturb)


@pytest.fixture
def card():
    return make_card()


@pytest.fixture
def device(card):
    return DeviceModel.from_card(card)


def idx_bytes(values: np.ndarray) -> bytes:
    """Return an array as an IDX file."""
    head = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return head + values.astype(np.uint8).tobytes()


def toy_arrays():
    """Return four classes of noisy 4 x 4 pictures: 700 for training and validation, 200 for the test."""
    random = np.random.default_rng(5)
    prototype = random.integers(0, 256, (4, 4, 4))
    arrays = {}
    for part, count in (("train", 700), ("test", 200)):
        labels = random.integers(0, 4, count)
        arrays[f"{part}_images"] = np.clip(prototype[labels] + random.normal(0, 60, (count, 4, 4)), 0, 255)
        arrays[f"{part}_labels"] = labels
    return {role: values.astype(np.uint8) for role, values in arrays.items()}


def make_toy(folder) -> CachedDataset:
    """Put the .gz files of the data set "toy" into ``folder`` and return it; nothing of it is on the network."""
    files = []
    folder.mkdir()
    for role, values in toy_arrays().items():
        raw, name = idx_bytes(values), f"{role}-idx"
        files.append(idx.IdxFile(role, name, values.shape, hashlib.sha256(raw).hexdigest()))
        (folder / f"{name}.gz").write_bytes(gzip.compress(raw, mtime=0))
    return idx.dataset("toy", "toy", tuple(files), classes=4)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Register the data set "toy" and put its files into tmp_path/toy."""
    dataset = make_toy(tmp_path / "toy")
    plugins.add_dataset(monkeypatch, dataset)
    return dataset


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serve tmp_path/mirror on this machine alone and return the address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "mirror").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "mirror")) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def write_config(folder, **changes):
    """Write config.json for the data in folder/toy, with changes, and return its path."""
    section = {
        "dataset": "toy", "data": {"folder": str(folder / "toy"), "cache": str(folder / "cache")},
        "layers": [16, 12, 4], "validation_images": 100, "epochs": 3, "batch_size": 20,
        "optimizer": {"name": "adam", "learning_rate": 0.01}, "seed": 1, "seeds": 2,
        "rule": "accumulate_quantise_program", "rule_options": {"margin": 0.1}, **changes,
    }  # fmt: skip
    path = folder / "config.json"
    path.write_text(json.dumps(section))
    return path


@pytest.fixture
def config(tmp_path, toy):
    """Return a function that writes config.json with changes and returns its path."""
    return partial(write_config, tmp_path)


# all that an array of devices of `two_states(disturb=...)` can do at once
EVERYTHING = {
    "device": {"stuck_fraction": 0.05},
    "array": {"half_select": 0.5, "wire_resistance_ohm": 5.0},
    "converters": {"dac_bits": 6, "adc_bits": 6},
    "optimizer": {"name": "adam", "learning_rate": 0.05, "schedule": {"name": "cosine"}},
    "activation": "tanh",
    "input": {"range": "signed"},
}


def quiet(*_):
    pass


def trainer(config, card=None, replicate=0, **changes) -> Trainer:
    """Return the trainer of the config with changes."""
    section = settings.read(config(**changes))
    device = DeviceModel.from_card(card or make_card(), section.device, rules.get(section.rule).scale)
    dataset = section.data_set
    dataset.ensure(*data.folders(section.data), quiet)
    return Trainer(section, device, replicate, dataset.load(*data.folders(section.data)))


def train(config, folder, card=None, replicate=0, report=quiet, **changes):
    """Train, write the run into ``folder``, return the result and the device."""
    run = trainer(config, card, replicate, **changes)
    folder.mkdir(exist_ok=True)
    result = run.run(folder, "toy", report, quiet)
    write_run(folder, result, run.machine.device)
    return result, run.machine.device


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def meter(**changes) -> Meter:
    """Return the meter of 40 samples in 4 steps: layers of 6 x 3 and 3 x 2 (24 synapses), one device each."""
    content = {
        "variant": "a", "rule": "r", "replicate": 0, "device": "d", "uses_device": True, "epochs": 2,
        "layers": [[6, 3, 1], [3, 2, 1]], "devices_per_synapse": 1, "reads_per_product": 1, "clocks": None,
        "outer": False, "pulses": [0, 1, 2, 3, 4], "samples": 40, "steps": 4, "first_writes": 24,
        "writes_by_pulse": [10, 10, 10, 0, 1], "deployment_by_pulse": [0] * 5, "writes_by_layer": [20, 11],
        "most_writes_on_a_device": [3, 4], "transitions": 9, "disturbs": 0, "state_reads_per_step": 0,
        "verify_reads": 0, "assumed": "", "normalisation": "batch",
        "devices_by_state": [[18, 0, 0, 0, 0], [0, 0, 0, 0, 6]], "memory_bits": {"optimizer": 24 * 64},
        "weight_bits": 32, "clipped": [[None, None]] * 2, **changes,
    }  # fmt: skip
    return Meter.parse(content, "meter.json")
