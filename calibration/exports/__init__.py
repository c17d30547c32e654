"""Kernel card -> files of another program.

Each module of this package is a format, as is each entry point of the group ``spinloom.exports``; the first line of its
docstring says what it is. It defines ``Options``, the section of its options, and ``make(card, options) -> Exported``.
``docs/exports.md`` describes the formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibration.card import KernelCard
from calibration.exports.exported import LOSSES, Exported, Loss
from spinloom.errors import UserError
from spinloom.files import atomic
from spinloom.registry import Registry

__all__ = ["REGISTRY", "Exported", "Loss", "export", "write"]

REGISTRY = Registry(
    "--format",
    __name__,
    words=("Options", "make"),
    shared=("arrays", "circuits", "exported", "presets", "steps", "trains"),
)


def export(card: KernelCard, format: str, options: dict[str, Any] | None = None) -> Exported:
    """Return the files of a card in a format, and what they do not say of it.

    Parameters
    ----------
    card : KernelCard
    format : str
        One of `REGISTRY`.
    options : dict or None
        Of the format's ``Options``; values may be text, as a command line gives them.

    Raises
    ------
    UserError
        If the format or an option is unknown or wrong, or the format cannot hold such a device.
    """
    module = REGISTRY.get(format)
    return module.make(card, module.Options.parse(options or {}, f"export as {format}", "options"))


def write(exported: Exported, folder: Path) -> None:
    """Write the files, and `LOSSES`, the table of what they do not say, into a folder; other files in it stay.

    Raises
    ------
    UserError
        If one of them is there with another content; then nothing is written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: found a file, allowed: a folder for the export")
    if LOSSES in exported.files:
        raise UserError(f"export: found a file named {LOSSES}, which Spinloom writes itself, allowed: any other name")
    # in the same spelling as the files: an older export's losses are not lost either
    files = {**exported.files, LOSSES: exported.table().to_csv(index=False, lineterminator="\n").encode()}
    for name, content in files.items():
        path = folder / name
        if path.exists() and (path.is_dir() or path.read_bytes() != content):
            raise UserError(
                f"{path}: found a file of this name with other content, allowed: a folder without it (--output)"
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with atomic(folder / name) as temporary:
            temporary.write_bytes(content)
