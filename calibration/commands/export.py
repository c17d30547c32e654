"""Write a kernel card as files of another program (docs/exports.md)."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table

from calibration import exports
from calibration.tools.make_card import a_path, card_of, pairs
from spinloom.command_line import in_words
from spinloom.declare import Section, options_of, schema
from spinloom.progress import table_console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", help="directory of the card, or name of a card of the library")
    # a format is a module: verilog-a is verilog_a
    parser.add_argument(
        "--format",
        type=lambda text: text.replace("-", "_"),
        choices=exports.REGISTRY.names(),
        required=True,
        help="what to write",
    )
    parser.add_argument("--output", type=a_path, required=True, help="folder of the files")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="option of the format, below"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(_told(*plug_in) for plug_in in options_of(exports.REGISTRY).items())


def _told(format: str, options: type[Section]) -> str:
    """Return what a format is, and its options, as the help shows them."""
    about = (exports.REGISTRY.get(format).__doc__ or "").partition("\n")[0]
    rules = schema(options)["properties"].items()
    return "\n".join([f"{format}: {about}", *(f"  {name}: {in_words(rule)}" for name, rule in rules)])


def run(arguments: argparse.Namespace) -> None:
    made = exports.export(card_of(arguments.card), arguments.format, pairs(arguments.option))
    exports.write(made, Path(arguments.output))
    console = table_console()
    names = list(made.files) if len(made.files) < 5 else [f"{len(made.files)} files"]
    console.print(f"wrote {', '.join(names)} into {arguments.output}", markup=False, highlight=False)
    if not made.losses:
        console.print("nothing of the card is lost")
        return
    table = Table(title="not, or otherwise, in the files", title_justify="left")
    for name in ("what", "pulse", "state", "value", "unit", "meaning"):
        table.add_column(name, overflow="fold")
    for loss in made.losses:
        at = ("" if number is None else str(number) for number in (loss.pulse, loss.state))
        table.add_row(loss.quantity, *at, f"{loss.value:.3g}", loss.unit, loss.meaning)
    console.print(table)
