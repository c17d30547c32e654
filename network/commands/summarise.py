"""Gather finished runs into the tables of the stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration.card import KernelCard
from network.results.summary import summarise
from network.training import settings
from network.training.card import read_device
from spinloom.files import read_table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="directories of the runs")
    parser.add_argument("--config", type=Path, required=True, help="JSON: the network section")
    parser.add_argument("--card", type=Path, required=True, help="directory of the kernel card")
    parser.add_argument("--tuned", type=Path, help="folder with what tuning found, if there was any")
    parser.add_argument("--output", type=Path, required=True, help="directory for the tables")


def run(arguments: argparse.Namespace) -> None:
    variants = settings.read_all(arguments.config, arguments.tuned)
    devices = {config.variant: read_device(arguments.card, config) for config in variants}
    warnings, tuned = KernelCard.read(arguments.card).meta.warnings, tuned_words(variants, arguments.tuned)
    summarise(arguments.runs, variants, devices, arguments.output, warnings, tuned)


def tuned_words(variants: list[settings.Settings], folder: Path | None) -> dict[str, str]:
    """Return by variant what its tuning found, in words for the summary; none of one that was not tuned."""
    found = {}
    for one in variants:
        if folder is None or not (path := folder / f"{one.variant}.csv").exists():
            continue
        table = read_table(path)
        best, first = (table[table["chosen"]], table[table["trial"] == 0])
        told = ", ".join(
            f"{row['key']} {row['value']:.4g}" + (f" for {before:.4g}" if row["value"] != before else "")
            for row, before in zip(best.to_dict("records"), first["value"], strict=True)
        )
        found[one.variant] = f"{told}: best of {table['trial'].nunique()} short trainings by validation images"
    return found
