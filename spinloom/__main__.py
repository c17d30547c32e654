"""Command line of a whole study.

``check`` its config; ``run`` it with a live display and print where its ``report`` is, or print that alone; write the
``reference`` of all keys: docs/config.md, and the schemas for editors in workflow/schemas.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from spinloom import config
from spinloom.command_line import run_cli
from spinloom.errors import UserError

if TYPE_CHECKING:
    from workflow.study.live import Part


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m spinloom", description=__doc__)
    parser.add_argument("command", choices=["check", "run", "report", "reference"])
    parser.add_argument("overlay", nargs="?", help="config laid over config.yaml")
    arguments = parser.parse_args()
    if arguments.command == "reference":
        from spinloom import files
        from workflow.study import reference

        for path, text in reference.files().items():
            files.write_text(text, path)
    elif arguments.command == "check":
        parts(arguments.overlay)
    else:
        page = config.results("config.yaml", arguments.overlay) / "report.html"
        if arguments.command == "run" and (status := run(arguments.overlay)):
            raise SystemExit(status)
        if not page.exists():
            raise UserError(f"{page}: not there yet; run snakemake")
        print(f"Report: {page}")


def run(overlay: str | None) -> int:
    """Let Snakemake make the study, which checks its config too, and return its exit status."""
    command = ["snakemake", *(["--configfile", overlay] if overlay else [])]
    if not sys.stderr.isatty():
        return subprocess.call(command)
    from workflow.study import live

    return live.run(command, lambda: parts(overlay), config.results("config.yaml", overlay))


def parts(overlay: str | None) -> list[Part]:
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

    study, folder = study_config.load("config.yaml", overlay), config.results("config.yaml", overlay)
    points = scan.points("config.yaml", config.read(overlay)) if overlay else []
    whole = [Part(point.config, plan(point.config), folder / "points" / point.name) for point in points]
    return whole or [Part(study, plan(study), folder)]


if __name__ == "__main__":
    run_cli(main)
