"""Which source files a program consists of."""

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from network.training import settings
from spinloom import sources
from spinloom.errors import UserError
from tests.workflows import SMALL, changed
from workflow.study import config, planning
from workflow.study.sources import starts


def test_a_module_brings_what_it_imports_and_the_packages_above():
    found = sources.files("calibration.card.retention")
    assert list(found) == [
        "calibration/__init__.py", "calibration/card/__init__.py", "calibration/card/card.py",
        "calibration/card/kinds.py", "calibration/card/meta.py", "calibration/card/retention.py",
        "calibration/card/tables.py",
        *(n for n in found if n.startswith("spinloom/")),
    ]  # fmt: skip
    assert all(path.exists() for path in found.values()) and "spinloom/errors.py" not in found


def test_imports_within_functions_count():
    train = sources.files("network.commands.train")
    assert "network/training/trainer.py" in train and "network/results/show.py" not in train


def test_an_outside_package_counts_as_a_whole(tmp_path, monkeypatch):
    (tmp_path / "outsider").mkdir()
    for name in ("__init__", "rule", "more"):
        (tmp_path / "outsider" / f"{name}.py").touch()
    (tmp_path / "outsider_alone.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert sorted(sources.files("outsider.rule")) == ["outsider/__init__.py", "outsider/more.py", "outsider/rule.py"]
    assert sources.files("outsider_alone") == {"outsider_alone.py": tmp_path / "outsider_alone.py"}
    with pytest.raises(UserError, match="outsider_missing: found no such package"):
        sources.files("outsider_missing.rule")


def test_digests_follow_content_and_not_place(tmp_path):
    for name, path in sources.files("network.rules.bop").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    here, there = (sources.digests("network.rules.bop", root=root) for root in (sources.ROOT, tmp_path))
    assert here == there
    (tmp_path / "network/rules/bop.py").write_text("# other\n")
    other = sources.digests("network.rules.bop", root=tmp_path)
    assert {name for name in here if here[name] != other[name]} == {"network/rules/bop.py"}


KEY = "from spinloom.declare import key\nx = key('A word.', 1)\n"


@pytest.mark.parametrize(
    "one, other, same",
    [
        (KEY, KEY.replace("A word.", "Other words."), True),
        (KEY, KEY.replace("1", "2"), False),
        (KEY, KEY.replace("'A word.'", "'A word.', 3"), False),
        (KEY, KEY.replace("import key", "import Section"), False),
        # a function of the same name from elsewhere
        (KEY.replace("spinloom.declare", "mine"), KEY.replace("spinloom.declare", "mine").replace("word", "w"), False),
    ],
)
def test_what_a_key_of_a_config_says_is_no_part_of_a_digest(one, other, same):
    assert (sources._compiled(one.encode()) == sources._compiled(other.encode())) == same


@pytest.mark.parametrize(
    "text, same",
    [
        ("# a comment\n'A docstring.'\nx = (\n    1 +\n    2)\n", True),
        ("'''Another\ndocstring.'''\nx = 1 + 2\n", True),
        ("'A docstring.'\nx = 1 + 2  # more\n\n\n", True),
        ("'A docstring.'\nx = 2 + 1 + 0.0\n", False),
        ("'A docstring.'\nx = '1 + 2'\n", False),
        ("'A docstring.'\nx = 1 + 2\ny = 0\n", False),
        ("'A docstring.'\ndef x(): return 1 + 2\n", False),
        ("'A docstring.'\nx = 1 +\n", False),
    ],
)
def test_a_digest_is_of_what_python_compiles(tmp_path, text, same):
    found = []
    for content in ("'A docstring.'\nx = 1 + 2\n", text):
        for name, path in sources.files("network.rules.bop").items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / name)
        (tmp_path / "network/rules/bop.py").write_text(content)
        found.append(sources.digests("network.rules.bop", root=tmp_path)["network/rules/bop.py"])
    assert (found[0] == found[1]) == same


def test_digests_are_the_same_in_every_process(tmp_path):
    """Sets of texts have another order in each: what is hashed must not. Homes of their own: nothing is kept."""
    text = "from spinloom import sources; print(sources.digests('network.commands.train'))"
    seen = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "HOME": str(tmp_path / seed)}
        done = subprocess.run([sys.executable, "-c", text], env=environment, text=True, capture_output=True, check=True)
        seen.add(done.stdout)
    assert len(seen) == 1 and "network/training/trainer.py" in seen.pop()


