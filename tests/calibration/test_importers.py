"""A device whose chain is known, written in each format and read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration.card.tables import PULSES, conform
from calibration.counting.assemble import assemble
from calibration.sources.importers import import_file
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.calibration.conftest import stage

LEVELS_S = np.array([10e-6, 20e-6, 30e-6, 40e-6])
NOISE_S = 0.5e-6  # a twentieth of the distance of levels: none is misread
UP = np.array([[0.5, 0.4, 0.1, 0.0], [0.0, 0.5, 0.4, 0.1], [0.0, 0.0, 0.6, 0.4], [0.0, 0.0, 0.0, 1.0]])
KERNEL = np.stack([UP, UP[::-1, ::-1]])  # up, down
FALSE_ALARM = 1e-4  # of each chi-square test; seeds are fixed
DIRECTIONS = {"duration_s": 1e-9, "voltage_up_V": 0.5, "voltage_down_V": -0.4}


def walk(pulses: np.ndarray, start: int, *names) -> np.ndarray:
    """Return the conductances before the first pulse and after each one, S."""
    state, states = start, [start]
    for share, pulse in zip(generator(7, *names).random(len(pulses)), pulses):
        state = int(np.searchsorted(KERNEL[pulse, state].cumsum(), share, side="right"))
        states.append(state)
    return LEVELS_S[states] + generator(7, "read", *names).normal(0, NOISE_S, len(states))


def number(values) -> list[str]:
    return [repr(float(value)) for value in values]


def write_events(folder: Path) -> tuple[Path, dict]:
    rows = []
    for device in range(3):
        pulses = generator(7, "pulses", device).integers(0, 2, 800)
        conductance = walk(pulses, 0, "events", device)
        rows += [
            (f"d{device}", cycle, (0.5, -0.4)[pulse], 1e-9, *conductance[cycle : cycle + 2])
            for cycle, pulse in enumerate(pulses)
        ]
    table = pd.DataFrame(
        rows, columns=["device", "cycle", "voltage_V", "duration_s", "conductance_before_S", "conductance_after_S"]
    )
    table.to_csv(folder / "events.csv", index=False)
    table.to_parquet(folder / "events.parquet")
    return folder / "events.csv", {}


def grid(trains: list[np.ndarray]) -> str:
    return "\n".join(",".join(number(row)) for row in np.column_stack(trains)) + "\n"


def write_trains(folder: Path) -> tuple[Path, dict]:
    header = ",".join(f"r{column}" for column in range(300)) + "\n"
    for name, pulse, start in (("set.csv", 0, 0), ("reset.csv", 1, 3)):
        trains = [walk(np.full(8, pulse), start, name, repetition) for repetition in range(300)]
        (folder / name).write_text(header + grid(trains))
    return folder, DIRECTIONS


def write_trains_in_one(folder: Path) -> tuple[Path, dict]:
    pulses = np.repeat([0, 1], 8)
    (folder / "both.csv").write_text(grid([walk(pulses, 0, "both", repetition) for repetition in range(300)]))
    return folder / "both.csv", {**DIRECTIONS, "up_pulses": 8}


def write_traces(folder: Path) -> tuple[Path, dict]:
    pulses = np.tile(np.repeat([0, 1], 6), 200)
    conductance = walk(pulses, 0, "traces")
    table = pd.DataFrame(
        {
            "cycle": np.repeat(np.arange(200), 12),
            "direction": np.where(pulses == 0, "up", "down"),
            "pulse_number": np.tile(np.arange(1, 7), 400),
            "conductance_S": conductance[1:],
        }
    )
    table.to_csv(folder / "long.csv", index=False)
    table[["pulse_number", "conductance_S"]].to_csv(folder / "short.csv", index=False)
    return folder / "long.csv", DIRECTIONS


def write_short_traces(folder: Path) -> tuple[Path, dict]:
    write_traces(folder)
    return folder / "short.csv", DIRECTIONS


def write_updown(folder: Path) -> tuple[Path, dict]:
    # a single trace reaches the end at once and stays there: 4 writes up and 4 down that leave the ends
    up, down = walk(np.zeros(40, int), 0, "up"), walk(np.ones(40, int), 3, "down")
    rows = zip(range(41), number(up), number(down))
    (folder / "updown.csv").write_text("pulse,up,down\n" + "\n".join(f"{n},{u},{d}" for n, u, d in rows) + "\n")
    return folder / "updown.csv", DIRECTIONS


WRITERS = {
    "events": ("events", write_events, 2400),
    "trains": ("trains", write_trains, 4800),
    "trains_in_one": ("trains", write_trains_in_one, 4800),
    "traces": ("traces", write_traces, 2399),
    "short_traces": ("traces", write_short_traces, 2399),
    "updown": ("updown", write_updown, 80),
}


def counts(events: pd.DataFrame, up_pulse: int) -> np.ndarray:
    """Return how often each pulse (up first) led from each level to each level."""
    before, after = (np.abs(events[name].to_numpy()[:, None] - LEVELS_S).argmin(axis=1) for name in ("before", "after"))
    pulse = (events["pulse"].to_numpy() != up_pulse).astype(int)
    found = np.zeros(KERNEL.shape, dtype=int)
    np.add.at(found, (pulse, before, after), 1)
    return found


@pytest.mark.parametrize("case", WRITERS)
def test_the_kernel_comes_back(case, tmp_path):
    """Chi-square of the counted rows against the chain that made them; false alarm 1e-4 per format."""
    format, write, writes = WRITERS[case]
    path, options = write(tmp_path)
    result = import_file(path, format, options)
    assert result.card is None and result.report.empty
    events = result.writes.events
    assert len(events) == writes and events.dtypes.astype(str).to_dict() == {
        "pulse": "int64",
        "instance": "int64",
        "replica": "int64",
        "before": "float64",
        "after": "float64",
    }
    assert not events.duplicated(["pulse", "instance", "replica"]).any()
    found = counts(events, int(result.writes.pulses["polarity"].argmax()))
    assert found[KERNEL == 0].sum() == 0
    expected = KERNEL * found.sum(axis=-1, keepdims=True)
    used = KERNEL > 0
    statistic = ((found - expected)[used] ** 2 / np.where(expected > 0, expected, 1)[used]).sum()
    freedom = sum((row > 0).sum() - 1 for pulse, rows in enumerate(KERNEL) for row in rows)
    assert stats.chi2.sf(statistic, freedom) > FALSE_ALARM
    conform(result.writes.pulses, PULSES, "pulses")
    assert result.writes.bounds == (events[["before", "after"]].min().min(), events[["before", "after"]].max().max())


def test_the_last_test_can_fail(tmp_path):
    """The chi-square of another device's kernel is far beyond its limit."""
    path, options = write_events(tmp_path)
    found = counts(import_file(path, "events", options).writes.events, 1)
    other = np.clip(KERNEL, 0.05, None)
    expected = other / other.sum(axis=-1, keepdims=True) * found.sum(axis=-1, keepdims=True)
    assert stats.chi2.sf(((found - expected) ** 2 / expected).sum(), 24) < 1e-12


