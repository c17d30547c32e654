"""Files to import with one thing wrong: each has its own one-line error."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from calibration.sources.importers import REGISTRY, import_file
from spinloom.errors import UserError
from tests.calibration.test_importers import DIRECTIONS, GOOD, HEADER

TRACE = "cycle,direction,pulse_number,conductance_S\n"
BAD = {
    "no after": ("events", "device,cycle,voltage_V\na,0,1\n", {}, "column conductance_after_S is missing"),
    "no before": (
        "events",
        "device,cycle,voltage_V,conductance_after_S\na,0,1,1e-5\n",
        {},
        "column conductance_before_S is",
    ),
    "no drive": (
        "events",
        "device,cycle,conductance_before_S,conductance_after_S\na,0,1e-5,2e-5\n",
        {"duration_s": 1e-9},
        "found no drive, allowed: voltage_V, current_density_A_per_m2, field_T",
    ),
    "one row of a grid": (
        "trains",
        "up;down\n0,00001;0,00004\n",
        {**DIRECTIONS, "up_pulses": 1},
        "found one row, allowed: ",
    ),
    "no device": ("events", GOOD.replace("a,1", " ,1"), {}, "row 3, column device: found nothing, allowed: a label"),
    "nan": ("events", GOOD + "a,2,0.5,1e-9,nan,1e-5\n", {}, "row 5: column conductance_before_S is nan; found 1 of 4"),
    "infinity": ("events", GOOD + "a,2,0.5,1e-9,1e-5,-inf\n", {}, "row 5: column conductance_after_S is -inf"),
    "text": (
        "events",
        GOOD + "a,2,0.5,1e-9,1e-5,1e-5x\n",
        {},
        "row 5: column conductance_after_S is 1e-5x; found 1 of 4 that cannot be used, allowed: a share of 0.05",
    ),
    "microsiemens": (
        "events",
        GOOD.replace("1e-5", "10").replace("2e-5", "20"),
        {},
        "column 'conductance_before_S': found 20 S in the middle, allowed: 1e-12..1 S; say the unit with option con",
    ),
    "negative": ("events", GOOD + "a,2,0.5,1e-9,-1e-5,1e-5\n", {}, "row 5: column conductance_before_S is -1e-05 S; f"),
    "nanoseconds": (
        "events",
        GOOD + "a,2,0.5,5,1e-5,1e-5\n",
        {},
        "duration_s: found 5, allowed: 1e-15..1 (is that in ns?)",
    ),
    "duration 0": (
        "events",
        GOOD + "a,2,0.5,0,1e-5,1e-5\n",
        {},
        "row 5, column duration_s: found 0, allowed: 1e-15..1",
    ),
    "celsius": (
        "events",
        GOOD,
        {"temperature_K": -5},
        "options.temperature_K: found -5, allowed: 0..2000 (is that in deg",
    ),
    "half a cycle": (
        "events",
        GOOD + "a,1.5,0.5,1e-9,1e-5,1e-5\n",
        {},
        "row 5, column cycle: found 1.5, allowed: an integer",
    ),
    "polarity": (
        "events",
        GOOD.replace("duration_s", "polarity").replace("1e-9", "2").replace("2e-9", "1"),
        {"duration_s": 1e-9},
        "row 2, column polarity: found 2, allowed: -1, 0 or 1",
    ),
    "twice": (
        "events",
        GOOD + "a,1,0.5,1e-9,1e-5,1e-5\n",
        {},
        "row 5: found device a, cycle 1 a second time for the same pulse",
    ),
    "column twice": (
        "events",
        GOOD.replace("duration_s", "voltage_V"),
        {},
        "found two columns of the voltage, 'voltage_V' and 'voltage_V', allowed: one (option voltage_column)",
    ),
    "one state": (
        "events",
        HEADER + "a,0,0.5,1e-9,1e-5,1e-5\n",
        {},
        "found the conductance 1e-05 S alone, allowed: two",
    ),
    "header alone": ("events", HEADER, {}, "found a header without rows"),
    "too many cells": (
        "events",
        GOOD + "a,2,0.5,1e-9,1e-5,1e-5,1\n",
        {},
        "row 5: has 7 cells, the header 6; found 1 of 4",
    ),
    "empty": ("events", "", {}, "found an empty file"),
    "binary": ("events", b"\x00\x01\x02,\n", {}, "found bytes that are not text, allowed: utf-8, cp1252, latin-1"),
    "unknown option": ("events", GOOD, {"speed": 1}, "options: found unknown key 'speed'"),
    "option type": ("events", GOOD, {"volatile": "maybe"}, "options.volatile: found maybe, allowed: boolean"),
    "option bool": ("events", GOOD, {"temperature_K": True}, "options.temperature_K: found true, allowed: number"),
    "option choice": (
        "events",
        GOOD,
        {"conductance_unit": "mho"},
        "options.conductance_unit: found mho, allowed: S, mS, uS, nS",
    ),
    "option range": (
        "events",
        GOOD,
        {"max_dropped_fraction": 2},
        "max_dropped_fraction: found 2, allowed: at most 1",
    ),
    "option nan": (
        "events",
        GOOD,
        {"temperature_K": "nan"},
        "options.temperature_K: found nan, allowed: a finite number",
    ),
    "updown columns": (
        "updown",
        "1,2,3,4\n1,2,3,4\n",
        DIRECTIONS,
        "found 4 columns of numbers, allowed: pulse number, response",
    ),
    "updown number": (
        "updown",
        "0,1e-5,4e-5\n2,2e-5,3e-5\n",
        DIRECTIONS,
        "row 2: pulse number 1 is missing before this row; found 2 of 6 that cannot be used, allowed: a share of 0.05",
    ),
    "updown one way": ("updown", "1e-5,\n2e-5,\n", DIRECTIONS, "found 1 columns of numbers, allowed: pulse number, r"),
    "updown ends": (
        "updown",
        "1,2\n2,1\n",
        {**DIRECTIONS, "response_low_S": 1e-5},
        "option response_low_S: found 1e-05 with",
    ),
    "trains without a turn": (
        "trains",
        "1e-5\n2e-5\n3e-5\n",
        DIRECTIONS,
        "option up_pulses: found nothing, allowed: the number of",
    ),
    "trains turn": (
        "trains",
        "1e-5\n2e-5\n1e-5\n",
        {**DIRECTIONS, "up_pulses": 2},
        "option up_pulses: found 2, allowed: 1..1",
    ),
    "trains unit": (
        "trains",
        "10\n20\n10\n",
        {**DIRECTIONS, "up_pulses": 1},
        "column '1': found 10 S in the middle, allowed: 1e-12..1 S; say the unit with option conductance_unit",
    ),
    "trains one row": (
        "trains",
        "1e-5,2e-5\n",
        {**DIRECTIONS, "up_pulses": 1},
        "found one row, allowed: the conductance before",
    ),
    "traces one way": ("traces", TRACE + "0,up,0,1e-5\n0,up,1,2e-5\n", DIRECTIONS, "found no write down"),
    "traces direction": (
        "traces",
        TRACE + "0,left,0,1e-5\n",
        DIRECTIONS,
        "row 2, column direction: found 'left', allowed: up",
    ),
    "traces time": (
        "traces",
        "time_s,pulse_number,conductance_S\n1,0,1e-5\n0.5,1,2e-5\n",
        DIRECTIONS,
        "row 3, column of the time: found 0.5 after 1, allowed: no less within a run",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_in_one_line(case, tmp_path):
    format, content, options, message = BAD[case]
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        import_file(path, format, options)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


# conductances of updown.csv and of the same writes as trains: set, reset
RISES, FALLS = "1e-5\n2e-5\n4e-5\n", "4e-5\n3e-5\n1e-5\n"


def write_pair(folder: Path, format: str, up: str, down: str) -> Path:
    if format == "updown":
        rows = zip(up.split(), down.split())
        (folder / "u.csv").write_text("".join(f"{number},{a},{b}\n" for number, (a, b) in enumerate(rows)))
        return folder / "u.csv"
    if format == "traces":
        runs = (("up", up), ("down", down))
        rows = [f"0,{name},{n},{value}\n" for name, run in runs for n, value in enumerate(run.split())]
        (folder / "t.csv").write_text(TRACE + "".join(rows))
        return folder / "t.csv"
    (folder / "set.csv").write_text(up)
    (folder / "reset.csv").write_text(down)
    return folder


@pytest.mark.parametrize(
    ("format", "names"),
    [
        ("trains", ("set.csv", "reset.csv")),
        ("traces", ("direction up", "direction down")),
        ("updown", ("column 2", "column 3")),
    ],
)
def test_up_that_lowers_the_conductance_is_told(format, names, tmp_path):
    """Mean steps by hand: 15 uS of 10, 20, 40 uS; -15 uS of 40, 30, 10 uS."""
    right = import_file(write_pair(tmp_path, format, RISES, FALLS), format, DIRECTIONS)
    assert right.notes == () and right.writes.meta["import"]["notes"] == []
    for up, down, note in (
        (FALLS, FALLS, f"the mean step up ({names[0]}) lowers the conductance, by 1.5e-05 S"),
        (RISES, RISES, f"the mean step down ({names[1]}) raises the conductance, by 1.5e-05 S"),
    ):
        result = import_file(write_pair(tmp_path, format, up, down), format, DIRECTIONS)
        assert result.notes == (note,) and result.writes.meta["import"]["notes"] == [note]
    path = write_pair(tmp_path, format, FALLS, RISES)
    with pytest.raises(UserError) as error:
        import_file(path, format, DIRECTIONS)
    assert str(error.value) == (
        f"{path}: found a mean step of -1.5e-05 S up ({names[0]}) and 1.5e-05 S down ({names[1]}), allowed: up raises "
        "the conductance and down lowers it; the two look exchanged"
    )


def test_options_that_exchange_up_and_down(tmp_path):
    write_pair(tmp_path, "trains", RISES, FALLS)
    with pytest.raises(UserError, match=r"S up \(reset.csv\) and 1.5e-05 S down \(set.csv\), .* look exchanged"):
        import_file(tmp_path, "trains", {**DIRECTIONS, "up": "reset.csv", "down": "set.csv"})
    # a turn of three pulses that is put after the first
    (tmp_path / "one.csv").write_text("4e-5\n1e-5\n2e-5\n4e-5\n")
    with pytest.raises(UserError, match=r"S up \(first 1 pulses\) and 1.5e-05 S down \(the pulses after them\)"):
        import_file(tmp_path / "one.csv", "trains", {**DIRECTIONS, "up_pulses": 1})
    (tmp_path / "t.csv").write_text("pulse_number,conductance_S\n0,1e-5\n1,4e-5\n0,4e-5\n1,1e-5\n")
    told = import_file(tmp_path / "t.csv", "traces", DIRECTIONS).notes
    assert told == ("each restart of the pulse number is a run; the first goes up",)
    with pytest.raises(UserError, match=r"S up \(runs 2, 4, ...\) and 3e-05 S down \(runs 1, 3, ...\)"):
        import_file(tmp_path / "t.csv", "traces", {**DIRECTIONS, "first": "down"})


def test_files_and_folders_in_the_wrong_place(tmp_path):
    (tmp_path / "set.csv").write_text("1e-5\n2e-5\n")
    for format, path, message in (
        ("events", tmp_path, "found a folder, allowed: a file"),
        ("traces", tmp_path / "none.csv", "none.csv: found nothing, allowed: a file"),
        ("crosssim", tmp_path / "set.csv", "set.csv: found a file, allowed: a folder"),
        ("trains", tmp_path, "reset.csv: found nothing, allowed: a file"),
        ("csv", tmp_path, "calibration.source.format: found csv, allowed: crosssim, events, runs, switching, traces, "),
    ):
        with pytest.raises(UserError, match=message):
            import_file(path, format, DIRECTIONS if format in REGISTRY.names() and format != "events" else {})


def test_parquet_with_wrong_types(tmp_path):
    table = pd.read_csv(pd.io.common.StringIO(GOOD))
    for column, values, message in (
        ("cycle", [True, False, True], "column cycle: found type bool, allowed: numbers"),
        ("duration_s", [[1e-9], [1e-9], [1e-9]], "column duration_s: found type ndarray, allowed: numbers or text"),
    ):
        table.assign(**{column: values}).to_parquet(tmp_path / "e.parquet")
        with pytest.raises(UserError, match=message):
            import_file(tmp_path / "e.parquet", "events")
    for missing in (None, "", " "):
        table.assign(device=["a", missing, "b"]).to_parquet(tmp_path / "e.parquet")
        with pytest.raises(UserError, match="e.parquet: row 2, column device: found nothing, allowed: a label"):
            import_file(tmp_path / "e.parquet", "events")
    table.assign(device=[7, 8, 8]).to_parquet(tmp_path / "e.parquet")
    assert import_file(tmp_path / "e.parquet", "events").writes.meta["import"]["devices"] == ["7", "8"]
    (tmp_path / "e.parquet").write_text("not parquet")
    with pytest.raises(UserError, match="e.parquet: found no readable Parquet"):
        import_file(tmp_path / "e.parquet", "events")
