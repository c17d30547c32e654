"""Tables of the user's: CSV and other text with any separator, or Parquet; a row is a sample."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field, model_validator

from network.datasets.own import groups
from network.datasets.own.kept import Files, OwnData
from network.datasets.own.options import Own
from network.datasets.own.samples import Samples, size
from spinloom.declare import Flag, key
from spinloom.errors import UserError
from spinloom.explain import short
from spinloom.text_tables import COMMENT, SEPARATORS, Spelling, Text, cut, decoded, dialect_of, is_number

LOOK_B = 1 << 20  # of a text, by which it is told how it is written
MANY = 20  # so many whole numbers without a repetition, in twice as wide a range, are no chance
NAMELESS = re.compile(r"\s*|Unnamed: \d+")  # pandas names them so
Names = Annotated[tuple[Text, ...], Field(max_length=10000)]


class Options(Own, Spelling):
    """A table with a row per sample. A column is named as in the file, or by its number, from 1."""

    label: Text | None = key("Column of the labels. With null, the labels are in `labels_file`.", None)
    labels_file: str | None = key("File with one label in each line, in the order of the samples.", None, min_length=1)
    test_labels_file: str | None = key(
        "File with one label in each line, in the order of the test samples.", None, min_length=1
    )
    group: Text | None = key(
        "Column that says which samples belong together, such as those of one person. A group is never split "
        "between training, validation and test. With null, each sample is on its own.",
        None,
    )
    features: Names | None = key(
        "Columns of the features, in this order. With null, all columns that are nothing else.", None, min_length=1
    )
    ignore: Names = key("Columns that are not features, such as numbers or names of samples.", ())
    header: Flag | None = key(
        "With true, the first line holds the names of the columns. With null, the program finds out.", None
    )

    @model_validator(mode="after")
    def _belong(self) -> Self:
        """Refuse labels that are told twice or not at all."""
        if (self.label is None) == (self.labels_file is None):
            told = "neither" if self.label is None else "both"
            raise ValueError(f"label: found {told} of label and labels_file, allowed: exactly one of the two")
        if (self.test_labels_file is not None) != (self.labels_file is not None and self.test_file is not None):
            raise ValueError(
                f"test_labels_file: found {'none' if self.test_labels_file is None else 'one'}, allowed: one if there "
                "are both test_file and labels_file, otherwise none"
            )
        return self


class Table(OwnData):
    """The data set."""

    Options = Options
    name = "table"

    def read(self, files: Files) -> tuple[Samples, Samples | None]:
        """Return the samples of the files; `UserError` if a file or a column is missing, or a cell no number."""
        own = self.options
        assert isinstance(own, Options)
        train = _samples(files, own.file, own.labels_file, own)
        return train, None if own.test_file is None else _samples(files, own.test_file, own.test_labels_file, own)


def _samples(files: Files, name: str, labels: str | None, own: Options) -> Samples:
    path = Path(name).expanduser()
    table = _table(files, path, own)
    size(len(table), table.shape[1], str(path))
    given = None
    if labels is not None:
        apart = Path(labels).expanduser()
        column = _table(files, apart, own)
        if column.shape[1] != 1:
            raise UserError(f"{apart}: found {column.shape[1]} columns, allowed: one column, the labels")
        given = _cells(column.iloc[:, 0])
    columns = list(map(str, table.columns))
    left = set()
    if own.label is not None:
        left = {_place(columns, own.label, path, "label")}
        given = _cells(table.iloc[:, min(left)])
    together = None
    if own.group is not None:
        if (place := _place(columns, own.group, path, "group")) in left:
            raise UserError(f"{path}: group: found {own.group!r}, which is the label, allowed: another column")
        together = groups.texts(_cells(table.iloc[:, place]), str(path))
        left.add(place)
    left |= {_place(columns, column, path, "ignore") for column in own.ignore}
    chosen = [place for place in range(len(columns)) if place not in left]
    if own.features is not None:
        chosen = [_place(columns, column, path, "features") for column in own.features]
        if twice := left & set(chosen):
            raise UserError(
                f"{path}: features: found {columns[min(twice)]!r}, which is the label, the group or ignored, allowed: "
                "other columns"
            )
    if not chosen:
        raise UserError(f"{path}: found no column beside the label, allowed: one feature or more")
    assert given is not None
    features = table.iloc[:, chosen]
    _numbers(features, path, chosen, asked=own.features is not None)
    plain = all(dtype == np.uint8 for dtype in features.dtypes)
    values = features.to_numpy() if plain else features.to_numpy(np.float64, na_value=np.nan)
    return Samples(path.name, values, given, list(map(str, features.columns)), together)


def _cells(column: pd.Series) -> np.ndarray:
    """Return a column of labels, None where there is none."""
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    return (column if plain else column.astype(object).where(column.notna(), None)).to_numpy()


def _place(columns: list[str], name: str, path: Path, key: str) -> int:
    """Return the place of a column that is named, or told by its number from 1."""
    if columns.count(name) == 1:
        return columns.index(name)
    if name not in columns and name.isdecimal() and 1 <= int(name) <= len(columns):
        return int(name) - 1
    raise UserError(
        f"{path}: {key}: found {name!r}{' in several columns' if name in columns else ''}, allowed: "
        f"{short(', '.join(columns))}, or 1..{len(columns)}"
    )


def _numbers(features: pd.DataFrame, path: Path, places: list[int], asked: bool) -> None:
    """Refuse columns that hold no numbers; unless asked for, also those that count the rows or have no name."""
    for place, (name, number) in enumerate(zip(features.columns, places, strict=True)):
        column = features.iloc[:, place]
        if not asked and NAMELESS.fullmatch(str(name)):
            raise UserError(
                f"{path}: column {number + 1}: found no name, as if it numbered the samples, allowed: a column with a "
                f"name; put {number + 1} into ignore, or name all features in features"
            )
        if column.dtype.kind not in "biuf":
            row, odd = _odd(column)
            cell = column.iloc[row]
            raise UserError(
                f"{path}: column {name!r}, sample {row + 1}: found "
                f"{short(str(cell))}{'' if odd else ' of type ' + type(cell).__name__}, allowed: numbers; if the "
                "column is not a feature, name it in ignore"
            )
        if not asked and _counts(column.to_numpy(np.float64, na_value=np.nan)):
            raise UserError(
                f"{path}: column {name!r}: found a column that only numbers the samples, allowed: features; name it in "
                "ignore, or name all features in features"
            )


def _odd(column: pd.Series) -> tuple[int, bool]:
    """Return the row of the first cell that is no number, and whether there is one."""

    def strange(cell: object, decimal: str) -> bool:
        return not is_number(cell, decimal) if isinstance(cell, str) else bool(pd.isna(np.asarray(cell, object)).all())

    rows = [np.flatnonzero([strange(cell, decimal) for cell in column]) for decimal in ".,"]
    fewest = min(rows, key=len)
    return (int(fewest[0]), True) if len(fewest) else (0, False)


def _counts(values: np.ndarray) -> bool:
    """Return whether values are the numbers of the samples, in order or, of ``MANY``, in any and with gaps."""
    if len(values) < MANY:
        return len(values) > 2 and values[0] in (0, 1) and bool((np.diff(values) == 1).all())
    whole = bool((values == np.rint(values)).all()) and len(np.unique(values)) == len(values)
    return whole and bool(np.ptp(values) < 2 * len(values))


def _table(files: Files, path: Path, own: Options) -> pd.DataFrame:
    raw = files.read(path)
    if path.suffix.lower() == ".parquet":
        try:
            return pd.read_parquet(io.BytesIO(raw))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{path}: found no readable Parquet ({str(error).splitlines()[0]})") from None
    return _text(raw, path, own)


def _text(raw: bytes, path: Path, own: Options) -> pd.DataFrame:
    """Return the table of a text, whose way of writing is told by its beginning."""
    begin, encoding = decoded(raw[:LOOK_B].rpartition(b"\n")[0] or raw, path, own.encoding)
    skipped = own.skip_rows or 0
    lines = begin.splitlines()[skipped:]
    comments = next((place for place, line in enumerate(lines) if not COMMENT.match(line)), 0)
    kept = [line for line in lines[comments:] if line.strip()]
    if not kept:
        raise UserError(f"{path}: found an empty file, allowed: a table")
    written = dialect_of(kept, own)
    asked = {
        name for name in (own.label, own.group, *(own.features or ()), *own.ignore) if name and not name.isdecimal()
    }
    header = own.header
    if header is None:
        header = bool(asked & set(cut(kept[0], written.separator))) or _named(kept, written.separator, written.decimal)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows with more cells than columns
            table = pd.read_csv(
                io.BytesIO(raw),
                sep=r"\s+" if written.separator == SEPARATORS["blank"] else written.separator,
                decimal=written.decimal, encoding=encoding, header=0 if header else None, skiprows=skipped + comments,
                skipinitialspace=True, skip_blank_lines=True, low_memory=False,
                names=None if header else list(range(1, 1 + len(cut(kept[0], written.separator)))), index_col=False,
            )  # fmt: skip
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise UserError(f"{path}: found no readable table ({str(error).strip().splitlines()[0]})") from None
    if header and len(names := cut(kept[0], written.separator)) == table.shape[1]:
        table.columns = names  # as they are written: pandas renames what stands twice
    return table


def _named(lines: list[str], separator: str, decimal: str) -> bool:
    """Return whether the first line has words where those below have numbers."""
    rows = [cut(line, separator) for line in lines[:50]]
    for place, cell in enumerate(rows[0]):
        below = [row[place] for row in rows[1:] if place < len(row)]
        if below and not is_number(cell, decimal) and sum(is_number(own, decimal) for own in below) > len(below) / 2:
            return True
    return False


DATASET = Table
