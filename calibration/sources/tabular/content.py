"""A file of any kind -> its cells, column by column, with names and units where it has them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from calibration.sources.tabular import header
from calibration.sources.tabular.options import Written
from spinloom.errors import UserError
from spinloom.text_tables import COMMENT, cut, decoded, dialect_of, is_number

BLOCKS = 20  # in which some of a file's rows are taken
NAMED = {",": "comma", ";": "semicolon", "\t": "tab", " ": "blank", "|": "bar"}


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    path : Path
    columns : list of ndarray
        object or float64[rows] each: text or numbers; None or NaN where there is nothing.
    names, units : list of str
        Of each column, "" where the file has none.
    row : ndarray, int64[rows]
        Line of the text file, or row of the sheet or table, from 1.
    decimal : str
        ``.`` or ``,``.
    preamble : list of str
        Lines above the names.
    spoiled : dict of int to str
        Row -> why none of its cells can be used.
    told : dict of str
        How the file is written: ``kind`` and, of a text, ``encoding``, ``separator``, ``decimal``.
    notes : list of str
        What was chosen.
    """

    path: Path
    columns: list[np.ndarray]
    names: list[str]
    units: list[str]
    row: np.ndarray
    decimal: str = "."
    preamble: list[str] = field(default_factory=list)
    spoiled: dict[int, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_content(path: Path, options: Written, most: int | None = None) -> Content:
    """Read a file; its kind is that of its ending.

    Parameters
    ----------
    path : Path
    options : Written
    most : int, optional
        For a look: about so many rows, in blocks from the whole file (of a workbook the first ones); None: all rows.

    Raises
    ------
    UserError
        If it is absent, empty, damaged or of a kind that is not read.
    """
    if not path.is_file():
        raise UserError(f"{path}: found {'a folder' if path.is_dir() else 'nothing'}, allowed: a file")
    written = tuple((name, getattr(options, name)) for name in Written.model_fields)
    seen = path.stat()
    # a format is recognised, checked and read: three times the same file
    return _read(path, written, most, (seen.st_mtime_ns, seen.st_size))


@lru_cache(maxsize=2)
def _read(path: Path, written: tuple[tuple[str, Any], ...], most: int | None, version: tuple[int, int]) -> Content:
    options = Written(**dict(written))
    ending = path.suffix.lower()
    if ending in (".xls", ".ods", ".h5", ".hdf5", ".opj", ".opju"):
        raise UserError(f"{path}: found {ending}, allowed: {', '.join(_KINDS)} or text; save it as one of these")
    content = _KINDS.get(ending, _text)(path, options, most)
    if not len(content.row):
        raise UserError(f"{path}: found a header without rows, allowed: one row or more")
    return content


def _places(count: int, most: int | None) -> np.ndarray:
    """Return the places, int64[about most], of blocks spread over ``count`` rows; all of them if they are no more."""
    if most is None or count <= most:
        return np.arange(count)
    size = most // BLOCKS
    return np.unique(np.linspace(0, count - size, BLOCKS).astype(np.int64)[:, None] + np.arange(size))


def _text(path: Path, options: Written, most: int | None) -> Content:
    try:
        text, encoding = decoded(path.read_bytes(), path, options.encoding)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    lines = text.lstrip("\ufeff").splitlines()
    if not text.strip():
        raise UserError(f"{path}: found an empty file, allowed: rows of numbers")
    skipped = options.skip_rows or 0
    seen = (skipped + _places(len(lines) - skipped, most)).tolist()
    dialect = dialect_of([lines[number] for number in seen], options)
    kept = [number for number in seen if lines[number].strip(" \t,;|")]
    comments = [number for number in kept if COMMENT.match(lines[number])]
    kept = [number for number in kept if number not in set(comments)]
    first = next(
        (n for n in kept if any(is_number(c, dialect.decimal) for c in cut(lines[n], dialect.separator))), None
    )
    if first is not None and comments and (above := [n for n in comments if n < first]):
        named = lines[above[-1]].strip().lstrip("#%!/ ")
        width = len(cut(lines[first], dialect.separator))
        # names that stand in a comment, where nothing else can be a line of names
        if len(cut(named, dialect.separator)) == width and not [n for n in kept if above[-1] < n < first]:
            lines[above[-1]] = named
            kept = sorted([*kept, above[-1]])
            comments.remove(above[-1])
    grid = [cut(lines[number], dialect.separator) for number in kept]
    told = {
        "kind": "text", "encoding": encoding, "separator": NAMED[dialect.separator],
        "decimal": "comma" if dialect.decimal == "," else "point",
    }  # fmt: skip
    made = _of_grid(path, grid, np.array(kept, dtype=np.int64) + 1, dialect.decimal, told)
    made.preamble.extend(lines[number].strip() for number in comments if not len(made.row) or number < made.row[0])
    made.preamble.extend(line.strip() for line in lines[:skipped] if line.strip())
    return made


def _of_grid(path: Path, grid: list[list[Any]], row: np.ndarray, decimal: str, told: dict[str, str]) -> Content:
    found = header.found(grid, decimal)
    body = grid[found.first :]
    width = max(len(found.names), 1)
    if not any(found.names):
        width = max(map(len, body), default=1)
        found = found._replace(names=[""] * width, units=[""] * width)
    spoiled = {}
    for number, cells in zip(row[found.first :], body):
        if any(cell not in (None, "") for cell in cells[width:]):
            spoiled[int(number)] = f"has {len(cells)} cells, the header {width}"
    whole = [[*cells[:width], *([None] * (width - len(cells)))] for cells in body]
    table = np.empty((len(whole), width), dtype=object)
    if whole:
        table[:] = whole
    return Content(
        path, [table[:, place] for place in range(width)], found.names, found.units, row[found.first :], decimal,
        found.preamble, spoiled, told,
    )  # fmt: skip


def _excel(path: Path, options: Written, most: int | None) -> Content:
    try:
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, engine="openpyxl", nrows=most)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: found no readable workbook ({str(error).splitlines()[0]})") from None
    name, notes = _chosen(
        path, {str(n): int(s.notna().to_numpy().sum()) for n, s in sheets.items()}, options.sheet, "sheet"
    )
    sheet = next(sheet for title, sheet in sheets.items() if str(title) == name)
    sheet = sheet[sheet.index >= (options.skip_rows or 0)]
    sheet = sheet[sheet.notna().any(axis=1)].dropna(axis=1, how="all")
    grid = [[None if pd.isna(cell) else cell for cell in cells] for cells in sheet.to_numpy(dtype=object)]
    texts = [cell for cells in grid for cell in cells if isinstance(cell, str) and "," in cell]
    decimal = "," if texts and all(is_number(cell, ",") for cell in texts[-20:]) else "."
    made = _of_grid(path, grid, sheet.index.to_numpy(dtype=np.int64) + 1, decimal, {"kind": "XLSX", "sheet": name})
    made.notes.extend(notes)
    return made


