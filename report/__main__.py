"""Command line of the report: ``python -m report --study results/STUDY --output results/STUDY/report.html``.

Of a scan ``--scan`` in place of ``--study``, of a search ``--design``, of a card alone ``--card``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration.card import KernelCard
from report import page, scan, study
from report.design import found
from spinloom import files
from spinloom.command_line import called, run_cli


def main(arguments: list[str] | None = None) -> None:
    """Write the report of a study, of a scan or of a card; ``arguments`` default to the command line's."""
    parser = argparse.ArgumentParser(prog=called("report"), description="A study's files -> one page.")
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--study", type=Path, help="folder of the study's results")
    whose.add_argument("--scan", type=Path, help="folder of the scan's results")
    whose.add_argument("--design", type=Path, help="folder of the search's results")
    whose.add_argument("--card", type=Path, help="folder of a kernel card")
    parser.add_argument("--validation", type=Path, help="validation.csv of the engines, if there is one")
    parser.add_argument("--output", type=Path, required=True, help="the page")
    parsed = parser.parse_args(arguments)
    if parsed.scan:
        text = page.render_scan(scan.read(parsed.scan))
    elif parsed.design:
        text = page.render_design(found.read(parsed.design))
    elif parsed.card:
        text = page.render_card(KernelCard.read(parsed.card))
    else:
        evidence = parsed.validation if parsed.validation and parsed.validation.exists() else None
        text = page.render(study.read(parsed.study, evidence))
    files.write_text(text, parsed.output)


if __name__ == "__main__":
    run_cli(main)
