"""Plug-ins: found in our packages and among the entry points of installed ones, with one-line errors."""

import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from calibration import laws
from calibration.sources import importers, parametric
from device_sims import devices, engines
from network import datasets, rules
from spinloom import registry, sources
from spinloom.declare import Section, compose, options_of
from spinloom.errors import UserError

ROOT = Path(__file__).parents[1]
KINDS = {
    "rules": rules.REGISTRY,
    "datasets": datasets.REGISTRY,
    "engines": engines.REGISTRY,
    "laws": laws.REGISTRY,
    "importers": importers.REGISTRY,
    "parametric": parametric.REGISTRY,
    "devices": devices.REGISTRY,
}
RULE = """
Options = None
class RULE:
    name = "guest_rule"
    init = weights = propose = None
"""


MORE = "from network.crossbar import converters"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return the function that installs a package "guest" 1.0 of these files, with entry points of one kind."""

    def install(files: dict[str, str], kind=rules.REGISTRY, **points: str):
        folder = tmp_path / "guest-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
        lines = [f"[{kind.group}]", *(f"{name} = {value}" for name, value in points.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines))
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(
            registry, "_installed", lambda group: PathDistribution(folder).entry_points.select(group=group)
        )
        return kind

    return install


def said(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_ours_has_its_words_its_name_and_its_files(kind):
    found = KINDS[kind]
    assert len(found.names()) > 3 and found.names() == sorted(found.names())
    for name in found.names():
        module, files = found.get(name), sources.files(found.module(name)).values()
        assert module.__name__ == found.module(name) == f"{found.package}.{name}"
        assert module.__file__ in map(str, files)


@pytest.mark.parametrize("kind", KINDS)
def test_contributing_names_the_words(kind):
    found = KINDS[kind]
    folder = f"`{found.package.replace('.', '/')}/`"
    (row,) = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if folder in line and "|" in line]
    assert f"`{found.group}`" in row
    assert all(f"`{part}`" in row for word in found.words for part in word.split("."))


def test_a_package_brings_its_own(installed):
    found = installed({"guest/__init__.py": "", "guest/rule.py": RULE, "guest/more.py": MORE}, guest_rule="guest.rule")
    assert "guest_rule" in found.names() and "bop" in found.names()
    assert found.module("guest_rule") == "guest.rule" and found.get("guest_rule").RULE.name == "guest_rule"
    files = sources.files(found.module("guest_rule"))
    assert {name for name in files if name.startswith("guest")} == {
        f"guest/{x}.py" for x in ("__init__", "more", "rule")
    }
    # and what they import of the project, with the packages above it
    assert {"network/crossbar/converters.py", "network/crossbar/__init__.py"} <= set(files)


def test_a_package_may_be_one_file(installed, tmp_path):
    found = installed({"guest_alone.py": RULE}, guest_rule="guest_alone")
    assert found.get("guest_rule").RULE.name == "guest_rule"
    assert sources.files("guest_alone") == {"guest_alone.py": tmp_path / "guest_alone.py"}


def test_nothing_is_imported_before_it_is_asked_for(installed):
    found = installed({"guest_bomb.py": "raise SystemError('bang')"}, guest_rule="guest_bomb")
    assert "guest_rule" in found.names() and len(sources.files("guest_bomb")) == 1
    assert said(found.get, "guest_rule") == (
        "guest 1.0: entry point spinloom.rules, guest_rule = guest_bomb: cannot be imported (SystemError: bang)"
    )


@pytest.mark.parametrize(
    "text, points, message",
    [
        (RULE, {"bop": "guest_a"}, "network.rule: found two plug-ins called bop, in network.rules.bop and in guest_a"),
        ("RULE = 1", {"guest_rule": "guest_a"}, "found no 'Options', allowed: a module that defines Options, RULE."),
        (RULE, {"guest": "guest_a"}, "RULE.name: found 'guest_rule', allowed: 'guest'"),
        (RULE, {"a/../b": "guest_a"}, "network.rule: found a/../b, allowed: accumulate_quantise_program, "),
        ("import nowhere", {"guest_rule": "guest_a"}, "cannot be imported (ModuleNotFoundError: No module named"),
        (RULE, {"guest_rule": "guest_missing"}, "cannot be imported (ModuleNotFoundError: No module named 'guest_m"),
    ],
)  # fmt: skip
def test_a_package_that_does_not_fit_is_refused_in_one_line(installed, monkeypatch, text, points, message):
    found = installed({"guest_a.py": text}, **points)
    monkeypatch.delitem(sys.modules, "guest_a", raising=False)
    assert message in said(found.get, next(iter(points)))


def test_a_package_that_does_not_fit_is_no_matter_to_a_config_without_it(installed):
    found = installed({"guest_b.py": "import nowhere"}, parametric.REGISTRY, guest="guest_b")
    whole = compose("Whole", Section, options_of(found))
    assert whole.parse({}, "a.yaml").dump() == {}
    message = said(whole.parse, {"guest": {}}, "a.yaml")
    assert message.startswith("a.yaml: guest: guest 1.0: entry point spinloom.parametric, ") and "nowhere" in message


def test_an_unknown_name_is_answered_with_the_known_ones():
    assert said(rules.get, "hebb\n").startswith(
        "network.rule: found hebb\\n, allowed: accumulate_quantise_program, bop, "
    )
    assert said(rules.get, ["bop"]).startswith("network.rule: found ['bop'], allowed: ")
    assert len(said(datasets.get, "x" * 999)) < 200
    assert said(datasets.REGISTRY.get, "x", "data.json: dataset").startswith("data.json: dataset: found x, allowed: ")
    assert said(datasets.REGISTRY.module, "base").startswith("network.dataset: found base, allowed: arrays, ")
