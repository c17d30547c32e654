"""Common ground: config errors, atomic files, streams, progress."""

import ast
import copy
import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import kstest

from device_sims.config import Stage
from spinloom import declare, explain, files, streams
from spinloom.config import read
from spinloom.errors import UserError
from spinloom.progress import Progress
from workflow.study import config, reference
from workflow.study.folder import Folder

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def study():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(study, path, value):
    study = copy.deepcopy(study)
    *parents, last = path.split(".")
    place = study
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = value
    return study


def test_shipped_configs_are_valid_and_complete():
    default = config.load(ROOT / "config.yaml")
    assert default["calibration"]["max_lost_fraction"] == 0
    assert default["device_sims"]["domain_wall"]["notches"]["positions_m"] == []
    for overlay in sorted((ROOT / "configs").glob("*.yaml")):
        laid = config.load(ROOT / "config.yaml", overlay)
        assert laid["study"] == overlay.stem and laid["seed"] == default["seed"]


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("device_sims.domain_wall.material.aplha", 0.3, "unknown key 'aplha' (did you mean 'alpha'?)"),
        ("device_sims.domain_wall.material.alpha", "low", "material.alpha: found low, allowed: number"),
        ("device_sims.domain_wall.track.length_m", -6e-7, "track.length_m: found -6e-07, allowed: more than 0"),
        ("device_sims.domain_wall.pulses.voltages_V", [], "voltages_V: found [], allowed: at least 1 entries"),
        ("device_sims.domain_wall.pulses.voltages_V", ["a"], "voltages_V.0: found a, allowed: number"),
        ("device_sims.sweep.instances", 1.5, "instances: found 1.5, allowed: integer"),
        ("device_sims.sweep.instances", 10**9, "allowed: at most 100000"),
        ("device_sims.device", "skyrmion", "allowed: domain_wall"),
        ("calibration.states.count", 1, "calibration.states.count: found 1, allowed: at least 2"),
        ("calibration.posterior.interval", 1.0, "allowed: less than 1"),
        ("network.epochs", -1, "network.epochs: found -1, allowed: at least 0"),
        ("network.epochs", True, "network.epochs: found true, allowed: integer"),
        ("network.array", {"tile_rows": 0}, "network.array.tile_rows: found 0, allowed: at least 1"),
        ("network.converters", {"adc_bits": 17}, "network.converters.adc_bits: found 17, allowed: at most 16"),
        ("network.device.stuck_fraction", 1.5, "network.device.stuck_fraction: found 1.5, allowed: at most 1"),
        ("network.early_stopping", {"patience": 0}, "network.early_stopping.patience: found 0, allowed: at least 1"),
        ("network.rule_options", {"margin": {}}, "network.rule_options.margin: found {}, allowed: integer or number"),
        ("network.device.pulses", [1, 2, 1], "network.device.pulses: found [1, 2, 1], allowed: each entry once"),
        ("calibration.readout.RA_ohm_m2", None, "readout.RA_ohm_m2: found null, allowed: a value, or leave the key"),
        ("calibration.interpolate.points", [{}], "interpolate.points.0: found none of these keys, allowed: one or"),
        ("device_sims.sweep.replicas", [{"replicas_per_instance": 2}], "sweep.replicas.0: found none of these keys"),
        ("device_sims.domain_wall.pulses.polarities", [True], "pulses.polarities.0: found true, allowed: integer"),
        ("device_sims.domain_wall.pulses.polarities", [2], "pulses.polarities.0: found 2, allowed: 1, -1"),
        ("scan", {"axes": [{"name": "a", "points": {}}]}, "scan.axes.0.points: found {}, allowed: at least 1 entries"),
        ("network.variants", {"A b": {}}, "network.variants: found A b, allowed: text that matches"),
        ("network.variants", {"a": {"seeds": 3}}, "network.variants.a: found unknown key 'seeds', allowed: activation"),
        ("network.variants", {"a": {"epochs": -1}}, "network.variants.a.epochs: found -1, allowed: at least 0"),
        ("system", {"name": "x"}, "system: key 'paper' is missing"),
        ("study", "../elsewhere", "study: found ../elsewhere, allowed: "),
        ("study", "a b; rm -rf x", "allowed: letters, digits"),
        ("seed", -1, "seed: found -1, allowed: at least 0"),
        (
            "network.optimizer.learning_rate",
            float("nan"),
            "network.optimizer.learning_rate: found NaN, allowed: finite",
        ),
        ("device_sims.domain_wall.gate.dielectric_thickness_m", 10**400, "dielectric_thickness_m: found 1000"),
        ("device_sims.domain_wall.material.alpha", float("inf"), "material.alpha: found Infinity"),
        ("network.optimizer.learning_rat", 0.1, "did you mean 'learning_rate'?"),
        ("study", "abc\n", "study: found abc\\n, allowed: letters, digits"),
        ("extra", {}, "top level: found unknown key 'extra'"),
        ("k" * 10_000, 1, "unknown key 'kkk"),
        ("new\nline", 1, "unknown key 'new\\nline'"),
    ],
)
def test_each_config_error_is_one_line(study, path, value, message):
    with pytest.raises(UserError) as error:
        config.resolve(changed(study, path, value), "config.yaml")
    assert message in str(error.value) and str(error.value).startswith("config.yaml: ")
    assert "\n" not in str(error.value) and len(str(error.value)) < 700


