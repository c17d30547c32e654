"""Print the tables of a summary: accuracy, writes, energies, further tests, published numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results.show import show
from spinloom.progress import table_console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="directory of the tables")


def run(arguments: argparse.Namespace) -> None:
    show(arguments.directory, table_console())
