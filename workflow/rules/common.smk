"""The checked config, one file per stage with what that stage sees of it, and one with digests of its sources.

A stage's rule has its section file and its sources' digests as inputs, which are rewritten only when their content
changes: a stage reruns when its own part of the config or its own code has changed, and not otherwise.

The wildcard `study` is a folder in results/: the study, or each point of its scan.
"""

import re

from pathlib import Path

from device_sims import sweep
from spinloom import config as study_config
from spinloom import forecast, scan, study
from spinloom.config import sources
from spinloom.errors import UserError
from spinloom.files import SUMS, sha256_file
from spinloom.folder import Folder


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
    (config["study"] if point is None else f"{config['study']}/points/{point.name}"): or_exit(study.plan, whole)
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

# what no stage computes with
OWN = ("forecast.py", "live.py", "package.py", "reference.py", "scan.py", "study.py", "folder.py", "__main__.py")
COMMON = [path for path in sources("spinloom") if Path(path).name not in OWN]
