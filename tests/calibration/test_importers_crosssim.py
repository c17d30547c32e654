"""Steps of the conductance on a lattice: moments in closed form, made-up tables, and published ones where present."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from calibration.sources.importers import REGISTRY, brings_states, import_file
from calibration.sources.importers.crosssim import kernel
from calibration.sources.importers.lookup.lattice import Pieces, split
from calibration.sources.importers.lookup.quantiles import read_table
from spinloom.errors import UserError
from spinloom.streams import generator

OPTIONS = {"duration_s": 1e-9, "voltage_up_V": 0.5, "voltage_down_V": -0.4}
ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "crosssim_lookup_tables.tar.xz"


def moments(rows: np.ndarray, lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each row of probabilities."""
    mean = rows @ lattice
    return mean, np.sqrt(np.sum(rows * (lattice - mean[..., None]) ** 2, axis=-1))


def test_a_split_worked_by_hand():
    """Uniform over 0.5..1.5: sharing gives (1/8, 3/4, 1/8), variance 1/4; 2/3 of all on 1 leaves the 1/12 wanted."""
    row = split(Pieces(np.array([0.5]), np.array([1.5]), np.ones(1)), 3)
    assert row == pytest.approx([1 / 24, 11 / 12, 1 / 24], abs=1e-15)


def test_a_narrow_step_is_shared_between_two_points():
    row = split(Pieces(np.array([2.25]), np.array([2.25]), np.ones(1)), 5)
    assert row == pytest.approx([0, 0, 0.75, 0.25, 0], abs=1e-15)


def test_clipping_worked_by_hand():
    """Uniform over 0..2 and points at -1 and 3, clipped to 0.5..1.5."""
    step = Pieces(np.array([0.0, -1.0, 3.0]), np.array([2.0, -1.0, 3.0]), np.array([0.5, 0.25, 0.25])).clipped(0.5, 1.5)
    assert step.weight.sum() == pytest.approx(1, abs=1e-15)
    assert step.mean == pytest.approx(1, abs=1e-15)
    # 3/8 at each end, 1/4 uniform between
    assert step.variance == pytest.approx(0.75 * 0.25 + 0.25 / 12, abs=1e-15)


def test_every_split_has_the_mean_and_the_variance_that_a_lattice_can_have():
    """500 random distributions, from points to wider than the lattice; no tolerance beyond rounding."""
    random = generator(3, "pieces")
    narrow = 0
    for _ in range(500):
        size = random.integers(1, 6)
        width = 10 ** random.uniform(-13, 1)
        middle = random.uniform(4, 7) + 10 ** random.uniform(-2, 0.5) * random.normal(size=size)
        ends = np.sort(middle + width * random.normal(size=(2, size)), axis=0)
        step = Pieces(*ends, random.dirichlet(np.ones(size))).clipped(0, 11)
        row = split(step, 12)
        mean, sd = moments(row, np.arange(12))
        rest = step.mean % 1
        narrow += step.variance < rest * (1 - rest)
        assert row.min() >= 0 and row.sum() == pytest.approx(1, abs=1e-12)
        assert mean == pytest.approx(step.mean, abs=1e-9)
        assert sd**2 == pytest.approx(max(step.variance, rest * (1 - rest)), abs=1e-8)
    assert 100 < narrow < 400  # both kinds were tried


def test_quantiles_that_fall_are_drawn_like_those_that_rise():
    step = Pieces.from_quantiles(np.array([0, 0.5, 1]), np.array([1.0, 3.0, 2.0]))
    assert list(step.low) == [1, 2] and list(step.high) == [3, 3]
    assert step.mean == pytest.approx((2 + 2.5) / 2, abs=1e-15)


def text(conductance, probability, change, header="G, CDF, dG\n", separator=",") -> str:
    rows = [conductance, probability, *change]
    return header + "\n".join(separator.join(repr(float(value)) for value in row) for row in rows) + "\n"


def write_device(folder: Path, label: str, low: float, high: float, size: float, separator: str = ",") -> None:
    """Write tables of steps uniform between 0.5 and 1.5 times a mean that falls towards the end it goes to."""
    grid, probability = np.linspace(low, high, 5), np.array([0, 0.3, 1.0])
    share = (grid - low) / (high - low)
    for name, mean in (("increasing", size * (2 - share)), ("decreasing", -size * (1 + share))):
        quantiles = (0.5 + probability if mean[0] > 0 else 1.5 - probability)[:, None] * mean
        (folder / f"dG_{name}{label}.txt").write_text(text(grid, probability, quantiles, separator=separator))


