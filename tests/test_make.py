"""What `make` says where Python is missing, too old, or without the package that makes environments."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = 'case "$2" in *version_info*) exit 1 ;; esac\n'
BARE = 'case "$2" in *ensurepip*) echo "No module named ensurepip" >&2; exit 1 ;; esac\n'


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on PATH")
@pytest.mark.parametrize(
    "script, said",
    [
        (None, "found no ./python; install Python 3.11 to 3.13"),
        (OLD, "./python is older than 3.11"),
        (BARE, "./python makes no environments; on Debian: apt install python3-venv"),
    ],
)
def test_a_python_that_will_not_do_is_one_line(tmp_path, script, said):
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    if script is not None:
        (tmp_path / "python").write_text(f"#!/bin/sh\n{script}")
        (tmp_path / "python").chmod(0o755)
    done = subprocess.run(["make", "run", "PYTHON=./python"], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make")]
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]
    assert not (tmp_path / ".venv").exists()
