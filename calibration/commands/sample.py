"""Write a draw from the posterior of a card."""

from __future__ import annotations

import argparse

from calibration.consequences.derive import with_derived
from calibration.tools.make_card import a_path, card_of
from calibration.tools.sample import sample
from spinloom.command_line import add_key, whole_number
from spinloom.config import Seeded


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", help="directory or name in the library")
    add_key(parser, "--seed", Seeded, "seed", default=0)
    parser.add_argument("--number", type=whole_number("--number", 0), default=0, help="number of the draw (default 0)")
    parser.add_argument("--output", type=a_path, required=True, help="directory of the sampled card")


def run(arguments: argparse.Namespace) -> None:
    with_derived(sample(card_of(arguments.card), arguments.seed, arguments.number)).write(arguments.output)
