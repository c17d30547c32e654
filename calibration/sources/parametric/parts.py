"""What all parametric devices share: conductances, costs, the population, and the card made of them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from calibration.card import SCHEMA_VERSION, KernelCard, Meta
from calibration.card.tables import PULSES, units
from calibration.counting.estimator import stationary
from calibration.counting.kernel_rows import stated
from calibration.laws.fitting import Fit
from calibration.sources.parametric.common import Common, Electrical, Population
from spinloom.declare import Section
from spinloom.errors import UserError
from spinloom.streams import generator


def binary(up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return [[1 - up, up], [down, 1 - down]], float64[n, 2, 2], of probabilities float64[n]."""
    up, down = np.broadcast_arrays(np.asarray(up, dtype=np.float64), down)
    return np.stack([np.stack([1 - up, up], axis=-1), np.stack([down, 1 - down], axis=-1)], axis=-2)


def memoryless(one: np.ndarray) -> np.ndarray:
    """Return both rows [1 - p, p], float64[n, 2, 2], of probabilities float64[n]."""
    return binary(one, 1 - np.asarray(one))


def pulse_table(
    channel: str | list[str],
    drive: ArrayLike,
    duration_s: ArrayLike,
    temperature_K: float,
    column: str = "voltage_V",
) -> pd.DataFrame:
    """Return pulses, a row each, whose polarity is the sign of their ``drive`` in ``column``."""
    return pd.DataFrame(
        {
            "channel": channel,
            column: drive,
            "duration_s": duration_s,
            "polarity": np.sign(drive).astype(np.int64),
            "temperature_K": temperature_K,
        }
    )


def stated_law(name: str, parameters: dict[str, float], pulses: list[int], state_from: int | None, **conditions) -> Fit:
    """Return a law in the form of a fit, but without data: no observations, no errors, ``stated`` in its conditions.

    Parameters
    ----------
    name : str
        In `calibration.laws.REGISTRY`.
    parameters : dict of str to float
        In the units of the card's columns.
    pulses : list of int
        Pulses of the card that the law holds for.
    state_from : int or None
        State that it leaves; None: from any.
    **conditions
        What else is to be said of where it holds.
    """
    own = {"pulses": pulses, "state_from": state_from, **conditions, "chosen": True, "stated": True}
    own["fixed"] = sorted(parameters)
    goodness = {"test": None, "statistic": None, "dof": None, "p_value": None}
    covariance = np.zeros((len(parameters), len(parameters))).tolist()
    none = dict.fromkeys(parameters)
    return Fit(name, parameters, none, covariance, 0.0, 0, 0.0, 0.0, goodness, None, own)


def prepared(section: Common, where: str) -> Common:
    """Return the section with ``conductance_min_S`` in place; check that its keys go together.

    Raises
    ------
    UserError
        If conductances or the price of a write are told twice, not at all, or impossibly.
    """
    electrical = section.electrical
    low, high, ratio = electrical.conductance_min_S, electrical.conductance_max_S, electrical.dynamic_range
    both = low is not None and ratio is not None
    if low is None and ratio is not None:
        low = high / ratio
    if low is None or both:
        found = "both" if both else "neither"
        raise UserError(f"{where}: electrical: found {found}, allowed: conductance_min_S or dynamic_range, one of them")
    if low >= high:
        raise UserError(
            f"{where}: electrical.conductance_min_S: found {low:g}, allowed: less than conductance_max_S {high:g}"
        )
    for path, name in (("line", "write_resistance_ohm"), ("given", "write_energy_J")):
        value = getattr(electrical, name)
        if (value is not None) != (electrical.write_path == path):
            found = "nothing" if value is None else value
            raise UserError(f"{where}: electrical.{name}: found {found}, allowed: a value with write_path {path} only")
    whole = electrical.model_copy(update={"conductance_min_S": low, "dynamic_range": None})
    return section.model_copy(update={"electrical": whole})