def test_versions_are_of_the_packages_that_compute():
    train, package = (sources.versions(name) for name in ("network.commands.train", "workflow.study.package"))
    names = {"jax", "jaxlib", "numpy", "opt_einsum", "optax", "pandas", "pyarrow", "python", "safetensors", "scipy"}
    assert set(train) == names and set(package) == {"numpy", "pandas", "pyarrow", "python"}
    more = sources.versions("workflow.study.package", packages=("pillow",))
    assert more == {**package, "pillow": metadata.version("pillow")}


def test_packages_that_a_plug_in_imports_count(tmp_path, monkeypatch):
    """Whatever their distributions are called, and none if they are not installed."""
    (tmp_path / "importing").mkdir()
    (tmp_path / "importing" / "__init__.py").write_text("import humanfriendly, git, absent_everywhere, rich")
    monkeypatch.syspath_prepend(tmp_path)
    assert sources.versions("importing.rule").keys() == {"python", "humanfriendly", "GitPython"}


@pytest.mark.parametrize(
    "name, jobs",
    [
        ("device_sims/engines/llg/solver.py", {"simulate", "collect", "picture"}),
        ("device_sims/pictures/drawing.py", {"picture"}),
        ("device_sims/devices/domain_wall.py", {"simulate", "collect"}),
        ("device_sims/engines/oommf/program.py", set()),
        ("device_sims/engines/macrospin/solver.py", set()),
        ("device_sims/devices/stt_mtj.py", set()),
        ("network/datasets/svhn.py", set()),
        ("network/rules/bop.py", set()),
        ("calibration/tools/figures.py", {"card_figures"}),
        ("spinloom/errors.py", set()),
        ("spinloom/pareto.py", {"report"}),
    ],
)
def test_jobs_of_the_default_study_that_use_a_file(name, jobs):
    plan = planning.plan(config.laid_over("config.yaml", {}))
    assert {job for job, start in starts(plan).items() if name in sources.files(*start.modules)} == jobs
    assert (sources.ROOT / name).exists()


def test_a_checkpoint_and_its_job_depend_on_the_same_files():
    plan = planning.plan(config.laid_over("config.yaml", SMALL))
    for one in plan.trained:
        start = sources.command("network", "train", *one.modules)
        assert starts(plan)[f"train_{one.variant}"].modules == start
        assert isinstance(one, settings.Settings) and f"network/rules/{one.rule}.py" in sources.files(*start)


@pytest.mark.parametrize(
    "source, modules, files",
    [
        ({"kind": "library", "name": "sot_mtj_80nm_a"}, ["calibration.sources.parametric.switching"], 1),
        ({"kind": "import", "file": "README.md", "format": "trains"}, ["calibration.sources.importers.trains"], 0),
        ({"kind": "simulation"}, [], 0),
    ],
)
def test_a_card_depends_on_what_it_is_made_of(source, modules, files):
    method = "device" if source["kind"] == "simulation" else "mixture"
    study = changed(SMALL, {"calibration.source": source, "calibration.states.method": method})
    card = starts(planning.plan(config.laid_over("config.yaml", study)))["card"]
    packages = ("calibration.sources.parametric.", "calibration.sources.importers.")
    assert [one for one in card.modules if one.startswith(packages)] == modules and len(card.files) == files
    assert all(Path(name).exists() for name in card.files)


@pytest.mark.parametrize(
    "kept", [None, "", "[1]", '{"a": 1}', '{"a": "b"}', "no JSON", b"\xff"], ids=lambda kept: repr(kept)
)
def test_kept_digests_are_those_of_the_sources_and_may_be_lost_or_damaged(tmp_path, monkeypatch, kept):
    path = tmp_path / ".cache/spinloom/digests.json"
    monkeypatch.setenv("HOME", str(tmp_path))
    if kept is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(kept if isinstance(kept, bytes) else kept.encode())
    rule = sources.files("network.rules.bop")
    compiled = {name: sources._compiled(file.read_bytes()) for name, file in rule.items()}
    sources._known.cache_clear()
    assert sources.digests("network.rules.bop") == compiled
    assert set(json.loads(path.read_text()).values()) == set(compiled.values())

    def never(source):
        raise AssertionError("compiled again")

    monkeypatch.setattr(sources, "_compiled", never)
    sources._known.cache_clear()
    assert sources.digests("network.rules.bop") == compiled
    sources._known.cache_clear()


def test_without_a_home_to_write_to_no_digest_is_kept(tmp_path, monkeypatch):
    (tmp_path / ".cache").touch()  # no folder
    monkeypatch.setenv("HOME", str(tmp_path))
    sources._known.cache_clear()
    assert sources.digests("network.rules.bop")
    sources._known.cache_clear()
