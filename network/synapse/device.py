"""A kernel card as arrays for training: sampler tables, weights, levels, spreads, energies.

Weights. A conductance G becomes the weight ``w = (G - G_ref) / G_scale``. G_ref and G_scale are chosen such that
the lowest and the highest *nominal level* are -1 and +1. The nominal level of a pulse is what one may expect of it,

    L_k = sum_s' p_k(s') G(s'),      p_k(s') = sum_s q(s) T_k[s, s'],

with q the occupancy of the from-states. With overlapping states the levels lie inside the range of the
conductances, so single devices reach beyond -1 and +1.

A rule whose pulses move the device in steps asks for the scale ``states`` instead: the lowest and the highest
conductance of a state are -1 and +1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calibration.card import MOST_WRITTEN
from network import sections
from network.synapse import ablation, resting, widths
from spinloom.errors import UserError
from spinloom.files import canonical_json, sha256_text
from spinloom.quantities import DRIVES

MAX_STATES, MAX_PULSES = 1024, 32767  # pulses are int16


def index_type(count: int) -> np.dtype:
    """Return the type that holds the numbers of ``count`` states or levels: int8 of up to 127, else int16."""
    return np.dtype(np.int8 if count <= 127 else np.int16)


@dataclass(frozen=True)
class DeviceModel:
    """One kind of synapse. Weights and their spreads are dimensionless (see the module text); energies in J."""

    name: str
    states: tuple[int, ...]  # names of the S states, as on the card
    pulses: tuple[int | str, ...]  # names of the K pulses, as on the card
    transition: np.ndarray  # float64[K, S, S], rows sum to 1
    by_instance: np.ndarray | None  # float64[I, K, S, S], each named instance's own, if the card has them
    half_select: dict[float, np.ndarray]  # share of the voltage -> float64[K, S, S]
    retention: pd.DataFrame | None  # the card's rates of a device left alone
    rest: np.ndarray | None  # float64[S, S], what becomes of a device that is left alone after each epoch
    occupancy: np.ndarray  # float64[S], sums to 1
    state_weight: np.ndarray  # float32[S]
    state_spread: np.ndarray  # float32[S], sd of the weight within a state
    level: np.ndarray  # float32[K], nominal levels in rising order
    level_pulse: np.ndarray  # int32[K], the pulse behind each level
    instance_gain: np.ndarray  # float32[I], factor of each named instance's weights
    instance_weight: np.ndarray  # float32[I], offset of each named instance, after the factor
    read_sd: np.ndarray  # float32[S], read noise of the weight
    drive: np.ndarray  # float64[K], what the card's laws of one drive are told in
    write_energy: np.ndarray  # float64[K], J
    write_voltage: np.ndarray  # float64[K], V
    write_duration: np.ndarray  # float64[K], s
    write_latency: np.ndarray  # float64[K], s, from the pulse's start to the next access
    read_energy: np.ndarray  # float64[S], J
    read_latency: np.ndarray  # float64[S], s
    read_voltage: np.ndarray  # float64[S], V
    g_ref: float  # S (siemens)
    g_scale: float  # S (siemens)
    assumed: str  # what the card does not say, in words for tables; empty: nothing
    stuck: float  # share of synapses' devices that no pulse moves
    laws: tuple[dict, ...]  # the card's laws, as in card.json
    flags: dict

    @property
    def uniform_read_noise(self) -> bool:
        """Whether all states read equally noisily (then a column's noise needs no second product)."""
        return bool(np.all(self.read_sd == self.read_sd[0]))

    @property
    def digest(self) -> str:
        """Return a hash of all values that a training depends on: equal for cards and options that train alike."""
        own = {k: v for k, v in vars(self).items() if not k.endswith("_latency")}
        values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in own.items()}
        for name in ("write_energy", "write_voltage", "write_duration"):  # unknown of many a measured device
            values[name] = [None if np.isnan(value) else value for value in values[name]]
        values["half_select"] = {str(share): rows.tolist() for share, rows in self.half_select.items()}
        values["retention"] = None if self.retention is None else self.retention.to_dict("list")
        return sha256_text(canonical_json(values))

    @classmethod
    def from_card(cls, card, traits: sections.Device | None = None, scale: str = "levels") -> DeviceModel:
        """Turn a kernel card into arrays.

        Parameters
        ----------
        card : KernelCard
            Tables ``states``, ``pulses``, ``transitions``, ``population``, ``reads`` and ``meta``.
        traits : sections.Device
            What of the device takes part: a spread that is switched off is zero; for ``stochastic`` and ``symmetric``
            see `network.synapse.ablation`, for ``rest`` `network.synapse.resting`. None: the defaults.
        scale : str
            What -1 and +1 are: "levels" or "states" (see the module text).

        Raises
        ------
        UserError
            If the card cannot serve as a synapse: rows that do not sum to 1, more than 1024 states, fewer than two
            distinct nominal levels, values that are not finite.
        """
        traits = traits or sections.Device()
        states, pulses = card.states, card.pulses
        wanted = card.most_written() if traits.pulses == MOST_WRITTEN else traits.pulses
        names, kinds = tuple(states["state"].tolist()), _kinds(pulses, wanted)
        pulses = pulses.set_index("pulse", drop=False).loc[list(kinds)]
        count = len(names)
        if not 2 <= len(kinds) <= MAX_PULSES:
            raise UserError(f"pulses.csv: found {len(kinds)} pulses, allowed: 2 to {MAX_PULSES}")
        if not 2 <= count <= MAX_STATES:
            raise UserError(f"states.csv: found {count} states, allowed: 2 to {MAX_STATES}")
        conductance = _column(states, "conductance_S", "states.csv")
        occupancy = np.clip(_column(states, "occupancy", "states.csv"), 0, None)
        occupancy = occupancy / occupancy.sum() if occupancy.sum() > 0 else np.full(count, 1 / count)
        transition, own = _transition(card.transitions, kinds, names), None
        if traits.device_to_device and len(card.population):
            own = _own_kernels(card, kinds, names)
        if traits.symmetric:
            rank = np.argsort(np.einsum("s,kst,t->k", occupancy, transition, conductance), kind="stable")
            both = [(k + ablation.mirrored(k, rank, conductance)) / 2 for k in (transition, own) if k is not None]
            transition, own = both[0], both[-1] if own is not None else None
            order = np.argsort(conductance, kind="stable")
            occupancy[order] = (occupancy[order] + occupancy[order[::-1]]) / 2
        if not traits.stochastic:
            _different(conductance, count)
            transition = ablation.least_noise(transition, conductance)
            own = None if own is None else ablation.least_noise(own, conductance)

        half_select = _half_select(card, kinds, names)
        chosen = _chosen(traits.pulses, kinds, card.pulses)
        if traits.widths or traits.between:
            _different(conductance, count)
            kernels = [transition, *half_select.values(), *([] if own is None else [own])]
            kernels, pulses = widths.added(kernels, pulses, conductance, occupancy, traits.widths, traits.between)
            transition, own = kernels[0], None if own is None else kernels.pop()
            half_select = dict(zip(half_select, kernels[1:], strict=True))
            kinds = tuple(pulses["pulse"])

        kept, rest = card.extras.get("retention"), None
        if traits.rest is not None:
            hops = resting.rates(kept, traits.rest.temperature_K, count, "network.device.rest")
            rest = resting.rest(hops, traits.rest.duration_s)

        nominal = np.einsum("s,kst,t->k", occupancy, transition, conductance)
        ends = nominal if scale == "levels" else conductance
        low, high = ends.min(), ends.max()
        if not high > low:
            table = "transitions.csv: all pulses lead to" if scale == "levels" else "states.csv: all states have"
            raise UserError(
                f"{table} the same mean conductance, allowed: conductances that differ, because a weight is stored in "
                "the difference"
            )
        reference, scale = (high + low) / 2, (high - low) / 2
        order = np.argsort(nominal, kind="stable")

        reads = card.reads.set_index("state").reindex(names).reset_index()
        read_sd = _column(reads, "noise_sd_S", "reads.csv") / scale * traits.read_noise
        spread = _column(states, "conductance_sd_S", "states.csv") / scale
        gains, offsets = np.ones(1), np.zeros(1)
        if traits.device_to_device and len(card.population):
            gains = _column(card.population, "conductance_factor", "population.csv")
            offsets = _column(card.population, "conductance_offset_S", "population.csv") / scale * _reliability(card)
            # f G + dG, told about the reference of a device without either
            offsets = offsets + (gains - 1) * reference / scale
        return cls(
            name=card.meta.name,
            states=names,
            pulses=kinds,
            transition=transition,
            by_instance=own,
            half_select=half_select,
            retention=kept,
            rest=rest,
            occupancy=occupancy,
            state_weight=((conductance - reference) / scale).astype(np.float32),
            state_spread=(spread * traits.within_state_spread).astype(np.float32),
            level=((nominal[order] - reference) / scale).astype(np.float32),
            level_pulse=order.astype(np.int32),
            instance_gain=gains.astype(np.float32),
            instance_weight=offsets.astype(np.float32),
            read_sd=read_sd.astype(np.float32),
            drive=np.nan_to_num(card.drive)[pulses.index.to_numpy()],
            write_energy=_column(pulses, "energy_mean_J", "pulses.csv", known=False),
            write_voltage=_column(_driven(pulses), "voltage_V", "pulses.csv", known=False),
            write_duration=_column(pulses, "duration_s", "pulses.csv", known=False),
            write_latency=_column(pulses, "latency_s", "pulses.csv", known=False),
            read_energy=_column(reads, "energy_J", "reads.csv"),
            read_latency=_column(reads, "latency_s", "reads.csv", known=False),
            read_voltage=_column(reads, "read_voltage_V", "reads.csv"),
            g_ref=float(reference),
            g_scale=float(scale),
            assumed="; ".join(
                filter(
                    None,
                    (
                        chosen,
                        widths.told(traits.widths, traits.between),
                        *(told.rstrip(".") for told in card.meta.assumed),
                    ),
                )
            ),
            stuck=traits.stuck_fraction,
            laws=tuple(law.dump() for law in card.meta.laws),
            flags=card.meta.flags.dump(),
        )


