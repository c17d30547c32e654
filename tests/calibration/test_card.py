import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration import KernelCard
from calibration.tables import CARD, unit
from spinloom.errors import UserError

FILES = sorted([*(f"{name}.csv" for name in CARD), "card.json"])
DOCUMENT = Path(__file__).parents[2] / "results" / "README.md"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_card_follows_the_events(study):
    card = study.card()
    assert (card.kernel.shape, len(card.population), card.meta["events"]) == ((5, 5, 5), 8, 400)
    np.testing.assert_allclose(card.kernel.sum(axis=-1), 1, atol=1e-12)
    # counted here a second way: nearest of the five pulse means
    positions = study.events["final_position_m"].to_numpy()
    means = study.events.groupby("pulse")["final_position_m"].mean().to_numpy()
    state = np.abs(positions[:, None] - means).argmin(axis=1)
    counts = pd.crosstab(study.events["pulse"], state).to_numpy()
    assert card.transitions["count"].to_numpy().reshape(5, 5, 5)[:, 3].tolist() == counts.tolist()
    np.testing.assert_allclose(card.kernel[:, 2], (counts + 0.5) / (80 + 2.5))
    np.testing.assert_allclose(card.states["occupancy"], card.kernel[:, 0].mean(axis=0))
    conductance = 14.4e-6 + 21.6e-6 * positions / 600e-9
    np.testing.assert_allclose(card.states["conductance_S"], [conductance[state == s].mean() for s in range(5)])
    np.testing.assert_allclose(card.states["conductance_sd_S"], [conductance[state == s].std(ddof=1) for s in range(5)])
    np.testing.assert_allclose(
        card.population["conductance_offset_S"], 21.6e-6 / 600e-9 * card.population["position_offset_m"]
    )
    writes = card.meta["derived"]["writes"]
    assert [write["intended_state"] for write in writes] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([write["probability_intended"] for write in writes], card.kernel[:, 0].diagonal())
    np.testing.assert_allclose(
        [write["energy_per_success_J"] for write in writes],
        card.pulses["energy_mean_J"] / card.kernel[:, 0].diagonal(),
    )


def test_without_reset_rows_depend_on_the_state_before(study):
    study.device["reset_before_write"] = False
    count = len(study.events)
    study.events["start_position_m"] = np.array([50e-9, 200e-9, 300e-9, 400e-9, 550e-9])[np.arange(count) % 5]
    study.config["states"]["method"] = "equal_width"
    card = study.card()
    counts = card.transitions["count"].to_numpy().reshape(5, 5, 5)
    assert counts.sum() == count and counts.sum(axis=-1).tolist() == [[16] * 5] * 5
    study.events.loc[study.events["start_position_m"] == 550e-9, "start_position_m"] = 50e-9
    with pytest.raises(UserError, match="pulse 0 has no event that starts in state 4"):
        study.card()


def test_write_read_write_gives_the_same_bytes(good, tmp_path):
    good.write(tmp_path / "first")
    again = KernelCard.read(tmp_path / "first")
    again.write(tmp_path / "second")
    assert sorted(content(tmp_path / "first")) == FILES
    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert again.hash == KernelCard.read(tmp_path / "second").hash == good.hash


def test_hash_follows_the_numbers(good):
    reads = good.reads.assign(noise_sd_S=good.reads["noise_sd_S"] * (1 + 1e-12))
    assert replace(good, reads=reads).hash != good.hash


def test_order_of_events_does_not_matter(study, tmp_path):
    study.card().write(tmp_path / "first")
    study.events = study.events.sample(frac=1, random_state=1)
    study.card().write(tmp_path / "second")
    first, second = content(tmp_path / "first"), content(tmp_path / "second")
    # the file's own digest is the one thing that may differ
    meta = [json.loads(files.pop("card.json")) for files in (first, second)]
    assert meta[0]["source"].pop("events_sha256") != meta[1]["source"].pop("events_sha256")
    assert (first, meta[0]) == (second, meta[1])


def test_lost_events_are_counted_and_left_out(study):
    lost = study.events.index[[3, 100]]
    study.events.loc[lost, "wall_state"] = ["lost", "multiple"]
    study.events.loc[lost, "final_position_m"] = np.nan
    with pytest.raises(UserError, match=r"2 of 400 events lost their wall, the first is .* replica 3; .* share of 0 "):
        study.card()
    study.config["max_lost_fraction"] = 0.005
    meta = study.card().meta
    assert (meta["events"], meta["lost_events"]) == (398, 2)


def test_other_files_of_the_directory_stay(good, tmp_path):
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "notes.txt").write_text("mine")
    good.write(tmp_path / "card")
    assert sorted(content(tmp_path / "card")) == sorted([*FILES, "notes.txt"])


def test_interrupted_write_leaves_no_card_that_mixes_old_and_new(good, tmp_path, monkeypatch):
    good.write(tmp_path / "card")
    moved = []

    def fails_at_the_third(source, target):
        if len(moved) == 2 and Path(target).parent.name == "card":
            raise OSError("disk full")
        if Path(target).parent.name == "card":
            moved.append(target)
        Path(source).rename(target)

    monkeypatch.setattr("os.replace", fails_at_the_third)
    with pytest.raises(OSError, match="disk full"):
        good.write(tmp_path / "card")
    with pytest.raises(UserError, match="card.json: cannot be read"):
        KernelCard.read(tmp_path / "card")
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["card"]


