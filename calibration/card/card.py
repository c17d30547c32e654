"""The kernel card: all that a trainer needs to know about a device, as a directory of small tables.

It is the contract between the calibration and the network stage; where its numbers come from (a simulation, a
measurement, a law) is told in ``card.json`` and changes nothing else. Every column is described in
``results/README.md``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.card.kinds import Kind, kinds
from calibration.card.meta import SCHEMA_VERSION, Meta
from calibration.card.retention import (
    generator as retention_rates,  # what retention.csv means, for those who read a card
)
from calibration.card.tables import CARD, EVIDENCE, EXTRAS, conform, contiguous, drive, keys_of
from spinloom.errors import UserError
from spinloom.files import TEMPORARY, read_json, read_table, sha256_text, write_csv, write_json

__all__ = ["SCHEMA_VERSION", "KernelCard", "Meta", "retention_rates"]

SUM_TOLERANCE = 1e-9
MOST_WRITTEN = "most_written"  # instead of names of pulses: `KernelCard.most_written`


@dataclass(frozen=True)
class KernelCard:
    """A device as tables (schemas of the same names in `calibration.card.tables`) and what is said of them.

    Attributes
    ----------
    states : DataFrame
        One row per state, in ascending position.
    pulses : DataFrame
        One row per pulse.
    transitions : DataFrame
        One row per (pulse, state_from, state_to).
    population : DataFrame
        One row per device instance.
    reads : DataFrame
        One row per state.
    meta : Meta
        Content of ``card.json``.
    extras : dict of DataFrame
        Tables of `calibration.card.tables.EXTRAS` that this card has.
    """

    states: pd.DataFrame
    pulses: pd.DataFrame
    transitions: pd.DataFrame
    population: pd.DataFrame
    reads: pd.DataFrame
    meta: Meta
    extras: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: str | Path) -> KernelCard:
        """Read and validate the card in ``directory``.

        Raises
        ------
        UserError
            If a file is absent, damaged or breaks the contract.
        """
        directory = Path(directory)
        # before the tables: a newer card may hold tables that this version cannot judge
        meta = Meta.parse(read_json(directory / "card.json"), str(directory / "card.json"))
        tables = {name: read_table(directory / f"{name}.csv") for name in CARD}
        extras = {name: read_table(path) for name in EXTRAS if (path := directory / f"{name}.csv").exists()}
        card = cls(**tables, meta=meta, extras=extras).validate(directory)
        if meta.hash not in (None, card.hash):
            raise UserError(
                f"{directory / 'card.json'}: hash: found {meta.hash}, allowed: {card.hash}, the hash of the tables; a "
                "table was edited after the card was written. If the card belongs to a study, delete the edited table "
                "and run the study again; to use the edited tables, remove the key hash"
            )
        return card

    def write(self, directory: str | Path) -> None:
        """Validate the card, then write it; other files in ``directory`` stay.

        All files are written to a temporary directory first and then moved one by one, ``card.json`` last and
        an older one removed first: whatever happens in between, no card is ever half old and half new.

        Raises
        ------
        UserError
            If the card breaks the contract; then nothing is written.
        """
        directory = Path(directory)
        card = self.validate(directory)
        if directory.exists() and not directory.is_dir():
            raise UserError(f"{directory}: found a file, allowed: a directory for the card")
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f"{TEMPORARY}{directory.name}.") as name:
            temporary = Path(name)
            for table, content in card.tables.items():
                write_csv(content, temporary / f"{table}.csv")
            write_json({**card.meta.dump(), "hash": card.hash}, temporary / "card.json")
            (directory / "card.json").unlink(missing_ok=True)
            for table in EXTRAS.keys() - card.extras.keys():  # an older card's
                (directory / f"{table}.csv").unlink(missing_ok=True)
            for file in [*(f"{table}.csv" for table in card.tables), "card.json"]:
                os.replace(temporary / file, directory / file)

    def validate(self, where: str | Path = "card") -> KernelCard:
        """Return the card with the contract's types and order of rows and columns.

        Parameters
        ----------
        where : str or Path
            Directory of the card, for errors.

        Raises
        ------
        UserError
            Names the file, the column, what was found and what is allowed.
        """
        where = Path(where)
        meta = Meta.parse(self.meta.dump(), str(where / "card.json"))  # a copy with changes is not checked yet
        tables = {name: conform(getattr(self, name), schema, where / f"{name}.csv") for name, schema in CARD.items()}
        if unknown := self.extras.keys() - EXTRAS.keys():
            raise UserError(
                f"{where}: found an unknown table {sorted(unknown)[0]}, allowed: {', '.join([*CARD, *EXTRAS])}"
            )
        extras = {name: conform(table, EXTRAS[name], where / f"{name}.csv") for name, table in self.extras.items()}
        card = KernelCard(**tables, meta=meta, extras=extras)
        contiguous(card.states["state"], where / "states.csv")
        contiguous(card.pulses["pulse"], where / "pulses.csv")
        if list(card.reads["state"]) != list(card.states["state"]):
            raise UserError(
                f"{where / 'reads.csv'}: column state: found {list(card.reads['state'])}, allowed: each state of "
                f"states.csv once, 0..{len(card.states) - 1}"
            )
        total = card.states["occupancy"].sum()
        if abs(total - 1) > SUM_TOLERANCE:
            raise UserError(
                f"{where / 'states.csv'}: column occupancy: found the sum {total!r}, allowed: 1 within 1e-9"
            )
        _check_transitions(card, where / "transitions.csv")
        _check_extras(card, where)
        _check_counts(card, where / "card.json")
        return card

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables of the card by name."""
        return {**{name: getattr(self, name) for name in CARD}, **self.extras}

    @property
    def kernel(self) -> np.ndarray:
        """Probabilities, float64[pulses, states, states], indexed by pulse, from, to."""
        states = len(self.states)
        return self.transitions["probability"].to_numpy().reshape(len(self.pulses), states, states)

    @property
    def drive(self) -> np.ndarray:
        """What the laws of one drive are told in, of each pulse, float64[pulses], in the unit of its column."""
        return drive(self.pulses).to_numpy(np.float64)

    @property
    def rows_repeat(self) -> bool:
        """Whether the state before a write does not matter, because each write begins with a reset."""
        return self.meta.flags.reset_before_write

    def most_written(self) -> tuple[int, ...]:
        """Return the pulse up and the pulse down with the most writes, in the card's order.

        Of pulses with equally many, or without counts, the one with the largest mean step is meant.

        Raises
        ------
        UserError
            If no pulse raises the conductance in the mean, or none lowers it.
        """
        conductance, occupancy = (self.states[name].to_numpy() for name in ("conductance_S", "occupancy"))
        step = (self.kernel @ conductance - conductance) @ occupancy
        writes = self.transitions["count"].to_numpy().reshape(len(step), -1).sum(axis=1)
        best = np.lexsort((np.abs(step), writes))
        sides = [best[step[best] > 0], best[step[best] < 0]]
        if not all(map(len, sides)):
            raise UserError(
                f"pulses.csv: found {len(sides[0])} pulses that raise the conductance and {len(sides[1])} that lower "
                "it, allowed: one of each or more (network.device.pulses)"
            )
        return tuple(int(self.pulses["pulse"].iloc[place]) for place in sorted(side[-1] for side in sides))

    def kinds(self, pulses: Sequence[int | str] | str | None = None) -> tuple[Kind, ...]:
        """Return what the device can be used as (`calibration.card.kinds`).

        Parameters
        ----------
        pulses : sequence or None
            Names of those that are used, or `most_written`; None, or none of the card's: all.
        """
        pulses = self.most_written() if pulses == MOST_WRITTEN else pulses
        used = self.pulses["pulse"].isin(pulses if pulses is not None else []).to_numpy()
        used = used if used.any() else slice(None)
        known = self.transitions["basis"].to_numpy().reshape(self.kernel.shape)[..., 0] != "assumed"
        conductance, flags = self.states["conductance_S"].to_numpy(), self.meta.flags
        return kinds(self.kernel[used], conductance, known[used], flags.volatile, flags.reset_before_write)

    @property
    def interval(self) -> float:
        """Probability that each [ci_low, ci_high] holds; NaN if the card does not tell."""
        interval = self.meta.posterior.interval
        return float("nan") if interval is None else interval

    @property
    def hash(self) -> str:
        """SHA-256 over the texts of the tables of the device: cards with the same hash hold the same numbers."""
        tables = (table for name, table in sorted(self.tables.items()) if name not in EVIDENCE)
        texts = (table.to_csv(index=False, lineterminator="\n") for table in tables)
        return sha256_text("\n".join(texts))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _check_counts(card: KernelCard, where: Path) -> None:
    """Check what ``card.json`` says of states and pulses against their number."""
    size, pulses, meta = len(card.states), len(card.pulses), card.meta
    edges = meta.states.edges
    if edges is not None and (len(edges) != size + 1 or not np.all(np.diff(edges) > 0)):
        raise UserError(
            f"{where}: states.edges: found {_short(edges)}, allowed: {size + 1} rising numbers for {size} states"
        )
    intended = meta.intended_states
    if intended is not None and (len(intended) != pulses or max(intended, default=0) >= size):
        raise UserError(
            f"{where}: intended_states: found {_short(intended)}, allowed: a state of 0..{size - 1} for each of "
            f"{pulses} pulses, or null"
        )
    named = {
        "laws": [(max(law.conditions.pulses), law.conditions.state_from) for law in meta.laws],
        "probability_spread": [(row.pulse, row.state_from) for row in meta.probability_spread],
        "spread_position_by_pulse": [(row.pulse, None) for row in meta.spread_position_by_pulse],
    }
    for key, rows in named.items():
        for place, (pulse, state) in enumerate(rows):
            if pulse >= pulses or (state or 0) >= size:
                raise UserError(
                    f"{where}: {key}.{place}: found pulse {pulse} and state_from {state}, allowed: pulses "
                    f"0..{pulses - 1} and states 0..{size - 1}"
                )


