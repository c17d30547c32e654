"""Files -> numbers, with the row and column of the first thing that is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from calibration.sources.importers.units import check_values
from spinloom.errors import UserError

# how a missing number is written
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}
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


def read_long(
    path: str | Path, numbers: list[str], labels: list[str], needed: list[str], integers: list[str]
) -> tuple[pd.DataFrame, Path]:
    """Read a CSV or Parquet table with named columns.

    Parameters
    ----------
    path : str or Path
        ``.parquet`` is read as Parquet, anything else as comma-separated text with a header.
    numbers, labels : list of str
        Columns that it may have.
    needed : list of str
        Columns that it must have.
    integers : list of str
        Which of the numbers must be whole.

    Returns
    -------
    tuple of DataFrame and Path
        Numbers as float64 (NaN or infinite where the file has no finite number), labels as str, and ``row`` int64,
        the line of the file (Parquet: the row from 1).

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    path = file_of(path)
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    known = [*numbers, *labels]
    header = [column for column in table.columns if column != "row"]
    for column in header:
        if column not in known:
            raise UserError(f"{path}: found unknown column {column!r}, allowed: {', '.join(known)}{hint(column)}")
    for column in needed:
        if column not in header:
            raise UserError(
                f"{path}: column {column} is missing: found {', '.join(header)}, allowed: {', '.join(known)}"
            )
    if table.empty:
        raise UserError(f"{path}: found a header without rows, allowed: one row or more")
    rows = table["row"].to_numpy()
    for column in header:
        if column in labels:
            table[column] = _labels(table[column], column, rows, path)
            continue
        table[column] = _numbers(table[column], column, rows, path)
        values = table[column].to_numpy()
        if column in integers and (bad := np.flatnonzero(np.isfinite(values) & (values != np.rint(values)))).size:
            raise UserError(
                f"{path}: row {rows[bad[0]]}, column {column}: found {values[bad[0]]:g}, allowed: an integer"
            )
    return table, path


def read_grid(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read comma-separated numbers without named columns; a first line without any number is a header.

    Returns
    -------
    tuple of ndarrays
        Values, float64[rows, columns], NaN or infinite where there is no finite number; the line of each row, int64;
        the number of values of each column, int64[columns], empty cells at its end not counted.

    Raises
    ------
    UserError
        Names the file, the row and the column (from 1).
    """
    cells = _cells(Path(path))
    if not np.isfinite(pd.to_numeric(cells.iloc[0], errors="coerce")).any():
        cells = cells.iloc[1:]
    if cells.empty:
        raise UserError(f"{path}: found a header without rows, allowed: one row or more")
    rows = cells.index.to_numpy() + 1
    columns = [_numbers(cells.iloc[:, place], str(place + 1), rows, path) for place in range(cells.shape[1])]
    empty = (cells.map(str.strip) == "").to_numpy()
    lengths = len(cells) - np.flip(empty, axis=0).cumprod(axis=0).sum(axis=0)
    return np.column_stack(columns), rows, lengths


def finite(values: np.ndarray, column: str, rows: np.ndarray, path: Path, report: Report) -> np.ndarray:
    """Return ``values`` with NaN for what is not finite, and report it; check the others' unit.

    Parameters
    ----------
    values : ndarray, float64[n]
        In the SI unit of ``column``.
    column : str
    rows : ndarray, int64[n]
        Where each value stands in the file.
    path : Path
    report : Report
        Takes in what is dropped.

    Raises
    ------
    UserError
        If a finite value is outside the column's range.
    """
    report.total += len(values)
    for index in np.flatnonzero(~np.isfinite(values)):
        report.drop(path, rows[index], f"column {column} is {values[index]:g}")
    values = np.where(np.isfinite(values), values, np.nan)
    check_values(values, column, rows, str(path))
    return values


def _cells(path: Path) -> pd.DataFrame:
    """Return the text of a CSV file's cells, its index counting lines from 0, without blank lines."""
    text = read_text(path)
    try:
        cells = pd.read_csv(
            io.StringIO(text), header=None, dtype=str, keep_default_na=False, skip_blank_lines=False, low_memory=False
        )
    except pd.errors.ParserError as error:
        reason = str(error).split("C error: ")[-1].strip()
        raise UserError(
            f"{path}: {reason}; allowed: as many columns in each row as in the first{hint(text.splitlines()[0])}"
        ) from None
    # a row may have fewer cells than the first
    cells = cells.fillna("")
    return cells[(cells != "").any(axis=1)]


def _read_csv(path: Path) -> pd.DataFrame:
    cells = _cells(path)
    header = [str(name).strip() for name in cells.iloc[0]]
    if repeated := [name for name in header if header.count(name) > 1]:
        raise UserError(f"{path}: found column {repeated[0]!r} twice, allowed: once")
    table = cells.iloc[1:].set_axis(header, axis=1)
    return table.assign(row=table.index + 1)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: found no readable Parquet ({str(error).splitlines()[0]})") from None
    return table.assign(row=np.arange(1, len(table) + 1))


def hint(text: str) -> str:
    """Return what to do about text that separates columns in another way, "" if it does not."""
    return f"; {SEPARATORS}" if set(text) & set(";\t") else ""


def _labels(column: pd.Series, name: str, rows: np.ndarray, path: str | Path) -> pd.Series:
    # a missing label is none of the file's, neither an empty one nor the text of what stands for it
    labels = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    if (missing := np.flatnonzero(labels == "")).size:
        raise UserError(f"{path}: row {rows[missing[0]]}, column {name}: found nothing, allowed: a label")
    return labels


def _numbers(column: pd.Series, name: str, rows: np.ndarray, path: str | Path) -> np.ndarray:
    if pd.api.types.is_bool_dtype(column):
        raise UserError(f"{path}: column {name}: found type {column.dtype}, allowed: numbers")
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if Path(path).suffix == ".parquet":
        texts = all(isinstance(value, str) for value in column.dropna())
        raise UserError(f"{path}: column {name}: found {'text' if texts else f'type {column.dtype}'}, allowed: numbers")
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    for index in np.flatnonzero(np.isnan(values)):
        text = column.iloc[index]
        if text.strip().lower() not in _MISSING:
            raise UserError(
                f"{path}: row {rows[index]}, column {name}: found {text.strip()!r}, allowed: a number{hint(text)}"
            )
    return values
