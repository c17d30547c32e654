"""Runs the checks, writes the table and draws the figures."""

from __future__ import annotations

import importlib
import multiprocessing
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from device_sims.single.run import usable_engine
from device_sims.validation import COMPARED, GROUPS, Curve, Row, setups
from spinloom import files
from spinloom.errors import UserError

COLUMNS = (
    "group",
    "test",
    "quantity",
    "expected",
    "source",
    "obtained",
    "tolerance",
    "tolerance_kind",
    "pass",
    "note",
    "wall_s",
)


def validate(
    output: str | Path, only: Sequence[str] = (), quick: bool = False, jobs: int = 1, engine: str = "llg"
) -> pd.DataFrame:
    """Run the checks and write ``validation.csv``, ``validation.md`` and the figures into ``output``.

    Parameters
    ----------
    output : path
    only : sequence of str
        Groups; all if empty.
    quick : bool
        The short subset.
    jobs : int
        Processes; the table does not depend on it, except for ``wall_s``.
    engine : str
        Who solves the problems; another than ``llg`` those of `COMPARED` only.

    Returns
    -------
    DataFrame
        The table, with the columns `COLUMNS`.

    Raises
    ------
    UserError
        If a group is unknown or not for this engine, or the engine cannot run here; or, after the table has been
        written, if a check could not be run.
    """
    for name in only:
        if name not in GROUPS:
            raise UserError(f"--only: found '{name}', allowed: {', '.join(GROUPS)}")
    groups = GROUPS
    if engine != "llg":
        usable_engine(engine)
        groups = COMPARED
        for name in only:
            if name not in groups:
                raise UserError(f"--only: found '{name}', allowed with --engine {engine}: {', '.join(groups)}")
    tasks = [
        (group, check.__name__, engine)
        for group in groups
        if not only or group in only
        for check in _checks(group, "QUICK" if quick else "CHECKS")
    ]
    rows, curves, broken = [], [], []
    for (group, name, _), (own, lines, fault) in zip(tasks, _run(tasks, jobs)):
        rows += own
        curves += lines
        if fault:
            broken.append(f"{group}.{name}: {fault}")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    output = Path(output)
    files.write_csv(table, output / "validation.csv")
    files.write_text(markdown(table), output / "validation.md")
    if curves:
        from device_sims.validation import figures

        figures.draw(curves, output)
    if broken:
        raise UserError("validation: " + "; ".join(broken))
    return table


def _checks(group: str, which: str) -> tuple:
    return getattr(importlib.import_module(f"device_sims.validation.{group}"), which)


def _run(tasks: list[tuple[str, str, str]], jobs: int) -> Iterator:
    if jobs == 1:
        yield from map(run_check, tasks)
        return
    # spawned, because a forked child would inherit a running JAX
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(run_check, tasks)


def run_check(task: tuple[str, str, str]) -> tuple[list[dict], list[Curve], str]:
    """Run one check; return its rows of the table, its curves, and what went wrong (empty if nothing did)."""
    group, name, setups.ENGINE = task
    rows, curves, fault = [], [], ""
    start = time.perf_counter()
    try:
        for item in getattr(importlib.import_module(f"device_sims.validation.{group}"), name)():
            if isinstance(item, Row):
                now = time.perf_counter()
                rows.append(_line(group, item, now - start))
                start = now
            else:
                curves.append(item)
    except Exception as error:  # noqa: BLE001  (one broken check must not cost the rest of the table)
        fault = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    print(
        f"{group}.{name}: {sum(row['pass'] for row in rows)} of {len(rows)} rows pass{'; ' + fault if fault else ''}",
        flush=True,
    )
    return rows, curves, fault


def _line(group: str, row: Row, wall_s: float) -> dict:
    return {
        "group": group,
        "test": row.test,
        "quantity": row.quantity,
        "expected": row.expected,
        "source": row.source,
        "obtained": row.obtained,
        "tolerance": row.tolerance,
        "tolerance_kind": row.kind,
        "pass": row.passed,
        "note": row.note,
        "wall_s": round(wall_s, 2),
    }


def markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown, a section per group."""
    misses = table[~table["pass"].astype(bool)]
    text = [
        f"{len(table)} rows, {len(misses)} outside their tolerance; "
        f"{table['wall_s'].sum() / 60:.1f} minutes of one core.\n"
    ]
    for group, rows in table.groupby("group", sort=False):
        text.append(
            f"\n### {group}\n\n| test | quantity | expected | obtained | tolerance | |\n|---|---|---|---|---|---|\n"
        )
        for row in rows.to_dict("records"):
            test, quantity, note = (_cell(row[key]) for key in ("test", "quantity", "note"))
            expected = "" if pd.isna(row["expected"]) else f"{row['expected']:.6g} "
            expected += f"({_cell(row['source'])})"
            quantity += f" ({note})" if note else ""
            verdict = "pass" if row["pass"] else "**MISS**"
            tolerance = _tolerance(row["tolerance_kind"], row["tolerance"])
            text.append(f"| {test} | {quantity} | {expected} | {row['obtained']:.6g} | {tolerance} | {verdict} |\n")
    return "".join(text)


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|")


def _tolerance(kind: str, tolerance: float) -> str:
    spelt = f"{tolerance:.4g}"
    return {
        "absolute": spelt,
        "relative": f"{100 * tolerance:.4g} %",
        "factor": f"factor {spelt}",
        "p_value": f"p > {spelt}",
        "at_least": f"at least {spelt}",
    }[kind]
