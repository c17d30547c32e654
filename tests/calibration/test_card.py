import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration import KernelCard
from calibration.card import Meta, retention
from calibration.card.meta import Source
from calibration.card.tables import CARD, EXTRAS
from calibration.readout.energy import MECHANISMS
from calibration.sources import library
from spinloom.errors import UserError
from spinloom.quantities import of

OPEN = ["voltage_V", "current_density_A_per_m2"] + [f"energy_{name}_J" for name in MECHANISMS]
FILES = sorted([*(f"{name}.csv" for name in CARD), "card.json"])
DOCUMENT = Path(__file__).parents[2] / "results" / "README.md"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_card_follows_the_events(study):
    card = study.card()
    assert (card.kernel.shape, len(card.population), card.meta.events) == ((5, 5, 5), 8, 400)
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
    writes = card.meta.derived.writes
    assert [write["intended_state"] for write in writes] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([write["probability_intended"] for write in writes], card.kernel[:, 0].diagonal())
    np.testing.assert_allclose(
        [write["energy_per_success_J"] for write in writes],
        card.pulses["energy_mean_J"] / card.kernel[:, 0].diagonal(),
    )


def test_without_reset_rows_depend_on_the_state_before(study):
    study.device["writes"]["states"]["before"] = "start_position_m"
    count = len(study.events)
    study.events["start_position_m"] = np.array([50e-9, 200e-9, 300e-9, 400e-9, 550e-9])[np.arange(count) % 5]
    card = study.card(states__method="equal_width")
    counts = card.transitions["count"].to_numpy().reshape(5, 5, 5)
    assert counts.sum() == count and counts.sum(axis=-1).tolist() == [[16] * 5] * 5
    assert card.meta.intended_states is None and not card.rows_repeat


def test_write_read_write_gives_the_same_bytes(good, tmp_path):
    good.write(tmp_path / "first")
    again = KernelCard.read(tmp_path / "first")
    again.write(tmp_path / "second")
    assert sorted(content(tmp_path / "first")) == sorted([*FILES, "check.csv"])
    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert again.hash == KernelCard.read(tmp_path / "second").hash == good.hash


def test_card_json_is_written_as_it_was_read(good, tmp_path):
    good.write(tmp_path)
    told = json.loads((tmp_path / "card.json").read_text())
    # no default is filled in, whole numbers stay whole, and what this version does not know is kept
    told |= {"posterior": {"pseudocount": 1}, "intended_states": None, "lab": {"cryostat": [4, 4.0]}}
    told["source"]["sample_holder"] = 3
    del told["events"]
    (tmp_path / "card.json").write_text(json.dumps(told, sort_keys=True, indent=1) + "\n")
    before = content(tmp_path)
    card = KernelCard.read(tmp_path)
    card.write(tmp_path)
    assert content(tmp_path) == before
    assert (card.meta.events, card.meta.posterior.pseudocount, card.meta.posterior.interval) == (0, 1, None)


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


def test_order_of_rows_of_a_card_does_not_matter(good, tmp_path):
    good.write(tmp_path / "first")
    shuffled = {name: getattr(good, name).sample(frac=1, random_state=2) for name in CARD}
    columns = {name: table[table.columns[::-1]] for name, table in shuffled.items()}
    replace(good, **columns).write(tmp_path / "second")
    assert content(tmp_path / "first") == content(tmp_path / "second")


def test_lost_events_are_counted_and_left_out(study):
    lost = study.events.index[[3, 100]]
    study.events.loc[lost, "wall_state"] = ["lost", "multiple"]
    study.events.loc[lost, "final_position_m"] = np.nan
    with pytest.raises(
        UserError, match=r"2 of 400 events lost their wall, the first is .* replica 3, allowed: a share of 0 "
    ):
        study.card()
    meta = study.card(max_lost_fraction=0.005).meta
    assert (meta.events, meta.lost_events) == (398, 2)


