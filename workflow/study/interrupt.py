"""Ctrl-C, or SIGINT from elsewhere: the jobs end with their run, at the second time at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psutil

ONE_S = 1.0  # a terminal tells all processes, and a process its children: within this time it is one interrupt


def end_jobs() -> None:
    """Let an interrupt of Snakemake end its jobs too, which it would wait for."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _Ending())


class _Ending:
    def __init__(self) -> None:
        self.first_s = 0.0

    def __call__(self, number: int, frame: object) -> None:
        jobs = psutil.Process().children(recursive=True)
        now_s = time.monotonic()
        if not self.first_s:
            self.first_s = now_s
            _each(jobs, signal.SIGTERM)
            raise KeyboardInterrupt
        if now_s - self.first_s > ONE_S:
            self._stop(jobs)

    def _stop(self, jobs: list[psutil.Process]) -> NoReturn:
        _each(jobs, signal.SIGKILL)
        os.write(sys.stderr.fileno(), b"error: interrupted twice, all jobs are killed; the same command goes on\n")
        os._exit(130)


def _each(jobs: list[psutil.Process], number: int) -> None:
    for job in jobs:
        try:
            job.send_signal(number)
        except psutil.NoSuchProcess:
            continue


@contextmanager
def passed_on(process: subprocess.Popen) -> Iterator[list[int]]:
    """Pass interrupts on to Snakemake, for whose end the block waits; yields the signals that came."""
    came: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        came.append(number)
        process.send_signal(number)

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