def _none() -> DeviceModel:
    still, nothing, one = np.ones((1, 1, 1)), np.zeros(1), np.zeros(1, np.float32)
    return DeviceModel(
        name="none", states=(0,), pulses=(0,), transition=still, by_instance=None, half_select={}, retention=None,
        rest=None, occupancy=np.ones(1), state_weight=one, state_spread=one, level=one,
        level_pulse=np.zeros(1, np.int32), instance_gain=np.ones(1, np.float32), instance_weight=one, read_sd=one,
        drive=nothing, write_energy=nothing, write_voltage=nothing, write_duration=nothing,
        write_latency=nothing, read_energy=nothing, read_latency=nothing, read_voltage=nothing, g_ref=0.0,
        g_scale=1.0, assumed="", stuck=0.0, laws=(), flags={},
    )  # fmt: skip


NO_DEVICE = _none()  # for rules that use no card: one state and one pulse that leaves it, all numbers zero


def _kinds(pulses: pd.DataFrame, wanted: tuple | None) -> tuple:
    """Return the names of the pulses that are used."""
    known = pulses["pulse"].tolist()
    if wanted is None:
        return tuple(known)
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"network.device.pulses: found {unknown[0]!r}, allowed: {', '.join(map(str, known))}")
    return tuple(dict.fromkeys(wanted))


