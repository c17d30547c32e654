"""What the user told Snakemake is checked as ``python -m spinloom check`` does, nothing dropped in silence."""

from pathlib import Path
from typing import Any

import pytest
from snakemake.cli import parse_config
from snakemake.settings.types import ConfigSettings

from spinloom.errors import UserError
from tests.workflows import ROOT, Tree, told
from workflow.study import config
from workflow.study.told import check_command, hints, read


@pytest.fixture(scope="module")
def tree(server, tmp_path_factory):
    return Tree.of_sources(tmp_path_factory.mktemp("told") / "tree", server)


@pytest.mark.long
def test_a_file_is_refused_with_the_same_line_by_every_command(tree):
    (tree.path / "twice.yaml").write_text("study: other\nseed: 1\nseed: 2\n")
    (tree.path / "octal.yaml").write_text("study: other\nnetwork: {epochs: 010}\n")
    template = '__use_yte__: true\nstudy: other\nsystem: ?open("owned", "w")\n'
    (tree.path / "template.yaml").write_text(template)
    run = tree.call("python", "-m", "spinloom", "run", "template.yaml")  # Snakemake alone would evaluate it first
    assert run.returncode == 2 and "unknown key '__use_yte__'" in run.stderr and not (tree.path / "owned").exists()
    (tree.path / "typo.json").write_text('{"study": "other", "sed": 1}')
    for name in ("twice.yaml", "octal.yaml", "typo.json"):
        line = told(tree.call("python", "-m", "spinloom", "check", name))
        assert len(line) == 1 and line[0].startswith(f"error: {name}: ")
        for command in (("snakemake",), ("snakemake", "-n", "calibration"), ("python", "-m", "spinloom", "run")):
            words = (*command, name) if command[0] == "python" else (*command, "--configfile", name)
            done = tree.call(*words)
            assert (done.returncode, told(done)) == (2, line), words
    assert not (tree.path / "results" / "other").exists()


def test_files_lie_over_each_other_in_their_order_and_the_command_line_on_top(tmp_path, monkeypatch):
    """As Snakemake reads its command line, in a run and in its jobs, which name the files in full."""
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("study: a\nseed: 1\nnetwork: {rule: bop, rule_options: {threshold: 1.0e-7}}\n")
    Path("b.yaml").write_text("study: b\nnetwork: {rule: float_baseline, epochs: 2}\n")
    entries = ["seed=3", "network={'seeds': 1}"]
    words: dict[str, Any] = {"config": parse_config(entries), "config_args": entries}
    content, source = read(ConfigSettings(configfiles=[Path("a.yaml"), Path("b.yaml")], **words))
    assert content == {"study": "b", "seed": 3, "network": {"rule": "float_baseline", "epochs": 2, "seeds": 1}}
    assert source == "a.yaml, b.yaml, --config"
    assert config.laid_over(ROOT / "config.yaml", content)["network"]["epochs"] == 2
    assert read(ConfigSettings()) == ({}, "")


@pytest.mark.parametrize(
    "words, message",
    [
        ("--configfile a --configfile b -n", "--configfile: found 2 times, .* once, as --configfile a b"),
        ("--configfiles a b --cores 2 --configfile=c", "as --configfile a b c"),
        ("--config seed=1 -C study=x", "--config: found 2 times, .* as --config seed=1 study=x"),
        ("--config seed=1 seed=2", "--config: found key 'seed' a second time, allowed: each key once"),
        ("--config network.seeds=1", "found network.seeds=1, allowed: .* as 'network={seeds: 1}'"),
        ("--config seed", "found seed, allowed: KEY=VALUE"),
        ("--config seed=010", "--config seed: line 1: found 010, which YAML reads as 8"),
        ("--config network={'epochs':1,'epochs':2}", "--config network: line 1: found key 'epochs' a second time"),
        ("--workflow-profile workflow/profiles/slrm", "--workflow-profile: found workflow/profiles/slrm, .*/slurm"),
        ("all --no-hooks", "--no-hooks"),
        ("--configfile nope.yaml -n", "--configfile: found nope.yaml, which is not a file, allowed: config files"),
        ("--configfile config.yaml calibration", "found calibration, which is not a file, .* write targets before"),
    ],
)
def test_what_would_be_dropped_in_silence_is_refused(monkeypatch, words, message):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match=message):
        check_command(words.split(" "))


@pytest.mark.parametrize(
    "words",
    [
        "-n calibration --configfile config.yaml configs/smoke.yaml --cores 2 --until card",
        "--configfile",
        "--config study=x seed=3 --workflow-profile none",
        "--workflow-profile workflow/profiles/slurm --jobs 3",
        "--workflow-profile gpus",
        "--snakefile x --rerun-triggers mtime --cores all -p -k",
    ],
)
def test_what_snakemake_does_as_told_is_left_to_it(monkeypatch, words):
    monkeypatch.chdir(ROOT)
    check_command(words.split(" "))


@pytest.mark.parametrize(
    "word, meant",
    [
        ("smoke", "configs/smoke.yaml"),
        ("config", "config.yaml"),
        ("calibratoin", "calibration"),
        ("device_sim", "device_sims"),
        ("calibration", None),
        ("all", None),
        ("results/smoke/report.html", None),
        ("my_own_rule", None),
    ],
)
def test_a_target_that_nothing_makes_has_a_hint(monkeypatch, word, meant):
    monkeypatch.chdir(ROOT)
    expected = [] if meant is None else [f"note: {word} was taken for a target; did you mean {meant}?"]
    assert list(hints([word])) == expected


@pytest.mark.long
def test_a_run_that_failed_ends_with_the_hint(tree):
    done = tree.call("python", "-m", "spinloom", "run", "study.yaml", "netwrok", "-n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "note: netwrok was taken for a target; did you mean network?"


def test_snakemake_itself_refuses_a_second_file_and_a_profile_that_is_not_there(tree):
    for words, message in (
        (["--configfile", "study.yaml"], "--configfile: found 2 times"),
        (["--workflow-profile", "slrm"], "--workflow-profile: found slrm"),
    ):
        done = tree.snakemake("-n", *words)
        assert done.returncode == 2 and len(told(done)) == 1 and message in told(done)[0]
