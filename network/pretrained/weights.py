"""Named arrays -> weights of this network's arrays and what is digital of it, or one line that says why not.

An array holds weights of -1 to 1, and its columns are scaled by one factor. That factor becomes the largest weight of
the array times what it is for a weight of 1, so that a network of any activation stays what it was. A batch
normalisation takes the bias before it into its mean, and another epsilon into its gain. Where it came before a maximum
over squares, which here comes first, a column of negative gain changes its sign, and with it mean and gain: the largest
of the normalised values is then the normalised largest one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, NoReturn

import numpy as np

from network.model.architecture import Architecture, Layer
from network.pretrained import files
from network.pretrained.config import Pretrained
from network.pretrained.files import Named
from spinloom.errors import UserError

EPSILON = 1e-5  # of the normalisations here, `network.model.layers`
MOMENTS = ("weight", "bias", "running_mean", "running_var")
COUNT = "num_batches_tracked"  # of PyTorch; it says nothing of the network


class Digital(NamedTuple):
    """What follows an array, float32[outputs] each; all but the bias are None without batch normalisation."""

    bias: np.ndarray
    gain: np.ndarray | None = None
    mean: np.ndarray | None = None
    variance: np.ndarray | None = None


class Given(NamedTuple):
    """A network from elsewhere."""

    architecture: Architecture  # whose columns are scaled for these weights
    weights: tuple[np.ndarray, ...]  # float32[inputs, outputs] of -1 to 1, by array
    digital: tuple[Digital, ...]
    sha256: str


def given(section: Pretrained, architecture: Architecture) -> Given:
    """Return the network of a file.

    Parameters
    ----------
    section : Pretrained
    architecture : Architecture
        Of the study's network.

    Raises
    ------
    UserError
        If the file cannot be read, an array is missing, left over, misshapen or no finite floats, or a key is missing
        that says how arrays are laid out.
    """
    _complete(section, architecture)
    found = files.read(section)
    norms = section.norms or (None,) * len(architecture.layers)
    _only(found, section.names, norms)
    layers, weights, digital = [], [], []
    for number, (layer, name, norm) in enumerate(zip(architecture.layers, section.names, norms, strict=True)):
        weight = _weight(found, section, name, layer, _picture(architecture, number))
        bias = _vector(found, f"{name}.bias", layer, absent=norm is not None)
        part = Digital(bias.astype(np.float32))
        if norm is not None:
            moments = [_vector(found, f"{norm}.{moment}", layer) for moment in MOMENTS]
            if moments[3].min() < 0:
                _refuse(found, f"{norm}.running_var", f"{moments[3].min():g}", "variances of at least 0")
            gain, shift, mean, variance = moments
            flips = layer.pool > 1 and bool(section.norm_before_pool)
            sign = np.where(flips & (gain < 0), -1.0, 1.0)
            weight = weight * sign
            part = _normalised(sign * bias, sign * gain, shift, sign * mean, variance, section.norm_epsilon)
        elif architecture.normalisation == "batch":
            one = np.ones(layer.outputs)
            part = _normalised(np.zeros(layer.outputs), one, bias, 0 * one, one, 0.0)
        largest = float(np.abs(weight).max())
        if not largest:
            _refuse(found, f"{name}.weight", "zeros alone", "weights")
        layers.append(replace(layer, weight_range=largest / replace(layer, weight_range=1.0).scale))
        weights.append((weight / largest).astype(np.float32))
        digital.append(part)
    return Given(replace(architecture, layers=tuple(layers)), tuple(weights), tuple(digital), found.sha256)


def _normalised(bias, gain, shift, mean, variance, epsilon: float) -> Digital:
    """Return the normalisation with our epsilon of columns to which ``bias`` is not added any more."""
    gain = gain * np.sqrt((variance + EPSILON) / (variance + epsilon))
    return Digital(*(value.astype(np.float32) for value in (shift, gain, mean - bias, variance)))


def _complete(section: Pretrained, architecture: Architecture) -> None:
    """Refuse a section that leaves open how the file is laid out, or says what has no effect."""
    layers, norms = architecture.layers, section.norms or ()
    for key, values in (("names", section.names), ("norms", section.norms)):
        if values is not None and len(values) != len(layers):
            _key(key, f"{len(values)} names", f"{len(layers)}, one for each array (a projection's behind its block)")
    used = [*section.names, *filter(None, norms)]
    if twice := [name for name in used if used.count(name) > 1]:
        _key("names", f"{twice[0]} again", "each name once, in names or norms")
    if any(norms) and architecture.normalisation == "none":
        _key("norms", "names", "null with network.normalisation none")
    convolved = any(layer.kernel for layer in layers)
    if convolved != (section.convolution is not None):
        _key("convolution", section.convolution or "null", "OIHW or HWIO" if convolved else "null without convolutions")
    several = any(_several(architecture, number) for number in range(len(layers)))
    if several != (section.flatten is not None):
        told = "CHW or HWC, since a dense layer reads a picture of several channels"
        _key("flatten", section.flatten or "null", told if several else "null: no dense layer reads several channels")
    both = any(layer.pool > 1 and norm for layer, norm in zip(layers, norms, strict=False))
    if both != (section.norm_before_pool is not None):
        shown = "null" if section.norm_before_pool is None else str(section.norm_before_pool).lower()
        _key("norm_before_pool", shown, "true or false" if both else "null: no layer has both")


def _picture(architecture: Architecture, number: int) -> tuple[int, int, int]:
    """Return rows, columns and channels of what enters an array, also where the list of layers begins with a number."""
    layer = architecture.layers[number]
    return architecture.picture if number == 0 or layer.projects == 0 else layer.image


def _several(architecture: Architecture, number: int) -> bool:
    rows, columns, channels = _picture(architecture, number)
    return not architecture.layers[number].kernel and rows * columns > 1 and channels > 1


def _only(found: Named, names: tuple[str, ...], norms: tuple[str | None, ...]) -> None:
    known = {f"{name}.{part}" for name in names for part in MOMENTS[:2]}
    known |= {f"{norm}.{part}" for norm in norms if norm is not None for part in (*MOMENTS, COUNT)}
    if extra := sorted(set(found.arrays) - known):
        shown = ", ".join(extra[:3]) + (f" and {len(extra) - 3} more" if len(extra) > 3 else "")
        raise UserError(
            f"{found.path}: found arrays that belong to no layer ({shown}), allowed: arrays of the layers in "
            "network.pretrained.names and norms"
        )


def _array(found: Named, name: str, shape: tuple[int, ...], told: str = "") -> np.ndarray:
    """Return an array as float64[shape]."""
    if name not in found.arrays:
        shown = ", ".join(sorted(found.arrays)[:6]) or "no array"
        _refuse(found, name, f"no such array among {shown}", f"one of shape {list(shape)}")
    values = found.arrays[name]
    if values.dtype.kind != "f":
        _refuse(found, name, f"values of type {values.dtype}", "floats")
    if values.shape != shape:
        _refuse(found, name, f"shape {list(values.shape)}", f"{list(shape)}{told}")
    if not np.isfinite(values).all():
        _refuse(found, name, f"{int((~np.isfinite(values)).sum())} values that are not finite", "finite floats")
    return values.astype(np.float64)


def _vector(found: Named, name: str, layer: Layer, absent: bool = False) -> np.ndarray:
    if absent and name not in found.arrays:
        return np.zeros(layer.outputs)  # its normalisation has a bias
    return _array(found, name, (layer.outputs,))


def _weight(found: Named, section: Pretrained, name: str, layer: Layer, picture: tuple[int, int, int]) -> np.ndarray:
    """Return the weights of an array, float64[inputs, outputs], rows in the order of `network.model.layers.windows`."""
    inputs, outputs, name = layer.inputs, layer.outputs, f"{name}.weight"
    if layer.kernel:
        side, channels = layer.kernel, layer.image[2]
        sizes = {"O": outputs, "I": channels, "H": side, "W": side}
        assert section.convolution is not None
        told = f" ({section.convolution}, network.pretrained.convolution)"
        values = _array(found, name, tuple(sizes[axis] for axis in section.convolution), told)
        return values.transpose([section.convolution.index(axis) for axis in "HWIO"]).reshape(inputs, outputs)
    outer_first = section.dense == "out_in"
    told = f" ({section.dense}, network.pretrained.dense)"
    values = _array(found, name, (outputs, inputs) if outer_first else (inputs, outputs), told)
    values = values.T if outer_first else values
    rows, columns, channels = picture
    if section.flatten == "CHW":
        values = values.reshape(channels, rows, columns, outputs).transpose(1, 2, 0, 3).reshape(inputs, outputs)
    return values


def _refuse(found: Named, name: str, what: str, allowed: str) -> NoReturn:
    raise UserError(f"{found.path}: {name}: found {what}, allowed: {allowed}")


def _key(key: str, found: str, allowed: str) -> NoReturn:
    raise UserError(f"network.pretrained.{key}: found {found}, allowed: {allowed}")
