"""What runs again after which edit of a source file, and after which upgrade of a package: the jobs of dry runs."""

import shutil
from contextlib import contextmanager
from importlib import metadata

import pytest

from tests.workflow.expected import (
    AFTER,
    CALIBRATION,
    EVERYTHING,
    FIGURES,
    NOTHING,
    ON_CARD,
    PAGE,
    REPORT,
    SIMULATION,
    TABLES,
    TRAINING,
    every_eighth_short,
    without,
)  # fmt: skip
from tests.workflows import planned

# an edited source, and the jobs that use it; the study simulates an stt_mtj with macrospin and trains on digits
SOURCES = [
    # stage 1: the engine and the family that simulate, and what they import
    ("device_sims/commands/chunk.py", SIMULATION),
    ("device_sims/sweep/chunk.py", SIMULATION),
    ("device_sims/engines/__init__.py", SIMULATION),
    ("device_sims/engines/macrospin/solver.py", SIMULATION),
    ("device_sims/problem/magnetostatics/body.py", SIMULATION),
    ("device_sims/problem/observables.py", SIMULATION),
    ("device_sims/devices/stt_mtj.py", SIMULATION),
    ("device_sims/devices/junctions/mtj.py", SIMULATION),
    ("device_sims/sweep/sweep.py", TABLES),
    ("device_sims/sweep/tables.py", TABLES),
    # stage 2: the source of the card
    ("calibration/counting/estimator.py", CALIBRATION),
    ("calibration/sources/simulated.py", CALIBRATION),
    ("calibration/laws/neel_brown.py", CALIBRATION),
    ("calibration/card/card.py", {**CALIBRATION, "train": 2}),
    ("calibration/tools/figures.py", {"card_figures": 1, **FIGURES}),
    ("calibration/commands/figures.py", {"card_figures": 1, **FIGURES}),
    # stage 3: the rule and the data set
    ("network/training/trainer.py", TRAINING),
    ("network/training/checkpoint.py", TRAINING),
    ("network/rules/base.py", TRAINING),
    ("network/rules/float_baseline.py", ON_CARD),
    ("network/rules/accumulate_quantise_program.py", ON_CARD),
    ("network/synapse/alias.py", TRAINING),
    ("network/datasets/digits.py", {"data": 1, **TRAINING}),
    ("network/results/summary.py", AFTER),
    ("network/hardware/terms.py", AFTER),
    # the ground floor, and what stands above the stages
    ("spinloom/streams.py", {**SIMULATION, "train": 2}),
    ("spinloom/files.py", EVERYTHING),
    ("spinloom/pareto.py", PAGE),
    ("spinloom/version.py", REPORT),
    ("workflow/study/package.py", FIGURES),
    ("report/device.py", PAGE),
    ("report/page/page.css", PAGE),
    ("results/README.md", FIGURES),
]
# what the study does not use, and what reaches no result
UNUSED = [
    # other engines, device families, importers, rules, data sets
    "device_sims/engines/llg/solver.py",
    "device_sims/engines/llg/fields/demag.py",
    "device_sims/engines/collective/engine.py",
    "device_sims/engines/mumax3/script.py",
    "device_sims/engines/oommf/program.py",
    "device_sims/devices/domain_wall.py",
    "device_sims/devices/tracks/wire.py",
    "calibration/sources/importers/crosssim.py",
    "calibration/sources/importers/reading.py",
    "calibration/sources/library/pbit.yaml",
    "network/rules/bop.py",
    "network/rules/tiki_taka.py",
    "network/synapse/pulse_ladder.py",
    "network/datasets/mnist.py",
    "network/datasets/svhn.py",
    "network/datasets/files/idx.py",
    # single problems, the evidence, other commands, what only shows
    "device_sims/problem/initial.py",
    "device_sims/problem/problem_file/content.py",
    "device_sims/single/run.py",
    "device_sims/validation/analytic.py",
    "device_sims/commands/run.py",
    "calibration/tools/show.py",
    "calibration/tools/planner.py",
    "calibration/tools/sample.py",
    "network/commands/show.py",
    "network/results/show.py",
    "network/results/figures.py",
    "network/results/systems.py",
    "network/results/uncertainty.py",
    "network/results/scan_table.py",
    "network/results/a_new_plot.py",
    # words, clocks, locks; what plans
    "spinloom/errors.py",
    "spinloom/explain.py",
    "spinloom/gpus.py",
    "spinloom/progress.py",
    "spinloom/run_lock.py",
    "spinloom/sources.py",
    "spinloom/speed.py",
    "workflow/study/planning.py",
    "workflow/study/forecast.py",
    "README.md",
]


