"""Finished runs of several programs become the card of the same writes simulated here."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from calibration.card import KernelCard
from calibration.sources import build, importers
from calibration.sources.importers.runs import names
from calibration.tools import inspection
from device_sims.problem import ovf
from spinloom.errors import UserError
from tests import finished_runs
from tests.calibration.conftest import stage
from tests.device_sims.conftest import changed, section  # noqa: F401

TABLES = ("states.csv", "pulses.csv", "transitions.csv", "population.csv", "reads.csv")
# what no file of a run tells, and a study of the same device says
DEVICE = {
    "channel": "gate+sot", "width_m": 24e-9, "pulse_start_s": 1e-11, "duration_s": 2e-11, "settle_s": 1e-11,
    "current_density_A_per_m2": 2e11, "temperature_K": 300, "energy": "line, gate", "dielectric_thickness_m": 1e-9,
}  # fmt: skip
STATES = {"states.method": "equal_population", "states.count": 2, "kernel.empty_rows": "stay"}


def card(path, options=None, **changes) -> KernelCard:
    """Return the card of runs."""
    source = {"source.kind": "import", "source.file": str(path), "source.format": "runs"}
    config = stage({**STATES, **source, "source.options": {**DEVICE, **(options or {})}, **changes})
    made, _ = build.make(config, "c.json", None)
    return made


def tables(one: KernelCard, folder) -> dict[str, bytes]:
    one.write(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


@pytest.fixture(scope="module")
def writes(section, tmp_path_factory):  # noqa: F811
    """A sweep from the reset, its writes, and its card; likewise one from two starts."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, own in (
            ("reset", section),
            (
                "present",
                changed(
                    changed(section, "domain_wall.write_mode", "present_state"),
                    "domain_wall.pulses.start_positions_m",
                    [40e-9, 56e-9],
                ),
            ),
        ):
            folder = tmp_path_factory.mktemp(name)
            kept = finished_runs.simulated(own, folder, patch)
            config = stage(STATES)
            made[name] = (kept, build.make(config, "c.json", folder / "tables")[0])
    return made


VOLTAGES = {0: -0.5, 1: 0.5}


def name_of(batch, replica, start=False) -> str:
    begin = f"x{batch.keys['nominal_start_m'] * 1e9:g}nm_" if start else ""
    return f"{begin}V{VOLTAGES[batch.pulse]:g}_dev{batch.instance}_seed{replica}"


PATTERN = "V{voltage_V}_dev{device}_seed{replica}"


@pytest.mark.long
def test_three_programs_runs_become_the_card_of_the_study_to_the_byte(writes, tmp_path):
    kept, own = writes["reset"]
    expected = tables(own, tmp_path / "own")
    assert len(kept) == 8 and len(expected) >= 4
    for batch, problem, replica, result in kept:
        name = name_of(batch, replica)
        finished_runs.mumax3(tmp_path / "mumax3" / f"{name}.out", problem, result)
        finished_runs.oommf(tmp_path / "oommf" / name, problem, result)
        finished_runs.ubermag(tmp_path / "ubermag" / name, problem, result)
        finished_runs.ours(
            tmp_path / "ours" / f"V{VOLTAGES[batch.pulse]}_dev{batch.instance}" / f"replica_{replica:06d}",
            problem,
            result,
        )
    same = {
        "mumax3": (tmp_path / "mumax3" / "V*.out", {}),
        "ours": (tmp_path / "ours" / "V*", {"pattern": "V{voltage_V}_dev{device}"}),
    }
    for name, (path, options) in same.items():
        assert tables(card(path, {"pattern": PATTERN, **options}), tmp_path / f"card_{name}") == expected, name
    # M in A/m and back is rounded once more
    for path in ("oommf/V*.odt", "ubermag/V*"):
        made = card(tmp_path / path, {"pattern": PATTERN})
        pd.testing.assert_frame_equal(made.transitions, own.transitions, rtol=1e-12)
        pd.testing.assert_frame_equal(made.states, own.states, rtol=1e-12)
        pd.testing.assert_frame_equal(made.pulses, own.pulses)


