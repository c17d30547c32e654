"""Make the kernel card that a calibration section asks for."""

from __future__ import annotations

import argparse

from calibration.tools import make_card


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, help=make_card.SECTION)
    parser.add_argument("--device-sims", help="folder of the device stage's events.parquet, pulses.csv, device.json")
    parser.add_argument("--barriers", help="table of the devices' barriers at rest, for calibration.retention")
    parser.add_argument("--dropped", help="CSV file for what an import left out and why")
    parser.add_argument("--output", type=make_card.a_path, required=True, help="directory of the card")
    parser.add_argument("--log", help="file for progress and errors")


def run(arguments: argparse.Namespace) -> None:
    own = make_card.section(arguments.config)
    files = (arguments.device_sims, arguments.dropped, arguments.log, arguments.barriers)
    make_card.make(own, arguments.config, arguments.output, *files)
