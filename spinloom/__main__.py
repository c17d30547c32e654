"""``python -m spinloom check | report | reference [OVERLAY]``.

Check a study's config; print where its report is; write docs/config.md, the page of all keys.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spinloom import config, files, reference
from spinloom.errors import UserError, run_cli


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m spinloom", description=__doc__.splitlines()[2])
    parser.add_argument("command", choices=["check", "report", "reference"])
    parser.add_argument("overlay", nargs="?", help="config laid over config.yaml")
    arguments = parser.parse_args()
    if arguments.command == "reference":
        files.write_text(reference.page(), "docs/config.md")
        return
    study = config.load("config.yaml", arguments.overlay)
    if arguments.command == "check":
        from spinloom.study import plan

        plan(study)
        return
    path = Path("results") / study["study"] / "report.html"
    if not path.exists():
        raise UserError(f"{path}: not there yet; run snakemake")
    print(f"Report: {path}")


if __name__ == "__main__":
    run_cli(main)