def test_writes_from_where_the_wall_is_become_the_card_of_the_study(writes, tmp_path):
    kept, own = writes["present"]
    assert len(kept) == 16
    expected = tables(own, tmp_path / "own")
    for batch, problem, replica, result in kept:
        finished_runs.mumax3(tmp_path / "runs" / f"{name_of(batch, replica, start=True)}.out", problem, result)
    made = card(tmp_path / "runs" / "*.out", {"pattern": f"x{{start_m}}_{PATTERN}"})
    assert tables(made, tmp_path / "card") == expected
    assert made.meta.flags.reset_before_write is False


def test_a_column_of_the_table_is_the_state_with_any_spelling(writes, tmp_path):
    kept, own = writes["reset"]
    for batch, problem, replica, result in kept:
        name = name_of(batch, replica)
        finished_runs.mumax3(tmp_path / "mumax3" / f"{name}.out", problem, result)
        finished_runs.oommf(tmp_path / "oommf" / name, problem, result)
        finished_runs.mumax_plus(tmp_path / "plus" / f"{name}.txt", problem, result)
    same = {"pattern": PATTERN, "length_m": 96e-9}
    for path, column in [("mumax3/*.out", "ext_wall (m)"), ("mumax3/*.out", "ext_wall"), ("plus/*.txt", "wall")]:
        made = card(tmp_path / path, {**same, "state_column": column})
        # of these walls none was lost, so that the positions are the same
        pd.testing.assert_frame_equal(made.transitions, own.transitions)
        pd.testing.assert_frame_equal(made.states, own.states)
    shares = [
        card(tmp_path / path, {**same, "state": "share", "left": "up", "state_column": column}).states
        for path, column in [
            ("mumax3/*.out", "mz ()"), ("oommf/*.odt", "Oxs_TimeDriver::mz {}"), ("oommf/*.odt", "mz"),
            ("plus/*.txt", "m_z"),
        ]
    ]  # fmt: skip
    for other in shares[1:]:
        pd.testing.assert_frame_equal(other, shares[0])
    # the mean of mz sees the fluctuations in the domains, the wall's position does not
    assert np.abs(shares[0]["position_m"] - own.states["position_m"]).max() < 8e-9


# -- small tables, without any physics ---------------------------------------------------------------------------------
def row(t, wall=50e-9, mz=0.0):
    return (t, mz, wall)


def table_run(folder, rows=None, head="# t (s)\tmz ()\text_dwpos (m)"):
    """Write a run of mumax3 with a table alone: 2 ns, the pulse from 0 to 1 ns."""
    folder.mkdir(parents=True)
    rows = rows if rows is not None else [row(t * 1e-10, wall=(20 + t) * 1e-9) for t in range(21)]
    text = "\n".join([head, *("\t".join(map(repr, one)) for one in rows)]) + "\n"
    (folder / "table.txt").write_text(text)


SMALL = {
    "pattern": "V{voltage_V}_seed{seed}", "state_column": "ext_dwpos", "length_m": 100e-9, "junction_area_m2": 1e-15,
    "duration_s": 1e-9,
}  # fmt: skip


def imported(path, options=None):
    return importers.import_file(path, "runs", {**SMALL, **(options or {})})


def small(folder, voltages=(-0.5, 0.5), seeds=range(20)):
    for voltage in voltages:
        for seed in seeds:
            rows = [row(t * 1e-10, wall=(50 + 10 * voltage * t / 10 + seed / 10) * 1e-9) for t in range(21)]
            table_run(folder / f"V{voltage}_seed{seed}.out", rows)
    return folder / "V*.out"


