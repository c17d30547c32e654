"""Two moments, one above the other, that exert torques on each other: a free layer and a reference that is free too.

The equation of each is that of a single one; its spin polarisation is the other's direction. A current that turns the
first towards the second drives the second away from the first: electrons that have passed the one arrive polarised
along it at the other, and those that are turned back arrive polarised against it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from device_sims.engines.macrospin.physics import Spins, rate
from device_sims.problem import GAMMA0, MU0, Partner, Problem
from device_sims.problem.magnetostatics.body import volume_m3
from device_sims.problem.magnetostatics.stack import normal_factor


class Mutual(NamedTuple):
    """What two moments do to each other, numbers or arrays of lanes; fields times ``gamma0 dt``, radians per step."""

    stray_free: Any  # of the partner in the free layer, along the normal
    stray_partner: Any
    coupling_free: Any
    coupling_partner: Any
    torque: Any  # of a current on the partner over that on the free layer
    pinning: Any

    @property
    def on_free(self) -> float:
        """Bound of the fields on the free layer."""
        return abs(self.stray_free) + abs(self.coupling_free)

    @property
    def on_partner(self) -> float:
        """Bound of the fields on the partner."""
        return abs(self.stray_partner) + abs(self.coupling_partner) + abs(self.pinning)


class Pair(NamedTuple):
    """The lanes' two moments, and what they do to each other: a `Mutual` of arrays."""

    free: Spins
    partner: Spins
    mutual: Mutual


def of(problem: Problem) -> Partner:
    """Return the partner of a problem that has one."""
    assert problem.partner is not None
    return problem.partner


def second(problem: Problem) -> Problem:
    """Return the partner as a problem of its own, without the other."""
    other, own = of(problem), problem.material
    mesh = replace(problem.mesh, nz=1, cell_m=(*problem.mesh.cell_m[:2], other.thickness_m))
    material = replace(
        own, Ms_A_per_m=other.Ms_A_per_m, alpha=other.alpha, Ku_J_per_m3=other.Ku_J_per_m3, Ku2_J_per_m3=0.0,
        axis=(0.0, 0.0, 1.0), spin_hall_angle=own.spin_hall_angle * other.torque_ratio,
    )  # fmt: skip
    initial = replace(problem.initial, direction=other.direction)
    return replace(problem, mesh=mesh, material=material, initial=initial, partner=None)


def start(problem: Problem) -> np.ndarray:
    """Return the first directions, ``float64[3]``, with a partner ``float64[6]``."""
    directions = [problem.initial.direction, *([] if problem.partner is None else [problem.partner.direction])]
    return np.concatenate([np.array(one) / np.linalg.norm(one) for one in directions])


def mutual(problem: Problem) -> Mutual:
    """Return what the moments of a problem do to each other."""
    other, own, unit = of(problem), problem.material, GAMMA0 * problem.numerics.dt_s
    moment = own.Ms_A_per_m * problem.mesh.size_m[2]
    others = other.Ms_A_per_m * other.thickness_m
    factor = normal_factor(problem.geometry, problem.mesh, other.gap_m, other.thickness_m)
    stray = unit * factor if problem.numerics.demag else 0.0
    return Mutual(
        stray_free=stray * other.Ms_A_per_m,
        # by reciprocity: the fields go with the inverse of the thicknesses
        stray_partner=stray * own.Ms_A_per_m * problem.mesh.size_m[2] / other.thickness_m,
        coupling_free=unit * other.coupling_J_per_m2 / (MU0 * moment),
        coupling_partner=unit * other.coupling_J_per_m2 / (MU0 * others),
        torque=-other.torque_ratio * moment / others,
        pinning=unit * other.pinning_T / MU0,
    )


def energies(problem: Problem, m: np.ndarray) -> dict[str, np.ndarray]:
    """Return the energies that neither layer has alone, J, each ``[n]``; ``m`` is ``[n, 6]``."""
    other, free, partner = of(problem), m[:, :3], m[:, 3:]
    volume = volume_m3(problem.geometry, problem.mesh)
    area, fields = volume / problem.mesh.size_m[2], mutual(problem)
    unit = MU0 * problem.material.Ms_A_per_m * volume / (GAMMA0 * problem.numerics.dt_s)
    both = free * partner
    stray = both[:, 2] - (both[:, 0] + both[:, 1]) / 2
    pinned = other.Ms_A_per_m * other.pinning_T * area * other.thickness_m
    terms = {
        "exchange": -other.coupling_J_per_m2 * area * both.sum(1),
        "demag": -unit * fields.stray_free * stray,
        "zeeman": -pinned * partner[:, 2],
    }
    return {**terms, "total": sum(terms.values(), start=np.zeros(len(m)))}


def step(spin: Pair, at, m, noise, number):
    """Return both moments after a step, ``[6, lanes]``; ``at(number)`` are the drives of a step."""
    free, partner, between = spin
    fields = [free.noise * noise[i] for i in range(3)], [partner.noise * noise[3 + i] for i in range(3)]

    def rates(drives, m):
        one, two = m[:3], m[3:]
        shape = (-0.5, -0.5, 1.0)  # a stray field between discs on one axis has no trace
        on_one = [fields[0][i] + (between.stray_free * shape[i] + between.coupling_free) * two[i] for i in range(3)]
        on_two = [
            fields[1][i] + (between.stray_partner * shape[i] + between.coupling_partner) * one[i] for i in range(3)
        ]
        on_two[2] = on_two[2] + between.pinning
        others = [jnp.ones_like(drives[0]), between.torque * drives[1], *drives[2:]]
        return [
            *rate(free._replace(p=two), drives, one, on_one),
            *rate(partner._replace(p=one), others, two, on_two),
        ]

    m = [m[i] for i in range(6)]
    k1 = rates(at(number), m)
    k2 = rates(at(number + 1), [m[i] + k1[i] for i in range(6)])
    m = [m[i] + (k1[i] + k2[i]) / 2 for i in range(6)]
    norms = [jnp.sqrt(sum(m[i] * m[i] for i in range(first, first + 3))) for first in (0, 3)]
    return jnp.stack([m[i] / norms[i // 3] for i in range(6)])
