"""Gather chunks into tables."""

from __future__ import annotations

import argparse

from device_sims.config import Stage
from device_sims.sweep import sweep
from spinloom import files


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="JSON file with the device_sims section and the seed")
    parser.add_argument("--chunks", required=True, help="directory of the chunks")
    parser.add_argument("--output", required=True, help="directory to write to")


def run(arguments: argparse.Namespace) -> None:
    section = Stage.parse(files.read_json(arguments.config), arguments.config)
    sweep.collect(section, arguments.chunks, arguments.output)
