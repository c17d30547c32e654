"""The data package of a study: read back by the reference implementation, with types and units."""

import json
from pathlib import Path

import frictionless
import numpy as np
import pandas as pd
import pytest
import yaml

from calibration.sources import library
from report import evidence
from spinloom import files
from spinloom.errors import UserError
from spinloom.version import VERSION
from workflow.study import package


@pytest.fixture
def study(tmp_path):
    """Return a folder with tables of all kinds: a card, events as CSV and Parquet, a network's summary."""
    folder = tmp_path / "My study"
    library.card("pbit").write(folder / "calibration" / "card")
    events = pd.DataFrame({
        "pulse": [0, 1], "start_position_m": [0.1, -1e-17], "wall_state": ["ok", 'a "b", c'], "in_range": [True, False],
        "final_position_m": [1 / 3, np.nan], "engine": ["llg", None], "final_kind": ["transverse", ""],
    })  # fmt: skip
    (folder / "device_sims" / "chunks").mkdir(parents=True)
    files.write_parquet(events, folder / "device_sims" / "events.parquet")
    files.write_csv(events, folder / "device_sims" / "events.csv")
    files.write_csv(events, folder / "device_sims" / "chunks" / "0123.csv")
    files.write_json({"family": "domain_wall"}, folder / "device_sims" / "device.json")
    summary = pd.DataFrame({"variant": ["a"], "epoch": [1], "writes_mean": [2.5], "disturbs_mean": [np.nan]})
    (folder / "network" / "summary").mkdir(parents=True)
    files.write_csv(summary, folder / "network" / "summary" / "writes.csv")
    return folder


def write(study):
    path = study / "datapackage.json"
    package.main(["--study", str(study), "--output", str(path)])
    return path


def test_one_version(study):
    root = Path(package.__file__).parents[2]
    assert json.loads(write(study).read_text())["generator"] == f"Spinloom {VERSION}"
    assert yaml.safe_load((root / "CITATION.cff").read_text())["version"] == VERSION
    assert f"\n## {VERSION}\n" in (root / "CHANGELOG.md").read_text()
    assert evidence.software().rows[0] == ["Spinloom", VERSION]


def test_every_table_opens_with_its_types(study):
    path = write(study)
    report = frictionless.Package(str(path)).validate()
    assert report.valid, report.flatten(["name", "message"])
    named = {resource["path"]: resource for resource in json.loads(path.read_text())["resources"]}
    assert not any("chunks" in name for name in named) and "calibration/card/transitions.csv" in named
    rows = frictionless.Resource(named["device_sims/events.csv"], basepath=str(study)).read_rows()
    assert float(rows[0]["final_position_m"]) == 1 / 3 and rows[1]["final_position_m"] is None
    assert [row["in_range"] for row in rows] == [True, False] and rows[1]["wall_state"] == 'a "b", c'
    fields = {field["name"]: field for field in named["device_sims/events.csv"]["schema"]["fields"]}
    assert {name: field["type"] for name, field in fields.items()} == {
        "pulse": "integer", "start_position_m": "number", "wall_state": "string", "in_range": "boolean",
        "final_position_m": "number", "engine": "string", "final_kind": "string",
    }  # fmt: skip
    # units and meanings come from the data dictionary: of the family's events and not of another table
    assert fields["start_position_m"]["unit"] == "m" and fields["final_position_m"]["unit"] == "m"
    assert fields["start_position_m"]["description"] == "wall position at the end of the rest, when the pulse begins"
    summary = {field["name"]: field for field in named["network/summary/writes.csv"]["schema"]["fields"]}
    assert (
        summary["disturbs_mean"]["type"] == "any" and "without being written" in summary["disturbs_mean"]["description"]
    )


def test_pictures_are_listed_as_the_config_asks_for_them(study):
    folder = study / "device_sims" / "pictures"
    folder.mkdir()
    for pulse in (0, 3):
        for ending in ("_strip.webp", ".webp"):
            (folder / f"pulse_{pulse}{ending}").write_bytes(b"RIFF" + bytes([pulse]))
    files.write_json({"options": {}, "pulses": [3]}, study / "config" / "pictures.json")
    path = write(study)
    assert frictionless.Package(str(path)).validate().valid
    pictures = [own for own in json.loads(path.read_text())["resources"] if own["format"] == "webp"]
    assert [own["path"] for own in pictures] == [
        "device_sims/pictures/pulse_3_strip.webp",
        "device_sims/pictures/pulse_3.webp",
    ]
    assert pictures[0]["title"] == "strip of snapshots of a write event of pulse 3" and pictures[0]["bytes"] == 5


def test_a_table_that_was_touched_is_found(study):
    path = write(study)
    table = study / "network" / "summary" / "writes.csv"
    table.write_text(table.read_text().replace("2.5", "many"))
    found = frictionless.Package(str(path)).validate().flatten(["type"])
    assert {"type-error", "hash-count"} <= {kind for (kind,) in found}


def test_csv_and_parquet_must_agree(study):
    table = study / "device_sims" / "events.csv"
    table.write_text(table.read_text().replace("0.1,", "0.10000000000000002,"))
    with pytest.raises(UserError, match=r"events.csv: found other values than in events.parquet, allowed: the same"):
        package.describe(study)


def test_a_folder_without_tables(tmp_path):
    with pytest.raises(UserError, match="found no table, allowed: the folder of a study that has run"):
        package.describe(tmp_path)


def test_units_of_rows_with_several_columns():
    columns = {column.name: column for column in package.documented("summary/history.csv")}
    assert [columns[name].unit for name in ("variant", "rule", "replicate")] == ["text", "text", "1"]
    assert columns["writes"].unit == columns["writes_per_sample"].unit == "1"
    with pytest.raises(KeyError):
        package.documented("nothing.csv")
