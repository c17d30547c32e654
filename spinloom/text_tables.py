"""Bytes of a text file -> rows of cells: encoding, separator and decimal sign are told by what makes numbers of it."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BeforeValidator

from spinloom.declare import Section, Whole, key
from spinloom.errors import UserError


def _name(value: Any) -> Any:
    return str(value) if type(value) is int else value


Text = Annotated[str, BeforeValidator(_name)]  # a name may be a number

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "blank": " ", "bar": "|"}
DECIMALS = {"point": ".", "comma": ","}

MISSING = frozenset(
    {"", "nan", "na", "n/a", "#n/a", "null", "none", "-", "--", "---", "n.a.", "n.d.", "nd", "?", "*", "missing"}
)
COMMENT = re.compile(r"^\s*(#|%|//|!)(?![\t,;|])")  # a cell may be a number sign
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")
_SAMPLE = 400  # lines that are looked at


class Spelling(Section):
    """How a text table is written. With null, the program finds out from the file."""

    separator: Literal["comma", "semicolon", "tab", "blank", "bar"] | None = key(
        "Character between columns. With null, the program finds out from the file.", None
    )
    decimal: Literal["point", "comma"] | None = key(
        "Decimal sign of numbers. With null, the program finds out from the file.", None
    )
    encoding: Text | None = key(
        "Encoding of the text, such as utf-8, utf-16 or latin-1. With null, the program finds out from the file.", None
    )
    skip_rows: Whole | None = key(
        "Number of lines to skip before the column names. With null, the program finds out from the file.", None, ge=0
    )


class Dialect(NamedTuple):
    """How a text file is written: the character between columns, and that of the decimals."""

    separator: str
    decimal: str


def plain(text: str, decimal: str) -> str:
    """Return a number's text as Python reads it."""
    text = text.strip().replace("\u2212", "-").replace("\u00a0", "")
    return text.replace(",", ".") if decimal == "," else text


def is_number(text: str, decimal: str) -> bool:
    """Return whether a cell is a number."""
    text = text.strip()
    return not (decimal == "," and "." in text) and bool(_NUMBER.fullmatch(plain(text, decimal)))


def numbers(cells: np.ndarray, decimal: str) -> np.ndarray:
    """Return the numbers in cells of text or numbers, object[n], as float64[n]; NaN for anything else."""

    def one(cell: object) -> object:
        if not isinstance(cell, str):
            return cell
        if decimal == "," and "." in cell:
            return ""
        return re.sub(r"(?<=\d)[dD](?=[-+]?\d)", "e", plain(cell, decimal))

    values = pd.Series(cells, dtype=object)
    # most cells are plain numbers; what is none at first sight is looked at by itself
    made = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64).copy()
    again = np.flatnonzero(np.isnan(made)) if decimal == "." else np.arange(len(values))
    made[again] = pd.to_numeric(pd.Series(list(map(one, values.iloc[again])), dtype=object), errors="coerce")
    return made


def decoded(content: bytes, path: Path, encoding: str | None) -> tuple[str, str]:
    """Return the text and the name of its encoding.

    Raises
    ------
    UserError
        If it is not text.
    """
    if encoding is None:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            encoding = "utf-16"
        elif content[:3] == b"\xef\xbb\xbf":
            encoding = "utf-8-sig"
        elif (zeros := content[:2000].count(0)) > 0.3 * len(content[:2000]):
            encoding = "utf-16-le" if content[1:2000:2].count(0) > zeros / 2 else "utf-16-be"
    tried = [encoding] if encoding is not None else ["utf-8", "cp1252", "latin-1"]
    for name in tried:
        try:
            whole = len(content) // 2 * 2 if name.lower().startswith("utf-16") else None  # not half a character
            text = content[:whole].decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        # control characters: no text of any encoding
        if sum(text[:4000].count(chr(code)) for code in (*range(9), *range(14, 32))) <= 0.01 * len(text[:4000]):
            return text, name
    raise UserError(f"{path}: found bytes that are not text, allowed: {', '.join(tried)} text (option encoding)")


def cut(line: str, separator: str) -> list[str]:
    """Return the cells of a line."""
    if separator == " ":
        return line.split()
    if '"' not in line:
        return [cell.strip() for cell in line.split(separator)]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def dialect_of(lines: list[str], options: Spelling) -> Dialect:
    """Return how the lines are written.

    The dialect is the one with which most lines have the same number of cells and most cells are numbers. In a tie,
    more columns win, and a decimal point over a comma.
    """
    kept = [line for line in lines if line.strip() and not COMMENT.match(line)]
    sample = kept[: _SAMPLE // 2] + kept[-_SAMPLE // 2 :] if len(kept) > _SAMPLE else kept
    separators = [SEPARATORS[options.separator]] if options.separator else list(SEPARATORS.values())
    decimals = [DECIMALS[options.decimal]] if options.decimal else [".", ","]
    best, found = (-1.0, 0, 0), Dialect(separators[0], decimals[0])
    for separator in separators:
        rows = [cut(line, separator) for line in sample]
        widths = [len(row) for row in rows]
        width = max(set(widths[len(widths) // 4 :]), key=widths[len(widths) // 4 :].count, default=1)
        alike = float(np.mean([own == width for own in widths]))
        cells = [cell for row in rows if len(row) == width for cell in row if cell.lower() not in MISSING]
        # a line of names that has fewer cells than the numbers below it speaks for another separator
        named = len(rows) < 2 or len(rows[0]) == width or any(is_number(cell, ".") for cell in rows[0])
        for decimal in decimals:
            share = float(np.mean([is_number(cell, decimal) for cell in cells])) if cells else 0.0
            score = (
                round(alike * share * (1.0 if named else 0.8), 2),
                min(width, 2),
                -len(decimals) * (decimal == ","),
            )
            if score > best:
                best, found = score, Dialect(separator, decimal)
    return found
