"""Hostile inputs at the command lines: one clear line, exit status 2, nothing run, and nothing touched but its output.

Each case stands in a folder of its own in which earlier results lie; whatever the command does, they are as before.
"""

import json
import os
import shutil
import tarfile
from itertools import pairwise
from string import ascii_lowercase

import numpy as np
import pandas as pd
import pytest
import yaml

from device_sims.problem import ovf
from tests.workflows import ROOT, SMALL, changed, contents

OWNED = "$(touch owned) `touch owned`; touch owned"  # what a shell would run


@pytest.fixture(scope="module")
def place(finished, tmp_path_factory):
    """A copy of the finished study; each case leaves it as it was, and so may the next one use it."""
    return finished.copied(tmp_path_factory.mktemp("hostile") / "tree")


def config(changes=None, text=None, raw=None):
    """Return a case's preparation: the study's config with changes, or any text, as input.yaml."""

    def prepare(tree):
        path = tree.path / "input.yaml"
        if raw is not None:
            path.write_bytes(raw)
        else:
            path.write_text(text if text is not None else yaml.safe_dump(changed(SMALL, changes or {})))

    return prepare


def check(name, message, **given):
    return pytest.param(config(**given), ["python", "-m", "spinloom", "check", "input.yaml"], message, id=name)


JUNCTION = "device_sims.stt_mtj"
LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise(ascii_lowercase))
CONFIGS = [
    check("tag", "not valid YAML", text="study: !!python/object/apply:os.system ['touch owned']\n"),
    check("tag_new", "not valid YAML", text="study: !!python/object/new:os.system ['touch owned']\n"),
    check(
        "template",
        "unknown key '__use_yte__'",
        text="__use_yte__: true\nseed: 1\n",
    ),
    check("laughs", "more than 100000 entries", text=LAUGHS),
    check("endless_alias", "more than 32 levels", text="network: &n {optimizer: *n}\n"),
    check("depth", "not valid YAML", text="a: " + "[" * 5000),
    check("twice", "found key 'seed' a second time", text="seed: 1\nseed: 2\n"),
    check("empty", "found no keys", text=""),
    check("list", "found no keys", text="[1, 2]\n"),
    check("bytes", "not valid YAML", raw=b"\x00\xff\xfe\x89PNG\r\n"),
    check("latin1", "not valid YAML", raw="study: m\xfcller\n".encode("latin-1")),
    check("climb", "study: found ../../else", changes={"study": "../../elsewhere"}),
    check("absolute", "study: found /tmp/else", changes={"study": "/tmp/elsewhere"}),
    check("spaces", "allowed: letters, digits", changes={"study": "my study"}),
    check("quotes", "allowed: letters, digits", changes={"study": "a'b\"c"}),
    check("newline", "allowed: letters, digits", changes={"study": "a\nb"}),
    check("shell", "study: found", changes={"study": OWNED}),
    check("option", "study: found", changes={"study": "-rf"}),
    check("long_study", "study: found", changes={"study": "s" * 10_000}),
    check("long_key", "unknown key 'kkk", changes={"network." + "k" * 10_000: 1}),
    check("key_newline", "unknown key 'a\\nb'", changes={"a\nb": 1}),
    check("variant_shell", "network.variants", changes={"network.variants": {OWNED: None}}),
    check("variant_climb", "network.variants", changes={"network.variants": {"../x": None}}),
    check("nan", "found NaN", changes={f"{JUNCTION}.material.alpha": float("nan")}),
    check("inf", "found Infinity", changes={f"{JUNCTION}.temperature_K": float("inf")}),
    check("minus_inf", "found -Infinity", changes={"calibration.readout.TMR": float("-inf")}),
    check("huge", "found 1000", changes={"seed": 10**400}),
    check("negative", "found -4e-08", changes={f"{JUNCTION}.layer.diameter_m": -40e-9}),
    check("zero", "found 0", changes={"device_sims.numerics.dt_s": 0}),
    check("zero_cell", "found 0", changes={f"{JUNCTION}.layer.cell_m": 0}),
    check("billion", "found 1000000000", changes={"device_sims.sweep.replicas_per_instance": 10**9}),
    check("many_layers", "network.layers", changes={"network.layers": [64, 10**12, 10]}),
    check("text", "allowed: number", changes={f"{JUNCTION}.temperature_K": OWNED}),
    check("null", "allowed: object", changes={"device_sims": None}),
    check("folder", "network.data.folder", changes={"network.data": {"folder": "a\nb\0"}}),
    pytest.param(lambda tree: None, ["python", "-m", "spinloom", "check", "results"], "cannot be read", id="directory"),
    pytest.param(lambda tree: None, ["python", "-m", "spinloom", "check", OWNED], "cannot be read", id="file_name"),
]

CARD = "results/small/calibration/card"
SECTIONS = "results/small/config"


def card(change, name="card.json"):
    """Return a preparation: the study's card in ``input`` with one file changed by ``change(text)``."""

    def prepare(tree):
        shutil.copytree(tree.path / CARD, tree.path / "input")
        path = tree.path / "input" / name
        path.write_text(change(path.read_text()))

    return prepare


