"""The tables on the terminal: the numbers of the files, in words."""

import io

import pytest
from rich.console import Console

from network.results.show import show
from spinloom.errors import UserError
from tests.report.studies import network


@pytest.fixture
def folder(tmp_path):
    network(tmp_path)
    return tmp_path / "network" / "summary"


def shown(folder):
    console = Console(file=io.StringIO(), width=200)
    show(folder, console)
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.file.getvalue().splitlines()]


def test_all_tables_are_shown(folder):
    rows = shown(folder)
    assert ["five", "last (3)", "2", "90.00 ± 0.10", "5.00 ± 0.20", "0.5", "7", "40", "32"] in rows
    assert ["two </script>", "2e-13", "2e-09", "2e-06", "2e-13", "2e-09", "2e-06"] in rows
    assert ["five", "input_noise_sd", "0.2", "2", "1", "70.00 ± 0.00", "70.00", "90.00"] in rows
    assert ["test_accuracy", "five", "91", "90", "0.1", "%"] in rows


def test_what_the_costs_leave_out_is_a_warning(folder):
    console = Console(file=io.StringIO(), width=200)
    show(folder, console)
    assert "warning: the costs of five leave out: ideal ADC, not charged" in console.file.getvalue()


def test_what_devices_compute_is_said_by_layer(folder):
    rows = shown(folder)
    array = ["1: dense", "5 x 3"]
    devices = ["five, two </script>", *array, "devices", "forward", "gradient", "ideal / ideal", "bias; <relu>"]
    assert devices in rows
    assert ["float_baseline", *array, "digital", "-", "forward, gradient", "-", "bias; <relu>"] in rows


def test_what_a_study_need_not_have_is_left_out(folder):
    (folder / "systems.csv").unlink()
    (folder / "layers.csv").unlink()
    text = (folder / "evaluations.csv").read_text()
    (folder / "evaluations.csv").write_text(text.splitlines()[0] + "\n")
    rows = shown(folder)
    assert not any("test_accuracy" in row or "input_noise_sd" in row for row in rows)
    assert any(row and row[0] == "five" for row in rows)


def test_a_folder_without_a_summary(tmp_path):
    with pytest.raises(UserError, match=r"summary.csv: found no such table"):
        shown(tmp_path)
