"""The command lines of the stages: one module per command, and one line on stderr for what the user can mend.

``python -m PACKAGE COMMAND`` runs ``PACKAGE/commands/COMMAND.py``, whose ``arguments(parser)`` declares its options and
whose ``run(arguments)`` does the work. Only the module of the chosen command is imported, so a command costs, and
depends on, what it uses itself (`spinloom.sources`).
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from spinloom import compiled, memory_limit, run_lock
from spinloom.declare import Section, allowed, default, schema
from spinloom.errors import UserError, refused
from spinloom.explain import LARGEST

CONSOLE = "spinloom"  # the installed command


def run_command(package: str, arguments: Sequence[str]) -> None:
    """Run one command of a stage.

    Parameters
    ----------
    package : str
        Of the stage; its docstring describes it.
    arguments : sequence of str
        The command line behind ``python -m PACKAGE``.

    Raises
    ------
    UserError
        As of the command.
    """
    compiled.set_up()
    parser, _ = parser_of(package, arguments[:1])
    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except UserError as error:
        if log := getattr(parsed, "log", None):  # where a search reads why a point failed
            with suppress(OSError), open(log, "a", encoding="utf-8") as stream:
                stream.write(f"error: {error}\n")
        raise


def parser_of(
    package: str, chosen: Sequence[str]
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of a stage, and those of its commands by name; the ``chosen`` have their options."""
    parser = argparse.ArgumentParser(prog=called(package), description=_first_line(import_module(package).__doc__))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in commands_of(package).items():
        own = commands.add_parser(name, help=text, description=text)
        if name in chosen:
            command = import_module(f"{package}.commands.{name}")
            command.arguments(own)
            own.set_defaults(run=command.run)
    return parser, commands.choices


def commands_of(package: str) -> dict[str, str]:
    """Return what each command of a stage does, in a line, by its name."""
    folder = Path(*import_module(package).__path__, "commands")
    # read, not imported: the libraries of all commands take seconds
    return {
        path.stem: _first_line(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))))
        for path in sorted(folder.glob("[!_]*.py"))
    }


def called(package: str) -> str:
    """Return how the user calls a package's command line: by the installed ``spinloom``, or by Python."""
    own = "" if package == CONSOLE else f" {package}"
    return f"{CONSOLE}{own}" if Path(sys.argv[0]).name == CONSOLE else f"python -m {package}"


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


def add_key(parser: argparse.ArgumentParser, flag: str, section: type[Section], name: str, **more: Any) -> None:
    """Declare an option that stands for a key of a config: its help is the key's, and the range of a whole number.

    Parameters
    ----------
    parser : ArgumentParser
    flag : str
        As ``--count``.
    section : type of Section
        Declares the key.
    name : str
        Of the key.
    **more
        As of ``add_argument``; a ``default`` of None has no words in the help. Without a type the value stays a text,
        to be checked with its section.
    """
    rule = schema(section)["properties"][name]
    if "default" in more:
        rule = {key: value for key, value in rule.items() if key != "default"}
        rule |= {"default": more["default"]} if more["default"] is not None else {}
    if rule.get("type") == "integer":
        more["type"] = whole_number(flag, rule["minimum"], rule["maximum"])
    parser.add_argument(flag, help=in_words(rule).replace("%", "%%"), **more)


def in_words(rule: dict[str, Any]) -> str:
    """Return meaning, type and default of a key, told by its JSON Schema, in one line."""
    told = [allowed(rule).replace("`", ""), f"default {default(rule).strip('`')}" if "default" in rule else ""]
    return f"{rule['description']} ({'; '.join(filter(None, told))})"


def whole_number(option: str, least: int, most: int = LARGEST) -> Callable[[str], int]:
    """Return an option's type: whole numbers from ``least`` to ``most``, by default the largest that JSON holds.

    Raises
    ------
    UserError
        Raised by the type for any other text.
    """

    def whole_number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise UserError(f"{option}: found {text!r}, allowed: whole numbers from {least} to {most}")
        return int(text)

    return whole_number


def run_cli(main: Callable[[], None]) -> None:
    """Call ``main``; print a `UserError`, or what the system refuses, as one line on stderr and exit with status 2."""

    def joined() -> None:
        run_lock.join()  # in the process that works: a fork has no lock
        main()

    try:
        memory_limit.watched(joined)
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        raise SystemExit(1) from None
    except (UserError, OSError) as error:
        print(f"error: {refused(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        raise SystemExit(2) from None
    except RuntimeError as error:
        if not str(error).startswith("Unable to initialize backend"):  # of JAX, which has no class for it
            raise
        found = os.environ.get("JAX_PLATFORMS", "nothing")
        reason = UserError(str(error).partition(" (set JAX_PLATFORMS")[0])
        print(f"error: JAX_PLATFORMS: found {found}, allowed: cpu, or cuda with a GPU ({reason})", file=sys.stderr)
        raise SystemExit(2) from None
