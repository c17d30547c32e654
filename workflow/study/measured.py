"""What a study of a measured device has where it says nothing: not the states and the rule of the default wall."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from calibration.sources import importers
from spinloom.errors import UserError


def beneath(whole: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what lies between the default study and the layers over it, both unchecked; empty unless a layer imports.

    States are found in the data. Where no layer names a learning rule, the network is the one that suits the devices of
    the import's format.

    Parameters
    ----------
    whole : dict
        The default study with the layers over it.
    layers : list of dict
        What the user says.
    """
    source = _mapping(_mapping(whole, "calibration"), "source")
    kinds = [_mapping(_mapping(layer, "calibration"), "source").get("kind") for layer in layers]
    if source.get("kind") != "import" or "import" not in kinds:
        return {}
    format = source.get("format")
    if format is None:
        try:
            format = importers.recognised(str(source.get("file")), _mapping(source, "options"))[0]
        except UserError:  # told where the import is checked
            return {}
    if format not in importers.REGISTRY.names():
        return {}
    under: dict[str, Any] = {}
    if not importers.brings_states(format):
        under["calibration"] = {"states": {"method": "auto", "count": None}}
    network = importers.network(format)
    if network is not None and whole.get("network") is not None and not any(map(_names_rule, layers)):
        under["network"] = deepcopy(network)
    return under


def _mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _names_rule(layer: dict[str, Any]) -> bool:
    network = _mapping(layer, "network")
    variants = _mapping(network, "variants").values()
    return "rule" in network or any(isinstance(variant, dict) and "rule" in variant for variant in variants)
