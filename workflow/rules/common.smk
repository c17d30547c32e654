"""The study that is asked for: its checked config, one file per stage with what that stage sees of it, and its sources.

A job has its stage's section and the digests of its sources as inputs, which are rewritten only when their content
changes: it reruns when its own part of the config or its own code has changed, and not otherwise.
"""

import logging
from functools import partial
from pathlib import Path

from snakemake_interface_executor_plugins.settings import ExecMode

from spinloom.deferred import defer

if workflow.remote_exec:
    defer("pandas", "pyarrow")

from spinloom import interpreter
from spinloom.errors import UserError, refused
from spinloom.files import SEAL, SUMS, sha256_file
from workflow.study import cluster
from workflow.study.tasks import (
    BARRIERS, CARD, CARD_FILES, DEVICE_SIMS, NETWORK, RUN_FILES, SECTION, STUDY, VALIDATION, Tasks, at,
)  # fmt: skip

interpreter.lead_path()  # the jobs call `python`

# the sources that belong to these rules: a clone, a copy of one, or what is installed
PLACE = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parents[1]


def or_exit(function, *arguments, **options):
    """Return what ``function`` returns; what a user can mend is one line and the end."""
    try:
        return function(*arguments, **options)
    except (UserError, OSError) as error:
        print(f"error: {refused(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        sys.exit(2)


# a job on another machine knows what its run has planned
study = Tasks.of_run() if workflow.remote_exec else None
if study is None:
    from workflow.study import forecast, interrupt, told
    from workflow.study.jobs import Study

    # in a job of a run the command line is Snakemake's own
    if workflow.exec_mode == ExecMode.DEFAULT:
        or_exit(told.check_command, sys.argv[1:], ("", workflow.basedir))
    # not by Snakemake's `configfile:`, which would evaluate a file that asks for it, nor as Snakemake read `--configfile`
    study = or_exit(Study, *or_exit(told.read, workflow.config_settings), root=PLACE)
    for line in study.upgrades:
        print(f"note: {line}", file=sys.stderr)
    interrupt.end_jobs()
    workflow.delete_output = partial(or_exit, study.delete, workflow.delete_output)
    for handler in (forecast.Forecast(workflow, study.name, study.plans), cluster.Failures(workflow)):
        logging.getLogger("snakemake.logging").addHandler(handler)
ROOT = study.root
LOGS = STUDY / "logs"


wildcard_constraints:
    study=study.folders,


def on_start(log):
    or_exit(cluster.check, workflow.executor_settings)
    or_exit(study.start, workflow)


def on_error(log):
    cluster.cancel(workflow.scheduler)
    study.folder.fail()


# not by the directives, which Snakemake passes over in a module: a run without them would hold no lock
workflow._onstart = on_start
workflow._onsuccess = lambda log: study.folder.finish()
workflow._onerror = on_error
