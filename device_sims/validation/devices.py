"""Devices by their fast model and by micromagnetics: what the fast model costs.

These rows show differences; a tolerance says what is meant by "agrees", and a miss that the model does not hold there.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest

from device_sims import engines
from device_sims.common import Simulations
from device_sims.config import Stage
from device_sims.devices import stt_mtj
from device_sims.devices.junctions import mtj
from device_sims.engines.llg import ensemble
from device_sims.validation import Curve, Row, same_writes

ALARM = 1e-3


def junction(diameter_m: float, temperature_K: float, voltages: tuple, replicas: int, numerics: dict) -> Simulations:
    """Return the simulations of a junction as in configs/stt_mtj.yaml, in one direction."""
    section = {
        "seed": 41,
        "engine": "macrospin",
        "device": "stt_mtj",
        "stt_mtj": {
            "layer": {"diameter_m": diameter_m, "thickness_m": 1.1e-9, "cell_m": 2.5e-9},
            "material": {"Ms_A_per_m": 1.2e6, "A_J_per_m": 2e-11, "Ku_J_per_m3": 9.142e5, "alpha": 0.03},
            "junction": {
                "polarisation": 0.61,
                "RA_ohm_m2": 9.8e-12,
                "TMR": 1.2,
                "slonczewski_lambda": 1.0,
                "field_like_ratio": 0.0,
            },
            "spread": {"Ku_relative_sd": 0.0},
            "stray_field_T": 0.0,
            "wait": {"rest_s": 5e-10, "relax_s": 1e-9},
            "temperature_K": temperature_K,
            "pulses": {"directions": ["P_to_AP"], "voltages_V": list(voltages), "durations_s": [2e-9]},
        },
        "sweep": {"instances": 1, "replicas_per_instance": replicas, "instances_per_chunk": 1},
        "numerics": {"precision": "float32", "record_interval_s": 5e-10, **numerics},
    }
    return Stage.parse(section, "validation")


def switched(section: Simulations, engine: str) -> list[int]:
    """Return how many replicas of each pulse switch."""
    counts = []
    for batch in stt_mtj.batches(section):
        problems = batch.problems()
        # small discs: many of them fit into the cache, and one program for all saves the overhead of each
        results = ensemble.run(problems, batch=True) if engine == "llg" else engines.run(engine, problems)
        counts.append(sum(stt_mtj.observe(batch, p, r)[0]["switched"] for p, r in zip(problems, results)))
    return counts


def _switching(diameter_m: float, temperature_K: float, voltages: tuple, replicas: int):
    nm = f"{diameter_m * 1e9:g} nm"
    fast = junction(diameter_m, temperature_K, voltages, 1024, {"integrator": "heun", "dt_s": 1e-12})
    slow = junction(diameter_m, temperature_K, voltages, replicas, {"integrator": "fdr4", "dt_s": 2.5e-13})
    options = fast.options
    by_moment, by_cells = switched(fast, "macrospin"), switched(slow, "llg")
    rest, wait = stt_mtj.axial(options, "P_to_AP", 0.0), options.wait
    times = (wait.rest_s, 2e-9, wait.relax_s)
    exact = [stt_mtj.fokker_planck(rest, stt_mtj.axial(options, "P_to_AP", v), times) for v in voltages]
    for v, k, n, p in zip(voltages, by_moment, by_cells, exact):
        name = f"junction {nm}, {temperature_K:g} K, {v:g} V"
        note = f"{k} of 1024 switch, the equation says {p:.3f}"
        test = float(binomtest(k, 1024, p).pvalue)
        source = "Fokker-Planck equation"
        yield Row(name, "macrospin engine: binomial test", None, source, test, ALARM, "p_value", note)
        share = k / 1024
        error = math.sqrt(max(share * (1 - share), 1 / replicas) / replicas)
        note = f"tolerance: 0.05 for the model and three standard errors of {replicas} replicas"
        yield Row(name, "micromagnetic P_sw", share, "macrospin engine", n / replicas, 0.05 + 3 * error, note=note)
    panel = f"disc of {nm}, 2 ns, P to AP, {temperature_K:g} K, Delta {mtj.stability(options):.0f}"
    points = list(voltages)
    yield Curve("switching", panel, "macrospin, 1024 replicas", points, [k / 1024 for k in by_moment], "o", 0)
    yield Curve("switching", panel, f"disc, {replicas} replicas", points, [n / replicas for n in by_cells], "s", 1)
    yield Curve("switching", panel, "Fokker-Planck, macrospin", points, exact, "-", 2)


def junction_cold():
    """A tenth of the temperature: the disc's own spin waves, which soften its anisotropy, are a tenth as well."""
    yield from _switching(20e-9, 30.0, (1.3, 1.5, 1.7), 32)


