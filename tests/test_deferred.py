"""Deferred imports: nothing runs before the first use, and after it all is as if it had been imported."""

import importlib.util
import subprocess
import sys

import pytest

from spinloom.deferred import defer


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two packages that are installed for a test, one of which needs the other."""
    for name, text in (("plain_one", "from . import part\nVALUE = 1\n"), ("plain_two", "import plain_one.part\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    (tmp_path / "plain_one" / "part.py").write_text("import plain_one\nVALUE = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield
    for name in [name for name in sys.modules if name.startswith("plain_")]:
        del sys.modules[name]


def test_modules_run_when_one_of_them_is_used(two):
    defer("plain_one", "plain_two")
    import plain_one
    import plain_one.part as part
    import plain_two

    names = {"plain_one", "plain_one.part", "plain_two"}
    assert all("VALUE" not in vars(sys.modules[name]) for name in names)
    assert (part.VALUE, plain_one.VALUE) == (2, 1)
    assert plain_two.plain_one is sys.modules["plain_one"]
    with pytest.raises(AttributeError, match="nothing"):
        part.nothing()
    import plain_one as again

    assert vars(again)["VALUE"] == 1


def test_what_is_imported_or_missing_stays_so(two):
    import plain_one

    defer("plain_one", "plain_three")
    import plain_one.part as part

    assert vars(part)["VALUE"] == vars(plain_one)["part"].VALUE == 2
    assert importlib.util.find_spec("plain_three") is None


def test_the_rules_options_are_read_without_jax():
    code = """
import sys
from spinloom.deferred import defer
defer("jax", "optax")
from network import rules
names = rules.REGISTRY.own()
assert len(names) > 5 and all(rules.get(name).uses_card(rules.options(name, {})) in (True, False) for name in names)
sys.exit("jaxlib" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
