"""Simulate the first write event of a chunk once more and draw it."""

from __future__ import annotations

import argparse

from device_sims.common import Pictures
from device_sims.pictures import of_sweep
from device_sims.sweep import chunk
from spinloom import files, gpus


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="JSON file with the chunk's own problems")
    parser.add_argument("--config", required=True, help="JSON file with the section device_sims.pictures")
    parser.add_argument("--output", required=True, help="path of the files to write, without their endings")


def run(arguments: argparse.Namespace) -> None:
    gpus.claim()
    own = chunk.specified(files.read_json(arguments.spec), arguments.spec)
    options = Pictures.parse(files.read_json(arguments.config)["options"], arguments.config, "options")
    of_sweep.draw(own, options, arguments.output)
