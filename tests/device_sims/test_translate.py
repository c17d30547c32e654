"""Scripts in mumax3's language as problem files: the language, what scripts set up, and what is refused."""

import numpy as np
import pytest
import yaml

from device_sims.problem import drive_maps, problem_file
from device_sims.translate import machine, terms
from device_sims.translate.language import parse
from device_sims.translate.machine import Machine
from device_sims.translate.problem import common_step, translate
from spinloom.errors import UserError

HEAD = """
SetGridSize(16, 8, 1)
SetCellSize(4e-9, 4e-9, 2e-9)
Msat = 8e5
Aex = 1.3e-11
alpha = 0.1
m = Uniform(1, 0, 0)
"""


def followed(text: str, folder=None) -> Machine:
    follower = Machine(folder)
    follower.run(parse(text, "script"))
    return follower


def variables(text: str) -> dict:
    follower = followed(text)
    assert not follower.report.refused
    return follower._scopes[0]


def written(text: str, folder, head: str = HEAD) -> dict:
    (folder / "script.mx3").write_text(head + text)
    translate(folder / "script.mx3", folder / "out")
    return yaml.safe_load((folder / "out" / "problem.yaml").read_text())


def loaded(text: str, folder, head: str = HEAD):
    written(text, folder, head)
    return problem_file.load(folder / "out" / "problem.yaml")[0]


# -- the language --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text, value",
    [
        ("x := 1/2", 0.5),  # all arithmetic is that of floating point numbers
        ("x := 2 + 3*4 - -1", 15),
        ("x := (2+3)*4 // and a comment", 20),
        ("x := 0x10 + .5 + 1e1 + 1_000", 1026.5),
        ("a := 3; x := a\nx++\nx -= 0.5", 3.5),
        ("x := 0\nfor i := 0; i < 4; i++ {\n\tx += i\n}", 6),
        ("x := 1; for x < 100 { x = x * 3 }", 243),
        ("x := 0; if 1 < 2 && !(3 >= 4) || false { x = 1 } else { x = 2 }", 1),
        ("x := 5\nif x == 4 {\n x = 1 } else if x != 5 { x = 2\n} else {\n x = 3 }", 3),
        ("x := 1 /* a\n long */ + 2", 3),
        ("X := pow(2, 3) + Sqrt(16) + mod(7, 4) + MAX(1, 2)", 17),
        ("x := vector(1, 2,\n 3)[2]", 3),
        ('x := sprintf("%03d_%.2f %v%%", 7, 1.5, 2)', "007_1.50 2%"),
        ('x := "a\\tb"', "a\tb"),
        ("x := heaviside(0) + sinc(0) + hypot(3, 4) + pow10(2)", 106.5),
        ("x := 1; { x := 2; x = 3 }", 1),
    ],
)
def test_the_language_is_followed(text, value):
    assert (
        variables(text)["x"] == pytest.approx(value, abs=1e-9)
        if not isinstance(value, str)
        else variables(text)["x"] == value
    )


@pytest.mark.parametrize("text", ["x := := 3", "for i := 0 { ", "a b", "x := (1", "func f() { }", "x[ = 3"])
def test_what_is_no_script_is_one_line(text):
    with pytest.raises(UserError) as error:
        parse("y := 1\n" + text, "bad.mx3")
    assert str(error.value).startswith("bad.mx3: line 2: found") and "\n" not in str(error.value)


def test_a_script_without_end_stops(monkeypatch):
    monkeypatch.setattr(machine, "MOST_STATEMENTS", 1000)
    with pytest.raises(UserError, match="more than .* executed statements, allowed: a script that ends"):
        followed("x := 0\nfor x < 1 { x = x * 1 }")


