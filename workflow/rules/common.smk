"""The checked config, one file per stage with what that stage sees of it, and each stage's sources.

A stage's rule has its section file and its source files as inputs: Snakemake compares them by content, so a stage
reruns when its own part of the config or its own code has changed, and not otherwise.
"""

from pathlib import Path

from device_sims import sweep
from spinloom import config as study_config
from spinloom import study
from spinloom.config import sources
from spinloom.errors import UserError

try:
    # not by Snakemake's `configfile:`, which would evaluate a file that asks for it
    config = study_config.laid_over("config.yaml", config)
    PLAN = study.plan(config)
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

STUDY = Path("results") / config["study"]
SECTIONS = study_config.write_sections(config, STUDY / "config", PLAN.sections)
LOGS = STUDY / "logs"
DEVICE_SIMS = STUDY / "device_sims"

# what no stage computes with
COMMON = [path for path in sources("spinloom") if not path.endswith(("package.py", "reference.py"))]
CAPTIONS = Path("workflow/report").resolve()
