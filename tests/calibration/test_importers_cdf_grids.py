"""CDF grids over (G, dG): a made-up device of known steps, and what is wrong with files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from calibration.__main__ import main
from calibration.sources.importers import import_file, recognised
from spinloom.errors import UserError

OPTIONS = {"duration_s": 1e-9, "voltage_up_V": 0.5, "voltage_down_V": -0.4}
GRID_S, CHANGE_S, SD_S = np.linspace(10e-6, 50e-6, 41), np.linspace(-12e-6, 12e-6, 97), 1.2e-6
SPACING_S = CHANGE_S[1] - CHANGE_S[0]


def mean_step(direction: str, conductance: np.ndarray) -> np.ndarray:
    share = (conductance - 10e-6) / 40e-6
    return 2e-6 * (2 - share) if direction == "set" else -2e-6 * (1 + share)


def write_grid(folder: Path, direction: str, grid: np.ndarray = GRID_S, suffix: str = "", scale: float = 1) -> None:
    """Write the CDF of normal steps, and its axes."""
    stem = f"cell_{direction}{suffix}"
    cdf = norm.cdf(CHANGE_S, mean_step(direction, grid)[:, None], SD_S)
    for name, values in (("axis_level_G", scale * grid), ("axis_level_dG", scale * CHANGE_S)):
        np.savetxt(folder / f"{stem}_{name}.txt", values)
    np.savetxt(folder / f"{stem}_cdf.txt", cdf, fmt="%.12f")


@pytest.fixture
def grids(tmp_path):
    for direction in ("set", "reset"):
        write_grid(tmp_path, direction)
    return tmp_path


def steps(card) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lattice, and mean and sd of the step by pulse and state."""
    lattice = card.states["conductance_S"].to_numpy()
    mean = card.kernel @ lattice
    return lattice, mean - lattice, np.sqrt(np.sum(card.kernel * (lattice - mean[..., None]) ** 2, axis=-1))


def test_steps_are_those_of_the_grid(grids):
    """Mean exact; a CDF linear between points of spacing h adds h^2/6 to the variance of a normal (Sheppard, twice)."""
    card = import_file(grids, "crosssim", {**OPTIONS, "states": len(GRID_S)}).card
    lattice, mean, sd = steps(card)
    assert lattice == pytest.approx(GRID_S, abs=1e-18)
    for pulse, direction in enumerate(("set", "reset")):
        expected = mean_step(direction, lattice)
        inside = (lattice + expected > 10e-6 + 6 * SD_S) & (lattice + expected < 50e-6 - 6 * SD_S)
        assert inside.sum() > 20
        assert mean[pulse][inside] == pytest.approx(expected[inside], abs=1e-6 * SD_S)
        assert sd[pulse][inside] == pytest.approx(np.sqrt(SD_S**2 + SPACING_S**2 / 6), rel=1e-6, abs=0)
    assert card.meta.dump()["import"]["devices"] == ["cell"]
    assert set(card.meta.dump()["source"]["files"]) == {file.name for file in grids.iterdir()}


def test_between_conductances_the_nearest_counts(grids):
    """Of 201 states, five to a row of the grid, those nearest to a row step like it."""
    lattice, mean, _ = steps(import_file(grids, "crosssim", {**OPTIONS, "states": 201}).card)
    inside = (lattice > 20e-6) & (lattice < 40e-6)
    nearest = GRID_S[np.abs(lattice[:, None] - GRID_S).argmin(axis=1)]
    assert mean[0][inside] == pytest.approx(mean_step("set", nearest)[inside], abs=1e-6 * SD_S)
    # rows 20 to 40 uS
    assert len(set(np.round(mean[0][inside] * 1e12))) == 21


def test_a_folder_of_grids_is_recognised(grids, capsys):
    assert recognised(grids) == ("crosssim", "a folder with *_set*_cdf.txt")
    main(["inspect", str(grids)])
    assert "--format crosssim" in capsys.readouterr().out


def test_changes_may_be_shared_and_conductances_differ(tmp_path):
    """Two voltages, one axis of changes for each direction; the device has what both directions have."""
    for suffix in ("1V_SD", "2V_SD"):
        write_grid(tmp_path, "set", GRID_S[:31], suffix, 1e6)
        write_grid(tmp_path, "reset", GRID_S[10:], suffix, 1e6)
    for direction in ("set", "reset"):
        (tmp_path / f"cell_{direction}2V_SD_axis_level_dG.txt").unlink()
        (tmp_path / f"cell_{direction}1V_SD_axis_level_dG.txt").rename(tmp_path / f"cell_{direction}_axis_level_dG.txt")
    options = {**OPTIONS, "conductance_unit": "uS"}
    with pytest.raises(UserError, match="found grids of 2 names, allowed: one, by option device: cell_1V_SD, cell_2V"):
        import_file(tmp_path, "crosssim", options)
    with pytest.raises(UserError, match="option device: found 3, allowed: cell_1V_SD, cell_2V_SD"):
        import_file(tmp_path, "crosssim", {**options, "device": 3})
    card = import_file(tmp_path, "crosssim", {**options, "device": "cell_2V_SD", "states": 21}).card
    lattice, mean, _ = steps(card)
    assert lattice == pytest.approx(GRID_S[10:31], abs=1e-15)
    # 6 sd from the upper end and the lower
    assert mean[0][3] == pytest.approx(mean_step("set", lattice)[3], rel=1e-3, abs=0)
    assert mean[1][17] == pytest.approx(mean_step("reset", lattice)[17], rel=1e-3, abs=0)
    write_grid(tmp_path, "reset", GRID_S[35:], "2V_SD", 1e6)
    with pytest.raises(UserError, match="found conductances 1e-05..4e-05 S and 4.5e-05..5e-05 S .* that overlap"):
        import_file(tmp_path, "crosssim", {**options, "device": "cell_2V_SD"})


