"""A kernel card on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from calibration.card import KernelCard

# for people: lengths in nm, conductances in uS, energies in fJ, times in ns
SCALES = {"_m": ("nm", 1e9), "_S": ("uS", 1e6), "_J": ("fJ", 1e15), "_s": ("ns", 1e9)}
KEYS = ("pulse", "state", "state_from")


def _shown(column: str) -> tuple[str, float]:
    for suffix, (unit, scale) in SCALES.items():
        if column.endswith(suffix):
            return f"{column.removesuffix(suffix).replace('_', ' ')} ({unit})", scale
    return column.replace("_", " "), 1.0


def _table(title: str, records: list[dict]) -> Table:
    table = Table(title=title, title_justify="left")
    # card.json sorts its keys; a reader looks for the keys of a row at its left
    records = [dict(sorted(record.items(), key=lambda item: item[0] not in KEYS)) for record in records]
    columns = [_shown(column) for column in records[0]]
    for heading, _ in columns:
        table.add_column(heading, justify="right")
    for record in records:
        cells = zip(record.values(), columns, strict=True)
        table.add_row(
            *(f"{value * scale:.4g}" if isinstance(value, float) else str(value) for value, (_, scale) in cells)
        )
    return table


def _transition_table(card: KernelCard) -> Table:
    table = Table(title=f"transitions: probability [{card.interval:.0%} interval]", title_justify="left")
    for heading in ("pulse", "from", *(f"to {state}" for state in card.states["state"])):
        table.add_column(heading, justify="right")
    for (pulse, start), rows in card.transitions.groupby(["pulse", "state_from"]):
        if card.rows_repeat and start > 0:
            continue
        cells = (f"{row.probability:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]" for row in rows.itertuples())
        table.add_row(str(pulse), "any" if card.rows_repeat else str(start), *cells)
    return table


def show(card: KernelCard, console: Console) -> None:
    """Print states, pulses, transitions, spread and derived figures of ``card``."""
    source = ", ".join(f"{key} {value}" for key, value in card.meta["source"].items() if isinstance(value, str))
    flags = ", ".join(f"{key} {value}" for key, value in card.meta["flags"].items())
    console.print(f"{card.meta['name']}: {source}\nflags: {flags}\ncard {card.hash}", markup=False, highlight=False)
    console.print(_table("states", card.states.to_dict("records")))
    console.print(_table("pulses", card.pulses.to_dict("records")))
    console.print(_transition_table(card))
    if "spread" in card.meta:
        console.print(_table("spread of the final position", [card.meta["spread"]]))
    derived = card.meta.get("derived")
    if derived is None:
        return
    console.print(_table("writes", derived["writes"]))
    console.print(_table("conductance steps", derived["steps"]))
    console.print(
        f"largest over smallest conductance: {derived['conductance_ratio']:.4g}\n"
        f"levels distinguishable at {derived['distinguishable_misread']:.0%} misread: "
        f"{derived['distinguishable_levels']} of {len(card.states)}",
        highlight=False,
    )
