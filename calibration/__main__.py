"""Command line of stage 2: ``python -m calibration COMMAND``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from threadpoolctl import threadpool_limits

import device_sims.config
from calibration.card import KernelCard
from calibration.config import Stage
from calibration.consequences.derive import with_derived
from calibration.sources import build, importers, library
from calibration.tools import compare_cards, planner, sample
from calibration.tools.show import show
from spinloom.command_line import run_cli
from spinloom.config import read
from spinloom.errors import UserError
from spinloom.files import read_json, read_table, write_csv, write_text
from spinloom.progress import Progress, table_console

DROPPED = ("file", "row", "reason")


def _section(path: str | None) -> dict[str, Any]:
    """Return a checked calibration section: of a JSON file, or config.yaml's."""
    if path is not None:
        return Stage.parse(read_json(path), path).dump()
    whole = read("config.yaml")
    return Stage.parse({"seed": whole.get("seed"), **whole.get("calibration", {})}, "config.yaml").dump()


def _path(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("found nothing, allowed: a path")
    return text


def _make(section: dict[str, Any], where: str, args: argparse.Namespace, device_sims: str | None = None) -> None:
    dropped = getattr(args, "dropped", None)
    if dropped is not None and Path(dropped).is_dir():
        raise UserError(f"--dropped: found {dropped}, a folder, allowed: a file")
    with Progress("calibration", 1, "cards", rate_unit="cards/s", log=getattr(args, "log", None)) as progress:
        try:
            card, imported = build.make(section, where, device_sims)
            card.write(args.output)
            if dropped is not None:
                empty = pd.DataFrame(columns=list(DROPPED))
                write_csv(empty if imported is None else imported.report, dropped)
        except UserError as error:
            # the terminal gets it from run_cli
            if progress.log is not None:
                progress.log.write(f"error: {error}\n")
            raise
        told = [f"{card.meta.get('events', 0)} writes used, {card.meta.get('lost_events', 0)} lost"]
        if imported is not None:
            told.append(f"{len(imported.report)} of {imported.rows} values or rows of the file left out")
            told += [f"note: {note}" for note in imported.notes]
        for line in told:
            progress.say(line)
        progress.advance(1, f"card {card.hash} in {args.output}")
    if progress.log is None and not progress.terminal:
        # what an import left out must be told, wherever the output goes
        print("\n".join(told))


def _card(args: argparse.Namespace) -> None:
    _make(_section(args.config), args.config, args, args.device_sims)


def _import(args: argparse.Namespace) -> None:
    options = {}
    for text in args.option:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--option: found '{text}', allowed: KEY=VALUE")
        options[key] = value
    source = {"kind": "import", "file": args.file, "format": args.format, "options": options}
    section = _section(args.config)
    section["source"] = {**section["source"], **source}
    states = {"method": args.states, "count": args.count, "edges": args.edges}
    given = {key: value for key, value in states.items() if value is not None}
    if given and importers.brings_states(args.format):
        raise UserError(
            f"--states, --count, --edges: found {given}, allowed with {args.format}: --option states=NUMBER"
        )
    if args.config is None:
        # config.yaml's states are those of its wall; a measured device has none yet
        section["states"] = {"method": "mixture", "misread": section["states"]["misread"]}
    section["states"] = {**section["states"], **given}
    where = args.config or "config.yaml"
    _make(Stage.parse(section, where).dump(), where, args)


def card_of(name: str) -> KernelCard:
    """Return the card in a folder, or the library's card of that name.

    Raises
    ------
    UserError
        If it is neither.
    """
    if not Path(name).exists() and name in library.names():
        return build.make(_of_library(name), "config.yaml", None)[0]
    return KernelCard.read(name)


def _of_library(name: str) -> dict[str, Any]:
    section = _section(None)
    # the seed of `library.card`: a name is one card, whatever the study
    return {**section, "seed": 0, "source": {**section["source"], "kind": "library", "name": name}}


def _show(args: argparse.Namespace) -> None:
    show(card_of(args.card), table_console())


def _library(args: argparse.Namespace) -> None:
    if args.name is None:
        for name in library.names():
            print(f"{name:28} {library.recipe(name)['description']}")
        return
    if args.output is None:
        raise UserError("--output: found nothing, allowed: a directory for the card")
    _make(_of_library(args.name), "config.yaml", args)


def _compare(args: argparse.Namespace) -> None:
    compare_cards.render(compare_cards.compare(card_of(args.a), card_of(args.b)), table_console())


def _sample(args: argparse.Namespace) -> None:
    with_derived(sample.sample(card_of(args.card), args.seed, args.number)).write(args.output)


def _plan(args: argparse.Namespace) -> None:
    card = card_of(args.card)
    simulated = args.device_sims is not None
    started = None
    if simulated:
        events = read_table(Path(args.device_sims) / "events.parquet")
        started = events if "nominal_start_m" in events else None
    plan = planner.plan(card, args.width, 1 if started is None else started["nominal_start_m"].nunique(), args.narrow)
    goal = f"half-width {args.width:g}" if args.narrow is None else f"{args.narrow:g} times narrower"
    planner.render(plan, card, f"intervals {goal}", table_console())
    if args.output is None:
        return
    planner.check_plan(card)
    if args.config is None or not simulated:
        raise UserError(
            "--config, --device-sims: found nothing, allowed with --output: the device stage's section and tables"
        )
    section = device_sims.config.Stage.parse(read_json(args.config), args.config).dump()
    # a card's pulse may be two of the device stage, of which both then get the replicas
    known = read_table(Path(args.device_sims) / "pulses.csv").columns
    overlay = planner.sweep(plan, card, section, card.pulses[[name for name in card.pulses if name in known]], started)
    note = f"# What `calibration plan` asks for: intervals {goal}. Lay it over the study's config.\n"
    write_text(note + yaml.safe_dump(overlay, sort_keys=False), args.output)
    print(f"Sweep: {args.output}")


def _figures(args: argparse.Namespace) -> None:
    # imported here: the other commands must not pay for matplotlib
    from calibration.tools import figures

    figures.draw(KernelCard.read(args.card), _section(args.config), args.config, args.device_sims, args.output)


def main(arguments: list[str] | None = None) -> None:
    """Run one command; ``arguments`` default to the command line's."""
    parser = argparse.ArgumentParser(prog="python -m calibration", description="Writes of a device -> kernel card.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        own = commands.add_parser(name, help=text, description=text)
        own.set_defaults(run=run)
        return own

    section = "JSON: the calibration section of a study's config (results/STUDY/config/calibration.json)"
    card = command("card", _card, "make the kernel card that a calibration section asks for")
    card.add_argument("--config", required=True, help=section)
    card.add_argument("--device-sims", help="folder of the device stage's events.parquet, pulses.csv, device.json")
    card.add_argument("--dropped", help="CSV file for what an import left out and why")
    card.add_argument("--output", type=_path, required=True, help="directory of the card")
    card.add_argument("--log", help="file for progress and errors")

    imported = command("import", _import, "make a kernel card of measured data (docs/import.md)")
    imported.add_argument("file", help="file or folder to import")
    imported.add_argument("--format", required=True, choices=importers.REGISTRY.names(), help="how it is laid out")
    imported.add_argument("--output", type=_path, required=True, help="directory of the card")
    imported.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="option of the format")
    imported.add_argument("--states", help="calibration.states.method (default: mixture)")
    imported.add_argument(
        "--edges", type=float, nargs="+", metavar="S", help="borders between states, with --states edges"
    )
    imported.add_argument("--count", type=int, help="number of states (default: as many as can be told apart)")
    imported.add_argument("--config", help=f"{section}; default: config.yaml's")
    imported.add_argument("--dropped", help="CSV file for what was left out and why")

    shown = command("show", _show, "print a kernel card")
    shown.add_argument("card", help="directory of the card, or name of a card of the library")

    listed = command("library", _library, "list the library's cards, or write one")
    listed.add_argument("name", nargs="?", help="card to write")
    listed.add_argument("--output", type=_path, help="directory of the card")

    compared = command("compare", _compare, "print two cards side by side, with the significance of their differences")
    compared.add_argument("a", help="directory or name in the library")
    compared.add_argument("b", help="directory or name in the library")

    drawn = command("sample", _sample, "write a draw from the posterior of a card")
    drawn.add_argument("card", help="directory or name in the library")
    drawn.add_argument("--seed", type=int, default=0, help="seed of the stream (default 0)")
    drawn.add_argument("--number", type=int, default=0, help="number of the draw (default 0)")
    drawn.add_argument("--output", type=_path, required=True, help="directory of the sampled card")

    planned = command("plan", _plan, "say which pulses and states need how many more writes, and write the sweep")
    planned.add_argument("card", help="directory of the card")
    planned.add_argument("--width", type=float, default=0.05, help="wanted half-width of the intervals (default 0.05)")
    planned.add_argument("--narrow", type=float, help="instead: all intervals this many times narrower than now")
    planned.add_argument("--config", help="JSON: the device stage's section (results/STUDY/config/device_sims.json)")
    planned.add_argument("--device-sims", help="folder of the device stage's tables")
    planned.add_argument("--output", type=_path, help="YAML file for the sweep, an overlay of the study's config")

    figures = command("figures", _figures, "draw a kernel card")
    figures.add_argument("--card", required=True, help="directory of the card")
    figures.add_argument("--config", required=True, help=section)
    figures.add_argument("--device-sims", help="folder of the device stage's tables, if the card is made of them")
    figures.add_argument("--output", type=_path, required=True, help="directory for the figures")

    args = parser.parse_args(arguments)
    # a matrix product may depend on the number of threads, and a card must not
    with threadpool_limits(1):
        args.run(args)


if __name__ == "__main__":
    run_cli(main)