def test_what_lies_beyond_the_changes_is_told_and_lies_at_their_end(grids):
    """The last change is given 2 % of each row, as a draw of the nearest CDF does."""
    path = grids / "cell_set_cdf.txt"
    cdf = np.minimum(np.loadtxt(path), 0.98)
    np.savetxt(path, cdf)
    result = import_file(grids, "crosssim", {**OPTIONS, "states": len(GRID_S)})
    note = "cell_set_cdf.txt: up to 2 % of a row lies beyond the axis of changes and is taken to be at its end"
    assert note in result.notes
    lattice, mean, _ = steps(result.card)
    mass = np.diff(cdf[15], prepend=0, append=1)
    ends = np.concatenate([CHANGE_S[:1], CHANGE_S, CHANGE_S[-1:]])
    assert mean[0][15] == pytest.approx(mass @ (ends[1:] + ends[:-1]) / 2, rel=1e-6, abs=0)


def cell(row: int, column: int, value: float):
    def change(values: np.ndarray) -> np.ndarray:
        values[row, column] = value
        return values

    return change


BAD = {
    "G falls": ("axis_level_G", lambda values: values[::-1], "row 2: found 4.9e-05 after 5e-05, allowed: each above"),
    "dG repeats": ("axis_level_dG", lambda values: np.repeat(values, 2), "row 2: found -1.2e-05 after -1.2e-05"),
    "one G": ("axis_level_G", lambda values: values[:1], "found 1 values, allowed: 2 or more"),
    "two a line": ("axis_level_G", lambda values: values[:40].reshape(-1, 2), "row 1: found 2 values, allowed: 1"),
    "unit": ("axis_level_G", lambda values: 1e6 * values, "row 1, column conductance_S: found 10, allowed: 1e-12..1"),
    "rows": ("cdf", lambda values: values[:-1], "found 40 rows, allowed: 41, one for each value of cell_reset_axis_l"),
    "columns": ("cdf", lambda values: values[:, 1:], "row 1: found 96 columns, allowed: 97, one for each value of"),
    "turned": ("cdf", lambda values: values.T, "found 97 rows, allowed: 41"),
    "falls": ("cdf", cell(4, 40, 0.9), "row 5, column 42: found a CDF of "),
    "ends": ("cdf", lambda values: 0.9 * values, "row 1: found a CDF from 0 to 0.9, allowed: from 0 to 1, each within"),
    "starts": ("cdf", lambda values: 0.1 + 0.9 * values, "row 1: found a CDF from 0.1 to 1, allowed: from 0 to 1"),
    "per cent": ("cdf", lambda values: 100 * values, "row 1: found a CDF from 0 to 100, allowed: from 0 to 1"),
    "density": ("cdf", lambda values: np.gradient(values, axis=1), "row 1, column "),
    "nan": ("cdf", cell(2, 3, np.nan), "row 3, column 4: found nan, allowed: a finite number"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_grid_is_told(case, grids):
    name, change, message = BAD[case]
    path = grids / f"cell_reset_{name}.txt"
    np.savetxt(path, change(np.loadtxt(path)), fmt="%.12g")
    with pytest.raises(UserError) as error:
        import_file(grids, "crosssim", OPTIONS)
    assert str(error.value).startswith(f"{path}: {message}")


def test_what_is_wrong_with_a_folder_of_grids_is_told(grids):
    (grids / "dG_increasing.txt").write_text("")
    with pytest.raises(UserError, match="found tables of both kinds, allowed: dG_increasing.* or .*_cdf.txt"):
        import_file(grids, "crosssim", OPTIONS)
    (grids / "dG_increasing.txt").unlink()
    for missing in ("cell_set_axis_level_dG.txt", "cell_set_axis_level_G.txt"):
        (grids / missing).rename(grids / "away")
        with pytest.raises(UserError, match=f"{missing}: found nothing, allowed: a file"):
            import_file(grids, "crosssim", OPTIONS)
        (grids / "away").rename(grids / missing)
    files = [grids / f"cell_{way}_cdf.txt" for way in ("set", "reset")]
    up, down = (file.read_text() for file in files)
    files[0].write_text(down)
    files[1].write_text(up)
    with pytest.raises(UserError, match=r"up \(cell_set_cdf.txt\) .* the two look exchanged"):
        import_file(grids, "crosssim", OPTIONS)
    files[0].unlink()
    with pytest.raises(UserError, match="cell_reset_cdf.txt: found no grid for set beside it, allowed: both"):
        import_file(grids, "crosssim", OPTIONS)
