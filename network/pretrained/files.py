"""A file of named arrays, NPZ or safetensors, and its hash."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from network.pretrained.config import Pretrained
from spinloom.errors import UserError

MOST_B = 4_000_000_000  # of a file


class Named(NamedTuple):
    """The arrays of a file by name, and the SHA-256 of the file."""

    path: Path
    arrays: dict[str, np.ndarray]
    sha256: str


def _read(path: Path) -> bytes:
    try:
        if (size_B := path.stat().st_size) > MOST_B:
            raise UserError(
                f"network.pretrained.file: {path}: found {size_B / 1e9:.1f} GB, allowed: at most {MOST_B / 1e9:g} GB"
            )
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"network.pretrained.file: found {path}, which cannot be read ({error.strerror}), allowed: an existing file"
        ) from None


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def content(section: Pretrained) -> tuple[Path, bytes, str]:
    """Return path, content and SHA-256 of the file.

    Raises
    ------
    UserError
        If it cannot be read, is too large, or is not the one whose hash the section has.
    """
    path = Path(section.file).expanduser()
    raw = _read(path)
    digest = _hash(raw)
    if section.sha256 not in (None, digest):
        raise UserError(
            f"network.pretrained.file: {path}: found SHA-256 {digest}, allowed: {section.sha256}; if you changed the "
            "file on purpose, remove network.pretrained.sha256 and run the study again"
        )
    return path, raw, digest


def hashed(network: dict[str, Any]) -> dict[str, Any]:
    """Return a network section with the hashes of the files of weights that it and its variants name.

    Raises
    ------
    UserError
        As of `content`.
    """

    def told(part: dict[str, Any] | None) -> dict[str, Any]:
        given = (part or {}).get("pretrained")
        if part is None or not given or "file" not in given or given.get("sha256") is not None:
            return part or {}
        path = Path(given["file"]).expanduser()
        return {**part, "pretrained": {**given, "sha256": _hash(_read(path))}}

    found = told(network)
    if network.get("variants"):
        found = {**found, "variants": {name: told(one) for name, one in network["variants"].items()}}
    return found


def read(section: Pretrained) -> Named:
    """Return the arrays of the file; `UserError` as of `content`, or if it is neither NPZ nor safetensors."""
    path, raw, digest = content(section)
    kinds = {".npz": _npz, ".safetensors": _safetensors}
    if path.suffix.lower() not in kinds:
        raise UserError(f"network.pretrained.file: found {path}, allowed: the suffix {' or '.join(kinds)}")
    try:
        return Named(path, kinds[path.suffix.lower()](raw), digest)
    except Exception as error:  # a damaged file can fail in any way, one of pickles too
        told = " ".join(str(error).split())[:200]
        raise UserError(
            f"network.pretrained.file: {path}: found a file that is not {path.suffix[1:]} with plain arrays ({told}), "
            "allowed: plain arrays"
        ) from None


def _npz(raw: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(raw), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _safetensors(raw: bytes) -> dict[str, np.ndarray]:
    from safetensors.numpy import load  # imported here: few studies need it

    return load(raw)
