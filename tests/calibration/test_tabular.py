"""One device's readings, written in the ways in which laboratories write them, give the same writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import io as scipy_io

from calibration.counting.writes import REST
from calibration.sources.importers import import_file
from calibration.sources.tabular import runs
from calibration.sources.tabular.spellings import meaning_of
from calibration.sources.tabular.units import unit_of
from spinloom.errors import UserError
from spinloom.streams import generator

DATA = Path(__file__).parent / "data"
UP, DOWN, CYCLES = 12, 9, 6
READINGS = (UP + DOWN) * CYCLES


def readings(name: str, noise_uS: float = 0.0, up: int = UP, down: int = DOWN) -> np.ndarray:
    """Return conductances after each pulse, uS, of cycles of pulses up and down that nearly saturate."""
    rng, g, values = generator(3, name), 5.0, []
    for _ in range(CYCLES):
        for step, pulses in ((1, up), (-1, down)):
            for _ in range(pulses):
                mean = 0.12 * (57 - g) if step > 0 else 0.16 * (g - 2)
                g += step * mean * (1 + 0.2 * rng.standard_normal())
                values.append(g)
    return np.array(values) + noise_uS * rng.standard_normal(len(values))


G = readings("one device")
NUMBER = np.arange(1, READINGS + 1)
WITHIN = np.tile(np.concatenate([np.arange(1, UP + 1), np.arange(1, DOWN + 1)]), CYCLES)
RISES = np.tile(np.repeat([True, False], [UP, DOWN]), CYCLES)
CYCLE = np.repeat(np.arange(CYCLES), UP + DOWN)
VOLTS = np.where(RISES, 1.2, -1.0)
BEFORE = np.concatenate([[5.0], G[:-1]])


def text(columns: dict, separator: str = ",", decimal: str = ".") -> str:
    def cell(value) -> str:
        return value if isinstance(value, str) else f"{value:.9g}".replace(".", decimal)

    rows = [separator.join(columns), *(separator.join(map(cell, row)) for row in zip(*columns.values()))]
    return "\n".join(rows) + "\n"


PLAIN = {"pulse": NUMBER, "G (uS)": G}
SPELT = {
    "tabs.tsv": text({"Pulse #": NUMBER, "G (µS)": G}, "\t"),
    "utf16.txt": text({"Pulse #": NUMBER, "G (µS)": G}, "\t").encode("utf-16"),
    "origin.csv": "Long Name,Pulse,G\nUnits,#,uS\nComments,A,A\n" + "".join(f",{n},{g}\n" for n, g in zip(NUMBER, G)),
    "latin.csv": text({"Puls-Nr.": NUMBER, "Leitwert (µS)": G}, ";", ",").encode("latin-1"),
    "bom.csv": text(PLAIN).encode("utf-8-sig"),
    "blanks.dat": text({"n": NUMBER, "G_uS": G}, "   "),
    "quoted.csv": text({'"Pulse, #"': NUMBER, '"Conductance in µS"': G}, ";", ","),
    "current at a voltage.csv": text({"N": NUMBER, "I_read @ 0.1 V (nA)": G * 100}),
    "preamble.csv": "Instrument,B1500\nread voltage: 100 mV\n\n" + text({"pulse_no": NUMBER, "Id (A)": G * 1e-7}),
    "voltage column.csv": text({"t (s)": NUMBER, "V (V)": 0.1 + 0 * G, "I (A)": G * 1e-7}),
    "resistance.csv": text({"Index": NUMBER, "R (kΩ)": 1e3 / G}),
    "millisiemens.csv": text({"Index": NUMBER, "Gd [mS]": G * 1e-3}),
    "row of units.csv": "Pulse,Conductance\n,uS\n" + text(PLAIN).partition("\n")[2],
    "Origin.txt": "Pulse number\tConductance\n#\tuS\nComments\tdevice A\n" + text(PLAIN, "\t").partition("\n")[2],
    "names in a comment.txt": "# n G(uS)\n" + text(PLAIN, " ").partition("\n")[2],
    "no names.csv": text({"a": NUMBER, "b": G * 1e-6}).partition("\n")[2],
    "one column.csv": text({"conductance_S": G * 1e-6}),
    "number restarts.csv": text({"pulse": WITHIN, "G (uS)": G}),
    "number restarts with the cycle.csv": text({"n": np.tile(NUMBER[: UP + DOWN], CYCLES), "G (uS)": G}),
    "number from 0.csv": text({"pulse": NUMBER - 1, "G (uS)": G}),
    "cycle and direction.csv": text(
        {"cycle": CYCLE, "type": np.where(RISES, "LTP", "LTD").tolist(), "pulse": WITHIN, "G_S": G * 1e-6}
    ),
    "direction alone.csv": text({"polarity": np.where(RISES, 1, -1), "conductance (uS)": G}),
    "signed voltages.csv": text({"V_pulse (V)": VOLTS, "width (us)": 1 + 0 * G, "G (uS)": G}),
    "last line.csv": text(PLAIN) + "end of file\n",
}


def same(result, writes: int = READINGS - 1) -> None:
    events, polarity = result.writes.events, result.writes.pulses["polarity"].to_numpy()
    assert len(events) == writes
    rises = polarity[events["pulse"]] > 0
    assert rises.sum() == UP * CYCLES - 1
    inner = events["after"].isin(events["before"])
    assert inner.mean() > 0.9
    low, high = result.writes.bounds
    assert (low, high) == pytest.approx((G.min() * 1e-6, G.max() * 1e-6), rel=1e-6, abs=0)


@pytest.mark.parametrize("name", SPELT)
def test_one_trace_in_many_spellings(name, tmp_path):
    content = SPELT[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = import_file(tmp_path / name, None)
    same(result)
    assert result.report.empty
    assert result.writes.meta["import"]["notes"][0].startswith("read as traces: ")


def test_one_trace_in_other_kinds_of_files(tmp_path):
    table = pd.DataFrame({"Pulse number": NUMBER, "Conductance (uS)": G})
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        pd.DataFrame({"made by": ["us"]}).to_excel(book, sheet_name="info", index=False)
        table.to_excel(book, sheet_name="data", index=False, startrow=3)
    table.to_parquet(tmp_path / "table.parquet")
    np.savez(tmp_path / "arrays.npz", pulse=NUMBER, conductance_S=G * 1e-6, operator="us")
    np.save(tmp_path / "array.npy", G * 1e-6)
    scipy_io.savemat(tmp_path / "plain.mat", {"pulse": NUMBER, "G_uS": G})
    scipy_io.savemat(tmp_path / "nested.mat", {"run": {"n": NUMBER, "G": G * 1e-6}})
    for name in ("book.xlsx", "table.parquet", "arrays.npz", "array.npy", "plain.mat", "nested.mat"):
        same(import_file(tmp_path / name, None))
    assert "sheet 'data' is read, not info (option sheet)" in import_file(tmp_path / "book.xlsx", None).notes
    for name, message in (
        ("x.xls", "found .xls, allowed: .xlsx"),
        ("x.xlsx", "found no readable workbook"),
        ("x.npz", "found no readable NPZ"),
        ("x.mat", "found no readable MAT file"),
    ):
        (tmp_path / name).write_text("not of this kind")
        with pytest.raises(UserError, match=message):
            import_file(tmp_path / name, None)


def test_devices_cycles_and_directions_in_columns(tmp_path):
    other = readings("another device")
    for name, columns, devices, writes in (
        ("devices", {"n": NUMBER, "Dev 1 (uS)": G, "Dev 2 (uS)": other}, ["1", "2"], 2 * (READINGS - 1)),
        ("names", {"n": NUMBER, "A7 (uS)": G, "B2 (uS)": other}, ["A7 (uS)", "B2 (uS)"], 2 * (READINGS - 1)),
        ("tables", {"n1": NUMBER, "D1 G (uS)": G, "n2": NUMBER, "D2 G (uS)": other}, ["1", "2"], 2 * (READINGS - 1)),
        (
            "cycles",
            {"n": NUMBER[: UP + DOWN], **{f"cycle {k + 1} (uS)": G[CYCLE == k] for k in range(CYCLES)}},
            ["0"],
            READINGS - CYCLES,
        ),
        (
            "ways",
            {"pulse": NUMBER[:DOWN], "up": G[:DOWN] * 1e-6, "down": G[UP : UP + DOWN] * 1e-6},
            ["0"],
            2 * DOWN - 2,
        ),
        ("directions", {"n": NUMBER[:DOWN], "LTP (uS)": G[:DOWN], "LTD (uS)": G[UP : UP + DOWN]}, ["0"], 2 * DOWN - 2),
    ):
        (tmp_path / f"{name}.csv").write_text(text(columns))
        writes_ = import_file(tmp_path / f"{name}.csv", None).writes
        assert writes_.meta["import"]["devices"] == devices and len(writes_.events) == writes, name
    options = {"device": "2", "max_dropped_fraction": 0}
    assert len(import_file(tmp_path / "devices.csv", None, options).writes.events) == READINGS - 1
    with pytest.raises(UserError, match="option device: found '3', allowed: 1, 2"):
        import_file(tmp_path / "devices.csv", None, {"device": "3"})


def test_numbered_directions_are_cycles_of_one_device(tmp_path):
    """LTP1, LTD1, LTP2, ... in any order of the columns."""
    columns = {
        f"{way}{cycle} G (uS)": G[begin : begin + DOWN] + 0.01 * cycle
        for cycle in (1, 2, 3)
        for way, begin in (("LTP", 0), ("LTD", UP))
    }
    found = []
    for names in (list(columns), sorted(columns)[3:] + sorted(columns)[:3]):
        (tmp_path / "wide.csv").write_text(text({"n": NUMBER[:DOWN], **{name: columns[name] for name in names}}))
        found.append(import_file(tmp_path / "wide.csv", None).writes)
    for one in found:
        # each column follows the one before, so only the first reading has none before it
        assert one.meta["import"]["devices"] == ["0"] and len(one.events) == 6 * DOWN - 1
    rows = [one.events.drop(columns="row", errors="ignore") for one in found]
    pd.testing.assert_frame_equal(*rows)


def test_writes_with_the_conductance_before_and_after(tmp_path):
    full = {"Device": ["a"] * READINGS, "Pulse V (V)": VOLTS, "t_pulse (ns)": 100 + 0 * G, "G before (uS)": BEFORE}
    words = {"op": np.where(RISES, "SET", "RESET").tolist(), "Gpre_uS": BEFORE, "Gpost_uS": G}
    least = {"V": VOLTS, "G_i (uS)": BEFORE, "G_f (uS)": G}
    for name, columns in (("full", {**full, "G after (uS)": G}), ("words", words), ("least", least)):
        (tmp_path / f"{name}.csv").write_text(text(columns))
        writes = import_file(tmp_path / f"{name}.csv", None).writes
        assert writes.source["format"] == "events" and len(writes.events) == READINGS
        assert sorted(writes.pulses["polarity"]) == [-1, 1]
        assert writes.pulses["duration_s"].isna().all() == (name != "full")
        # what stands before a write is what stood after the last one
        assert (writes.readings["pulse"] == REST).sum() == 1


def test_what_is_missing_costs_the_writes_beside_it(tmp_path):
    keep = np.ones(READINGS, bool)
    keep[[3, 30, 31]] = False
    cells = [f"{value:.6f}" for value in G]
    cells[40], cells[50], cells[60], cells[70] = "", "-0.2", "over", "9.91e37"
    rows = [f"{n},{cell}" for n, cell, kept in zip(NUMBER, cells, keep) if kept]
    (tmp_path / "bad.csv").write_text("pulse,G (uS)\n" + "\n".join(rows) + "\n")
    result = import_file(tmp_path / "bad.csv", None, {"max_dropped_fraction": 0.06})
    # two writes for each of 5 places, one more where two neighbours are missing
    assert len(result.writes.events) == READINGS - 1 - 13 and len(result.report) == 7
    kept = result.writes.readings
    assert kept["series"].nunique() == 1 and kept["value"].isna().sum() == 7 and len(kept) == READINGS
    assert [reason for reason in result.report["reason"] if "column" in reason] == [
        "column G (uS) is empty",
        "column G (uS) is -2e-07 S",
        "column G (uS) is over",
        "column G (uS) is 9.91e+31 S",
    ]
    with pytest.raises(UserError, match="found 7 of 126 that cannot be used, allowed: a share of 0.05"):
        import_file(tmp_path / "bad.csv", None)


def test_a_run_that_ends_early_and_readings_at_rest(tmp_path):
    kept = np.ones(READINGS, bool)
    kept[UP + DOWN + 8 : UP + DOWN + UP] = False  # the second run up ends after pulse 8
    columns = {"cycle": CYCLE[kept], "direction": np.where(RISES, "up", "down")[kept].tolist(), "pulse": WITHIN[kept]}
    (tmp_path / "early.csv").write_text(text({**columns, "G (uS)": G[kept]}))
    result = import_file(tmp_path / "early.csv", None)
    assert list(result.report["reason"]) == ["the run ends early, after pulse 8"]
    assert len(result.writes.events) == kept.sum() - 2 and result.writes.readings["series"].nunique() == 2
    again = np.repeat(NUMBER, np.where(NUMBER <= 10, 2, 1))
    (tmp_path / "again.csv").write_text(text({"pulse": again, "G (uS)": G[again - 1]}))
    readings_ = import_file(tmp_path / "again.csv", None).writes.readings
    assert (readings_["pulse"] == REST).sum() == 11 and len(readings_) == READINGS + 10


@pytest.mark.parametrize(
    "name, lost, rests",
    [
        ("ltp_ltd_continuous", 0, 1),
        ("semicolon_decimal_comma", 0, 1),
        ("read_noise_half_a_level", 0, 120),
        ("missing_pulse", 1, 120),
    ],
)
def test_the_published_kinds(name, lost, rests):
    """Nothing is said but the name of the file; a missing pulse costs two writes."""
    result = import_file(DATA / f"{name}.csv", None)
    writes = result.writes
    assert len(result.report) == lost
    assert len(writes.events) == (899 if rests == 1 else 1200) - 2 * lost
    assert (writes.readings["pulse"] == REST).sum() == rests and writes.readings["series"].nunique() == 1
    ways = writes.events["pulse"].value_counts()
    assert ways.to_dict() == ({0: 499, 1: 400} if rests == 1 else {0: 600 - 2 * lost, 1: 600})
    assert writes.pulses[["duration_s", "energy_mean_J", "latency_s"]].isna().all(axis=None)
    assert any("duration of a pulse is unknown" in sentence for sentence in writes.assumed)


def test_options_stand_for_what_is_guessed(tmp_path):
    (tmp_path / "odd.csv").write_text("made in 2026\n" + text({"x": NUMBER, "foo": 0 * G, "bar": G / 10}, "|", ","))
    options = {
        "skip_rows": "1", "separator": "bar", "decimal": "comma", "encoding": "utf-8", "pulse_number_column": "x",
        "current_column": "3", "current_unit": "uA", "current_at_V": "0.1", "pulses_up": UP, "pulses_down": DOWN,
    }  # fmt: skip
    result = import_file(tmp_path / "odd.csv", "traces", options)
    same(result)
    assert result.writes.read_voltage_V == 0.1 and result.notes == ("columns not used: 'foo'",)
    for changed, message in (
        ({"current_column": "baz"}, "option current_column: found 'baz', allowed: x, foo, bar, or 1..3"),
        ({"pulses_down": None}, "option pulses_down: found nothing, allowed: a number, because the other one is given"),
        ({"current_at_V": None}, "column 'bar': found read currents, allowed: only with option current_at_V"),
    ):
        with pytest.raises(UserError, match=message):
            import_file(tmp_path / "odd.csv", "traces", {**options, **changed})


def test_a_format_is_guessed_or_its_candidates_are_named(tmp_path):
    (tmp_path / "bare.csv").write_text("".join(f"{n},{a:.3e},{a:.3e}\n" for n, a in zip(NUMBER, G * 1e-6)))
    assert import_file(tmp_path / "bare.csv", None, {"response_low_S": None}).writes.source["format"] == "updown"
    (tmp_path / "words.csv").write_text("a,b\nx,y\n")
    with pytest.raises(UserError, match="whose format is not recognised, allowed: --format with one of crosssim,"):
        import_file(tmp_path / "words.csv", None)


@pytest.mark.parametrize("noise_uS, wrong", [(0.0, 0), (0.5, 0), (3.0, 4)])
def test_turns_are_found_in_noise(noise_uS, wrong):
    """Of 6 cycles of 40 pulses up and 30 down, with noise of up to three of the last steps."""
    found = runs.turns(readings("noisy", noise_uS, 40, 30))
    assert found is not None
    truth = np.tile(np.repeat([1, -1], [40, 30]), CYCLES)
    assert (found.step[1:] != truth[1:]).sum() <= wrong * 2 * CYCLES


def test_runs_of_different_lengths_and_no_turn():
    lengths = [9, 7, 12, 8, 7, 11, 10, 9]
    truth = np.concatenate([np.full(n, 1 if k % 2 == 0 else -1) for k, n in enumerate(lengths)])
    found = runs.turns(5 + np.cumsum(truth * (1 + 0.1 * generator(1, "steps").standard_normal(len(truth)))))
    assert found is not None and found.up is None and (found.step[1:] == truth[1:]).all()
    assert runs.turns(np.arange(20.0)) is None


@pytest.mark.parametrize(
    "name, role, unit",
    [
        ("Channel conductance / nS", "conductance", "nS"),
        ("Resistance, kOhm", "resistance", "kohm"),
        ("I_D (A)", "current", "A"),
        ("PSC (nA)", "current", "nA"),
        ("pulseNumber", "pulse_number", None),
        ("no. of pulses", "pulse_number", None),
        ("Pulse amplitude (V)", "voltage", "V"),
        ("Vread (V)", "read_voltage", "V"),
        ("pulse_width_ns", "duration", "ns"),
        ("T (K)", "temperature", "K"),
        ("Set/Reset", "direction", None),
        ("g_after_uS", "after", "uS"),
        ("Gp", "conductance", None),
        ("Leitwert [µS]", "conductance", "uS"),
        ("comment", None, None),
        ("up", None, None),
    ],
)
def test_names_of_columns(name, role, unit):
    found = meaning_of(name)
    assert (found.role, found.unit.name if found.unit else None) == (role, unit)


def test_units():
    for text_, name, scale in (
        ("µS", "uS", 1e-6),
        ("microsiemens", "uS", 1e-6),
        ("kΩ", "kohm", 1e3),
        ("msec", "ms", 1e-3),
    ):
        assert unit_of(text_).name == name and unit_of(text_).scale == scale
    assert unit_of("Comments") is None and unit_of("a.u.") is None


@pytest.mark.parametrize(
    "name, direction, cycle, device",
    [
        ("LTP1 G (uS)", "up", 1, None),
        ("LTD 12", "down", 12, None),
        ("G_up_3_uS", "up", 3, None),
        ("reset_2 (kohm)", "down", 2, None),
        ("cycle 4 LTP1 (uS)", "up", 4, None),
        ("Device 2 LTP1 (uS)", "up", 1, "2"),
        ("s3 (uS)", None, None, "3"),
        # a voltage is no cycle, and a word that begins with s or d is no device
        ("LTP 5V (uS)", "up", None, None),
        ("LTP 0.5 V (S)", "up", None, None),
        ("setpoint1 (V)", None, None, None),
    ],
)
def test_what_tells_columns_of_readings_apart(name, direction, cycle, device):
    found = meaning_of(name)
    assert (found.direction, found.cycle, found.device) == (direction, cycle, device)
