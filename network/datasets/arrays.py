"""Arrays of the user's: an NPZ file, or NPY files of samples and of labels."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import model_validator

from network.datasets.own import groups
from network.datasets.own.kept import Files, OwnData
from network.datasets.own.options import Own
from network.datasets.own.samples import MOST_VALUES, Samples
from spinloom.declare import key
from spinloom.errors import UserError


class Options(Own):
    """Arrays of samples: [samples, features], [samples, rows, columns (, channels)] or [samples, channels, time]."""

    labels_file: str | None = key("NPY file with the labels, if the samples are an NPY file.", None, min_length=1)
    test_labels_file: str | None = key("NPY file with the labels of the test samples.", None, min_length=1)
    features: str = key("Name of the array of samples in an NPZ file.", "x")
    labels: str = key("Name of the array of labels in an NPZ file.", "y")
    groups: str | None = key(
        "Name of an array in an NPZ file that says which samples belong together, such as those of one "
        "person. A group is never split between training, validation and test. With null, each sample is on "
        "its own.",
        None,
    )
    test_features: str | None = key("Name of the array of test samples in the same NPZ file.", None)
    test_labels: str | None = key("Name of the array of their labels in the same NPZ file.", None)

    @property
    def splits(self) -> bool:
        """Whether the test samples are a share of the file."""
        return self.test_file is None and self.test_features is None

    @model_validator(mode="after")
    def _belong(self) -> Self:
        """Refuse arrays without their labels, and tests told twice."""
        if (self.test_features is None) != (self.test_labels is None):
            raise ValueError("test_features, test_labels: found one without the other, allowed: both or neither")
        if self.test_features is not None and self.test_file is not None:
            raise ValueError("test_file: found together with test_features, allowed: one of the two")
        if self.groups is not None and self.labels_file is not None:
            raise ValueError(
                "groups: found with an NPY file, allowed: only with an NPZ file, which holds several arrays"
            )
        for file, labels in (("file", "labels_file"), ("test_file", "test_labels_file")):
            named = getattr(self, file)
            if (named is not None and not named.lower().endswith(".npz")) != (getattr(self, labels) is not None):
                raise ValueError(
                    f"{labels}: found {'none' if getattr(self, labels) is None else 'one'} with {file} {named}, "
                    "allowed: one with an NPY file, none with any other"
                )
        return self


class Arrays(OwnData):
    """The data set."""

    Options = Options
    name = "arrays"

    def read(self, files: Files) -> tuple[Samples, Samples | None]:
        """Return the samples of the files; `UserError` if a file or an array is missing or unreadable."""
        own = self.options
        assert isinstance(own, Options)
        train = _samples(files, own.file, own.labels_file, (own.features, own.labels), own.groups)
        if own.test_features is not None and own.test_labels is not None:
            return train, _samples(files, own.file, None, (own.test_features, own.test_labels))
        if own.test_file is None:
            return train, None
        return train, _samples(files, own.test_file, own.test_labels_file, (own.features, own.labels), own.groups)


def _samples(
    files: Files, name: str, labels: str | None, named: tuple[str, str], together: str | None = None
) -> Samples:
    path, of = Path(name).expanduser(), None
    if labels is not None:
        (features,), (given,) = _loaded(files, path), _loaded(files, Path(labels).expanduser())
    elif together is None:
        features, given = _loaded(files, path, named)
    else:
        features, given, of = _loaded(files, path, (*named, together))
        if of.ndim != 1 or len(of) != len(features):
            raise UserError(
                f"{path}: groups: found an array of shape {list(of.shape)}, allowed: one group for each of "
                f"{len(features)} samples"
            )
        of = groups.texts(of, str(path))
    given = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    return Samples(path.name, features, given, groups=of)


def _loaded(files: Files, path: Path, names: tuple[str, ...] = ()) -> list[np.ndarray]:
    """Return arrays of an NPZ file by name, or with no names the one of an NPY file."""
    try:
        raw = io.BytesIO(files.read(path))
        if not names:
            np.lib.format.read_magic(raw)  # an archive is none
            return [np.load(io.BytesIO(raw.getbuffer()), allow_pickle=False)]
        with zipfile.ZipFile(raw) as whole:
            sizes = {one.filename.removesuffix(".npy"): one.file_size for one in whole.infolist()}
        if missing := [name for name in names if name not in sizes]:
            raise UserError(f"{path}: found no array {missing[0]!r}, allowed: {', '.join(sizes)}")
        if (most_B := max(sizes[name] for name in names)) > 8 * MOST_VALUES:
            raise UserError(f"{path}: found an array of {most_B / 1e9:.1f} GB, allowed: at most {MOST_VALUES:,} values")
        with np.load(raw, allow_pickle=False) as stored:
            arrays = [stored[name] for name in names]
        if not all(isinstance(array, np.ndarray) for array in arrays):
            raise ValueError("one of its files is not an array")
        return arrays
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path}: found no readable arrays ({str(error).splitlines()[0]})") from None


DATASET = Arrays
