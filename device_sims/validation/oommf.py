"""Trajectories that OOMMF 2.1a0 computed of the same problems (`reference/`; T = 0, open boundaries)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from device_sims.problem import Geometry, Initial, Material, Mesh, Phase, Problem
from device_sims.validation import Curve, Row
from device_sims.validation.setups import ADAPTIVE, lasting, means, reference, track, with_drive, with_material

SOURCE = "OOMMF 2.1a0"
SPIN_HALL = {"spin_hall_angle": 0.1}
# the D of the files is ubermag's Cnv_z, whose sign is opposite to ours
TRACKS = {
    "racetrack_plain": (0.0, 0.0),
    "racetrack_dmi": (-0.5e-3, 0.0),
    "racetrack_sot": (0.0, 1e11),
    "racetrack_dmi_sot": (-0.5e-3, 1e11),
}


def _compared(name: str, problem: Problem, until: float = 1.0):
    """Yield the row's number and the curves of a file: the largest difference in <m> up to the time ``until``."""
    expected = reference(name)
    expected = expected[expected[:, 0] <= until]
    interval = expected[0, 0]
    t, m = means(lasting(problem, expected[-1, 0], interval))
    # records of the run follow those of whatever phase came before it
    m, t = m[-len(expected) :], t[-len(expected) :] - t[-len(expected)] + interval
    assert np.allclose(t, expected[:, 0], rtol=1e-6)
    return float(np.abs(m - expected[:, 1:]).max()), expected, m


