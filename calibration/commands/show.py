"""Print a kernel card."""

from __future__ import annotations

import argparse

from calibration.tools.make_card import card_of
from calibration.tools.show import show
from spinloom.progress import table_console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", help="directory of the card, or name of a card of the library")
    parser.add_argument("--all", action="store_true", help="print all rows and tables, more than one screen")


def run(arguments: argparse.Namespace) -> None:
    show(card_of(arguments.card), table_console(), everything=arguments.all)
