"""List the library's cards, or write one."""

from __future__ import annotations

import argparse

from calibration.sources import library
from calibration.tools import make_card
from spinloom.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="card to write")
    parser.add_argument("--output", type=make_card.a_path, help="directory of the card")


def run(arguments: argparse.Namespace) -> None:
    if arguments.name is None:
        for name in library.names():
            print(f"{name:28} {library.recipe(name).description}")
        return
    if arguments.output is None:
        raise UserError("--output: found nothing, allowed: a directory for the card")
    make_card.make(make_card.library_section(arguments.name), "config.yaml", arguments.output)