# -- what is set up ------------------------------------------------------------------------------------------------
def test_shapes_and_their_algebra_hold_the_cells_that_their_formulas_say(tmp_path):
    """Each against a formula of the centres; those that a key can name are named."""
    x, y = np.meshgrid((np.arange(16) - 7.5) * 4e-9, (np.arange(8) - 3.5) * 4e-9)
    ring = (np.hypot(x, y) <= 15e-9) & ~(np.hypot(x - 3e-9, y) <= 5e-9)
    turned = np.abs(x * np.cos(0.5) + y * np.sin(0.5)) < 20e-9
    turned &= np.abs(-x * np.sin(0.5) + y * np.cos(0.5)) < 5e-9
    stripes = np.abs((x + 6e-9) % 12e-9 - 6e-9) < 3e-9
    cases = {
        "Circle(30e-9).Sub(Circle(10e-9).Transl(3e-9, 0, 0))": (ring, "difference"),
        "Rect(40e-9, 10e-9).RotZ(0.5)": (turned, "rectangle"),
        "XRange(-inf, -10e-9).Add(YRange(5e-9, inf)).Inverse()": (~((x < -10e-9) | (y >= 5e-9)), "union"),
        "Rect(6e-9, 1e-3).Repeat(12e-9, 0, 0)": (stripes, "rectangle"),
        "Triangle(-25e-9, -12e-9, 25e-9, -12e-9, 0, 13e-9)": (
            (y >= -12e-9) & (y - 13e-9 <= x) & (y - 13e-9 <= -x), "polygon",
        ),
        "Square(20e-9).Xor(Circle(28e-9))": (
            ((np.abs(x) < 10e-9) & (np.abs(y) < 10e-9)) ^ (np.hypot(x, y) <= 14e-9), "file",
        ),
    }  # fmt: skip
    for number, (shape, (cells, kind)) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        problem = loaded(f"SetGeom({shape})\nrun(1e-12)", folder)
        from device_sims.problem import material

        np.testing.assert_array_equal(material.mask(problem)[0], cells, err_msg=shape)
        found = yaml.safe_load((folder / "out" / "problem.yaml").read_text())["geometry"]["kind"]
        assert found == kind, shape


def test_constants_by_region_reach_their_cells(tmp_path):
    from device_sims.problem import material

    problem = loaded(
        """
        DefRegion(1, XRange(0, inf))
        DefRegion(2, Circle(10e-9))
        DefRegionCell(3, 0, 0, 0)
        Ku1 = 1e5; AnisU = vector(0, 0, 1)
        Msat.SetRegion(1, 4e5)
        Ku1.SetRegion(2, 3e5)
        AnisU.SetRegion(2, vector(0, 1, 0))
        Msat.SetRegion(3, 0)
        run(1e-12)
        """,
        tmp_path,
    )
    mask = material.mask(problem)
    constants = material.constants(problem, mask)
    assert not mask[0, 0, 0] and mask.sum() == 127
    assert constants["Ms_A_per_m"][0, 0, 15] == 4e5 and constants["Ms_A_per_m"][0, 1, 0] == 8e5
    assert constants["Ku_J_per_m3"][0, 4, 8] == 3e5 and constants["Ku_J_per_m3"][0, 0, 15] == 1e5
    assert material.axis(problem)[:, 0, 4, 8].tolist() == [0, 1, 0]


def test_a_current_becomes_ours_with_its_signs(tmp_path):
    """Against the engine that goes the other way: what it writes of the problem is what the script said."""
    from device_sims.engines.mumax3 import script

    text = """
    Pol = 0.4; Lambda = 1; EpsilonPrime = 0.05; FixedLayer = vector(0, 1, 0); xi = 0.2
    J = vector(1e11, 0, 2e11)
    run(1e-12)
    """
    problem = loaded(text, tmp_path)
    assert problem.material.field_like_ratio == pytest.approx(0.25, abs=1e-9)
    assert problem.schedule[0].current_density_A_per_m2 == 2e11
    assert problem.schedule[0].zhang_li_u_m_per_s < 0  # electrons run against J
    from dataclasses import replace

    numerics = replace(problem.numerics, precision="float32")
    again = script.write(replace(problem, numerics=numerics)).text
    assert "Pol = 0.4" in again and "EpsilonPrime = 0.05" in again and "xi = 0.2" in again
    j = [line for line in again.splitlines() if line.startswith("J = ")][-1]
    assert [float(c) for c in j[11:-1].split(",")] == pytest.approx([1e11, 0, 2e11], rel=1e-9, abs=1.0)


