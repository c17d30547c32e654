"""Progress of long work: a line now and then, on the terminal if there is one and always in the log.

Beside the log lies how far the job is, as long as it runs (see `workflow.study.live`), then how fast it went.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console

from spinloom import files
from spinloom.speed import record

STATUS = ".progress.json"  # beside the log, while the job runs: what the live display reads


def table_console() -> Console:
    """Return a console on stdout for tables; into a file or a pipe nothing is folded to 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def clock(seconds: float) -> str:
    """Format a duration as ``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(int(round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Report how far a job is.

    Several jobs share one terminal, so each prints whole lines and no moving bar.

    Parameters
    ----------
    label : str
        What is being done; begins each line.
    total, unit : float, str
        Amount of work and its unit, e.g. ``160, "replicas"``.
    rate_unit, rate_per : str, float
        The speed shown is ``rate_per`` times the work done per second, in ``rate_unit``.
    log : path or None
        File that gets every line; truncated at the start.
    done : float
        Work that was already there.
    interval : float
        Least time between two lines on the terminal, s.
    speed : (str, float) or None
        Kind of the work and its amount in the units of `spinloom.speed`; with a log, how fast it went is kept there.
    """

    def __init__(
        self,
        label: str,
        total: float,
        unit: str,
        *,
        rate_unit: str,
        rate_per: float = 1.0,
        log: str | Path | None = None,
        done: float = 0,
        interval: float = 5.0,
        speed: tuple[str, float] | None = None,
    ):
        self.label, self.total, self.unit = label, total, unit
        self.rate_unit, self.rate_per, self.interval = rate_unit, rate_per, interval
        self.done = self.before = done
        self.speed, self.path = speed, None if log is None else Path(log)
        self.console = Console(stderr=True, highlight=False)
        self.terminal = sys.stderr.isatty()
        self.log: TextIO | None = None
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.log = open(self.path, "w", encoding="utf-8")
        self.start = time.monotonic()
        self.shown = -float("inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind, *exc) -> None:
        if self.log is None or self.path is None:
            return
        self.log.close()
        self.path.with_suffix(STATUS).unlink(missing_ok=True)
        if kind is None and self.speed is not None and self.done > self.before:
            name, work = self.speed
            share = (self.done - self.before) / self.total
            record(self.path, name, work * share, time.monotonic() - self.start)

    def say(self, text: str) -> None:
        """Write a line to the log, and to the terminal if there is one."""
        if self.log is not None:
            with files.named(str(self.path)):
                self.log.write(text + "\n")
                self.log.flush()
        if self.terminal:
            self.console.print(text, markup=False, soft_wrap=True)

    def advance(self, amount: float, note: str = "") -> None:
        """Count ``amount`` more work as done and report it."""
        self.done += amount
        now = time.monotonic()
        finished = self.done >= self.total
        if now - self.shown < self.interval and not finished:
            return
        self.shown = now
        speed = (self.done - self.before) / max(now - self.start, 1e-9)
        left = (self.total - self.done) / speed if speed > 0 else float("inf")
        if self.path is not None:
            told = {"label": self.label, "done": self.done, "total": self.total, "unit": self.unit, "pace": speed}
            told |= {"speed": speed * self.rate_per, "rate_unit": self.rate_unit}
            files.write_json(told | {"left_s": left if speed > 0 else None}, self.path.with_suffix(STATUS))
        self.say(
            f"{self.label}: {self.done:g}/{self.total:g} {self.unit}, {speed * self.rate_per:.3g} {self.rate_unit}, "
            + (f"took {clock(now - self.start)}" if finished else f"{clock(left)} left")
            + (f", {note}" if note else "")
        )