def assemble(module: ModuleType, section: Common, seed: int, where: str, kind: str) -> KernelCard:
    """Return the card of a section from `prepared`; ``module`` as described in `calibration.sources.parametric`.

    Raises
    ------
    UserError
        If the parameters, or those of a device drawn from the population, give no probabilities.
    """
    device, electrical = section.device, section.electrical
    own = getattr(section, device)
    if hasattr(module, "complete"):
        own = module.complete(own, where)
    labels, plan = module.labels(own), module.pulses(own).reset_index(drop=True)
    kernel = _probabilities(module.kernel(own), f"{where}: {device}")
    occupancy = stationary(kernel)
    assert electrical.conductance_min_S is not None  # `prepared` has put it in place
    conductance = np.linspace(electrical.conductance_min_S, electrical.conductance_max_S, len(labels))
    population, by_instance = _population(module, own, section, conductance, seed, where)
    extras = module.extras(own, plan) if hasattr(module, "extras") else {}
    if by_instance is not None:
        extras["by_instance"] = by_instance
    level = np.arange(len(labels))
    states = pd.DataFrame(
        {
            "state": level,
            "label": labels,
            "position_m": np.nan,
            "position_low_m": np.nan,
            "position_high_m": np.nan,
            "conductance_S": conductance,
            "conductance_sd_S": electrical.conductance_relative_sd * conductance,
            "count": 0,
            "occupancy": occupancy,
        }
    )
    duration, voltage = electrical.read_duration_s, electrical.read_voltage_V
    reads = pd.DataFrame(
        {
            "state": level,
            "read_voltage_V": voltage,
            "energy_J": voltage**2 * conductance * duration,
            "latency_s": duration,
            "noise_sd_S": electrical.read_noise_relative * conductance,
        }
    )
    offsets = population["conductance_offset_S"]
    parameters = {device: own, "electrical": electrical, "population": section.population}
    content = {
        "name": section.name,
        "schema_version": SCHEMA_VERSION,
        "flags": {
            "volatile": module.VOLATILE,
            "reset_before_write": False,
            "destructive_read": False,
            "half_select": "half_select" in extras,
        },
        "source": {
            "kind": kind,
            "device": device,
            "law": module.LAW,
            "parameters": {name: part.dump() for name, part in parameters.items()},
            "description": section.description,
            "provenance": section.provenance,
            "seed": seed,
        },
        "units": units(),
        "states": {
            "method": "device",
            "coordinate": "level",
            "edges": (np.arange(len(labels) + 1) - 0.5).tolist(),
        },
        "laws": [],
        "events": 0,
        "lost_events": 0,
        "spread": {"device_to_device_sd_S": float(offsets.std()) if len(offsets) > 1 else None},
        **(module.meta(own) if hasattr(module, "meta") else {}),
    }
    pulses = _costs(plan, electrical, conductance, occupancy, where)
    transitions = stated(kernel, basis="law")
    return KernelCard(states, pulses, transitions, population, reads, Meta.parse(content, where), extras).validate(
        where
    )


def _probabilities(kernel: np.ndarray, what: str) -> np.ndarray:
    if not (np.isfinite(kernel).all() and kernel.min() >= 0 and kernel.max() <= 1):
        worst = kernel.ravel()[np.argmax(np.where(np.isnan(kernel), np.inf, np.abs(kernel - 0.5)))]
        raise UserError(f"{what}: found parameters that give a probability of {worst:g}, allowed: 0..1")
    return kernel


def _costs(
    plan: pd.DataFrame, electrical: Electrical, conductance: np.ndarray, occupancy: np.ndarray, where: str
) -> pd.DataFrame:
    """Complete the pulses with energy and latency; a write through the device costs what its state before conducts."""
    table = pd.DataFrame({column: np.nan for column in PULSES.columns}, index=plan.index)
    table[plan.columns] = plan
    table["pulse"] = np.arange(len(plan))
    table["latency_s"] = plan["duration_s"] + electrical.settle_s
    table["energy_sd_J"] = 0.0
    path = electrical.write_path
    if path == "given":
        table["energy_mean_J"] = electrical.write_energy_J
        return table
    if "voltage_V" not in plan:
        raise UserError(
            f"{where}: electrical.write_path: found {path}, allowed: given, because the pulses have no voltage"
        )
    square = plan["voltage_V"] ** 2 * plan["duration_s"]
    if path == "line":
        assert electrical.write_resistance_ohm is not None  # `prepared` has looked
        table["energy_mean_J"] = table["energy_sot_J"] = square / electrical.write_resistance_ohm
        return table
    mean = occupancy @ conductance
    table["energy_mean_J"] = table["energy_junction_J"] = square * mean
    table["energy_sd_J"] = square * np.sqrt(occupancy @ (conductance - mean) ** 2)
    return table


