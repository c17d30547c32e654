"""Cards in the formats of other programs: read back without Spinloom, brought back by our import, or fitted."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.__main__ import main
from calibration.counting.kernel_rows import stated
from calibration.exports import REGISTRY, Exported, export, write
from calibration.exports.crosssim import table
from calibration.exports.trains import Law, distance, label, law
from calibration.sources import library
from calibration.sources.importers import import_file
from spinloom.errors import UserError
from spinloom.streams import generator

OPTIONS = {"duration_s": 1e-9, "voltage_up_V": 0.5, "voltage_down_V": -0.4}
ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "crosssim_lookup_tables.tar.xz"
STEPS = ("memristor_32_levels", "pcmo_26_levels", "ecram_101_levels", "skyrmion_counter")


def imported(folder: Path, states: int):
    return import_file(folder, "crosssim", {**OPTIONS, "states": states}).card


@pytest.mark.parametrize("name", ["memristor_32_levels", "gt_stt_mtj_28nm", "ellis_gate", "sot_mtj_80nm_a"])
def test_arrays_hold_the_card(name):
    """Both files, read with NumPy and the json module alone."""
    card = library.card(name)
    archive = np.load(io.BytesIO(export(card, "npz").files["kernel.npz"]))
    text = json.loads(export(card, "json").files["kernel.json"])
    np.testing.assert_array_equal(archive["transitions_probability"], card.kernel)
    np.testing.assert_array_equal(np.array(text["arrays"]["transitions_probability"]), card.kernel)
    np.testing.assert_array_equal(archive["states_conductance_S"], card.states["conductance_S"])
    assert text["arrays"]["pulses_voltage_V"] == [
        None if np.isnan(volt) else volt for volt in card.pulses["voltage_V"].tolist()
    ]
    assert json.loads(str(archive["meta"]))["hash"] == text["meta"]["hash"] == card.hash
    columns = sum(len(one.columns) for one in card.tables.values())
    keys = 3 + 4 * ("by_instance" in card.extras) + 4 * ("half_select" in card.extras)
    assert len(text["arrays"]) == columns - keys + ("half_select" in card.extras)
    assert export(card, "npz").files == export(card, "npz").files  # the same bytes


def test_a_large_array_of_one_value_is_told_by_what_differs():
    """Read back by the words of docs/exports.md; small arrays stay lists."""
    card, levels = library.card("memristor_32_levels"), 128
    kernel = np.zeros((2, levels, levels))
    kernel[0], kernel[1] = np.eye(levels) * 0.5 + np.eye(levels, k=-1) * 0.5, np.eye(levels)
    kernel /= kernel.sum(axis=-1, keepdims=True)
    made = replaced(card, np.linspace(1e-6, 1e-5, levels), kernel)
    content = export(made, "json").files["kernel.json"]
    assert len(content) < 200_000
    arrays = json.loads(content)["arrays"]

    def whole(told):
        if isinstance(told, list):
            return np.array(told)
        array = np.full(np.prod(told["shape"]), told["fill"], dtype=object)
        array[told["index"]] = told["value"]
        return array.reshape(told["shape"])

    np.testing.assert_array_equal(whole(arrays["transitions_probability"]).astype(float), made.kernel)
    assert set(whole(arrays["transitions_basis"]).ravel()) == set(made.transitions["basis"])
    assert isinstance(arrays["states_conductance_S"], list)
    known = made.transitions["effective_count"].to_numpy(float)
    np.testing.assert_array_equal(whole(arrays["transitions_effective_count"]).astype(float).ravel(), known)


@pytest.mark.parametrize("name", STEPS)
def test_crosssim_s_tables_come_back_as_the_same_card(name, tmp_path):
    card = library.card(name)
    made = export(card, "crosssim")
    write(made, tmp_path / "tables")
    back = imported(tmp_path / "tables", len(card.states))
    np.testing.assert_allclose(back.kernel, card.kernel, rtol=0, atol=1e-7)
    np.testing.assert_allclose(back.states["conductance_S"], card.states["conductance_S"], rtol=1e-12)
    told = made.table().set_index("quantity")["value"]
    assert told["distance of the kernels"].max() < 1e-7


@pytest.mark.parametrize("name", ["memristor_32_levels", "sot_mtj_80nm_a"])
def test_crosssim_s_tables_are_laid_out_as_the_program_reads_them(name):
    """A line of text, then numbers with commas; both files with the same CDF points; devices from 0 on."""
    files = export(library.card(name), "crosssim").files
    label = "" if name.startswith("memristor") else "0"
    heads = []
    for way in ("increasing", "decreasing"):
        lines = files[f"dG_{way}{label}.txt"].decode().splitlines()
        assert lines[0][0].isalpha()
        conductance, points = (np.array(line.split(","), float) for line in lines[1:3])
        changes = np.array([line.split(",") for line in lines[3:]], float)
        assert changes.shape == (len(points), len(conductance)) and (np.diff(points) > 0).all()
        heads.append(lines[:3])
    assert heads[0] == heads[1]


@pytest.mark.parametrize("kind", ["DWMTJ_SOT", "DWMTJ_STT"])
def test_published_tables_of_three_devices_come_back(kind, tmp_path):
    if not ARCHIVE.exists():
        pytest.skip("CrossSim's tables are not beside the sources")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = (path.parent for path in tmp_path.rglob(f"*{kind}/300K/dG_increasing0.txt"))
    card = imported(folder, 64)
    write(export(card, "crosssim"), tmp_path / "back")
    back = imported(tmp_path / "back", 64)
    np.testing.assert_allclose(back.kernel, card.kernel, rtol=0, atol=1e-7)
    assert len(back.population) == 3


def test_a_table_of_few_points_says_how_far_it_is_off():
    """Rounded CDFs: the distance that is told is the one between the kernel and the quantiles, drawn through again."""
    random = generator(4, "kernel")
    kernel, conductance = random.dirichlet(np.ones(9), 9), np.linspace(1e-6, 9e-6, 9)
    points, (change,), (told,) = table(kernel[None], conductance, 20)
    assert len(points) <= 20 and np.all(np.diff(points) > 0) and (points[0], points[-1]) == (0, 1)
    draws = np.linspace(0, 1, 200_001)
    for state in range(9):
        landed = conductance[state] + np.interp(draws, points, change[:, state])
        nearest = np.abs(landed[:, None] - conductance).argmin(axis=1)
        np.testing.assert_allclose(np.bincount(nearest, minlength=9) / len(draws), told[state], atol=2e-5)
    assert 1e-3 < 0.5 * np.abs(told - kernel).sum(axis=1).max() < 0.5
    exact = table(kernel[None], conductance, 4096)[2][0]
    np.testing.assert_allclose(exact, kernel, atol=1e-7)


@pytest.mark.parametrize(("bend", "levels"), [(0.0, 21), (2.0, 41), (-1.5, 41), (6.0, 61)])
def test_neurosim_s_law_is_found_again(bend, levels):
    """A device without spread whose trains are the law itself."""
    card = library.card("memristor_32_levels")
    share = law(np.linspace(0, 1, levels), bend)
    kernel = np.zeros((2, levels, levels))
    last = levels - 1
    # a state for each pulse of a train: up along the law; down mirrored only for a straight law
    for state in range(levels):
        kernel[0, state, min(state + 1, last)] = kernel[1, state, max(state - 1, 0)] = 1
    made = export(replaced(card, 1e-6 + 9e-6 * share, kernel), "neurosim", {"reached": 0.9999})
    rows = pd.read_csv(io.BytesIO(made.files["neurosim_cell.csv"])).set_index("parameter")["value"]
    assert rows["maxNumLevelLTP"] == last and rows["maxConductance"] == pytest.approx(1e-5, abs=0, rel=1e-6)
    # the way down is the same curve run through backwards, as the program does with one A for both
    assert rows["NL_LTP"] == pytest.approx(label(bend), abs=0.011)
    assert rows["asymmetry"] == pytest.approx(0, abs=0.021)
    if bend:
        assert rows["paramALTP"] == pytest.approx(last / bend, abs=0, rel=1e-3)
        assert rows["paramALTD"] == pytest.approx(last / bend, abs=0, rel=1e-3)
    assert rows["sigmaCtoC"] == pytest.approx(0, abs=1e-12)
    fits = made.table().query("quantity.str.startswith('fit')")["value"]
    assert (fits < 1e-3).all()


@pytest.mark.parametrize("bend", [-30.0, -2.0, 1e-4, 0.5, 8.0])
def test_the_label_is_the_distance_from_the_straight_line(bend):
    """Both axes from 0 to 1; in units of 0.07, by trying many points of the curve."""
    at = np.linspace(0, 1, 200_001)
    away = (law(at, bend) - at) / np.sqrt(2)
    assert label(bend) == pytest.approx(away[np.abs(away).argmax()] / 0.07, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("up", [True, False])
def test_the_distance_of_steps_is_that_of_the_ends(up):
    """Steps of a lattice that are the law's own, and the same ones moved by a state."""
    conductance, last = np.linspace(1e-6, 3e-6, 21), 20
    way = 1 if up else -1
    straight = Law(up, conductance[0 if up else -1], conductance[-1 if up else 0], last, 1e-5, 0.0)
    same, longer = np.zeros((2, 21, 21))
    for state in range(21):
        same[state, np.clip(state + way, 0, last)] = longer[state, np.clip(state + 2 * way, 0, last)] = 1
    ends = (conductance[0], conductance[-1])
    np.testing.assert_allclose(distance(same, conductance, straight, ends, 0.0), 0, atol=1e-12)
    pitch = 1e-7
    inner = distance(longer, conductance, straight, ends, 0.0)[2:-2]
    np.testing.assert_allclose(inner, pitch, rtol=1e-4)
    # a normal error of the program's that the card does not have: the mean of its size, sd sqrt(2/pi)
    wide = distance(same, conductance, straight, ends, pitch / 4)[5:-5]
    np.testing.assert_allclose(wide, pitch / 4 * np.sqrt(2 / np.pi), rtol=0.01)


