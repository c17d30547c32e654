"""Which source files a program consists of."""

import shutil
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
    assert all(path.exists() for path in found.values()) and "spinloom/errors.py" in found


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
