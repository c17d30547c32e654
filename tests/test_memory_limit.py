"""What ends a job without an exception, or with one of a library's own, is one line."""

import errno
import os
import resource
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from spinloom import files
from spinloom.progress import Progress
from tests.workflows import ROOT

LIMIT_B = 8 * 10**9


def command(body, limit_B=LIMIT_B, **environment):
    """Run a command that does ``body``, under a limit of memory."""
    text = f"from spinloom.command_line import run_cli\ndef main():\n    import os, sys\n    {body}\nrun_cli(main)"

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (limit_B, limit_B))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, env={**os.environ, **environment}, preexec_fn=limit,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("body", ["os.abort()", "raise MemoryError", "bytearray(10**12)"])
def test_under_a_limit_of_memory_an_abort_is_one_line(body):
    done = command(body)
    assert done.returncode == 2
    found = "error: memory: found a limit of 8 GB (ulimit -v), which is too little for this job"
    assert done.stderr == f"{found}, allowed: in general 4 GB or more\n"


def test_all_else_ends_under_a_limit_as_it_does_without():
    for limit_B in (LIMIT_B, resource.RLIM_INFINITY):
        assert command("sys.exit(3)", limit_B).returncode == 3
        assert command("print('x')", limit_B).stdout == "x\n"
        assert "ZeroDivisionError" in command("1 / 0", limit_B).stderr
    assert command("os.abort()", resource.RLIM_INFINITY).returncode == -signal.SIGABRT
    assert command("os.kill(os.getpid(), 9)").returncode == 128 + 9


def test_a_platform_that_jax_does_not_have_is_one_line():
    done = command("import jax; jax.numpy.zeros(1)", resource.RLIM_INFINITY, JAX_PLATFORMS="nonsense")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: JAX_PLATFORMS: found nonsense, allowed: cpu, or cuda with a GPU")


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError) as error, files.atomic(tmp_path / "table.csv"):
        refuse()
    assert error.value.filename == str(tmp_path / "table.csv")
    with Progress("x", 1, "replicas", rate_unit="ns/s", log=tmp_path / "x.log") as progress:
        monkeypatch.setattr(progress, "log", SimpleNamespace(write=refuse, close=progress.log.close))
        with pytest.raises(OSError) as error:
            progress.say("a line")
    assert error.value.filename == str(tmp_path / "x.log")
