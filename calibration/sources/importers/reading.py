"""What every importer needs of files: where they are, and a report of what was left out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spinloom.errors import UserError

REPORT_COLUMNS = ("file", "row", "reason")
SEPARATORS = "separate columns with commas and write numbers with a decimal point"


class Report:
    """Values left out, and how many there were in all.

    Attributes
    ----------
    total : int
        Values or rows read.
    """

    def __init__(self):
        self.total = 0
        self._dropped: list[tuple[str, int, str]] = []

    def drop(self, path: Path, row: int, reason: str) -> None:
        """Note that a value or row was left out."""
        self._dropped.append((path.name, int(row), reason))

    def check(self, most: float, where: str | Path) -> None:
        """Check the share left out.

        Raises
        ------
        UserError
            Names the first value left out if there are more than the share ``most``.
        """
        dropped = len(self._dropped)
        if dropped > most * self.total:
            file, row, reason = min(self._dropped)
            raise UserError(
                f"{where}: {file}, row {row}: {reason}; found {dropped} of {self.total} that cannot be used, "
                f"allowed: a share of {most:g} (option max_dropped_fraction)"
            )

    def table(self) -> pd.DataFrame:
        """Return the columns file, row, reason, sorted."""
        table = pd.DataFrame(self._dropped, columns=list(REPORT_COLUMNS))
        return table.astype({"row": "int64"}).sort_values(list(REPORT_COLUMNS), ignore_index=True)


def file_of(path: str | Path) -> Path:
    """Return ``path`` if it is a file.

    Raises
    ------
    UserError
        If it is absent or a folder.
    """
    return _existing(Path(path), "a file")


def folder_of(path: str | Path) -> Path:
    """Return ``path`` if it is a folder.

    Raises
    ------
    UserError
        If it is absent or a file.
    """
    return _existing(Path(path), "a folder")


def _existing(path: Path, wanted: str) -> Path:
    found = "a file" if path.is_file() else "a folder" if path.is_dir() else "nothing"
    if found != wanted:
        raise UserError(f"{path}: found {found}, allowed: {wanted}")
    return path


def read_text(path: str | Path) -> str:
    """Return the content of a UTF-8 text file that is not empty.

    Raises
    ------
    UserError
        If it is no file, cannot be read, is empty or is not text.
    """
    path = file_of(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UserError(f"{path}: found bytes that are not text, allowed: UTF-8 text")
    if not text.strip():
        raise UserError(f"{path}: found an empty file, allowed: rows of numbers")
    return text


def hint(text: str) -> str:
    """Return what to do about text that separates columns in another way, "" if it does not."""
    return f"; {SEPARATORS}" if set(text) & set(";\t") else ""
