"""Command line of a whole study.

``check`` its config; ``run`` it with a live display and print where its ``report`` is, or print that alone; write the
``reference`` of all keys: docs/config.md, and the schemas for editors in workflow/schemas.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from spinloom import config, files
from spinloom.command_line import run_cli
from spinloom.errors import UserError
from workflow.study import config as study_config
from workflow.study import reference


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m spinloom", description=__doc__)
    parser.add_argument("command", choices=["check", "run", "report", "reference"])
    parser.add_argument("overlay", nargs="?", help="config laid over config.yaml")
    arguments = parser.parse_args()
    if arguments.command == "reference":
        for path, text in reference.files().items():
            files.write_text(text, path)
        return
    study = study_config.load("config.yaml", arguments.overlay)
    folder = Path("results") / study["study"]

    def parts() -> list:
        from workflow.study import scan
        from workflow.study.live import Part
        from workflow.study.planning import plan

        points = scan.points("config.yaml", config.read(arguments.overlay)) if arguments.overlay else []
        whole = [Part(point.config, plan(point.config), folder / "points" / point.name) for point in points]
        return whole or [Part(study, plan(study), folder)]

    if arguments.command == "check":
        parts()
        return
    if arguments.command == "run":
        command = ["snakemake", *(["--configfile", arguments.overlay] if arguments.overlay else [])]
        if sys.stderr.isatty():
            from workflow.study import live

            status = live.run(command, parts, folder)
        else:
            status = subprocess.call(command)
        if status:
            raise SystemExit(status)
    path = folder / "report.html"
    if not path.exists():
        raise UserError(f"{path}: not there yet; run snakemake")
    print(f"Report: {path}")


if __name__ == "__main__":
    run_cli(main)
