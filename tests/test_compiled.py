"""Programs that a process compiled serve the next one, change no byte, and need no care."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spinloom import compiled

ROOT = Path(__file__).parent.parent
# a program whose bytes depend on how the compiler fuses and orders it
PROGRAM = """
import sys
from spinloom import compiled
compiled.set_up()
import jax, jax.numpy as jnp, numpy as np
def body(x, i):
    x = jnp.tanh(x @ x.T / 7 + jnp.sin(x) * i)
    return x, (x * jnp.exp(-x)).sum()
x = jnp.asarray(np.random.default_rng(1).normal(size=(40, 40)), jnp.float32)
x, sums = jax.jit(lambda x: jax.lax.scan(body, x, jnp.arange(50)))(x)
sys.stdout.buffer.write(np.asarray(x).tobytes() + np.asarray(sums).tobytes())
"""


def run(home: Path, **more: str) -> subprocess.CompletedProcess:
    """Run the program with a home of its own."""
    left = {name: text for name, text in os.environ.items() if not name.startswith("JAX_")}
    environment = {**left, "HOME": str(home), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", **more}
    return subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, check=True)


def entries(home: Path) -> list[Path]:
    return sorted((home / ".cache/spinloom/compiled").glob("*/*-cache"))


@pytest.mark.long
def test_a_kept_program_gives_the_same_bytes(tmp_path):
    without = run(tmp_path, JAX_ENABLE_COMPILATION_CACHE="0").stdout
    assert not entries(tmp_path)
    first = run(tmp_path).stdout
    kept = entries(tmp_path)
    assert kept
    again = run(tmp_path).stdout
    assert entries(tmp_path) == kept  # nothing was compiled anew
    assert len(without) == 4 * (40 * 40 + 50) and without == first == again


def test_a_damaged_program_is_compiled_again(tmp_path):
    whole = run(tmp_path).stdout
    for path in entries(tmp_path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert run(tmp_path).stdout == whole


@pytest.mark.long
def test_without_a_home_each_process_compiles(tmp_path):
    (tmp_path / "file").touch()  # also root can make no folder in it
    assert run(tmp_path / "file").stdout == run(tmp_path).stdout


def test_what_the_user_says_stays(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    compiled.set_up()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "elsewhere"
    assert os.environ["XLA_FLAGS"] == f"--xla_cpu_enable_fast_math=false {compiled.ONE_THREAD}"
    assert not entries(tmp_path)
    compiled.set_up()
    assert os.environ["XLA_FLAGS"].count(compiled.ONE_THREAD) == 1


@pytest.mark.parametrize("most, left", [(300, "abc"), (299, "bc"), (150, "c"), (0, "")])
def test_what_was_not_used_for_longest_goes(tmp_path, most, left):
    for age, name in enumerate("cba"):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    compiled.prune(tmp_path, most)
    assert "".join(sorted(path.name for path in tmp_path.iterdir())) == left