def change(name, **columns):
    def edit(card):
        table = getattr(card, name).copy()
        for column, (row, value) in columns.items():
            table[column] = table[column].astype("float64" if isinstance(value, float) else table[column].dtype)
            table.loc[row, column] = value
        return replace(card, **{name: table})

    return edit


def drop(name, **rows_or_columns):
    return lambda card: replace(card, **{name: getattr(card, name).drop(**rows_or_columns)})


def meta(**changes):
    return lambda card: replace(card, meta={**card.meta, **changes})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (change("transitions", probability=(7, 0.5)), "pulse 0, state_from 1 sums to"),
        (change("transitions", ci_low=(0, 0.99)), "pulse 0, state_from 0, state_to 0 has probability"),
        (change("transitions", ci_high=(0, 0.1)), "outside .ci_low, ci_high."),
        (change("transitions", count=(4, -1)), "column count has -1 in row 4; allowed is an integer >= 0"),
        (change("transitions", count=(4, 0.5)), "column count has 'float64'; allowed is type int64"),
        (drop("transitions", index=31), "row pulse 1, state_from 1, state_to 1 is missing"),
        (change("states", state=(4, 5)), "column state has 5 where 4 is expected; allowed is 0..4"),
        (change("states", state=(4, 3)), "state 3 occurs more than once"),
        (change("states", conductance_S=(1, 0.0)), "column conductance_S has 0.0 in row 1; allowed is a number > 0"),
        (
            change("states", conductance_S=(1, np.inf)),
            "column conductance_S has inf in row 1; allowed is a finite number",
        ),
        (change("states", conductance_S=(1, np.nan)), "column conductance_S is empty in row 1"),
        (change("states", occupancy=(1, 0.9)), "column occupancy sums to"),
        (drop("states", columns="occupancy"), "column occupancy is missing"),
        (lambda card: replace(card, states=card.states.assign(mood=1)), "unknown column mood; allowed are state,"),
        (drop("states", index=range(5)), "no rows; at least one is needed"),
        (change("pulses", pulse=(4, 7)), "column pulse has 7 where 4 is expected"),
        (change("pulses", polarity=(0, 2)), "column polarity has 2 in row 0; allowed is -1, 0 or 1"),
        (drop("reads", index=2), "column state has .0, 1, 3, 4.; allowed is each state of states.csv once"),
        (change("population", instance=(1, 0)), "instance 0 occurs more than once"),
        (meta(schema_version=2), "schema_version 2 is newer than this program; allowed is 1"),
        (meta(schema_version="1"), "schema_version is '1'; allowed is a value of type int"),
        (meta(flags={"volatile": 0}), "flags.volatile is 0; allowed is a value of type bool"),
        (meta(source={}), "key source.kind is missing"),
    ],
)
def test_broken_card_is_refused_on_write_and_on_read(good, tmp_path, edit, words):
    good.write(tmp_path / "card")
    before = content(tmp_path / "card")
    broken = edit(good)
    with pytest.raises(UserError, match=words) as error:
        broken.write(tmp_path / "card")
    assert str(error.value).startswith(str(tmp_path / "card")) and "\n" not in str(error.value)
    assert content(tmp_path / "card") == before
    for name in CARD:
        getattr(broken, name).to_csv(tmp_path / "card" / f"{name}.csv", index=False)
    (tmp_path / "card" / "card.json").write_text(json.dumps(broken.meta))
    with pytest.raises(UserError, match=words):
        KernelCard.read(tmp_path / "card")


def test_measured_card_may_leave_open_what_only_a_simulation_knows(good, tmp_path):
    states = good.states.assign(position_m=np.nan, position_low_m=np.nan, position_high_m=np.nan)
    pulses = good.pulses.assign(energy_sot_J=np.nan, energy_gate_J=np.nan, energy_reset_J=np.nan)
    meta = {key: good.meta[key] for key in ("name", "schema_version", "flags")} | {"source": {"kind": "measured"}}
    replace(good, states=states, pulses=pulses, meta=meta).write(tmp_path / "card")
    assert KernelCard.read(tmp_path / "card").states["position_m"].isna().all()


def test_reading_a_card_needs_no_plotting():
    code = "import sys, calibration.card; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=DOCUMENT.parents[1]).returncode == 0


@pytest.mark.parametrize("name", CARD)
def test_every_column_is_documented_with_its_unit(name):
    section = DOCUMENT.read_text(encoding="utf-8").split(f"### `{name}.csv`")[1].split("###")[0]
    rows = {
        cells[1].strip(): cells[2].strip()
        for cells in (line.split("|") for line in section.splitlines() if "|" in line)
    }
    for column in CARD[name].columns:
        assert rows[f"`{column}`"] == ("text" if column == "channel" else unit(column))
    assert len(rows) == len(CARD[name].columns) + 2
