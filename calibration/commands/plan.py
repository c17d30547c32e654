"""Say which pulses and states need how many more writes, and write the sweep."""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from calibration.tools import planner
from calibration.tools.make_card import a_path, card_of
from device_sims.config import Stage
from spinloom.errors import UserError
from spinloom.files import read_json, read_table, write_text
from spinloom.progress import table_console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", help="directory of the card")
    parser.add_argument("--width", type=float, default=0.05, help="wanted half-width of the intervals (default 0.05)")
    parser.add_argument("--narrow", type=float, help="instead: all intervals this many times narrower than now")
    parser.add_argument("--config", help="JSON: the device stage's section (results/STUDY/config/device_sims.json)")
    parser.add_argument("--device-sims", help="folder of the device stage's tables")
    parser.add_argument("--output", type=a_path, help="YAML file for the sweep, an overlay of the study's config")


def run(arguments: argparse.Namespace) -> None:
    card = card_of(arguments.card)
    tables = None if arguments.device_sims is None else Path(arguments.device_sims)
    started = None
    if tables is not None:
        events = read_table(tables / "events.parquet")
        started = events if "nominal_start_m" in events else None
    starts = 1 if started is None else started["nominal_start_m"].nunique()
    plan = planner.plan(card, arguments.width, starts, arguments.narrow)
    goal = f"half-width {arguments.width:g}"
    if arguments.narrow is not None:
        goal = f"{arguments.narrow:g} times narrower"
    planner.render(plan, card, f"intervals {goal}", table_console())
    if arguments.output is None:
        return
    planner.check_plan(card)
    if arguments.config is None or tables is None:
        raise UserError(
            "--config, --device-sims: found nothing, allowed with --output: the device stage's section and tables"
        )
    section = Stage.parse(read_json(arguments.config), arguments.config).dump()
    # a card's pulse may be two of the device stage, of which both then get the replicas
    known = read_table(tables / "pulses.csv").columns
    overlay = planner.sweep(plan, card, section, card.pulses[[name for name in card.pulses if name in known]], started)
    note = f"# What `calibration plan` asks for: intervals {goal}. Lay it over the study's config.\n"
    write_text(note + yaml.safe_dump(overlay, sort_keys=False), arguments.output)
    print(f"Sweep: {arguments.output}")
