"""The device halves of the studies after published systems: their cards are what the comments of the configs say."""

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.config import Stage
from calibration.sources import build, library
from device_sims.config import Stage as Simulations
from device_sims.sweep import sweep
from spinloom import config
from workflow.study import config as study_config

ROOT = Path(__file__).parents[2]


def section(name, stage="calibration", **lattice):
    layer = config.read(ROOT / "configs" / f"{name}.yaml")
    if lattice:
        layer["calibration"]["parametric"]["lattice"].update(lattice)
    return study_config.section(study_config.laid_over(ROOT / "config.yaml", layer), stage)


def card(name, **lattice):
    return build.make(Stage.parse(section(name, **lattice), name), name, None)[0]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("memristive", "memristor_32_levels"),
        ("memristive_pcmo", "pcmo_26_levels"),
        ("nanowire_binary", "ellis_gate"),
    ],
)
def test_card_of_the_study_is_that_of_the_library(name, recipe):
    made, ready = card(name), library.card(recipe)
    np.testing.assert_array_equal(made.kernel, ready.kernel)
    for table, columns in (("states", ["conductance_S"]), ("pulses", ["energy_mean_J"]), ("reads", ["energy_J"])):
        np.testing.assert_array_equal(getattr(made, table)[columns], getattr(ready, table)[columns])


@pytest.mark.parametrize("spread", [0.0, 0.15, 0.6, 1.0])
def test_an_overlay_scans_the_programming_spread(spread):
    made = card("memristive", cycle_relative_sd=spread)
    conductance = made.states["conductance_S"].to_numpy()
    step = np.diff(conductance).mean()
    mean = made.kernel @ conductance - conductance
    sd = np.sqrt(np.clip(made.kernel @ (conductance / step) ** 2 - (made.kernel @ (conductance / step)) ** 2, 0, None))
    middle = slice(10, 22)  # beyond nine spreads from the ends
    np.testing.assert_allclose(mean[:, middle] / step, np.broadcast_to([[1], [-1]], (2, 12)), atol=1e-9)
    np.testing.assert_allclose(sd[:, middle], spread, atol=1e-6)


def test_simulated_wire_trains_as_the_published_one():
    own, other = (section(name, "network") for name in ("nanowire_simulated", "nanowire_binary"))
    for name in [name for name in other["variants"] if name.startswith("two_layers")]:
        del other["variants"][name]
    assert json.dumps(own, sort_keys=True) == json.dumps(other, sort_keys=True)
    device = Simulations.parse(section("nanowire_simulated", "device_sims"), "nanowire_simulated")
    device.family.check(device)
    assert device.family.describe(device)["wall_kind"] == "transverse"


@pytest.mark.parametrize(("name", "least", "most"), [("mtj_ternary", 1e-3, 0.99), ("mtj_crossbar", 1e-3, 0.98)])
def test_junction_ladders_reach_from_hardly_ever_to_always(name, least, most):
    """By the Fokker-Planck equation; each rung counts enough writes, and the rarest are counted most."""
    own = Simulations.parse(section(name, "device_sims"), name)
    device, config = own.family, own.options
    pulses = device.pulses(own)
    writes = np.zeros(len(pulses), dtype=int)
    for chunk in sweep.plan_checked(own):
        writes[chunk.pulse] += chunk.replicas
    for direction, kind in pulses.groupby("direction"):
        longest = kind[kind["duration_s"] == kind["duration_s"].max()] if name == "mtj_crossbar" else kind
        rest = device.axial(config, direction, 0.0)
        rung = np.array(
            [
                device.fokker_planck(
                    rest,
                    device.axial(config, direction, one.voltage_V),
                    (one.rest_s, one.duration_s, one.relax_s),
                )
                for one in longest.itertuples()
            ]
        )
        assert (np.diff(rung) > 0).all() and rung[0] < least and rung[-1] > most
        # three switches are to be expected, but in the dead zone, where the floor is told
        counted = rung > 1e-4
        assert (writes[longest["pulse"]] * rung > 3)[counted].all()
        assert (0.5 / writes[longest["pulse"]][~counted] < 1e-4).all()