@pytest.mark.parametrize("case", WRITERS)
def test_twice_the_same(case, tmp_path):
    format, write, _ = WRITERS[case]
    path, options = write(tmp_path)
    first, second = (import_file(path, format, options) for _ in range(2))
    pd.testing.assert_frame_equal(first.writes.events, second.writes.events, check_exact=True)
    pd.testing.assert_frame_equal(first.writes.pulses, second.writes.pulses, check_exact=True)
    assert first.writes.source == second.writes.source and first.writes.meta == second.writes.meta


@pytest.mark.parametrize("case", ["events", "traces"])
def test_the_order_of_rows_does_not_matter(case, tmp_path):
    """Of traces, that of whole runs: within a run the order is what tells the writes."""
    format, write, _ = WRITERS[case]
    path, options = write(tmp_path)
    table = pd.read_csv(path)
    if format == "events":
        mixed = table.iloc[generator(7, "shuffle").permutation(len(table))]
    else:
        runs = [run for _, run in table.groupby(["cycle", "direction"])]
        mixed = pd.concat([runs[place] for place in generator(7, "shuffle").permutation(len(runs))])
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    first, second = (import_file(tmp_path / name, format, options).writes for name in (path.name, "mixed.csv"))
    pd.testing.assert_frame_equal(first.events, second.events, check_exact=True)
    pd.testing.assert_frame_equal(first.pulses, second.pulses, rtol=1e-13, atol=0)


def test_parquet_holds_what_csv_holds(tmp_path):
    write_events(tmp_path)
    first, second = (import_file(tmp_path / f"events.{end}", "events").writes for end in ("csv", "parquet"))
    pd.testing.assert_frame_equal(first.events, second.events, check_exact=True)


HEADER = "device,cycle,voltage_V,duration_s,conductance_before_S,conductance_after_S\n"
GOOD = HEADER + "a,0,0.5,1e-9,1e-5,2e-5\na,1,0.5,1e-9,2e-5,2e-5\na,0,-0.5,2e-9,2e-5,1e-5\n"


