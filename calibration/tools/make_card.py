"""Make the card that a command asks for, by a config section or by its name."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from calibration.card import KernelCard
from calibration.config import Source, Stage
from calibration.sources import build, library
from spinloom.config import SHIPPED, lay_over, stack
from spinloom.errors import UserError
from spinloom.files import read_json, write_csv
from spinloom.progress import Progress

SECTION = "JSON: the calibration section of a study's config (results/STUDY/config/calibration.json)"
DROPPED = ("file", "row", "reason")


def section(path: str | None) -> Stage:
    """Return a checked calibration section: of a JSON file, config.yaml's, or the default study's."""
    if path is not None:
        return Stage.parse(read_json(path), path)
    own = Path("config.yaml")
    whole = lay_over(*stack(own if own.exists() else SHIPPED / own, {}))
    return Stage.parse({"seed": whole.get("seed"), **whole.get("calibration", {})}, "config.yaml")


def a_path(text: str) -> str:
    """Return the value of an option that is a path; `argparse.ArgumentTypeError` if it is blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("found nothing, allowed: a path")
    return text


def pairs(texts: list[str]) -> dict[str, str]:
    """Return the options that were given as ``KEY=VALUE``.

    Raises
    ------
    UserError
        If one has no equals sign.
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--option: found '{text}', allowed: KEY=VALUE")
        options[key] = value
    return options


def make(
    own: Stage,
    where: str,
    output: str,
    device_sims: str | None = None,
    dropped: str | None = None,
    log: str | None = None,
    barriers: str | None = None,
) -> None:
    """Make the card of the section ``own``, which is in the file ``where``, and say what became of its writes.

    Parameters
    ----------
    own : Stage
    where : str
    output : str
        Directory of the card.
    device_sims : str, optional
        Folder of the device stage's tables.
    dropped : str, optional
        CSV file for what an import left out and why.
    log : str, optional
        File for progress and errors.
    barriers : str, optional
        Table of the devices' barriers at rest.

    Raises
    ------
    UserError
        If an input is unfit.
    """
    if dropped is not None and Path(dropped).is_dir():
        raise UserError(f"--dropped: found {dropped}, a folder, allowed: a file")
    with Progress("calibration", 1, "cards", rate_unit="cards/s", log=log) as progress:
        card, imported = build.make(own, where or "calibration", device_sims, barriers)
        card.write(output)
        if dropped is not None:
            empty = pd.DataFrame(columns=list(DROPPED))
            write_csv(empty if imported is None else imported.report, dropped)
        told = [f"{card.meta.events} writes used, {card.meta.lost_events} lost"]
        if imported is not None:
            told.append(f"{len(imported.report)} of {imported.rows} values or rows of the file left out")
            told += [f"note: {note}" for note in imported.notes]
        if card.meta.measurement is not None:
            told += [f"note: {note}" for note in card.meta.measurement.notes]
        told += [f"warning: {warning}" for warning in card.meta.warnings]
        for line in told:
            progress.say(line)
        progress.advance(1, f"card {card.hash} in {output}")
    if progress.log is None and not progress.terminal:
        # what an import left out must be told, wherever the output goes
        print("\n".join(told))


def card_of(name: str) -> KernelCard:
    """Return the card in a folder, or the library's card of that name.

    Raises
    ------
    UserError
        If it is neither.
    """
    if not Path(name).exists() and name in library.names():
        return build.make(library_section(name), "config.yaml", None)[0]
    return KernelCard.read(name)


def library_section(name: str) -> Stage:
    """Return config.yaml's calibration section with a card of the library as its source."""
    # the seed of `library.card`: a name is one card, whatever the study
    return section(None).model_copy(update={"seed": 0, "source": Source(kind="library", name=name)})