def _check_extras(card: KernelCard, where: Path) -> None:
    """Check the optional tables against the states and pulses, and that their rows sum to 1."""
    limits = {"pulse": len(card.pulses), "state_from": len(card.states), "state_to": len(card.states)}
    for name, table in card.extras.items():
        for column, limit in limits.items():
            if column in table and table[column].max() >= limit:
                raise UserError(
                    f"{where / name}.csv: column {column}: found {table[column].max()}, allowed: 0..{limit - 1}, as in "
                    f"{'pulses' if column == 'pulse' else 'states'}.csv"
                )
        if name not in ("by_instance", "half_select"):
            continue
        keys = [key for key in keys_of(EXTRAS[name]) if key != "state_to"]
        sums = table.groupby(keys)["probability"].sum()
        wrong = sums[(sums - 1).abs() > SUM_TOLERANCE]
        if len(wrong):
            told = ", ".join(f"{key} {value:g}" for key, value in zip(keys, wrong.index[0], strict=True))
            raise UserError(
                f"{where / name}.csv: column probability of {told}: found the sum {wrong.iloc[0]!r}, allowed: 1 within "
                "1e-9"
            )
    found = card.meta.flags.half_select
    if found != ("half_select" in card.extras):
        raise UserError(
            f"{where / 'card.json'}: flags.half_select: found {found}, allowed: {not found}, as there is "
            f"{'no' if found else 'a'} table half_select.csv"
        )


