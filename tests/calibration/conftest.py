"""Made-up device stages of every family: write events whose truth is known."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from calibration.card import KernelCard, Meta
from calibration.config import Stage
from calibration.laws import neel_brown, passing
from calibration.sources import build
from spinloom.files import write_parquet
from spinloom.streams import generator
from workflow.study import config as study_config

ROOT = Path(__file__).parents[2]
LENGTH, WIDTH = 600e-9, 60e-9
MEANS = np.array([100e-9, 200e-9, 300e-9, 400e-9, 500e-9])
CYCLE_SD, DEVICE_SD = 20e-9, 8e-9
STEP = 40e-9  # mean displacement of the wall that writes from its present state
HASH = "ab" * 32

ENGINE = {"engine": "llg", "engine_version": "1", "seed": 1}
CURRENT = {"drives": ["voltage_V", "current_density_A_per_m2"], "polarity": "current_density_A_per_m2"}
OUTCOME = {"column": "wall_state", "counted": ["single"], "left_out": ["lost", "multiple"]}
LINE = {"width_m": WIDTH, "length_m": LENGTH}
AREA = np.pi / 4 * 40e-9**2
WALL = {
    **ENGINE,
    "family": "domain_wall",
    "writes": {
        "outcome": {**OUTCOME, "what": "lost their wall", "advice": "shorten the pulse"},
        "states": {"kind": "position", "length_m": LENGTH, "after": "final_position_m"},
        "pulse": {**CURRENT, "channel": "gate+sot", "settle": "settle_s"},
        "junction": {"area_m2": WIDTH * LENGTH},
        "energy": {
            "sot": LINE, "reset": LINE, "gate": {"area_m2": WIDTH * LENGTH, "dielectric_thickness_m": 1.2e-9},
        },
    },
}  # fmt: skip
JUNCTION = {
    **ENGINE,
    "family": "stt_mtj",
    "writes": {
        "outcome": {
            "column": "final_state", "counted": ["AP", "P"], "left_out": ["undecided"],
            "what": "ended in neither state", "advice": "relax for longer",
        },
        "states": {
            "kind": "levels", "labels": ["AP", "P"], "before": "direction", "starts": {"P_to_AP": 1, "AP_to_P": 0},
            "missing": "stay",
        },
        "pulse": {**CURRENT, "channel": "junction", "settle": "relax_s"},
        "junction": {"area_m2": AREA, "RA_ohm_m2": 1e-11, "TMR": 1.0},
        "energy": {"junction": {"mz": "mz_pulse_mean"}},
        "barrier": {"thermal_stability": 40.0, "critical_voltage_V": {"P_to_AP": 0.6, "AP_to_P": 0.5}, "exponent": 2},
    },
}  # fmt: skip
NOTCHED = {
    **ENGINE,
    "family": "notched_wire",
    "writes": {
        "outcome": {
            "column": "wall_state", "counted": ["single", "lost"], "left_out": ["multiple"],
            "what": "ended with more than one wall", "advice": "weaken the drive",
        },
        "states": {"kind": "levels", "labels": ["pinned", "passed"], "passed": "passed", "volatile": True},
        "pulse": {"channel": "field", "drives": ["field_T"], "polarity": "field_T", "settle": "settle_s"},
        "junction": {"area_m2": 50e-9 * 200e-9},
        "energy": {"clock": True},
    },
}  # fmt: skip
# what the counts of the junction and of the notched wire are drawn from
ACTIVATED = {"thermal_stability": 12.0, "critical_voltage_V": 0.5}
PASSING = {"threshold": 0.02, "slope": 400.0, "amplitude": 0.95}


@cache
def _default() -> dict[str, Any]:
    return study_config.section(study_config.load(ROOT / "config.yaml"), "calibration")


def section(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return config.yaml's calibration section at the costs of these tests, with changes as ``{"states.count": 4}``."""
    made = copy.deepcopy(_default())
    made["seed"] = 1
    made["write_energy"] |= {"reset_current_density_A_per_m2": 2e11, "reset_duration_s": 3e-9}
    return changed(made, changes or {})


def stage(changes: dict[str, Any] | None = None) -> Stage:
    """Return `section` as the code receives it."""
    return Stage.parse(section(changes), "c.json")


def meta_with(card: KernelCard, **entries: Any) -> Meta:
    """Return the card's ``meta`` with other entries; those of a mapping replace the entries of that name."""
    told = card.meta.dump()
    for name, value in entries.items():
        told[name] = {**told.get(name, {}), **value} if isinstance(value, dict) else value
    return Meta(**told)


