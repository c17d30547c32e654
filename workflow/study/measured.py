"""What a study of a measured device has where it says nothing: not the states and the rule of the default wall."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from typing import Any

from calibration.card import Kind
from calibration.sources import importers
from calibration.sources.importers.networks import NETWORKS
from network import rules
from spinloom.config import overlay
from spinloom.errors import UserError


def beneath(whole: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what lies between the default study and the layers over it, both unchecked; empty unless a layer imports.

    States are found in the data. Where no layer names a learning rule, the network is the one that suits the devices in
    the file.

    Parameters
    ----------
    whole : dict
        The default study with the layers over it.
    layers : list of dict
        What the user says.

    Raises
    ------
    UserError
        If no rule can be chosen for the devices: names those that there are.
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
    states: dict[str, Any] = {}
    if not importers.brings_states(format):
        states = {"method": "auto", "count": None}
        under["calibration"] = {"states": states}
        states = reduce(overlay, [_mapping(_mapping(layer, "calibration"), "states") for layer in layers], states)
    if whole.get("network") is not None and not any(map(_names_rule, layers)):
        network = _network(format, source, states)
        if network is not None:
            under["network"] = deepcopy(network)
    return under


def _network(format: str, source: dict[str, Any], states: dict[str, Any]) -> dict[str, Any] | None:
    """Return the network that suits what a look at the file takes its devices for; None if it tells nothing.

    Raises
    ------
    UserError
        If no rule can be chosen: names those that there are.
    """
    try:
        kind = importers.kind(str(source.get("file")), format, _mapping(source, "options"))
    except UserError:  # told where the import is checked
        return None
    if kind is None:
        return None
    if kind is Kind.SWITCHING and states and states["count"] != 2:
        two = states["count"] is None and states["method"] in ("auto", "mixture")
        kind = kind if two else Kind.STEPS
    if kind not in NETWORKS:
        able = [name for name in rules.REGISTRY.own() if kind in rules.get(name).kinds]
        raise UserError(
            f"calibration.source: found a device of the kind {kind} and no learning rule, allowed: network.rule with "
            f"one of {', '.join(able)}, or network: null"
        )
    return NETWORKS[kind]


def _mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _names_rule(layer: dict[str, Any]) -> bool:
    network = _mapping(layer, "network")
    variants = _mapping(network, "variants").values()
    return "rule" in network or any(isinstance(variant, dict) and "rule" in variant for variant in variants)