def test_a_missing_key_is_named(study):
    study = copy.deepcopy(study)
    del study["device_sims"]["domain_wall"]["material"]["alpha"]
    with pytest.raises(UserError, match="material: key 'alpha' is missing"):
        config.resolve(study)


def test_numbers_that_yaml_reads_as_text_are_numbers(study):
    resolved = config.resolve(changed(study, "device_sims.domain_wall.sot.current_density_A_per_m2", "2e11"))
    assert resolved["device_sims"]["domain_wall"]["sot"]["current_density_A_per_m2"] == 2e11


def test_equal_numbers_are_one_config(study):
    assert config.resolve(changed(study, "device_sims.domain_wall.temperature_K", 300)) == config.resolve(study)
    whole = config.resolve(changed(study, "device_sims.sweep.instances", 8.0))
    assert type(whole["device_sims"]["sweep"]["instances"]) is int
    assert files.canonical_json(config.resolve(changed(study, "seed", 20211107.0))) == files.canonical_json(
        config.resolve(study)
    )


def test_each_stage_checks_its_own_section(study):
    section = config.section(config.resolve(study), "device_sims")
    assert Stage.parse(section, "x.json").dump() == section
    for content in ({}, [1], {**section, "extra": 1}):
        with pytest.raises(UserError, match="^x.json: "):
            Stage.parse(content, "x.json")


def test_yaml_tags_are_not_executed(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text(f"study: !!python/object/apply:os.system ['touch {tmp_path}/owned']\n")
    with pytest.raises(UserError, match="not valid YAML"):
        config.load(path)
    assert not (tmp_path / "owned").exists()
    path.write_text("__use_yte__: true\nstudy: x\n")
    with pytest.raises(UserError, match="unknown key '__use_yte__'"):
        config.load(ROOT / "config.yaml", path)


@pytest.mark.parametrize(
    "text", ["seed: 1\nstudy: x\nseed: 2\n", "a:\n  seed: 1\n  seed: 1\n", "\n\nx: [{seed: 1, 'seed': 1}]"]
)
def test_a_key_stands_once(tmp_path, text):
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"line 3: found key 'seed' a second time .first in line [123]., allowed"):
        read(path)


@pytest.mark.parametrize(
    "text, meant", [("010", 8), ("-007", -7), ("1:30", 90), ("1:30.5", 90.5), ("off", "false"), ("Yes", "true")]
)
def test_a_value_that_yaml_reads_as_something_else_is_refused(tmp_path, text, meant):
    path = tmp_path / "misread.yaml"
    path.write_text(f"seed: 1\nnetwork: {{epochs: {text}}}\n")
    with pytest.raises(UserError, match=f"misread.yaml: line 2: found {text}, which YAML reads as {meant}, allowed"):
        read(path)
    path.write_text(f"a: '{text}'\nb: [0, 0.5, 1e3, 1_000, 0x1f, true]\n")
    assert read(path) == {"a": text, "b": [0, 0.5, "1e3", 1000, 31, True]}


def test_aliases_may_be_used_but_not_inside_of_what_they_name(tmp_path):
    path = tmp_path / "alias.yaml"
    path.write_text("a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: *a\n")
    assert read(path) == {"a": {"x": 1}, "b": {"x": 2}, "c": {"x": 1}}
    for text in ("a: &a [*a]", "x: &x {y: *x}", "x: " + "[" * 200 + "]" * 200):
        path.write_text(text)
        with pytest.raises(
            UserError, match="alias.yaml: .* more than 32 levels, or an alias of a section that contains it"
        ) as error:
            config.load(path, path)
        assert len(str(error.value)) < 300
    layer = {}
    layer["network"] = layer
    with pytest.raises(UserError, match="more than 32 levels"):
        config.laid_over(ROOT / "config.yaml", layer)


