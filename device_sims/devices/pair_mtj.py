"""Junction written by its current whose reference layer is free too: both moments turn, and the relative one is read.

The junction of `stt_mtj` with a second moment above the free layer. A current that turns the free layer towards the
reference drives the reference away from the free layer, so that beyond a current of its own the reference leaves: after
AP to P comes P to AP, by the other layer, at the same polarity (back-hopping). What is read is the angle between the
two, mz here: P is parallel, wherever both point.

Voltages have signs, positive towards P, and each is written from both states, so that no row of a card is assumed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pydantic import Field

from device_sims.common import Simulations
from device_sims.devices import Batch, planning, stt_mtj
from device_sims.devices.junctions import mtj
from device_sims.devices.junctions.mtj import AXES, BODY, KEYS, PULSE_COLUMNS, TRAJECTORY_COLUMNS  # noqa: F401
from device_sims.engines import Result
from device_sims.problem import ELEMENTARY_CHARGE, HBAR, MU0, Partner, Problem
from device_sims.problem.magnetostatics.body import demag_tensor
from device_sims.problem.magnetostatics.stack import normal_factor
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.write_events import Energy, Heat, Writes

EVENT_COLUMNS = {
    **mtj.EVENT_COLUMNS,
    "reference_mz_final": pa.Column(float, pa.Check.between(-1.001, 1.001)),
}
SUMMARY_COLUMNS = {
    **mtj.SUMMARY_COLUMNS,
    "reference_turned": pa.Column(int, pa.Check.ge(0)),
    "critical_voltage_V": pa.Column(float, pa.Check.gt(0)),
    "reference_critical_voltage_V": pa.Column(float, pa.Check.gt(0)),
}


class FreeReference(Section):
    """The reference layer above the free layer, with the same outline."""

    thickness_m: Real = key("Thickness of the reference layer.", gt=0, le=1e-07)
    gap_m: Real = key("Thickness of the barrier between the two layers.", gt=0, le=1e-07)
    Ms_A_per_m: Real = key("Saturation magnetisation of the reference layer.", ge=1000, le=2500000)
    Ku_J_per_m3: Real = key("Uniaxial anisotropy of the reference layer, along the normal.", gt=0, le=100000000.0)
    alpha: Real = key("Gilbert damping of the reference layer.", gt=0, le=1)
    torque_ratio: Real = key(
        "Efficiency of the torque on the reference layer divided by that on the free layer.", 1, ge=0, le=10
    )
    coupling_J_per_m2: Real = key(
        "Coupling J of the two layers. The energy per area is -J m1.m2.", 0, ge=-0.01, le=0.01
    )
    pinning_T: Real = key(
        "Field along the normal that pins the reference layer and acts on it alone. Up is positive.", 0, ge=-10, le=10
    )


class Pulses(mtj.Pulses):
    """The pulses of the sweep: all combinations of these lists."""

    voltages_V: tuple[Annotated[Real, Field(ge=-100, le=100)], ...] = key(
        "Voltages. A positive voltage turns the free layer parallel to the reference layer.",
        min_length=1,
        max_length=1000,
    )


class Options(mtj.Options):
    """Junction written by spin-transfer torque, whose reference layer can turn too (docs/mtj.md)."""

    junction: stt_mtj.Junction = key("The tunnel junction.")
    free_reference: FreeReference = key("The reference layer above the free layer, with the same outline.")
    stray_field_T: Real = key(
        "Field along the normal that acts on both layers, for example from other layers. Up is positive.",
        0,
        ge=-10,
        le=10,
    )
    pulses: Pulses = key("The pulses of the sweep: all combinations of these lists.")


# -- what is known without a simulation ----------------------------------------------------------------------------
def critical_voltages(options: Options, direction: str) -> tuple[float, float]:
    """Return the amplitudes at which the free layer and the reference lose their stability at T = 0, V.

    Each beside the other at rest: ``alpha (Hk + H)`` over the torque's field per volt, with the field H along it.
    The free layer leaves P at a negative voltage and AP at a positive one, the reference the other way round. Layers
    that precess at nearly one frequency hold each other, and are lost at more than this.
    """
    (mesh, shape), junction = mtj.disc(options.layer), options.junction
    square, side = junction.slonczewski_lambda**2, mtj.DIRECTIONS[direction]
    start = 2 * square / (square + 1 + side * (square - 1))
    reference, outside = options.free_reference, options.stray_field_T / MU0
    factor = normal_factor(shape, mesh, reference.gap_m, reference.thickness_m)
    found = []
    for free in (True, False):
        own, other = (_layer(options, one) for one in (free, not free))
        moment = own.Ms_A_per_m * own.thickness_m
        n = demag_tensor(shape, replace(mesh, cell_m=(*mesh.cell_m[:2], own.thickness_m)))
        Hk = 2 * own.Ku_J_per_m3 / (MU0 * own.Ms_A_per_m) - (n[2, 2] - n[0, 0]) * own.Ms_A_per_m
        # by reciprocity the mean field of one layer in the other goes with the inverse of the other's thickness
        reach = factor if free else factor * options.layer.thickness_m / own.thickness_m
        between = reach * other.Ms_A_per_m + reference.coupling_J_per_m2 / (MU0 * moment)
        along = side * (outside + between) if free else reference.pinning_T / MU0 + outside + side * between
        ratio = 1.0 if free else reference.torque_ratio
        torque = HBAR * stt_mtj.efficiency(junction) * ratio / junction.RA_ohm_m2
        torque *= start * (1 + own.alpha * junction.field_like_ratio) / (2 * ELEMENTARY_CHARGE * MU0 * moment)
        found.append(float(own.alpha * (Hk + along) / torque) if torque else math.inf)
    return found[0], found[1]


class _Constants(NamedTuple):
    """What both layers have."""

    thickness_m: float
    Ms_A_per_m: float
    Ku_J_per_m3: float
    alpha: float


def _layer(options: Options, free: bool) -> _Constants:
    body = options.material if free else options.free_reference
    thickness = options.layer.thickness_m if free else options.free_reference.thickness_m
    return _Constants(thickness, body.Ms_A_per_m, body.Ku_J_per_m3, body.alpha)


# -- the protocol --------------------------------------------------------------------------------------------------
def check(section: Simulations) -> None:
    """Check what a declaration cannot; errors as of `mtj.check`, and layers that do not hold their states."""
    options, where = section.options, f"device_sims.{section.device}"
    mtj.check(section, _problem)
    for direction in mtj.DIRECTIONS:
        for found, layer in zip(critical_voltages(options, direction), ("material", "free_reference")):
            if found <= 0:
                raise UserError(
                    f"{where}.{layer}: found constants and fields with which the layer does not stay in the start "
                    f"state {direction}, allowed: an anisotropy field that exceeds the opposing fields"
                )


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse; see `mtj.pulses`."""

    def drives(direction: str, voltage: float) -> dict[str, float]:
        current = voltage / section.options.junction.RA_ohm_m2
        return {"voltage_V": voltage, "current_density_A_per_m2": current, "Ku_change_J_per_m3": 0.0}

    return mtj.pulses(section, drives)


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance; the same for every engine."""
    return planning.batches(section, mtj.plan(section.options), _problem)


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a write.

    ``mz`` is the cosine of the angle between the two layers, ``mx`` and ``my`` are the free layer's.
    """
    free, reference = (np.asarray(result.m[:, :, layer, 0, 0], np.float64) for layer in (0, 1))
    relative = np.stack([free[:, 0], free[:, 1], (free * reference).sum(1)], 1)[:, :, None, None, None]
    row, record = mtj.observe(batch, problem, replace(result, m=relative, mask=np.ones((1, 1, 1), bool)))
    return {**row, "reference_mz_final": float(reference[-1, 2])}, record


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of each pulse, how often the reference ended down, and both layers' critical voltages."""
    options = section.options
    turned = (events["reference_mz_final"] < 0).groupby(events["pulse"]).sum()
    critical = [critical_voltages(options, direction) for direction in pulses["direction"].tolist()]
    own = {
        "reference_turned": pulses["pulse"].map(turned).to_numpy().astype("int64"),
        "critical_voltage_V": [free for free, _ in critical],
        "reference_critical_voltage_V": [reference for _, reference in critical],
    }
    return mtj.ordered(mtj.summarise(options, pulses, events).assign(**own), SUMMARY_COLUMNS)


