"""The checked config, one file per stage with what that stage sees of it, and one with digests of its sources.

A stage's rule has its section file and its sources' digests as inputs, which are rewritten only when their content
changes: a stage reruns when its own part of the config or its own code has changed, and not otherwise.

The wildcard `study` is a folder in results/: the study, or each point of its scan.
"""

import re

from pathlib import Path

from device_sims import engines
from device_sims.sweep import sweep
from spinloom.config import sources
from spinloom.errors import UserError
from spinloom.files import SEAL, SUMS, sha256_file
from workflow.study import config as study_config
from workflow.study import forecast, planning, scan
from workflow.study.folder import Folder


def or_exit(function, *arguments):
    """Return what ``function`` returns; what a user can mend is one line and the end."""
    try:
        return function(*arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def code(name, paths):
    return or_exit(FOLDER.code, name, paths)


# not by Snakemake's `configfile:`, which would evaluate a file that asks for it
POINTS = or_exit(scan.points, "config.yaml", config)
config = or_exit(study_config.laid_over, "config.yaml", config)
ROOT = Path("results") / config["study"]
PLANS = {
    (config["study"] if point is None else f"{config['study']}/points/{point.name}"): or_exit(planning.plan, whole)
    for point, whole in [(point, point.config) for point in POINTS] or [(None, config)]
}
FOLDER = or_exit(Folder, ROOT)
for name, plan in PLANS.items():
    for part, text in study_config.section_texts(plan.config, plan.sections).items():
        or_exit(FOLDER.keep, part, text, Path(name).relative_to(config["study"]))


def of(find):
    """Return the input function that looks up something in the plan of the study that is asked for."""
    return lambda wildcards: find(PLANS[wildcards.study])


def every(paths, holds=lambda plan: True):
    """Return the files of all studies whose plan it holds for."""
    return expand(paths, study=[name for name, plan in PLANS.items() if holds(plan)], allow_missing=True)


def at(path):
    """Return the function that puts a job's wildcards into a path."""
    return lambda wildcards: str(path).format(**dict(wildcards.items()))


def writes(wildcards):
    """Return the tables of stage 1 that stage 2 reads, if the study simulates."""
    names = ("events.parquet", "pulses.csv", "device.json") if PLANS[wildcards.study].simulates else ()
    return [str(DEVICE_SIMS / name).format(study=wildcards.study) for name in names]


def writes_option(wildcards):
    """Return the option that names their folder."""
    return f"--device-sims {DEVICE_SIMS}".format(study=wildcards.study) if writes(wildcards) else ""


def runs(study):
    """Return the folders of a study's trainings."""
    seeds = range(PLANS[study].network["seeds"])
    return expand(str(NETWORK / "runs/{variant}_{seed}"), study=study, variant=PLANS[study].variants, seed=seeds)


def run_files(study):
    """Return the files in them."""
    return [f"{run}/{file}" for run in runs(study) for file in RUN_FILES]


def sampled(wildcards):
    """Return the files of the trainings on draws of the card."""
    plan = PLANS[wildcards.study]
    return expand(
        str(NETWORK / "sampled/{variant}_{sample}_{chip}_{replicate}/{file}"),
        study=wildcards.study,
        variant=plan.variants_with_card,
        sample=range(plan.network["card_samples"]),
        chip=range(plan.network["chips"]),
        replicate=range(plan.network["seeds_per_chip"]),
        file=RUN_FILES,
    )


def sampled_cards(wildcards):
    """Return the files of these draws."""
    samples = range(PLANS[wildcards.study].network["card_samples"])
    return expand(rules.card_sample.output, study=wildcards.study, sample=samples)


def made(holds, paths):
    """Return the input function that asks for these if it holds for the study's plan."""
    return lambda wildcards: expand(paths, study=wildcards.study) if holds(PLANS[wildcards.study]) else []


wildcard_constraints:
    study="|".join(map(re.escape, PLANS)),


onstart:
    or_exit(FOLDER.start)


onsuccess:
    FOLDER.finish()


onerror:
    FOLDER.fail()


STUDY = Path("results/{study}")
SECTION = {part: STUDY / f"config/{part}.json" for part in ("resolved", "data", *study_config.STAGES)}
LOGS = STUDY / "logs"
DEVICE_SIMS = STUDY / "device_sims"
VALIDATION = Path("results/validation")

if forecast.is_dry_run(sys.argv[1:]):
    print(forecast.tell(config["study"], PLANS, workflow.nodes or workflow.cores or 1), file=sys.stderr)

COMMON = [path for path in sources("spinloom") if Path(path).name != "__main__.py"]