def test_what_a_variant_does_not_say_is_not_filled_in(study):
    named = {"a": None, "b": {"optimizer": {"learning_rate": 1}, "rule_options": {"levels": 4.0, "gain": 0.5}}}
    resolved = config.resolve(changed(study, "network.variants", named))["network"]["variants"]
    assert resolved == {
        "a": None,
        "b": {"optimizer": {"learning_rate": 1.0}, "rule_options": {"levels": 4, "gain": 0.5}},
    }
    # where a number may be whole or not, whole ones are integers: rules tell them apart
    kinds = [type(value) for value in resolved["b"]["rule_options"].values()]
    assert kinds == [int, float] and type(resolved["b"]["optimizer"]["learning_rate"]) is float


def write_sections(resolved, directory):
    place = Folder(directory)
    return {name: place.keep(name, text) for name, text in config.section_texts(resolved).items()}


def test_sections_are_rewritten_only_when_they_change(study, tmp_path):
    resolved = config.resolve(study)
    paths = write_sections(resolved, tmp_path)
    before = {stage: Path(path).stat().st_mtime_ns for stage, path in paths.items()}
    library = [("source", {"kind": "library", "name": name}) for name in ("pbit", "ellis_gate")]
    for path, value in [("readout.TMR", 2.0), ("kernel", {"form": "law"}), *library]:
        write_sections(config.resolve(changed(study, f"calibration.{path}", value)), tmp_path)
        after = {stage: Path(path).stat().st_mtime_ns for stage, path in paths.items()}
        assert {stage for stage in before if before[stage] != after[stage]} == {"calibration", "resolved"}
        before = after


def test_sections_keep_the_order_of_variants_and_of_nothing_else(study, tmp_path):
    named = {"small": {"epochs": 2, "batch_size": 50}, "large": None}
    resolved = config.resolve(changed(study, "network.variants", named))
    paths = write_sections(resolved, tmp_path)
    for name in ("resolved", "network"):
        stored = json.loads(Path(paths[name]).read_text())
        assert list(stored.get("network", stored)["variants"]) == ["small", "large"] and list(stored) == sorted(stored)
    before = [Path(path).stat().st_mtime_ns for path in paths.values()]
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in resolved.items()
    }
    write_sections(turned, tmp_path)
    assert before == [Path(path).stat().st_mtime_ns for path in paths.values()]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    files.write_csv(pd.DataFrame({"a": [0.1]}), path)
    with pytest.raises(RuntimeError), files.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "a\n0.1\n" and list(tmp_path.iterdir()) == [path]