def test_other_files_of_the_directory_stay(good, tmp_path):
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "notes.txt").write_text("mine")
    good.write(tmp_path / "card")
    assert sorted(content(tmp_path / "card")) == sorted([*FILES, "check.csv", "notes.txt"])


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
    return lambda card: replace(card, meta=card.meta.model_copy(update=changes))


def told(**parts):
    return lambda card: meta(**{key: {**getattr(card.meta, key).dump(), **v} for key, v in parts.items()})(card)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (change("transitions", probability=(7, 0.5)), "pulse 0, state_from 1: found the sum"),
        (change("transitions", ci_low=(0, 0.99)), "pulse 0, state_from 0, state_to 0: found probability"),
        (change("transitions", ci_high=(0, 0.1)), "outside .ci_low, ci_high."),
        (change("transitions", count=(4, -1)), "column count: found -1 in row 4, allowed: an integer >= 0"),
        (change("transitions", count=(4, 0.5)), "column count: found 'float64', allowed: type int64"),
        (drop("transitions", index=31), "row pulse 1, state_from 1, state_to 1 is missing"),
        (change("states", state=(4, 5)), "column state: found 5 in place of 4, allowed: 0..4"),
        (change("states", state=(4, 3)), "state 3 occurs more than once"),
        (change("states", conductance_S=(1, 0.0)), "column conductance_S: found 0.0 in row 1, allowed: a number > 0"),
        (
            change("states", conductance_S=(1, np.inf)),
            "column conductance_S: found inf in row 1, allowed: a finite number",
        ),
        (change("states", conductance_S=(1, np.nan)), "column conductance_S is empty in row 1"),
        (change("states", occupancy=(1, 0.9)), "column occupancy: found the sum"),
        (drop("states", columns="occupancy"), "column occupancy is missing"),
        (lambda card: replace(card, states=card.states.assign(mood=1)), "found unknown column mood, allowed: state,"),
        (drop("states", index=range(5)), "found no rows, allowed: one row or more"),
        (change("pulses", pulse=(4, 7)), "column pulse: found 7 in place of 4"),
        (change("pulses", polarity=(0, 2)), "column polarity: found 2 in row 0, allowed: -1, 0 or 1"),
        (drop("reads", index=2), "column state: found .0, 1, 3, 4., allowed: each state of states.csv once"),
        (change("population", instance=(1, 0)), "instance 0 occurs more than once"),
        (
            change("transitions", basis=(0, "guessed")),
            "column basis: found 'guessed' in row 0, allowed: counts or",
        ),
        (change("transitions", effective_count=(0, -1.0)), "column effective_count: found -1.0 in row 0"),
        (change("states", count=(0, -1)), "column count: found -1 in row 0, allowed: an integer >= 0"),
        (drop("states", columns="label"), "column label is missing"),
        (drop("pulses", columns="field_T"), "column field_T is missing"),
        (meta(schema_version=1), "card.json: schema_version: found 1, allowed: 2"),
        (meta(schema_version=3), "schema_version: found 3, newer than this program, allowed: 2"),
        (meta(schema_version="2"), "schema_version: found 2, allowed: integer"),
        (told(flags={"volatile": 0}), "flags.volatile: found 0, allowed: boolean"),
        (meta(source={}), "source: key 'kind' is missing"),
        (meta(derived="x"), "derived: found x, allowed: object"),
        (meta(derived={"writes": [{}]}), "derived: key 'conductance_ratio' is missing"),
        (told(derived={"pairs": 5}), "derived.pairs: found 5, allowed: array"),
        (told(derived={"writes": []}), "derived.writes: found .., allowed: at least 1 entries"),
        (
            told(derived={"steps": [{"a": 1}, {"b": 1}]}),
            "derived.steps: row 1: found keys b, allowed: those of row 0",
        ),
        (meta(posterior=[]), "posterior: found .., allowed: object"),
        (meta(posterior=5), "posterior: found 5, allowed: object"),
        (told(posterior={"interval": "x"}), "posterior.interval: found x, allowed: integer or number"),
        (told(posterior={"interval": 5}), "posterior.interval: found 5, allowed: less than 1"),
        (told(posterior={"interval": 0}), "posterior.interval: found 0, allowed: more than 0"),
        (told(posterior={"pseudocount": -1}), "posterior.pseudocount: found -1, allowed: at least 0"),
        (told(posterior={"pooling": "all"}), "posterior.pooling: found all, allowed: events, instances"),
        (meta(laws=[{}]), "laws.0: key 'law' is missing"),
        (meta(laws="x"), "laws: found x, allowed: array"),
        (meta(spread=5), "spread: found 5, allowed: object or null"),
        (
            meta(spread={"cycle_to_cycle_sd_S": "x"}),
            "spread.cycle_to_cycle_sd_S: found x, allowed: integer or number or null",
        ),
        (meta(spread_position=[1]), "spread_position: found .1., allowed: object or null"),
        (meta(probability_spread=[1]), "probability_spread.0: found 1, allowed: object"),
        (meta(events=-1), "events: found -1, allowed: at least 0"),
        (
            meta(intended_states=[9, 9, 9]),
            "intended_states: found .9, 9, 9., allowed: a state of 0..4 for each of 5 pulses",
        ),
        (meta(intended_states=[0, 1, 2, 3, 5]), "intended_states: found .0, 1, 2, 3, 5., allowed: a state of 0..4"),
        (told(states={"edges": [0.0, 1.0]}), "states.edges: found .0.0, 1.0., allowed: 6 rising numbers for 5 states"),
        (
            told(states={"coordinate": "mood"}),
            "states.coordinate: found mood, allowed: position_m, conductance_S",
        ),
        (
            told(flags={"half_select": True}),
            "flags.half_select: found True, allowed: False, as there is no table half_select",
        ),
        (told(flags={"half_select": "no"}), "flags.half_select: found no, allowed: boolean"),
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
    (tmp_path / "card" / "card.json").write_text(json.dumps(broken.meta.dump()))
    with pytest.raises(UserError, match=words):
        KernelCard.read(tmp_path / "card")


