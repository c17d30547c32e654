"""The OOMMF engine: what it refuses, how it finds and starts the program, what it writes, what it reads, real runs."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_sims import engines
from device_sims.engines.llg.fields import dmi, neighbours, spin_torque
from device_sims.engines.oommf import limits, program
from device_sims.problem import (
    ELEMENTARY_CHARGE,
    HBAR,
    MU0,
    Geometry,
    Initial,
    Map,
    Material,
    Mesh,
    Numerics,
    Phase,
    Problem,
    Region,
    Waveform,
)
from device_sims.sweep import sweep
from spinloom.errors import UserError
from tests.device_sims.conftest import with_material, with_numerics

HERE = Path(__file__).parent / "oommf"
BASE = Problem(
    Mesh(4, 2, (4e-9, 4e-9, 1e-9)), Geometry(),
    Material(
        1e6, 1.5e-11, 0.1, Ku_J_per_m3=-2e5, D_J_per_m2=0.5e-3, spin_hall_angle=-0.1, field_like_ratio=0.5,
    ),
    (
        Phase("rise", 2e-12, current_density_A_per_m2=Waveform(0.0, 1e11), field_T=(0.0, 0.01, 0.0)),
        Phase("hold", 1e-12, current_density_A_per_m2=1e11),
    ),
    Initial("uniform", (1.0, 0.0, 1.0)), 0.0, Numerics(1e-13, "rk4", "float64", 0), 1e-12,
)  # fmt: skip


def driven(**drives) -> Problem:
    return replace(BASE, schedule=(Phase("run", 1e-12, **drives),))


VELOCITY = replace(driven(zhang_li_u_m_per_s=100.0), numerics=Numerics(1e-13, "dopri5", "float64", 0, tolerance=1e-6))
HOT = with_numerics(replace(BASE, temperature_K=300.0), integrator="heun")
GATE = Region((4e-9, 12e-9), (0.0, 4e-9), (("D_J_per_m2", 0.5), ("A_J_per_m", 0.8), ("alpha", 2.0)), "gate")
GATED = replace(
    HOT,
    material=replace(BASE.material, Ku_J_per_m3=8e5, Ku2_J_per_m3=1e4, spin_hall_angle=0.0),
    regions=(GATE,),
    schedule=(
        Phase("fall", 1e-12, field_T=(Waveform(0.0, 0.1), 0.0, 0.0), region_Ku_factors=(("gate", Waveform(1.0, 0.9)),)),
        Phase("rest", 5e-13, Ku_factor=1.1),
    ),
)
GOLDEN = {"torque": BASE, "velocity": VELOCITY, "gated": GATED}


# -- what is refused ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "problem, message",
    [
        (with_numerics(BASE, integrator="fdr4"), "numerics.integrator: found 'fdr4', allowed with oommf: dopri5, rk4"),
        (with_numerics(HOT, integrator="rk4"), "numerics.integrator: found 'rk4', allowed with oommf at 300 K: heun"),
        (with_numerics(HOT, dt_s=5e-13), "numerics.dt_s: found 5e-13"),
        (with_numerics(VELOCITY, integrator="rk4"), "allowed with oommf: dopri5"),
        (with_numerics(VELOCITY, tolerance=1e-15), "numerics.tolerance: found 1e-15"),
        (replace(VELOCITY, temperature_K=300.0), "schedule.0.zhang_li_u_m_per_s: found at 300 K"),
        (
            driven(zhang_li_u_m_per_s=1.0, current_density_A_per_m2=1e9),
            "schedule.0.zhang_li_u_m_per_s: found together with a current_density",
        ),
        (with_material(BASE, slonczewski_lambda=0.5, field_like_ratio=0.0), "material.slonczewski_lambda: found 0.5"),
        (with_material(BASE, slonczewski_lambda=2.0), "material.field_like_ratio: found 0.5 with slonczewski_lambda 2"),
        (replace(BASE, maps=(Map("D_J_per_m2", None),)), "maps.D_J_per_m2: found a map"),
    ],
)
def test_what_oommf_cannot_do_is_refused_by_its_key(problem, message):
    with pytest.raises(UserError) as caught:
        limits.check_problem(problem)
    assert message in str(caught.value)


def test_extensions_are_asked_for(monkeypatch):
    assert limits.classes(BASE) == ["Oxs_DMI_Cnv_z"]
    assert limits.classes(VELOCITY) == ["Anv_SpinTEvolve", "Oxs_DMI_Cnv_z"]
    assert limits.classes(HOT) == ["Xf_ThermSpinXferEvolve", "Oxs_DMI_Cnv_z"]
    assert limits.classes(GATED) == ["Xf_ThermHeunEvolve", "Oxs_DMI_Cnv_z", "Southampton_UniaxialAnisotropy4"]
    monkeypatch.setattr(program, "has_class", lambda name: not name.startswith("Xf_"))
    limits.check(BASE)
    with pytest.raises(
        UserError, match="^temperature_K: found an OOMMF that was built without the extension Xf_ThermHeunEvolve"
    ):
        limits.check(GATED)


# -- finding and starting it, with a shell script in its place ---------------------------------------------------------
FAKE = """#!/bin/sh
case "$1" in
+version) echo "<17> OOMMF 2.1a0  info:"; echo "OOMMF 2.1a0" >&2 ;;
launchhost) sleep 600 & echo $! > {folder}/daemon; echo 15999 ;;
boxsi) sleep 600 & echo "$OOMMF_HOSTPORT $MALLOC_PERTURB_" > port; cat "$3"; [ "$3" != slow.mif ] || sleep 600 ;;
esac
"""


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Answers of one test's stand-in are not another's."""
    program._version.cache_clear()
    program.has_class.cache_clear()


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """Return an executable that leaves daemons behind which hold its standard output, as OOMMF's do."""
    path = tmp_path / "bin" / "oommf"
    path.parent.mkdir()
    path.write_text(FAKE.format(folder=tmp_path))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    monkeypatch.delenv("OOMMFTCL", raising=False)
    monkeypatch.setattr(program, "PACKAGES", ())
    monkeypatch.setattr(program.metadata, "version", lambda name: "0.66.0")
    return path


