"""Problems that several tests use."""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_sims import validation
from device_sims.common import Simulations
from device_sims.config import Stage
from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem
from spinloom.declare import Section


def track(**changes) -> Problem:
    """The racetrack of the reference trajectories: 512 x 64 x 1 nm, 4 nm cells, wall in the middle, T = 0."""
    problem = Problem(
        mesh=Mesh(128, 16, (4e-9, 4e-9, 1e-9)),
        geometry=Geometry(),
        material=Material(1e6, 1.5e-11, 0.02, Ku_J_per_m3=8e5, spin_hall_angle=0.1),
        schedule=(Phase("run", 2e-10),),
        initial=Initial("wall", position_m=256e-9, width_m=12e-9),
        temperature_K=0.0,
        numerics=Numerics(1e-13, "rk4", "float64", 0),
        record_interval_s=5e-11,
    )
    return replace(problem, **changes)


def with_material(problem: Problem, **changes) -> Problem:
    return replace(problem, material=replace(problem.material, **changes))


def with_numerics(problem: Problem, **changes) -> Problem:
    return replace(problem, numerics=replace(problem.numerics, **changes))


def changed(section: Section, path: str, value: Any) -> Any:
    """Return the section with another value at a dotted path, unchecked."""
    first, _, rest = path.partition(".")
    if rest:
        value = changed(getattr(section, first), rest, value)
    return section.model_copy(update={first: tuple(value) if isinstance(value, list) else value})


@pytest.fixture(scope="session")
def section() -> Simulations:
    """A section of stage 1 small enough to simulate in a test, at 300 K with rough edges."""
    content = {
        "seed": 3,
        "engine": "llg",
        "device": "domain_wall",
        "domain_wall": {
            "track": {"length_m": 96e-9, "width_m": 24e-9, "thickness_m": 1e-9, "cell_m": 4e-9},
            "material": {"Ms_A_per_m": 1e6, "A_J_per_m": 1.5e-11, "Ku_J_per_m3": 8e5, "D_J_per_m2": 1e-3, "alpha": 0.3},
            "gate": {
                "mechanism": "vcma",
                "vcma_coefficient_J_per_V_m": 1e-13,
                "dielectric_thickness_m": 1e-9,
            },
            "sot": {
                "current_density_A_per_m2": 2e11,
                "duration_s": 2e-11,
                "spin_hall_angle": -0.1,
                "field_like_ratio": 0.0,
            },
            "roughness": {"rms_m": 1e-9, "correlation_length_m": 2e-8},
            "notches": {"positions_m": [], "depth_m": 0.0, "width_m": 2e-8},
            "wall": {"start_m": 48e-9, "rest_s": 1e-11, "settle_s": 1e-11},
            "temperature_K": 300.0,
            "write_mode": "reset",
            "pulses": {"voltages_V": [-0.5, 0.5], "start_positions_m": [], "polarities": [1]},
        },
        "sweep": {
            "instances": 2,
            "replicas_per_instance": 2,
            "instances_per_chunk": 1,
            "replicas_per_chunk": None,
            "replicas": [],
        },
        "numerics": {
            "integrator": "heun",
            "dt_s": 2e-13,
            "precision": "float32",
            "demag_interval_steps": 2,
            "record_interval_s": 1e-11,
        },
    }
    return Stage.parse(content, "a test")


def reference(name: str) -> np.ndarray:
    """Return a reference trajectory: columns t, mx, my, mz."""
    path = Path(validation.__file__).parent / "reference" / name
    return np.loadtxt(path, delimiter=",", skiprows=1, usecols=(0, 1, 2, 3))


@pytest.fixture
def fake_mumax3(tmp_path, monkeypatch) -> Path:
    """Put the stand-in in mumax3's place; temporary files go to the folder that is returned."""
    folder, scratch = tmp_path / "bin", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    path = folder / "mumax3"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("mumax3_fake.py")}" "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.delenv("SPINLOOM_MUMAX3", raising=False)
    return scratch