def test_measured_card_may_leave_open_what_only_a_simulation_knows(good, tmp_path):
    states = good.states.assign(position_m=np.nan, position_low_m=np.nan, position_high_m=np.nan)
    pulses = good.pulses.assign(**{name: np.nan for name in OPEN})
    population = good.population.assign(position_offset_m=np.nan, conductance_offset_se_S=np.nan)
    told = good.meta
    meta = Meta(name=told.name, schema_version=2, flags=told.flags, source=Source(kind="measured"))
    measured = replace(good, states=states, pulses=pulses, population=population, meta=meta)
    measured.write(tmp_path / "card")
    read = KernelCard.read(tmp_path / "card")
    assert read.states["position_m"].isna().all() and read.pulses[OPEN].isna().all(axis=None)
    assert np.isnan(read.interval) and read.hash == measured.hash


def test_edited_table_is_refused_unless_the_card_gives_up_its_hash(good, tmp_path):
    good.write(tmp_path)
    assert json.loads((tmp_path / "card.json").read_text())["hash"] == good.hash
    path = tmp_path / "reads.csv"
    edited = pd.read_csv(path)
    edited["latency_s"] *= 2
    edited.to_csv(path, index=False)
    words = r"card.json: hash: found [0-9a-f]{64}, allowed: [0-9a-f]{64}, the hash of the tables; .* delete the edited"
    with pytest.raises(UserError, match=words):
        KernelCard.read(tmp_path)
    meta = json.loads((tmp_path / "card.json").read_text())
    assert meta.pop("hash") == good.hash
    (tmp_path / "card.json").write_text(json.dumps(meta))
    read = KernelCard.read(tmp_path)
    assert read.hash != good.hash and (read.reads["latency_s"] == 2 * good.reads["latency_s"]).all()


