"""Find the energy barrier between two states of a problem file (docs/barriers.md)."""

from __future__ import annotations

import argparse

from device_sims.barriers.settings import Settings
from device_sims.barriers.single import barrier
from spinloom.command_line import add_key


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("problem", help="problem file (YAML); its first state is a")
    parser.add_argument(
        "second", nargs="?", help="problem file with another first state, or OVF file: state b (default: a reversed)"
    )
    parser.add_argument("--output", required=True, help="new directory")
    parser.add_argument("--phase", help="name of the phase whose drives act (default: the first)")
    parser.add_argument("--trajectory", help="folder with m*.ovf of a run from a to b, where the search begins")
    for name in Settings.model_fields:
        add_key(parser, f"--{name.replace('_', '-')}", Settings, name)


def run(arguments: argparse.Namespace) -> None:
    given = {name: getattr(arguments, name) for name in Settings.model_fields}
    numbers = {"tolerance", "well_kT", "temperature_K"}
    told = {name: _number(value) if name in numbers else value for name, value in given.items() if value is not None}
    settings = Settings.parse(told, "the command line")
    barrier(arguments.problem, arguments.second, arguments.output, settings, arguments.phase, arguments.trajectory)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # the declaration says what is allowed