@pytest.fixture
def tables(tmp_path):
    write_device(tmp_path, "2", 10e-6, 50e-6, 3e-6)
    write_device(tmp_path, "10", 20e-6, 60e-6, 3e-6, separator="  ")
    return tmp_path


def test_steps_of_one_device_are_those_of_its_table(tables):
    """Mean (2 - s) 3 uS and sd mean/sqrt(12), s being the share of the way; only where no step can leave the table."""
    card = import_file(tables, "crosssim", {**OPTIONS, "states": 101, "device": 2}).card
    lattice = card.states["conductance_S"].to_numpy()
    assert lattice[[0, -1]] == pytest.approx([10e-6, 50e-6], abs=1e-18) and card.extras == {}
    mean, sd = moments(card.kernel, lattice)
    expected = 3e-6 * (2 - (lattice - 10e-6) / 40e-6)
    inside = lattice + 1.5 * expected < 50e-6
    assert inside.sum() == 88
    assert (mean[0] - lattice)[inside] == pytest.approx(expected[inside], abs=1e-15)
    assert sd[0][inside] == pytest.approx(expected[inside] / np.sqrt(12), abs=1e-13)
    expected = -3e-6 * (1 + (lattice - 10e-6) / 40e-6)
    inside = lattice + 1.5 * expected > 10e-6
    assert (mean[1] - lattice)[inside] == pytest.approx(expected[inside], abs=1e-15)
    # the last step up can only stay
    assert card.kernel[0, -1, -1] == 1 and card.kernel[1, 0, 0] == 1


def test_devices_are_pooled_where_they_have_the_conductance(tables):
    card = import_file(tables, "crosssim", {**OPTIONS, "states": 51}).card
    assert card.meta.dump()["import"]["devices"] == ["2", "10"] and card.meta.source.kind == "library"
    assert set(card.transitions["basis"]) == {"given"} and not card.transitions["effective_count"].any()
    own = card.extras["by_instance"]["probability"].to_numpy().reshape(2, 2, 51, 51)
    lattice = card.states["conductance_S"].to_numpy()
    first, last, both = lattice < 19e-6, lattice > 51e-6, (lattice > 21e-6) & (lattice < 49e-6)
    assert card.kernel[:, first] == pytest.approx(own[0][:, first], abs=1e-15)
    assert card.kernel[:, last] == pytest.approx(own[1][:, last], abs=1e-15)
    assert card.kernel[:, both] == pytest.approx((own[0] + own[1])[:, both] / 2, abs=1e-15)
    # a device stays within its own conductances, 10..50 and 20..60 uS, from wherever it starts
    assert not own[0][:, :, lattice > 51e-6].any() and not own[1][:, :, lattice < 19e-6].any()
    # law of total variance
    mean, sd = moments(card.kernel, lattice)
    means, sds = moments(own, lattice)
    total = (sds**2).mean(axis=0) + means.var(axis=0)
    assert sd[:, both] ** 2 == pytest.approx(total[:, both], rel=1e-9, abs=0)


def test_energies_and_reads(tables):
    options = {
        **OPTIONS,
        "energy_down_J": 2e-15,
        "read_voltage_V": 0.2,
        "read_duration_s": 1e-9,
        "read_noise_fraction": 0.01,
    }
    card = import_file(tables, "crosssim", options).card
    conductance = card.states["conductance_S"].to_numpy()
    mean = card.states["occupancy"] @ conductance
    assert card.pulses["energy_mean_J"].to_numpy() == pytest.approx([0.25 * 1e-9 * mean, 2e-15], rel=1e-12, abs=0)
    assert card.reads["energy_J"].to_numpy() == pytest.approx(0.04 * 1e-9 * conductance, rel=1e-12, abs=0)
    assert card.reads["noise_sd_S"].to_numpy() == pytest.approx(0.01 * conductance, rel=1e-12, abs=0)


