"""`make test` leaves out what is marked long, and CI runs all of it."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FOLDERS = sorted({path.parent for path in TESTS.rglob("test_*.py")}, key=str)


def marked(nodes: list[ast.expr]) -> bool:
    return any("pytest.mark.long" in ast.unparse(node) for node in nodes)


def short(path: Path) -> set[str]:
    """Return the tests of a file that are not marked long, neither by themselves nor all together."""
    body = ast.parse(path.read_text()).body
    together = [node.value for node in body if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)]
    tests = [node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return set() if marked(together) else {node.name for node in tests if not marked(node.decorator_list)}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(TESTS.parent).as_posix())
def test_no_package_is_left_without_a_short_test(folder):
    assert any(short(path) for path in folder.glob("test_*.py"))


def test_ci_runs_what_is_long():
    rules = (TESTS.parent / "Makefile").read_text().split("\n\n")
    (everything,) = (rule for rule in rules if "\ntest-all:" in f"\n{rule}")
    assert "$(PYTEST)\n" in f"{everything}\n" and "long" not in everything
    assert "\nmake test-all\n" in (TESTS.parent / ".ci" / "run").read_text()
