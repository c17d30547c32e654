"""What follows the counting, whatever the source: pulses in between, half-select, retention, inverse, figures."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.card import KernelCard, retention
from calibration.card.meta import Barrier, Derived
from calibration.config import Stage
from calibration.consequences import half_select, inversion, loss
from calibration.consequences.figures_of_merit import derive
from calibration.consequences.interpolation import AXES, interpolate
from calibration.counting.estimator import stationary
from calibration.counting.kernel_rows import with_stay
from calibration.laws import neel_brown
from calibration.readout.energy import MECHANISMS
from calibration.sections import Interpolate, Point, Retention
from spinloom.errors import UserError
from spinloom.quantities import DRIVES

NOTHING = 0.01  # probability of a change up to which a pulse is in the dead zone
EXACT = 1e12  # writes that a stated probability is worth
HIGH_BARRIER = 5.0  # kB T; above it the rate over a barrier is Arrhenius'


def add(card: KernelCard, config: Stage, where: str, barriers: str | Path | None = None) -> KernelCard:
    """Return the card with the pulses, tables and figures that a calibration section asks for.

    Tables that the card has already, stated by its source, stay.

    Parameters
    ----------
    card : KernelCard
    config : Stage
    where : str
        Its file, for errors.
    barriers : str or Path, optional
        The device stage's table of barriers at rest.

    Raises
    ------
    UserError
        If the card does not tell what is asked for.
    """
    if config.interpolate.points:
        card = with_pulses(card, config.interpolate, where)
    extras, warnings = dict(card.extras), ()
    for name, key, wanted, column, make in (
        (
            "half_select",
            "fractions",
            config.half_select.fractions,
            "fraction",
            lambda: (_half_select(card, config, where), ()),
        ),
        (
            "retention",
            "temperatures_K",
            config.retention.temperatures_K,
            "temperature_K",
            lambda: _retention(card, config.retention, where, barriers),
        ),
    ):
        if wanted and name in extras:
            _covers(extras[name][column].unique(), wanted, f"{where}: {name}.{key}", card)
        elif wanted:
            extras[name], told = make()
            warnings += told
    if "inverse" not in extras:
        inverse = inversion.inverse_of_card(card, where=where)
        if inverse is not None:
            extras["inverse"] = inverse
    flags = card.meta.flags.model_copy(update={"half_select": "half_select" in extras})
    meta = card.meta.model_copy(update={"flags": flags})
    if warnings:
        meta = meta.model_copy(update={"warnings": (*meta.warnings, *warnings)})
    return with_derived(replace(card, extras=extras, meta=meta))


def _covers(has: np.ndarray, wanted: Sequence[float], key: str, card: KernelCard) -> None:
    """Refuse what a card with a table of its own does not have."""
    missing = [value for value in wanted if not np.isclose(has, value, rtol=1e-6, atol=0).any()]
    if missing:
        own = ", ".join(f"{value:g}" for value in sorted(has))
        raise UserError(f"{key}: found {missing[0]:g}, allowed: {own}, what the card {card.meta.name} brings with it")


def with_derived(card: KernelCard) -> KernelCard:
    """Return the card with its figures of merit and its kind, computed from its tables."""
    return replace(card, meta=card.meta.model_copy(update={"derived": figures_of(card), "kind": card.kinds()}))


def figures_of(card: KernelCard) -> Derived:
    """Return the figures of merit of a card (`figures_of_merit.derive`), computed from its tables."""
    intended = card.meta.intended_states
    figures = derive(
        card.kernel,
        card.states,
        card.pulses,
        card.reads,
        card.rows_repeat,
        None if intended is None else np.array(intended),
    )
    if "half_select" in card.extras:
        disturbs = half_select.disturbs_per_million(card.extras["half_select"])
        figures["half_select_disturbs_per_million"] = disturbs.drop(columns="untouched").to_dict("records")
    if "inverse" in card.extras:
        figures["dead_zones"] = _dead_zones(card.extras["inverse"])
    return Derived(**figures)


def _dead_zones(inverse: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return the durations up to which a pulse changes the state with a probability of 1 % at most."""
    known = inverse[np.isclose(inverse["probability"], NOTHING)].dropna(subset="duration_s")
    return known.drop(columns="probability").to_dict("records")


