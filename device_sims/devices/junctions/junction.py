"""What a study may say of any perpendicular tunnel junction: free layer, constants, spread, waiting times, heating."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from device_sims.problem import MU0, Geometry, Mesh
from device_sims.problem.magnetostatics.stack import normal_factor
from device_sims.problem.waveforms import Pulse
from spinloom.declare import Real, Section, key


class Layer(Section):
    """The free layer, which is a disc."""

    diameter_m: Real = key("Diameter of the disc.", gt=0, le=5e-07)
    thickness_m: Real = key("Thickness of the free layer.", gt=0, le=1e-08)
    cell_m: Real = key(
        "Cell edge in the plane, which must divide the diameter. The engine `macrospin` uses the cells for "
        "volume and shape only.",
        ge=5e-10,
        le=1e-08,
    )


class Constants(Section):
    """Material constants of the free layer."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness. Only the engine `llg` uses it.", ge=1e-13, le=1e-10)
    Ku_J_per_m3: Real = key("Uniaxial anisotropy along the normal, at zero voltage.", gt=0, le=100000000.0)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)


class Spread(Section):
    """Differences between devices."""

    Ku_relative_sd: Real = key(
        "Standard deviation of Ku from device to device, relative to Ku. The distribution is normal.", 0, ge=0, le=0.5
    )


class Wait(Section):
    """Waiting times around the pulse."""

    rest_s: Real = key("Time at the set temperature before the pulse.", gt=0, le=1e-06)
    relax_s: Real = key("Time after the pulse until the state counts as written.", gt=0, le=1e-06)


class Pulses(Section):
    """The pulses of the sweep: all combinations of these lists."""

    durations_s: tuple[Annotated[Real, Field(gt=0, le=1e-06)], ...] = key(
        "Lengths of the pulse.",
        min_length=1,
        max_length=1000,
    )
    directions: tuple[Literal["P_to_AP", "AP_to_P"], ...] = key(
        "The state in which a write begins and the one in which it should end. P is parallel to the reference "
        "layer, which points up.",
        ("P_to_AP", "AP_to_P"),
        min_length=1,
        max_length=2,
    )


class Heating(Section):
    """Joule heating of the free layer: ``T0 + P R (1 - exp(-t/tau))`` during the pulse, exponentially back after it.

    P is the power of the pulse. It sets the thermal noise alone: Ms, Ku and damping stay those of the study.
    """

    thermal_resistance_K_per_W: Real = key("Temperature rise per power after a long time.", gt=0, le=1e9)
    time_constant_s: Real = key("Time constant of heating and of cooling.", gt=0, le=1e-3)

    def rise_K(self, power_W: float, t_s: float) -> float:
        """Return the temperature rise ``t_s`` after the begin of a pulse that still lasts."""
        return -power_W * self.thermal_resistance_K_per_W * math.expm1(-t_s / self.time_constant_s)

    def factors(self, power_W: float, duration_s: float, ambient_K: float) -> tuple[Pulse, Pulse]:
        """Return what multiplies the ambient temperature during a pulse and after it."""
        full = power_W * self.thermal_resistance_K_per_W / ambient_K
        left = self.rise_K(power_W, duration_s) / ambient_K
        return (
            Pulse("exponential", -full, 0.0, self.time_constant_s, offset=1 + full),
            Pulse("exponential", left, 0.0, self.time_constant_s, offset=1.0),
        )


class Pinned(Section):
    """A rigid layer of the reference stack, with the free layer's outline, magnetised along the normal."""

    thickness_m: Real = key("Thickness of the layer.", gt=0, le=1e-07)
    Ms_A_per_m: Real = key("Saturation magnetisation of the layer.", ge=1000, le=2500000)
    gap_m: Real = key(
        "Distance from the layer below to this one. For the first layer, the layer below is the free layer.",
        ge=0,
        le=1e-07,
    )
    direction: Literal["up", "down"] = key("Direction of the layer's magnetisation.")


class Reference(Section):
    """The reference stack above the free layer, a synthetic antiferromagnet for example, instead of an assumed field.

    Its stray field is the mean over the free layer.
    """

    layers: tuple[Pinned, ...] = key(
        "The layers in their order, beginning at the free layer. The first is the reference layer, which points up.",
        min_length=1,
        max_length=8,
    )
    coupling_J_per_m2: Real = key(
        "Coupling J of free and reference layer across the barrier (RKKY, orange peel). The energy per area "
        "is -J m1.m2, so a positive J favours P.",
        0,
        ge=-0.01,
        le=0.01,
    )

    @model_validator(mode="after")
    def _reference_is_up_and_apart(self) -> Self:
        first = self.layers[0]
        if first.direction != "up" or not first.gap_m:
            raise ValueError(
                f"found a first layer that points {first.direction} at gap_m {first.gap_m:g}, allowed: a first layer "
                "that points up, so that P is parallel to it, and gap_m above 0"
            )
        return self

    def fields_T(self, mesh: Mesh, shape: Geometry, Ms_A_per_m: float) -> tuple[float, float]:
        """Return the mean stray field along the normal and the coupling's ``J/(Ms t)`` in a free layer, T.

        Parameters
        ----------
        mesh, shape : Mesh, Geometry
            Of the free layer.
        Ms_A_per_m : float
            Its magnetisation.
        """
        stray, gap = 0.0, 0.0
        for layer in self.layers:
            gap += layer.gap_m
            moment = layer.Ms_A_per_m if layer.direction == "up" else -layer.Ms_A_per_m
            stray += MU0 * moment * normal_factor(shape, mesh, gap, layer.thickness_m)
            gap += layer.thickness_m
        return stray, self.coupling_J_per_m2 / (Ms_A_per_m * mesh.size_m[2])


class Options(Section):
    """What all tunnel junctions have."""

    layer: Layer = key("The free layer, which is a disc.")
    material: Constants = key("Material constants of the free layer.")
    spread: Spread = key("Differences between devices.", Spread)
    wait: Wait = key("Waiting times around the pulse.")
    temperature_K: Real = key("Temperature of the simulation. With `heating`, the ambient temperature.", ge=0, le=1500)
    heating: Heating | None = key("Joule heating of the free layer (docs/mtj.md). With null, there is none.", None)