def test_fields_by_region_and_by_map_add_up_to_the_scripts(tmp_path):
    problem = loaded(
        """
        DefRegion(4, XRange(12e-9, inf))
        B_ext = vector(0, 0, 0.01)
        B_ext.SetRegion(4, vector(0, 0.02, 0.03))
        mask := NewVectorMask(16, 8, 1)
        mask.SetVector(3, 2, 0, vector(1, 2, 0))
        B_ext.Add(mask, 0.5)
        Pol = 0.4; FixedLayer = vector(0, 1, 0)
        DisableZhangLiTorque = true
        J.SetRegion(4, vector(0, 0, 1e11))
        run(1e-12)
        """,
        tmp_path,
    )
    (phase,) = problem.schedule
    drives, maps = dict(phase.drive_maps), {one.name: one for one in problem.drive_maps}
    field = np.zeros((3, *problem.mesh.shape)) + np.reshape(phase.field_T, (3, 1, 1, 1))
    current = np.zeros(problem.mesh.shape) + phase.current_density_A_per_m2
    for name, one in maps.items():
        values = drive_maps.values(problem, one) * drives[name]
        field, current = (field + values, current) if one.acts == "field" else (field, current + values[0])
    np.testing.assert_allclose(field[:, 0, 0, 0], (0, 0, 0.01), atol=1e-15)
    np.testing.assert_allclose(field[:, 0, 0, 15], (0, 0.02, 0.03), atol=1e-15)
    np.testing.assert_allclose(field[:, 0, 2, 3], (0.5, 1, 0.01), atol=1e-15)
    assert current[0, 0, 15] == 1e11 and current[0, 0, 0] == 0


def test_functions_of_time_become_drives(tmp_path):
    content = written(
        """
        run(1e-9)
        B_ext = vector(1e-3*sin(2*pi*1e9*(t-1e-9)), 5e6*(t - 1e-9), exp(-t/1e-9))
        run(1e-9)
        """,
        tmp_path,
    )
    x, y, z = content["schedule"][1]["field_T"]
    assert x["amplitude"] == 1e-3 and x["frequency_Hz"] == pytest.approx(1e9, abs=1) and x["offset"] == 0
    assert np.sin(x["phase_rad"]) == pytest.approx(0, abs=1e-9)
    assert y == {"from": pytest.approx(0, abs=1e-12), "to": pytest.approx(5e-3, abs=1e-12)}
    times, values = np.array(z["points"]).T
    np.testing.assert_allclose(values, np.exp(-1 - times / 1e-9), rtol=1e-12)


def test_relaxations_are_phases_and_a_new_state_is_a_new_problem(tmp_path):
    (tmp_path / "script.mx3").write_text(
        HEAD
        + """
        for i := 0; i < 2; i++ {
            m = Uniform(0, 1, i)
            B_ext = vector(i*1e-3, 0, 0)
            relax()
            B_ext = vector(0, 0, 1e-2)
            run(1e-11)
        }
        Aex = 1e-11
        run(2e-11)
        """
    )
    told = translate(tmp_path / "script.mx3", tmp_path / "out")
    problems = [yaml.safe_load((tmp_path / "out" / f"problem_{n}.yaml").read_text()) for n in range(3)]
    kinds = [[phase.get("kind", "run") for phase in problem["schedule"]] for problem in problems]
    assert kinds == [["relax", "run"], ["relax", "run"], ["run"]]
    assert problems[1]["schedule"][0]["field_T"] == [1e-3, 0, 0]
    assert problems[2]["initial"] == {"kind": "file", "file": "problem_1/m000000.ovf"}
    assert "run that in this directory with --output problem_1" in told and problems[1]["outputs"]["ovf"] == "final"


def test_custom_fields_are_recognised():
    p, u = terms.of(0.0, 1.0, 0.0), terms.of(0.0, 0.6, 0.8)
    torque = terms.recognise(terms.multiply(terms.of(-2e-3), terms.cross(terms.M, p)))
    assert torque.across == pytest.approx((0, 2e-3, 0), abs=1e-12) and not torque.axes
    easy = terms.recognise(terms.multiply(terms.multiply(terms.of(0.3), terms.dot(terms.M, u)), u))
    ((strength, axis),) = easy.axes
    assert strength == pytest.approx(0.3, abs=1e-9) and np.abs(axis) == pytest.approx((0, 0.6, 0.8), abs=1e-9)
    with pytest.raises(Exception, match="neither an applied one"):
        terms.recognise(terms.cross(terms.M, terms.cross(terms.M, p)))


# -- what is left out and refused ----------------------------------------------------------------------------------
def test_every_line_that_is_not_taken_over_is_in_the_report(tmp_path):
    text = "TableAdd(E_total)\nTableAdd(ext_dwpos)\nSetSolver(4)\nHeadroom = 0.5\nrun(1e-12)\nprint(m.average())\n"
    (tmp_path / "script.mx3").write_text(HEAD + text + 'expect("x", 1, 1, 1)\nsnapshot(m)\n')
    told = translate(tmp_path / "script.mx3", tmp_path / "out")
    assert told == (tmp_path / "out" / "report.txt").read_text()
    for line in ("SetSolver(4)", "Headroom = 0.5", "print(m.average())", "snapshot(m)", 'expect("x", 1, 1, 1)'):
        assert f": {line}\n" in told, line
    assert "is what table.csv calls energy_total_J" in told