def describe(section: Simulations) -> dict:
    """Return what there is to know of the junction."""
    own = {}
    for direction in mtj.DIRECTIONS:
        free, reference = critical_voltages(section.options, direction)
        own |= {f"critical_voltage_{direction}_V": free, f"reference_critical_voltage_{direction}_V": reference}
    return {**mtj.describe(section), **own}


def writes(section: Simulations) -> Writes:
    """Return what the write events mean; each pulse is written from both states, and no barrier is told."""
    energy = Energy(junction=Heat(mz="mz_pulse_mean"))
    means = mtj.writes(section, "junction", favours=False, energy=energy, critical_V=None)
    # which of the two layers is lost first, and over which pass, is not computed
    return means.model_copy(update={"barrier": None})


def _partner(options: Options) -> Partner:
    return Partner(**options.free_reference.model_dump())


def _problem(section: Simulations, plan: mtj.Plan, instance: int) -> Problem:
    options, (direction, voltage, _) = section.options, plan
    junction = options.junction
    body = mtj.material(
        section,
        instance,
        spin_hall_angle=stt_mtj.efficiency(junction),
        field_like_ratio=junction.field_like_ratio,
        slonczewski_lambda=junction.slonczewski_lambda,
    )
    drives = {"current_density_A_per_m2": voltage / junction.RA_ohm_m2}
    power_W = mtj.power_W(options, direction, voltage)
    field = (0.0, 0.0, options.stray_field_T)
    return replace(mtj.problem(section, plan, instance, body, drives, field, power_W), partner=_partner(options))
