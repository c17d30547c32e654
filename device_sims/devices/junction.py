"""What a study may say of any perpendicular tunnel junction: free layer, constants, spread, waiting times, heating."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from device_sims.problem.waveforms import Pulse
from spinloom.declare import Real, Section, key


class Layer(Section):
    """The free layer, a disc."""

    diameter_m: Real = key("Diameter of the disc.", gt=0, le=5e-07)
    thickness_m: Real = key("Thickness of the free layer.", gt=0, le=1e-08)
    cell_m: Real = key(
        "Cell edge in the plane; must divide the diameter. One moment has the volume and the shape of these cells.",
        ge=5e-10,
        le=1e-08,
    )


class Constants(Section):
    """The free layer's constants."""

    Ms_A_per_m: Real = key("Saturation magnetisation.", ge=1000, le=2500000)
    A_J_per_m: Real = key("Exchange stiffness, used by engine llg.", ge=1e-13, le=1e-10)
    Ku_J_per_m3: Real = key("Uniaxial anisotropy along the normal at zero voltage.", gt=0, le=100000000.0)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)


class Spread(Section):
    """Spread between devices, drawn once per instance."""

    Ku_relative_sd: Real = key("Relative standard deviation of Ku (normal).", 0, ge=0, le=0.5)


class Wait(Section):
    """Waiting times around the pulse."""

    rest_s: Real = key("Thermalisation before the pulse.", gt=0, le=1e-06)
    relax_s: Real = key("Relaxation after the pulse before the state counts as written.", gt=0, le=1e-06)


class Pulses(Section):
    """The axes of the sweep; the pulses are all their combinations."""

    durations_s: tuple[Annotated[Real, Field(gt=0, le=1e-06)], ...] = key(
        "Pulse widths.",
        min_length=1,
        max_length=1000,
    )
    directions: tuple[Literal["P_to_AP", "AP_to_P"], ...] = key(
        "Where a write begins and should end; P is parallel to the reference layer, up.",
        ("P_to_AP", "AP_to_P"),
        min_length=1,
        max_length=2,
    )


class Heating(Section):
    """Joule heating of the free layer: ``T0 + P R (1 - exp(-t/tau))`` during the pulse, exponentially back after it.

    P is the power of the pulse. It sets the thermal noise alone: Ms, Ku and damping stay those of the study.
    """

    thermal_resistance_K_per_W: Real = key("Temperature rise over power in the long run.", gt=0, le=1e9)
    time_constant_s: Real = key("Time in which it comes about, and goes.", gt=0, le=1e-3)

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


class Options(Section):
    """What all tunnel junctions have."""

    layer: Layer = key("The free layer, a disc.")
    material: Constants = key("The free layer's constants.")
    spread: Spread = key("Spread between devices, drawn once per instance.", Spread)
    wait: Wait = key("Waiting times around the pulse.")
    temperature_K: Real = key("Temperature; with `heating` the ambient one.", ge=0, le=1500)
    heating: Heating | None = key("Joule heating of the free layer; null: none.", None)
