"""A track whose notches are its states: what frees its wall, steps up and down, wells, and what is told of the rest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.counting.wells import well_edges
from device_sims import engines
from device_sims.config import Stage
from device_sims.devices import notched_track
from device_sims.devices.tracks import wire
from device_sims.engines.collective import pinning
from device_sims.problem import Geometry, Mesh, geometry, shapes
from device_sims.validation import same_writes
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from workflow.study import config

ROOT = Path(__file__).parents[2]


def family(section, **changes):
    for path, value in changes.items():
        section = changed(section, "notched_track." + path.replace("__", "."), value)
    return section


@pytest.fixture(scope="module")
def section():
    """The study's device, one of it, written once by each pulse from each notch."""
    whole = config.load(ROOT / "config.yaml", ROOT / "configs/notched_synapse.yaml")
    section = Stage.parse(config.section(whole, "device_sims"), "notched_synapse")
    section = family(section, notches__count=5, track__length_m=480e-9, temperature_K=300.0)
    return changed(changed(section, "sweep.instances", 1), "sweep.replicas_per_instance", 1)


@pytest.fixture(scope="module")
def still(section):
    """The same at T = 0 with straight edges."""
    return family(section, temperature_K=0.0, roughness__rms_m=0.0)


# -- what frees the wall ---------------------------------------------------------------------------------------------
@pytest.mark.long
@pytest.mark.parametrize(
    "drive, key, constants",
    [
        ("sot", "current_densities_A_per_m2", {}),
        ("field", "fields_T", {}),
        # a large beta, so that the adiabatic torque leaves the angle alone
        ("zhang_li", "zhang_li_u_m_per_s", {"zhang_li_beta": 4.0}),
    ],
)
def test_a_notch_lets_go_at_the_closed_form(still, drive, key, constants):
    # at full damping the wall creeps up the slope; at less a sudden drive throws it over below the threshold
    section = family(still, material__alpha=1.0, drive=drive, pulses__durations_s=[5e-9])
    section = family(section, pulses__current_densities_A_per_m2=[])
    section = family(section, **{f"material__{name}": value for name, value in constants.items()})
    needed = pinning.freeing_drives(
        notched_track.batches(family(section, **{f"pulses__{key}": [1.0]}))[0].problem, drive
    )
    assert needed.shape[0] >= 4 and np.ptp(needed[:4]) < 0.03 * needed[0, 0]
    for factor, free in ((0.97, False), (1.03, True)):
        events = same_writes.outcomes(family(section, **{f"pulses__{key}": [factor * needed[:4].mean()]}), "collective")
        inner = events[events["nominal_start_m"].between(150e-9, 330e-9)]
        assert len(inner) == 6 and ((inner["notch_after"] != inner["notch_before"]) == free).all()


def test_without_dmi_or_with_a_bloch_wall_a_torque_along_y_frees_nothing(still):
    problem = notched_track.batches(still)[0].problem
    bloch = replace(problem, material=replace(problem.material, D_J_per_m2=0.0))
    assert np.abs(pinning.pinning(bloch).cos_phi).max() < 1e-9
    assert pinning.freeing_drives(bloch, "sot").min() > 1e15
    assert np.isinf(pinning.freeing_drives(problem, "zhang_li")).all()


def test_barriers_are_the_energy_of_the_wall_that_the_notch_saves(still):
    """Notches much longer than the wall is wide: sigma t times twice the depth, less what the wall averages away."""
    section = family(still, notches__count=3, notches__pitch_m=400e-9, notches__width_m=400e-9, notches__depth_m=20e-9)
    problem = notched_track.batches(family(section, track__length_m=1600e-9))[0].problem
    found, m = pinning.pinning(problem), problem.material
    top = (
        found.energy_J[np.argmin(np.abs(found.place_m - 1000e-9))]
        / found.area_m2[np.argmin(np.abs(found.place_m - 1e-6))]
    )
    assert found.barriers_J[:2] == pytest.approx(top * problem.mesh.cell_m[2] * 40e-9, rel=0.05, abs=0)
    deeper = pinning.pinning(
        notched_track.batches(family(section, track__length_m=1600e-9, notches__depth_m=40e-9))[0].problem
    )
    assert deeper.barriers_J[0, 0] == pytest.approx(2 * found.barriers_J[0, 0], rel=0.05, abs=0)
    assert m.alpha > 0


