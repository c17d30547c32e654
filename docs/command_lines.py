"""The command lines of the stages with all options, for reference/commands.md."""

from argparse import ArgumentParser

from spinloom.command_line import commands_of, parser_of
from spinloom.stages import STAGES


def complete(stage: str) -> ArgumentParser:
    """Return the command line of a stage, without the lists of options of plug-ins, which are pages of their own."""
    parser, commands = parser_of(stage, list(commands_of(stage)))
    for command in commands.values():
        command.epilog = None
    return parser


device_sims, calibration, network = map(complete, STAGES)