def test_devices_of_their_own_give_neurosim_s_spread_of_labels():
    card = library.card("memristor_32_levels")
    devices = []
    for instance, bend in enumerate((1.0, 2.0, 3.0)):
        # mean steps that shrink along the law, between neighbouring states
        kernel, chance = np.zeros((2, 32, 32)), 1 - (1 - np.exp(-bend)) * np.arange(32) / 31
        for state in range(32):
            for pulse, (end, moves) in enumerate(((state + 1, chance[state]), (state - 1, chance[31 - state]))):
                kernel[pulse, state, np.clip(end, 0, 31)] += moves
                kernel[pulse, state, state] += 1 - moves
        devices.append(stated(kernel).assign(instance=instance))
    population = pd.concat([card.population.iloc[:1]] * 3, ignore_index=True).assign(
        instance=range(3), conductance_factor=[0.9, 1.0, 1.1]
    )
    card = replace(card, population=population, extras={"by_instance": pd.concat(devices, ignore_index=True)})
    made = export(replace(card, meta=card.meta.model_copy(update={"hash": None})).validate(), "neurosim")
    rows = pd.read_csv(io.BytesIO(made.files["neurosim_cell.csv"])).set_index("parameter")["value"]
    assert 0.5 < rows["sigmaDtoD"] < 3
    assert rows["maxConductanceVar"] == pytest.approx(0.1 * rows["maxConductance"], abs=0, rel=1e-9)
    assert "conductanceRangeVar = true;" in made.files["neurosim_cell.txt"].decode()


