"""mumax3: scripts, what they mean by mumax3's own formulas, regions, and what is refused."""

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_sims import engines
from device_sims.engines import mumax3
from device_sims.engines.mumax3 import regions, script
from device_sims.problem import (
    DataFile,
    Geometry,
    Initial,
    Map,
    Material,
    Mesh,
    Phase,
    Problem,
    Region,
    geometry,
    material,
    ovf,
)
from device_sims.single.run import run as run_file
from spinloom.errors import UserError
from tests.device_sims import mumax3_machine
from tests.device_sims.mumax3_problems import ALL, GOLDEN, LAYERS, PLAIN, with_
from tests.device_sims.test_problem_file import changed, write


def interpreted(problem: Problem, folder: Path) -> mumax3_machine.Mumax:
    """Return the stand-in after it has executed a problem's script, in this process."""
    written = script.write(problem)
    (folder / "out").mkdir()
    for name, values in written.fields.items():
        ovf.write(folder / name, values, problem.mesh.cell_m)
    machine = mumax3_machine.Mumax(folder)
    machine.execute(machine.compile(written.text))
    return machine


# -- scripts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, problem", [("plain", PLAIN), ("all", ALL), ("layers", LAYERS)])
def test_scripts_are_as_they_were(name, problem):
    mumax3.check(problem)
    path = GOLDEN / f"{name}.mx3"
    assert script.write(problem).text == path.read_text(), f"if this is meant, write the new script to {path}"


def test_each_replica_has_its_own_seed_which_the_script_carries():
    problems = [replace(PLAIN, stream=(*PLAIN.stream[:-1], replica)) for replica in range(64)]
    seeds = [script.seed(problem) for problem in problems]
    assert len(set(seeds)) == 64 and all(0 < seed < 2**62 for seed in seeds)
    assert seeds[5] == script.seed(problems[5])  # of the name alone
    texts = [script.write(problem).text for problem in problems[:2]]
    assert all(f"ThermSeed({seed})" in text for seed, text in zip(seeds, texts))
    assert texts[0].replace(str(seeds[0]), "") == texts[1].replace(str(seeds[1]), "")


def test_drives_are_those_of_the_problem_at_every_stage_also_where_phases_meet(tmp_path):
    """Heun evaluates at t and t + dt; the first of a phase comes right after a record at the same time."""
    problem = replace(ALL, mesh=Mesh(2, 1, (4e-9, 4e-9, 1e-9)), geometry=Geometry(), regions=ALL.regions[:1])
    machine, dt = interpreted(problem, tmp_path), problem.numerics.dt_s
    step = 0
    for phase in problem.schedule:
        for own in range(problem.steps(phase.duration_s)):
            for stage in range(2):
                t_s, ku1, field, current = machine.evaluations[2 * step + stage]
                now = (own + stage) * dt
                gate = dict(phase.region_Ku_factors).get("gate", 1.0)
                ku = 1.1 * 8e5 * script.at(phase.Ku_factor, phase, now) * script.at(gate, phase, now) + 2 * 5e4
                assert t_s == pytest.approx((step + stage) * dt, abs=1e-20)
                assert ku1[0, 0] == pytest.approx(ku, rel=1e-9, abs=0)
                np.testing.assert_allclose(field[0], [script.at(b, phase, now) for b in phase.field_T], 0, 1e-12)
                through = script.at(phase.current_density_A_per_m2, phase, now)
                assert current[0, 2] == pytest.approx(through, rel=1e-9, abs=10)
            step += 1
    assert step == 54 and len(machine.evaluations) == 2 * step