# -- pulses between pulses ---------------------------------------------------------------------------------------------
def with_pulses(card: KernelCard, options: Interpolate, where: str) -> KernelCard:
    """Return the card with pulses added, their rows interpolated between its own.

    Energies follow by least squares in 1, V^2, t and V^2 t (as far as voltage and duration vary), which is exact for
    a line, a gate and a junction of constant conductance. What else takes time besides the pulse stays.

    Raises
    ------
    UserError
        If a point lies outside of the pulses, or does not say a quantity that they differ in.
    """
    pulses, blocks = card.pulses, [card.transitions]
    kernel, effective = card.kernel, _worth(card)
    basis = card.transitions["basis"].to_numpy().reshape(kernel.shape)[..., 0]
    pseudocount, level = card.meta.posterior.pseudocount, card.interval
    new, intended = [], list(card.meta.intended_states or [])
    for place, point in enumerate(options.points):
        name = f"{where}: interpolate.points.{place}"
        for own in _groups(pulses, point, name):
            wanted = _complete(own, point, name)
            axes = list(AXES)
            for other in [own, *new]:
                if np.isclose(other[axes].to_numpy(float), wanted[axes].to_numpy(float), rtol=1e-9).all(axis=1).any():
                    if other is own or _alike(other.iloc[0], own.iloc[0]):
                        raise UserError(
                            f"{name}: found {point.dump()}, which the card has already, allowed: each pulse once"
                        )
            made = interpolate(
                own,
                kernel[own["pulse"]],
                effective[own["pulse"]],
                wanted,
                0.5 if pseudocount is None else pseudocount,
                level if np.isfinite(level) else 0.95,
                options.extrapolate,
                name,
            )
            number = len(pulses) + len(new)
            new.append(_costs(own, wanted).assign(pulse=number))
            index = np.indices(made.probability.shape[1:]).reshape(2, -1)
            columns = {"pulse": number, "state_from": index[0], "state_to": index[1], "count": 0}
            parts = ("effective_count", "probability", "ci_low", "ci_high")
            columns |= {part: getattr(made, part)[0].ravel() for part in parts}
            block = pd.DataFrame({**columns, "basis": "interpolated"})
            # what is assumed of all neighbours, that the device stays, is assumed in between
            assumed = (basis[own["pulse"]] == "assumed").all(axis=0)
            blocks.append(with_stay(block, np.tile(assumed, (number + 1, 1))) if assumed.any() else block)
            if intended:
                intended.append(int(made.probability[0, 0].argmax()))
    grown = replace(
        card,
        pulses=pd.concat([pulses, *new], ignore_index=True),
        transitions=pd.concat(blocks, ignore_index=True),
        meta=card.meta.model_copy(update={"intended_states": tuple(intended) or None}),
    )
    return replace(grown, states=grown.states.assign(occupancy=stationary(grown.kernel)))


def _worth(card: KernelCard) -> np.ndarray:
    """Return what each entry is worth in independent writes; what a law or a source states is exact."""
    worth = card.transitions["effective_count"].to_numpy()
    stated = (worth == 0) & (card.transitions["count"] == 0) & (card.transitions["basis"] != "counts")
    return np.where(stated, EXACT * card.transitions["probability"], worth).reshape(card.kernel.shape)