def test_a_clean_folder_of_runs(tmp_path):
    found = imported(small(tmp_path))
    told = found.simulated
    assert len(told.events) == 40 and list(told.pulses["voltage_V"]) == [-0.5, 0.5]
    assert list(told.pulses["settle_s"]) == [1e-9, 1e-9]
    first = told.events.iloc[0]
    assert (first["pulse"], first["replica"], first["outcome"]) == (0, 0, "single")
    assert first["final_position_m"] == pytest.approx(40e-9, rel=1e-9, abs=0) and first[
        "start_position_m"
    ] == pytest.approx(50e-9, rel=1e-9, abs=0)
    assert found.facts[0] == "40 writes by 2 pulses on 1 devices"
    assert told.means.reset and told.means.pulse.drives == ("voltage_V",)
    assert [note for note in found.notes if "one wall" in note]
    assert [text for text in told.assumed if "temperature is taken to be 300 K" in text]
    source = {"source.kind": "import", "source.file": str(tmp_path / "V*.out"), "source.format": "runs"}
    options = {"source.options": SMALL, "states.method": "nearest_mean", "states.count": None}
    made, _ = build.make(stage({**source, **options}), "c.json", None)
    assert [text for text in made.meta.assumed if "energy" in text] and made.pulses["energy_mean_J"].isna().all()
    # what the read-out of the study lends to these runs
    lent = " ".join(made.meta.assumed)
    assert "a junction of RA 1e-09 ohm m2 and TMR 1.5 (calibration.readout)" in lent and "A read takes 0.1 V" in lent
    own, _ = build.make(
        stage({**source, **options, "source.options": {**SMALL, "RA_ohm_m2": 2e-9, "TMR": 1.0}}), "c.json", None
    )
    assert "a junction of" not in " ".join(own.meta.assumed)
    half, _ = build.make(stage({**source, **options, "source.options": {**SMALL, "RA_ohm_m2": 2e-9}}), "c.json", None)
    assert "a junction of TMR 1.5 (calibration.readout)" in " ".join(half.meta.assumed)


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda run: table_run(run, [row(t * 1e-10) for t in range(15)]), "ended early: its last record is at 1.4e-09"),
        (lambda run: table_run(run, [row(t * 1e-10) for t in range(8)]), "the pulse ends at 1e-09 s"),
        (
            lambda run: table_run(run, [row(t * 1e-10) for t in (*range(12), *range(21))]),
            "time goes back after row 12, from 1.1e-09 to 0 s",
        ),
        (lambda run: table_run(run, []), "has no rows"),
        (lambda run: table_run(run, [row(0.0), (1e-10, 0.0)]), "row 2 of the numbers: found 2 of them, allowed: 3"),
        (lambda run: run.mkdir(), "holds no table"),
        (lambda run: (run.mkdir(), (run / "table.txt").write_text("")), "is empty"),
        (lambda run: table_run(run, [row(t * 1e-10) for t in range(5, 21)]), "its first record is at 5e-10 s"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_used_is_left_out_and_told(tmp_path, spoil, reason):
    path = small(tmp_path)
    spoil(tmp_path / "V0.5_seed20.out")
    found = imported(path, {"reset_before_write": "false", "max_dropped_fraction": 0.1})
    assert len(found.simulated.events) == 40
    assert list(found.report["file"]) == ["V0.5_seed20.out"] and reason in found.report["reason"][0]
    assert found.notes[0].startswith("1 of 41 runs are left out, the first: ")
    with pytest.raises(UserError, match=r"found 1 of 41 runs that cannot be used, allowed: a share of 0.01"):
        imported(path, {"reset_before_write": "false", "max_dropped_fraction": 0.01})


def test_the_last_part_of_a_restarted_run_counts_if_asked(tmp_path):
    path = small(tmp_path, seeds=range(3))
    again = [*(row(t * 1e-10, wall=9e-9) for t in range(12)), *(row(t * 1e-10, wall=45e-9) for t in range(21))]
    table_run(tmp_path / "V0.5_seed3.out", again)
    events = imported(path, {"restarted": "last"}).simulated.events
    assert len(events) == 7 and events["final_position_m"].iloc[-1] == 45e-9


def test_missing_repetitions_are_told(tmp_path):
    path = small(tmp_path)
    for seed in (3, 7):
        (tmp_path / f"V0.5_seed{seed}.out" / "table.txt").unlink()
        (tmp_path / f"V0.5_seed{seed}.out").rmdir()
    assert imported(path).notes[0] == "voltage_V 0.5 has 18 runs where others have 20; missing: 3, 7"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"state_column": "ext_dwspeed"}, r"state_column: found no column called 'ext_dwspeed', allowed: one of t, mz"),
        ({"pattern": "U{voltage_V}_seed{seed}"}, r"found a name that does not fit the pattern 'U"),
        ({"pattern": "V{volts}_seed{seed}"}, r"pattern: found \{volts\}, allowed: voltage_V, "),
        ({"pattern": "V{voltage_V}_*"}, None),
        ({"pattern": "*_seed{seed}"}, r"are declared as the same write \(replica 0\), allowed: each once"),
        ({"pattern": "V*_seed{seed}", "voltage_V": 1}, r"are declared as the same write"),
        ({"pattern": None}, r"found nothing that drives a write, allowed: one or more of voltage_V, "),
        ({"duration_s": None}, r"duration_s: found nothing, allowed: by pattern, manifest or option duration_s"),
        ({"length_m": None}, r"option length_m: found null, and the files do not tell it, allowed: a number in m"),
        ({"junction_area_m2": None}, r"option junction_area_m2: found null, and the files do not tell it"),
        ({"state": "share", "state_column": "mz"}, r"left: found null, allowed with state share: up, down"),
        ({"state": "share", "left": "up", "state_column": "mz"}, None),
        (
            {"state": "share", "left": "up", "state_column": "t"},
            r"found the unit 's' of 't', allowed: a number without a unit",
        ),
        ({"state_column": "t"}, r"state_column: found the unit 's' of 't', allowed: m, with a prefix or without"),
        ({"voltage_V": 0.3}, r"option voltage_V: found it in the runs too, allowed: one of the two"),
        ({"columns": "start_m=mz"}, r"columns: found start_m, allowed: voltage_V"),
        ({"columns": "field_T=ext_dwpos"}, r"columns: field_T: found the unit 'm' of 'ext_dwpos', allowed: T, with a"),
        ({"columns": "voltage_V=mz"}, r"columns: found voltage_V in the run's name too, allowed: one of the two"),
        ({"energy": "gate"}, r"dielectric_thickness_m: found null, allowed with energy gate: a thickness"),
        ({"energy": "junction"}, r"energy: found junction, allowed with state position: line, gate"),
        ({"energy": "line"}, r"option width_m: found null"),
        (
            {"settle_s": 5e-9},
            r"ended early: its last record is at 2e-09 s, the write ends at 6e-09 s; found 40 of 40 runs",
        ),
        ({"pulse_start_s": 3e-9}, r"the pulse ends at 4e-09 s; found 40 of 40 runs"),
        ({"volatile": "true"}, r"volatile: found true with state position, allowed: with state levels"),
    ],
)
def test_what_is_not_told_or_told_twice_is_one_line(tmp_path, options, message):
    path = small(tmp_path)
    if message is None:
        imported(path, options)
        return
    with pytest.raises(UserError, match=message) as caught:
        imported(path, options)
    assert "\n" not in str(caught.value)