def test_extra_tables_come_and_go_with_the_card(cards, tmp_path):
    junction = cards["stt_mtj"]
    assert list(junction.extras) == ["inverse", "check"]
    junction.write(tmp_path)
    assert KernelCard.read(tmp_path).hash == junction.hash
    bare = replace(junction, extras={})
    bare.write(tmp_path)
    assert sorted(content(tmp_path)) == FILES and bare.hash != junction.hash
    with pytest.raises(UserError, match="found an unknown table mood, allowed: states, .*, check"):
        replace(junction, extras={"mood": junction.reads}).write(tmp_path)
    broken = junction.extras["inverse"].assign(duration_s=-1.0)
    with pytest.raises(UserError, match="inverse.csv: column duration_s: found -1.0 in row 0, allowed: a number >= 0"):
        replace(junction, extras={"inverse": broken}).write(tmp_path)


def extra(name, **columns):
    """Return the edit of some of the first row's entries of an optional table."""

    def edit(card):
        table = card.extras[name].copy()
        for column, value in columns.items():
            table.loc[0, column] = value
        return replace(card, extras={**card.extras, name: table})

    return edit


@pytest.mark.parametrize(
    ("source", "edit", "words"),
    [
        (
            "half",
            extra("half_select", probability=0.5),
            "half_select.csv: column probability of pulse 0, fraction 0.333333, state_from 0: found the sum",
        ),
        (
            "half",
            extra("half_select", pulse=99),
            "half_select.csv: column pulse: found 99, allowed: 0..15, as in pulses",
        ),
        (
            "half",
            extra("half_select", state_to=2),
            "half_select.csv: column state_to: found 2, allowed: 0..1, as in sta",
        ),
        ("half", extra("retention", state_from=7), "retention.csv: column state_from: found 7, allowed: 0..1"),
        ("stt_mtj", extra("inverse", state_to=7), "inverse.csv: column state_to: found 7, allowed: 0..1, as in states"),
        (
            "by",
            extra("by_instance", probability=0.0),
            "by_instance.csv: column probability of instance 0, pulse 0, state_from 0: found the sum",
        ),
        (
            "half",
            lambda card: replace(card, extras={}),
            "flags.half_select: found True, allowed: False, as there is no",
        ),
        (
            "half",
            meta(flags={"volatile": False, "reset_before_write": False, "destructive_read": False}),
            "flags.half_select: found False, allowed: True, as there is a table half_select.csv",
        ),
    ],
)
def test_optional_tables_agree_with_the_card(cards, tmp_path, source, edit, words):
    if source == "half":
        card = library.card("sot_mtj_80nm_b")
        table = retention.binary([60.0, 60.0], 300.0, [300.0])
        card = replace(card, extras={**card.extras, "retention": table}).validate()
    elif source == "by":
        card = cards["stt_mtj"]
        rows = card.transitions.drop(columns=["effective_count", "basis"]).assign(instance=0)
        card = replace(card, extras={"by_instance": rows}).validate()
    else:
        card = cards[source]
    with pytest.raises(UserError, match=words) as error:
        edit(card).write(tmp_path / "card")
    assert str(error.value).startswith(str(tmp_path / "card")) and "\n" not in str(error.value)


def test_reading_a_card_needs_no_plotting():
    code = "import sys, calibration.card; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=DOCUMENT.parents[1]).returncode == 0


@pytest.mark.parametrize("name", [*CARD, *EXTRAS])
def test_every_column_is_documented_with_its_unit(name):
    section = DOCUMENT.read_text(encoding="utf-8").split(f"### `{name}.csv`")[1].split("###")[0]
    rows = {
        cells[1].strip(): cells[2].strip()
        for cells in (line.split("|") for line in section.splitlines() if "|" in line)
    }
    columns = {**CARD, **EXTRAS}[name].columns
    for column in columns:
        assert rows[f"`{column}`"] == ("text" if column in ("channel", "label", "basis") else of(column).si)
    assert len(rows) == len(columns) + 2
