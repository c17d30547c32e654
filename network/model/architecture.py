"""The network's layers, from the config's list; without JAX, so that checking a config need not pay for it.

The list of layers begins with what comes in, ``784`` or ``28x28x1``; then a number is a dense layer's width, ``32C5``
a convolution of 32 channels with windows of 5 x 5, ``128C3p`` the same with the picture padded to keep its size, and
``128C3ps2`` with windows that lie 2 pixels apart. What follows an array is digital: ``MP2`` is the maximum over squares
of 2 x 2, ``AP2`` their mean, ``GAP`` the mean of each channel, ``D0.5`` the dropout of half of the values while
training. ``+2`` ends a residual block of two arrays (He et al., arXiv 1512.03385): what entered the block is added to
what leaves it, before the activation. Where the two differ in shape, what entered goes through a projection, an array
of its own behind the block: a convolution of 1 x 1 with the strides of the block, or a dense layer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from spinloom.errors import UserError

POSITIVE = ("relu", "sigmoid")  # activations that are never negative
_PICTURE, _WINDOW = re.compile(r"(\d+)x(\d+)x(\d+)"), re.compile(r"(\d+)C(\d+)(p?)(?:s(\d+))?")
_POOL, _AVERAGE, _SUM = re.compile(r"MP(\d+)"), re.compile(r"AP(\d+)|GAP"), re.compile(r"\+(\d+)")
_DROPOUT = re.compile(r"D(0?\.\d+)")


@dataclass(frozen=True)
class Layer:
    """One array: ``inputs`` rows by ``outputs`` columns, used once per image or at each place of the picture."""

    inputs: int
    outputs: int
    kernel: int = 0  # side of the convolution's window; 0: dense
    padded: bool = False
    image: tuple[int, int, int] = (1, 1, 0)  # rows, columns, channels of what comes in
    pool: int = 1  # side of the maximum taken over the columns' values afterwards
    stride: int = 1  # pixels between windows, along rows and columns
    average: tuple[int, int] = (1, 1)  # rows and columns of the squares whose mean follows the activation
    dropout: float = 0.0  # share of the values that leave the layer which a training step drops
    adds: int | None = None  # number of the layer whose input is added before the activation
    projects: int | None = None  # of a projection: number of the layer whose input it reads; adds to what came before
    summed: bool = False  # whether a projection follows, which makes the sum and the activation
    weight_range: float = 1.0  # of the weight, in units of sqrt(3 / inputs): uniform weights then have unit columns

    @property
    def places(self) -> tuple[int, ...]:
        """Rows and columns of the picture of places where the array is used."""
        cut = 0 if self.padded or not self.kernel else self.kernel - 1
        return tuple(-(-(side - cut) // self.stride) for side in self.image[:2]) if self.kernel else (1, 1)

    @property
    def uses(self) -> int:
        """How often the array is read per image."""
        return self.places[0] * self.places[1]

    @property
    def scale(self) -> float:
        """Column value of one input and the largest weight."""
        return self.weight_range * (3.0 / self.inputs) ** 0.5

    @property
    def leaving(self) -> tuple[int, int, int]:
        """Rows, columns and channels before means are taken."""
        rows, columns = (side // self.pool for side in self.places)
        return rows, columns, self.outputs

    @property
    def values(self) -> int:
        """Numbers that leave the layer, before means are taken."""
        rows, columns, channels = self.leaving
        return rows * columns * channels

    @property
    def shape(self) -> tuple[int, int]:
        """(inputs, outputs)."""
        return self.inputs, self.outputs


class Between(NamedTuple):
    """Numbers for one sample that digital circuits work on between the arrays."""

    sums: int = 0  # of residual blocks
    fetched: int = 0  # read again from memory for them
    averaged: int = 0  # of which means are made
    dropped: int = 0  # through a mask, while training


@dataclass(frozen=True)
class Architecture:
    """Everything about a network that is not trained."""

    picture: tuple[int, int, int]  # rows, columns, channels of the input
    layers: tuple[Layer, ...]
    activation: str = "relu"
    normalisation: str = "batch"
    loss: str = "cross_entropy"

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each array."""
        return tuple(layer.shape for layer in self.layers)

    @property
    def dropped(self) -> bool:
        """Whether a training step drops values."""
        return any(layer.dropout for layer in self.layers)

    @property
    def between(self) -> Between:
        """What is computed between the arrays for one sample."""
        sums = [n for n in self.layers if n.adds is not None or n.projects is not None]
        return Between(
            sums=sum(layer.values for layer in sums),
            fetched=sum(layer.values for layer in sums if layer.adds is not None)
            + sum(math.prod(layer.image) for layer in sums if layer.projects is not None),
            averaged=sum(layer.values for layer in self.layers if layer.average != (1, 1)),
            dropped=sum(layer.values // math.prod(layer.average) for layer in self.layers if layer.dropout),
        )


def parse(
    entries: Sequence[int | str], picture: tuple[int, int, int], where: str = "network.layers"
) -> tuple[Layer, ...]:
    """Turn the config's list of layers into arrays.

    Parameters
    ----------
    entries : sequence of int or str
        See the module text.
    picture : tuple
        Rows, columns and channels of the data set's pictures, as they reach the network.
    where : str
        Begins the error.

    Raises
    ------
    UserError
        If an entry is none of the above or does not fit what comes before it.
    """
    size = picture[0] * picture[1] * picture[2]
    first, shown = entries[0], f"{picture[0]}x{picture[1]}x{picture[2]}"
    match = _PICTURE.fullmatch(str(first))
    given = tuple(int(n) for n in match.groups()) if match else int(first) if str(first).isdecimal() else first
    if given not in (size, picture):
        raise UserError(f"{where}: found {first} inputs, allowed: {size} or {shown} for this data set")
    image, flat, layers = (picture if match else (1, 1, size)), not match, []
    starts: list[int] = []  # number of the layer of each entry that is an array, projections left out
    for place, text in enumerate(map(str, entries[1:]), start=1):
        here, last = f"{where}[{place}]: found {text}, allowed:", layers[-1] if layers else None
        if text.isdecimal() and int(text) > 0:
            starts.append(len(layers))
            layers.append(Layer(math.prod(image), int(text), image=image))
            image, flat = (1, 1, int(text)), True
        elif (match := _WINDOW.fullmatch(text)) and not flat:
            channels, kernel, stride = int(match[1]), int(match[2]), int(match[4] or 1)
            layer = Layer(kernel**2 * image[2], channels, kernel, bool(match[3]), image, stride=max(stride, 1))
            if not channels or not kernel or min(layer.places) < 1:
                raise UserError(f"{here} windows of 1 to {min(image[:2])} here")
            if not 1 <= stride <= min(image[:2]):
                raise UserError(f"{here} strides of 1 to {min(image[:2])} here")
            starts.append(len(layers))
            layers.append(layer)
            image = layer.leaving
        elif (match := _POOL.fullmatch(text)) and not flat and last and _bare(last) and last.pool == 1:
            side = _side(int(match[1]), image, here)
            layers[-1] = replace(last, pool=side)
            image = layers[-1].leaving
        elif (match := _AVERAGE.fullmatch(text)) and not flat and last and not last.dropout and last.average == (1, 1):
            side = (int(match[1]),) * 2 if match[1] else image[:2]
            if match[1]:
                _side(side[0], image, here)
            layers[-1] = replace(last, average=side)
            image = (image[0] // side[0], image[1] // side[1], image[2])
        elif (match := _DROPOUT.fullmatch(text)) and last and not last.dropout and float(match[1]) > 0:
            layers[-1] = replace(last, dropout=float(match[1]))
        elif (match := _SUM.fullmatch(text)) and last and _bare(last):
            if not 1 <= int(match[1]) <= len(starts):
                raise UserError(f"{here} +1 to +{len(starts)}, as there are {len(starts)} arrays before it")
            layers[-1:] = _residual(layers, starts[-int(match[1])], image, here)
        else:
            raise UserError(
                f"{here} a width; before the first width also convolutions (32C5, 32C5p, 32C5ps2) and once after each "
                "one of MP2, AP2, GAP; after any array +2 and D0.5; if the list has convolutions, it begins with the "
                "picture, as 28x28x1"
            )
    if not layers:
        raise UserError(f"{where}: found {entries!r}, allowed: a list of at least two entries")
    if not str(entries[-1]).isdecimal():
        raise UserError(f"{where}: found {entries[-1]} at the end, allowed: a width, which is the number of classes")
    return tuple(layers)


def _bare(layer: Layer) -> bool:
    """Return whether nothing follows the layer's normalisation yet but the activation."""
    return layer.average == (1, 1) and not layer.dropout and layer.adds is None and layer.projects is None


def _side(side: int, image: tuple[int, int, int], here: str) -> int:
    if side < 2 or image[0] % side or image[1] % side:
        raise UserError(f"{here} a side that divides {image[0]} and {image[1]}")
    return side


def _residual(layers: list[Layer], start: int, leaving: tuple[int, int, int], here: str) -> list[Layer]:
    """Return what the last layer of a residual block becomes, with the projection if there must be one."""
    entered, last = layers[start].image, layers[-1]
    if entered == leaving:
        return [replace(last, adds=start)]
    if not layers[start].kernel and not last.kernel:
        shortcut = Layer(math.prod(entered), last.outputs, image=entered, projects=start)
    else:
        strides = [
            n for n in range(1, max(entered[:2]) + 1)
            if last.kernel and tuple(-(-side // n) for side in entered[:2]) == leaving[:2]
        ]  # fmt: skip
        if not strides:
            shown = [f"{one[0]}x{one[1]}x{one[2]}" for one in (entered, leaving)]
            raise UserError(
                f"{here} a block that leaves the picture's rows and columns, or divides them by its strides (padded "
                f"convolutions do), or one of widths alone: {shown[0]} enters this one, {shown[1]} leaves it"
            )
        shortcut = Layer(entered[2], last.outputs, 1, False, entered, stride=strides[0], projects=start)
    return [replace(last, summed=True), shortcut]
