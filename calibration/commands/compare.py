"""Print two cards side by side, with the significance of their differences."""

from __future__ import annotations

import argparse

from calibration.tools.compare_cards import compare, render
from calibration.tools.make_card import card_of
from spinloom.progress import table_console


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", help="directory or name in the library")
    parser.add_argument("b", help="directory or name in the library")


def run(arguments: argparse.Namespace) -> None:
    render(compare(card_of(arguments.a), card_of(arguments.b)), table_console())
