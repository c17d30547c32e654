"""What holds a wall in the 1-D model: its energy along the track, wells and barriers, and the drives that free it.

At rest the energy of the module `engine`, ``E(q) = min over phi of S(q) sigma(q, phi) + E_end(q)``, is a landscape
whose minima are wells. Where the angle is held (by DMI or the stray field) a drive adds a force, and the wall is free
once the force exceeds the steepest slope on its way,

    field         2 mu0 Ms S Hz                      >= dE/dq
    spin-orbit    pi mu0 Ms S a |cos phi|            >= dE/dq,  a = hbar theta J / (2 e mu0 Ms t)
    Zhang-Li      2 mu0 Ms S beta u / (gamma0 Delta) >= dE/dq

(Tatara and Kohno, Phys. Rev. Lett. 92, 086601 (2004), for a held angle; Boulle et al., J. Appl. Phys. 112, 053901
(2012)). A wall whose angle turns is freed by the adiabatic torque with much less; this is the engine's to say.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy

from device_sims.engines.collective.setup import constants, prepare
from device_sims.problem import ELEMENTARY_CHARGE, GAMMA0, HBAR, MU0, Problem

ANGLES = 91  # of the half turn over which the energy is minimised
LEAST_BARRIER_J = 4e-21  # kT at 290 K: a shallower minimum holds nothing


class Pinning(NamedTuple):
    """A wall's energy along the track; each is ``float64[points]`` but for ``wells``, ``int64[wells]``."""

    place_m: np.ndarray
    energy_J: np.ndarray
    force_N: np.ndarray  # dE/dq, which a drive to the right has to overcome
    area_m2: np.ndarray
    width_m: np.ndarray
    cos_phi: np.ndarray
    wells: np.ndarray  # points at which the energy has a minimum

    @property
    def barriers_J(self) -> np.ndarray:
        """Barrier between each well and the next, up and down, ``float64[wells - 1, 2]``, J."""
        tops = [self.energy_J[a : b + 1].max() for a, b in zip(self.wells[:-1], self.wells[1:])]
        ends = self.energy_J[self.wells]
        return np.stack([tops - ends[:-1], tops - ends[1:]], axis=1)


def pinning(problem: Problem) -> Pinning:
    """Return the landscape of a problem without any drive.

    Raises
    ------
    UserError
        If the 1-D model cannot represent the problem.
    """
    c, lane = constants(problem), prepare(problem).lanes[problem.schedule[0].name]
    area, Ku, end = (lane.tables[:, column] for column in (0, 2, 4))
    phi = np.linspace(0, math.pi, ANGLES)[:, None]
    cos, sin = np.cos(phi), np.sin(phi)
    K = Ku + lane.k[2] + lane.k[0] * cos**2 + lane.k[1] * sin**2
    sigma = 4 * np.sqrt(c.A * K) + lane.S[2] + lane.S[0] * cos**2 + lane.S[1] * sin**2 + math.pi * c.s * c.D * cos
    angle = np.argmin(sigma, axis=0)
    at = angle, np.arange(len(area))
    energy = area * sigma[at] + end
    place = np.arange(len(area)) * c.spacing
    return Pinning(
        place,
        energy,
        np.gradient(energy, c.spacing),
        area,
        np.sqrt(c.A / K[at]),
        cos[angle, 0],
        scipy.signal.find_peaks(-energy, prominence=LEAST_BARRIER_J)[0],
    )


def freeing_drives(problem: Problem, drive: str) -> np.ndarray:
    """Return the drive that frees the wall from each well to the next, up and down, ``float64[wells - 1, 2]``.

    Parameters
    ----------
    problem : Problem
    drive : str
        ``field`` (T along z), ``sot`` (A/m^2) or ``zhang_li`` (u, m/s); magnitudes. Infinite where the drive has no
        force on a wall whose angle is held.

    Raises
    ------
    UserError
        If the 1-D model cannot represent the problem.
    """
    found, m = pinning(problem), problem.material
    moment = MU0 * m.Ms_A_per_m * found.area_m2
    torque = HBAR * abs(m.spin_hall_angle) / (2 * ELEMENTARY_CHARGE * MU0 * m.Ms_A_per_m * problem.mesh.size_m[2])
    force = {
        "field": 2 * moment / MU0,
        "sot": math.pi * moment * torque * np.abs(found.cos_phi),
        "zhang_li": 2 * moment * m.zhang_li_beta / (GAMMA0 * found.width_m),
    }[drive]
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.nan_to_num(found.force_N / force, nan=0.0, posinf=math.inf, neginf=-math.inf)
    ways = [needed[a : b + 1] for a, b in zip(found.wells[:-1], found.wells[1:])]
    return np.array([[way.max(), -way.min()] for way in ways])
