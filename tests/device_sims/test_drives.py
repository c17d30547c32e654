"""Drives over time: their values, what they do to a spin, and how each engine says them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from device_sims import engines
from device_sims.engines import mumax3
from device_sims.engines.mumax3.functions import function
from device_sims.engines.oommf import limits, pulses
from device_sims.problem import (
    GAMMA0,
    MU0,
    Geometry,
    Initial,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Waveform,
    problem_file,
)
from device_sims.problem.waveforms import Combined, Points, Pulse, at, largest, shortest_s
from spinloom.errors import UserError
from tests.device_sims import mumax3_machine
from tests.device_sims.test_problem_file import SMALL, changed, write

T = 4e-11  # length of the phase, s
GAUSS = Pulse("gauss", 0.3, 1.5e-11, 2e-12, 0.01)
DRIVES = {
    "gauss": GAUSS,
    "sinc": Pulse("sinc", 0.2, 2e-11, 1e-12),
    "exponential": Pulse("exponential", 0.3, 1e-11, 5e-12, 0.02),
    "square": Pulse("square", 0.25, 1e-11, 5e-12, -0.01),
    "train": Pulse("square", 0.25, 5e-12, 2e-12, 0.0, 1e-11),
    "points": Points((0.0, 1e-11, 1e-11, 2e-11, 3e-11), (0.0, 0.1, 0.3, -0.1, 0.2)),
    "sum": Combined("sum", (GAUSS, 0.05, Waveform(0.0, 0.1))),
    "product": Combined("product", (GAUSS, Waveform(0.0, 0.0, 1.0, 1e11, 0.4))),
}


def by_hand(name: str, t: np.ndarray) -> np.ndarray:
    """Return the values of `DRIVES` at ``t``, float64[n], written down once more."""
    gauss = 0.01 + 0.3 * np.exp(-0.5 * ((t - 1.5e-11) / 2e-12) ** 2)
    return {
        "gauss": lambda: gauss,
        "sinc": lambda: 0.2 * np.sinc((t - 2e-11) / 1e-12 / np.pi),
        "exponential": lambda: 0.02 + 0.3 * (t >= 1e-11) * np.exp(-(t - 1e-11) / 5e-12),
        "square": lambda: -0.01 + 0.25 * ((t >= 1e-11) & (t < 1.5e-11)),
        "train": lambda: 0.25 * sum((t >= s) & (t < s + 2e-12) for s in (5e-12, 1.5e-11, 2.5e-11, 3.5e-11)),
        "points": lambda: np.where(
            t < 1e-11,
            t / 1e-10,
            np.where(t < 2e-11, 0.3 - (t - 1e-11) * 4e10, np.minimum(-0.1 + (t - 2e-11) * 3e10, 0.2)),
        ),
        "sum": lambda: gauss + 0.05 + 0.1 * t / T,
        "product": lambda: gauss * np.sin(2 * np.pi * 1e11 * t + 0.4),
    }[name]()


def spin(drive, **numerics) -> Problem:
    """A free spin along x under B(t) along z: it turns by gamma times the integral of B."""
    return Problem(
        Mesh(1, 1, (5e-9, 5e-9, 5e-9)), Geometry(), Material(8e5, 1e-11, 1e-9),
        (Phase("rest", 4e-11), Phase("pulse", T, field_T=(0.0, 0.0, drive))), Initial("uniform", (1.0, 0.0, 0.0)), 0.0,
        replace(Numerics(1e-13, "rk4", "float64", 0, demag=False), **numerics), T,
    )  # fmt: skip


@pytest.mark.parametrize("name", DRIVES)
def test_values_are_those_of_the_formulas(name):
    t = np.linspace(0, T, 4001) + 1e-16  # beside the jumps
    values = np.array([at(DRIVES[name], one, T) for one in t])
    np.testing.assert_allclose(values, by_hand(name, t), rtol=0, atol=1e-12)
    assert np.abs(values).max() <= largest(DRIVES[name])


@pytest.mark.parametrize("name", DRIVES)
@pytest.mark.parametrize("integrator", ["rk4", "dopri5"])
def test_a_spin_turns_by_the_integral_of_the_field(name, integrator):
    """Closed form; a jump inside a phase costs a step of up to a tenth of a percent of the largest field here.

    The adaptive steps have grown to the record interval in the rest before: a pulse must not be passed unseen.
    """
    problem = spin(DRIVES[name], integrator=integrator, tolerance=1e-8)
    (result,) = engines.run("llg", [problem])
    t = (np.arange(400_000) + 0.5) * T / 400_000
    angle = GAMMA0 / MU0 * by_hand(name, t).mean() * T
    jumps = name in ("exponential", "square", "train", "points")
    step = GAMMA0 / MU0 * largest(DRIVES[name]) * 1e-13 * 4 if jumps and integrator == "rk4" else 2e-4
    assert abs(angle) > 0.04
    np.testing.assert_allclose(np.arctan2(*result.m[-1, [1, 0], 0, 0, 0]), angle, rtol=0, atol=step)
    np.testing.assert_allclose(result.m[1, :, 0, 0, 0], [1, 0, 0], atol=1e-12)


def test_the_table_of_the_adaptive_step_is_bounded_by_the_shortest_pulse():
    assert shortest_s(DRIVES["train"]) == 2e-12
    assert shortest_s(DRIVES["points"]) == pytest.approx(1e-11, rel=1e-9, abs=0)
    assert shortest_s(Combined("sum", (GAUSS, 1.0))) == 2e-12
    assert shortest_s(Waveform(0, 1)) == math.inf


@pytest.mark.long
def test_problems_of_one_shape_share_a_batch_and_others_do_not():
    one, two = (spin(Pulse("gauss", a, 1.5e-11, 2e-12)) for a in (0.1, 0.3))
    alone = [next(engines.run("llg", [problem])) for problem in (one, two)]
    from device_sims.engines.llg import ensemble

    for result, own in zip(ensemble.run([one, two], batch=True), alone):
        np.testing.assert_allclose(result.m, own.m, rtol=0, atol=1e-12)
    with pytest.raises(UserError, match="found problems of different mesh, .* in one chunk"):
        list(ensemble.run([one, spin(DRIVES["sinc"])]))


def test_a_plain_first_problem_of_a_batch_hides_no_ramp_of_the_second():
    plain, ramp = spin(0.0), spin(Waveform(0.0, 0.3))
    (_, together), (alone,) = engines.run("llg", [plain, ramp]), engines.run("llg", [ramp])
    np.testing.assert_array_equal(together.m, alone.m)


@pytest.mark.parametrize("name", DRIVES)
def test_mumax3_s_function_has_the_same_values(name):
    machine = mumax3_machine.Mumax(None)
    text = function(DRIVES[name], Phase("pulse", T), 3e-11)
    t = np.linspace(0, T, 400)[1:-1] + 1e-16
    np.testing.assert_allclose([machine.value(text, one + 3e-11) for one in t], by_hand(name, t), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", DRIVES)
def test_oommf_s_procedure_has_the_same_values_and_rates(name):
    pytest.importorskip("oommfc")
    tcl = pytest.importorskip("tkinter").Tcl()
    from device_sims.engines.oommf import model

    tcl.eval(pulses.extended(model.TCL))
    rows = model._tcl(model._rows(spin(DRIVES[name]), [0.0, DRIVES[name]], 2.0))
    t = np.linspace(0, T, 400)[1:-1] + 1e-16
    found = np.array([list(map(float, tcl.eval(f"drive {rows} 1 {float(one) + 4e-11!r}").split())) for one in t])
    np.testing.assert_allclose(found[:, 0], by_hand(name, t) / 2, rtol=0, atol=1e-7)
    smooth = np.abs(by_hand(name, t + 5e-17) - by_hand(name, t - 5e-17)) < 1e-4
    rate = (by_hand(name, t + 1e-17) - by_hand(name, t - 1e-17)) / 2e-17 / 2
    np.testing.assert_allclose(found[smooth, 1], rate[smooth], rtol=2e-3, atol=1e-3 * np.abs(rate[smooth]).max() + 1e3)


def test_pulses_are_done_by_the_micromagnetic_engines_and_refused_by_the_reduced():
    problem = spin(GAUSS)
    limits.check_problem(problem)
    mumax3.check(replace(problem, numerics=replace(problem.numerics, precision="float32")))
    for name in ("macrospin", "collective"):
        with pytest.raises(
            UserError, match=f"schedule.1.field_T.2: found a gauss, allowed with the {name} engine: num"
        ):
            list(engines.run(name, [problem]))


# -- the problem file ------------------------------------------------------------------------------------------------
def drive(tmp_path, given, key="current_density_A_per_m2"):
    content = changed("schedule", [{"duration_s": 1e-12, key: given}])
    content["material"] = {**content["material"], "spin_hall_angle": 0.1}
    problem, _ = problem_file.load(write(tmp_path, content))
    assert Problem.from_dict(problem.to_dict()) == problem
    return getattr(problem.schedule[0], key)


def test_pulses_of_a_file(tmp_path):
    assert drive(tmp_path, {"kind": "gauss", "amplitude": 2, "time_s": 1e-12, "width_s": 2e-13, "offset": 1}) == Pulse(
        "gauss", 2, 1e-12, 2e-13, 1
    )
    assert drive(tmp_path, {"kind": "sinc", "amplitude": 2, "time_s": 1e-12, "frequency_Hz": 1e12}).width_s == (
        pytest.approx(1e-12 / 2 / math.pi, rel=1e-9, abs=0)
    )
    assert drive(tmp_path, {"kind": "square", "amplitude": 1, "width_s": 1e-13, "period_s": 2e-13}).period_s == 2e-13
    points = drive(tmp_path, {"points": [[0, 1], [5e-13, 2]], "outside": "hold"})
    assert points == Points((0.0, 5e-13), (1.0, 2.0))
    product = drive(tmp_path, {"product": [2, {"kind": "exponential", "amplitude": 1, "width_s": 1e-13}]})
    assert product == Combined("product", (2.0, Pulse("exponential", 1, 0.0, 1e-13)))


@pytest.mark.parametrize(
    "header, row, factors, scale",
    [
        ("t_s,J_A_per_m2", (1, 1e9), {}, (1, 1)),
        ("t (ps);J (MA/cm2)", (1e12, 0.1), {}, (1, 1)),
        ("time [ns]\tJ", (1e9, 1.0), {"value_unit": 1e9}, (1, 1)),
    ],
)
def test_a_csv_file_names_its_units(tmp_path, header, row, factors, scale):
    mark = next(mark for mark in ";\t," if mark in header)
    lines = [header, *(mark.join([repr(t * row[0]), repr(v * row[1])]) for t, v in ((0, 1), (5e-13, 3), (1e-12, 2)))]
    (tmp_path / "pulse.csv").write_text("\n".join(lines))
    found = drive(tmp_path, {"file": "pulse.csv", **factors})
    np.testing.assert_allclose(found.times_s, [0, 5e-13, 1e-12], rtol=1e-12, atol=0)
    np.testing.assert_allclose(found.values, [1e9, 3e9, 2e9], rtol=1e-12)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"kind": "gauss", "amplitude": 1, "time_s": 0}, "key 'width_s' is missing; kind gauss needs it"),
        ({"kind": "gauss", "amplitude": 1, "time_s": 0, "width_s": 1e-13, "period_s": 1e-12}, "found with kind gauss"),
        (
            {"kind": "gauss", "amplitude": 1, "time_s": 0, "width_s": 1e-13, "to": 1},
            "found {amplitude, kind, time_s, to",
        ),
        (
            {"kind": "square", "amplitude": 1, "width_s": 1e-12, "period_s": 1e-12},
            "period_s: found 1e-12, allowed: more",
        ),
        (
            {"points": [[0, 1], [5e-13, 2]]},
            "found times from 0 to 5e-13 s, allowed: points that cover the phase, 0 to 1e",
        ),
        (
            {"points": [[0, 1], [1e-12, 2], [5e-13, 2]]},
            "found the time 5e-13 s after 1e-12 s, allowed: times in rising order",
        ),
        ({"file": "none.csv"}, "none.csv: cannot be read"),
        ({"file": "ns.csv"}, "found the column 'J' without a unit, allowed: a header that ends in one of A/m2, "),
        (
            {"file": "ns.csv", "time_column": "t_ns", "value_column": "I"},
            "value_column: found 'I', allowed: t_ns, J, K (of ",
        ),
        ({"file": "ns.csv", "value_unit": 1}, "time_column: found no such key, but "),
        ({"file": "gap.csv"}, "column 'J_A_per_m2': found no finite number in line 3"),
        ({"sum": [1, {"from": 0, "to": 1}], "offset": 1}, "found {offset, sum}, allowed: a number"),
        ({"width_s": 1e-12}, "found {width_s}, allowed: a number"),
    ],
)
def test_what_is_no_drive_is_refused_in_a_line(tmp_path, given, message):
    (tmp_path / "ns.csv").write_text("t_ns,J,K\n0,1,1\n1,2,2\n")
    (tmp_path / "gap.csv").write_text("t_ns,J_A_per_m2\n0,1\n1,-\n")
    if given == {"file": "ns.csv"}:
        given = {**given, "time_column": "t_ns", "value_column": "J"}
    with pytest.raises(UserError) as error:
        drive(tmp_path, given)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert "schedule.0.current_density_A_per_m2" in str(error.value)


def test_a_field_read_from_millitesla(tmp_path):
    (tmp_path / "b.csv").write_text("t (fs), B (mT)\n0, 100\n1000, 300\n")
    content = {**SMALL, "schedule": [{"duration_s": 1e-12, "field_T": [0, 0, {"file": "b.csv"}]}]}
    problem, _ = problem_file.load(write(tmp_path, content))
    assert problem.schedule[0].field_T[2] == Points(
        (0.0, pytest.approx(1e-12, rel=1e-9, abs=0)),
        (pytest.approx(0.1, rel=1e-9, abs=0), pytest.approx(0.3, rel=1e-9, abs=0)),
    )