def _chosen(wanted: object, used: tuple, every: pd.DataFrame) -> str:
    """Return in words which pulses were chosen by their writes, "" if there are no others."""
    if wanted != MOST_WRITTEN or len(used) == len(every):
        return ""
    return f"of {len(every)} pulses {' and '.join(map(str, used))} are used, which have the most writes"


def _different(conductance: np.ndarray, count: int) -> None:
    if len(set(conductance.tolist())) < count:
        raise UserError(
            "states.csv: conductance_S: found two states of equal conductance, allowed: a different value for each "
            "state"
        )


def _own_kernels(card, pulses: tuple, states: tuple) -> np.ndarray | None:
    """Return ``float64[I, K, S, S]`` in the order of the population, or None without such a table."""
    table = card.extras.get("by_instance")
    if table is None:
        return None
    groups = dict(list(table.groupby("instance")))
    return np.stack([_transition(groups[i], pulses, states, "by_instance.csv") for i in card.population["instance"]])


def _half_select(card, pulses: tuple, states: tuple) -> dict[float, np.ndarray]:
    table = card.extras.get("half_select")
    if table is None:
        return {}
    return {
        float(share): _transition(rows, pulses, states, "half_select.csv") for share, rows in table.groupby("fraction")
    }


def _reliability(card) -> np.ndarray:
    """Return by how much each instance's offset is to be believed, ``float64[instances]`` from 0 to 1.

    The best linear prediction of a random effect is its estimate times var_device / (var_device + se^2): an offset
    estimated from few writes is mostly the noise of those writes, which the transition table already holds. A card
    that says nothing of its devices' spread is taken at its word.
    """
    between = (card.meta.spread or {}).get("device_to_device_sd_S")
    if between is None:
        return np.ones(len(card.population))
    error = card.population["conductance_offset_se_S"].fillna(0.0).to_numpy(np.float64)
    return np.divide(between**2, between**2 + error**2, out=np.zeros_like(error), where=between**2 + error**2 > 0)


