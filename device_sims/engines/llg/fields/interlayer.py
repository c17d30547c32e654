"""Coupling of two layers across empty cells: -J m1.m2 per area (RKKY, of either sign), a field J m2/(mu0 Ms d) on 1.

As in OOMMF's ``Oxs_TwoSurfaceExchange`` (whose sigma is J/2) the energy is zero for parallel moments, so each field has
its cell's own m subtracted, which turns nothing. Layers that touch are coupled by the bond between them
(`exchange.py`).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from device_sims.engines.llg.fields import Triple
from device_sims.problem import MU0, Problem, couplings


class Pair(NamedTuple):
    """A coupling's strength in each column, J / (mu0 Ms0 Ms d), 0 where it does not act."""

    on_low: Float[Array | np.ndarray, "ny nx"]
    on_high: Float[Array | np.ndarray, "ny nx"]


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> list[Pair]:
    """Return the strengths of each coupling of `layers`; devices of one family have as many."""
    ms = np.broadcast_to(constants["Ms_A_per_m"], mask.shape)
    unit = 1 / (MU0 * problem.material.Ms_A_per_m * problem.mesh.cell_m[2])
    acting = {gap.place: gap.part for gap in couplings.gaps(problem, mask)}
    pairs = []
    for place, low, high, J in layers(problem):
        part = acting.get(place, np.zeros(mask.shape[1:]))
        pairs.append(Pair(part * J * unit / ms[low], part * J * unit / ms[high]))
    return pairs


def layers(problem: Problem) -> list[tuple[int, int, int, float]]:
    """Return place, the two layers and J of each coupling of layers that do not touch."""
    return [
        (place, *coupling.layers, coupling.J_J_per_m2 or 0.0)
        for place, coupling in enumerate(problem.couplings)
        if coupling.layers is not None and coupling.layers[1] > coupling.layers[0] + 1
    ]


def field(m: Triple, pairs: list[Pair], where: list[tuple[int, int]]) -> Triple:
    """Return the reduced field; ``where`` has the two layers of each pair."""
    fields = [jnp.zeros_like(c) for c in m]
    for pair, (low, high) in zip(pairs, where):
        for i, c in enumerate(m):
            change = c[high] - c[low]
            fields[i] = fields[i].at[low].add(pair.on_low * change).at[high].add(-pair.on_high * change)
    return fields[0], fields[1], fields[2]
