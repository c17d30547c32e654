"""`couplings` and `grains` of a problem file: exchange between parts, and a film of grains."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from device_sims.problem import Problem, parts
from device_sims.problem.problem_file.common import given_of
from spinloom.declare import Flag, Real, Section, Whole, key
from spinloom.errors import UserError

STRENGTHS = ("factor", "A_J_per_m", "J_J_per_m2")


class Coupling(Section):
    """Exchange across the faces where two parts touch: one of factor, A and J."""

    regions: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] | None = key(
        "Names of two regions, or of one, for its faces to all that lies outside of it.",
        absent=True,
        min_length=1,
        max_length=2,
    )
    layers: tuple[Annotated[Whole, Field(ge=0)], ...] | None = key(
        "Two layers of cells, counted from 0 at the bottom; there may be empty cells in between.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    factor: Real | None = key(
        "Factor on the exchange there, mumax3's ext_ScaleExchange.", absent=True, ge=-1000, le=1000
    )
    A_J_per_m: Real | None = key(
        "Exchange stiffness there, mumax3's ext_InterExchange.", absent=True, ge=-1e-9, le=1e-9
    )
    J_J_per_m2: Real | None = key(
        "Surface energy there in place of exchange, -J m1.m2 per area; below 0 moments align antiparallel.",
        absent=True,
        ge=-0.1,
        le=0.1,
    )


class Grains(Section):
    """Voronoi grains."""

    size_m: Real = key("Root of the mean area of a grain.", gt=0, le=1e-5)
    instance: Whole = key("Number of the fabricated device.", 0, ge=0)
    Ku_spread: Real = key("Standard deviation of Ku from grain to grain, relative.", 0, ge=0, le=1)
    Kc1_spread: Real = key("The same of Kc1.", 0, ge=0, le=1)
    Ms_spread: Real = key("The same of Ms.", 0, ge=0, le=1)
    tilt_rad: Real = key(
        "Standard deviation of the lean of the easy axis in each of two directions at right angles to it.",
        0,
        ge=0,
        le=3,
    )
    random_cubic_axes: Flag = key("Whether the cubic axes of each grain point any way.", False)
    exchange_factor: Real = key("Factor on exchange across boundaries of grains.", 1, ge=-1, le=10)


def coupling_of(given: Coupling, index: int) -> parts.Coupling:
    """Return coupling number ``index``; `UserError` if it says not one place and one strength."""
    said, where = given_of(given), f"couplings.{index}"
    for keys in (("regions", "layers"), STRENGTHS):
        found = [name for name in keys if name in said]
        if len(found) != 1:
            raise UserError(
                f"{where}: found {' and '.join(found) or 'none'} of {', '.join(keys)}, allowed: exactly one of them"
            )
    if given.layers is not None:
        low, high = given.layers
        return parts.Coupling(layers=(low, high), **{name: said[name] for name in STRENGTHS if name in said})
    return parts.Coupling(**said)


def grains_of(given: Grains, seed: int) -> parts.Grains:
    """Return the grains."""
    return parts.Grains(seed=seed, **given.model_dump())


def check_grains(problem: Problem, constants: dict) -> None:
    """Check that what grains spread is there; ``constants`` are those of `material.constants`.

    Raises
    ------
    UserError
        Naming the key that does nothing.
    """
    if problem.grains is None:
        return
    needs = {"Ku_spread": "Ku", "tilt_rad": "Ku", "Kc1_spread": "Kc1", "random_cubic_axes": "Kc1"}
    for name, constant in needs.items():
        found = getattr(problem.grains, name)
        if found and not np.any(constants[f"{constant}_J_per_m3"]):
            raise UserError(
                f"grains.{name}: found {found} with {constant}_J_per_m3 0, where it has no effect, allowed: another "
                f"{constant}_J_per_m3, or no {name}"
            )