@contextmanager
def edited(tree, edit, names):
    """Put ``edit`` of their bytes into files, and what was there back at the end."""
    before = {path: path.read_bytes() for path in (tree.path / name for name in names) if path.exists()}
    try:
        for name in names:
            path = tree.path / name
            path.write_bytes(edit(before.get(path, b""), path.suffix))
        yield
    finally:
        for name in names:
            (tree.path / name).unlink()
        for path, content in before.items():
            path.write_bytes(content)


def one_more_line(content, suffix):
    return content + (b"\nEDITED = True\n" if suffix == ".py" else b"\n# another line\n")


@pytest.mark.parametrize(
    "name, expected", every_eighth_short(SOURCES), ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_edited_source_reruns_what_uses_it(tree, name, expected):
    tree.configure({})
    with edited(tree, one_more_line, [name]):
        assert tree.jobs() == expected


def test_sources_that_the_study_does_not_use_rerun_nothing(tree):
    tree.configure({})
    with edited(tree, one_more_line, UNUSED):
        assert tree.jobs() == NOTHING


@pytest.mark.long
def test_the_evidence_for_the_engines_depends_on_their_statements(tree):
    tree.configure({})
    assert tree.jobs("validation") == {"validate": 1, "validation": 1}
    code = tree.path / "results" / "validation" / "code.json"
    for name in ("validation.csv", "validation.md"):
        code.with_name(name).touch()
    assert tree.jobs("validation") == NOTHING
    with edited(
        tree,
        lambda content, suffix: b"# a comment\n" + content,
        ["device_sims/engines/oommf/program.py", "device_sims/validation/analytic.py"],
    ):
        assert tree.jobs("validation") == NOTHING
    for name in ("device_sims/validation/analytic.py", "device_sims/validation/reference/racetrack_dmi.csv"):
        with edited(tree, one_more_line, [name]):
            assert tree.jobs("validation") == {"validate": 1, "validation": 1}, name
    shutil.rmtree(code.parent)  # a page tells of evidence that is there


@pytest.mark.long
def test_comments_docstrings_and_layout_rerun_nothing(tree):
    def commented(content, suffix):
        # every module has a docstring, and begins with it
        return b"# a comment\n\n" + content.replace(b'"""', b'"""Once more. ', 1).replace(
            b"\ndef ", b"\n\n\n# one\ndef "
        )

    tree.configure({})
    found = [path.relative_to(tree.path) for path in tree.path.rglob("*.py") if path.stat().st_size]
    assert len(found) > 300
    with edited(tree, commented, found):
        assert tree.jobs() == NOTHING


PACKAGES = [
    # an upgrade, and the jobs whose bytes may be others
    ("jaxlib", without(EVERYTHING, "data")),
    ("numpy", EVERYTHING),
    ("pyarrow", EVERYTHING),
    ("scipy", without(EVERYTHING, "data")),
    ("optax", TRAINING),
    ("scikit_learn", {"data": 1, **CALIBRATION, "train": 2}),
    ("matplotlib", {"card_figures": 1, **FIGURES}),
    ("plotly", PAGE),
]


@contextmanager
def installed(tree, *names):
    """Let packages have another version: their metadata are found in the tree first."""
    folders = [tree.path / f"{name}-99.0.dist-info" for name in names]
    for folder, name in zip(folders, names, strict=True):
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 99.0\n")
    try:
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.parametrize("name, expected", PACKAGES, ids=lambda value: value if isinstance(value, str) else "")
def test_an_upgraded_package_reruns_what_it_decides_and_says_so(tree, name, expected):
    tree.configure({})
    with installed(tree, name):
        assert tree.jobs() == expected
        (line,) = [line for line in tree.snakemake("-n").stderr.splitlines() if line.startswith("note: ")]
    name = name.replace("_", "-")
    assert line.startswith(f"note: {name}: found 99.0, and results/small was begun with ")
    assert line.endswith(f"with {name} {metadata.version(name)} it need not")


def test_packages_that_decide_no_bytes_rerun_nothing(tree):
    tree.configure({})
    names = ["pydantic", "pydantic_core", "rich", "snakemake", "grimp", "pandera", "PyYAML", "jaxtyping", "pytest"]
    with installed(tree, *names, "matplotlib_inline"):
        done = tree.snakemake("-n")
    assert planned(done) == NOTHING and "note: " not in done.stderr


def test_the_sources_as_they_were_rerun_nothing(tree):
    tree.configure({})
    assert tree.jobs() == NOTHING