def test_signs_of_the_torques_by_hand(tmp_path):
    """By mumax3's formulas, which the stand-in has: +J, +theta and p = +y turn m = +z to +y; +u goes to the right."""
    still = replace(PLAIN, temperature_K=0.0, initial=Initial("uniform", (0.0, 0.0, 1.0)))
    still = replace(still, numerics=replace(still.numerics, demag=False))
    sot = replace(
        still, material=Material(1e6, 1.5e-11, 0.0001, spin_hall_angle=0.1, field_like_ratio=0.0),
        schedule=(Phase("run", 1e-13, current_density_A_per_m2=1e11),), record_interval_s=1e-13,
    )  # fmt: skip
    (tmp_path / "sot").mkdir()
    machine = interpreted(sot, tmp_path / "sot")
    # dm/dt = -gamma a m x (m x p) = gamma a p for m = z, p = y; a = 3.29 mT (hbar theta J/2 e Ms t)
    np.testing.assert_allclose(machine.m[1], 1.7595e11 * 3.2911e-3 * 1e-13, rtol=2e-4)
    assert abs(machine.m[0]).max() < 1e-7
    # a positive u carries a wall to the right: more of the track is up
    drift = replace(
        still, mesh=Mesh(32, 2, (4e-9, 4e-9, 1e-9)), material=Material(1e6, 1.5e-11, 0.1, 8e5, zhang_li_beta=0.1),
        schedule=(Phase("run", 1e-12, zhang_li_u_m_per_s=100.0),), record_interval_s=1e-12,
        initial=Initial("wall", position_m=6.4e-8, width_m=1.2e-8, azimuth_rad=np.pi / 2),
    )  # fmt: skip
    (tmp_path / "drift").mkdir()
    moved = interpreted(drift, tmp_path / "drift").m[2].sum(-1).mean() * 4e-9 / 2
    assert moved == pytest.approx(100.0 * 1e-12, rel=0.03, abs=0)


def test_the_script_means_the_same_as_the_built_in_solver(fake_mumax3):
    """All terms but the stray field, in every constant's two values, with ramps and sines: the same steps of Heun.

    Measured: 1.5e-7 in m and 1e-7 of the largest in energies. The predictor's length is not 1, which the two forms of
    the torque feel in the third order of the step; with steps of 1e-14 s only the rounding of the OVF files is left.
    """
    (theirs,) = mumax3.run([ALL])
    (ours,) = engines.run("llg", [replace(ALL, numerics=replace(ALL.numerics, precision="float64"))])
    assert theirs.phase_end == ours.phase_end == {"rest": 1, "pulse": 4, "end": 5}
    np.testing.assert_allclose(theirs.t_s, ours.t_s, rtol=0, atol=1e-22)
    np.testing.assert_array_equal(theirs.mask, ours.mask)
    assert np.abs(ours.m[-1] - ours.m[0]).max() > 0.2 and theirs.m.dtype == np.float32
    np.testing.assert_allclose(theirs.m, ours.m, rtol=0, atol=4e-7)
    assert set(theirs.energies_J) == set(ours.energies_J)
    for name, values in ours.energies_J.items():
        np.testing.assert_allclose(theirs.energies_J[name], values, rtol=0, atol=2e-6 * np.abs(values).max() + 1e-30)
    assert list(fake_mumax3.iterdir()) == [fake_mumax3 / f"spinloom-{os.getuid()}-gpu-3.lock"]  # no folder is left


# -- regions -------------------------------------------------------------------------------------------------------


def mapped(folder: Path, constants: dict[str, np.ndarray], **changes) -> Problem:
    maps = []
    for name, values in constants.items():
        ovf.write(folder / f"{name}.ovf", values, (4e-9, 4e-9, 1e-9), format="binary8")
        digest = hashlib.sha256((folder / f"{name}.ovf").read_bytes()).hexdigest()
        maps.append(Map(name, DataFile(str(folder / f"{name}.ovf"), digest)))
    nz, ny, nx = values.shape
    return replace(PLAIN, mesh=Mesh(nx, ny, (4e-9, 4e-9, 1e-9), nz), maps=tuple(maps), **changes)


def test_at_most_256_values_are_exact(tmp_path):
    ku = np.random.default_rng(1).choice(np.linspace(7e5, 9e5, 128), (1, 20, 40))
    gate = Region((0, 8e-8), (0, 1), name="gate")
    schedule = (replace(PLAIN.schedule[0], region_Ku_factors=(("gate", 0.9),)),)
    problem = mapped(tmp_path, {"Ku_J_per_m3": ku}, regions=(gate,), schedule=schedule)
    problem = replace(problem, geometry=Geometry("ellipse"))
    mask = geometry.mask(problem.geometry, problem.mesh)
    found = regions.partition(problem, mask)
    np.testing.assert_array_equal(found.constants["Ku_J_per_m3"][found.index][mask], ku[mask])
    driven = np.array([bool(held) for held in found.driven])[found.index]
    np.testing.assert_array_equal(driven[mask], material.region_mask(problem.mesh, gate)[mask])
    assert not found.errors and not found.note() and (found.index[~mask] == 0).all()


