"""The checked config, one file per stage with what that stage sees of it, and one with digests of its sources.

A stage's rule has its section file and its sources' digests as inputs, which are rewritten only when their content
changes: a stage reruns when its own part of the config or its own code has changed, and not otherwise.
"""

from pathlib import Path

from device_sims import sweep
from spinloom import config as study_config
from spinloom import study
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
config = or_exit(study_config.laid_over, "config.yaml", config)
PLAN = or_exit(study.plan, config)
STUDY = Path("results") / config["study"]
FOLDER = or_exit(Folder, STUDY)
texts = study_config.section_texts(config, PLAN.sections)
SECTIONS = {name: or_exit(FOLDER.keep, name, text) for name, text in texts.items()}


onstart:
    or_exit(FOLDER.start)


onsuccess:
    FOLDER.finish()


onerror:
    FOLDER.fail()


LOGS = STUDY / "logs"
VALIDATION = Path("results/validation")
DEVICE_SIMS = STUDY / "device_sims"

# what no stage computes with
OWN = ("package.py", "reference.py", "study.py", "folder.py", "__main__.py")
COMMON = [path for path in sources("spinloom") if Path(path).name not in OWN]