def test_pulses_are_numbered_in_sorted_order_and_cost_what_they_heat(tmp_path):
    (tmp_path / "e.csv").write_text(GOOD)
    pulses = import_file(tmp_path / "e.csv", "events", {"channel": "stt", "temperature_K": "77"}).writes.pulses
    assert list(pulses["voltage_V"]) == [-0.5, 0.5] and list(pulses["polarity"]) == [-1, 1]
    assert list(pulses["temperature_K"]) == [77.0, 77.0] and set(pulses["channel"]) == {"stt"}
    assert list(pulses["latency_s"]) == [2e-9, 1e-9]
    # V^2 t (G_before + G_after) / 2: 0.25 * 2e-9 * 1.5e-5; and 0.25 * 1e-9 * {1.5e-5, 2e-5}
    assert pulses["energy_mean_J"].to_numpy() == pytest.approx([7.5e-15, 4.375e-15], rel=1e-12, abs=0)
    assert pulses["energy_sd_J"].to_numpy() == pytest.approx([0, 0.625e-15 * np.sqrt(2)], rel=1e-12, abs=1e-30)
    assert pulses["energy_junction_J"].equals(pulses["energy_mean_J"].rename("energy_junction_J"))
    assert pulses[["energy_sot_J", "energy_gate_J", "field_T", "zhang_li_u_m_per_s"]].isna().all(axis=None)


def test_energies_and_times_of_the_file_come_first(tmp_path):
    lines = GOOD.replace("\n", ",{},{}\n").format(
        "energy_J", "latency_s", "1e-15", "5e-9", "3e-15", "7e-9", "2e-15", "1e-9"
    )
    (tmp_path / "e.csv").write_text(lines)
    pulses = import_file(tmp_path / "e.csv", "events", {"energy_J": 9e-15, "latency_s": 1e-6}).writes.pulses
    assert pulses["energy_mean_J"].to_numpy() == pytest.approx([2e-15, 2e-15], rel=1e-12, abs=0)
    assert pulses["energy_sd_J"].to_numpy() == pytest.approx([0, np.sqrt(2) * 1e-15], rel=1e-12, abs=1e-30)
    assert pulses["latency_s"].to_numpy() == pytest.approx([1e-9, 6e-9], rel=1e-12, abs=0)
    assert pulses["energy_junction_J"].isna().all()


def test_given_energies_by_direction(tmp_path):
    (tmp_path / "u.csv").write_text("1e-5,4e-5\n2e-5,3e-5\n")
    options = {
        "duration_s": 1e-9,
        "energy_up_J": "2e-15",
        "voltage_up_V": 1.0,
        "voltage_down_V": -1.0,
        "latency_s": 3e-9,
    }
    pulses = import_file(tmp_path / "u.csv", "updown", options).writes.pulses
    # up as given; down 1 V^2 * 1 ns * 3.5e-5 S
    assert pulses["energy_mean_J"].to_numpy() == pytest.approx([2e-15, 3.5e-14], rel=1e-12, abs=0)
    assert list(pulses["polarity"]) == [1, -1] and list(pulses["latency_s"]) == [3e-9, 3e-9]


def test_a_reset_hides_the_conductance_before(tmp_path):
    (tmp_path / "e.csv").write_text(GOOD.replace("1e-5,2e-5", "nan,2e-5"))
    writes = import_file(tmp_path / "e.csv", "events", {"reset_before_write": "true"}).writes
    assert writes.flags == {"volatile": False, "reset_before_write": True, "destructive_read": False}
    assert writes.events["before"].isna().all() and len(writes.events) == 3


def test_what_is_not_finite_is_left_out_with_a_report(tmp_path):
    (tmp_path / "e.csv").write_text(GOOD + "b,0,0.5,1e-9,1e-5,nan\nb,1,inf,1e-9,1e-5,1e-5\nb,2,0.5,1e-9,1e-5,\n")
    result = import_file(tmp_path / "e.csv", "events", {"max_dropped_fraction": 0.5})
    assert result.rows == 6 and len(result.writes.events) == 3
    assert result.report.to_dict("records") == [
        {"file": "e.csv", "row": 5, "reason": "column conductance_after_S is nan"},
        {"file": "e.csv", "row": 6, "reason": "column voltage_V is inf"},
        {"file": "e.csv", "row": 7, "reason": "column conductance_after_S is empty"},
    ]
    assert result.writes.meta["import"] == {
        "values": 6,
        "left_out": 3,
        "devices": ["a"],
        "notes": [],
        "written": {"kind": "text", "encoding": "utf-8", "separator": "comma", "decimal": "point"},
    }
    with pytest.raises(UserError, match=r"e.csv, row 5: column conductance_after_S is nan; found 3 of 6 .* 0.49"):
        import_file(tmp_path / "e.csv", "events", {"max_dropped_fraction": 0.49})


