"""What a study says of weights that were trained elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinloom.declare import Flag, Real, Section, key

Prefix = Annotated[str, Field(min_length=1, max_length=200)]


class Pretrained(Section):
    """Weights of a network that was trained elsewhere; nothing is trained then (docs/pretrained.md)."""

    file: str = key("NPZ or safetensors file; relative ones begin at the config file that names them.", min_length=1)
    names: tuple[Prefix, ...] = key(
        "One name for each array of the network, in the order of `layers`: the file holds NAME.weight and NAME.bias.",
        min_length=1,
        max_length=64,
    )
    dense: Literal["out_in", "in_out"] = key(
        "Axes of the weights of dense layers: out_in as of PyTorch, in_out as of scikit-learn and Keras."
    )
    convolution: Literal["OIHW", "HWIO"] | None = key(
        "Axes of the weights of convolutions: OIHW as of PyTorch, HWIO as of Keras; needed if there is one.", None
    )
    flatten: Literal["CHW", "HWC"] | None = key(
        "Order in which pictures of several channels became the inputs of a dense layer: CHW as of PyTorch, HWC as of "
        "Keras; needed if some do.",
        None,
    )
    norms: tuple[Prefix | None, ...] | None = key(
        "With normalisation batch: one name for each array, null where none follows. The file holds NAME.weight, "
        "NAME.bias, NAME.running_mean and NAME.running_var. null: there are none.",
        None,
        max_length=64,
    )
    norm_epsilon: Real = key("Added to the variance of batch normalisations.", 1e-5, gt=0, le=1)
    norm_before_pool: Flag | None = key(
        "Whether batch normalisations came before the maximum over squares; needed if a layer has both.", None
    )
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = key(
        "SHA-256 of the file, which must be this; null: planning looks at it.", None
    )