def changed(made: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Change entries, told by dotted keys, in place."""
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = made
        for key in parents:
            place = place[key]
        place[last] = value
    return made


def wall_events(instances: int = 8, replicas: int = 10, seed: int = 1) -> pd.DataFrame:
    """Return writes x = mean of the pulse + device + cycle, both normal, cut to the track."""
    pulse, instance, replica = np.indices((len(MEANS), instances, replicas)).reshape(3, -1)
    device = generator(seed, "device").normal(0, DEVICE_SD, instances)
    cycle = generator(seed, "cycle").normal(0, CYCLE_SD, pulse.size)
    position = np.clip(MEANS[pulse] + device[instance] + cycle, 0, LENGTH)
    return pd.DataFrame(
        {
            "pulse": pulse,
            "instance": instance,
            "replica": replica,
            "start_position_m": 50e-9,
            "pulse_end_position_m": position,
            "final_position_m": position,
            "wall_state": "single",
            "energy_total_J": -1e-18,
            "spec_hash": HASH,
        }
    )


def wall_pulses() -> pd.DataFrame:
    """Return the pulse plan that goes with `wall_events`."""
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


def walking_events(replicas: int = 160, seed: int = 2) -> pd.DataFrame:
    """Return writes of two pulses, +-STEP with sd CYCLE_SD, from starts spread over the track; lost ones drawn anew."""
    pulse, replica = np.indices((2, replicas)).reshape(2, -1)
    start = np.linspace(20e-9, LENGTH - 20e-9, replicas)[replica]
    rng = generator(seed, "walk")
    final = np.full(len(pulse), -1.0)
    while (out := (final <= 0) | (final >= LENGTH)).any():
        moved = start + np.where(pulse == 0, STEP, -STEP) + rng.normal(0, CYCLE_SD, len(pulse))
        final = np.where(out, moved, final)
    return pd.DataFrame(
        {
            "pulse": pulse,
            "instance": replica % 4,
            "replica": replica // 4,
            "start_position_m": start,
            "final_position_m": final,
            "wall_state": "single",
            "spec_hash": HASH,
        }
    )


def walking_pulses() -> pd.DataFrame:
    """Return the pulse plan that goes with `walking_events`: opposite currents."""
    plan = wall_pulses().iloc[:2].reset_index(drop=True)
    return plan.assign(voltage_V=0.0, current_density_A_per_m2=[3e11, -3e11])


def junction_pulses(voltages=(0.2, 0.25, 0.3, 0.35, 0.4), durations=(1e-9, 1e-8), current=True) -> pd.DataFrame:
    """Return the device stage's plan: each voltage and duration once in each direction."""
    rows = [
        {
            "direction": direction,
            "voltage_V": sign * voltage if current else voltage,
            "duration_s": duration,
            "current_density_A_per_m2": sign * voltage / 1e-11 if current else 0.0,
            "Ku_change_J_per_m3": 0.0,
            "rest_s": 2e-9,
            "relax_s": 3e-9,
            "temperature_K": 300.0,
        }
        for direction, sign in (("P_to_AP", -1), ("AP_to_P", 1))
        for duration in durations
        for voltage in voltages
    ]
    return pd.DataFrame(rows).rename_axis("pulse").reset_index()


def junction_events(plan: pd.DataFrame, probability, instances: int = 4, replicas: int = 100, seed: int = 3):
    """Return writes that switch with ``probability``, one per pulse of the plan, and the mean mz of each pulse."""
    pulse, instance, replica = np.indices((len(plan), instances, replicas)).reshape(3, -1)
    begins = np.where(plan["direction"].to_numpy()[pulse] == "P_to_AP", "P", "AP")
    switched = generator(seed, "switch").random(pulse.size) < np.asarray(probability)[pulse]
    return pd.DataFrame(
        {
            "pulse": pulse,
            "instance": instance,
            "replica": replica,
            "start_state": begins,
            "final_state": np.where(switched == (begins == "P"), "AP", "P"),
            # half of the pulse in either state if it switches
            "mz_pulse_mean": np.where(switched, 0.0, np.where(begins == "P", 1.0, -1.0)),
            "spec_hash": HASH,
        }
    )


def activated(plan: pd.DataFrame, stability: float = ACTIVATED["thermal_stability"]) -> np.ndarray:
    """Return Neel and Brown's probabilities of a plan's pulses."""
    own = {**ACTIVATED, "thermal_stability": stability}
    return neel_brown.probability(own, plan["voltage_V"].abs(), plan["duration_s"], 300.0)


def notched_pulses(fields=(0.01, 0.014, 0.018, 0.022, 0.026, 0.03)) -> pd.DataFrame:
    """Return a plan of field clocks."""
    plan = pd.DataFrame({"field_T": fields}).rename_axis("pulse").reset_index()
    zeros = {"current_density_A_per_m2": 0.0, "zhang_li_u_m_per_s": 0.0}
    return plan.assign(channel="field", **zeros, duration_s=4e-9, settle_s=1e-9, temperature_K=300.0)


def notched_events(instances: int = 8, replicas: int = 50, seed: int = 4) -> pd.DataFrame:
    """Return writes that pass with the law's probability."""
    plan = notched_pulses()
    pulse, instance, replica = np.indices((len(plan), instances, replicas)).reshape(3, -1)
    p = passing.probability(PASSING, plan["field_T"].to_numpy()[pulse])
    passed = generator(seed, "pass").random(pulse.size) < p
    table = {"pulse": pulse, "instance": instance, "replica": replica, "wall_state": "single", "passed": passed}
    return pd.DataFrame({**table, "spec_hash": HASH})


@dataclass
class Study:
    """Inputs of the stage, changed freely by a test before they are written."""

    folder: Path
    events: pd.DataFrame = field(default_factory=wall_events)
    pulses: pd.DataFrame = field(default_factory=wall_pulses)
    device: dict = field(default_factory=lambda: copy.deepcopy(WALL))
    config: dict = field(default_factory=section)

    @property
    def tables(self) -> Path:
        """Folder of the device stage's tables."""
        return self.folder / "device_sims"

    @property
    def section(self) -> Path:
        """File of the calibration section."""
        return self.folder / "config.json"

    @property
    def stage(self) -> Stage:
        """The calibration section as the code receives it."""
        return Stage.parse(self.config, str(self.section))

    def write(self) -> Study:
        """Write the inputs."""
        self.tables.mkdir(parents=True, exist_ok=True)
        self.section.write_text(json.dumps(self.config))
        (self.tables / "device.json").write_text(json.dumps(self.device))
        write_parquet(self.events, self.tables / "events.parquet")
        self.pulses.to_csv(self.tables / "pulses.csv", index=False)
        return self

    def card(self, **changes: Any):
        """Return the card of these inputs; ``changes`` to the section have ``__`` for each dot and stay."""
        changed(self.config, {key.replace("__", "."): value for key, value in changes.items()})
        self.write()
        return build.make(self.stage, str(self.section), self.tables)[0]

    def arguments(self, output: Path) -> list[str]:
        """Return the command line that makes the card of these inputs."""
        self.write()
        inputs = ["--config", str(self.section), "--device-sims", str(self.tables)]
        return ["card", *inputs, "--output", str(output), "--log", str(self.folder / "card.log")]

    def figures(self, card: Path, output: Path) -> list[str]:
        """Return the command line that draws a card of these inputs."""
        inputs = ["--config", str(self.section), "--device-sims", str(self.tables)]
        return ["figures", "--card", str(card), *inputs, "--output", str(output)]


def walking(folder: Path, **changes: Any) -> Study:
    """Return the study of a wall that moves on from its present state; 5 states of equal width by default."""
    device = changed(copy.deepcopy(WALL), {"writes.states.before": "start_position_m"})
    config = section({"states.method": "equal_width", **changes})
    return Study(folder, walking_events(), walking_pulses(), device, config)


def junction(folder: Path, **changes: Any) -> Study:
    """Return the study of a junction written by current."""
    plan = junction_pulses()
    config = section({"states.method": "device", "states.count": None, **changes})
    return Study(folder, junction_events(plan, activated(plan)), plan, copy.deepcopy(JUNCTION), config)


def gated(folder: Path, **changes: Any) -> Study:
    """Return the study of a junction written by voltage, each pulse from either state."""
    plan = junction_pulses((1.0, 1.5), (2e-10, 4e-10), current=False)
    device = changed(copy.deepcopy(JUNCTION), {
        "family": "vcma_mtj", "writes.pulse.channel": "gate", "writes.states.missing": "error",
        "writes.junction.RA_ohm_m2": 1e-9, "writes.barrier.critical_voltage_V": None,
        "writes.energy.gate": {"area_m2": AREA, "dielectric_thickness_m": 1.5e-9},
    })  # fmt: skip
    config = section({"states.method": "device", "states.count": None, **changes})
    return Study(folder, junction_events(plan, np.linspace(0.1, 0.8, len(plan))), plan, device, config)


def notched(folder: Path, **changes: Any) -> Study:
    """Return the study of a wall clocked past a notch by a field."""
    clock = {"write_energy.clock_energy_J": 2e-15}
    config = section({"states.method": "device", "states.count": None, **clock, **changes})
    return Study(folder, notched_events(), notched_pulses(), copy.deepcopy(NOTCHED), config)


KINDS = {"walking": walking, "stt_mtj": junction, "vcma_mtj": gated, "notched_wire": notched}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Linear algebra runs as in the program: in one thread, so that no result depends on the machine's cores."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def study(tmp_path) -> Study:
    return Study(tmp_path)


@pytest.fixture(scope="session")
def studies(tmp_path_factory) -> dict[str, Study]:
    """One written study of each kind; tests do not change them."""
    kinds = {"domain_wall": Study, **KINDS}
    return {name: make(tmp_path_factory.mktemp(name)).write() for name, make in kinds.items()}


@pytest.fixture(scope="session")
def cards(studies) -> dict:
    """Their cards; tests replace parts of them and never change them."""
    return {name: study.card() for name, study in studies.items()}


@pytest.fixture(scope="session")
def good(cards):
    """Card of the unchanged domain wall."""
    return cards["domain_wall"]