def _driven(pulses: pd.DataFrame) -> pd.DataFrame:
    """Return the pulses; one with another drive has no gate voltage, and its line is not charged."""
    other = pulses[[name for name in DRIVES if name in pulses and name != "voltage_V"]].notna().any(axis=1)
    return pulses.assign(voltage_V=pulses["voltage_V"].mask(pulses["voltage_V"].isna() & other, 0.0))


def _column(table: pd.DataFrame, name: str, file: str, known: bool = True) -> np.ndarray:
    """Return a column, whose values may be missing if they need not be ``known``."""
    if name not in table:
        raise UserError(f"{file}: column {name} is missing")
    values = table[name].to_numpy(dtype=np.float64)
    if not np.all(np.isfinite(values) | (np.isnan(values) & (not known))):
        raise UserError(f"{file}: {name}: found values that are missing or not finite, allowed: finite numbers")
    return values


def _transition(table: pd.DataFrame, pulses: tuple, states: tuple, file: str = "transitions.csv") -> np.ndarray:
    """Return ``float64[K, S, S]``; absent rows of the table are zeros."""
    wide = table.pivot_table(index=["pulse", "state_from"], columns="state_to", values="probability", aggfunc="sum")
    wide = wide.reindex(index=pd.MultiIndex.from_product([pulses, states]), columns=list(states)).fillna(0.0)
    dense = wide.to_numpy(dtype=np.float64).reshape(len(pulses), len(states), len(states))
    bad = np.argwhere(~(np.abs(dense.sum(axis=2) - 1) <= 1e-6) | (dense.min(axis=2) < 0))
    if len(bad):
        pulse, state = bad[0]
        raise UserError(
            f"{file}: pulse {pulses[pulse]}, state_from {states[state]}: found probabilities that sum to "
            f"{dense[pulse, state].sum():.6g}, allowed: non-negative numbers that sum to 1"
        )
    return dense / dense.sum(axis=2, keepdims=True)
