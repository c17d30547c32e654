"""Where the data of a study are: its data set, the cache, and a folder of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from network import datasets
from network.config import Data
from spinloom.errors import UserError
from spinloom.files import read_json


def read(path: str | Path, cache: str | None = None) -> tuple[datasets.Dataset, Path, Path | None]:
    """Return data set, cache and the user's folder of any section with ``dataset`` and ``data``, in a JSON file.

    Parameters
    ----------
    path : str or Path
    cache : str, optional
        As of `folders`.

    Raises
    ------
    UserError
        If the section names no data set.
    """
    section = read_json(path)
    if not isinstance(section, dict) or "dataset" not in section:
        raise UserError(f"{path}: key 'dataset' is missing, allowed: the network section of a config")
    own, folder = folders(Data.parse(section.get("data") or {}, str(path), "data"), cache)
    found = datasets.Found.parse(section["found"], str(path), "found") if section.get("found") else None
    return datasets.get(section["dataset"], section.get("dataset_options"), found, own), own, folder


def load(
    dataset: datasets.Dataset,
    cache: Path,
    folder: Path | None,
    say: Callable[[str], None],
    manifest: str | Path | None = None,
) -> tuple[datasets.Data, str]:
    """Return a data set and its digest from the cache; if that is gone, find or fetch the data set again.

    Parameters
    ----------
    dataset : Dataset
    cache : Path
        Folder of decoded data.
    folder : Path or None
        Where the user put the files.
    say : callable
        Gets a line per event.
    manifest : path or None
        What `Dataset.ensure` returned at the study's start, a JSON file.

    Raises
    ------
    UserError
        If the data cannot be had, or are not those of the manifest.
    """
    try:
        data = dataset.load(cache, folder)
    except UserError:
        dataset.ensure(cache, folder, say)
        data = dataset.load(cache, folder)
    digest = dataset.digest(cache, folder)
    began = read_json(manifest).get("digest") if manifest else digest
    if digest != began:
        raise UserError(
            f"{manifest}: digest: found {began}, allowed: {digest}, the digest of {dataset.name} as it is now; delete "
            "the file to train with these data"
        )
    return data, digest


def folders(data: Data, cache: str | None = None) -> tuple[Path, Path | None]:
    """Return the cache and the user's own folder (or None) in ``network.data``; `UserError` if they cannot be paths.

    A job of the workflow is told the ``cache`` beside its section, because no result depends on it.
    """
    return _folder("cache", cache or data.cache), _folder("folder", data.folder) if data.folder else None


def _folder(key: str, text: str) -> Path:
    if not text.isprintable():
        raise UserError(f"network.data.{key}: found {text!r}, allowed: a printable path")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"network.data.{key}: found {text!r}, allowed: a path with a known home ({error})") from None
