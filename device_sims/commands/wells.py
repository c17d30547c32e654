"""Find the wells of one device of a study at rest, and the barriers between them."""

from __future__ import annotations

import argparse

from device_sims.barriers.rest import search, wells
from spinloom import files, gpus


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="JSON file with the device's problem at rest")
    parser.add_argument("--output", required=True, help="CSV file to write")


def run(arguments: argparse.Namespace) -> None:
    gpus.claim()
    own = search.specified(files.read_json(arguments.spec), arguments.spec)
    files.write_csv(wells.find(own), arguments.output)
