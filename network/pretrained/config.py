"""What a study says of weights that were trained elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinloom.declare import Flag, Real, Section, key

Prefix = Annotated[str, Field(min_length=1, max_length=200)]


class Pretrained(Section):
    """Weights that were trained elsewhere, with `epochs: 0` (docs/pretrained.md)."""

    file: str = key("NPZ or safetensors file. A relative path begins at the config file that names it.", min_length=1)
    names: tuple[Prefix, ...] = key(
        "A name for each array of the network, in the order of `layers`. The file holds NAME.weight and NAME.bias.",
        min_length=1,
        max_length=64,
    )
    dense: Literal["out_in", "in_out"] = key(
        "Order of the axes of dense weights: `out_in` (PyTorch), or `in_out` (scikit-learn, Keras)."
    )
    convolution: Literal["OIHW", "HWIO"] | None = key(
        "Order of the axes of convolution weights: `OIHW` (PyTorch) or `HWIO` (Keras). Required if there are "
        "convolutions.",
        None,
    )
    flatten: Literal["CHW", "HWC"] | None = key(
        "Order in which pictures of several channels became inputs of a dense layer: `CHW` (PyTorch) or `HWC` "
        "(Keras). Required if there is such a layer.",
        None,
    )
    norms: tuple[Prefix | None, ...] | None = key(
        "With `normalisation: batch`, a name for each array, or null if no normalisation follows it. The file "
        "holds NAME.weight, NAME.bias, NAME.running_mean and NAME.running_var. With null in place of the "
        "list, there are none.",
        None,
        max_length=64,
    )
    norm_epsilon: Real = key("Number added to the variance in batch normalisations.", 1e-5, gt=0, le=1)
    norm_before_pool: Flag | None = key(
        "With true, batch normalisations come before the maximum over squares. Required if a layer has both.", None
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = key(
        "SHA-256 that the file must have. With null, any file is accepted.", None
    )
