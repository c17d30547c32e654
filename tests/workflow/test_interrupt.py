"""SIGINT to a run alone, as a supervisor sends it: its jobs end with it, the second time at once."""

import os
import signal
import subprocess
import sys

import psutil

from tests.workflows import ROOT
from workflow.study import interrupt

RUN = """
import subprocess, time
from workflow.study import interrupt
interrupt.end_jobs()
job = subprocess.Popen(["sleep", "60"])
try:
    print(job.pid, flush=True)
    job.wait()
except KeyboardInterrupt:
    print(job.wait(), flush=True)
    other = subprocess.Popen(["sleep", "60"])
    time.sleep(1.1)
    print(other.pid, flush=True)
    other.wait()
"""
CHILD = """
import time
try:
    print(flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    raise SystemExit(3)
"""


def test_jobs_end_with_their_run_and_at_the_second_time_at_once():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, **pipes) as run:
        assert psutil.pid_exists(int(run.stdout.readline()))
        run.send_signal(signal.SIGINT)
        assert int(run.stdout.readline()) == -signal.SIGTERM
        other = psutil.Process(int(run.stdout.readline()))
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=30)
    assert run.returncode == 130
    assert told == "error: interrupted twice, all jobs are killed; the same command goes on\n"
    assert other.wait(timeout=30) is None or not other.is_running()


def test_the_front_end_passes_an_interrupt_on_and_waits():
    before = signal.getsignal(signal.SIGINT)
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with interrupt.passed_on(process):
            os.kill(os.getpid(), signal.SIGINT)
            assert process.wait(timeout=30) == 3
    assert signal.getsignal(signal.SIGINT) is before
