"""A small uneven card, a small data set in IDX format, and a config that fits both."""

import gzip
import hashlib
import json
import os
import struct

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from calibration.card import SCHEMA_VERSION, KernelCard
from calibration.tables import TRANSITIONS
from network import datasets
from network.datasets.idx import IdxDataset, IdxFile
from network.device import DeviceModel


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory):
    """Share compiled programs between all tests: most of a tiny run's time would go into compiling."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.2,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(autouse=True)
def strict_ranks():
    """No silent broadcasting of a vector against a matrix in this stage."""
    with jax.numpy_rank_promotion("raise"):
        yield


POSITIONS = np.array([0.0, 0.7, 2.0, 2.6, 4.0])  # uneven, in units of 100 nm


def make_card(spread=0.55, memory=0.0, read_noise_S=1e-6, flags=None, instances=7) -> KernelCard:
    """Return a card of 5 states and 5 pulses with overlapping outcomes.

    ``memory`` lets the mean outcome depend on the state before, so that rows differ.
    """
    edges = np.concatenate([[-np.inf], (POSITIONS[1:] + POSITIONS[:-1]) / 2, [np.inf]])
    rows = []
    for pulse, goal in enumerate(POSITIONS):
        for start, position in enumerate(POSITIONS):
            mean = (1 - memory) * goal + memory * position
            for end, p in enumerate(np.diff(norm.cdf(edges, mean, spread))):
                rows.append((pulse, start, end, 0, 0.0, p, 0.0, 1.0, "given"))
    n = len(POSITIONS)
    transitions = pd.DataFrame(rows, columns=list(TRANSITIONS.columns))
    occupancy = transitions.groupby("state_to")["probability"].mean().to_numpy()
    states = pd.DataFrame({
        "state": range(n), "label": [f"s{k}" for k in range(n)], "position_m": POSITIONS * 1e-7,
        "position_low_m": POSITIONS * 1e-7 - 1e-8, "position_high_m": POSITIONS * 1e-7 + 1e-8,
        "conductance_S": 2e-4 + 4e-5 * POSITIONS, "conductance_sd_S": 4e-6, "count": 0, "occupancy": occupancy,
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
    meta = {"name": "fixture", "schema_version": SCHEMA_VERSION, "flags": flags, "source": {"kind": "parametric"}}
    return KernelCard(states, pulses, transitions, population, reads, meta).validate()


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


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Register the data set "toy" and put its .gz files into tmp_path/toy; nothing of it is on the network."""
    folder, files = tmp_path / "toy", []
    folder.mkdir()
    for role, values in toy_arrays().items():
        raw, name = idx_bytes(values), f"{role}-idx"
        files.append(IdxFile(role, name, values.shape, hashlib.sha256(raw).hexdigest()))
        (folder / f"{name}.gz").write_bytes(gzip.compress(raw, mtime=0))
    dataset = IdxDataset("toy", "toy", tuple(files), classes=4)
    monkeypatch.setitem(datasets.REGISTRY, "toy", dataset)
    return dataset


@pytest.fixture
def config(tmp_path, toy):
    """Return a function that writes config.json with changes and returns its path."""

    def write(**changes):
        section = {
            "dataset": "toy", "data": {"folder": str(tmp_path / "toy"), "cache": str(tmp_path / "cache")},
            "layers": [16, 12, 4], "validation_images": 100, "epochs": 3, "batch_size": 20,
            "optimizer": {"name": "adam", "learning_rate": 0.01}, "seed": 1, "seeds": 2,
            "rule": "accumulate_quantise_program", "rule_options": {"margin": 0.1}, **changes,
        }  # fmt: skip
        path = tmp_path / "config.json"
        path.write_text(json.dumps(section))
        return path

    return write
