"""A job's constants as `material`, `regions`, `couplings` and maps of a problem file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from device_sims.problem import ELEMENTARY_CHARGE, HBAR
from device_sims.translate.drives import samples
from device_sims.translate.terms import Field
from device_sims.translate.values import Signal, Unrepresentable
from device_sims.translate.world import Job

MOST_COUPLINGS = 1000  # of a problem file
MOST_REGIONS = 40  # with more, constants that differ are maps
# mumax3's constant -> ours, of those that may differ by region; Ku is the script's Ku1 + 2 Ku2
MAPPED = {
    "msat": "Ms_A_per_m", "aex": "A_J_per_m", "alpha": "alpha", "ku1": "Ku_J_per_m3", "dind": "D_J_per_m2",
    "kc1": "Kc1_J_per_m3",
}  # fmt: skip
UNIFORM = {"kc2": "Kc2_J_per_m3", "dbulk": "Dbulk_J_per_m2", "xi": "zhang_li_beta", "ku2": "Ku2_J_per_m3"}
CUBIC = ("kc1", "kc2")
ABSENT = {
    "kc3": "the third cubic constant", "b1": "magneto-elastic coupling", "b2": "magneto-elastic coupling",
    "frozenspins": "spins that are held fixed", "nodemagspins": "cells without a stray field",
}  # fmt: skip


@dataclass
class Constants:
    """The parts of a problem file that hold constants, and what the schedule has to know of them.

    ``here`` are the regions with material, ``base`` the one whose constants are the uniform ones, ``ku`` the Ku of each
    region that the schedule's factors are of, ``torque`` whether a current through the film acts. ``drive_maps`` and
    ``files``, both by name, are what the schedule adds.
    """

    material: dict[str, Any]
    here: list[int]
    base: int
    ku: dict[int, float]
    torque: bool
    regions: list[dict[str, Any]] = field(default_factory=list)
    couplings: list[dict[str, Any]] = field(default_factory=list)
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    drive_maps: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, np.ndarray] = field(default_factory=dict)
    custom: list[Field] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def name(self, region: int) -> str:
        """Return what the problem file calls a region."""
        return f"region_{region}"


def constants(job: Job) -> Constants:
    """Return a job's constants.

    Raises
    ------
    Unrepresentable
        If the problem file has no counterpart of one.
    """
    inside = job.fill > 0
    ms = np.array([_number(job, "msat", r) for r in range(256)])
    counts = np.bincount(job.regions[inside & (ms[job.regions] > 0)], minlength=256)
    here = np.flatnonzero(counts).tolist()
    if not here:
        raise Unrepresentable("Msat is 0 everywhere")
    base = int(counts.argmax())
    for name, what in ABSENT.items():
        if any(job.constants[name][r] for r in here):
            raise Unrepresentable(f"{name}: a problem has no {what}")
    ku = {r: _ku(job, r) for r in here}
    own = {ours: _number(job, name, base) for name, ours in MAPPED.items()}
    own["Ku_J_per_m3"] = ku[base]
    for name, ours in UNIFORM.items():
        own[ours] = _same(job, name, here)
    own["Ku2_J_per_m3"] *= -1.0
    found = Constants({name: value for name, value in own.items() if value or name in NEEDED}, here, base, ku, False)
    _axes(job, found)
    _torque(job, found)
    _by_region(job, found, sorted(set(np.unique(job.regions[inside]).tolist())))
    if job.constants["dind"] != (0.0,) * 256 and not job.settings["openbc"]:
        found.notes.append(
            "OpenBC is false: mumax3 tilts m at edges by a boundary condition of the DMI, a problem by the missing "
            "bond; both go to the same limit with smaller cells"
        )
    return found


NEEDED = ("Ms_A_per_m", "A_J_per_m", "alpha")


def _number(job: Job, name: str, region: int) -> float:
    if name in CUBIC and not _has_cubic_axes(job, region):
        return 0.0  # as in mumax3
    value = job.constants[name][region]
    if isinstance(value, Signal):
        if name == "ku1":
            return max(samples(value, stage)[0] for stage in job.stages)
        raise Unrepresentable(f"{name} changes in time, which a problem allows of Ku1, field, current and temperature")
    return float(value)


def _same(job: Job, name: str, here: list[int]) -> Any:
    values = {_number(job, name, r) if name in CUBIC else job.constants[name][r] for r in here}
    if len(values) > 1:
        raise Unrepresentable(f"{name} differs between regions, which a problem does not allow")
    (value,) = values
    if isinstance(value, Signal):
        raise Unrepresentable(f"{name} changes in time, which a problem does not allow")
    return value


def _ku(job: Job, region: int) -> float:
    """Return the Ku that factors of the schedule are of: the largest that occurs."""
    over = [samples(stage.drives["ku1"].of[region], stage) for stage in job.stages]
    over = over or [np.array([_number(job, "ku1", region)])]
    values = np.concatenate(over) + 2 * _number(job, "ku2", region)
    if not any(job.constants["anisu"][region]):
        return 0.0  # without an axis mumax3 has no anisotropy
    return float(values[np.abs(values).argmax()])


def _axes(job: Job, found: Constants) -> None:
    axis = job.constants["anisu"][found.base]
    if any(axis):
        found.material["axis"] = _numbers("anisu", axis)
    cubic = [r for r in (found.base, *found.here) if _is_cubic(job, r)]
    if cubic:
        found.material["cubic_axes"] = _cubic(job, cubic[0])
    for names, axes, has_axes in (
        (("ku1", "ku2"), "anisU", lambda r: any(job.constants["anisu"][r])),
        (CUBIC, "anisC1 and anisC2", lambda r: _has_cubic_axes(job, r)),
    ):
        without = sum(any(job.constants[name][r] for name in names) and not has_axes(r) for r in found.here)
        if without:
            where = f" in {without} of {len(found.here)} regions" if len(found.here) > 1 else ""
            found.notes.append(f"{names[0]} without {axes} has no effect{where}, as in mumax3")


def _has_cubic_axes(job: Job, region: int) -> bool:
    return all(any(job.constants[name][region]) for name in ("anisc1", "anisc2"))


def _is_cubic(job: Job, region: int) -> bool:
    return any(_number(job, name, region) for name in CUBIC)


def _cubic(job: Job, region: int) -> list[list[float]]:
    return [_numbers(name, job.constants[name][region]) for name in ("anisc1", "anisc2")]


def _numbers(name: str, values: Any) -> list[float]:
    if any(isinstance(value, Signal) for value in values):
        raise Unrepresentable(f"{name} changes in time, which a problem does not allow")
    return [float(value) for value in values]


def _torque(job: Job, found: Constants) -> None:
    """Add the constants of a current's torque: that of Slonczewski, or that of a custom field."""
    found.custom = list(job.field_terms)
    across = [term.across for term in found.custom if any(term.across)]
    flows = any(_flows(stage.drives["j"].of[r][2]) for stage in job.stages for r in found.here)
    fixed = {job.constants["fixedlayer"][r] for r in found.here}
    slonczewski = flows and not job.settings["disableslonczewskitorque"] and fixed != {(0.0, 0.0, 0.0)}
    if across and (slonczewski or len(across) > 1):
        raise Unrepresentable("adds a torque by a custom field beside another one")
    if across:
        _custom_torque(found, np.array(across[0]))
    if slonczewski:
        found.torque = True
        polarisation = _same(job, "fixedlayer", found.here)
        pol, unlike = _same(job, "pol", found.here), _same(job, "lambda", found.here)
        prime = _same(job, "epsilonprime", found.here)
        if not pol:
            raise Unrepresentable("Pol is 0 and there is a current, which mumax3 refuses too")
        if prime and unlike != 1:
            raise Unrepresentable(
                "EpsilonPrime beside a Lambda other than 1: the problem's field-like torque has the same asymmetry"
            )
        found.material |= {"spin_hall_angle": pol, "polarisation": _numbers("FixedLayer", polarisation)}
        if unlike != 1:
            found.material["slonczewski_lambda"] = unlike
        if prime:
            found.material["field_like_ratio"] = 2 * prime / pol
    _custom_axes(found)


