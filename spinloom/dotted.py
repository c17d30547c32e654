"""Values of a config by dotted keys: ``pulses.voltages_V.0`` is the first entry of the list ``voltages_V``."""

from __future__ import annotations

from typing import Any


def at(config: Any, key: str) -> Any:
    """Return the value under a dotted key; entries of a list by their number.

    Raises
    ------
    KeyError
        If it is not there.
    """
    for part in key.split("."):
        if isinstance(config, dict) and part in config:
            config = config[part]
        elif isinstance(config, (list, tuple)) and part.isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            raise KeyError(key)
    return config


def nested(config: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as a mapping of mappings; a list is given whole, its other entries as they are."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        _set(found, config, key.split("."), value)
    return found


def overlap(one: str, other: str) -> bool:
    """Return whether two dotted keys are the same, or one lies in the other."""
    a, b = ([int(part) if part.isdecimal() else part for part in key.split(".")] for key in (one, other))
    return a[: len(b)] == b[: len(a)]


def _set(place: dict[str, Any], below: Any, parts: list[str], value: Any) -> None:
    first, *rest = parts
    under = below.get(first) if isinstance(below, dict) else None
    if not rest:
        place[first] = value
    elif isinstance(under, (list, tuple)):
        place.setdefault(first, _copied(under))
        entries = place[first]
        for part in rest[:-1]:
            entries = entries[int(part) if isinstance(entries, list) else part]
        entries[int(rest[-1]) if isinstance(entries, list) else rest[-1]] = value
    else:
        _set(place.setdefault(first, {}), under, rest, value)


def _copied(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_copied(one) for one in value]
    return {key: _copied(one) for key, one in value.items()} if isinstance(value, dict) else value
