"""Simulate one chunk of a sweep."""

from __future__ import annotations

import argparse

from device_sims.sweep import chunk
from spinloom import files, gpus


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="JSON file with the chunk's own problems")
    parser.add_argument("--output", required=True, help="directory to write to")
    parser.add_argument("--log", help="file for progress lines")


def run(arguments: argparse.Namespace) -> None:
    gpus.claim()
    own = chunk.specified(files.read_json(arguments.spec), arguments.spec)
    chunk.run(own, arguments.output, arguments.log)