@pytest.mark.parametrize(
    "text, reason",
    [
        ("foo(3)\nrun(1e-12)", "line 8: 'foo' is none of mumax3's functions"),
        ("bar = 3\nrun(1e-12)", "line 8: sets 'bar', which is neither defined"),
        ("run(1e-12)\nB_ext = vector(m.average()[0], 0, 0)\nrun(1e-12)", "line 9: depends on m.average()[0]"),
        ("run(1e-12)\nif m.comp(0).average() < 0 { run(1e-12) }", "line 9: depends on m.comp(0).average()"),
        ("x := foo(3)\nB_ext = vector(x, 0, 0)\nrun(1e-12)", "line 9: depends on line 8, which could not be followed"),
        ("j := 1e12\nrun(1e-12)", "line 8: defines 'j', which is mumax3's own name in any case of letters"),
        ("if true { j := 1e12; J = vector(j, 0, 0) }\nrun(1e-12)", "line 8: 'J' is 1000000000000.0 here, and is set"),
        ("steps(10)", "line 8: takes steps whose length mumax3 chooses"),
        ("frozenspins = 1\nrun(1e-12)", "line 9: frozenspins: a problem has no spins that are held fixed"),
        ("J = vector(0, 1e12, 0)\nrun(1e-12)", "line 9: J along y moves textures along y"),
        ("Msat = 8e5*(1-t/1e-9)\nrun(1e-12)", "line 9: msat changes in time"),
        ("run(1e-12)\nm.SetRegion(0, Uniform(0, 0, 1))\nrun(1e-12)", "line 9: changes a part of m after a run"),
        ('m.LoadFile("nowhere.ovf")\nrun(1e-12)', "line 8: "),
        ("alpha = 0.5", "it runs nothing"),
        ("run(1e-12, 3)", "line 8: "),
        ("AddFieldTerm(Cross(m, Cross(m, ConstVector(0, 0, 1))))\nrun(1e-12)", "line 8: adds a field that is neither"),
    ],
)
def test_what_cannot_be_represented_refuses_the_script(text, reason, tmp_path):
    path = tmp_path / "script.mx3"
    path.write_text(HEAD.lstrip() + "\n" + text)
    with pytest.raises(UserError) as error:
        translate(path, tmp_path / "out")
    assert str(error.value).startswith(f"{path}: {reason}"), error.value
    assert "the script is not translated" in str(error.value)
    assert [found.name for found in (tmp_path / "out").iterdir()] == ["report.txt"]
    assert "cannot be represented" in (tmp_path / "out" / "report.txt").read_text()


def test_a_directory_with_files_is_not_written_to(tmp_path):
    (tmp_path / "script.mx3").write_text(HEAD + "run(1e-12)")
    with pytest.raises(UserError, match="found a directory that is not empty"):
        translate(tmp_path / "script.mx3", tmp_path)


@pytest.mark.parametrize(
    "times, step",
    [
        ([1e-9, 2e-11], 1e-13),
        ([1.5e-13], 7.5e-14),
        ([3e-10, 7e-12, 1e-13], 1e-13),
        ([1e-13 / 3], 1e-13 / 3),
        ([1e-10 / 3, 1e-10], 1e-14),
    ],
)
def test_all_times_are_whole_numbers_of_the_step(times, step):
    found, rounded = common_step(times, 1e-13)
    assert found == pytest.approx(step, rel=1e-6, abs=0)
    for time_s in rounded:
        assert time_s / found == pytest.approx(round(time_s / found), abs=1e-6)


def test_cubic_anisotropy_without_axes_is_none_in_that_region(tmp_path):
    text = """
DefRegion(1, XRange(0, inf))
Kc1 = 2e4
AnisC1.SetRegion(1, vector(0, 0, 1))
AnisC2.SetRegion(1, vector(1, 0, 0))
Run(1e-12)
"""
    found = written(text, tmp_path)
    assert "Kc1_J_per_m3" not in found["material"] and found["material"]["cubic_axes"] == [[0, 0, 1], [1, 0, 0]]
    assert [(r["name"], r["values"]) for r in found["regions"]] == [("region_1", {"Kc1_J_per_m3": 2e4})]
    assert "kc1 without anisC1 and anisC2 has no effect in 1 of 2 regions" in (tmp_path / "out/report.txt").read_text()