def test_a_lattice_too_coarse_is_told(tables):
    result = import_file(tables, "crosssim", {**OPTIONS, "states": 5, "device": "10"})
    assert "steps are narrower than the lattice of pitch 10 uS" in result.notes[0]
    assert (
        import_file(tables, "crosssim", {**OPTIONS, "states": 101, "device": "10"}).card.meta.dump()["import"][
            "rows_too_narrow"
        ]
        < 12
    )  # those next to the ends


def test_the_same_tables_give_the_same_bytes(tables, tmp_path):
    for name in ("one", "two"):
        import_file(tables, "crosssim", {**OPTIONS, "states": 16}).card.write(tmp_path / name)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


GRID, POINTS, CHANGE = [1e-5, 2e-5], [0, 0.5, 1], [[1e-6, 1e-6], [2e-6, 2e-6], [3e-6, 3e-6]]
BAD = {
    "increasing G": (text([2e-5, 1e-5], POINTS, CHANGE), "row 2: found conductances that do not increase"),
    "one G": (text([1e-5], POINTS, [[1e-6]] * 3), "row 2: found conductances that do not increase, allowed: two"),
    "CDF starts": (text(GRID, [0.1, 0.5, 1], CHANGE), "row 3: found CDF points from 0.1 to 1, allowed: from 0 to 1"),
    "CDF ends": (text(GRID, [0, 0.5, 0.9], CHANGE), "row 3: found CDF points from 0 to 0.9, allowed: from 0 to 1"),
    "CDF falls": (text(GRID, [0, 1, 0.5], CHANGE), "row 3: found CDF point 0.5 after 1, allowed: each above the last"),
    "short row": (
        text(GRID, POINTS, [*CHANGE[:2], [1e-6]]),
        "row 6: found 1 changes, allowed: 2, one for each conductance",
    ),
    "few rows": (text(GRID, POINTS, CHANGE[:2]), "found 2 rows of changes, allowed: 3, one for each CDF point"),
    "no rows": (
        text(GRID, POINTS, [], header=""),
        "found 2 rows of numbers, allowed: the conductances, the CDF points",
    ),
    "text": (text(GRID, POINTS, CHANGE).replace("3e-06", "x", 1), "row 6, column 1: found 'x', allowed: a number"),
    "semicolons": (
        text(GRID, POINTS, CHANGE, separator=";"),
        "row 2, column 1: found '1e-05;2e-05', allowed: a number; separate columns with commas and write numbers",
    ),
    "nan": (
        text(GRID, POINTS, CHANGE).replace("3e-06", "nan", 1),
        "row 6, column 1: found nan, allowed: a finite number",
    ),
    "unit": (
        text([10, 20], POINTS, CHANGE),
        "row 2, column conductance_S: found 10, allowed: 1e-12..1 (is that in another unit?",
    ),
    "empty": ("", "found an empty file"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_table_is_told(case, tables):
    content, message = BAD[case]
    (tables / "dG_increasing2.txt").write_text(content)
    with pytest.raises(UserError) as error:
        import_file(tables, "crosssim", OPTIONS)
    assert message in str(error.value) and str(tables / "dG_increasing2.txt") in str(error.value)


def test_tables_that_are_exchanged_are_told(tables):
    """Mean changes of the made-up devices: +-4.5 uS times the mean 0.5 + (0 + 0.3)/2 0.3 + (0.3 + 1)/2 0.7 = 1."""
    up, down = (tables / f"dG_{name}2.txt" for name in ("increasing", "decreasing"))
    right = {file: file.read_text() for file in (up, down)}
    assert not any("mean step" in note for note in import_file(tables, "crosssim", OPTIONS).notes)
    up.write_text(right[down])
    note = "the mean step up (dG_increasing2.txt) lowers the conductance, by 4.5e-06 S"
    result = import_file(tables, "crosssim", OPTIONS)
    assert result.notes[0] == note and result.card.meta.dump()["import"]["notes"][0] == note
    down.write_text(right[up])
    with pytest.raises(UserError) as error:
        import_file(tables, "crosssim", OPTIONS)
    assert str(error.value) == (
        f"{tables}: found a mean step of -4.5e-06 S up ({up.name}) and 4.5e-06 S down ({down.name}), allowed: up "
        "raises the conductance and down lowers it; the two look exchanged"
    )


def test_the_states_of_these_tables_are_an_option():
    able = [name for name in REGISTRY.names() if "states" in REGISTRY.get(name).Options.model_fields]
    assert able == ["crosssim"] and [name for name in REGISTRY.names() if brings_states(name)] == [
        "crosssim",
        "switching",
    ]


def test_what_is_wrong_with_a_folder_is_told(tables, tmp_path):
    with pytest.raises(UserError, match="option device: found 7, allowed: 2, 10"):
        import_file(tables, "crosssim", {**OPTIONS, "device": "7"})
    with pytest.raises(UserError, match="options.states: found 1025, allowed: at most 1024"):
        import_file(tables, "crosssim", {**OPTIONS, "states": 1025})
    write_device(tables, "3", 500e-6, 600e-6, 1e-6)
    with pytest.raises(UserError, match="found no device with the conductance .* import one with option device"):
        import_file(tables, "crosssim", OPTIONS)
    (tables / "dG_decreasing3.txt").unlink()
    with pytest.raises(UserError, match="dG_decreasing3.txt: found nothing, allowed: both directions"):
        import_file(tables, "crosssim", OPTIONS)
    (tmp_path / "single").mkdir()
    write_device(tmp_path / "single", "", 10e-6, 50e-6, 3e-6)
    with pytest.raises(UserError, match="option device: found 0, allowed: nothing, as the tables have no number$"):
        import_file(tmp_path / "single", "crosssim", {**OPTIONS, "device": 0})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="found no table"):
        import_file(tmp_path / "empty", "crosssim", OPTIONS)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    if not ARCHIVE.exists():
        pytest.skip(f"the published lookup tables are not here ({ARCHIVE.name})")
    folder = tmp_path_factory.mktemp("tables")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "lookup_tables"


def drawn(table, conductance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of the clipped conductance after a pulse, by looking up 9 U between any two CDF points."""
    grid, points = table.conductance_S, table.probability
    share = (np.arange(9) + 0.5) / 9
    u = (points[:-1, None] + np.diff(points)[:, None] * share).ravel()
    weight = np.repeat(np.diff(points) / 9, 9)
    look = RegularGridInterpolator((points, grid), table.change_S)
    change = look(np.stack(np.meshgrid(u, conductance), axis=-1))
    landing = np.clip(conductance[:, None] + change, grid[0], grid[-1])
    mean = landing @ weight
    return mean, np.sqrt((landing - mean[:, None]) ** 2 @ weight)


@pytest.mark.parametrize("folder, device", [(f"DWMTJ_{kind}/300K", n) for kind in ("SOT", "STT") for n in "012"])
def test_published_steps_come_back(published, folder, device):
    """Mean exact at every lattice conductance; sd exact, or the least that the lattice can have, < half a pitch more.

    The reference is a sum over 4500 draws per conductance: wrong by less than 1e-5 of the pitch.
    """
    card = import_file(published / folder, "crosssim", {**OPTIONS, "device": device}).card
    lattice = card.states["conductance_S"].to_numpy()
    pitch = lattice[1] - lattice[0]
    means, sds = moments(card.kernel, lattice)
    for pulse, name in enumerate(("increasing", "decreasing")):
        table = read_table(published / folder / f"dG_{name}{device}.txt")
        mean, sd = drawn(table, np.clip(lattice, *table.conductance_S[[0, -1]]))
        rest = (mean - lattice[0]) / pitch % 1
        least = pitch * np.sqrt(rest * (1 - rest))
        assert means[pulse] == pytest.approx(mean, abs=1e-4 * pitch)
        # the square root makes much of what is wrong with a mean on a lattice point
        assert sds[pulse] == pytest.approx(np.maximum(sd, least), abs=5e-3 * pitch)
        assert (sds[pulse] - sd).max() <= pitch / 2


def test_published_tables_of_another_size(published):
    """A measured cell: 122 uneven CDF points, 48 conductances, steps far below the pitch of 127 points."""
    table = read_table(published / "ENODe" / "dG_decreasing.txt")
    lattice = np.linspace(*table.conductance_S[[0, -1]], 127)
    mean, sd = drawn(table, lattice)
    means, sds = moments(kernel(table, lattice), lattice)
    pitch = lattice[1] - lattice[0]
    assert means == pytest.approx(mean, abs=1e-4 * pitch)
    assert (sds >= sd - 1e-4 * pitch).all() and (sds - sd).max() <= pitch / 2
