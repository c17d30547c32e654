"""Files that are either whole or absent, with bytes that depend on their content alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spinloom.errors import UserError

TEMPORARY = ".tmp."  # begins the name of what is not finished yet; a run removes what a killed one left
SUMS = "SHA256SUMS"
SEAL = ".sha256"  # ends the name of the seal of one table
# a text that a spreadsheet would compute, or one that is written as such a text is
FORMULA, WRITTEN_FORMULA = re.compile(r"'*[=+\-@\t\r]"), re.compile(r"'+[=+\-@\t\r]")


@contextmanager
def named(path: str | Path, *other: str) -> Iterator[None]:
    """Let what the system refuses, as a full disk, name ``path`` where it names no file or one of ``other``."""
    try:
        yield
    except OSError as error:
        if error.filename in (None, *other):
            error.filename = str(path)
        raise


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it over ``path`` only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the suffix stays, because matplotlib and numpy choose their format by it
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        with named(path, name):
            yield temporary
        # mkstemp makes files private; results are to be read by the group like any other file
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def canonical_json(value: Any) -> str:
    """Return the one spelling of ``value`` used for hashes: sorted keys, no blanks, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of ``text`` (UTF-8) in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def sealed(directory: str | Path, names: Sequence[str], sums: str = SUMS) -> Iterator[None]:
    """Write ``sums`` of files that the block writes into ``directory``, in the format of ``sha256sum --check``.

    `read_json` and `read_table` refuse a file that is no longer what this says of it.
    """
    path = Path(directory) / sums
    path.unlink(missing_ok=True)
    yield
    write_text("".join(f"{sha256_file(Path(directory) / name)}  {name}\n" for name in names), path)


def write_sealed(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as `write_csv` does and a seal of its own, ``PATH.sha256``: for one that a job makes alone."""
    path = Path(path)
    with sealed(path.parent, [path.name], f"{path.name}{SEAL}"):
        write_csv(table, path)


def _check_seal(path: Path) -> None:
    for sums in (SUMS, f"{path.name}{SEAL}"):
        try:
            lines = (path.parent / sums).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        known = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        if path.name in known and path.exists() and known[path.name] != sha256_file(path):
            raise UserError(
                f"{path}: found that it was edited after it was made ({sums}), allowed: the file as it was made; "
                "delete it and run again"
            )


def write_text(text: str, path: str | Path) -> None:
    """Write ``text`` (UTF-8) atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(value: Any, path: str | Path) -> None:
    """Write ``value`` as indented JSON with sorted keys, atomically."""
    write_text(json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n", path)


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV without index, floats in their shortest exact form, atomically.

    A text that begins with = + - or @ and is no number gets an apostrophe before it: a spreadsheet then shows it and
    computes nothing. `read_table` takes it away.
    """
    with atomic(path) as temporary:
        _respelt(table, _guarded).to_csv(temporary, index=False, lineterminator="\n")


def _respelt(table: pd.DataFrame, spell: Callable[[str], str]) -> pd.DataFrame:
    """Return the table with another spelling of its texts; itself if none has another."""
    changed = {}
    for name, column in table.select_dtypes(["object", "string", "category"]).items():
        own = {value: spell(value) for value in column.dropna().unique() if isinstance(value, str)}
        if any(value != text for value, text in own.items()):
            changed[name] = column.astype(object).map(lambda value, own=own: own.get(value, value))
    return table.assign(**changed) if changed else table


def _guarded(value: str) -> str:
    if not FORMULA.match(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _bare(value: str) -> str:
    return value[1:] if WRITTEN_FORMULA.match(value) else value


def write_parquet(table: pd.DataFrame, path: str | Path, metadata: dict[str, str] | None = None) -> None:
    """Write a table as Parquet with ``metadata`` in the file's schema, atomically."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **(metadata or {})})
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def write_png(figure, path: str | Path) -> None:
    """Write a matplotlib figure as PNG, atomically; the same picture gives the same bytes."""
    with atomic(path) as temporary:
        # no "Software" entry: it would tie the bytes to the version of the library
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": None})


def read_parquet_metadata(path: str | Path) -> dict[str, str]:
    """Return the schema metadata that `write_parquet` stored.

    Raises
    ------
    UserError
        If the file is not a readable Parquet file.
    """
    try:
        raw = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from None
    return {key.decode(): value.decode() for key, value in raw.items()}


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    UserError
        If the file is absent, is not JSON, or is not what it was `sealed` as.
    """
    _check_seal(Path(path))
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a ``.csv`` or ``.parquet`` table.

    Raises
    ------
    UserError
        If the file is absent, damaged, or not what it was `sealed` as.
    """
    path = Path(path)
    _check_seal(path)
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else _respelt(pd.read_csv(path), _bare)
    except FileNotFoundError:
        raise UserError(f"{path}: found no such table") from None
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not a readable table ({error})") from None
