"""Translate a script in mumax3's language into problem files (docs/from_mumax3.md)."""

from __future__ import annotations

import argparse

from device_sims.translate.problem import translate


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("script", help="mumax3 script (.mx3)")
    parser.add_argument(
        "--output", required=True, help="new directory for problem files, OVF files, and report.txt: what was left out"
    )


def run(arguments: argparse.Namespace) -> None:
    print(translate(arguments.script, arguments.output), end="")