def tables(change, name):
    def prepare(tree):
        shutil.copytree(tree.path / "results/small/device_sims", tree.path / "input", ignore=lambda *_: ["SHA256SUMS"])
        change(tree.path / "input" / name)

    return prepare


def wrong_types(path):
    table = pd.read_parquet(path)
    table["mz_pulse_mean"] = "north"
    table.to_parquet(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def section(change, name):
    def prepare(tree):
        content = json.loads((tree.path / SECTIONS / name).read_text())
        (tree.path / "input.json").write_text(json.dumps(change(content)))

    return prepare


def chunk(**values):
    """Return a preparation: the specification of one of the study's chunks with other values."""

    def prepare(tree):
        path = min((tree.path / SECTIONS / "chunks").iterdir())
        (tree.path / "input.json").write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return prepare


def problem(change, state=None):
    """Return a preparation: a problem file that starts from ``state.ovf``, whose bytes ``state`` may change."""

    def prepare(tree):
        example = yaml.safe_load((ROOT / "docs/examples/sp4.yaml").read_text())
        example["initial"] = {"kind": "file", "file": "state.ovf"}
        m = np.zeros((3, 1, 25, 100))
        m[0] = 1.0
        ovf.write(tree.path / "state.ovf", m, (5e-9, 5e-9, 3e-9))
        if state is not None:
            path = tree.path / "state.ovf"
            path.write_bytes(state(path.read_bytes()))
        (tree.path / "input.yaml").write_text(yaml.safe_dump(changed(example, change)))

    return prepare


def archive(tree):
    """An archive whose members lie outside of where it is unpacked, as a data set's."""
    (tree.path / "input").mkdir()
    with tarfile.open(tree.path / "input" / "cifar-10-python.tar.gz", "w:gz") as made:
        for name in ("../../../escaped", "/tmp/escaped", "cifar-10-batches-py/data_batch_1"):
            member = tarfile.TarInfo(name)
            made.addfile(member)
    content = {"dataset": "cifar10", "data": {"folder": "input", "cache": "cache"}}
    (tree.path / "input.json").write_text(json.dumps(content))


def link(tree):
    outside = tree.path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (tree.path / "results" / "linked").symlink_to(outside)
    config({"study": "linked"})(tree)


def inner_link(tree):
    outside = tree.path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (tree.path / "results" / "inner").mkdir()
    (tree.path / "results" / "inner" / "calibration").symlink_to(outside)
    config({"study": "inner"})(tree)


SHOW = ["python", "-m", "calibration", "show", "input"]
MAKE = ["python", "-m", "calibration", "card", "--output", "made"]
FROM = [*MAKE, "--config", f"{SECTIONS}/calibration.json", "--device-sims", "input"]
SIMULATE = ["python", "-m", "device_sims", "chunk", "--output", "made", "--spec", "input.json"]
RUN = ["python", "-m", "device_sims", "run", "input.yaml", "--output", "made"]
TRAIN = ["python", "-m", "network", "train", "--output", "made", "--log", "made.log", "--replicate"]
IMPORT = ["python", "-m", "calibration", "import", "--output", "made", "--format", "events"]
SECTION = ["--config", "input.json"]
COLLECT = ["python", "-m", "device_sims", "collect", "--chunks", "none", "--output", "made"]
DATA = ["python", "-m", "network", "data", "--output", "made.json"]
PACKAGE = ["python", "-m", "workflow.study.package", "--output", "made", "--study", "input"]
TRAINED = f"{SECTIONS}/training_accumulate_quantise_program.json"


def meta(**values):
    return card(lambda text: json.dumps({**json.loads(text), **values}))


FILES = [
    (card(lambda text: text[:-40]), SHOW, "not valid JSON"),
    (card(lambda text: "[]"), SHOW, "card.json"),
    (meta(schema_version=99), SHOW, "schema_version: found 99, newer than this program"),
    (meta(schema_version="2"), SHOW, "schema_version"),
    (meta(hash="0"), SHOW, "hash: found 0"),
    (card(lambda text: text.replace("0.", "nan", 1), "states.csv"), SHOW, "states.csv"),
    (card(lambda text: text.replace("0.", OWNED, 1), "transitions.csv"), SHOW, "transitions.csv"),
    (card(lambda text: "", "pulses.csv"), SHOW, "pulses.csv"),
    (lambda tree: (tree.path / "input").symlink_to("input"), SHOW, "input"),
    (tables(wrong_types, "events.parquet"), FROM, "mz_pulse_mean"),
    (tables(cut, "events.parquet"), FROM, "events.parquet: not a readable table"),
    (tables(lambda path: path.write_text("PAR1"), "events.parquet"), FROM, "events.parquet"),
    (tables(lambda path: path.write_text("{}"), "device.json"), FROM, "device.json"),
    (section(lambda s: {**s, "seed": -1}, "calibration.json"), [*MAKE, *SECTION], "seed: found -1"),
    (section(lambda s: float("nan"), "calibration.json"), [*MAKE, *SECTION], "input.json"),
    (
        section(lambda s: {**s, "source": {"kind": "card", "file": "../../../../etc"}}, "calibration.json"),
        [*MAKE, *SECTION], "card.json",
    ),
    (chunk(chunk_hash="../../x"), SIMULATE, "chunk_hash: found ../../x"),
    (chunk(chunk_hash=OWNED), SIMULATE, "chunk_hash: found $(touch"),
    (chunk(engine=OWNED), SIMULATE, "engine"),
    (chunk(device=["../x"]), SIMULATE, "device"),
    (chunk(batches=[{"problem": OWNED}]), SIMULATE, "input.json: found a file that does not describe a chunk"),
    (section(dict, "device_sims.json"), [*COLLECT, *SECTION], "found no such file"),
    (problem({}, lambda raw: raw[:-2000]), RUN, "state.ovf"),
    (problem({}, lambda raw: raw.replace(b"# xnodes: 100", b"# xnodes: 1000000000")), RUN, "state.ovf"),
    (problem({}, lambda raw: raw.replace(b"# xnodes: 100", b"# xnodes: -100")), RUN, "state.ovf"),
    (problem({}, lambda raw: b""), RUN, "state.ovf"),
    (problem({"initial.file": "/etc/shadow\n"}), RUN, "initial.file"),
    (problem({"mesh.cell_m": [0.0, 5e-9, 3e-9]}), RUN, "mesh.cell_m"),
    (problem({"mesh.size_m": [1.0, 1.0, 3e-9]}), RUN, "mesh"),
    (problem({"schedule": [{"name": OWNED, "duration_s": float("nan")}]}), RUN, "schedule"),
    (problem({}), [*RUN, "--replicas", "1000000000"], "--replicas"),
    (problem({}), [*RUN, "--seed", "-1"], "--seed"),
    (problem({}), [*RUN, "--engine", OWNED], "found"),
    (lambda tree: None, [*TRAIN, "1000000000", "--config", TRAINED, "--card", CARD], "--replicate: found '1000000000"),
    (lambda tree: None, [*TRAIN, "-1", "--config", TRAINED, "--card", CARD], "--replicate: found '-1"),
    (meta(schema_version=99), [*TRAIN, "0", "--config", TRAINED, "--card", "input"], "schema_version: found 99"),
    (
        section(lambda s: {**s, "batch_size": 0}, "training_accumulate_quantise_program.json"),
        [*TRAIN, "0", *SECTION, "--card", CARD], "batch_size: found 0",
    ),
    (archive, [*DATA, *SECTION], "cifar-10-python.tar.gz"),
    (lambda tree: (tree.path / "input").write_text("t_s,G\nnan,$(touch owned)\n"), [*IMPORT, "input"], "input"),
    (lambda tree: None, [*IMPORT, "a\nb"], "a b"),
    (lambda tree: (tree.path / "input").mkdir(), PACKAGE, "found no table"),
    (config({"study": OWNED}), ["snakemake", "--configfile", "input.yaml"], "study: found"),
    (config({"study": "a/../../b"}), ["snakemake", "--configfile", "input.yaml"], "study: found"),
    (link, ["snakemake", "--configfile", "input.yaml"], "results/linked: found a link to"),
    (inner_link, ["snakemake", "--configfile", "input.yaml"], "results/inner/calibration: found a link to"),
]  # fmt: skip


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("prepare, command, message", [*CONFIGS, *FILES])
def test_a_hostile_input_is_one_line_and_touches_nothing(place, prepare, command, message):
    prepare(place)
    outside = place.path.parent
    before = (
        contents(place.results),
        {path: path.stat().st_mtime_ns for path in outside.rglob("*") if made_by_case(path)},
    )
    try:
        done = place.call(*command)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error")]
        assert done.returncode == 2, done.stderr
        assert len(lines) == 1 and message in lines[0] and len(lines[0]) < 1000, done.stderr
        assert "Traceback" not in done.stderr and "Traceback" not in done.stdout
        assert not list(outside.rglob("owned")) and not list(outside.rglob("escaped"))
        assert not os.path.exists("/tmp/escaped")
        after = (
            contents(place.results),
            {path: path.stat().st_mtime_ns for path in outside.rglob("*") if made_by_case(path)},
        )
        assert after == before
    finally:
        for name in ("input", "input.yaml", "input.json", "state.ovf", "made", "made.log", "made.json", "cache"):
            remove(place.path / name)
        for name in ("linked", "inner"):
            remove(place.path / "results" / name)


def made_by_case(path):
    """Return whether a path is watched: files, but those that the command was asked to write and Snakemake's own."""
    own = (".snakemake", "made", "made.log", "made.json", "cache", "__pycache__")
    return path.is_file() and not set(own) & set(path.parts) and path.name != ".lock"


def test_there_are_enough_hostile_inputs():
    assert len(CONFIGS) + len(FILES) >= 40