def test_a_text_that_a_spreadsheet_would_compute_is_quoted_and_a_number_is_not(tmp_path):
    texts = [
        "=1+1",
        "+A1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1)",
        "\tx",
        "'=x",
        "''-y",
        "-0.5",
        "+2e3",
        "-inf",
        "plain",
        "a=b",
        "'q",
    ]
    table = pd.DataFrame({"label": texts, "value": np.linspace(-1, 1, len(texts)), "mixed": ["=x", 1.5, *[None] * 11]})
    files.write_csv(table, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    written = [row["label"] for row in rows]
    assert [text for text, own in zip(written, texts, strict=True) if text == own] == texts[7:11] + texts[11:]
    assert all(text == f"'{own}" for text, own in zip(written[:7], texts[:7], strict=True))
    assert [row["value"] for row in rows][:2] == ["-1.0", repr(float(table["value"][1]))]
    assert rows[0]["mixed"] == "'=x" and rows[1]["mixed"] == "1.5" and rows[2]["mixed"] == ""
    pd.testing.assert_frame_equal(files.read_table(tmp_path / "t.csv")[["label", "value"]], table[["label", "value"]])
    # labels that are all numbers come back as numbers, as ever
    files.write_csv(pd.DataFrame({"label": ["-1", "+1"]}), tmp_path / "n.csv")
    assert files.read_table(tmp_path / "n.csv")["label"].tolist() == [-1, 1]


def test_parquet_bytes_and_metadata(tmp_path):
    table = pd.DataFrame({"x_m": [1e-9, 2e-9], "n": [1, 2]})
    for name in ("a", "b"):
        files.write_parquet(table, tmp_path / name, {"spec_hash": "abc"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert files.read_parquet_metadata(tmp_path / "a")["spec_hash"] == "abc"
    (tmp_path / "a").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="not a readable Parquet"):
        files.read_parquet_metadata(tmp_path / "a")


def test_streams_are_named_not_ordered():
    """Uniformity by KS at 1e-3 and independence at four sigma: false alarms below 0.2 %."""
    one, other = (streams.generator(1, "thermal", 0.5, i).random(20000) for i in range(2))
    np.testing.assert_array_equal(one, streams.generator(1, "thermal", 0.5, 0).random(20000))
    assert kstest(one, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(20000)
    names = [(1, "a", 1), (1, "a", "1"), (1, "a", 1.0), (1, "a1"), (2, "a", 1), (1, "a", True)]
    assert len({streams.digest(*name).tobytes() for name in names}) == len(names)


def test_progress_says_amount_speed_and_time_left(tmp_path, monkeypatch):
    times = iter([0.0, 2.0, 4.0, 8.0])
    monkeypatch.setattr("spinloom.progress.time.monotonic", lambda: next(times))
    monkeypatch.setattr("sys.stderr", io.StringIO())
    log = tmp_path / "log"
    with Progress("sweep", 4, "replicas", rate_unit="ns/s", rate_per=3.0, log=log, interval=1.0) as progress:
        progress.advance(1)
        progress.advance(1, "half")
        progress.advance(2)
    assert (tmp_path / "log").read_text().splitlines() == [
        "sweep: 1/4 replicas, 1.5 ns/s, 0:06 left",
        "sweep: 2/4 replicas, 1.5 ns/s, 0:04 left, half",
        "sweep: 4/4 replicas, 1.5 ns/s, took 0:08",
    ]


def test_every_approx_states_its_absolute_tolerance():
    """pytest's default of 1e-12 is larger than most quantities in SI units here: such a test cannot fail."""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "approx":
                assert any(keyword.arg == "abs" for keyword in node.keywords), f"{path.name}:{node.lineno}"


def test_what_is_written_from_the_declarations_is_up_to_date():
    for path, text in reference.files().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "run python -m spinloom reference"
        assert path.endswith(".json") or text.count("\n") <= 250, path
    written = {path for path in reference.files() if path.startswith("docs/config/")}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "config").iterdir()} == written


def test_an_editor_underlines_nothing_that_we_ship():
    """The files that name a schema are valid by it, and a slip is not."""
    named = [ROOT / "config.yaml", *(ROOT / "docs" / "examples").glob("*.yaml")]
    for path in named:
        schema = path.parent / path.read_text().split("\n")[0].removeprefix("# yaml-language-server: $schema=")
        content = read(path)
        validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
        assert [error.message for error in validator.iter_errors(content)] == []
        first, own = next((key, part) for key, part in content.items() if isinstance(part, dict))
        assert not validator.is_valid({**content, first: {**own, "colour": 1}}), path
    assert len(named) > 5


TRACES = {"temperature_K": 300, "duration_s": 1e-6, "voltage_up_V": 1, "first": "down"}


@pytest.mark.parametrize(
    "changes, wrong",
    [
        ({"rule": "bop", "rule_options": {"threshold": 1e-7}}, []),
        ({"rule": "bop", "rule_options": {"margin": 0.1}}, ["network.rule_options"]),
        ({"rule": "tiki_taka", "rule_options": {"transfer_every": 0}}, ["network.rule_options.transfer_every"]),
        ({"variants": {"a": {"rule": "bop", "rule_options": {"threshold": -1}}}}, ["a.rule_options.threshold"]),
        ({"source": {"format": "traces", "options": TRACES}}, []),
        ({"source": {"format": "traces", "options": {**TRACES, "first": "left"}}}, ["source.options.first"]),
        ({"source": {"format": "events", "options": TRACES}}, ["calibration.source.options"]),
    ],
)
def test_an_editor_knows_the_options_of_each_plug_in(study, changes, wrong):
    source = changes.pop("source", None)
    section, changes = ("calibration", {"source": source}) if source else ("network", changes)
    validator = jsonschema.Draft202012Validator(json.loads(reference.editors(config.Study)))
    content = {**study, section: {**study[section], **changes}}
    found = [".".join(map(str, error.absolute_path)) for error in validator.iter_errors(content)]
    assert len(found) == len(wrong) and all(path.endswith(end) for path, end in zip(found, wrong))


def test_the_pages_of_all_keys_tell_each_key():
    rows = set()
    for text in reference.files().values():
        for part in re.split(r"^##? ", text, flags=re.M)[1:]:
            section = part.split("\n")[0].split(":")[0].replace("The study", "")
            names = re.findall(r"^\| `([^`]+)` \|", part, re.M)
            rows |= {section, *(f"{section}.{name}".strip(".").replace(".[]", "[]") for name in names)}
    for path, rule in reference.leaves(declare.schema(config.Study)):
        assert path.startswith("network.variants.NAME.") or path in rows
        assert rule["description"].endswith("."), path
    # the default study has no key without a row
    for path, _ in explain.leaves(read(ROOT / "config.yaml")):
        named = re.sub(r"\.\d+(?=\.|$)", "[]", path)
        assert {named, named.removesuffix("[]"), re.sub(r"\.[^.]+$", "", named)} & rows, path
