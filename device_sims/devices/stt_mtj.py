"""Perpendicular spin-transfer-torque junction: a current pulse turns the free layer with some probability.

At a given voltage the torque of a symmetric junction does not depend on its state, although its resistance does
(Slonczewski, Phys. Rev. B 71, 024411 (2005); Sankey et al., Nat. Phys. 4, 67 (2008)): it is that of the current density
``J = V/RA`` of the parallel state with the efficiency ``theta = P/(1 + P^2)``. RA is the parallel state's; TMR counts
for the energy alone. ``slonczewski_lambda`` other than 1 makes the two directions differ.

Voltages are amplitudes: P_to_AP gets -V and AP_to_P gets +V, because a positive current here drives m towards the
reference layer, which points up.

Beside each simulated probability stand the macrospin's laws, with the drive ``i = V/V_c0`` (see `Axial`):

* ``probability_fokker_planck``: the Fokker-Planck equation of the angle, numerically exact for one moment;
* ``probability_neel_brown``: ``1 - exp(-t r)``, below V_c0, with Brown's rate over the barrier Delta (1 - i)^2, where
  that is above 3; a pulse must be long against 1/(alpha gamma0 Hk) besides;
* ``probability_butler``: above V_c0, thermal spread and spread in the pulse, both linearised about the start;
* ``probability_precessional``: above V_c0, ``1 - erf((pi/2) e^(-t/t_D)/(sqrt2 theta_sigma))``, as used for networks of
  junctions (Vincent et al., IEEE Trans. Biomed. Circuits Syst. 9, 166 (2015)), with the perpendicular layer's t_D.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.polynomial import legendre
from pydantic import Field
from scipy.linalg import expm
from scipy.special import erf

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.junctions import mtj
from device_sims.devices.junctions.mtj import (  # noqa: F401  (part of this family's protocol)
    AXES,
    BODY,
    EVENT_COLUMNS,
    KEYS,
    PULSE_COLUMNS,
    TRAJECTORY_COLUMNS,
    observe,
)
from device_sims.problem import ELEMENTARY_CHARGE, GAMMA0, HBAR, MU0, Problem, waveforms
from spinloom.declare import Real, Section, key
from spinloom.errors import UserError
from spinloom.write_events import Energy, Heat, Writes

STRETCHES = 24  # of one temperature each, in a heated pulse and after it
_law = pa.Column(float, pa.Check.between(-1e-9, 1 + 1e-9), nullable=True)
SUMMARY_COLUMNS = {
    **mtj.SUMMARY_COLUMNS,
    **mtj.OFFSET_COLUMN,
    "critical_voltage_V": pa.Column(float, pa.Check.gt(0)),
    "thermal_stability": pa.Column(float, pa.Check.gt(0)),
    "probability_fokker_planck": _law,
    "probability_neel_brown": _law,
    "probability_butler": _law,
    "probability_precessional": _law,
}


class Junction(Section):
    """The tunnel junction through which the current flows."""

    polarisation: Real = key(
        "Spin polarisation P of both electrodes. The torque has the efficiency P/(1 + P^2) with the current "
        "density of the parallel state.",
        gt=0,
        le=1,
    )
    slonczewski_lambda: Real = key(
        "Asymmetry L of the torque: a factor 2 L^2/(L^2 + 1 + (L^2 - 1) cos), with the angle to the reference "
        "layer. 1 means that there is none.",
        1,
        ge=0.1,
        le=10,
    )
    field_like_ratio: Real = key("Field-like torque divided by damping-like torque.", 0, ge=-10, le=10)
    RA_ohm_m2: Real = key(
        "Resistance-area product RA of the parallel state. The current density is V/RA.", gt=0, le=1e-06
    )
    TMR: Real = key("Tunnel magnetoresistance (R_AP - R_P)/R_P. In a write it changes the energy only.", ge=0, le=20)


class Pulses(mtj.Pulses):
    """The pulses of the sweep: all combinations of these lists."""

    voltages_V: tuple[Annotated[Real, Field(ge=0, le=100)], ...] = key(
        "Sizes of the voltage. P_to_AP gets -V and AP_to_P gets +V, because a positive current favours P here.",
        min_length=1,
        max_length=1000,
    )


class Options(mtj.Options):
    """Perpendicular tunnel junction written by spin-transfer torque (docs/mtj.md)."""

    junction: Junction = key("The tunnel junction through which the current flows.")
    stray_field_T: Real = key(
        "Field of the reference layers along the normal. A positive field favours P. Not used with `reference`.",
        0,
        ge=-10,
        le=10,
    )
    reference: mtj.Reference | None = key(
        "The layers that make the stray field. With null, `stray_field_T` is used instead.", None
    )
    pulses: Pulses = key("The pulses of the sweep: all combinations of these lists.")


class Axial(NamedTuple):
    """The axially symmetric macrospin, with x the cosine of the angle from the start.

    ``dx/dt = -w (1 - x^2) (i g(x) - h - x)`` and thermal diffusion ``w/(2 Delta)`` on the sphere, where
    ``w = alpha gamma0 Hk/(1 + alpha^2)``, h is the offset field along the start over Hk, i the torque's effective field
    over ``alpha Hk`` and g the Slonczewski factor over its value at the start.
    """

    rate: float  # w, 1/s
    delta: float
    offset: float  # h
    drive: float  # i
    lean: float  # ((L^2 - 1)/(L^2 + 1)) towards the start: g = (1 + lean)/(1 + lean x)

    def torque(self, x):
        """Return ``i g(x)``."""
        return self.drive * (1 + self.lean) / (1 + self.lean * x)

    @property
    def excess(self) -> float:
        """The drive over that at which the start loses its stability: i/(1 + h)."""
        return self.drive / (1 + self.offset)

    def butler(self, t: float) -> float:
        """Return the probability to pass the equator within t (s), for ``i - h > 1``.

        Butler et al., IEEE Trans. Magn. 48, 4684 (2012), equation of the switching distribution,
        ``exp(-u^2 Delta (i-1)/(i e^(2(i-1)wt) - 1))``, but with the angle u that linear growth reaches when the moment
        passes the equator, ``u^2 = 2 ((i-1)/i)^(2/(i+1)) 2^((i-1)/(i+1))``, instead of pi/2.
        """
        i = self.drive - self.offset
        square = 2 * ((i - 1) / i) ** (2 / (i + 1)) * 2 ** ((i - 1) / (i + 1))
        growth = min(2 * (i - 1) * self.rate * t, 700.0)
        return math.exp(-square * self.delta * (i - 1) / (i * math.exp(growth) - 1))

    def precessional(self, t: float) -> float:
        """Return ``1 - erf((pi/2) e^(-t/t_D)/(sqrt2 theta_sigma))``, ``t_D = 1/(w (i - h - 1))``; t in s."""
        slowed = math.exp(-t * self.rate * (self.drive - self.offset - 1))
        return 1 - float(erf(math.pi / 2 * slowed * math.sqrt(self.delta)))  # theta_sigma = 1/sqrt(2 Delta)

    def escape_rate(self) -> float:
        """Return the rate over the barrier, 1/s, for ``|i - h| < 1``.

        Brown, Phys. Rev. 130, 1677 (1963), high barrier, with a field of -(i - h) Hk: in axial symmetry the torque acts
        as one. ``w sqrt(Delta/pi) (1 - j^2)(1 - j) exp(-Delta (1 - j)^2)``, j = i - h; without drive half of it is the
        rate at which a pair of equal wells relaxes.
        """
        j = self.drive - self.offset
        prefactor = self.rate * math.sqrt(self.delta / math.pi) * (1 - j * j) * (1 - j)
        return prefactor * math.exp(-self.delta * (1 - j) ** 2)


@lru_cache(maxsize=512)
def propagator(axial: Axial, t: float, modes: int | None = None) -> np.ndarray:
    """Return what a time t (s) does to the Legendre coefficients of the density of x, ``float64[modes, modes]``.

    Fokker-Planck equation ``dp/dt = d/dx (1 - x^2) [w/(2 Delta) dp/dx + w (i g(x) - h - x) p]`` by Galerkin's method;
    the modes resolve Boltzmann's distribution about a pole, ``exp(-2 Delta (1 - x))``, to about 1e-9.
    """
    modes = modes or _modes(axial.delta)
    x, weight = legendre.leggauss(2 * modes)
    values = legendre.legvander(x, modes - 1)
    slopes = legendre.legval(x, legendre.legder(np.eye(modes))).T
    flux = slopes / (2 * axial.delta) + values * (axial.torque(x) - axial.offset - x)[:, None]
    generator = -axial.rate * (slopes * (weight * (1 - x * x))[:, None]).T @ flux
    return expm(generator * (np.arange(modes) + 0.5)[:, None] * t)


def _modes(delta: float) -> int:
    return 16 + math.ceil(7 * math.sqrt(delta))


def fokker_planck(rest: Axial, pulse: Axial, times: tuple[float, float, float]) -> float:
    """Return the probability to end beyond ``x = -1/2`` after rest, pulse and relaxation of a moment from x = 1.

    ``times`` are the durations of the three, s.
    """
    return crossed([(rest, times[0]), (pulse, times[1]), (rest, times[2])])


def crossed(stretches: list[tuple[Axial, float]]) -> float:
    """Return the probability to end beyond ``x = -1/2`` after stretches of time (s) from x = 1, the coldest first."""
    modes = _modes(stretches[0][0].delta)
    density = np.arange(modes) + 0.5  # of a point at the pole
    for axial, t in stretches:
        density = propagator(axial, t, modes) @ density
    beyond = legendre.legval([-mtj.DECIDED, -1.0], legendre.legint(density))
    return float(np.clip(beyond[0] - beyond[1], 0, 1))


def axial(options: Options, direction: str, voltage_V: float) -> Axial:
    """Return the macrospin under an amplitude of voltage, in the direction in which it destabilises the start."""
    material, junction, side = options.material, options.junction, mtj.DIRECTIONS[direction]
    field, alpha = mtj.anisotropy_field(options), material.alpha
    a = HBAR * efficiency(junction) * abs(voltage_V) / junction.RA_ohm_m2
    a /= 2 * ELEMENTARY_CHARGE * MU0 * material.Ms_A_per_m * options.layer.thickness_m
    square = junction.slonczewski_lambda**2
    start = 2 * square / (square + 1 + side * (square - 1))
    return Axial(
        rate=alpha * GAMMA0 * field / (1 + alpha**2),
        delta=mtj.stability(options),
        offset=side * mtj.offset_T(options) / MU0 / field,
        drive=a * start * (1 + alpha * junction.field_like_ratio) / (alpha * field),
        lean=side * (square - 1) / (square + 1),
    )


def efficiency(junction: Junction) -> float:
    """Return ``P/(1 + P^2)``, the torque's efficiency per current density of the parallel state."""
    return junction.polarisation / (1 + junction.polarisation**2)


