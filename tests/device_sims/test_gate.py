"""Gates of a track: the change of anisotropy by charge and by strain, and what contradicts."""

import copy
import re

import numpy as np
import pytest

from device_sims.config import Stage
from device_sims.devices import domain_wall
from device_sims.sweep import chunk, sweep
from spinloom.errors import UserError

STRAIN = {"magnetostriction": 2.5e-4, "stress_Pa_per_V": 1e8, "thickness_m": 1e-7, "relative_permittivity": 1000.0}


def edited(section, **groups):
    """Return the section with keys of the family's groups replaced, checked; None takes the place of a value."""
    content = copy.deepcopy(section.dump())
    for group, keys in groups.items():
        content["domain_wall"][group] |= keys
    own = Stage.parse(content, "a test")
    domain_wall.check(own)
    return own


def strained(section, stresses_Pa, **strain):
    return edited(
        section,
        gate={
            "mechanism": "strain",
            "vcma_coefficient_J_per_V_m": None,
            "dielectric_thickness_m": None,
            "strain": {**STRAIN, **strain},
        },
        pulses={"voltages_V": None, "stresses_Pa": stresses_Pa},
    )


def test_vcma_by_hand(section):
    """0.9 V at 100 fJ/(V m) over 1 nm of dielectric and 1 nm of film: 9e4 J/m3, up with the voltage."""
    assert domain_wall.Ku_change(section.options, 0.9) == pytest.approx(9e4, abs=0, rel=1e-9)


def test_strain_has_the_size_of_its_closed_form(section):
    """3/2 lambda_s sigma: 100 MPa and 250 ppm make 3.75e4 J/m3, and the engine sees it during the pulse alone."""
    own = strained(section, [1e8, -4e7])
    pulses = domain_wall.pulses(own)
    assert list(pulses["voltage_V"]) == [1.0, -0.4]
    assert list(pulses["Ku_change_J_per_m3"]) == pytest.approx([3.75e4, -1.5e4], abs=0, rel=1e-12)
    for batch in domain_wall.batches(own):
        rest, pulse, settle = batch.problem.schedule
        assert rest.Ku_factor == settle.Ku_factor == 1
        seen = pulse.Ku_factor * batch.problem.material.Ku_J_per_m3
        assert seen == pytest.approx(8e5 + (3.75e4, -1.5e4)[batch.pulse], abs=0, rel=1e-12)
    softer = strained(section, [1e8], magnetostriction=-2.5e-5)
    assert domain_wall.pulses(softer)["Ku_change_J_per_m3"][0] == pytest.approx(-3.75e3, abs=0, rel=1e-12)


def test_the_sign_of_a_stress_is_that_of_the_magnetoelastic_energy(section):
    """-3/2 lambda_s sigma cos^2 for each axis under tension, from m along the normal to m in the plane.

    Tension along the normal makes the normal easier, tension along both axes of the plane makes it harder by as much.
    """
    lambda_s, sigma = 2.5e-4, 6e7
    normal, plane = np.eye(3)[2], np.eye(3)[0]

    def energy(m, stress_Pa):
        return -1.5 * lambda_s * np.sum(stress_Pa * m**2)

    along, within = np.array([0.0, 0.0, sigma]), np.array([sigma, sigma, 0.0])
    raised = energy(plane, along) - energy(normal, along)
    lowered = energy(plane, within) - energy(normal, within)
    changes = domain_wall.pulses(strained(section, [sigma, -sigma]))["Ku_change_J_per_m3"]
    assert list(changes) == pytest.approx([raised, lowered], abs=0, rel=1e-12) and raised > 0 > lowered