def replaced(card, conductance, kernel):
    """Return a card of two pulses with these conductances and this kernel."""
    states = pd.concat([card.states.iloc[:1]] * len(conductance), ignore_index=True)
    states = states.assign(state=range(len(states)), label=[f"s{n}" for n in range(len(states))],
                           conductance_S=conductance, conductance_sd_S=0.0, occupancy=1 / len(states))  # fmt: skip
    pulse, start, end = np.indices(kernel.shape).reshape(3, -1)
    transitions = pd.DataFrame({
        "pulse": pulse, "state_from": start, "state_to": end, "count": 0, "effective_count": 0.0,
        "probability": kernel.ravel(), "ci_low": kernel.ravel(), "ci_high": kernel.ravel(), "basis": "given",
    })  # fmt: skip
    reads = pd.concat([card.reads.iloc[:1]] * len(states), ignore_index=True).assign(state=range(len(states)))
    meta = card.meta.model_copy(update={"states": type(card.meta.states)(), "hash": None})
    return replace(card, states=states, transitions=transitions, reads=reads, meta=meta, extras={}).validate()


def test_what_the_files_do_not_say_is_a_number(tmp_path):
    card = library.card("sot_mtj_80nm_a")
    made = export(card, "crosssim")
    told = made.table().set_index("quantity")["value"]
    noise = card.reads["noise_sd_S"].mean() / np.ptp(card.states["conductance_S"])
    assert told["pulses left out"] == len(card.pulses) - 2
    assert told["no mean step"] == 1 and "no mean step" not in set(
        export(library.card(STEPS[0]), "crosssim").table()["quantity"]
    )
    assert told["read noise"] == pytest.approx(noise, abs=0, rel=1e-12)
    assert len(made.files) == 2 * len(card.population)
    write(made, tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "export.csv")) == len(made.losses)
    assert len(export(card, "crosssim", {"by_instance": "false"}).files) == 2