def _population(
    module: ModuleType, own: Section, section: Common, conductance: np.ndarray, seed: int, where: str
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    settings, spread = section.population, section.population.parameters_relative_sd
    _check_spread(module, own, settings, where)
    share = np.linspace(0, 1, len(conductance))
    offsets, kernels = [], []
    for instance in range(settings.instances):
        # one stream per device and number: neither more devices nor one more spread changes what is drawn here
        def factor(name: str, sd: float, instance: int = instance) -> float:
            drawn = generator(seed, "parametric", section.name, instance, name).normal() if sd else 0.0
            return 1 + sd * drawn

        own_low = conductance[0] * factor("conductance_min_S", settings.conductance_min_relative_sd)
        own_high = conductance[-1] * factor("conductance_max_S", settings.conductance_max_relative_sd)
        if not 0 < own_low < own_high:
            raise UserError(
                f"{where}: population.conductance_min_relative_sd: found device {instance} with conductances "
                f"{own_low:g}..{own_high:g} S, allowed: spreads that leave 0 < lowest < highest"
            )
        offsets.append(np.mean(own_low + (own_high - own_low) * share - conductance))
        if settings.by_instance:
            scaled = _scaled(own, {name: factor(name, sd) for name, sd in sorted(spread.items())})
            kernels.append(_probabilities(module.kernel(scaled), f"{where}: {section.device} of device {instance}"))
    population = pd.DataFrame(
        {
            "instance": range(settings.instances),
            "events": 0,
            "conductance_factor": 1.0,
            "conductance_offset_S": offsets,
            "conductance_offset_se_S": 0.0,
            "position_offset_m": np.nan,
            "position_offset_se_m": np.nan,
        }
    )
    if not kernels:
        return population, None
    tables = [stated(kernel).assign(instance=instance) for instance, kernel in enumerate(kernels)]
    return population, pd.concat(tables, ignore_index=True)


def _check_spread(module: ModuleType, own: Section, settings: Population, where: str) -> None:
    key, spread = f"{where}: population.parameters_relative_sd", settings.parameters_relative_sd
    if not spread:
        return
    if not settings.by_instance:
        raise UserError(f"{key}: found {', '.join(sorted(spread))}, allowed: nothing unless by_instance is true")
    # a spread of what does not matter, as of a constant that others were derived from, would be a spread of nothing
    nominal = module.kernel(own)
    allowed = [
        name
        for name in sorted(_numbers_by_name(own))
        if not np.array_equal(module.kernel(_scaled(own, {name: 1.01})), nominal)
    ]
    for name in spread:
        if name not in allowed:
            raise UserError(f"{key}: found '{name}', allowed: {', '.join(allowed)}")


def _numbers_by_name(own: Section | dict[str, Any]) -> set[str]:
    values = dict(own)
    nested = (_numbers_by_name(value) for value in values.values() if isinstance(value, (Section, dict)))
    return {name for name, value in values.items() if isinstance(value, float)}.union(*nested)


def _scaled(own: Section, factors: dict[str, float]) -> Section:
    """Return ``own`` with every number of a name in ``factors``, however deep, times its factor."""

    def scaled(name: str, value: Any) -> Any:
        if isinstance(value, float):
            return value * factors.get(name, 1.0)
        if isinstance(value, dict):
            return {key: scaled(key, inner) for key, inner in value.items()}
        return _scaled(value, factors) if isinstance(value, Section) else value

    return own.model_copy(update={name: scaled(name, value) for name, value in own})
