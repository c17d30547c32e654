"""``python -m spinloom design FILE``: search, then say honestly what was found.

The same command goes on after an interruption. Options behind the files are Snakemake's, as ``--cores 4`` or a profile
of a cluster; ``-n`` says what the first generation would take.
"""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spinloom import config, streams
from spinloom.errors import UserError
from workflow.design import chooser, ending, fidelities, objectives, tables
from workflow.design.chooser import Chooser
from workflow.design.objectives import Goal
from workflow.design.runs import Runs
from workflow.design.search import Search
from workflow.design.space import Space

DRY = ("-n", "--dry-run", "--dryrun")


def check(overlays: list[str]) -> tuple[Space, list[Goal]]:
    """Return the space and the objectives of a search, checked, and say what the constraints leave.

    Raises
    ------
    UserError
        If the search cannot be.
    """
    layer = config.layer(overlays)
    with _named(layer.source or "config.yaml"):
        space = Space("config.yaml", layer.content, layer.source)
        chooser.check(space.design.sampler)
        plan, seed = space.planner.plan(space.base), space.base["seed"]
        goals = objectives.goals(space.design, plan.variants)
        objectives.check(goals, plan)
        fidelities.check(space)
        share = space.check_feasible(streams.generator(seed, "design", "feasible"))
        space.check_effects(
            [one.variant for one in space.design.objectives], streams.generator(seed, "design", "effects")
        )
    levels = " -> ".join(space.levels)
    print(
        f"Search {space.base['study']}: {len(space.variables)} variables, {len(goals)} objectives, fidelities {levels};"
        f" the constraints leave {100 * share:.3g} % of the space",
        file=sys.stderr,
    )
    return space, goals


def run(overlays: list[str], options: list[str]) -> None:
    """Search, or go on with a search, and write its tables and its page.

    Parameters
    ----------
    overlays : list of str
        Config files, the last on top.
    options : list of str
        Of Snakemake.

    Raises
    ------
    UserError
        If the search cannot be, or its points cannot be made.
    """
    from workflow.study import told

    told.check_command(options)
    space, goals = check(overlays)
    runs = Runs(space, goals, options)
    with _alone(runs.folder), _interrupted():
        asks = Chooser(space, goals, space.base["study"], space.base["seed"])
        search = Search(space, goals, asks, runs, say=lambda line: print(line, file=sys.stderr))
        if any(option in DRY for option in options):
            runs.forecast(search.next())
            return
        asks.reach(space.design.storage, runs.folder)
        search.run(after=lambda: asks.keep(space.design.storage, runs.folder))
        fresh = ending.made_again(search, runs)
        tables.write(search, fresh, runs)
        page = runs.root / "report.html"
        command = [sys.executable, "-m", "report", "--design", str(runs.root), "--output", str(page)]
        if status := subprocess.run(command).returncode:
            raise SystemExit(status)
    print(f"Report: {page}")


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Let errors name the file."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error) if str(error).startswith(source) else f"{source}: {error}") from None


@contextmanager
def _interrupted() -> Iterator[None]:
    """End by Ctrl-C with one line, and as a shell tells an interrupt."""
    try:
        yield
    except KeyboardInterrupt:
        print("error: interrupted; the same command continues the search", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a search, which ends with this process.

    Raises
    ------
    UserError
        If another one is at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"{folder}: found another search at work in this folder, allowed: one at a time; wait until it ends"
            ) from None
        yield