@pytest.mark.parametrize("format", ["crosssim", "neurosim"])
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ellis_gate", {}, "found a volatile device, allowed: one that holds its state"),
        ("reset", {}, "found a device that is reset before each write, allowed: one that a pulse moves"),
        ("memristor_32_levels", {"pulse_up": "1"}, "options.pulse_up: found 1, whose mean step is -.* S, allowed: 0"),
        ("memristor_32_levels", {"pulse_up": "7"}, "options.pulse_up: found 7, allowed: 0 to 1"),
        ("memristor_32_levels", {"colour": "7"}, "options: found unknown key 'colour'"),
    ],
)
def test_what_a_format_cannot_hold_is_one_line(format, name, options, message):
    card = library.card("memristor_32_levels" if name == "reset" else name)
    if name == "reset":
        flags = card.meta.flags.model_copy(update={"reset_before_write": True})
        card = replace(card, meta=card.meta.model_copy(update={"flags": flags}))
    with pytest.raises(UserError, match=f"^export as {format}: {message}") as error:
        export(card, format, options)
    assert "\n" not in str(error.value)


def test_one_pulse_through_the_range_is_no_cell_of_neurosim():
    with pytest.raises(UserError, match="a single pulse that goes through 0.98 of the range"):
        export(library.card("gt_stt_mtj_28nm"), "neurosim")


def test_the_command_writes_tells_and_never_overwrites(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    arguments = ["export", "memristor_32_levels", "--format", "neurosim", "--output", str(tmp_path / "out")]
    main(arguments)
    told = capsys.readouterr().out
    assert "wrote neurosim_cell.csv, neurosim_cell.txt" in told and "fit of LTP" in told
    main(arguments)  # the same again
    (tmp_path / "out" / "neurosim_cell.txt").write_text("mine")
    with pytest.raises(UserError, match="neurosim_cell.txt: found a file of this name"):
        main(arguments)
    assert (tmp_path / "out" / "neurosim_cell.txt").read_text() == "mine"
    other = [*arguments[:2], "--format", "crosssim", "--output", str(tmp_path / "out")]
    with pytest.raises(UserError, match="export.csv: found a file of this name"):
        main(other)  # its table of losses would take the place of the first one's
    assert not (tmp_path / "out" / "dG_increasing.txt").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="found a file, allowed: a folder"):
        write(Exported({"a": b""}, ()), tmp_path / "file")


def test_each_format_says_what_it_is():
    for name in REGISTRY.names():
        module = REGISTRY.get(name)
        assert module.__doc__.partition("\n")[0].endswith(".") and "Options" in vars(module)
