"""Command line of the report: ``python -m report --study results/STUDY --output results/STUDY/report.html``."""

from __future__ import annotations

import argparse
from pathlib import Path

from report import page, study
from spinloom import files
from spinloom.errors import run_cli


def main(arguments: list[str] | None = None) -> None:
    """Write the report of a study; ``arguments`` default to the command line's."""
    parser = argparse.ArgumentParser(prog="python -m report", description="A study's files -> one page.")
    parser.add_argument("--study", type=Path, required=True, help="folder of the study's results")
    parser.add_argument("--validation", type=Path, help="validation.csv of the engines; passed over if absent")
    parser.add_argument("--output", type=Path, required=True, help="the page")
    parsed = parser.parse_args(arguments)
    evidence = parsed.validation if parsed.validation and parsed.validation.exists() else None
    files.write_text(page.render(study.read(parsed.study, evidence)), parsed.output)


if __name__ == "__main__":
    run_cli(main)
