"""What a config says of a data set of the user's, and what its files turned out to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from spinloom.config import FILES
from spinloom.declare import Real, Section, Whole, key

Side = Annotated[Whole, Field(ge=1, le=100000)]


class Own(Section):
    """Keys of every data set of the user's. Relative paths begin at the config file that names them."""

    file: str = key("File or folder of the samples.", min_length=1, max_length=1000)
    test_file: str | None = key(
        "File or folder of the test samples. With null, a part of `file` is kept for the test.",
        None,
        min_length=1,
        max_length=1000,
    )
    test_share: Real = key("Part of each class that is kept for the test, if there is no `test_file`.", 0.2, gt=0, lt=1)
    split_seed: Whole = key("Seed of the choice of test samples. It does not depend on the study's seed.", 1, ge=0)
    scaling: Literal["none", "min_max", "z_score"] | None = key(
        "Which values become 0 and 1 (docs/datasets/own.md). `none`: those in `limits`. `min_max`: the least "
        "and the largest training value. `z_score`: the training mean minus and plus `z_limit` standard "
        "deviations. With null, `none` for 8-bit values and `min_max` for others.",
        None,
    )
    scale_by: Literal["feature", "channel", "all"] | None = key(
        "Which training values share a scale. `channel` is the last axis of pictures and the first of series. "
        "With null, each `feature` of a table, and `all` values of pictures and series.",
        None,
    )
    limits: tuple[Real, Real] | None = key(
        "With `scaling: none`, the values that become 0 and 1. With null, 0 and 1, or 0 and 255 for 8-bit values.", None
    )
    z_limit: Real = key(
        "With `scaling: z_score`, the number of standard deviations on each side of the mean.", 4, gt=0, le=100
    )
    picture: tuple[Side, Side, Side] | None = key(
        "Rows, columns and channels as which a sample is laid out, the channel changing fastest. With null, "
        "samples have the shape that they have in the file.",
        None,
    )

    @property
    def splits(self) -> bool:
        """Whether the test samples are a share of the file."""
        return self.test_file is None

    def named(self) -> dict[str, Path]:
        """Return the paths that are named, by key."""
        fields = [name for name in type(self).model_fields if name in FILES]
        return {name: Path(path).expanduser() for name in fields if (path := getattr(self, name)) is not None}

    def paths(self) -> list[Path]:
        """Return the files that are read."""
        return list(self.named().values())

    def told(self) -> dict:
        """Return what decides the arrays besides the content of the files."""
        return {name: value for name, value in self.dump().items() if name not in FILES}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse keys that would be without effect."""
        for name in ("test_share", "split_seed"):
            if not self.splits and name in self.model_fields_set:
                raise ValueError(
                    f"{name}: found together with test samples from the user's files, allowed: one of the two"
                )
        if self.limits is not None and self.scaling not in (None, "none"):
            raise ValueError(f"limits: found with scaling {self.scaling}, allowed: only with scaling none")
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            raise ValueError(f"limits: found {list(self.limits)}, allowed: a lower and a higher number")
        return self


class Found(Section):
    """What the files of a data set hold, told once when a study is planned."""

    title: str = key("The files and the beginning of their hash, for people.")
    sha256: str = key("SHA-256 of the file; of several, of their keys, names and hashes.")
    files: dict[str, str] = key("SHA-256 of each file, by name.")
    shape: tuple[Whole, Whole, Whole] = key("Rows, columns, channels of a sample.")
    class_names: tuple[str, ...] = key("Names of the classes, in the order of their numbers.")
    train_count: Whole = key("Training samples.")
    test_count: Whole = key("Test samples.")
    value_bits: Whole = key("Bits of a value: 8, or 32 for floats.")
    warnings: tuple[str, ...] = key("What makes the accuracy doubtful; the last tables repeat it.", ())
    notes: tuple[str, ...] = key("What was done to the values.", ())
