"""Barrier and critical voltage of a perpendicular junction from its constants, by macrospin formulas.

For a disc of diameter d and thickness t, volume V = pi d^2 t / 4,

    K_eff = K_i / t - mu0 Ms^2 (N_z - N_x) / 2,   N_x = (1 - N_z) / 2
    N_z: magnetometric factor of a uniform cylinder              Joseph, J. Appl. Phys. 37, 4639 (1966)
    Delta = K_eff V / (k_B T)
    I_c0  = 4 e alpha K_eff V / (hbar eta)                    Sun, Phys. Rev. B 62, 570 (2000)
    eta_P = P / (1 + P^2),  eta_AP = P / (1 - P^2),  P = sqrt(TMR / (2 + TMR))     Slonczewski; Julliere
    V_c0  = I_c0 R of the state that is left

With R_AP = (1 + TMR) R_P = R_P (1 + P^2)/(1 - P^2) the voltage V_c0 is one and the same for both directions: the torque
of a symmetric junction follows the voltage (Slonczewski, Phys. Rev. B 71, 024411 (2005)). Above it the angle grows as
exp(t/t_D), t_D = t_D0 / (V/V_c0 - 1), t_D0 = (1 + alpha^2) Ms / (2 alpha gamma K_eff), from a thermal angle of
theta_sigma = 1/sqrt(2 Delta).

Assumed throughout: the moment turns as one, which overstates the barrier of discs wider than the domain wall (40 nm
and more reverse by a nucleated wall; Chaves-O'Flynn et al., Phys. Rev. Applied 4, 024010 (2015)); the stray field of
the reference layers is compensated; TMR and R_P do not fall with the voltage; no field-like torque and no VCMA.
"""

from __future__ import annotations

import math

from scipy import special
from scipy.constants import e, hbar, k, mu_0, physical_constants

from spinloom.declare import Real, Section, key
from spinloom.errors import UserError

GAMMA = physical_constants["electron gyromag. ratio"][0]  # rad/(s T)


class Macrospin(Section):
    """Constants from which barrier and critical voltage are computed (docs/cards/own.md)."""

    diameter_m: Real = key("Diameter of the free layer.", gt=0, le=1e-06)
    thickness_m: Real = key("Thickness of the free layer.", gt=0, le=1e-07)
    Ki_J_per_m2: Real = key("Interfacial anisotropy.", gt=0, le=1)
    Ms_A_per_m: Real = key("Saturation magnetisation.", gt=0, le=3000000)
    alpha: Real = key("Gilbert damping.", gt=0, le=1)
    TMR: Real = key("Tunnel magnetoresistance (R_AP - R_P)/R_P.", gt=0, le=20)
    resistance_parallel_ohm: Real = key("Resistance of the parallel state.", gt=0, le=1000000000000.0)
    temperature_K: Real = key("Temperature at which the barrier is given in units of kB T.", 300, gt=0, le=1500)
    attempt_time_s: Real = key("Attempt time tau0.", 1e-09, gt=0, le=1e-06)


def demagnetising_factor(diameter_m: float, thickness_m: float) -> float:
    """Return the magnetometric factor N_z of a uniformly magnetised cylinder along its axis.

    N_z = 1 - 4/(3 pi p) { sqrt(1 + p^2) [p^2 K(k) + (1 - p^2) E(k)] - 1 }, p = t/d, k^2 = 1/(1 + p^2).
    """
    p = thickness_m / diameter_m
    # ellipkm1 takes 1 - k^2, which a thin disc's k^2 of nearly 1 would lose
    first, second = special.ellipkm1(p**2 / (1 + p**2)), special.ellipe(1 / (1 + p**2))
    return 1 - 4 / (3 * math.pi * p) * (math.sqrt(1 + p**2) * (p**2 * first + (1 - p**2) * second) - 1)


def derive(constants: Macrospin, where: str) -> dict[str, float]:
    """Return what the constants say of the parameters of the laws, by their names.

    Parameters
    ----------
    constants : Macrospin
    where : str
        Begins the error.

    Raises
    ------
    UserError
        If the anisotropy does not hold the moment along the normal.
    """
    diameter, thickness, magnetisation = constants.diameter_m, constants.thickness_m, constants.Ms_A_per_m
    axial = demagnetising_factor(diameter, thickness)
    shape = mu_0 * magnetisation**2 * (3 * axial - 1) / 4
    anisotropy = constants.Ki_J_per_m2 / thickness - shape
    if anisotropy <= 0:
        raise UserError(
            f"{where}: switching.macrospin.Ki_J_per_m2: found {constants.Ki_J_per_m2:g}, allowed: more than "
            f"{shape * thickness:g}, which the shape takes away"
        )
    energy = anisotropy * math.pi * diameter**2 * thickness / 4
    stability = energy / (k * constants.temperature_K)
    polarisation = math.sqrt(constants.TMR / (2 + constants.TMR))
    current = 4 * e * constants.alpha * energy * (1 + polarisation**2) / (hbar * polarisation)
    alpha = constants.alpha
    return {
        "thermal_stability": float(stability),
        "critical_voltage_V": float(current * constants.resistance_parallel_ohm),
        "initial_angle_sd_rad": 1 / math.sqrt(2 * stability),
        "reference_temperature_K": constants.temperature_K,
        "tau0_s": constants.attempt_time_s,
        "characteristic_time_s": float((1 + alpha**2) * magnetisation / (2 * alpha * GAMMA * anisotropy)),
    }
