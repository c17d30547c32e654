"""What the user told Snakemake, read again: checked as ``python -m spinloom check`` does, nothing dropped in silence.

Snakemake reads config files with a loader of its own, lets a second ``--configfile`` replace the first, and goes on
without a profile that is not there.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spinloom.config import Layer, layer, value
from spinloom.errors import UserError
from spinloom.stages import STAGES

PROFILES = Path("workflow/profiles")
TARGETS = (*STAGES, "report")  # the rules that stop a study after a stage


def read(settings: Any) -> Layer:
    """Return what the files of ``--configfile`` and ``--config`` lay over config.yaml, read with our own loader.

    Parameters
    ----------
    settings : snakemake.settings.types.ConfigSettings
        Of the run, or of one of its jobs on another machine.

    Raises
    ------
    UserError
        If a file cannot be read, or as of `config_values`.
    """
    here = Path.cwd()
    # Snakemake makes the names absolute; errors say them as the user does
    names = [path.relative_to(here) if path.is_relative_to(here) else path for path in settings.configfiles]
    return layer(names, config_values(settings.config_args or ()))


def config_values(entries: Iterable[str]) -> dict[str, Any]:
    """Return what stands behind ``--config``.

    Raises
    ------
    UserError
        If an entry is not of the form KEY=VALUE with a key of the top level, a key stands there again, or a value is
        not what a config file may hold.
    """
    found: dict[str, Any] = {}
    for entry in entries:
        key, equals, text = entry.partition("=")
        if not equals or not re.fullmatch(r"[a-zA-Z_]\w+", key):
            outer, dot, inner = key.partition(".")
            hint = f"'{outer}={{{inner}: {text}}}'" if dot and equals else "'network={seeds: 1}'"
            raise UserError(
                f"--config: found {entry}, allowed: KEY=VALUE with a key of the top level, as {hint}; or a config file"
            )
        if key in found:
            raise UserError(f"--config: found key '{key}' a second time, allowed: each key once")
        found[key] = value(text, f"--config {key}")
    return found


def check_command(words: Sequence[str], folders: Iterable[str | Path] = ("",)) -> None:
    """Check a command line of Snakemake for what it would pass over in silence.

    Parameters
    ----------
    words : sequence of str
        Behind ``snakemake``.
    folders : iterable of path
        Where a profile may be: the folder of the Snakefile.

    Raises
    ------
    UserError
        Naming the option.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--configfile", "--configfiles", nargs="*", action="append", default=[])
    parser.add_argument("--config", "-C", nargs="*", action="append", default=[])
    parser.add_argument("--workflow-profile")
    parser.add_argument("--no-hooks", action="store_true")
    try:
        told, _ = parser.parse_known_args(words)
    except argparse.ArgumentError:  # Snakemake's own parser says what is wrong
        return
    for option, groups in (("--configfile", told.configfile), ("--config", told.config)):
        if len(groups) > 1:
            both = [word for group in groups for word in group]
            raise UserError(
                f"{option}: found {len(groups)} times, where Snakemake reads only the last, allowed: once, as {option} "
                f"{' '.join(both)}"
            )
    for word in (word for group in told.configfile for word in group):
        if not Path(word).is_file():
            raise UserError(
                f"--configfile: found {word}, which is not a file, allowed: config files; write targets before "
                "--configfile"
            )
    for group in told.config:
        config_values(group)
    profile = told.workflow_profile
    places = [Path(folder, part, profile or "") for folder in folders for part in ("", "profiles")]
    if profile not in (None, "", "none") and not any(map(os.path.exists, places)):
        known = ", ".join(sorted(map(str, PROFILES.glob("*"))))
        raise UserError(f"--workflow-profile: found {profile}, which does not exist, allowed: {known}")
    if told.no_hooks:
        raise UserError(
            "--no-hooks: found this option, allowed: a run without it, because a hook refuses a second run in the "
            "same folder"
        )


def hints(targets: Iterable[str]) -> Iterator[str]:
    """Yield a line for each target that is one letter off a stage, or a config's name without its folder and ending.

    Only for a run that failed: a Snakefile of the user's may have rules of these names.
    """
    for word in targets:
        configs = [path for path in (Path(f"{word}.yaml"), Path("configs", f"{word}.yaml")) if path.is_file()]
        meant = [str(path) for path in configs] or get_close_matches(word, TARGETS, 1, 0.8)
        if word not in TARGETS and meant:
            yield f"note: {word} was taken for a target; did you mean {meant[0]}?"