def _chosen(path: Path, sizes: dict[str, int], wanted: str | None, what: str) -> tuple[str, list[str]]:
    """Return the part of a file that is meant: the one wanted, or the largest, with a note if there are several."""
    if not sizes or (wanted is not None and wanted not in sizes):
        raise UserError(f"{path}: option sheet: found {wanted}, allowed: {', '.join(sizes) or 'a file with a table'}")
    if wanted is not None:
        return wanted, []
    name = max(sizes, key=lambda one: sizes[one])
    others = [one for one in sizes if one != name and sizes[one]]
    return name, [f"{what} {name!r} is read, not {', '.join(others)} (option sheet)"] if others else []


def _parquet(path: Path, options: Written, most: int | None) -> Content:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: found no readable Parquet ({str(error).splitlines()[0]})") from None
    if not isinstance(table.index, pd.RangeIndex) and table.index.name:
        table = table.reset_index()
    return _of_arrays(path, {str(name): table[name].to_numpy() for name in table}, "Parquet", most)


def _of_arrays(path: Path, arrays: dict[str, np.ndarray], kind: str, most: int | None) -> Content:
    columns = []
    places = _places(len(next(iter(arrays.values()), ())), most)
    for name, values in arrays.items():
        values = values[places]
        if values.dtype == bool:
            raise UserError(f"{path}: column {name}: found type bool, allowed: numbers or text")
        if values.dtype.kind in "iuf":
            values = values.astype(np.float64)
        elif values.dtype.kind == "M":
            values = (values - values.min()) / np.timedelta64(1, "s")
        else:
            values = values.astype(object)
            if odd := [value for value in values if not isinstance(value, (str, int, float, type(None)))]:
                raise UserError(f"{path}: column {name}: found type {type(odd[0]).__name__}, allowed: numbers or text")
        columns.append(values)
    return Content(path, columns, list(arrays), [""] * len(arrays), places + 1, told={"kind": kind})


