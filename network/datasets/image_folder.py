"""Pictures of the user's in a folder for each class, ``CLASS/*.png`` or ``*.jpg``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from network.datasets.files.image_folder import DAMAGE, SUFFIXES
from network.datasets.own.kept import Files, OwnData
from network.datasets.own.options import Own
from network.datasets.own.samples import Samples, size
from spinloom.declare import Whole, key
from spinloom.errors import UserError

Side = Annotated[Whole, Field(ge=1, le=10000)]


DEPTH = 24  # byte of a PNG that holds its bits per value; Pillow cuts off those of colours beyond 8
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # others have more bits, which Pillow cuts off


class Options(Own):
    """A folder with a folder of pictures (PNG, JPEG) for each class, all of one size."""

    colours: Literal["grey", "rgb"] = key("Whether pictures become `grey` (by their luma) or stay in colour.", "grey")
    resize: tuple[Side, Side] | None = key(
        "Rows and columns to which pictures are resized, bilinearly. With null, all pictures must have one size.", None
    )

    def paths(self) -> list[Path]:
        """Return all pictures."""
        return [path for folder in self.named().values() for path in pictures(folder)]


def pictures(folder: Path) -> list[Path]:
    """Return the pictures below ``folder``, in the order of their paths; hidden ones are none.

    Raises
    ------
    UserError
        If there are none, one lies in no folder of a class, or a class has other pictures or none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise UserError(f"{folder}: found no pictures, allowed: a folder with CLASS/*.png or *.jpg")
    for path in found:
        if len(path.relative_to(folder).parts) != 2:
            raise UserError(
                f"{path}: found a picture beside the folders of classes, allowed: pictures in {folder}/CLASS"
            )
    kinds = set(Image.registered_extensions()) - set(SUFFIXES)
    classes = {path.parent for path in found}
    for kind in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        if other := sorted(path for path in kind.iterdir() if path.suffix.lower() in kinds):
            raise UserError(
                f"{other[0]}: found a kind of picture that cannot be read here, allowed: {', '.join(SUFFIXES)}"
            )
        if kind not in classes:
            raise UserError(f"{kind}: found no pictures, allowed: one or more of each class")
    return found


class ImageFolder(OwnData):
    """The data set."""

    Options = Options
    name = "image_folder"

    def read(self, files: Files) -> tuple[Samples, Samples | None]:
        """Return the pictures, uint8; `UserError` if one is damaged or of another size than the first."""
        own = self.options
        assert isinstance(own, Options)
        train = _samples(files, own.file, own, None)
        shape = train.features.shape[1:]
        return train, None if own.test_file is None else _samples(files, own.test_file, own, shape)


def _samples(files: Files, name: str, own: Options, shape: tuple[int, ...] | None) -> Samples:
    folder = Path(name).expanduser()
    paths, made = pictures(folder), None
    for place, path in enumerate(paths):
        picture = _picture(files.read(path), path, own)
        shape = shape or picture.shape
        if picture.shape != shape:
            raise UserError(
                f"{path}: found {picture.shape[0]} x {picture.shape[1]} pixels, allowed: {shape[0]} x {shape[1]}, the "
                "size of the first picture; to bring all pictures to one size, set resize: [rows, columns]"
            )
        if made is None:
            size(len(paths), picture.size, str(folder))
            made = np.empty((len(paths), *shape), np.uint8)
        made[place] = picture
    assert made is not None
    return Samples(folder.name, made, np.array([path.parent.name for path in paths]))


def _picture(raw: bytes, path: Path, own: Options) -> np.ndarray:
    """Return a picture, uint8[rows, columns, channels]."""
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG", "PNG")) as image:
            if image.mode not in MODES:
                raise UserError(
                    f"{path}: found a picture of mode {image.mode}, allowed: pictures of 8 bits ({', '.join(MODES)})"
                )
            if image.format == "PNG" and raw[DEPTH] > 8:
                raise UserError(f"{path}: found a picture of {raw[DEPTH]} bits, allowed: 8 bits")
            if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:  # type: ignore[index]
                raise UserError(
                    f"{path}: found transparent parts, allowed: pictures without transparency; save it on a background"
                )
            made = image.convert("L" if own.colours == "grey" else "RGB")
            if own.resize is not None:
                rows, columns = own.resize
                made = made.resize((columns, rows), Image.Resampling.BILINEAR)
            return np.atleast_3d(np.asarray(made))
    except Image.UnidentifiedImageError:
        raise UserError(f"{path}: found a file that is not a picture, allowed: JPEG or PNG") from None
    except DAMAGE as error:
        raise UserError(
            f"{path}: found a picture that is damaged or cut short ({error}), allowed: whole pictures"
        ) from None


DATASET = ImageFolder
