"""`material` and `regions` of a problem file: constants, uniform, by region and by map."""

from __future__ import annotations

from device_sims.problem import parts
from device_sims.problem.problem_file.common import given_of
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError


class Maps(Section):
    """Constants read from scalar OVF files with the mesh's number of cells, SI units."""

    Ms_A_per_m: str | None = key("Path.", absent=True, min_length=1)
    A_J_per_m: str | None = key("Path.", absent=True, min_length=1)
    alpha: str | None = key("Path.", absent=True, min_length=1)
    Ku_J_per_m3: str | None = key("Path.", absent=True, min_length=1)
    D_J_per_m2: str | None = key("Path.", absent=True, min_length=1)


class Material(Section):
    """Constants, uniform but for `maps` and `regions`."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness.", ge=0, le=1e-10)
    alpha: Real = key("Gilbert damping.", gt=0, le=10)
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
    maps: Maps = key("Constants read from scalar OVF files with the mesh's number of cells, SI units.", Maps)


class Constants(Section):
    """Constants of a region: factors, or values in place of the uniform ones."""

    Ms_A_per_m: Real | None = key("Saturation magnetisation.", absent=True, gt=0)
    A_J_per_m: Real | None = key("Exchange stiffness.", absent=True, ge=0)
    alpha: Real | None = key("Gilbert damping.", absent=True, gt=0)
    Ku_J_per_m3: Real | None = key("First uniaxial anisotropy constant.", absent=True)
    D_J_per_m2: Real | None = key("Interfacial DMI.", absent=True)


class Region(Section):
    """A rectangle with other constants."""

    name: str = key("What the schedule calls it.", "", max_length=64)
    x_m: tuple[Real, ...] = key(
        "From (included) and to (excluded), of cell centres, from the box's corner.", min_length=2, max_length=2
    )
    y_m: tuple[Real, ...] = key("The same along y.", min_length=2, max_length=2)
    factors: Constants = key("What constants are multiplied by.", Constants)
    values: Constants = key("Constants in the region, in place of the uniform values.", Constants)


def region_of(given: Region, where: str, constants: dict, maps: dict) -> parts.Region:
    """Return a region of factors on the material's ``constants``; `UserError` if a value cannot be one."""
    factors = given_of(given.factors)
    for name, value in given_of(given.values).items():
        if name in factors or name in maps or not constants[name]:
            raise UserError(
                f"{where}.values.{name}: allowed only for a constant without a factor here, without a map, and whose "
                "uniform value is not 0"
            )
        factors[name] = value / constants[name]
    (x0, x1), (y0, y1) = given.x_m, given.y_m
    return parts.Region((x0, x1), (y0, y1), tuple(sorted(factors.items())), given.name)
