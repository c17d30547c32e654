"""How the gate of a track changes its anisotropy: by charge at the interface (VCMA) or by a piezoelectric's strain.

* ``vcma``: dKu = xi V/(d t), xi the coefficient (J/(V m)), d the dielectric's and t the film's thickness;
* ``strain``: dKu = (3/2) lambda_s sigma, sigma = (stress per volt) V, after a piezoelectric below the track
  (Misba et al., arXiv 2010.10076). sigma is the tension along the film's normal that leaves out a hydrostatic part, so
  an equal tension along both axes of its plane counts as -sigma: the energy -(3/2) lambda_s sigma cos^2 of the angle to
  each axis under tension adds up to that. A stress along one axis of the plane would also make an easy axis in it, and
  is not represented.

Either is dKu alone for the engine: two gates of the same dKu give the same trajectories.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from spinloom.declare import Real, Section, key
from spinloom.write_events import Plates


class Strain(Section):
    """The piezoelectric and the film that it strains, with `mechanism: strain`."""

    magnetostriction: Real = key(
        "Saturation magnetostriction lambda_s. The anisotropy changes by dKu = 3/2 lambda_s sigma.", ge=-1, le=1
    )
    stress_Pa_per_V: Real = key(
        "Stress sigma per volt: the tension along the normal minus an equal tension along both axes of the plane.",
        ge=-1000000000000.0,
        le=1000000000000.0,
    )
    thickness_m: Real = key("Thickness of the piezoelectric between its electrodes, for its charge.", gt=0, le=0.001)
    relative_permittivity: Real = key("Relative permittivity of the piezoelectric, for its charge.", ge=1, le=100000)


class Gate(Section):
    """How the gate voltage changes the anisotropy."""

    mechanism: Literal["vcma", "strain"] = key(
        "How the voltage V changes Ku: by voltage-controlled anisotropy (`vcma`) or by `strain`. The keys of "
        "the other mechanism must be null."
    )
    vcma_coefficient_J_per_V_m: Real | None = key(
        "For `vcma`: coefficient xi in dKu = xi V / (d t), with the thickness t of the free layer. 1e-13 is "
        "100 fJ/(V m).",
        None,
        ge=-1e-09,
        le=1e-09,
    )
    dielectric_thickness_m: Real | None = key("For `vcma`: thickness d of the gate dielectric.", None, gt=0, le=0.001)
    strain: Strain | None = key("For `strain`: the piezoelectric and the film that it strains.", None)

    @model_validator(mode="after")
    def _one_mechanism(self) -> Self:
        """Refuse a mechanism without its numbers, or with those of the other."""
        of = {"vcma": ("vcma_coefficient_J_per_V_m", "dielectric_thickness_m"), "strain": ("strain",)}
        for mechanism, names in of.items():
            for name in names:
                if (getattr(self, name) is not None) != (self.mechanism == mechanism):
                    found = "null" if self.mechanism == mechanism else "a value"
                    wanted = "a value" if self.mechanism == mechanism else "null"
                    raise ValueError(f"{name}: found {found} with mechanism {self.mechanism}, allowed: {wanted}")
        return self

    def Ku_change(self, voltage_V: float, film_m: float) -> float:
        """Return the change of Ku by a voltage, J/m3, of a film ``film_m`` thick."""
        xi, dielectric_m, strain = self.vcma_coefficient_J_per_V_m, self.dielectric_thickness_m, self.strain
        if strain is not None:
            return 1.5 * strain.magnetostriction * strain.stress_Pa_per_V * voltage_V
        assert xi is not None and dielectric_m is not None  # checked above
        return xi * voltage_V / dielectric_m / film_m

    def voltage(self, stress_Pa: float) -> float:
        """Return the voltage that exerts a stress, V.

        Raises
        ------
        ValueError
            If this gate exerts none.
        """
        if self.strain is None or not self.strain.stress_Pa_per_V:
            raise ValueError(
                "pulses.stresses_Pa: found with a gate that exerts no stress, allowed: only with gate.mechanism strain"
            )
        return stress_Pa / self.strain.stress_Pa_per_V

    def plates(self, area_m2: float) -> Plates:
        """Return what the voltage charges, over an area in m2."""
        strain = self.strain
        if strain is None:
            assert self.dielectric_thickness_m is not None  # checked above
            return Plates(area_m2=area_m2, dielectric_thickness_m=self.dielectric_thickness_m)
        constants = {
            "dielectric_thickness_m": strain.thickness_m,
            "relative_permittivity": strain.relative_permittivity,
        }
        return Plates(area_m2=area_m2, **constants)

    def describe(self) -> dict:
        """Return what there is to know of the gate, for people."""
        if self.strain is None:
            return {"gate_mechanism": self.mechanism, "gate_dielectric_thickness_m": self.dielectric_thickness_m}
        return {"gate_mechanism": self.mechanism, **{f"gate_{k}": v for k, v in self.strain.dump().items()}}
