"""Six scripts of our own in mumax3's language, translated and run, beside what is known of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from device_sims.engines.mumax3.script import BOHR_MAGNETON, ELECTRON
from device_sims.problem import material, problem_file
from device_sims.single.run import run
from device_sims.translate.problem import translate

SCRIPTS = Path(__file__).parent / "scripts"


def table_of(name: str, folder: Path) -> pd.DataFrame:
    translate(SCRIPTS / f"{name}.mx3", folder / "problem")
    run(folder / "problem" / "problem.yaml", "llg", folder / "run")
    return pd.read_csv(folder / "run" / "table.csv")


@pytest.mark.long
def test_a_film_switches_as_in_mumax3s_own_test(tmp_path):
    """muMAG's problem 4, field 1: the number that mumax3's test expects, to what its own cells leave open."""
    table = table_of("standard_problem_4", tmp_path)
    assert table.iloc[1][["mx", "my", "mz"]].tolist() == pytest.approx([0.966968, 0.125273, 0], abs=1e-4)
    assert table.iloc[-1][["mx", "my", "mz"]].tolist() == pytest.approx([-0.984612, 0.126041, 0.043271], abs=1e-2)


def test_a_junction_turns_as_in_mumax3s_own_test(tmp_path):
    """Its number lies 1.17e-3 from ours and OOMMF's (docs/engines/comparison.md)."""
    table = table_of("junction", tmp_path)
    assert table.iloc[-1][["mx", "my", "mz"]].tolist() == pytest.approx([0.905613, -0.286086, -0.011006], abs=1.5e-3)


def test_a_wall_moves_with_the_electrons(tmp_path):
    """With xi = alpha a wall moves at u, whatever its shape; against J, to the right."""
    table = table_of("wall_in_a_current", tmp_path)
    u = BOHR_MAGNETON * 0.5 * 1e12 / (ELECTRON * 6e5 * (1 + 0.1**2))
    position = table.set_index("t_s")["wall_position_m"]
    assert position.iloc[0] == pytest.approx(80 * 2.5e-9, abs=2.5e-9)
    half, whole = (position[np.isclose(position.index, t, atol=0)].item() - position.iloc[0] for t in (0.5e-9, 1e-9))
    assert half == pytest.approx(u * 0.5e-9, rel=0.03, abs=0)
    assert whole == pytest.approx(u * 1.5e-9, rel=0.03, abs=0)  # the second current is twice the first


def test_a_particle_turns_at_stoners_and_wohlfarths_field(tmp_path):
    """At 45 degrees to the easy axis, at half of 2 Ku/Ms = 50 mT: between the steps at 22 and 26 mT."""
    table = table_of("hysteresis_loop", tmp_path)
    along = ((table["mx"] + table["my"]) / np.sqrt(2)).to_numpy()[1:]
    fields = np.concatenate([34 - 4 * np.arange(18), -34 + 4 * np.arange(18)])
    assert len(along) == 36
    down, up = along[:18], along[18:]
    assert (down[fields[:18] >= -22] > -0.6).all() and (down[fields[:18] <= -26] < -0.7).all()
    np.testing.assert_allclose(up, -down, atol=1e-3)  # the loop is its own image


@pytest.mark.long
def test_a_skyrmion_keeps_its_charge_while_a_current_moves_it(tmp_path):
    translate(SCRIPTS / "skyrmion.mx3", tmp_path / "problem")
    problem, _ = problem_file.load(tmp_path / "problem" / "problem.yaml")
    assert problem.material.D_J_per_m2 == 3.4e-3 and problem.material.spin_hall_angle == 0.1
    table = pd.read_csv(run_in(tmp_path) / "table.csv")
    charge = table["topological_charge"]
    assert abs(charge.iloc[1]) == pytest.approx(1, abs=0.1)  # row 0 is the start, row 1 the relaxed state
    assert charge.iloc[-1] == pytest.approx(charge.iloc[1], abs=0.05)


def run_in(folder: Path) -> Path:
    run(folder / "problem" / "problem.yaml", "llg", folder / "run")
    return folder / "run"


def test_grains_differ_and_their_boundaries_are_weaker(tmp_path):
    translate(SCRIPTS / "grains.mx3", tmp_path / "problem")
    problem, _ = problem_file.load(tmp_path / "problem" / "problem.yaml")
    mask = material.mask(problem)
    found = material.constants(problem, mask)
    left, right = found["Ku_J_per_m3"][0, :, :40], found["Ms_A_per_m"][0, :, 57:]
    assert len(np.unique(left)) > 8 and left.mean() == pytest.approx(1e4, rel=0.15, abs=0)  # 20 values of sd 20 %
    assert (right == 4e5).all() and problem.mesh.periodic == (2, 0) and problem.temperature_K == 300
    assert problem.couplings and {coupling.factor for coupling in problem.couplings} == {0.9}
    table = pd.read_csv(run_in(tmp_path) / "table.csv")
    assert table["t_s"].iloc[-1] == pytest.approx(10e-12, abs=1e-15)