def test_edge_smooth_after_the_geometry_changes_nothing(tmp_path):
    assert "edge_smoothing" not in written("SetGeom(Circle(28e-9)); EdgeSmooth = 4\nRun(1e-12)", tmp_path)["geometry"]
    assert "EdgeSmooth" in (tmp_path / "out/report.txt").read_text()


def test_the_report_names_states_and_settings_that_are_left_out(tmp_path):
    text = "FixDt = 1e-14\nOutputFormat = OVF1_TEXT\nRelax(); Save(m)\nB_ext = vector(0, 0.1, 0)\nRun(1e-12); Save(m)"
    assert written(text, tmp_path)["outputs"]["ovf"] == "final"
    report = (tmp_path / "out/report.txt").read_text()
    assert report.count("is not written") == 1 and "saved after line 10" in report
    assert "FixDt is left out" in report and "OVF files are of version 2.0" in report


def test_regions_that_change_between_runs_make_another_problem(tmp_path):
    text = "Msat.SetRegion(1, 4e5)\nRun(1e-12)\nDefRegion(1, XRange(0, inf))\nRun(1e-12)"
    (tmp_path / "script.mx3").write_text(HEAD + text)
    translate(tmp_path / "script.mx3", tmp_path / "out")
    first, second = (yaml.safe_load((tmp_path / f"out/problem_{n}.yaml").read_text()) for n in range(2))
    assert "regions" not in first and second["regions"][0]["values"] == {"Ms_A_per_m": 4e5}


def test_a_field_that_changes_until_a_condition_holds(tmp_path):
    content = written("B_ext = vector(0, 0, t*1e8)\nRunWhile(m.comp(2).average() < 0)", tmp_path)
    assert content["outputs"]["record_interval_s"] == 1e-11
    assert "first row of the table (every 1e-11 s)" in (tmp_path / "out/report.txt").read_text()
    phases = content["schedule"]
    ramp = phases[0]["field_T"][2]
    assert ramp["to"] / phases[0]["duration_s"] == pytest.approx(1e8, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    "text, message",
    [
        ("RunWhile(m.comp(0).average() > 0)\nB_ext = vector(0, 0, 1e8*t)\nRun(1e-12)", "t behind a RunWhile"),
        ("RunWhile(m.comp(0).average() > 0)\nRunWhile(t < 1e-9)", "depends on t, behind a RunWhile"),
        ("RunWhile(m.comp(0).average() > 0)\nB_ext = vector(0, 0, t); Run(t)", "depends on t, behind a RunWhile"),
        ("FrozenSpins.SetRegion(0, 1); Relax(); FrozenSpins.SetRegion(0, 0); Run(1e-12)", "frozenspins"),
        ("B_ext = vector(0, 0, sin(1e9*t)/t)\nRun(1e-12)", "no number at 0 s"),
        ("B_ext = vector(0, 0, sin(1e12*t)*exp(-t/1e-8))\nRun(1e-7)", "changes too fast for"),
    ],
)
def test_what_a_problem_would_get_wrong_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        written(text, tmp_path)


def test_time_that_is_set_again_is_known_again(tmp_path):
    text = "RunWhile(m.comp(0).average() > 0)\nt = 0; B_ext = vector(0, 0, 1e8*t)\nRun(1e-12)"
    assert written(text, tmp_path)["schedule"][1]["field_T"][2] == {
        "from": 0.0,
        "to": pytest.approx(1e-4, rel=1e-9, abs=0),
    }


@pytest.mark.long
def test_a_wave_whose_period_is_the_distance_of_points_is_not_taken_for_a_constant(tmp_path):
    # 10 GHz in 100 ns: 1,001 points see the same phase each time, and so do those half way
    points = written("B_ext = vector(0, 0, 0.01*sin(2*pi*1e10*t)*exp(-t/1e-9))\nRun(1e-8)", tmp_path)
    values = np.array(points["schedule"][0]["field_T"][2]["points"])[:, 1]
    assert values.max() == pytest.approx(0.01 * np.exp(-0.025), rel=2e-2, abs=0)
    with pytest.raises(UserError, match="changes too fast for 16,000 points"):
        (tmp_path / "long").mkdir()
        written("B_ext = vector(0, 0, 0.01*sin(2*pi*1e11*t)*(1 + 0.1*sin(1e8*t)))\nRun(1e-7)", tmp_path / "long")