# -- steps -----------------------------------------------------------------------------------------------------------
def test_without_noise_every_pulse_steps_by_one_notch_and_up_mirrors_down(still):
    events = same_writes.outcomes(still, "collective")
    up, down = (events[events["pulse"] == pulse].sort_values("nominal_start_m") for pulse in (0, 1))
    assert list(up["notch_after"]) == [1, 2, 3, 4, 4] and list(down["notch_after"]) == [0, 0, 1, 2, 3]
    assert list(up["notch_before"]) == list(down["notch_before"]) == [0, 1, 2, 3, 4]
    mirrored = 480e-9 - down["final_position_m"].to_numpy()[::-1]
    np.testing.assert_allclose(up["final_position_m"], mirrored, rtol=0, atol=1e-11)
    summary = notched_track.summarise(still, notched_track.pulses(still), events)
    assert list(summary["wanted_notch"]) == [1, 2, 3, 4, 4, 0, 0, 1, 2, 3]
    assert summary["reached"].eq(1).all() and summary["beyond"].eq(0).all()


@pytest.mark.long
def test_micromagnetics_steps_as_the_wall_model_does(still):
    section = family(still, notches__count=2, track__length_m=288e-9, wall__rest_s=5e-11, wall__settle_s=1e-9)
    section = changed(section, "numerics.dt_s", 5e-13)
    for engine in ("llg", "collective"):
        events = same_writes.outcomes(section, engine)
        assert list(zip(events["pulse"], events["notch_before"], events["notch_after"])) == [
            (0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, 0),
        ]  # fmt: skip


def test_after_a_reset_the_length_of_the_pulse_says_how_far(still):
    section = family(still, write_mode="reset", pulses__polarities=[1], pulses__durations_s=[3.5e-10, 8e-10])
    notched_track.check(section)
    events = same_writes.outcomes(section, "collective")
    assert list(events["notch_before"]) == [0, 0] and list(events["notch_after"]) == sorted(set(events["notch_after"]))
    assert notched_track.writes(section).reset and notched_track.writes(section).energy.reset is not None
    summary = notched_track.summarise(section, notched_track.pulses(section), events)
    assert list(summary["wanted_notch"]) == list(events["notch_after"]) and summary["reached"].eq(1).all()


# -- wells -----------------------------------------------------------------------------------------------------------
@pytest.mark.long
def test_writes_settle_in_the_wells_of_the_pinning_energy(section):
    """A rough track at 300 K: medians of what settled against minima of its energy, both along the track."""
    section = changed(section, "sweep.replicas_per_instance", 12)
    events = same_writes.outcomes(section, "collective")
    problem = notched_track.batches(section)[0].problem
    found = pinning.pinning(problem)
    minima = found.place_m[found.wells][:5]
    means, mask = notched_track.writes(section), geometry.mask(problem.geometry, problem.mesh)
    settled = events.loc[events["ended"] == "notch", "final_position_m"].to_numpy()
    edges = well_edges(settled, means.states.wells_m, (0.0, 480e-9), "m", "events")
    state = np.searchsorted(edges[1:-1], settled)
    for number, minimum in enumerate(minima):
        medians = wire.place_along(float(np.median(settled[state == number])), mask, 4e-9)
        # 24 writes in a well 2 nm wide: their median is within 2 nm but for one seed in 1e5
        assert medians == pytest.approx(minimum, abs=2e-9)
    assert (state == events.loc[events["ended"] == "notch", "notch_after"]).all()


def test_a_wall_between_two_notches_is_told(section):
    centres = notched_track.centres_m(section.options)
    assert np.diff(centres) == pytest.approx(64e-9, rel=1e-9, abs=0) and centres.mean() == pytest.approx(
        240e-9, abs=1e-15
    )
    for place, notch in (
        (centres[2], 2),
        (centres[2] + 15.9e-9, 2),
        (centres[2] + 16.1e-9, -1),
        (centres[0] - 30e-9, -1),
    ):
        assert notched_track.notch_at(place, centres) == notch
    assert notched_track.notch_at(float("nan"), centres) == -1
    means = notched_track.writes(section)
    assert means.outcome.counted == ("notch",) and "elsewhere" in means.outcome.left_out
    events = pd.DataFrame(
        {
            "pulse": 0, "nominal_start_m": centres[1], "notch_before": 1,
            "notch_after": [2, 2, 3, 1, -1, -1], "ended": ["notch"] * 4 + ["elsewhere", "lost"],
        }
    )  # fmt: skip
    row = notched_track.summarise(section, notched_track.pulses(section), events).iloc[0]
    assert (row["reached"], row["beyond"], row["stayed"], row["elsewhere"], row["lost"]) == (2, 1, 1, 1, 1)
    assert row["probability"] == pytest.approx(1 / 3, rel=1e-12, abs=0)