def critical_voltage(options: Options, direction: str) -> float:
    """Return the amplitude at which the start state loses its stability at T = 0, V."""
    return 1.0 / axial(options, direction, 1.0).excess


# -- the protocol --------------------------------------------------------------------------------------------------
def check(section: Simulations) -> None:
    """Check what a declaration cannot; errors as of `mtj.check`."""
    mtj.check(section, _problem)
    offset, limit = mtj.offset_T(section.options), MU0 * mtj.anisotropy_field(section.options)
    if abs(offset) >= limit:
        raise UserError(
            f"device_sims.{section.device}.stray_field_T: found {offset:.3g} T (with reference, this is the field of "
            f"its layers), allowed: less than {limit:.3g}, because a larger field leaves only one stable state"
        )


def pulses(section: Simulations) -> pd.DataFrame:
    """Return one row per pulse; see `mtj.pulses`."""

    def drives(direction: str, voltage: float) -> dict[str, float]:
        signed = -mtj.DIRECTIONS[direction] * voltage
        current = signed / section.options.junction.RA_ohm_m2
        return {"voltage_V": signed, "current_density_A_per_m2": current, "Ku_change_J_per_m3": 0.0}

    return mtj.pulses(section, drives)


def batches(section: Simulations) -> list[Batch]:
    """Return the batches of the sweep, ordered by pulse and instance; the same for every engine."""
    return planning.batches(section, mtj.plan(section.options), _problem)