def _series(pulses: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the pulses that differ in voltage, duration and temperature alone.

    Of one channel and polarity, and of one current density, field and spin drift, unless these follow the voltage (the
    current through a junction).
    """
    keys = ["channel", "polarity"]
    for drive in (name for name in DRIVES if name != "voltage_V"):
        if pulses.groupby(["channel", "polarity", "voltage_V"], dropna=False)[drive].nunique().max() > 1:
            keys.append(drive)
    return [own for _, own in pulses.groupby(keys, sort=True, dropna=False)]


def _alike(one: pd.Series, other: pd.Series) -> bool:
    return one["channel"] == other["channel"] and one["polarity"] == other["polarity"]


def _groups(pulses: pd.DataFrame, point: Point, where: str) -> list[pd.DataFrame]:
    """Return the series of pulses that a point can lie between."""
    groups = _series(pulses)
    if point.voltage_V is not None:
        # the sign of a voltage is its polarity, but a gate's voltage has no direction
        fitting = [
            own
            for own in groups
            if own["channel"].iloc[0].startswith("gate") or own["polarity"].iloc[0] == np.sign(point.voltage_V)
        ]
        if not fitting:
            raise UserError(f"{where}: voltage_V: found {point.voltage_V:g}, allowed: the sign of a pulse of the card")
        return fitting
    return groups


def _complete(own: pd.DataFrame, point: Point, where: str) -> pd.DataFrame:
    row = {}
    for axis in AXES:
        values, told = own[axis].unique(), getattr(point, axis)
        if told is None and len(values) > 1:
            raise UserError(f"{where}: key '{axis}' is missing, needed because the pulses differ in it")
        row[axis] = float(values[0]) if told is None else told
    return pd.DataFrame([row])


def _costs(own: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    def features(table: pd.DataFrame) -> np.ndarray:
        square = (table["voltage_V"].fillna(0.0) / scale[0]) ** 2
        time = table["duration_s"] / scale[1]
        columns = [np.ones(len(table))]
        columns += [square] * varies[0] + [time] * varies[1] + [square * time] * (varies[0] and varies[1])
        return np.column_stack(columns)

    varies = [own["voltage_V"].nunique() > 1, own["duration_s"].nunique() > 1]
    scale = [max(own["voltage_V"].abs().max(), 1e-300), own["duration_s"].max()]
    made = own.iloc[[0]].assign(**{axis: wanted[axis].to_numpy() for axis in AXES})
    for column in ["energy_mean_J", "energy_sd_J", *(f"energy_{name}_J" for name in MECHANISMS)]:
        if own[column].notna().all():
            weights = np.linalg.lstsq(features(own), own[column].to_numpy(), rcond=None)[0]
            made[column] = np.clip(features(wanted) @ weights, 0.0, None)
    made["latency_s"] = wanted["duration_s"].to_numpy() + (own["latency_s"] - own["duration_s"]).mean()
    return made


# -- half-select and retention -----------------------------------------------------------------------------------------
def _half_select(card: KernelCard, config: Stage, where: str) -> pd.DataFrame:
    name = f"{where}: half_select.fractions"
    tables = []
    for own in _series(card.pulses):

        def rows(voltage: np.ndarray, duration: np.ndarray, temperature: np.ndarray, own=own) -> np.ndarray:
            wanted = pd.DataFrame(dict(zip(AXES, (voltage, duration, temperature), strict=True)))
            return _partial(card, own, wanted, config.retention.attempt_time_s, name)

        tables.append(half_select.table(rows, own, config.half_select.fractions, name))
    return pd.concat(tables, ignore_index=True)


def _partial(
    card: KernelCard, own: pd.DataFrame, wanted: pd.DataFrame, attempt_time_s: float, where: str
) -> np.ndarray:
    """Return the rows of pulses at part of their voltage, float64[wanted, states, states].

    Over a high barrier by its rate, because counts tell no rare events; else between the card's pulses; else, below
    the critical voltage, by the rate all the same. Arrhenius' rate is too high for pulses that are short against the
    time in which the moment comes to equilibrium, so what the nearest of the card's pulses does is a bound.
    """
    known = (own, card.kernel[own["pulse"]], _worth(card)[own["pulse"]], wanted)
    barrier = card.meta.barrier
    heights = [_heights(barrier, voltage) for voltage in wanted["voltage_V"]]
    if len(own) > 1:
        between = interpolate(*known, where=where, extrapolate=True)
        nearest, outside = between.probability, between.extrapolated
    else:
        nearest, outside = np.repeat(card.kernel[own["pulse"]], len(wanted), axis=0), np.ones(len(wanted), bool)
    rows = []
    for place, barriers in enumerate(heights):
        if barriers is None and outside[place]:
            try:
                interpolate(*known[:3], wanted.iloc[[place]], where=where)
            except UserError as error:
                raise UserError(f"{error}, or below the critical voltage of a device that tells it") from None
        if barrier is None or barriers is None or (min(barriers) <= HIGH_BARRIER and not outside[place]):
            rows.append(nearest[place])
        else:
            rows.append(
                _over_barriers(barriers, barrier.temperature_K, wanted.iloc[place], attempt_time_s, nearest[place])
            )
    return np.stack(rows)


def _heights(barrier: Barrier | None, voltage: float) -> tuple[float, float] | None:
    """Return the barriers of leaving AP (0) and P (1) under a voltage, over kB T; None where there is none."""
    if barrier is None or not (critical := barrier.critical_voltage_V):
        return None
    # AP is left by positive voltages and P by negative ones; against them the barrier grows
    left = [1 - voltage / critical["AP_to_P"], 1 + voltage / critical["P_to_AP"]]
    if min(left) <= 0:
        return None
    up, down = (barrier.thermal_stability * part**barrier.exponent for part in left)
    return up, down


def _over_barriers(
    heights: tuple[float, float], reference_K: float, wanted: pd.Series, attempt_time_s: float, most: np.ndarray
) -> np.ndarray:
    constants = {
        "critical_voltage_V": 1.0,
        "tau0_s": attempt_time_s,
        "reference_temperature_K": reference_K,
    }
    time, temperature = wanted["duration_s"], wanted["temperature_K"]
    up, down = (
        float(neel_brown.probability({**constants, "thermal_stability": height}, 0.0, time, temperature))
        for height in heights
    )
    up, down = min(up, most[0, 1]), min(down, most[1, 0])
    return np.array([[1 - up, up], [down, 1 - down]])


def _retention(
    card: KernelCard, options: Retention, where: str, barriers: str | Path | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the rates of loss, and what to tell of them."""
    if card.meta.flags.volatile:
        raise UserError(f"{where}: retention.temperatures_K: found a volatile device, allowed with one: []")
    if barriers is not None:
        if options.thermal_stability is not None:
            raise UserError(
                f"{where}: retention.thermal_stability: found {options.thermal_stability:g}, allowed with "
                "device_sims.barriers: null, because these tell the barriers"
            )
        return loss.rates(card, barriers, options)
    barrier = card.meta.barrier
    stability = options.thermal_stability or (None if barrier is None else barrier.thermal_stability)
    if len(card.states) != 2:
        raise UserError(
            f"{where}: retention: found a device of {len(card.states)} states, allowed without device_sims.barriers: 2"
        )
    if stability is None:
        raise UserError(
            f"{where}: retention.thermal_stability: found null, allowed: a number (of {card.meta.name} no barrier "
            "is known)"
        )
    reference = float(card.pulses["temperature_K"].iloc[0]) if barrier is None else barrier.temperature_K
    return retention.binary([stability] * 2, reference, options.temperatures_K, options.attempt_time_s), ()
