"""The writes of every kind of card: drawn without a warning, the same bytes each time, and showing the numbers."""

import tarfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.__main__ import main
from calibration.consequences.derive import add, with_pulses
from calibration.laws import neel_brown
from calibration.sections import Interpolate
from calibration.sources import build
from calibration.sources.simulated import read
from calibration.tools import figures
from spinloom import quantities
from spinloom.errors import UserError
from tests.calibration.conftest import meta_with, stage, walking

ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "crosssim_lookup_tables.tar.xz"


def drawn(card, config, output, device_sims=None) -> dict[str, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.draw(card, config, "c.json", device_sims, output)
    pictures = {path.name: path.read_bytes() for path in output.iterdir()}
    assert list(pictures) == ["writes_by_pulse.png"]
    assert all(data.startswith(b"\x89PNG") and len(data) > 2000 for data in pictures.values())
    return pictures


@pytest.mark.parametrize("name", ["vcma_mtj", "notched_wire"])
def test_figures_of_devices_with_states_by_nature(cards, studies, tmp_path, name):
    drawn(cards[name], studies[name].stage, tmp_path, studies[name].tables)


@pytest.mark.long
def test_figures_are_the_same_bytes_each_time(cards, studies, tmp_path):
    study, card = studies["domain_wall"], cards["domain_wall"]
    first = drawn(card, study.stage, tmp_path / "first", study.tables)
    # a second time as the program does it, of the card on disk
    card.write(tmp_path / "card")
    main(study.figures(tmp_path / "card", tmp_path / "second"))
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert all(b"Software" not in data and b"tIME" not in data for data in first.values())


def test_figures_of_a_present_state_lattice_by_law(tmp_path):
    study = walking(tmp_path, **{"states.method": "lattice", "states.count": 16, "kernel.form": "law"})
    drawn(study.card(), study.stage, tmp_path / "figures", study.tables)


def test_figures_of_a_junction_with_an_interpolated_pulse(cards, studies, tmp_path):
    study, point = studies["stt_mtj"], {"voltage_V": 0.33, "duration_s": 3e-9}
    grown = with_pulses(cards["stt_mtj"], Interpolate(points=[point]), "c.json")
    drawn(add(grown, study.stage, "c.json"), study.stage, tmp_path, study.tables)


@pytest.mark.parametrize("name", ["memristor_32_levels", "telegraph_smtj"])
def test_figures_of_the_library(tmp_path, name):
    """Many states, and two of which one pulse does nothing: no writes stand behind them."""
    config = stage({"source.kind": "library", "source.name": name})
    drawn(build.make(config, "c.json", None)[0], config, tmp_path)


@pytest.mark.skipif(not ARCHIVE.exists(), reason="published tables are not part of the program")
def test_figures_of_published_tables(tmp_path):
    with tarfile.open(ARCHIVE) as archive:
        members = [one for one in archive.getmembers() if one.name.startswith("lookup_tables/DWMTJ_STT/300K/")]
        archive.extractall(tmp_path, members, filter="data")
    options = {"states": 20, "duration_s": 1e-6, "voltage_up_V": 1.0, "voltage_down_V": -1.0}
    source = {
        "kind": "import",
        "population": None,
        "file": str(tmp_path / "lookup_tables" / "DWMTJ_STT" / "300K"),
        "format": "crosssim",
        "name": None,
    }
    config = stage({"source": {**source, "options": options}})
    drawn(build.make(config, "c.json", None)[0], config, tmp_path / "figures")


def test_other_writes_are_not_drawn(cards, studies, tmp_path):
    study, card = studies["walking"], cards["walking"]
    other = replace(card, meta=meta_with(card, source={"events_sha256": "0" * 64}))
    with pytest.raises(UserError, match="events.parquet: not the writes that the card was made from"):
        figures.draw(other, study.stage, "c.json", study.tables, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


# -- what they show ----------------------------------------------------------------------------------------------------
def test_names_tell_in_what_pulses_differ(cards):
    assert quantities.pulse_names(cards["domain_wall"].pulses) == ["0 V", "0.5 V", "1 V", "1.5 V", "2 V"]
    assert quantities.pulse_names(cards["notched_wire"].pulses)[:2] == ["10 mT", "14 mT"]
    assert quantities.pulse_names(cards["vcma_mtj"].pulses)[0] == "1 V, 0.2 ns"
    walker = cards["walking"]
    assert quantities.pulse_names(walker.pulses) == ["30 MA/cm²", "-30 MA/cm²"]
    one = replace(walker, pulses=walker.pulses.iloc[:1])
    assert quantities.pulse_names(one.pulses) == ["pulse 0"]


def test_histograms_hold_all_writes_and_their_law(cards, studies):
    study = studies["domain_wall"]
    figure = figures.writes_by_pulse(cards["domain_wall"], read(study.tables, study.stage, "c.json"))
    assert len(figure.axes) == 5
    for axis in figure.axes:
        assert sum(bar.get_height() for bar in axis.patches) == 80
        line = max(axis.lines, key=lambda one: len(one.get_xdata()))
        x, y = line.get_data()
        width = axis.patches[0].get_width()
        assert np.trapezoid(y, x) / width == pytest.approx(80, abs=0, rel=0.02)


def test_switching_curves_are_the_fitted_law(cards):
    """Each curve is the law at the card's drives, each dot a row of the card."""
    card = cards["stt_mtj"]
    figure = figures.writes_by_pulse(card, None)
    assert [axis.get_title() for axis in figure.axes] == ["AP to P", "P to AP"]
    for axis, state in zip(figure.axes, (0, 1)):
        fit = next(f for f in card.meta.laws if f.conditions.chosen and f.conditions.state_from == state)
        curves = [line for line in axis.lines if len(line.get_xdata()) == 200]
        assert len(curves) == 2  # durations
        for curve, duration in zip(curves, (1e-9, 1e-8)):
            x, y = curve.get_data()
            expected = neel_brown.probability(fit.parameters, np.abs(x), duration, 300.0)
            np.testing.assert_allclose(y, expected, rtol=1e-9)
        dots = np.concatenate([line.get_ydata() for line in axis.lines if len(line.get_xdata()) == 5])
        written = card.transitions.query(f"state_from == {state} and state_to != {state} and basis == 'counts'")
        np.testing.assert_allclose(np.sort(dots), np.sort(written["probability"]))