def summarise(section: Simulations, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of each pulse, and the laws of the nominal device beside them (absent at T = 0)."""
    options = section.options
    table = mtj.summarise(options, pulses, events)
    laws = [_laws(options, pulse) for pulse in pulses.itertuples()]
    return mtj.ordered(pd.concat([table, pd.DataFrame(laws)], axis=1), SUMMARY_COLUMNS)


def _laws(options: Options, pulse) -> dict:
    rest, driven = axial(options, pulse.direction, 0.0), axial(options, pulse.direction, pulse.voltage_V)
    absent, t = float("nan"), pulse.duration_s
    hot, above = pulse.temperature_K > 0, driven.drive - driven.offset > 1
    steps = [(rest, pulse.rest_s), (driven, t), (rest, pulse.relax_s)]
    if options.heating is not None:
        power_W = mtj.power_W(options, pulse.direction, pulse.voltage_V)
        factors = options.heating.factors(power_W, t, options.temperature_K)
        steps = [steps[0], *(part for step, factor in zip(steps[1:], factors) for part in _stretches(*step, factor))]
    closed = hot and options.heating is None  # closed laws are of one temperature
    barrier = driven.delta * (1 - driven.drive + driven.offset) ** 2
    return {
        "critical_voltage_V": critical_voltage(options, pulse.direction),
        "thermal_stability": rest.delta,
        "probability_fokker_planck": crossed(steps) if hot else absent,
        "probability_neel_brown": -math.expm1(-t * driven.escape_rate())
        if closed and not above and barrier > 3
        else absent,
        "probability_butler": driven.butler(t) if closed and above else absent,
        "probability_precessional": driven.precessional(t) if closed and above else absent,
    }


def _stretches(axial: Axial, t: float, factor: waveforms.Drive) -> list[tuple[Axial, float]]:
    """Return a time t (s) cut into stretches of one temperature each, that in their middle."""
    middles = [(part + 0.5) * t / STRETCHES for part in range(STRETCHES)]
    heat = [waveforms.at(factor, middle, t) for middle in middles]
    return [(axial._replace(delta=axial.delta / now), t / STRETCHES) for now in heat]


def describe(section: Simulations) -> dict:
    """Return what there is to know of the junction."""
    critical = {f"critical_voltage_{d}_V": voltage for d, voltage in _critical(section.options).items()}
    return {**mtj.describe(section), **critical}


def writes(section: Simulations) -> Writes:
    """Return what the write events mean; a current favours one state."""
    options = section.options
    favours = any(options.pulses.voltages_V)
    energy = Energy(junction=Heat(mz="mz_pulse_mean"))
    # of the state that the offset field makes the less stable one
    lower = 1 - abs(mtj.offset_T(options)) / MU0 / mtj.anisotropy_field(options)
    delta = mtj.stability(options) * lower**2
    return mtj.writes(section, "junction", favours=favours, energy=energy, critical_V=_critical(options), delta=delta)


def _critical(options: Options) -> dict[str, float]:
    return {direction: critical_voltage(options, direction) for direction in mtj.DIRECTIONS}


def _problem(section: Simulations, plan: mtj.Plan, instance: int) -> Problem:
    options, (direction, voltage, _) = section.options, plan
    junction = options.junction
    body = mtj.material(
        section,
        instance,
        spin_hall_angle=efficiency(junction),
        field_like_ratio=junction.field_like_ratio,
        slonczewski_lambda=junction.slonczewski_lambda,
    )
    drives = {"current_density_A_per_m2": -mtj.DIRECTIONS[direction] * voltage / junction.RA_ohm_m2}
    power_W = mtj.power_W(options, direction, voltage)
    return mtj.problem(section, plan, instance, body, drives, (0.0, 0.0, mtj.offset_T(options)), power_W)
