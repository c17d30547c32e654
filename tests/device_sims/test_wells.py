"""Wells of a study's devices at rest, and the chain of barriers along a track."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from device_sims.barriers import Landscape, Settings, between
from device_sims.barriers.chain import chain, extrema
from device_sims.barriers.rest import gather, search, wells
from device_sims.common import Barriers
from device_sims.problem import Initial
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.observables import wall_position
from spinloom.errors import UserError
from tests.device_sims.conftest import changed
from tests.device_sims.test_barriers import CELL, WIDTH, moment, thread, well_J
from tests.dictionary import documented

WELLS = ((50e-9, 58e-9), (96e-9, 108e-9), (150e-9, 156e-9))


@pytest.mark.long
def test_a_track_of_three_wells():
    """Positions and barriers are those of the first order in the wells' depth."""
    one = thread(WELLS, 0.05)
    landscape = Landscape(one)
    starts = [Initial("wall", position_m=x, width_m=WIDTH) for x in np.linspace(30e-9, 180e-9, 22)]
    states = np.stack([initial_magnetisation(replace(one, initial=start), landscape.mask) for start in starts])
    found = chain(landscape, states, Settings(attempt="none", well_kT=0.02))
    q = np.linspace(40e-9, 170e-9, 130001)
    energy = well_J(WELLS, 0.05, q)
    bottoms = [q[(q > a - 9e-9) & (q < b + 9e-9)][energy[(q > a - 9e-9) & (q < b + 9e-9)].argmin()] for a, b in WELLS]
    places = [wall_position(well.m[2], landscape.mask, CELL) for well in found.wells]
    assert found.notes == () and places == pytest.approx(bottoms, abs=0.3e-9)
    rows = pd.DataFrame(found.rows())
    assert rows["converged"].all() and rows["attempts_per_s"].isna().all()
    for low, high in ((0, 1), (1, 2)):
        between = energy[(q > bottoms[low]) & (q < bottoms[high])].max()
        for start, stop in ((low, high), (high, low)):
            height = rows.set_index(["well_from", "well_to"]).loc[(start, stop), "barrier_J"]
            assert height == pytest.approx(between - np.interp(bottoms[start], q, energy), rel=0.03, abs=0)


@pytest.mark.long
def test_langers_rate_of_a_chain_is_that_of_a_pair():
    one = replace(thread(WELLS[:2], 0.1), material=replace(thread(WELLS, 0.1).material, second_Ku_J_per_m3=1e5))
    landscape = Landscape(one)
    starts = [Initial("wall", position_m=x, width_m=WIDTH) for x in np.linspace(48e-9, 112e-9, 12)]
    states = np.stack([initial_magnetisation(replace(one, initial=start), landscape.mask) for start in starts])
    settings = Settings(well_kT=0.02)
    found = chain(landscape, states, settings)
    # the ends of this path are no wells
    (first,) = [place for place, well in enumerate(found.wells) if well.state is not None][:1]
    pair = between(one, found.wells[first].m, found.wells[first + 1].m, settings, landscape=landscape)
    rates = [tries.rate_per_s for tries in found.attempts[first]]
    assert rates == pytest.approx([tries.rate_per_s for tries in pair.attempts], rel=1e-3, abs=0)


def test_shallow_turns_are_passed_over():
    energy = np.array([3.0, 1.0, 1.2, 0.9, 4.0, 3.9, 5.0, 2.0, 2.5, 2.2, 7.0])
    assert extrema(energy, 0.5) == [3, 6, 7]
    assert extrema(energy, 0.25) == [3, 6, 7, 8, 9]
    assert extrema(energy, 10.0) == [3]
    assert extrema(-energy, 0.5) == [0, 3, 6, 7, 10]
    assert extrema(np.arange(5.0), 0.5) == [0]


@pytest.fixture(scope="module")
def wall(section):
    own = section.model_copy(update={"barriers": Barriers(attempt="none", spacing_m=8e-9)})
    own = changed(own, "domain_wall.notches.positions_m", [32e-9, 64e-9])
    return changed(own, "domain_wall.notches.depth_m", 5e-9)


def test_searches_of_a_study(wall, section):
    assert search.searches(section) == []
    found = search.searches(wall)
    assert len({one.name for one in found}) == len(found) == wall.sweep.instances
    again = search.specified(json.loads(json.dumps(found[1].specification())), "spec.json")
    assert again == found[1] and again.name == found[1].name
    # what is no part of a device at rest names no other search
    for path, value in (("domain_wall.pulses.voltages_V", [0.1, 0.7]), ("domain_wall.temperature_K", 77.0)):
        assert [one.name for one in search.searches(changed(wall, path, value))] == [one.name for one in found]
    deeper = search.searches(changed(wall, "domain_wall.notches.depth_m", 6e-9))
    assert not {one.name for one in deeper} & {one.name for one in found}
    with pytest.raises(UserError, match="found a file that does not describe a search for barriers"):
        search.specified({"problem": 3}, "spec.json")


@pytest.mark.long
def test_notched_devices_have_a_table(wall, tmp_path):
    paths = []
    for number, one in enumerate(search.searches(wall)):
        own = wells.find(one)
        own.to_csv(tmp_path / f"{number}.csv", index=False)
        paths.append(tmp_path / f"{number}.csv")
    gather.collect(paths, tmp_path / "barriers.csv")
    table = pd.read_csv(tmp_path / "barriers.csv")
    assert list(table.columns) == documented("barriers.csv")
    assert set(table["instance"]) == {0, 1} and table["converged"].all()
    assert (table["barrier_J"] >= 0).all()
    assert table["position_from_m"].between(0, 96e-9).all()


@pytest.mark.long
def test_a_device_with_one_well_has_a_row(wall):
    smooth = changed(changed(wall, "domain_wall.notches.positions_m", [48e-9]), "domain_wall.roughness.rms_m", 0.0)
    (row,) = wells.find(search.searches(smooth)[0]).to_dict("records")
    assert (row["well_from"], row["well_to"], row["note"]) == (0, 0, "the only well")
    assert row["position_from_m"] == pytest.approx(48e-9, abs=1e-9)


@pytest.mark.long
def test_the_two_states_of_a_moment():
    one = moment()
    both = search.Search(one, (Initial("uniform", (0, 0, -1)), Initial("uniform", (0, 0, 1))), ("AP", "P"), Settings())
    table = wells.find(both).set_index(["label_from", "label_to"])
    barrier = table.loc[("AP", "P"), "barrier_J"]
    assert barrier == pytest.approx(1.3e5 * 3e-25, rel=1e-6, abs=0)
    assert table["position_from_m"].isna().all() and (table["attempts_per_s"] > 1e9).all()
    assert math.isfinite(table.loc[("P", "AP"), "ten_year_temperature_K"])