def _curves(figure: str, panel: str, expected: np.ndarray, m: np.ndarray):
    t = expected[:, 0] * 1e9
    sparse = slice(None, None, max(1, len(t) // 40))
    for i in range(3):
        yield Curve(figure, panel, f"m{'xyz'[i]} Spinloom", t.tolist(), m[:, i].tolist(), "-", i)
        yield Curve(figure, panel, f"m{'xyz'[i]} OOMMF", t[sparse].tolist(), expected[sparse, 1 + i].tolist(), "o", i)


def _racetrack(name: str, tolerance: float = 1e-5, **changes):
    D, current = TRACKS[name.removesuffix("_256x32")]
    problem = with_drive(with_material(track(**changes), D_J_per_m2=D, **SPIN_HALL), current_density_A_per_m2=current)
    error, expected, m = _compared(name, problem)
    yield Row(name, "max |<m> - OOMMF|, 0.2 ns", 0.0, SOURCE, error, tolerance)
    yield from _curves("oommf_racetracks", name, expected, m)


def racetrack_plain():
    yield from _racetrack("racetrack_plain")


def racetrack_dmi():
    yield from _racetrack("racetrack_dmi")
    problem = with_material(track(), D_J_per_m2=+0.5e-3)
    error, _, _ = _compared("racetrack_dmi", problem)
    note = "what a wrong edge or bulk sign would do; standard problem 4 cannot see it"
    yield Row("racetrack_dmi, sign of D reversed", "max |<m> - OOMMF|", None, SOURCE, error, 1e-2, "at_least", note)


def racetrack_sot():
    yield from _racetrack("racetrack_sot")


def racetrack_dmi_sot():
    yield from _racetrack("racetrack_dmi_sot")


def racetrack_wide():
    mesh, initial = Mesh(256, 32, (4e-9, 4e-9, 1e-9)), Initial("wall", position_m=512e-9, width_m=12e-9)
    yield from _racetrack("racetrack_dmi_sot_256x32", mesh=mesh, initial=initial)


def zhang_li():
    problem = track(initial=Initial("wall", position_m=256e-9, width_m=9e-9), numerics=ADAPTIVE)
    problem = with_material(problem, alpha=0.05, zhang_li_beta=0.1)
    error, expected, m = _compared("racetrack_zhangli", with_drive(problem, zhang_li_u_m_per_s=100.0))
    yield Row("racetrack_zhangli", f"max |<m> - OOMMF|, {expected[-1, 0] * 1e9:g} ns", 0.0, SOURCE, error, 1e-5)
    yield from _curves("oommf_racetracks", "racetrack_zhangli", expected, m)


def tunnel_junction():
    problem = Problem(
        Mesh(20, 20, (3e-9, 3e-9, 1.5e-9)), Geometry("disc"),
        Material(1e6, 1.5e-11, 0.02, Ku_J_per_m3=8e5, spin_hall_angle=0.6, polarisation=(0.0, 0.0, 1.0)),
        (Phase("run", 1e-9, current_density_A_per_m2=-1.5e11),), Initial("uniform", (0.1, 0.0, 1.0)), 0.0,
        ADAPTIVE, 5e-11,
    )  # fmt: skip
    error, expected, m = _compared("mtj_disc_stt", problem)
    early = expected[:, 0] < 0.601e-9
    first = float(np.abs(m - expected[:, 1:])[early].max())
    yield Row("mtj_disc_stt", "max |<m> - OOMMF|, 0.6 ns", 0.0, SOURCE, first, 1e-5)
    note = "the torque amplifies any difference until the disc has switched; ours are converged to 1e-7"
    yield Row("mtj_disc_stt", f"max |<m> - OOMMF|, {expected[-1, 0] * 1e9:g} ns", 0.0, SOURCE, error, 1e-3, note=note)
    yield from _curves("oommf_disc", "mtj_disc_stt", expected, m)


STANDARD_4 = Problem(
    Mesh(100, 25, (5e-9, 5e-9, 3e-9)), Geometry(), Material(8e5, 1.3e-11, 0.02), (Phase("run", 1e-9),),
    Initial("uniform", (1.0, 0.25, 0.1), relax_tolerance=1e-6), 0.0, ADAPTIVE, 5e-12,
)  # fmt: skip
FIELDS_T = {1: (-24.6e-3, 4.3e-3, 0.0), 2: (-35.5e-3, -6.3e-3, 0.0)}


def standard_4(number: int, problem: Problem = STANDARD_4) -> Problem:
    """Standard problem 4: the state is relaxed under the drives of t = 0, hence a step of time without field first."""
    hold = Phase("hold", problem.numerics.dt_s)
    return replace(problem, schedule=(hold, Phase("run", 1e-9, field_T=FIELDS_T[number])))


def _standard_4(number: int, tolerance: float, zero_s: float):
    name = f"sp4_field{number}"
    expected = reference(f"{name}_5nm")
    expected = expected[expected[:, 0] < 1.001e-9]
    t, m = means(standard_4(number))
    if number == 1:
        state = (0.96721, 0.12482, 0.0)
        worst = float(np.abs(m[0] - state).max())
        yield Row("sp4 s-state", "max |<m> - (0.96721, 0.12482, 0)|", 0.0, SOURCE, worst, 1e-5)
    m = m[2:]
    error = float(np.abs(m - expected[:, 1:]).max())
    yield Row(name, "max |<m> - OOMMF|, 1 ns", 0.0, SOURCE, error, tolerance)
    after = int(np.argmax(m[:, 0] < 0))
    (t0, t1), (x0, x1) = expected[after - 1 : after + 1, 0], m[after - 1 : after + 1, 0]
    crossing = t0 + x0 / (x0 - x1) * (t1 - t0)
    note = "linear between records 5 ps apart, as the reference"
    yield Row(name, "first zero of <mx> (ns)", zero_s * 1e9, SOURCE, crossing * 1e9, 2e-5, note=note)
    yield from _curves("oommf_sp4", f"field {number}", expected, m)


def standard_4_field_1():
    yield from _standard_4(1, 3e-4, 0.13872e-9)


def standard_4_field_2():
    yield from _standard_4(2, 2e-3, 0.13728e-9)


CHECKS = (
    racetrack_plain,
    racetrack_dmi,
    racetrack_sot,
    racetrack_dmi_sot,
    racetrack_wide,
    zhang_li,
    tunnel_junction,
    standard_4_field_1,
    standard_4_field_2,
)
QUICK = (racetrack_dmi,)