@pytest.mark.long
def test_a_stress_and_a_charge_of_one_size_are_one_to_the_byte(section, tmp_path):
    """Powers of two, so that both ways are exact; the constants of the charge say nothing to an engine."""
    change = 1.5 * 2.0**15  # 4.9e4 J/m3
    strain = strained(section, [-(2.0**27), 2.0**27], magnetostriction=2.0**-12, stress_Pa_per_V=2.0**28)
    charge = edited(
        section,
        gate={"vcma_coefficient_J_per_V_m": 1.5 * 2.0**-44, "dielectric_thickness_m": 2.0**-30},
        track={"thickness_m": 2.0**-30},
    )
    strain = edited(strain, track={"thickness_m": 2.0**-30})
    for own in (strain, charge):
        assert list(domain_wall.pulses(own)["Ku_change_J_per_m3"]) == [-change, change]
    ours, theirs = sweep.plan(strain), sweep.plan(charge)
    assert [one.chunk_hash for one in ours] == [one.chunk_hash for one in theirs]
    for name, one in (("strain", ours[0]), ("charge", theirs[0])):
        chunk.run(one, tmp_path / name)
    for one, other in zip(ours[0].paths(tmp_path / "strain"), theirs[0].paths(tmp_path / "charge"), strict=True):
        assert one.read_bytes() == other.read_bytes()
    # and another size is another chunk
    assert sweep.plan(strained(section, [2e7]))[0].chunk_hash != sweep.plan(strained(section, [2.1e7]))[0].chunk_hash


def test_what_a_write_charges_is_the_piezoelectric(section):
    means = domain_wall.writes(strained(section, [1e8]))
    plates = means.energy.gate
    assert plates is not None and plates.dump() == {
        "area_m2": pytest.approx(96e-9 * 24e-9, abs=0, rel=1e-12),
        "dielectric_thickness_m": 1e-7,
        "relative_permittivity": 1000.0,
    }
    before = domain_wall.writes(section).energy.gate
    assert before is not None and "relative_permittivity" not in before.dump()  # calibration's, as before
    assert domain_wall.describe(strained(section, [1e8]))["gate_magnetostriction"] == 2.5e-4


VCMA = {"mechanism": "vcma"}
NO_CHARGE = {"vcma_coefficient_J_per_V_m": None, "dielectric_thickness_m": None}


@pytest.mark.parametrize(
    "gate, pulses, message",
    [
        ({"mechanism": "strain"}, {}, "gate: vcma_coefficient_J_per_V_m: found a value with mechanism strain"),
        ({"mechanism": "strain", **NO_CHARGE}, {}, "gate: strain: found null with mechanism strain, allowed: a value"),
        ({"mechanism": "strain", **NO_CHARGE, "dielectric_thickness_m": 1e-9, "strain": STRAIN}, {}, "allowed: null"),
        ({"strain": STRAIN}, {}, "gate: strain: found a value with mechanism vcma, allowed: null"),
        ({"dielectric_thickness_m": None}, {}, "dielectric_thickness_m: found null with mechanism vcma"),
        ({"magnetostriction": 2.5e-4}, {}, "gate: found unknown key 'magnetostriction'"),
        ({}, {"stresses_Pa": [1e7]}, "pulses: found voltages_V and stresses_Pa, allowed: exactly one of"),
        ({}, {"voltages_V": None}, "pulses: found neither voltages_V nor stresses_Pa, allowed: exactly one of"),
        ({}, {"voltages_V": None, "stresses_Pa": [1e7]}, "pulses.stresses_Pa: found with a gate that exerts no stress"),
        (
            {"mechanism": "strain", **NO_CHARGE, "strain": {**STRAIN, "stress_Pa_per_V": 0.0}},
            {"voltages_V": None, "stresses_Pa": [1e7]},
            "pulses.stresses_Pa: found with a gate that exerts no stress",
        ),
        (
            {"mechanism": "strain", **NO_CHARGE, "strain": STRAIN},
            {"voltages_V": None, "stresses_Pa": [-9e8]},
            "pulses.stresses_Pa: found -9 V, which changes Ku by -3.38e+05 J/m3 and turns the film's easy axis",
        ),
        (
            {"mechanism": "strain", **NO_CHARGE, "strain": STRAIN},
            {"voltages_V": None, "stresses_Pa": [1e7, 1e7]},
            "pulses.stresses_Pa: found [10000000.0, 10000000.0], allowed: each value once",
        ),
    ],
)  # fmt: skip
def test_contradictions_are_refused(section, gate, pulses, message):
    with pytest.raises(UserError, match=re.escape(message)):
        edited(section, gate=gate, pulses=pulses)
