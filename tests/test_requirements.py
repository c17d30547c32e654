"""The pinned requirements: complete, each with the hashes of its files, from nowhere in particular."""

import re
from importlib import metadata
from pathlib import Path

import pytest
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
