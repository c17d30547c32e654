"""Make a kernel card of measured data (docs/import.md)."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from calibration.config import Stage
from calibration.sections import Kernel, States
from calibration.sources import importers
from calibration.tools import make_card
from spinloom.command_line import add_key, in_words
from spinloom.declare import Section, options_of, schema
from spinloom.errors import UserError

OPTIONS = {"method": "--states", "count": "--count", "edges": "--edges"}  # key of calibration.states -> its option


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="file or folder to import")
    parser.add_argument("--format", choices=importers.REGISTRY.names(), help="format of the file; default: recognised")
    parser.add_argument("--output", type=make_card.a_path, required=True, help="directory of the card")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="option of the format, below"
    )
    add_key(parser, "--states", States, "method")
    add_key(parser, "--edges", States, "edges", nargs="+", metavar="EDGE")
    add_key(parser, "--count", States, "count")
    for name in ("law", "form", "empty_rows"):
        add_key(parser, f"--{name.replace('_', '-')}", Kernel, name)
    parser.add_argument("--config", help=f"{make_card.SECTION}; default: config.yaml's, with --states auto")
    parser.add_argument("--accept-misfit", action="store_true", help=Stage.model_fields["accept_misfit"].description)
    parser.add_argument("--dropped", help="CSV file for what was left out and why; default: OUTPUT_dropped.csv")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(_told(*plug_in) for plug_in in options_of(importers.REGISTRY).items())


def _told(format: str, options: type[Section]) -> str:
    """Return the options of a format as the help shows them."""
    rules = schema(options)["properties"].items()
    return "\n".join([f"options of {format}:", *(f"  {name}: {in_words(rule)}" for name, rule in rules)])


def run(arguments: argparse.Namespace) -> None:
    options = make_card.pairs(arguments.option)
    source = {"kind": "import", "file": arguments.file, "format": arguments.format, "options": options}
    own = make_card.section(arguments.config).dump()
    own["source"] = {**own["source"], **source}
    states = {"method": arguments.states, "count": arguments.count, "edges": arguments.edges}
    given = {key: value for key, value in states.items() if value is not None}
    format = arguments.format or importers.recognised(arguments.file, options)[0]
    if given and importers.brings_states(format):
        raise UserError(
            f"--states, --count, --edges: found {given}, allowed with {format}: none, as the states are the format's "
            "(docs/import.md)"
        )
    if arguments.config is None:
        # config.yaml's states are those of its wall; a measured device has none yet
        own["states"] = {"method": "auto", "misread": own["states"]["misread"]}
    own["states"] = {**own["states"], **given}
    kernel = {name: getattr(arguments, name) for name in ("law", "form", "empty_rows")}
    own["kernel"] = {**own["kernel"], **{name: value for name, value in kernel.items() if value is not None}}
    own["accept_misfit"] = own["accept_misfit"] or arguments.accept_misfit
    where, output = arguments.config or "config.yaml", Path(arguments.output)
    dropped = arguments.dropped or str(output.parent / f"{output.name}_dropped.csv")
    try:
        make_card.make(Stage.parse(own, where), where, arguments.output, dropped=dropped)
    except UserError as error:
        raise UserError(
            _by_option(str(error), where, set(given) | ({"method"} if not arguments.config else set()))
        ) from None


def _by_option(text: str, where: str, given: set[str]) -> str:
    """Return an error with the keys that the command line stands for called by their options."""
    for key in sorted(given):
        text = re.sub(rf"^{re.escape(where)}: (calibration\.)?(states\.{key}\b)", OPTIONS[key], text)
        text = re.sub(rf"\b(calibration\.)?states\.{key}\b", OPTIONS[key], text)
    return re.sub(
        rf"^(format \w+: )?{re.escape(where)}: (calibration\.)?source\.options\.(\w+): ", r"--option \3: ", text
    )
