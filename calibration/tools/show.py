"""A kernel card on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from calibration.card import KernelCard
from calibration.card.meta import Check, Derived
from calibration.card.retention import YEAR_S
from calibration.consequences.derive import figures_of
from spinloom.quantities import of

KEYS = ("pulse", "state", "state_from")
MOST_STATES, MOST_PULSES, MOST_STEPS = 12, 24, 60  # beyond which a table is not for reading
FEW = 6  # rows of each of the three tables that fit one screen


def records(title: str, rows: Sequence[dict]) -> Table:
    """Return rows of equal keys as a table, quantities in the units of `spinloom.quantities`."""
    table = Table(title=title, title_justify="left")
    # card.json sorts its keys; a reader looks for the keys of a row at its left
    rows = [dict(sorted(row.items(), key=lambda item: item[0] not in KEYS)) for row in rows]
    # a column that says nothing in any row takes room from the others
    empty = {name for name in rows[0] if all(_absent(row[name]) for row in rows)}
    columns = {name: of(name) for name in rows[0] if name not in empty}
    for quantity in columns.values():
        table.add_column(quantity.title, justify="right")
    for row in rows:
        table.add_row(*(_cell(row[name], quantity.scale) for name, quantity in columns.items()))
    return table


def _absent(value) -> bool:
    return value is None or isinstance(value, float) and value != value


def _cell(value, scale: float) -> str:
    if _absent(value):
        return "-"
    if isinstance(value, list):
        return " ".join(_cell(part, 1.0) for part in value)
    return f"{value * scale:.4g}" if isinstance(value, float) else str(value)


def _transitions(card: KernelCard, most: int) -> Table:
    certain = not card.meta.events
    rows = [
        row
        for _, row in card.transitions.groupby(["pulse", "state_from"])
        if row["pulse"].iloc[0] < MOST_PULSES and not (card.rows_repeat and row["state_from"].iloc[0] > 0)
    ]
    title = "transitions: probability" + ("" if certain else f" [{card.interval:.0%} interval]")
    if len(rows) > most:
        title += f", the first {most} of {len(rows)}"
    elif len(card.pulses) > MOST_PULSES:
        title += f", the first {MOST_PULSES} pulses"
    table = Table(title=title, title_justify="left")
    for heading in ("pulse", "from", *(f"to {label}" for label in card.states["label"]), "basis"):
        table.add_column(heading, justify="right")
    for row in rows[:most]:
        pulse, start = row["pulse"].iloc[0], row["state_from"].iloc[0]
        cells = (
            f"{to.probability:.3g}" if certain else f"{to.probability:.3f} [{to.ci_low:.3f}, {to.ci_high:.3f}]"
            for to in row.itertuples()
        )
        name = "any" if card.rows_repeat else card.states["label"][start]
        table.add_row(str(pulse), name, *cells, row["basis"].iloc[0])
    return table


def _laws(card: KernelCard) -> Table:
    table = Table(title="fitted laws, the best of each group first", title_justify="left")
    for heading in ("law", "pulses", "from", "parameters (standard error)", "AIC", "goodness p"):
        table.add_column(heading)
    for law in card.meta.laws:
        errors, where = law.standard_errors, law.conditions
        told = ", ".join(
            f"{name} {value:.4g}" + ("" if errors[name] is None else f" ({errors[name]:.2g})")
            for name, value in law.parameters.items()
        )
        pulses, start, p = where.pulses, where.state_from, law.goodness.p_value
        span = str(pulses[0]) + (f"-{pulses[-1]}" if len(pulses) > 1 else "")
        start = "any" if start is None else card.states["label"][start]
        table.add_row(law.law, span, start, told, f"{law.aic:.1f}", "-" if p is None else f"{p:.3g}")
    return table


def _compared(check: Check) -> str:
    return (
        f"the writes, and the same as the card makes them: {check.contradictions} of {check.statistics} statistics "
        f"contradict each other (a right card: none, with a probability of {1 - check.alarm:g})"
    )


def _pairs(pairs: Sequence[dict]) -> list[dict]:
    """Return pairs of pulses with the largest asymmetry of each, instead of one per state."""
    rows = []
    for pair in pairs:
        known = [abs(value) for value in pair["asymmetry"] if value is not None]
        rows.append(
            {k: v for k, v in pair.items() if k != "asymmetry"} | {"largest_asymmetry": max(known, default=None)}
        )
    return rows


def _first(title: str, rows: Sequence[dict], most: int) -> Table:
    """Return the first ``most`` rows as a table, whose title says if there are more."""
    more = "" if len(rows) <= most else f", the first {most} of {len(rows)}"
    return records(title + more, rows[:most])


def _details(card: KernelCard, derived: Derived) -> Iterator[tuple[str, Table]]:
    """Yield what only ``--all`` prints: the short name of each table, and the table."""
    meta = card.meta
    if meta.check is not None:
        yield "check against the writes", records(_compared(meta.check), list(meta.check.pulses))
    if meta.laws:
        yield "fitted laws", _laws(card)
    for name, spread in (("conductance", meta.spread), ("final position", meta.spread_position)):
        if spread:
            yield f"spread of the {name}", records(f"spread of the {name}", [spread])
    if meta.probability_spread:
        rows = [row.dump() for row in meta.probability_spread]
        yield "spread of P(state 1)", records("spread of P(state 1) between devices", rows)
    yield "writes", _first("writes", derived.writes, MOST_PULSES)
    if len(derived.steps) <= MOST_STEPS:
        yield "conductance steps", records("conductance steps", derived.steps)
    if derived.pairs:
        yield "up and down", _first("up and down", _pairs(derived.pairs), MOST_PULSES)
    if rows := derived.half_select_disturbs_per_million:
        yield "half-select", records("half-select: changes of state per million pulses", rows[:MOST_STEPS])
    if rows := derived.dead_zones:
        yield "dead zones", records("dead zones: pulses up to this long do next to nothing", rows[:MOST_STEPS])
    if "retention" in card.extras:
        lives = card.extras["retention"].assign(half_life_years=lambda t: math.log(2) / t["rate_per_s"] / YEAR_S)
        yield "retention", records("retention", lives.to_dict("records"))


def show(card: KernelCard, console: Console, everything: bool = True) -> None:
    """Print ``card``: states, pulses and transitions, then what follows from them.

    Parameters
    ----------
    card : KernelCard
    console : rich.console.Console
    everything : bool
        False for one screen: the first rows of the three tables, and the names of what is left out.
    """
    meta, derived = card.meta, card.meta.derived or figures_of(card)
    source = ", ".join(f"{key} {value}" for key, value in meta.source.dump().items() if isinstance(value, str))
    flags = ", ".join(f"{key} {value}" for key, value in meta.flags.dump().items())
    kind = ", ".join(card.kinds())
    console.print(
        f"{meta.name}: {source}\nkind: {kind}\nflags: {flags}\ncard {card.hash}", markup=False, highlight=False
    )
    for sentence in meta.assumed:
        console.print(f"assumed: {sentence}", markup=False, highlight=False)
    notes = meta.measurement.notes if meta.measurement else ()
    for note in notes if everything else ():
        console.print(f"note: {note}", markup=False, highlight=False)
    for warning in meta.warnings:
        console.print(f"warning: {warning}", style="bold", markup=False, highlight=False)
    states, pulses = card.states.to_dict("records"), card.pulses.to_dict("records")
    console.print(_first("states", states, len(states) if everything else FEW))
    console.print(_first("pulses", pulses, MOST_PULSES if everything else FEW))
    if len(card.states) <= MOST_STATES:
        console.print(_transitions(card, len(card.transitions) if everything else FEW))
    else:
        console.print(f"transitions: {card.kernel.shape}, too many to print; they are in transitions.csv", markup=False)
    details = list(_details(card, derived))
    for _, table in details if everything else ():
        console.print(table)
    console.print(
        f"largest over smallest conductance: {derived.conductance_ratio:.4g}\n"
        f"levels distinguishable at {derived.distinguishable_misread:.0%} misread: "
        f"{derived.distinguishable_levels} of {len(card.states)}",
        highlight=False,
    )
    if not everything:
        left_out = ["all rows", *(["notes of the measurement"] if notes else []), *(name for name, _ in details)]
        console.print(f"--all also prints: {', '.join(left_out)}", markup=False, highlight=False)
