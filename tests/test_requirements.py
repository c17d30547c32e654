"""The pinned requirements: complete, each with the hashes of its files, from nowhere in particular."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FILES = ("requirements.txt", "requirements-slurm.txt", "requirements-test.txt", "requirements-docs.txt")
LINE = re.compile(r"([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def pins(name: str) -> dict[str, str]:
    """Return the versions that a file pins, by name; all that it says must be pins with hashes."""
    text = re.sub(r"^(#.*|-r requirements[a-z-]*\.txt)\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    assert LINE.sub("", text) == "", name
    return {one: version for one, version, _ in LINE.findall(text)}


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_a_pin_with_hashes(name):
    assert pins(name)


def test_what_a_pinned_package_needs_is_pinned():
    """For every version of Python that is supported; what only Windows needs is left out."""
    known = {name: version for file in FILES for name, version in pins(file).items()}
    for name, version in known.items():
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # one that only other versions of Python need
            continue
        for python in ("3.11", "3.12", "3.13"):
            here = {"extra": "", "python_version": python, "python_full_version": f"{python}.1"}
            for need in map(Requirement, needs):
                if need.marker is None or need.marker.evaluate(here):
                    found = known.get(canonicalize_name(need.name))
                    assert found and need.specifier.contains(Version(found)), f"{name} {version} needs {need}"


def test_a_study_needs_nothing_of_the_tests():
    own = pins("requirements.txt")
    assert not own.keys() & {package for file in FILES[1:] for package in pins(file)}
    project = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    wanted = {canonicalize_name(Requirement(text).name) for text in re.findall('"(.+?)"', project[1])}
    assert len(wanted) > 15 and wanted <= own.keys()


def imported(*folders: str) -> set[str]:
    """Return the packages, by the names of their distributions, that modules of these folders import."""
    found, owners = set(), metadata.packages_distributions()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            found |= {name.split(".")[0] for name in names}
    own = {path.parent.name for path in ROOT.glob("*/__init__.py")} | sys.stdlib_module_names
    return {canonicalize_name(name) for module in found - own for name in owners.get(module, [])}


def test_conda_s_environment_has_what_a_study_its_tests_and_lint_need():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    names = [*filter(lambda entry: isinstance(entry, str), listed), *listed[-1]["pip"]]
    there = {canonicalize_name(re.split("[=<>]", name)[0].removesuffix("-base")) for name in names}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    study = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    # all that Makefile's lint calls, and what gives the types of other packages to it
    lint = {
        name for name in pins("requirements-test.txt") if name in ("ruff", "snakefmt", "pyright") or "stubs" in name
    }
    assert {"pandas-stubs", "snakefmt"} <= lint and "pillow" in study
    # ubermag brings its own parts, snakemake its interfaces
    brought = {"discretisedfield", "micromagneticmodel", "micromagneticdata", "oommfc", "ubermagutil"}
    tests = {name for name in imported("tests") - brought if not name.startswith("snakemake-interface")}
    assert "pytest" in tests and not (study | tests | lint) - there
