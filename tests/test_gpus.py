"""Jobs on a machine of several GPUs: each gets one of its own. Here the GPUs are names; no driver is asked."""

import os
import subprocess
import sys

import pytest

from spinloom import gpus

CLAIM = "from spinloom import gpus; print(gpus.claim(), flush=True); input()"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of two GPUs, with a folder of its own for locks."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)


def start():
    return subprocess.Popen([sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_each_job_gets_a_gpu_and_a_killed_one_gives_it_back(machine):
    jobs = [start(), start()]
    try:
        assert sorted(job.stdout.readline().strip() for job in jobs) == ["4", "7"]
        # one too many shares them
        jobs.append(start())
        assert jobs[2].stdout.readline().strip() == "None"
        jobs[0].kill()
        jobs[0].wait()
        jobs.append(start())
        assert jobs[3].stdout.readline().strip() in ("4", "7")
    finally:
        for job in jobs:
            job.kill()
            job.communicate()


@pytest.mark.parametrize("variable, value", [("CUDA_VISIBLE_DEVICES", "3"), ("CUDA_VISIBLE_DEVICES", "")])
def test_one_gpu_or_none_is_left_as_it_is(machine, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    assert gpus.claim() is None and os.environ["CUDA_VISIBLE_DEVICES"] == value


@pytest.mark.parametrize("platforms, found", [("cpu", []), ("cuda", ["4", "7"]), ("", ["4", "7"])])
def test_jax_on_the_cpu_claims_nothing(machine, monkeypatch, platforms, found):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    assert gpus.visible() == found


def test_the_driver_is_asked_where_nothing_is_told(machine, monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.visible() == []
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 0\necho 1\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpus.visible() == ["0", "1"]