def test_more_values_are_rounded_as_little_as_256_regions_allow(tmp_path):
    rng = np.random.default_rng(2)
    ku = rng.uniform(7e5, 9e5, (1, 20, 400))
    problem = mapped(tmp_path, {"Ku_J_per_m3": ku})
    found = regions.partition(problem, np.ones(ku.shape, bool))
    error = np.abs(found.constants["Ku_J_per_m3"][found.index] - ku).max()
    assert found.count == 256 and error <= 2e5 / 256 / 2
    assert found.errors == {"Ku_J_per_m3": pytest.approx(error, rel=1e-12, abs=0)}
    assert re.fullmatch(r".* rounded to 256 regions: Ku_J_per_m3 by at most [\d.]+", found.note())
    # two constants share the regions: sixteen bins each
    ms = rng.uniform(9e5, 1e6, ku.shape)
    found = regions.partition(mapped(tmp_path, {"Ku_J_per_m3": ku, "Ms_A_per_m": ms}), np.ones(ku.shape, bool))
    assert 200 < found.count <= 256 and set(found.errors) == {"Ku_J_per_m3", "Ms_A_per_m"}
    assert found.errors["Ku_J_per_m3"] <= 2e5 / 16 / 2 and found.errors["Ms_A_per_m"] <= 1e5 / 16 / 2


def test_what_was_rounded_is_said_in_the_log(fake_mumax3, tmp_path, capsys):
    ku = np.random.default_rng(3).uniform(7e5, 9e5, (1, 20, 40))
    ovf.write(tmp_path / "ku.ovf", ku, (4e-9, 4e-9, 1e-9))
    content = changed("numerics", {"dt_s": 1e-13, "precision": "float32", "integrator": "heun", "demag": False})
    content["material"]["maps"] = {"Ku_J_per_m3": "ku.ovf"}
    content |= {"mesh": {"cell_m": [4e-9, 4e-9, 1e-9], "cells": [40, 20, 1]}, "schedule": [{"duration_s": 1e-13}]}
    path = write(tmp_path, {**content, "outputs": {"record_interval_s": 1e-13}})
    run_file(path, "mumax3", tmp_path / "out", 2)
    (found,) = re.findall(
        r"mumax3: .* rounded to (\d+) regions: Ku_J_per_m3 by at most ([\d.]+)", capsys.readouterr().err
    )
    assert 200 < int(found[0]) <= 256 and 0 < float(found[1]) <= 2e5 / 200 / 2


# -- what cannot be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "problem, message",
    [
        (with_(numerics__integrator="fdr4"), "numerics.integrator: found 'fdr4', allowed with mumax3: heun, rk4, "),
        (with_(numerics__precision="float64"), "numerics.precision: found float64, allowed with mumax3: float32"),
        (with_(mesh=Mesh(5, 3, (4e-9, 4e-9, 1e-9))), "mesh: found 5 x 3 x 1 cells at 300 K, allowed with mumax3: an "),
        (with_(initial__relax_tolerance=1e-6), "initial.relax_tolerance: found 1e-06, allowed with mumax3: at least "),
        (with_(numerics__dt_s=1e-12), "numerics.dt_s: found 1e-12, allowed: at most"),
        (with_(LAYERS, numerics__tolerance=1e-7), "numerics.tolerance: found 1e-07, allowed with mumax3: at least"),
        (
            with_(material__spin_hall_angle=0.5, material__slonczewski_lambda=2.0, material__field_like_ratio=0.1),
            "material.field_like_ratio: found 0.1 with slonczewski_lambda 2, allowed with mumax3: 0, because",
        ),
        (
            with_(LAYERS, material__spin_hall_angle=0.5),
            "schedule: zhang_li_u_m_per_s: found with a current through 2 layers, allowed with mumax3: one",
        ),
    ],
)  # fmt: skip
def test_what_mumax3_cannot_do_is_refused_by_key(problem, message):
    with pytest.raises(UserError) as error:
        mumax3.check(problem)
    assert str(error.value).startswith(message)


def test_an_odd_mesh_is_fine_without_noise():
    mumax3.check(with_(mesh=Mesh(5, 3, (4e-9, 4e-9, 1e-9)), temperature_K=0.0))
