"""Draw a kernel card."""

from __future__ import annotations

import argparse

from calibration.card import KernelCard
from calibration.tools import figures, make_card


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--card", required=True, help="directory of the card")
    parser.add_argument("--config", required=True, help=make_card.SECTION)
    parser.add_argument("--device-sims", help="folder of the device stage's tables, if the card is made of them")
    parser.add_argument("--output", type=make_card.a_path, required=True, help="directory for the figures")


def run(arguments: argparse.Namespace) -> None:
    own = make_card.section(arguments.config)
    figures.draw(KernelCard.read(arguments.card), own, arguments.config, arguments.device_sims, arguments.output)
