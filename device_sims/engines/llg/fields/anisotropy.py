"""Uniaxial anisotropy, w = Ku f(t) s + Ku2 s^2 with s = 1 - (m.u)^2 and u the axis; f also by region.

The axis may differ from cell to cell. A second anisotropy has a Ku and an axis of its own, uniform and constant.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from device_sims.engines.llg.fields import Coefficient, Scalar, Triple
from device_sims.problem import MU0, Problem, Vector, material
from spinloom.errors import UserError


class Coefficients(NamedTuple):
    """What the field needs of the material."""

    ku: Coefficient  # 2 Ku / (mu0 Ms0 Ms)
    ku2: Coefficient  # 4 Ku2 / (mu0 Ms0 Ms)
    regions: Float[Array | np.ndarray, "driven nz ny nx"]  # 0 or 1
    axis: Float[Array | np.ndarray, "3 nz ny nx"]  # of one cell for all if it is the same


def prepare(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> Coefficients:
    """Return the reduced strengths, and where the regions lie that are driven by name.

    Raises
    ------
    UserError
        If a phase drives a region that the problem does not have.
    """
    unit = 1 / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    regions = {region.name: region for region in problem.regions}
    unknown = sorted(set(driven_regions(problem)) - set(regions))
    if unknown:
        raise UserError(f"schedule.region_Ku_factors: found {unknown[0]}, allowed: the names of regions")
    driven = [material.region_mask(problem.mesh, regions[name]) for name in driven_regions(problem)]
    return Coefficients(
        2 * constants["Ku_J_per_m3"] * unit,
        4 * problem.material.Ku2_J_per_m3 * material.part(problem, mask) * unit,
        np.stack(driven).astype(float) if driven else np.zeros((0, 1, 1, 1)),
        material.axis(problem),
    )


def second(problem: Problem, constants: dict, mask: Bool[np.ndarray, "nz ny nx"]) -> Coefficient:
    """Return the reduced Ku of the second anisotropy."""
    unit = material.part(problem, mask) / (MU0 * problem.material.Ms_A_per_m * constants["Ms_A_per_m"])
    return 2 * problem.material.second_Ku_J_per_m3 * unit


def driven_regions(problem: Problem) -> tuple[str, ...]:
    """Return the names of the regions whose Ku any phase drives, sorted."""
    return tuple(sorted({name for phase in problem.schedule for name, _ in phase.region_Ku_factors}))


def strength(
    coefficients: Coefficients, factor: Scalar, region_factors: Float[Array | np.ndarray, " driven"]
) -> Coefficient:
    """Return the reduced Ku under the drives of a moment."""
    ku = coefficients.ku * factor
    for index in range(coefficients.regions.shape[0]):
        ku = ku * (1 + coefficients.regions[index] * (region_factors[index] - 1))
    return ku


def field(m: Triple, ku: Coefficient, coefficients: Coefficients, axis: Vector | None, fourth: bool) -> Triple:
    """Return the reduced anisotropy field.

    ``ku`` is `strength`, ``fourth`` whether there is a Ku2; ``axis`` is None if it differs from cell to cell.
    """
    if axis is not None and tuple(axis) == (0.0, 0.0, 1.0):
        c = m[2]
        zero = jnp.zeros_like(c)
        return zero, zero, (ku + coefficients.ku2 * (1 - c * c)) * c if fourth else ku * c
    u = coefficients.axis if axis is None else axis
    c = u[0] * m[0] + u[1] * m[1] + u[2] * m[2]
    along = (ku + coefficients.ku2 * (1 - c * c)) * c if fourth else ku * c
    return u[0] * along, u[1] * along, u[2] * along


def density(
    m: Float[np.ndarray, "3 nz ny nx"], ku: Coefficient, ku2: Coefficient, axis: Float[np.ndarray, "3 ..."]
) -> Float[np.ndarray, "nz ny nx"]:
    """Return the energy density over ``mu0 Ms0 Ms``, in float64; zero along the axis."""
    ku, ku2 = (np.asarray(value, np.float64) for value in (ku, ku2))
    along = np.tensordot(axis, m, 1) if axis.ndim == 1 else (axis * m).sum(0)
    s = 1 - along**2
    return ku / 2 * s + ku2 / 4 * s * s
