"""Split the spread of trainings on draws from the card's posterior into card, devices and seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results import figures
from network.results.uncertainty import split
from network.training import settings
from spinloom.files import write_sealed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="JSON: the network section")
    parser.add_argument("--sampled", type=Path, required=True, help="directory of the runs on draws from the card")
    parser.add_argument("--cards", type=Path, required=True, help="directory of these draws")
    parser.add_argument("--tuned", type=Path, help="folder with what tuning found, if there was any")
    parser.add_argument("--output", type=Path, required=True, help="CSV file for the table")
    parser.add_argument("--figure", type=Path, required=True, help="PNG file")


def run(arguments: argparse.Namespace) -> None:
    table = split(settings.read_all(arguments.config, arguments.tuned), arguments.sampled, arguments.cards)
    write_sealed(table, arguments.output)
    figures.uncertainty(table, arguments.figure)
