"""Say what a file of measurements holds, and the commands that import it and train with it (docs/measured.md)."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rich.console import Console

from calibration.sources import importers
from calibration.tools import inspection, inspection_figure, make_card
from spinloom.command_line import CONSOLE, called
from spinloom.errors import UserError
from spinloom.files import atomic, write_text


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="file or folder to look at")
    parser.add_argument("--format", choices=importers.REGISTRY.names(), help="format of the file; default: recognised")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="option of the format, as of import"
    )
    parser.add_argument("--figure", help="picture to write, .svg, .png or .pdf; default: NAME_inspected.svg")
    parser.add_argument("--overlay", metavar="FILE.yaml", help="write the study that follows")


def run(arguments: argparse.Namespace) -> None:
    options = make_card.pairs(arguments.option)
    found = inspection.inspect(arguments.file, arguments.format, options)
    console = Console()
    inspection.show(found, console)
    if found.imported is None:
        raise UserError(found.why)

    def tell(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    overlay = Path(arguments.overlay) if arguments.overlay else None
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", overlay.stem if overlay else found.path.stem).strip("_") or "measured"
    drawn = inspection_figure.draw(found)
    if drawn is not None:
        figure = Path(arguments.figure or f"{stem}_inspected.svg")
        try:
            with atomic(figure) as temporary:
                drawn.savefig(temporary)
        except ValueError as error:
            raise UserError(f"--figure: {error}") from None
        tell(f"picture: {figure}")
    tell(f"\nthe card:\n  {inspection.command(found, f'results/cards/{stem}')}")
    if wished := inspection.wished(found):
        tell("say also what you know; the card states what it does not know:\n  " + "\n  ".join(wished))
    if found.missing and overlay is None:
        return
    text = inspection.study(found, stem)
    if overlay is None:
        tell(f"\nthe study, a card and a network trained with it (--overlay {stem}.yaml writes it):\n{text}")
        return
    write_text(text, overlay)
    tell(f"\nthe study, a card and a network trained with it:\n  {called(CONSOLE)} run {overlay}")
