"""``python -m device_sims barrier``: files in, tables and a picture out."""

import numpy as np
import pandas as pd
import pytest
import yaml

from device_sims.__main__ import main
from device_sims.problem import BOLTZMANN, ovf
from spinloom.errors import UserError
from tests.dictionary import documented

K, VOLUME = 1.6e5, 4e-25


def content(direction=(0.05, 0.0, 1.0), **changes):
    return {
        "mesh": {"cells": [1, 1, 1], "cell_m": [1e-8, 1e-8, 4e-9]},
        "material": {"Ms_A_per_m": 8e5, "A_J_per_m": 1e-11, "alpha": 0.1, "Ku_J_per_m3": K, "spin_hall_angle": 0.1},
        "initial": {"kind": "uniform", "direction": list(direction)},
        "schedule": [
            {"name": "rest", "duration_s": 1e-9},
            {"name": "pull", "duration_s": 1e-9, "field_T": [0.0, 0.0, -0.08]},
            {"name": "pulse", "duration_s": 1e-9, "current_density_A_per_m2": 1e11},
        ],
        "numerics": {"dt_s": 1e-13, "demag": False},
        "outputs": {"record_interval_s": 1e-10},
        **changes,
    }


@pytest.fixture
def problem(tmp_path):
    def write(name="a.yaml", **changes):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(content(**changes)))
        return str(path)

    return write


@pytest.mark.long
def test_tables_states_and_picture(problem, tmp_path):
    out = tmp_path / "out"
    main(["barrier", problem(), "--output", str(out), "--temperature-K", "250", "--images", "9"])
    table = pd.read_csv(out / "barrier.csv")
    assert list(table.columns) == documented("barrier.csv")
    assert table["barrier_J"].tolist() == pytest.approx([K * VOLUME] * 2, rel=1e-6, abs=0)
    np.testing.assert_allclose(table["barrier_kT"], table["barrier_J"] / (BOLTZMANN * 250))
    rate = table["attempts_per_s"] * np.exp(-table["barrier_kT"])
    np.testing.assert_allclose(table["rate_per_s"], rate)
    # at that temperature the state is left once in ten years
    kelvin = table["ten_year_temperature_K"]
    years = np.exp(table["barrier_J"] / (BOLTZMANN * kelvin)) / table["attempts_per_s"] / (365.25 * 86400)
    np.testing.assert_allclose(years, 10, rtol=1e-9)
    path = pd.read_csv(out / "path.csv")
    assert list(path.columns) == documented("path.csv")
    assert (path["image"] >= 0).sum() == 9
    saddle = path[path["image"] == -1].iloc[0]
    assert saddle["energy_J"] == pytest.approx(K * VOLUME, rel=1e-6, abs=0)
    assert saddle["mz"] == pytest.approx(0, abs=1e-4)
    assert [ovf.read(out / f"{name}.ovf").values[2, 0, 0, 0] for name in "ab"] == pytest.approx([1, -1], abs=1e-6)
    assert (out / "path.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_phase_and_a_second_file(problem, tmp_path):
    second = problem("b.yaml", direction=(0.0, 0.3, -1.0))
    main(["barrier", problem(), second, "--output", str(tmp_path / "out"), "--phase", "pull", "--attempt", "none"])
    table = pd.read_csv(tmp_path / "out" / "barrier.csv")
    h = 0.08 * 8e5 / (2 * K)
    expected = [K * VOLUME * (1 - h) ** 2, K * VOLUME * (1 + h) ** 2]
    assert table["barrier_J"].tolist() == pytest.approx(expected, rel=1e-6, abs=0)
    assert table["attempts_per_s"].isna().all() and table["ten_year_temperature_K"].isna().all()


@pytest.mark.long
def test_a_trajectory_and_an_ovf_file_are_where_the_search_begins(problem, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for number, angle in enumerate(np.linspace(0, np.pi, 7)):
        m = np.reshape([0.0, np.sin(angle), np.cos(angle)], (3, 1, 1, 1))
        ovf.write(run / f"m{number:06d}.ovf", m, (1e-8, 1e-8, 4e-9), name="m", time_s=0.0)
    last = str(run / "m000006.ovf")
    out = tmp_path / "out"
    main(["barrier", problem(), last, "--output", str(out), "--trajectory", str(run), "--attempt", "none"])
    path = pd.read_csv(out / "path.csv")
    assert path["my"].max() > 0.95 and path["mx"].abs().max() < 0.05  # the way of the trajectory


@pytest.mark.parametrize(
    "options, message",
    [
        (["--phase", "pulse"], "has no energy"),
        (["--phase", "hold"], "allowed: rest, pull, pulse"),
        (["--start", "wall", "--images", "4"], "images"),
        (["--temperature-K", "cold"], "temperature_K"),
        (["--trajectory", "nowhere"], "found no m"),
    ],
)
def test_what_cannot_be_is_a_line(problem, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        main(["barrier", problem(), "--output", str(tmp_path / "out"), *options])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_another_problem_is_refused(problem, tmp_path):
    other = problem("b.yaml", material={**content()["material"], "alpha": 0.2})
    with pytest.raises(UserError, match="another material"):
        main(["barrier", problem(), other, "--output", str(tmp_path / "out")])


def test_a_directory_with_files_is_refused(problem, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="out: found that it exists already"):
        main(["barrier", problem(), "--output", str(tmp_path / "out")])
