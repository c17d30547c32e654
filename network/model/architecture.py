"""The network's layers, from the config's list; without JAX, so that checking a config need not pay for it.

The list of layers begins with what comes in, ``784`` or ``28x28x1``; then a number is a dense layer's width, ``32C5``
a convolution of 32 channels with windows of 5 x 5, ``128C3p`` the same with the picture padded to keep its size, and
``MP2`` the maximum over squares of 2 x 2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spinloom.errors import UserError

POSITIVE = ("relu", "sigmoid")  # activations that are never negative
_PICTURE, _WINDOW, _POOL = re.compile(r"(\d+)x(\d+)x(\d+)"), re.compile(r"(\d+)C(\d+)(p?)"), re.compile(r"MP(\d+)")


@dataclass(frozen=True)
class Layer:
    """One array: ``inputs`` rows by ``outputs`` columns, used once per image or at each place of the picture."""

    inputs: int
    outputs: int
    kernel: int = 0  # side of the convolution's window; 0: dense
    padded: bool = False
    image: tuple[int, int, int] = (1, 1, 0)  # rows, columns, channels of what comes in
    pool: int = 1  # side of the maximum taken over the columns' values afterwards
    weight_range: float = 1.0  # of the weight, in units of sqrt(3 / inputs): uniform weights then have unit columns

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of the picture of places where the array is used."""
        cut = 0 if self.padded or not self.kernel else self.kernel - 1
        return (self.image[0] - cut, self.image[1] - cut) if self.kernel else (1, 1)

    @property
    def uses(self) -> int:
        """How often the array is read per image."""
        return self.places[0] * self.places[1]

    @property
    def scale(self) -> float:
        """Column value of one input and the largest weight."""
        return self.weight_range * (3.0 / self.inputs) ** 0.5

    @property
    def shape(self) -> tuple[int, int]:
        """(inputs, outputs)."""
        return self.inputs, self.outputs


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
        raise UserError(f"{where}: found {first} inputs, allowed {size} or {shown} for this data set")
    image, flat, layers = (picture if match else (1, 1, size)), not match, []
    for place, text in enumerate(map(str, entries[1:]), start=1):
        if text.isdecimal() and int(text) > 0:
            layers.append(Layer(image[0] * image[1] * image[2], int(text), image=image))
            image, flat = (1, 1, int(text)), True
        elif (match := _WINDOW.fullmatch(text)) and not flat:
            channels, kernel = int(match[1]), int(match[2])
            layer = Layer(kernel**2 * image[2], channels, kernel, bool(match[3]), image)
            if not channels or not kernel or min(layer.places) < 1:
                raise UserError(f"{where}[{place}]: found {text}, allowed windows of 1 to {min(image[:2])} here")
            layers.append(layer)
            image = (*layer.places, channels)
        elif (match := _POOL.fullmatch(text)) and not flat and layers and layers[-1].pool == 1:
            side = int(match[1])
            if side < 2 or image[0] % side or image[1] % side:
                raise UserError(
                    f"{where}[{place}]: found {text}, allowed a side that divides {image[0]} and {image[1]}"
                )
            layers[-1] = Layer(**{**vars(layers[-1]), "pool": side})
            image = (image[0] // side, image[1] // side, image[2])
        else:
            raise UserError(
                f"{where}[{place}]: found {text}, allowed a width, or before the first width 32C5, 32C5p or MP2 (which "
                "follows a convolution); pictures begin the list as 28x28x1"
            )
    if not layers:
        raise UserError(f"{where}: found {entries!r}, allowed a list of at least two entries")
    if layers[-1].kernel:
        raise UserError(f"{where}: found {entries[-1]} at the end, allowed a width, the number of classes")
    return tuple(layers)