def _flows(value: Any) -> bool:
    return isinstance(value, Signal) or value != 0


def _custom_torque(found: Constants, across: np.ndarray) -> None:
    """Take over the field ``v x m``, T, as that of a spin-orbit torque: ``mu0 a m x p`` with p against v."""
    size = float(np.linalg.norm(across))
    found.torque = True
    found.material |= {"spin_hall_angle": 1.0, "polarisation": [float(c) for c in -across / size]}


def custom_current(found: Constants, thickness_m: float) -> float:
    """Return the current density, A/m2, whose torque with a spin Hall angle of 1 is that of the custom field."""
    (across,) = [term.across for term in found.custom if any(term.across)]
    # mu0 a = hbar theta J / (2 e Ms t)
    size_T = float(np.linalg.norm(across))
    return size_T * 2 * ELEMENTARY_CHARGE * found.material["Ms_A_per_m"] * thickness_m / HBAR


def _custom_axes(found: Constants) -> None:
    """Take over fields ``s (m.u) u``, T, as anisotropies K = s Ms/2."""
    for strength, axis in (pair for term in found.custom for pair in term.axes):
        k = strength * found.material["Ms_A_per_m"] / 2
        if not any(found.ku.values()) and "Ku_J_per_m3" not in found.material:
            found.material |= {"Ku_J_per_m3": k, "axis": list(axis)}
            found.ku = {r: k for r in found.ku}
        elif "second_Ku_J_per_m3" not in found.material:
            found.material |= {"second_Ku_J_per_m3": k, "second_axis": list(axis)}
        else:
            raise Unrepresentable("adds a third uniaxial anisotropy")
    if any(term.axes for term in found.custom) and len(found.here) > 1:
        found.notes.append("a custom anisotropy is taken over with the Ms of the largest region")


