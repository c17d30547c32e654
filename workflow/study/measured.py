"""What a study of another device than the default wall has where it says nothing: states and a rule that suit it."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any

from calibration.card import KernelCard, Kind
from calibration.sources import importers, library
from calibration.sources.importers.networks import NETWORKS
from network import rules
from spinloom.config import overlay
from spinloom.errors import UserError

# a learning rate that nobody chose for this device is looked for (docs/tuning.md)
TUNE = {"trials": 6, "epochs": 1, "training_images": 5000}


def beneath(whole: dict[str, Any], layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what lies between the default study and the layers over it, both unchecked; empty if nothing does.

    Where a layer imports, states are found in the data. Where no layer names a learning rule, the network is the one
    that suits the devices in the file, or those of a card that is moved in steps: the default rule has no use for them.
    Where a layer imports and none names an optimiser, the network is tuned.

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
    if source.get("kind") not in kinds:
        return {}
    chosen = whole.get("network") is None or any(map(_names_rule, layers))
    if source["kind"] in ("library", "card"):
        return {} if chosen or _kinds(source) != (Kind.STEPS,) else {"network": deepcopy(NETWORKS[Kind.STEPS])}
    if source["kind"] != "import":
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
    if not chosen:
        network = _network(format, source, states)
        if network is not None:
            under["network"] = deepcopy(network)
    if whole.get("network") is not None and not any(map(_names_rate, layers)):
        under["network"] = {**under.get("network", {}), "tune": dict(TUNE)}
    return under


def _kinds(source: dict[str, Any]) -> tuple[Kind, ...]:
    """Return what the devices of a ready card can be used as; nothing if it is none, which is told where it is read."""
    name = source.get("name" if source["kind"] == "library" else "file")
    try:
        return (library.card(str(name)) if source["kind"] == "library" else KernelCard.read(Path(str(name)))).kinds()
    except UserError:
        return ()


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


def _names_rate(layer: dict[str, Any]) -> bool:
    network = _mapping(layer, "network")
    variants = _mapping(network, "variants").values()
    own = any(isinstance(variant, dict) and "optimizer" in variant for variant in variants)
    return own or "optimizer" in network or "tune" in network
