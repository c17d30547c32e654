"""The arrows of the house, read from the imports themselves: those inside of functions count too."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]
PACKAGES = ("spinloom", "device_sims", "calibration", "network", "workflow", "report", "spinloom_api")


def test_no_import_runs_up(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS  # the contracts are in pyproject.toml


def test_no_modules_import_each_other(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' <- '.join(error.args[1])}")
