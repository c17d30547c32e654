"""Draw how the device answers its pulses."""

from __future__ import annotations

import argparse
from pathlib import Path

from device_sims import devices
from device_sims.config import Stage
from spinloom import files

TABLES = ("events.parquet", "trajectories.parquet", "pulses.csv", "summary.csv")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help="JSON file with the device_sims section and the seed")
    parser.add_argument("--tables", required=True, help="directory that `collect` wrote")
    parser.add_argument("--output", required=True, help="directory to write to")


def run(arguments: argparse.Namespace) -> None:
    section = Stage.parse(files.read_json(arguments.config), arguments.config).dump()
    tables = {name.split(".")[0]: files.read_table(Path(arguments.tables) / name) for name in TABLES}
    devices.family(section).draw(section, tables, Path(arguments.output) / "device_response.png")
