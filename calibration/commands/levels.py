"""Print how far apart the levels of simulated walls are, and how many of them a reader can tell."""

from __future__ import annotations

import argparse

import pandas as pd

from calibration.consequences import levels
from calibration.sources.simulated import told
from calibration.tools.make_card import a_path
from spinloom.files import write_csv


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", help="folders of the device stage's tables")
    parser.add_argument("--pulses", type=int, nargs="+", default=(), help="pulses that write the levels (default: all)")
    parser.add_argument("--column", help="column of the events with the position (default: that after the write)")
    parser.add_argument("--output", type=a_path, help="CSV file for the bits and the share of right choices")


def run(arguments: argparse.Namespace) -> None:
    rows = []
    for folder in arguments.folders:
        known = told(folder)
        writes = levels.levels(known, arguments.pulses, arguments.column)
        rows.append({"folder": folder, **levels.summary(writes)})
        own = levels.table(known, writes, arguments.pulses)
        print(f"{folder}\n{own.to_string(index=False, float_format='{:.4g}'.format)}")
    result = pd.DataFrame(rows)
    print(result.to_string(index=False, float_format="{:.3g}".format))
    if arguments.output is not None:
        write_csv(result, arguments.output)