def _by_region(job: Job, found: Constants, present: list[int]) -> None:
    """Add what differs between regions."""
    base = found.base
    rows: dict[int, dict[str, float]] = {}
    axes: dict[int, dict[str, Any]] = {}
    for r in present:
        if not _number(job, "msat", r):
            rows[r] = {"Ms_A_per_m": 0.0}
            continue
        own = {ours: _number(job, name, r) for name, ours in MAPPED.items()}
        own["Ku_J_per_m3"] = found.ku[r]
        rows[r] = {name: value for name, value in own.items() if value != found.material.get(name, 0.0)}
        axis = job.constants["anisu"][r]
        if found.ku[r] and axis != job.constants["anisu"][base]:
            axes[r] = {"axis": _numbers("anisu", axis)}
        if _is_cubic(job, r) and _cubic(job, r) != found.material["cubic_axes"]:
            axes.setdefault(r, {})["cubic_axes"] = _cubic(job, r)
    coupled = _couplings(job, found, present)
    differ = {r for r in present if rows[r] or r in axes}
    if sum(bool(row) for row in rows.values()) > MOST_REGIONS:
        for ours in sorted({name for row in rows.values() for name in row}):
            table = np.array([rows.get(r, {}).get(ours, found.material.get(ours, 0.0)) for r in range(256)])
            found.maps[ours] = table[job.regions]
            found.material.setdefault(ours, 0.0)
        rows, differ = dict.fromkeys(present, {}), set(axes)
    tabulated = {column["region"] for column in job.outputs.columns if "region" in column}
    named = coupled | _driven(job, found) | _apart(job, found) | (tabulated & set(present))
    for r in sorted(differ | named):
        entry: dict[str, Any] = {"name": found.name(r), "shape": {"kind": "file", "file": "", "values": [float(r)]}}
        if rows[r]:
            entry["values"] = rows[r]
        entry |= axes.get(r, {})
        found.regions.append(entry)


def _driven(job: Job, found: Constants) -> set[int]:
    """Return the regions whose Ku changes by a factor of its own."""
    if len(found.here) == 1:
        return set()
    driven = set()
    for stage in job.stages:
        factors = {r: ku_factor(job, found, stage.drives["ku1"].of[r], r) for r in found.here if found.ku[r]}
        ways = {r: tuple(samples(f, stage, 11)) for r, f in factors.items()}
        if len(set(ways.values())) > 1:
            driven |= {r for r, way in ways.items() if way != (1.0,) * 11}
    return driven


def _apart(job: Job, found: Constants) -> set[int]:
    """Return the regions whose field or current is another than that of the largest region."""
    drives = [stage.drives[name].of for stage in job.stages for name in ("b_ext", "j")]
    return {r for of in drives for r in found.here if of[r] != of[found.base]}


def ku_factor(job: Job, found: Constants, value: Any, region: int) -> Any:
    """Return the factor on the Ku of a region that a value of Ku1, a number or function of time, means."""
    shift, ku = 2 * _number(job, "ku2", region), found.ku[region]
    if isinstance(value, Signal):
        return value.scaled(1 / ku) if not shift else Signal(lambda t: (value.of(t) + shift) / ku, closed=False)
    return (value + shift) / ku


def _couplings(job: Job, found: Constants, present: list[int]) -> set[int]:
    """Add the exchange between regions that is not the mean, and return the regions that it needs."""
    touching = _touching(job)
    needed: set[int] = set()
    acting = {
        pair: what
        for pair, what in sorted(job.exchange.items())
        if pair[0] != pair[1] and pair in touching and set(pair) <= set(present)
    }
    (how, value), *others = set(acting.values()) or {("", 1.0)}
    if len(acting) > MOST_COUPLINGS and how == "scale" and not others and value >= 0 and acting.keys() == touching:
        # all alike: each face belongs to two regions, and a root of the factor comes from both
        found.couplings = [{"regions": [found.name(r)], "factor": math.sqrt(value)} for r in present]
        return set(present)
    for (a, b), (how, value) in acting.items():
        key = "factor" if how == "scale" else "A_J_per_m"
        found.couplings.append({"regions": [found.name(a), found.name(b)], key: value})
        needed |= {a, b}
    return needed


def _touching(job: Job) -> set[tuple[int, int]]:
    """Return the pairs of regions that have a common face."""
    pairs: set[tuple[int, int]] = set()
    for axis in range(3):
        n = job.regions.shape[axis]
        low, high = job.regions.take(range(n - 1), axis), job.regions.take(range(1, n), axis)
        if job.mesh.images[2 - axis]:
            low, high = job.regions, np.roll(job.regions, -1, axis)
        both = np.stack([np.minimum(low, high), np.maximum(low, high)]).reshape(2, -1)
        pairs |= {(int(a), int(b)) for a, b in np.unique(both, axis=1).T if a != b}
    return pairs