def junction_warm():
    yield from _switching(20e-9, 300.0, (0.6, 0.9, 1.2), 32)


def junction_40nm():
    yield from _switching(40e-9, 300.0, (0.9, 1.2), 16)


def racetrack(voltages: tuple, temperature_K: float, replicas: int) -> Simulations:
    """Return the simulations of the default study's racetrack, short and with straight edges."""
    section = {
        "seed": 42,
        "engine": "llg",
        "device": "domain_wall",
        "domain_wall": {
            "track": {"length_m": 320e-9, "width_m": 60e-9, "thickness_m": 1e-9, "cell_m": 4e-9},
            "material": {
                "Ms_A_per_m": 1e6,
                "A_J_per_m": 2e-11,
                "Ku_J_per_m3": 8.8e5,
                "D_J_per_m2": 1.1e-3,
                "alpha": 0.3,
            },
            "gate": {
                "mechanism": "vcma",
                "vcma_coefficient_J_per_V_m": 2.5e-13,
                "dielectric_thickness_m": 1.5e-9,
            },
            "sot": {
                "current_density_A_per_m2": 3.5e11,
                "duration_s": 1e-9,
                "spin_hall_angle": -0.1,
                "field_like_ratio": 0.0,
            },
            "roughness": {"rms_m": 0.0, "correlation_length_m": 2e-8},
            "notches": {"positions_m": [], "depth_m": 0.0, "width_m": 2e-8},
            "wall": {"start_m": 80e-9, "rest_s": 1e-10, "settle_s": 3e-10},
            "temperature_K": temperature_K,
            "write_mode": "reset",
            "pulses": {"voltages_V": list(voltages), "start_positions_m": [], "polarities": [1]},
        },
        "sweep": {"instances": 1, "replicas_per_instance": replicas, "instances_per_chunk": 1},
        "numerics": {
            "integrator": "fdr4",
            "dt_s": 5e-13,
            "precision": "float32",
            "record_interval_s": 1e-10,
        },
    }
    return Stage.parse(section, "validation")


def _collective(voltages: tuple, temperature_K: float, replicas: int):
    section = racetrack(voltages, temperature_K, replicas)
    table = same_writes.compare(section, "final_position_m")
    start = section.options.wall.start_m
    cells, model = ((table[f"mean_{engine}"] - start) * 1e9 for engine in ("llg", "collective"))
    kelvin = f"{temperature_K:g} K"
    for k, v in enumerate(voltages):
        error = table["standard_error"][k] * 1e9
        error = error if math.isfinite(error) else 0.0  # a single replica has none
        tolerance = 0.15 * abs(cells[k]) + 3 * error
        note = "tolerance: 15 % of the distance" + (f" and 3 x {error:.1f} nm of scatter" if error else "")
        name = f"racetrack {v:g} V, {kelvin}"
        source = "micromagnetics" + (f", {replicas} replicas" if replicas > 1 else "")
        yield Row(
            name,
            "distance by the 1-D model (nm)",
            float(cells[k]),
            source,
            float(model[k]),
            float(tolerance),
            note=note,
        )
        if replicas > 1:
            note = f"sd {table['sd_llg'][k] * 1e9:.1f} nm by micromagnetics"
            yield Row(name, "sd by the 1-D model / sd", 1.0, source, float(table["sd_ratio"][k]), 2.0, "factor", note)
    for label, values, style, colour in (("micromagnetics", cells, "s-", 1), ("1-D model", model, "o--", 0)):
        yield Curve(
            "collective",
            f"domain wall, 1 ns, {kelvin}",
            label,
            list(voltages),
            np.asarray(values).tolist(),
            style,
            colour,
        )


def collective_still():
    yield from _collective((1.25, 0.05, -0.55, -1.0, -1.25), 0.0, 1)


def collective_hot():
    yield from _collective((1.25, -0.55, -1.25), 300.0, 12)


CHECKS = (junction_cold, junction_warm, junction_40nm, collective_still, collective_hot)
QUICK = ()
