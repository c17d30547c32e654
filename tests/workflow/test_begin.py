"""A study in a folder of the user's: what is written there, that it runs as in a clone, and what is installed."""

import fnmatch
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from spinloom.config import shipped
from spinloom.errors import UserError
from tests.workflows import ROOT, SMALL, STUDY, Tree, contents
from workflow.study import begin, config, scan

MEASURED = ROOT / "tests" / "calibration" / "data" / "ltp_ltd_continuous.csv"


def resolved(folder, *more):
    return config.load(folder / "config.yaml", *more)


def test_the_default_start_is_the_default_study_by_another_name(tmp_path):
    begin.begin(tmp_path / "mine")
    assert resolved(tmp_path / "mine") == {**config.load(ROOT / "config.yaml"), "study": "mine"}


@pytest.mark.parametrize("name", [name for name in shipped() if name != "default"])
def test_each_config_of_ours_is_a_start(tmp_path, monkeypatch, name):
    begin.begin(tmp_path / "mine", name)
    monkeypatch.chdir(tmp_path / "mine")  # where no configs/ is
    assert resolved(Path()) == {**config.load(ROOT / "config.yaml", shipped()[name]), "study": "mine"}
    points = scan.points("config.yaml", {})
    monkeypatch.chdir(ROOT)
    theirs = scan.points("config.yaml", {"extends": name})
    assert [(one.name, {**one.config, "study": name}) for one in points] == [(one.name, one.config) for one in theirs]


def test_a_measured_file_is_a_start(tmp_path, monkeypatch):
    begin.begin(tmp_path / "mine", data=MEASURED)
    monkeypatch.chdir(tmp_path / "mine")
    found = resolved(Path())
    assert Path(found["calibration"]["source"]["file"]).samefile(MEASURED) and found["study"] == "mine"
    # what the default study says of its wall is not said of this device
    assert found["calibration"]["states"]["method"] == "auto"


@pytest.mark.parametrize("name", ["config.yaml", "Snakefile", ".gitignore", "profiles/slurm/config.yaml"])
def test_no_file_is_replaced(tmp_path, name):
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("of the user")
    with pytest.raises(UserError, match=f"{name}: found that it exists already.*nothing was written"):
        begin.begin(tmp_path / "mine")
    assert [one for one in (tmp_path / "mine").rglob("*") if one.is_file()] == [path]
    assert path.read_text() == "of the user"


@pytest.mark.parametrize(
    "folder, options, message",
    [
        ("two words", {}, "two words: study: found two words, allowed: letters"),
        ("mine", {"start": "smok"}, "--from: found smok, allowed: default, "),
        ("mine", {"data": Path("absent.csv")}, "--data: found absent.csv, which does not exist"),
    ],
)
def test_what_cannot_begin_is_one_line_and_writes_nothing(tmp_path, folder, options, message):
    with pytest.raises(UserError, match=message):
        begin.begin(tmp_path / folder, **options)
    assert not (tmp_path / folder).exists()


def test_a_config_that_extends_another_replaces_what_is_beneath(tmp_path):
    own, extending = tmp_path / "config.yaml", tmp_path / "more.yaml"
    own.write_text("extends: smoke\nstudy: own\nnetwork: {epochs: 3}\n")
    extending.write_text("extends: default\nstudy: more\n")
    found = config.load(own)
    assert found["network"]["layers"] == [784, 32, 10] and found["network"]["epochs"] == 3
    assert config.load(own, extending) == {**config.load(ROOT / "config.yaml"), "study": "more"}
    own.write_text("extends: smok\n")
    with pytest.raises(UserError, match=r"config.yaml: extends: found smok, allowed: default, "):
        config.load(own)


def test_a_clone_that_is_not_installed_says_so(tmp_path, monkeypatch, capsys):
    """Its `python -m spinloom` finds nothing in the new folder."""
    monkeypatch.chdir(ROOT)
    rest = [path for path in sys.path if path and Path(path).resolve() != ROOT]
    monkeypatch.setattr(sys, "path", ["", *rest])
    begin.main([str(tmp_path / "one")])
    assert f"first: pip install --no-deps {ROOT}, " in capsys.readouterr().out
    # the clone is on the path, or a link to it is installed
    linked = tmp_path / "site" / "spinloom-1.dist-info"
    linked.mkdir(parents=True)
    (linked / "METADATA").write_text("Metadata-Version: 2.1\nName: spinloom\nVersion: 1\n")
    for place, folder in ((ROOT, tmp_path), (tmp_path / "site", ROOT)):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", ["", *rest, str(place)])
        begin.main([str(tmp_path / f"in_{place.name}")])
        assert "first:" not in capsys.readouterr().out


@pytest.mark.long
def test_a_study_in_its_own_folder_has_the_bytes_of_a_clone(finished, server, tmp_path):
    begin.begin(tmp_path / STUDY)
    own = Tree(tmp_path / STUDY, server)
    (own.path / "config.yaml").write_text(yaml.safe_dump({"extends": "default", **SMALL}))
    done = own.call("snakemake")
    assert done.returncode == 0, done.stderr
    assert contents(own.results) == contents(finished.results)
    again = own.call("python", "-m", "spinloom", "run")
    assert "Nothing to be done" in again.stderr and "Report: results/small/report.html" in again.stdout


def test_all_files_that_are_no_code_are_installed():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packages = ("spinloom", "spinloom_api", "workflow", "device_sims", "calibration", "network", "report")
    for package in packages:
        folder = ROOT / package
        files = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        found = {path for pattern in declared.get(package, []) for path in folder.glob(pattern)}
        assert files <= found, package
    # links to what lies elsewhere in a clone
    assert {(ROOT / "workflow" / name).exists() for name in declared["workflow"] if "*" not in name} == {True}
    assert len(list((ROOT / "workflow" / "configs").glob("*.yaml"))) > 20


def test_all_code_is_in_packages_that_are_installed():
    """By `pip install .` and by `-e .`, which take the packages that these patterns find."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    own = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    folders = {path.parent for name in own for path in (ROOT / name).rglob("*.py")}
    assert {"workflow", "spinloom_api"} <= own and len(folders) > 40
    for folder in folders:
        assert (folder / "__init__.py").exists(), folder
        assert any(fnmatch.fnmatchcase(".".join(folder.relative_to(ROOT).parts), one) for one in patterns), folder


@pytest.mark.long
def test_the_help_names_every_command():
    told = subprocess.run([sys.executable, "-m", "spinloom", "-h"], capture_output=True, text=True, cwd=ROOT).stdout
    for package, short in (("device_sims", "sim"), ("calibration", "card"), ("network", "net")):
        for path in (ROOT / package / "commands").glob("[!_]*.py"):
            assert f"  {short} {path.stem} " in told
    for words in (["card", "show", "-h"], ["sim", "engines", "-h"], ["report", "--help"]):
        done = subprocess.run([sys.executable, "-m", "spinloom", *words], capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0 and done.stdout.startswith("usage: python -m "), done.stderr


@pytest.mark.parametrize("command", ["check", "run", "design", "report", "reference"])
@pytest.mark.parametrize("words", [["--help"], ["-h"]])
def test_help_of_a_command_runs_nothing(command, words, tmp_path, monkeypatch, capsys):
    from spinloom import __main__ as cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["spinloom", command, *words])
    cli.main()
    told = capsys.readouterr().out
    assert told.startswith(f"usage: spinloom {command}") and "{" not in told
    assert not list(tmp_path.iterdir())
