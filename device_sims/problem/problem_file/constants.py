"""`material` and `regions` of a problem file: constants, uniform, by region and by map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from device_sims.problem import parts
from device_sims.problem.problem_file.common import given_of, unit
from device_sims.problem.problem_file.shape import Shape
from spinloom.declare import Flag, Real, Section, key
from spinloom.errors import UserError


class Maps(Section):
    """Constants read from scalar OVF files with the mesh's number of cells, SI units."""

    Ms_A_per_m: str | None = key("Path.", absent=True, min_length=1)
    A_J_per_m: str | None = key("Path.", absent=True, min_length=1)
    alpha: str | None = key("Path.", absent=True, min_length=1)
    Ku_J_per_m3: str | None = key("Path.", absent=True, min_length=1)
    D_J_per_m2: str | None = key("Path.", absent=True, min_length=1)
    Kc1_J_per_m3: str | None = key("Path.", absent=True, min_length=1)
    interpolate: Flag = key("Stretch files of other cells over the box.", False)


Direction = Annotated[tuple[Real, ...], Field(min_length=3, max_length=3)]


class Material(Section):
    """Constants, uniform but for `maps` and `regions`."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness.", ge=0, le=1e-10)
    alpha: Real = key("Gilbert damping; 0 with rk4 or dopri5 at T = 0.", ge=0, le=10)
    Ku_J_per_m3: Real = key("First uniaxial anisotropy constant.", 0, ge=-1e8, le=1e8)
    Ku2_J_per_m3: Real = key("Second uniaxial anisotropy constant.", 0, ge=-1e8, le=1e8)
    axis: tuple[Real, ...] = key("Axis of the anisotropy, any length.", (0, 0, 1), min_length=3, max_length=3)
    D_J_per_m2: Real = key("Interfacial DMI, sign of mumax3's Dind.", 0, ge=-0.02, le=0.02)
    spin_hall_angle: Real = key("Spin Hall angle, or the polarisation P of a Slonczewski junction.", 0, ge=-10, le=10)
    field_like_ratio: Real = key("Field-like over damping-like torque.", 0, ge=-100, le=100)
    polarisation: tuple[Real, ...] = key(
        "Direction of the spin polarisation, any length.", (0, 1, 0), min_length=3, max_length=3
    )
    slonczewski_lambda: Real = key("Asymmetry Lambda of the Slonczewski torque.", 1, ge=1, le=100)
    zhang_li_beta: Real = key("Non-adiabaticity of the Zhang-Li torque.", 0, ge=-100, le=100)
    Kc1_J_per_m3: Real = key("First cubic anisotropy constant, mumax3's Kc1.", 0, ge=-1e8, le=1e8)
    Kc2_J_per_m3: Real = key("Second cubic anisotropy constant, mumax3's Kc2.", 0, ge=-1e8, le=1e8)
    cubic_axes: tuple[Direction, ...] = key(
        "Two cubic axes at right angles, any length; the third is their cross product.",
        ((1, 0, 0), (0, 1, 0)),
        min_length=2,
        max_length=2,
    )
    second_Ku_J_per_m3: Real = key("Constant of a second uniaxial anisotropy.", 0, ge=-1e8, le=1e8)
    second_axis: tuple[Real, ...] = key("Its axis, any length.", (1, 0, 0), min_length=3, max_length=3)
    Dbulk_J_per_m2: Real = key("Bulk DMI, mumax3's Dbulk, the D of ubermag's class T.", 0, ge=-0.02, le=0.02)
    maps: Maps = key("Constants read from scalar OVF files with the mesh's number of cells, SI units.", Maps)


class Constants(Section):
    """Constants of a region: factors, or values in place of the uniform ones."""

    Ms_A_per_m: Real | None = key("Saturation magnetisation.", absent=True, gt=0)
    A_J_per_m: Real | None = key("Exchange stiffness.", absent=True, ge=0)
    alpha: Real | None = key("Gilbert damping.", absent=True, ge=0)
    Ku_J_per_m3: Real | None = key("First uniaxial anisotropy constant.", absent=True)
    D_J_per_m2: Real | None = key("Interfacial DMI.", absent=True)
    Kc1_J_per_m3: Real | None = key("First cubic anisotropy constant.", absent=True)


class Values(Constants):
    """Constants of a region, in place of all that is said before it."""

    Ms_A_per_m: Real | None = key("Saturation magnetisation; 0: no material.", absent=True, ge=0)


class Region(Section):
    """A rectangle or another shape with other constants."""

    name: str = key("What the schedule and the outputs call it.", "", max_length=64)
    x_m: tuple[Real, ...] | None = key(
        "From (included) and to (excluded), of cell centres, from the box's corner.",
        absent=True,
        min_length=2,
        max_length=2,
    )
    y_m: tuple[Real, ...] | None = key("The same along y.", absent=True, min_length=2, max_length=2)
    shape: Shape | None = key("In place of x_m and y_m.", absent=True)
    factors: Constants = key("What constants are multiplied by.", Constants)
    values: Values = key("Constants in the region, in place of the uniform values.", Values)
    axis: tuple[Real, ...] | None = key(
        "Axis of the anisotropy in the region, any length.", absent=True, min_length=3, max_length=3
    )
    cubic_axes: tuple[Direction, ...] | None = key(
        "Cubic axes in the region, as those of the material.", absent=True, min_length=2, max_length=2
    )


def region_of(
    given: Region, where: str, constants: dict, maps: dict, shape_of: Callable[[Shape, str], parts.Shape]
) -> parts.Region:
    """Return a region; `UserError` if it has no place or a value cannot be one.

    A value in a rectangle is a factor on the material's constant where it can be one: so it was before there were
    shapes, and so the identity of such problems stays.
    """
    factors, values = given_of(given.factors), given_of(given.values)
    both = sorted(factors.keys() & values.keys())
    if both:
        raise UserError(
            f"{where}.values.{both[0]}: found a value and a factor for the same constant, allowed: one of the two"
        )
    axis = unit(given.axis, f"{where}.axis") if given.axis is not None else None
    cubic = _cubic(given.cubic_axes, f"{where}.cubic_axes") if given.cubic_axes is not None else None
    if given.shape is None:
        if given.x_m is None or given.y_m is None:
            raise UserError(f"{where}: found neither x_m and y_m nor a shape, allowed: one of the two")
        for name in sorted(values):
            if name not in maps and constants[name] and values[name]:
                factors[name] = values.pop(name) / constants[name]
        shape, (x0, x1), (y0, y1) = None, given.x_m, given.y_m
    else:
        if given.x_m is not None or given.y_m is not None:
            raise UserError(f"{where}: found a shape together with x_m or y_m, allowed: one of the two")
        shape, (x0, x1), (y0, y1) = shape_of(given.shape, f"{where}.shape"), (0.0, 0.0), (0.0, 0.0)
    pairs = tuple(sorted(factors.items()))
    return parts.Region((x0, x1), (y0, y1), pairs, given.name, shape, tuple(sorted(values.items())), axis, cubic)


def material_of(given: Material) -> parts.Material:
    """Return the uniform constants; `UserError` if a direction is zero or the cubic axes are not at right angles."""
    uniform = given.model_dump(exclude={"maps"})
    for name in ("axis", "polarisation", "second_axis"):
        uniform[name] = unit(uniform[name], f"material.{name}")
    uniform["cubic_axes"] = _cubic(given.cubic_axes, "material.cubic_axes")
    return parts.Material(**uniform)


def _cubic(axes: tuple[Direction, ...], where: str) -> tuple[parts.Vector, parts.Vector]:
    """Return two cubic axes as unit vectors; `UserError` if one is zero or they are not at right angles."""
    first, second = (unit(axis, f"{where}.{i}") for i, axis in enumerate(axes))
    if abs(sum(a * b for a, b in zip(first, second))) > 1e-6:
        raise UserError(f"{where}: found {list(first)} and {list(second)}, allowed: two axes at right angles")
    return first, second