def test_a_gap_in_a_train_costs_the_writes_on_both_sides(tmp_path):
    (tmp_path / "both.csv").write_text("1e-5\n2e-5\n\nnan\n4e-5\n3e-5\n")
    options = {**DIRECTIONS, "up_pulses": 3, "max_dropped_fraction": 0.2}
    result = import_file(tmp_path / "both.csv", "trains", options)
    assert result.writes.events[["pulse", "before", "after"]].to_numpy().tolist() == [[0, 1e-5, 2e-5], [1, 4e-5, 3e-5]]
    assert list(result.report["row"]) == [4]  # lines of the file, blank ones counted


def test_trains_may_end_early(tmp_path):
    """Empty cells at the end of a column are no gaps; there may be more than one column that ends."""
    (tmp_path / "both.csv").write_text("1e-5,1e-5,1e-5\n2e-5,2e-5,2e-5\n1e-5,1e-5,\n2e-5,,\n")
    result = import_file(tmp_path / "both.csv", "trains", {**DIRECTIONS, "up_pulses": 1})
    assert list(result.writes.events["pulse"]) == [0, 0, 0, 1, 1, 1] and result.rows == 9 and result.report.empty


def test_columns_may_be_devices_and_devices_sort_by_number(tmp_path):
    (tmp_path / "set.csv").write_text("1e-5,2e-5\n2e-5,3e-5\n")
    (tmp_path / "reset.csv").write_text("2e-5,3e-5\n1e-5,2e-5\n")
    writes = import_file(tmp_path, "trains", {**DIRECTIONS, "columns": "devices"}).writes
    assert writes.events[["pulse", "instance", "replica"]].to_numpy().tolist() == [
        [0, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
        [1, 1, 0],
    ]
    (tmp_path / "e.csv").write_text(GOOD.replace("a,1", "10,1").replace("a,0", "9,0"))
    assert import_file(tmp_path / "e.csv", "events").writes.meta["import"]["devices"] == ["9", "10"]


def test_runs_join_only_where_they_follow_each_other(tmp_path):
    rows = [
        "0,up,1,1e-5",
        "0,up,2,2e-5",
        "0,down,1,1.5e-5",
        "2,up,1,3e-5",
        "2,up,2,4e-5",
        "2,down,0,3.5e-5",
        "2,down,1,3e-5",
    ]
    (tmp_path / "t.csv").write_text("cycle,direction,pulse_number,conductance_S\n" + "\n".join(rows) + "\n")
    events = import_file(tmp_path / "t.csv", "traces", DIRECTIONS).writes.events
    assert events[["pulse", "before", "after"]].to_numpy().tolist() == [
        [0, 1e-5, 2e-5],
        [0, 3e-5, 4e-5],
        [1, 2e-5, 1.5e-5],
        [1, 3.5e-5, 3e-5],
    ]


def test_currents_units_and_normalised_responses(tmp_path):
    (tmp_path / "u.csv").write_text("up,down\n-1,1\n0,-1\n")
    as_current = import_file(
        tmp_path / "u.csv", "updown", {**DIRECTIONS, "response_low_S": 1e-5, "response_high_S": 3e-5}
    )
    assert as_current.writes.events["after"].to_numpy() == pytest.approx([2e-5, 1e-5], rel=1e-12, abs=0)
    (tmp_path / "v.csv").write_text("1,4\n2,3\n")
    options = {**DIRECTIONS, "conductance_unit": "uS", "current_at_V": 0.1}
    writes = import_file(tmp_path / "v.csv", "updown", options).writes
    assert writes.events["before"].to_numpy() == pytest.approx([1e-5, 4e-5], rel=1e-12, abs=0)


CONFIG = stage({"states.method": "mixture", "states.count": None})


@pytest.mark.long
def test_the_card_has_the_levels_and_the_kernel_of_the_device(tmp_path):
    """States are found by themselves; chi-square of the card's counts with false alarm 1e-4."""
    path, options = write_events(tmp_path)
    cards = []
    for _ in range(2):
        cards.append(assemble(import_file(path, "events", options).writes, CONFIG, "config").validate())
    card = cards[0]
    # 540 writes or more a level: 5 standard errors of its mean
    assert card.states["conductance_S"].to_numpy() == pytest.approx(LEVELS_S, abs=5 * NOISE_S / np.sqrt(540))
    found = card.transitions["count"].to_numpy().reshape(2, 4, 4)[::-1]
    assert np.array_equal(found, counts(import_file(path, "events", options).writes.events, 1))
    expected = KERNEL * found.sum(axis=-1, keepdims=True)
    used = KERNEL > 0
    assert stats.chi2.sf(((found - expected)[used] ** 2 / expected[used]).sum(), 10) > FALSE_ALARM
    assert card.meta.source.dump()["format"] == "events" and card.meta.dump()["import"]["devices"] == ["d0", "d1", "d2"]
    for copy in ("one", "two"):
        cards[copy == "two"].write(tmp_path / copy)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