def _npz(path: Path, options: Written, most: int | None) -> Content:
    try:
        loaded = np.load(path, allow_pickle=False)
        found = {"array": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: found no readable NPZ ({str(error).splitlines()[0]})") from None
    return _of_variables(path, found, options, "NPZ", most)


def _mat(path: Path, options: Written, most: int | None) -> Content:
    from scipy.io import matlab  # imported here: planning a study reads no file of this kind

    try:
        loaded = matlab.loadmat(path, simplify_cells=True)
    except NotImplementedError:
        raise UserError(f"{path}: found a MAT file of version 7.3, allowed: one saved with -v7, or CSV") from None
    except (OSError, ValueError, TypeError, matlab.MatReadError) as error:
        raise UserError(f"{path}: found no readable MAT file ({str(error).splitlines()[0]})") from None
    found = {name: value for name, value in loaded.items() if name[:2] != "__"}
    return _of_variables(path, found, options, "MAT", most)


def _of_variables(path: Path, variables: dict[str, Any], options: Written, kind: str, most: int | None) -> Content:
    """Return the variables of the commonest length as columns; a matrix is a column for each of its own."""
    flat = {name: np.asarray(value) for name, value in _flat(variables)}
    told = [f"{name} = {value.item()}" for name, value in flat.items() if value.size == 1]
    if options.sheet is not None:
        _, _ = _chosen(path, {name: value.size for name, value in flat.items()}, options.sheet, "variable")
        flat = {options.sheet: flat[options.sheet]}
    arrays: dict[str, np.ndarray] = {}
    for name, value in flat.items():
        value = value if value.dtype.names or value.ndim < 2 else np.squeeze(value)
        if value.dtype.names:
            arrays |= {field: np.ravel(value[field]) for field in value.dtype.names}
        elif value.ndim == 1 and value.size > 1:
            arrays[name] = value
        elif value.ndim == 2:
            value = value if value.shape[0] >= value.shape[1] else value.T
            own = {f"{name} {place + 1}": value[:, place] for place in range(value.shape[1])}
            arrays |= own
    lengths = [len(value) for value in arrays.values() if value.dtype.kind in "iuf"]
    if not lengths:
        raise UserError(f"{path}: found no variable with numbers ({', '.join(flat)}), allowed: one or more")
    common = max(set(lengths), key=lambda length: (lengths.count(length), length))
    used = {name: value for name, value in arrays.items() if len(value) == common}
    made = _of_arrays(path, used, kind, most)
    made.preamble.extend(told)
    if left := sorted(arrays.keys() - used.keys()):
        made.notes.append(f"variables of another length are not used: {', '.join(left)} (option sheet)")
    return made


def _flat(variables: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs = []
    for name, value in variables.items():
        pairs += _flat(value, f"{above}{name}.") if isinstance(value, dict) else [(f"{above}{name}", value)]
    return pairs


_KINDS: dict[str, Callable[[Path, Written, int | None], Content]] = {
    ".xlsx": _excel, ".xlsm": _excel, ".parquet": _parquet, ".npz": _npz, ".npy": _npz, ".mat": _mat,
}  # fmt: skip
