"""Write a draw from the posterior of a card."""

from __future__ import annotations

import argparse

from calibration.consequences.derive import with_derived
from calibration.tools.make_card import a_path, card_of
from calibration.tools.sample import sample


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", help="directory or name in the library")
    parser.add_argument("--seed", type=int, default=0, help="seed of the stream (default 0)")
    parser.add_argument("--number", type=int, default=0, help="number of the draw (default 0)")
    parser.add_argument("--output", type=a_path, required=True, help="directory of the sampled card")


def run(arguments: argparse.Namespace) -> None:
    with_derived(sample(card_of(arguments.card), arguments.seed, arguments.number)).write(arguments.output)
