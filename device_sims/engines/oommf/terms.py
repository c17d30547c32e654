"""The less common energy terms in ubermag's words: cubic and second anisotropy, bulk DMI, coupled layers.

* Exchange between layers is OOMMF's ``Oxs_Exchange6Ngbr`` with a region for each layer of cells: a bond of two regions
  has the stiffness that is given, of either sign, and the energy ``2 A/d (1 - m1.m2)`` per area, as ours.
* Across empty cells it is ``Oxs_TwoSurfaceExchange`` with ``sigma = J/2``: its energy density sigma (1 - m1.m2)/d is
  that of the cells on both sides, so that the surface has the energy ``2 sigma (1 - m1.m2)`` per area.
* ``Oxs_UniaxialAnisotropy`` with K < 0 has its zero in the plane, ours on the axis.
"""

from __future__ import annotations

from collections.abc import Iterator

import discretisedfield as df  # pyright: ignore[reportMissingImports]: ubermag is the user's own
import micromagneticmodel as mm  # pyright: ignore[reportMissingImports]: as above
import numpy as np

from device_sims.problem import Problem, couplings, material


def layers(problem: Problem) -> dict[str, df.Region]:
    """Return the box of each layer of cells, or none if no layers are coupled."""
    if not problem.couplings:
        return {}
    (x, y, _), dz = problem.mesh.size_m, problem.mesh.cell_m[2]
    return {f"layer_{k}": df.Region(p1=(0, 0, k * dz), p2=(x, y, (k + 1) * dz)) for k in range(problem.mesh.nz)}


def coupled(problem: Problem, mask: np.ndarray) -> mm.Energy:
    """Return the exchange of coupled layers; ``mask`` is ``bool[nz, ny, nx]``."""
    A = problem.material.A_J_per_m
    between = couplings.stiffness(problem, mask, A)[0]
    stiffness = {"default": A}
    for k in range(problem.mesh.nz - 1):
        strongest = between[k].flat[np.argmax(np.abs(between[k]))]
        stiffness[f"layer_{k}:layer_{k + 1}"] = float(strongest)
    energy = mm.Exchange(A=stiffness) + mm.Energy()
    for gap in couplings.gaps(problem, mask):
        parts = [f"layer_{gap.low}", f"layer_{gap.high}"]
        energy += mm.RKKY(sigma=gap.J_J_per_m2 / 2, subregions=parts, name="exchange_spacer")
    return energy


def others(problem: Problem, mask: np.ndarray, fields) -> Iterator[tuple[mm.EnergyTerm, float]]:
    """Yield the other terms, and the energy (J) that each lacks.

    Parameters
    ----------
    problem : Problem
    mask : bool[nz, ny, nx]
    fields : callable
        From ``float64[nz, ny, nx]`` or ``[3, nz, ny, nx]`` to ubermag's field.
    """
    own = problem.material
    if own.second_Ku_J_per_m3:
        K = own.second_Ku_J_per_m3
        lacks = min(K, 0.0) * float(mask.sum()) * problem.mesh.cell_volume_m3
        yield mm.UniaxialAnisotropy(K=K, u=own.second_axis, name="anisotropy_second"), lacks
    Kc1 = material.constants(problem, mask)["Kc1_J_per_m3"]
    if np.any(Kc1):
        axes = material.cubic_axes(problem)
        turned = axes.shape[2:] != (1, 1, 1)
        first, second = (fields(axis) if turned else tuple(axis.ravel().tolist()) for axis in axes)
        K = fields(Kc1) if isinstance(Kc1, np.ndarray) else Kc1
        yield mm.CubicAnisotropy(K=K, u1=first, u2=second, name="anisotropy_cubic"), 0.0
    if own.Dbulk_J_per_m2:
        yield mm.DMI(D=own.Dbulk_J_per_m2, crystalclass="T", name="dmi_bulk"), 0.0
