"""Command line of a whole study.

``check`` its config; ``run`` it with a live display and print where its ``report`` is, or print that alone; write the
``reference`` of all keys: docs/config.md, and the schemas for editors in workflow/schemas.

    python -m spinloom run [FILE.yaml ...] [TARGET ...] [OPTION ...]

Files are laid over config.yaml, the last on top. Targets and options are Snakemake's, which then shows its own lines.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import takewhile
from typing import TYPE_CHECKING

from spinloom import config
from spinloom.command_line import run_cli
from spinloom.errors import UserError

if TYPE_CHECKING:
    from workflow.study.live import Part


SUFFIXES = (".yaml", ".yml", ".json")  # of config files


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m spinloom", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["check", "run", "report", "reference"])
    parser.add_argument("overlays", nargs=argparse.REMAINDER, help="configs laid over config.yaml; of run more")
    arguments = parser.parse_args()
    overlays, targets, options = arguments.overlays, [], []
    if arguments.command == "run":
        overlays, targets, options = split(overlays)
    if arguments.command == "reference":
        from spinloom import files
        from workflow.study import reference

        for path, text in reference.files().items():
            files.write_text(text, path)
    elif arguments.command == "check":
        parts(overlays)
    else:
        page = config.results("config.yaml", *overlays) / "report.html"
        if arguments.command == "run" and (status := run(overlays, targets, options)):
            raise SystemExit(status if status > 0 else 128 - status)  # as a shell tells what a signal ended
        if targets or options:  # of which the report need be no part
            return
        if not page.exists():
            raise UserError(f"{page}: not there yet; run snakemake")
        print(f"Report: {page}")


def split(words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return config files, targets, and all from the first option on."""
    own = list(takewhile(lambda word: not word.startswith("-"), words))
    files = [word for word in own if word.endswith(SUFFIXES)]
    return files, [word for word in own if word not in files], words[len(own) :]


def run(overlays: list[str], targets: list[str], options: list[str]) -> int:
    """Let Snakemake make the study, which checks its config too, and return its exit status.

    Raises
    ------
    UserError
        If Snakemake would not do as it is told (`workflow.study.told`).
    """
    from workflow.study import interrupt, told

    # targets first: --configfile takes all that follows it for files
    command = [*targets, *(["--configfile", *overlays] if overlays else []), *options]
    told.check_command(command)
    if targets or options or not sys.stderr.isatty():
        process = subprocess.Popen(["snakemake", *command])
        with interrupt.passed_on(process):
            return process.wait()
    from workflow.study import live

    return live.run(["snakemake", *command], lambda: parts(overlays), config.results("config.yaml", *overlays))


def parts(overlays: list[str]) -> list[Part]:
    """Return the study, checked and planned, or the points of its scan.

    Raises
    ------
    UserError
        If it cannot be run.
    """
    # imported here: a run leaves it to Snakemake
    from workflow.study import config as study_config
    from workflow.study import scan
    from workflow.study.live import Part
    from workflow.study.planning import plan

    study, folder = study_config.load("config.yaml", *overlays), config.results("config.yaml", *overlays)
    points = scan.points("config.yaml", config.layer(overlays).content)
    whole = [Part(point.config, plan(point.config), folder / "points" / point.name) for point in points]
    return whole or [Part(study, plan(study), folder)]


if __name__ == "__main__":
    run_cli(main)
