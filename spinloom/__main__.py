"""``python -m spinloom check | run | report | reference [OVERLAY]``.

Check a study's config; run the study with a live display; print where its report is; write docs/config.md, the page of
all keys.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spinloom import config, files, reference
from spinloom.errors import UserError, run_cli


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m spinloom", description=__doc__.split("\n\n")[1])
    parser.add_argument("command", choices=["check", "run", "report", "reference"])
    parser.add_argument("overlay", nargs="?", help="config laid over config.yaml")
    arguments = parser.parse_args()
    if arguments.command == "reference":
        files.write_text(reference.page(), "docs/config.md")
        return
    study = config.load("config.yaml", arguments.overlay)
    folder = Path("results") / study["study"]
    if arguments.command in ("check", "run"):
        from spinloom import live, scan
        from spinloom.study import plan

        points = scan.points("config.yaml", config.read(arguments.overlay)) if arguments.overlay else []
        parts = [live.Part(point.config, plan(point.config), folder / "points" / point.name) for point in points]
        parts = parts or [live.Part(study, plan(study), folder)]
        if arguments.command == "check":
            return
        command = ["snakemake", *(["--configfile", arguments.overlay] if arguments.overlay else [])]
        raise SystemExit(live.run(command, parts, folder))
    path = folder / "report.html"
    if not path.exists():
        raise UserError(f"{path}: not there yet; run snakemake")
    print(f"Report: {path}")


if __name__ == "__main__":
    run_cli(main)
