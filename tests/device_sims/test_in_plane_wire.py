"""The in-plane wire: walls by size, mobility, symmetry, depinning without noise, tables and what cannot be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from device_sims import engines
from device_sims.devices import in_plane_wire
from device_sims.devices.tracks import passing, wire
from device_sims.problem import GAMMA0, MU0, Phase
from device_sims.problem.observables import wall_position
from device_sims.problem.readings import textures
from device_sims.sweep import sweep
from device_sims.sweep.chunk import run
from spinloom import files
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from tests.device_sims.test_wire_devices import fewer, study, tables

CELL = 5e-9


@pytest.fixture(scope="module")
def section():
    """A clean wire without temperature."""
    own: Any = study("nanowire_simulated")
    own = own.model_copy(update={"in_plane_wire": own.in_plane_wire.model_copy(
        update={"roughness": wire.Roughness(), "grains": in_plane_wire.Grains(), "temperature_K": 0.0}
    )})  # fmt: skip
    return fewer(own, 1, 1)


def sized(section, length, width, thickness, kind="by_size", start=None):
    track = in_plane_wire.Track(length_m=length, width_m=width, thickness_m=thickness, cell_m=CELL)
    for path, value in (("track", track), ("wall.kind", kind), ("wall.start_m", start or length / 2)):
        section = changed(section, f"in_plane_wire.{path}", value)
    return section


def problem(section, **changes):
    return replace(in_plane_wire.batches(section)[0].problem, **changes)


def positions(problem):
    (result,) = engines.run("llg", [problem])
    return result, wall_position(result.m[:, 0], result.mask, CELL)


def without_notch(problem):
    return replace(problem, geometry=replace(problem.geometry, notch_positions_m=()))


# -- physics ---------------------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize("width, thickness, kind", [(80e-9, 5e-9, "transverse"), (120e-9, 25e-9, "vortex")])
def test_the_wall_by_size_has_the_lower_energy(section, width, thickness, kind):
    """12 and 93 squared exchange lengths; the boundary is at 61 (Nakatani et al.) or 64 (McMichael and Donahue)."""
    energies = {}
    for start in ("transverse", "vortex"):
        own = sized(section, 8 * width, width, thickness, start)
        own = without_notch(problem(own, schedule=(Phase("relax", 0.0, relax_tolerance=1e-3),)))
        (result,) = engines.run("llg", [own])
        energies[start] = sum(values[-1] for name, values in result.energies_J.items() if name != "total")
        found = textures.wall_kind(result.m[-1], result.mask, 0)
        # where the other wall is no minimum at all it has become the stable one
        assert found in (start, kind)
    assert energies[kind] <= energies[{"transverse": "vortex", "vortex": "transverse"}[kind]] * (1 + 1e-6)
    assert in_plane_wire.describe(sized(section, 8 * width, width, thickness))["wall_kind"] == kind


@pytest.mark.long
def test_a_transverse_wall_moves_as_its_own_width_says(section):
    """Below Walker's field v = gamma0 Delta H / alpha, with Thiele's width of the resting wall.

    2/Delta is the integral of (dm/dx)^2 over the volume, by the cross-section. The wall widens a little as it turns,
    and cells of 5 nm make differences of 2 % of that integral; 6 % leaves room for both.
    """
    alpha, B = 0.1, 0.5e-3
    own = changed(sized(section, 480e-9, 60e-9, 5e-9, start=150e-9), "in_plane_wire.material.alpha", alpha)
    phases = (Phase("relax", 0.0, relax_tolerance=1e-4), Phase("pulse", 3e-9, field_T=(B, 0.0, 0.0)))
    result, x = positions(without_notch(problem(own, schedule=phases)))
    resting = result.m[result.phase_end["relax"], :, 0].astype(float)
    inside = result.mask[0, :, 1:] & result.mask[0, :, :-1]
    square = (((resting[..., 1:] - resting[..., :-1]) ** 2).sum(0) * inside).sum() / CELL
    delta = 2 * result.mask[0].any(1).sum() / square
    late = result.t_s > 1.5e-9
    speed = np.polyfit(result.t_s[late], x[late], 1)[0]
    assert speed == pytest.approx(GAMMA0 * delta * B / MU0 / alpha, rel=0.06, abs=0)
    assert 15e-9 < delta < 40e-9


@pytest.mark.long
def test_a_turned_wire_does_the_same(section):
    """Half a turn about x changes the sign of my and mz; one about z takes the wall and the field to the left."""
    own = changed(sized(section, 400e-9, 60e-9, 5e-9, start=120e-9), "in_plane_wire.notch.position_m", 200e-9)
    own = changed(own, "in_plane_wire.pulses.fields_T", [0.002])
    own = changed(changed(own, "in_plane_wire.pulses.duration_s", 5e-10), "in_plane_wire.wall.settle_s", 1e-10)
    first = problem(own)
    _, x = positions(first)
    start = first.initial
    right, wall, left = start.directions
    _, other = positions(replace(first, initial=replace(start, directions=(right, (0.0, -1.0, 0.0), left))))
    np.testing.assert_allclose(other, x, rtol=0, atol=2e-10)
    away = replace(problem(changed(own, "in_plane_wire.pulses.fields_T", [-0.002])))
    away = replace(away, initial=replace(start, position_m=280e-9, directions=(right, (0.0, -1.0, 0.0), left)))
    _, mirrored = positions(away)
    np.testing.assert_allclose(400e-9 - mirrored, x, rtol=0, atol=2e-10)
    assert x.max() - x.min() > 30e-9


@pytest.mark.long
def test_without_noise_a_wall_passes_above_the_field_that_frees_it(section):
    """The freeing field by minimising the energy under rising fields; the pulses by the equation of motion."""
    own = sized(section, 400e-9, 60e-9, 5e-9, start=100e-9)
    own = changed(own, "in_plane_wire.notch", passing.Notch(position_m=220e-9, depth_m=12e-9, width_m=60e-9))
    own = changed(own, "in_plane_wire.material.alpha", 0.5)  # no speed carries it over
    fields = np.arange(2e-3, 12e-3, 5e-4)
    rising = tuple(
        Phase(f"{n}", 0.0, field_T=(float(field), 0.0, 0.0), relax_tolerance=1e-3) for n, field in enumerate(fields)
    )
    start = replace(problem(own).initial, position_m=220e-9)
    _, x = positions(problem(own, schedule=rising, initial=start))
    free = x[1:] > 250e-9
    assert not free[0] and free[-1]
    threshold = fields[free.argmax()]
    own = changed(own, "in_plane_wire.pulses.duration_s", 4e-9)
    own = changed(own, "in_plane_wire.pulses.fields_T", [float(threshold - 1e-3), float(threshold + 1e-3)])
    events = tables(own)["events"]
    assert list(events["passed"]) == [False, True]
    assert events["final_position_m"].iloc[0] == pytest.approx(220e-9, abs=20e-9)


# -- tables ----------------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_the_tables_of_a_short_sweep(tmp_path):
    own = study("nanowire_simulated")
    for path, value in (
        ("track", in_plane_wire.Track(length_m=300e-9, width_m=40e-9, thickness_m=5e-9, cell_m=CELL)),
        ("notch", passing.Notch(position_m=190e-9, depth_m=6e-9, width_m=40e-9)), ("wall.start_m", 90e-9),
        ("wall.rest_s", 1e-10), ("wall.settle_s", 2e-10), ("pulses.duration_s", 5e-10),
        ("pulses.fields_T", [1e-4, 2e-2]),
    ):  # fmt: skip
        own = changed(own, f"in_plane_wire.{path}", value)
    own = fewer(own, 2, 2)
    for chunk in sweep.plan_checked(own):
        run(chunk, tmp_path / "chunks")
    sweep.collect(own, tmp_path / "chunks", tmp_path)
    events, paths = (files.read_table(tmp_path / f"{name}.parquet") for name in ("events", "trajectories"))
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert len(events) == 8 and events["start_kind"].eq("transverse").all()
    assert list(summary["passed"]) == list(events.groupby("pulse")["passed"].sum()) and list(summary["writes"]) == [
        4,
        4,
    ]
    assert summary["passed"].iloc[0] == 0 < summary["passed"].iloc[1] and set(summary["law_unit"]) == {"T"}
    assert (events["passing_time_s"].isna() == ~events["passed"]).all()
    # relaxation takes no time: a time has one record, the first of them after it
    one = paths[(paths["pulse"] == 0) & (paths["instance"] == 0) & (paths["replica"] == 0)]
    assert one["t_s"].is_monotonic_increasing and one["t_s"].is_unique and one["t_s"].iloc[0] == 0
    # a wall that is at the far end has no position: devices differ by edges and grains, replicas by noise
    assert events.loc[events["pulse"] == 0, "final_position_m"].nunique() == 4
    means: Any = in_plane_wire.writes(own)
    assert means.pulse.drives == ("field_T",) and means.states.volatile and means.energy.clock


def test_nothing_depends_on_a_place_in_a_list(section):
    one = changed(section, "in_plane_wire.pulses.fields_T", [1e-3, 2e-3])
    other = changed(section, "in_plane_wire.pulses.fields_T", [2e-3, 1e-3])
    hashes = [{batch.problem.hash() for batch in in_plane_wire.batches(own)} for own in (one, other)]
    assert hashes[0] == hashes[1] and len(hashes[0]) == 2


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("pulses.fields_T", [1e-3, 1e-3], "pulses.fields_T: .* allowed: each value once"),
        ("wall.start_m", 2.7e-7, "wall.start_m: found 2.7e-07, allowed: left of the notches"),
        ("notch.position_m", 4.7e-7, "notch.position_m: found 4.7e-07 with width_m 6e-08, allowed: notches within"),
        ("grains.Ms_spread", 0.1, "grains.Ms_spread: found without grains"),
        ("pulses.rise_s", 1.3e-13, "pulses.rise_s: found 1.3e-13, allowed: a whole number"),
        (
            "material.A_J_per_m",
            1e-12,
            "cell_m: found 5e-09 with an exchange length of 1.58e-09 m, allowed: at most 1.2",
        ),
        ("track.width_m", 7.3e-8, "cell_m: found 5e-09, allowed: a length that divides width_m"),
    ],
)
def test_it_says_what_cannot_be(section, path, value, message):
    with pytest.raises(UserError, match=message) as error:
        in_plane_wire.check(changed(section, f"in_plane_wire.{path}", value))
    assert "\n" not in str(error.value)


def test_the_wall_model_refuses_it(section):
    with pytest.raises(UserError, match="collective|initial|anisotropy|beyond"):
        list(engines.run("collective", [problem(section)]))