def test_a_manifest_tells_what_the_names_do_not(tmp_path):
    for number in range(4):
        table_run(tmp_path / f"run{number}.out")
    lines = ["run,voltage_V,duration_s,seed", *(f"run{n}.out,{500 * (n // 2 + 1)} mV,1 ns,{n % 2}" for n in range(4))]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    own = {"pattern": None, "duration_s": None, "manifest": str(tmp_path / "list.csv")}
    found = imported(tmp_path / "run*.out", own)
    assert list(found.simulated.pulses["voltage_V"]) == [0.5, 1.0]
    assert list(found.simulated.pulses["duration_s"]) == [1e-9, 1e-9]
    (tmp_path / "list.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(UserError, match=r"list.csv: found 0 rows of the run .*run3.out, allowed: one"):
        imported(tmp_path / "run*.out", own)
    (tmp_path / "list.csv").write_text("\n".join([*lines, "run0.out,1,1e-9,7"]))
    with pytest.raises(UserError, match=r"found run run0.out in two rows, allowed: each once"):
        imported(tmp_path / "run*.out", own)
    (tmp_path / "list.csv").write_text("\n".join(lines).replace("500 mV", "500 mA"))
    with pytest.raises(UserError, match=r"voltage_V: found the unit 'mA' of '500 mA', allowed: a unit of voltage"):
        imported(tmp_path / "run*.out", own)


@pytest.mark.parametrize(
    "text, name, value",
    [
        ("0.5", "voltage_V", 0.5), ("500mV", "voltage_V", 0.5), ("-1.25", "voltage_V", -1.25),
        ("0p5", "voltage_V", 0.5), ("1e11", "current_density_A_per_m2", 1e11), ("2ns", "duration_s", 2e-9),
        ("0.3 ns", "duration_s", 3e-10), ("200ps", "duration_s", 2e-10), ("100nm", "start_m", 1e-7),
        ("35mT", "field_T", 0.035), ("300K", "temperature_K", 300), ("80m/s", "zhang_li_u_m_per_s", 80),
        ("1e11A/m2", "current_density_A_per_m2", 1e11),
    ],
)  # fmt: skip
def test_values_are_read_with_their_units(text, name, value):
    assert names.quantity(text, name) == value
    assert names.quantity(names.Pattern(f"a{{{name}}}_b").told(Path(f"x/a{text}_b.out"))[name], name) == value


def test_a_pattern_of_several_parts(tmp_path):
    table_run(tmp_path / "dev3" / "V0.5" / "J-2e11_2ns_s7" / "a.out")
    pattern = "dev{device}/V{voltage_V}/J{current_density_A_per_m2}_{duration_s}_s{seed}"
    told = imported(tmp_path / "dev*/*/*/*.out", {"pattern": pattern, "duration_s": None, "settle_s": 0}).simulated
    pulse = told.pulses.iloc[0]
    assert (pulse["voltage_V"], pulse["current_density_A_per_m2"], pulse["duration_s"]) == (0.5, -2e11, 2e-9)
    assert told.meta["import"]["devices"] == ["3"] and told.events["replica"][0] == 7


def test_what_drives_stands_in_a_column_of_the_table(tmp_path):
    for number, field in enumerate((10.0, 20.0)):
        rows = [(t * 1e-10, field if 0 < t <= 10 else 0.0, 50e-9) for t in range(21)]
        table_run(tmp_path / f"run{number}", rows, "# t (s)\tB_extz (mT)\text_dwpos (m)")
    told = imported(tmp_path / "run*", {"pattern": None, "columns": "field_T=B_extz"}).simulated
    assert list(told.pulses["field_T"]) == pytest.approx([0.01, 0.02], rel=1e-9, abs=0)
    with pytest.raises(UserError, match=r"columns: 'B_extz' goes from 0 to 0.01 during the pulse, allowed: one value"):
        imported(tmp_path / "run*", {"pattern": None, "columns": "field_T=B_extz", "duration_s": 1.5e-9})
    for number in range(2):  # a seed that both have does not make them the same write
        (tmp_path / f"run{number}").rename(tmp_path / f"run{number}_seed7")
    told = imported(tmp_path / "run*", {"pattern": "run*_seed{seed}", "columns": "field_T=B_extz"}).simulated
    assert list(told.events["replica"]) == [7, 7] and len(told.pulses) == 2
    with pytest.raises(
        UserError, match=r"columns: field_T: found the unit 'Oe' of 'B_extz', allowed: T, with a prefix"
    ):
        text = (tmp_path / "run0_seed7/table.txt").read_text()
        (tmp_path / "run0_seed7/table.txt").write_text(text.replace("(mT)", "(Oe)"))
        imported(tmp_path / "run*", {"pattern": None, "columns": "field_T=B_extz"})


def test_a_wall_beyond_the_track_is_lost(tmp_path):
    table_run(tmp_path / "V1_seed0", [row(t * 1e-10, wall=(90 + t) * 1e-9) for t in range(21)])
    events = imported(tmp_path / "V*", {}).simulated.events
    assert events["outcome"][0] == "lost" and np.isnan(events["final_position_m"][0])


def test_junctions_switch_between_two_levels(tmp_path):
    for start in (-1, 1):
        for seed in range(6):
            end = start * (-1 if seed < 2 else 1)
            rows = [(t * 1e-10, start * 0.98 if t < 5 else end * 0.97) for t in range(21)]
            table_run(tmp_path / f"V{-start * 0.8}_seed{seed}", rows, "# t (s)\tmz ()")
    options = {
        **SMALL, "state": "levels", "state_column": "mz", "RA_ohm_m2": 5e-12, "TMR": 1.0, "energy": "junction",
        "length_m": None,
    }  # fmt: skip
    source = {"source.kind": "import", "source.file": str(tmp_path / "V*"), "source.format": "runs"}
    config = stage({**source, "source.options": options, "states.method": "auto", "kernel.empty_rows": "stay"})
    made, _ = build.make(config, "c.json", None)
    counts = made.transitions.pivot_table(index=["pulse", "state_from"], columns="state_to", values="count")
    assert list(made.states["label"]) == ["AP", "P"]
    assert counts.loc[(0, 1)].tolist() == [2, 4] and counts.loc[(1, 0)].tolist() == [4, 2]
    assert (made.pulses["energy_junction_J"] > 0).all()


def test_an_ensemble_table_of_ours_is_a_run_in_each_row(tmp_path):
    for voltage in (0.5, 1.0):
        (tmp_path / f"V{voltage}").mkdir()
        lines = ["replica,t_s,mx,my,mz,wall_position_m"]
        lines += [f"{n},2e-9,0,0,0,{(40 + 10 * voltage + n) * 1e-9}" for n in range(3)]
        (tmp_path / f"V{voltage}" / "ensemble.csv").write_text("\n".join(lines) + "\n")
    options = {"pattern": "V{voltage_V}", "state_column": "wall_position_m"}
    told = imported(tmp_path / "V*/ensemble.csv", options).simulated
    assert list(told.events["replica"]) == [0, 1, 2] * 2
    assert told.events["final_position_m"].iloc[1] == pytest.approx(46e-9, rel=1e-9, abs=0)


def test_cells_that_differ_and_damaged_snapshots(tmp_path):
    def run(name, nx=12, dx=4e-9, cut=0):
        folder = tmp_path / name
        folder.mkdir()
        m = np.zeros((3, 1, 6, nx))
        m[2] = np.where(np.arange(nx) < nx // 2, 1, -1)
        for number in range(3):
            ovf.write(folder / f"m{number:06d}.ovf", m, (dx, dx, 1e-9), time_s=number * 1e-9)
        if cut:
            content = (folder / "m000002.ovf").read_bytes()
            (folder / "m000002.ovf").write_bytes(content[:-cut])

    for seed in range(9):
        run(f"V1_seed{seed}")
    run("V1_seed9", cut=200)
    options = {"state_column": None, "length_m": None, "junction_area_m2": None, "max_dropped_fraction": 0.2}
    found = imported(tmp_path / "V*", options)
    assert len(found.simulated.events) == 9 and "m000002.ovf: found" in found.report["reason"][0]
    assert found.simulated.events["final_position_m"][0] == pytest.approx(24e-9, rel=1e-9, abs=0)
    assert found.simulated.means.junction.area_m2 == pytest.approx(48e-9 * 24e-9, rel=1e-9, abs=0)
    (tmp_path / "V1_seed9/m000002.ovf").write_bytes(b"")
    assert "m000002.ovf: is cut short" in imported(tmp_path / "V*", options).report["reason"][0]
    shutil.rmtree(tmp_path / "V1_seed9")
    last = tmp_path / "V1_seed8/m000002.ovf"  # the last state is saved at an interval, and again by hand
    shutil.copyfile(last, last.with_name("m000003.ovf"))
    assert len(imported(tmp_path / "V*", options).simulated.events) == 9
    with pytest.raises(UserError, match=r"option length_m: found 1e-07, allowed: 4.8e-08, the length of the snapshots"):
        imported(tmp_path / "V*", {**options, "length_m": 1e-7})
    run("V1_seed10", nx=16)
    with pytest.raises(UserError, match=r"found 16 x 6 x 1 cells .* in V1_seed10 and 12 x 6 x 1 .* the same cells"):
        imported(tmp_path / "V*", options)


def test_several_tables_in_a_run_are_refused(tmp_path):
    table_run(tmp_path / "V1_seed0" / "drive-0")
    table_run(tmp_path / "V1_seed0" / "drive-1")
    with pytest.raises(UserError, match=r"found 2 tables \(drive-0/table.txt, drive-1/table.txt\), allowed: one"):
        imported(tmp_path / "V*")
    assert len(imported(tmp_path / "V*/drive-1").simulated.events) == 1


def test_inspect_shows_the_runs_and_a_study_lists_their_files(tmp_path):
    path = small(tmp_path, seeds=range(3))
    found = inspection.inspect(path, None, dict(SMALL))
    assert found.format == "runs" and found.why == "6 finished runs"
    console = Console(record=True, width=200)
    inspection.show(found, console)
    text = console.export_text()
    assert "a pattern of paths" in text and "pulse 1 (0.5 V, 1 ns): 3 writes, 0 without one wall" in text
    assert "format: runs" in inspection.study(found, "x") and "--format runs" in inspection.command(found, "x")
    source = {"source.kind": "import", "source.file": str(path), "source.format": "runs", "source.options": SMALL}
    assert len(build.inputs(stage(source))) == 6
    with pytest.raises(UserError, match=r"which is not there, allowed: an existing path"):
        build.inputs(stage({**source, "source.file": str(tmp_path / "U*")}))
