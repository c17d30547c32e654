"""List the engines and whether each can run here."""

from __future__ import annotations

import argparse

from device_sims.single.run import show_engines


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> None:
    show_engines()