def _check_transitions(card: KernelCard, where: Path) -> None:
    table, pulses, states = card.transitions, len(card.pulses), len(card.states)
    wanted = np.indices((pulses, states, states)).reshape(3, -1).T
    found = table[["pulse", "state_from", "state_to"]].to_numpy()
    if found.shape != wanted.shape or (found != wanted).any():
        found_set, wanted_set = set(map(tuple, found)), set(map(tuple, wanted))
        missing, extra = sorted(wanted_set - found_set), sorted(found_set - wanted_set)
        row, verb = (missing[0], "is missing") if missing else (extra[0], "is unknown")
        raise UserError(
            f"{where}: row pulse {row[0]}, state_from {row[1]}, state_to {row[2]} {verb}, allowed: every combination "
            f"of {pulses} pulses and {states} states once"
        )
    sums = card.kernel.sum(axis=-1)
    wrong = np.argwhere(np.abs(sums - 1) > SUM_TOLERANCE)
    if len(wrong):
        pulse, state = wrong[0]
        raise UserError(
            f"{where}: column probability of pulse {pulse}, state_from {state}: found the sum {sums[pulse, state]!r}, "
            "allowed: 1 within 1e-9"
        )
    outside = table[(table["probability"] < table["ci_low"]) | (table["probability"] > table["ci_high"])]
    if len(outside):
        row = outside.iloc[0]
        raise UserError(
            f"{where}: pulse {row['pulse']:g}, state_from {row['state_from']:g}, state_to {row['state_to']:g}: found "
            f"probability {row['probability']:g} outside [ci_low, ci_high] = [{row['ci_low']:g}, {row['ci_high']:g}], "
            "allowed: ci_low <= probability <= ci_high"
        )
