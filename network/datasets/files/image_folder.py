"""A layout of single pictures: ``{train,test}/CLASS/*.jpg`` or ``.png``."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from PIL import Image

from network.datasets.files.cached import Splits
from network.datasets.files.sources import Mirror, NpmPackage
from spinloom.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png")
# what Pillow lets out when a picture is damaged or claims to be enormous
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, zlib.error, struct.error, Image.DecompressionBombError)


def decode(raw: bytes, shape: tuple[int, int, int], where: str) -> tuple[np.ndarray, str]:
    """Return a picture as ``uint8[rows * columns * channels]``, and its format.

    Raises
    ------
    UserError
        If it is no JPEG or PNG of this shape (1 channel: grey; 3: RGB, or grey, which becomes RGB).
    """
    modes = ("L",) if shape[2] == 1 else ("RGB", "L")
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as image:
            if image.size != shape[1::-1] or image.mode not in modes:
                raise UserError(
                    f"{where}: found {image.size[0]} x {image.size[1]} {image.mode}, allowed: {shape[1]} x {shape[0]} "
                    f"{' or '.join(modes)}"
                )
            return np.asarray(image.convert(modes[0])).reshape(-1), str(image.format)
    except Image.UnidentifiedImageError:
        raise UserError(f"{where}: found a file that is not a picture, allowed: JPEG or PNG") from None
    except DAMAGE as error:
        raise UserError(
            f"{where}: found a picture that is damaged or cut short ({error}), allowed: whole pictures"
        ) from None


@dataclass(frozen=True)
class ImageFolder:
    """A folder per split and class; what is in it is named by its hash, because no hash is published."""

    classes: tuple[str, ...]  # in the order of the labels
    shape: tuple[int, int, int]
    archives: tuple[str, ...] = ()
    name: str = "images"
    folders: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ("train/*/*", "test/*/*")
    offers: tuple[Mirror | NpmPackage, ...] = ()
    hashes: tuple[tuple[str, str], ...] = ()
    algorithm: str = ""

    @property
    def wants(self) -> str:
        """The layout and the archives."""
        return ", ".join(["{train,test}/CLASS/*.jpg or *.png", *self.archives])

    def key(self, path: PurePath) -> str | None:
        """Return ``split/class/file`` for a picture that lies so; hidden files are no pictures."""
        tail = path.parts[-3:]
        picture = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        return "/".join(tail) if picture and len(tail) == 3 and tail[0] in ("train", "test") else None

    def decode(self, files: dict[str, bytes], where: str) -> Splits:
        """Decode every picture, in the order of file names, then classes.

        So the order depends on the names alone, and the classes take turns where each numbers its files alike.

        Raises
        ------
        UserError
            If a class folder is unknown or missing, or a picture is damaged or of another shape.
        """
        arrays, formats = [], set()
        for split in ("train", "test"):
            rows = sorted((name, kind, key) for key in files for at, kind, name in [key.split("/")] if at == split)
            if (found := {kind for _, kind, _ in rows}) != set(self.classes):
                raise UserError(
                    f"{where}: folders in {split}: found {', '.join(sorted(found)) or 'none'}, allowed: "
                    f"{', '.join(self.classes)}"
                )
            images = np.empty((len(rows), int(np.prod(self.shape))), dtype=np.uint8)
            for row, (_, _, key) in enumerate(rows):
                images[row], kind = decode(files[key], self.shape, f"{where}: {key}")
                formats.add(kind)
            labels = np.array([self.classes.index(kind) for _, kind, _ in rows], dtype=np.uint8)
            arrays += [images, labels]
        return Splits(*arrays, variant=" and ".join(sorted(formats)))
