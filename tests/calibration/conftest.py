"""A made-up device stage: write events whose truth is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinloom.files import write_parquet
from spinloom.streams import generator

LENGTH, WIDTH = 600e-9, 60e-9
MEANS = np.array([100e-9, 200e-9, 300e-9, 400e-9, 500e-9])
CYCLE_SD, DEVICE_SD = 20e-9, 8e-9

CONFIG = {
    "states": {"count": 5, "method": "nearest_mean"},
    "posterior": {"pseudocount": 0.5, "interval": 0.95},
    "max_lost_fraction": 0.0,
    "readout": {
        "RA_ohm_m2": 1e-9,
        "TMR": 1.5,
        "read_voltage_V": 0.1,
        "read_duration_s": 5e-9,
        "noise_fraction": 0.01,
    },
    "write_energy": {
        "resistivity_ohm_m": 2e-7,
        "heavy_metal_thickness_m": 5e-9,
        "gate_relative_permittivity": 9.8,
        "reset_current_density_A_per_m2": 2e11,
        "reset_duration_s": 3e-9,
    },
}
DEVICE = {
    "family": "domain_wall",
    "engine": "llg",
    "engine_version": "1",
    "reset_before_write": True,
    "track_length_m": LENGTH,
    "track_width_m": WIDTH,
    "film_thickness_m": 1e-9,
    "gate_dielectric_thickness_m": 1.2e-9,
    "seed": 1,
}


def make_events(instances: int = 8, replicas: int = 10, seed: int = 1) -> pd.DataFrame:
    """Return writes x = mean of the pulse + device + cycle, both normal, cut to the track."""
    pulse, instance, replica = np.indices((len(MEANS), instances, replicas)).reshape(3, -1)
    device = generator(seed, "device").normal(0, DEVICE_SD, instances)
    cycle = generator(seed, "cycle").normal(0, CYCLE_SD, pulse.size)
    position = np.clip(MEANS[pulse] + device[instance] + cycle, 0, LENGTH)
    return pd.DataFrame(
        {
            "pulse": pulse,
            "voltage_V": 0.5 * pulse,
            "instance": instance,
            "replica": replica,
            "start_position_m": 50e-9,
            "pulse_end_position_m": position,
            "final_position_m": position,
            "wall_state": "single",
            "energy_total_J": -1e-18,
            "spec_hash": "ab" * 32,
        }
    )


def make_pulses() -> pd.DataFrame:
    """Return the pulse plan that goes with `make_events`."""
    return pd.DataFrame(
        {
            "pulse": range(len(MEANS)),
            "channel": "gate+sot",
            "voltage_V": 0.5 * np.arange(len(MEANS)),
            "Ku_change_J_per_m3": -1e4 * np.arange(len(MEANS)),
            "current_density_A_per_m2": 3e11,
            "duration_s": 1e-9,
            "settle_s": 2e-9,
            "temperature_K": 300.0,
        }
    )


@dataclass
class Study:
    """Inputs of the stage, changed freely by a test before `arguments` writes them."""

    folder: Path
    events: pd.DataFrame = field(default_factory=make_events)
    pulses: pd.DataFrame = field(default_factory=make_pulses)
    device: dict = field(default_factory=lambda: json.loads(json.dumps(DEVICE)))
    config: dict = field(default_factory=lambda: json.loads(json.dumps(CONFIG)))

    def paths(self) -> list[str]:
        """Write the inputs; return the paths of config, events, pulses, device."""
        names = ("config.json", "events.parquet", "pulses.csv", "device.json")
        config, events, pulses, device = paths = [self.folder / name for name in names]
        config.write_text(json.dumps(self.config))
        device.write_text(json.dumps(self.device))
        write_parquet(self.events, events)
        self.pulses.to_csv(pulses, index=False)
        return [str(path) for path in paths]

    def card(self):
        """Return the card of these inputs."""
        from calibration import build_card

        return build_card(*self.paths())

    def arguments(self, output: Path) -> list[str]:
        """Return the command line that makes the card of these inputs."""
        options = ("--config", "--events", "--pulses", "--device")
        pairs = [word for pair in zip(options, self.paths(), strict=True) for word in pair]
        return ["card", *pairs, "--output", str(output), "--log", str(self.folder / "card.log")]


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """Card of the unchanged study; tests replace parts of it and never change it."""
    return Study(tmp_path_factory.mktemp("good")).card()