def test_version_is_part_of_the_engines(fake):
    assert engines.probe("oommf") == (True, f"OOMMF 2.1a0 at {fake}, oommfc 0.66.0")
    assert engines.version("oommf") == "1 (OOMMF 2.1a0, oommfc 0.66.0)"


def test_a_study_stops_when_planned_where_there_is_no_oommf(section, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OOMMFTCL", raising=False)
    monkeypatch.setattr(program, "PACKAGES", ())
    with pytest.raises(UserError) as caught:
        sweep.plan_checked(section.model_copy(update={"engine": "oommf"}))
    for part in ("device_sims.engine: oommf cannot run here: looked for OOMMF by OOMMFTCL", "conda install", "docker"):
        assert part in str(caught.value)


def test_what_stands_in_the_way_is_said(fake, monkeypatch, tmp_path):
    monkeypatch.setenv("OOMMFTCL", str(tmp_path / "gone.tcl"))
    assert program.probe() == (
        False, f"OOMMFTCL: found {tmp_path}/gone.tcl, allowed: the path of OOMMF's oommf.tcl, or not set"
    )  # fmt: skip
    monkeypatch.delenv("OOMMFTCL")
    fake.write_text('#!/bin/sh\necho "*** ERROR: Don\'t run OOMMF as root." >&2\nexit 154\n')
    usable, text = program.probe()
    assert not usable and "refuses to run as root; start Spinloom as another user" in text
    program._version.cache_clear()
    fake.write_text("#!/bin/sh\necho no display >&2\nexit 3\n")
    assert program.probe()[1] == f"OOMMF at {fake} does not start: no display"


def test_ubermag_is_needed(monkeypatch):
    monkeypatch.setattr(program, "PACKAGES", ("no-such-package",))
    usable, text = program.probe()
    assert not usable and text.startswith("looked for the Python package no-such-package: 'pip install oommfc' brings")
    assert "conda install -c conda-forge oommf" in text and "OOMMFTCL" in text  # OOMMF itself is another program


def test_docker_is_the_last_resort(tmp_path, monkeypatch):
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" = image ] || echo "OOMMF 2.0b0 $*"\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("OOMMFTCL", raising=False)
    found = program.find()
    assert found.text == "docker image oommf/oommf:20b0"
    command = found.argv(["+version"], Path("/work here"))
    assert command[:8] == [str(docker), "run", "--rm", "--init", "-v", "/work here:/io", "-w", "/io"]
    assert command[8:10] == [f"--env={name}={value}" for name, value in program.MEMORY.items()]
    assert command[10:] == ["oommf/oommf:20b0", "tclsh", program.IMAGE_TCL, "+version"]
    assert program._version(found) == "2.0b0"


def test_daemons_that_hold_standard_output_neither_stop_us_nor_stay(fake, tmp_path):
    mif = tmp_path / "some.mif"
    mif.write_text("body\n")
    with program.server(program.find()) as server:
        code, text = server.boxsi(mif)
    assert (code, text) == (0, "body\n")
    assert (tmp_path / "port").read_text() == "15999 255\n"  # a host of its own, and zeroed memory
    assert ended(int((tmp_path / "daemon").read_text()))
    with program.server(program.find()) as server, pytest.raises(UserError, match="no answer within 0.2 s of 'boxsi"):
        (tmp_path / "slow.mif").write_text("")
        server.boxsi(tmp_path / "slow.mif", 0.2)


def test_sigterm_ends_what_was_started(fake, tmp_path):
    (tmp_path / "slow.mif").write_text("started\n")
    code = (
        "import sys; from pathlib import Path; from device_sims.engines.oommf import program\n"
        "with program.server(program.find()) as server: server.boxsi(Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "slow.mif")], cwd=Path(__file__).parents[2])
    wait_for(lambda: (tmp_path / "port").exists())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert ended(int((tmp_path / "daemon").read_text()))


def ended(pid: int) -> bool:
    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # a zombie that nobody has collected is gone as well
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    return wait_for(gone)


def wait_for(condition, limit_s: float = 20.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return True


def test_faults_in_one_line():
    """What OOMMF 2.1a0 said of a class that it has not, and of an error in the middle of a run."""
    said = (
        '[14:59:31] Start: "probe.mif"\nOptions: -exitondone 1 -threads 1\nERROR Reading MIF file: \n'
        "Unrecognized Specify Block: \n  Xf_Nothing:probe\n See log file for additional details\n"
        '*** Error loading probe.mif:\n\t\nUnrecognized Specify Block: \n  Xf_Nothing:probe\nError thrown from inside "'
        'Oxs_Director::ProbInit" --- Tcl error --- ERROR\n   in file: director.cc\n[14:59:31] Boxsi run end\n'
    )
    assert program.fault(said) == "ERROR Reading MIF file: Unrecognized Specify Block: Xf_Nothing:probe"
    said = (
        '[15:17:42] Start: "problem.mif"\nOptions: -exitondone 1 -threads 1\n'
        '[15:17:44] Error thrown from inside "Oxs_Run"'
        " --- Oxs_Ext ERROR in object Oxs_UniformExchange:exchange: Programming error\n[15:17:44] Boxsi run end\n"
    )
    assert program.fault(said) == (
        'Error thrown from inside "Oxs_Run" --- Oxs_Ext ERROR in object Oxs_UniformExchange:exchange: Programming error'
    )


# -- what is written ---------------------------------------------------------------------------------------------------
def ubermag(module: str):
    name = f"device_sims.engines.oommf.{module}"
    return pytest.importorskip(name, reason="oommfc is not installed", exc_type=ImportError)


def written(problem: Problem, folder: Path) -> str:
    """Return the MIF file of a problem's trajectory."""
    model = ubermag("model")
    from device_sims.problem import geometry, initial

    mask = geometry.mask(problem.geometry, problem.mesh)
    made = model.trajectory(problem, mask, initial.initial_magnetisation(problem, mask))
    made.driver.write_mif(made.system, dirname=str(folder), **made.arguments)
    return made.amended((folder / "problem.mif").read_text())


@pytest.mark.parametrize("name", GOLDEN)
def test_scripts_are_as_pinned(name, tmp_path):
    """The files were read through by hand; OOMMF 2.1a0 ran each (`test_real_runs_agree`)."""
    assert written(GOLDEN[name], tmp_path) == (HERE / f"{name}.mif").read_text()


def value(mif: str, key: str) -> float:
    (found,) = re.findall(rf"^ +{key} (\S+)$", mif, re.MULTILINE)
    return float(found)


M = np.random.default_rng(5).normal(size=(3, 3, 2, 4))
M /= np.sqrt((M**2).sum(0))


@pytest.mark.parametrize("angle, current, layers", [(0.1, 1e11, 1), (-0.1, 1e11, 1), (0.1, -1e11, 3), (-1.7, 1e10, 1)])
def test_sign_and_size_of_the_torque(angle, current, layers, tmp_path):
    """OOMMF's documented torque of the numbers in its script is ours of the problem.

    User's guide, Oxs_SpinXferEvolve: dm/dt = ... + gamma beta [eps m x (mp x m) - eps' m x mp] with
    beta = hbar J/(mu0 e t Ms), eps = P L^2/(L^2 + 1 + (L^2 - 1) m.mp), t the thickness of a cell; ours is -gamma m x H.
    """
    problem = driven(current_density_A_per_m2=current)
    problem = replace(problem, mesh=replace(problem.mesh, nz=layers))
    problem = with_material(problem, spin_hall_angle=angle, polarisation=(0.0, 0.6, 0.8), D_J_per_m2=0.0)
    mif = written(problem, tmp_path)
    (mp,) = re.findall(r"^ +mp \{(.*)\}$", mif, re.MULTILINE)
    p = np.array(mp.split(), float)[:, None, None, None] * np.ones_like(M)
    beta = HBAR * value(mif, "J") / (MU0 * ELEMENTARY_CHARGE * 1e-9 * 1e6)
    eps, eps_prime = value(mif, "P") / 2, value(mif, "eps_prime")
    assert 0 < value(mif, "P") <= 1 and value(mif, "Lambda") == 1

    def cross(a, b):
        return np.cross(a, b, axis=0)

    theirs = beta * (eps * cross(M, cross(p, M)) - eps_prime * cross(M, p))
    material = problem.material
    amplitude = spin_torque.prepare(problem, {"Ms_A_per_m": 1e6}) * current
    field = spin_torque.field(tuple(M), material.polarisation, amplitude, material.field_like_ratio, 1.0)
    assert theirs == pytest.approx(-1e6 * cross(M, np.array(field)), rel=1e-6, abs=1e-3)  # of about 1e3 A/m


def test_sign_of_d(tmp_path):
    """OOMMF's field of the D in its script, -2/(mu0 Ms) sum_j D/(2 d) (z x r_ij) x m_j, is ours of the problem."""
    mif = written(driven(), tmp_path)
    D = value(mif, "default_D")
    assert D == -BASE.material.D_J_per_m2
    theirs = np.zeros_like(M)
    padded = np.pad(M, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        there = padded[:, :, 1 + y : 3 + y, 1 + x : 5 + x]
        # (z x r) x m with z x r = (-y, x, 0)
        turned = np.stack([x * there[2], y * there[2], -y * there[1] - x * there[0]])
        theirs += -2 / (MU0 * 1e6) * D / (2 * 4e-9) * turned
    coefficients = dmi.prepare(
        BASE, {"D_J_per_m2": BASE.material.D_J_per_m2, "Ms_A_per_m": 1e6}, np.ones((3, 2, 4), bool)
    )
    assert theirs == pytest.approx(1e6 * np.array(dmi.field(neighbours(tuple(M)), coefficients)), rel=1e-6, abs=1.0)


def test_the_noise_of_a_replica_is_its_streams(tmp_path):
    scripts = [written(replace(HOT, stream=(1, "thermal field", replica)), tmp_path) for replica in (0, 0, 1)]
    first, again, other = (re.search(r"^RandomSeed (\d+)$", script, re.MULTILINE)[1] for script in scripts)
    assert first == again != other
    assert "RandomSeed" not in written(BASE, tmp_path)


# -- what is read ------------------------------------------------------------------------------------------------------
def test_reads_what_oommf_wrote():
    """The files of `BASE` by OOMMF 2.1a0, but for the directory in their headers; its table has the same means."""
    engine = ubermag("engine")
    place = HERE / "problem" / "drive-0"
    states, table = engine._states(place, np.ones((1, 2, 4), bool)), engine._table(place)
    assert len(states) == len(table) == 4
    means = table[[f"TimeDriver::m{axis}" for axis in "xyz"]].to_numpy()
    assert np.array([m.mean((1, 2, 3)) for m in states]) == pytest.approx(means, rel=1e-9, abs=1e-11)
    model = type("", (), {"constant_energy_J": {}})
    energies = engine.energies(table, model)
    assert set(energies) == {"exchange", "dmi", "anisotropy", "demag", "zeeman", "total"}
    (column,) = [name for name in table if name.endswith("Total energy")]
    assert energies["total"] == pytest.approx(table[column].to_numpy(), rel=1e-9, abs=1e-30)
    # Ku < 0 at 45 degrees: Ku sin^2 V = -2e5/2 x 128e-27 J at the start
    assert energies["anisotropy"][0] == pytest.approx(-1.28e-20, rel=1e-9, abs=1e-30)


def test_kept_files_are_as_ubermag_leaves_them():
    data = pytest.importorskip("micromagneticdata", reason="micromagneticdata is not installed")
    drive = data.Data(name="problem", dirname=str(HERE))[0]
    assert drive.n == 4 and drive.info["driver"] == "TimeDriver"
    means = drive.table.data[["mx", "my", "mz"]].iloc[-1].to_numpy()
    assert drive[3].mean() == pytest.approx(1e6 * means, rel=1e-9, abs=1e-3)  # A/m
    assert "Oxs_SpinXferEvolve" in drive.calculator_script


# -- real runs ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def oommf():
    usable, text = program.probe()
    if not usable:
        pytest.skip(f"oommf cannot run here: {text}")
    from device_sims.engines.oommf import engine

    return engine


@pytest.mark.parametrize("name", GOLDEN)
def test_real_runs_agree(name, oommf):
    """States and energies of the built-in solver and of OOMMF; their kernels and constants differ by some 1e-7."""
    from device_sims.engines.llg import ensemble

    problem = with_numerics(replace(GOLDEN[name], temperature_K=0.0), tolerance=1e-9)
    if name == "gated":  # the two Heun schemes normalise at different moments, which shows at second order
        problem = with_numerics(problem, integrator="rk4")
    if name == "velocity":  # OOMMF's gradient at the ends of the mesh is twice ours: material that ends before them
        inside = Geometry("rectangle", size_m=(16e-9, 8e-9))
        problem = replace(problem, geometry=inside, mesh=Mesh(6, 4, (4e-9, 4e-9, 1e-9)))
    (theirs,), (ours,) = oommf.run([problem]), ensemble.run([problem])
    assert theirs.phase_end == ours.phase_end
    assert theirs.t_s == pytest.approx(ours.t_s, rel=1e-9, abs=1e-20)
    assert theirs.m == pytest.approx(ours.m, rel=0, abs=1e-6)
    for term, values in ours.energies_J.items():
        assert theirs.energies_J[term] == pytest.approx(values, rel=1e-6, abs=1e-25), term


def test_real_noise_is_reproducible(oommf):
    first, *again, other = oommf.run([HOT] * 6 + [replace(HOT, stream=(1, "another"))])
    assert all(np.array_equal(first.m, result.m) for result in again)
    assert np.abs(first.m - other.m).max() > 1e-3