def test_places_and_areas_are_each_other_s_inverse(still):
    problem = notched_track.batches(still)[0].problem
    mask = geometry.mask(problem.geometry, problem.mesh)
    places = np.linspace(0, 480e-9, 50)
    back = [wire.place_along(area, mask, 4e-9) for area in wire.place_by_area(places, mask, 4e-9)]
    np.testing.assert_allclose(back, places, rtol=0, atol=1e-15)
    # left of the middle the notches have taken less than their share of what is left of it
    assert wire.place_by_area(np.array([112e-9]), mask, 4e-9)[0] > 112e-9


def test_rounded_notches_take_away_as_much_as_triangular_ones():
    # of the depth's whole integral both have half
    x, taken = Mesh(400, 240, (1e-9, 1e-9, 1e-9)), {}
    for profile in ("triangular", "rounded"):
        strip = Geometry(
            "strip",
            width_m=2e-7,
            notch_positions_m=(2e-7,),
            notch_depth_m=6e-8,
            notch_width_m=2e-7,
            notch_profile=profile,
        )
        columns = geometry.mask(strip, x).sum((0, 1))
        taken[profile] = 400 * 200 - columns.sum()
        assert columns.min() == pytest.approx(80, abs=2)
        assert columns[150] == pytest.approx(200 - 120 * 0.5, abs=2)
        # a quarter of the way in: linear, or sin^2
        assert columns[125] == pytest.approx(
            200 - 120 * (0.25 if profile == "triangular" else np.sin(np.pi / 8) ** 2), abs=3
        )
    assert taken["rounded"] == pytest.approx(taken["triangular"], rel=0.02, abs=0)
    assert Geometry("strip").notch_profile == "triangular" and shapes.KINDS


# -- the section -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path, value, message",
    [
        ("notches.width_m", 70e-9, "notches.width_m: found 7e-08, allowed: at most pitch_m = 6.4e-08"),
        ("notches.count", 8, "track.length_m: found 4.8e-07, allowed: more than count times"),
        ("notches.depth_m", 52e-9, "cut through the strip"),
        ("drive", "field", "pulses.fields_T: found 0 values, allowed with drive field: one or more"),
        ("pulses.current_densities_A_per_m2", [-1e11], "found -1e\\+11, allowed: more than 0"),
        ("pulses.durations_s", [1e-10, 1e-10], "each value once"),
        ("pulses.durations_s", [1.3e-13], "pulses.durations_s.0: found 1.3e-13"),
        ("material.spin_hall_angle", 0.3, "spin_hall_angle: found 0.3 .* of opposite signs"),
        ("material.Ku_J_per_m3", 2e5, "material.Ku_J_per_m3: .* easy axis into the plane"),
        ("stops.Ku_factor", 9.0, "stops.Ku_factor: .* at least one cell"),
        ("write_mode", "reset", "polarities: found \\[1, -1\\], allowed with write_mode reset"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(section, path, value, message):
    with pytest.raises(UserError, match=message) as error:
        notched_track.check(changed(section, f"notched_track.{path}", value))
    assert "\n" not in str(error.value)


def test_nothing_depends_on_a_place_in_a_list(section):
    many = family(section, pulses__durations_s=[2e-10, 3e-10], pulses__current_densities_A_per_m2=[6e11, 8e11])
    other = family(
        many,
        pulses__durations_s=[3e-10, 2e-10],
        pulses__current_densities_A_per_m2=[8e11, 6e11],
        pulses__polarities=[-1, 1],
    )
    hashes = [{b.problem.hash() for b in notched_track.batches(one)} for one in (many, other)]
    assert hashes[0] == hashes[1] and len(hashes[0]) == 2 * 2 * 2 * 5
    assert len({b.problem.stream for b in notched_track.batches(many)}) == 40
    engines.check("collective", "notched_track", notched_track, [b.problem for b in notched_track.batches(many)])
