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

    file: str = key("Where the samples are.", min_length=1, max_length=1000)
    test_file: str | None = key(
        "Where the test samples are; null: a share of `file` tests.", None, min_length=1, max_length=1000
    )
    test_share: Real = key("Share of each class that tests, where no file of its own does.", 0.2, gt=0, lt=1)
    split_seed: Whole = key("Seed of that split, independent of the study's.", 1, ge=0)
    scaling: Literal["none", "min_max", "z_score"] | None = key(
        "How values come into 0 to 1. none: `limits` become 0 and 1; min_max: the least and the largest training value "
        "do; z_score: the training mean minus and plus `z_limit` standard deviations do. What test values lie outside "
        "is clipped. null: none for 8-bit values, min_max for others.",
        None,
    )
    scale_by: Literal["feature", "channel", "all"] | None = key(
        "Which training values share a scale; channel: the last axis of pictures, the first of series. null: feature "
        "for tables, all for pictures and series.",
        None,
    )
    limits: tuple[Real, Real] | None = key(
        "With scaling none: the values that become 0 and 1; null: 0 and 1 themselves, of 8-bit values 0 and 255.", None
    )
    z_limit: Real = key("Standard deviations of z_score.", 4, gt=0, le=100)
    picture: tuple[Side, Side, Side] | None = key(
        "Rows, columns and channels into which the features of a sample are laid out, channel fastest; null: as the "
        "file has them, one row of a table.",
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
