"""A kernel card on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from calibration.card import KernelCard
from calibration.card.meta import Check
from calibration.card.retention import YEAR_S
from calibration.consequences.derive import figures_of
from spinloom.quantities import of

KEYS = ("pulse", "state", "state_from")
MOST_STATES, MOST_PULSES, MOST_STEPS = 12, 24, 60  # beyond which a table is not for reading


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


def _transitions(card: KernelCard) -> Table:
    certain = not card.meta.events
    more = f", the first {MOST_PULSES} pulses" if len(card.pulses) > MOST_PULSES else ""
    title = "transitions: probability" + ("" if certain else f" [{card.interval:.0%} interval]") + more
    table = Table(title=title, title_justify="left")
    for heading in ("pulse", "from", *(f"to {label}" for label in card.states["label"]), "basis"):
        table.add_column(heading, justify="right")
    for _, rows in card.transitions.groupby(["pulse", "state_from"]):
        pulse, start = int(rows["pulse"].iloc[0]), int(rows["state_from"].iloc[0])
        if card.rows_repeat and start > 0 or pulse >= MOST_PULSES:
            continue
        cells = (
            f"{row.probability:.3g}" if certain else f"{row.probability:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
            for row in rows.itertuples()
        )
        name = "any" if card.rows_repeat else card.states["label"][start]
        table.add_row(str(pulse), name, *cells, rows["basis"].iloc[0])
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


def show(card: KernelCard, console: Console) -> None:
    """Print states, pulses, transitions, laws, spread and derived figures of ``card``, as far as they can be read."""
    meta = card.meta
    source = ", ".join(f"{key} {value}" for key, value in meta.source.dump().items() if isinstance(value, str))
    flags = ", ".join(f"{key} {value}" for key, value in meta.flags.dump().items())
    kind = ", ".join(card.kinds())
    console.print(
        f"{meta.name}: {source}\nkind: {kind}\nflags: {flags}\ncard {card.hash}", markup=False, highlight=False
    )
    for sentence in meta.assumed:
        console.print(f"assumed: {sentence}", markup=False, highlight=False)
    for note in meta.measurement.notes if meta.measurement else ():
        console.print(f"note: {note}", markup=False, highlight=False)
    for warning in meta.warnings:
        console.print(f"warning: {warning}", style="bold", markup=False, highlight=False)
    console.print(records("states", card.states.to_dict("records")))
    pulses = card.pulses.head(MOST_PULSES)
    more = "" if len(pulses) == len(card.pulses) else f", the first {len(pulses)} of {len(card.pulses)}"
    console.print(records(f"pulses{more}", pulses.to_dict("records")))
    if len(card.states) <= MOST_STATES:
        console.print(_transitions(card))
    else:
        console.print(f"transitions: {card.kernel.shape}, too many to print; they are in transitions.csv", markup=False)
    if meta.check is not None:
        console.print(records(_compared(meta.check), list(meta.check.pulses)))
    if meta.laws:
        console.print(_laws(card))
    for spread, title in (
        (meta.spread, "spread of the conductance"),
        (meta.spread_position, "spread of the final position"),
    ):
        if spread:
            console.print(records(title, [spread]))
    if meta.probability_spread:
        rows = [row.dump() for row in meta.probability_spread]
        console.print(records("spread of P(state 1) between devices", rows))
    derived = meta.derived or figures_of(card)
    console.print(records(f"writes{more}", derived.writes[:MOST_PULSES]))
    if len(derived.steps) <= MOST_STEPS:
        console.print(records("conductance steps", derived.steps))
    if derived.pairs:
        pairs = [{k: v for k, v in pair.items() if k != "asymmetry"} for pair in derived.pairs]
        for pair, full in zip(pairs, derived.pairs):
            known = [abs(value) for value in full["asymmetry"] if value is not None]
            pair["largest_asymmetry"] = max(known, default=None)
        console.print(records("up and down", pairs[:MOST_PULSES]))
    for rows, title in (
        (derived.half_select_disturbs_per_million, "half-select: changes of state per million pulses"),
        (derived.dead_zones, "dead zones: pulses up to this long do next to nothing"),
    ):
        if rows:
            console.print(records(title, rows[:MOST_STEPS]))
    if "retention" in card.extras:
        lives = card.extras["retention"].assign(half_life_years=lambda t: math.log(2) / t["rate_per_s"] / YEAR_S)
        console.print(records("retention", lives.to_dict("records")))
    console.print(
        f"largest over smallest conductance: {derived.conductance_ratio:.4g}\n"
        f"levels distinguishable at {derived.distinguishable_misread:.0%} misread: "
        f"{derived.distinguishable_levels} of {len(card.states)}",
        highlight=False,
    )
