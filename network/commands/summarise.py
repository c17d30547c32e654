"""Gather finished runs into the tables of the stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration.card import KernelCard
from network.results.summary import summarise
from network.training import settings
from network.training.card import read_device


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="directories of the runs")
    parser.add_argument("--config", type=Path, required=True, help="JSON: the network section")
    parser.add_argument("--card", type=Path, required=True, help="directory of the kernel card")
    parser.add_argument("--output", type=Path, required=True, help="directory for the tables")


def run(arguments: argparse.Namespace) -> None:
    variants = settings.read_all(arguments.config)
    devices = {config.variant: read_device(arguments.card, config) for config in variants}
    summarise(arguments.runs, variants, devices, arguments.output, KernelCard.read(arguments.card).meta.warnings)
