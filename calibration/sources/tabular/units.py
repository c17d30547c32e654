"""Units as column headers write them -> what they measure and their size in SI."""

from __future__ import annotations

import re
from typing import NamedTuple

CONDUCTANCE_UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "nS": 1e-9, "pS": 1e-12}
CURRENT_UNITS = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9, "pA": 1e-12}
RESISTANCE_UNITS = {"ohm": 1.0, "kohm": 1e3, "Mohm": 1e6, "Gohm": 1e9}
VOLTAGE_UNITS = {"V": 1.0, "mV": 1e-3}
DURATION_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}

_PREFIXES = {
    "": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9,
}  # fmt: skip
_SYMBOLS = {
    "S": "conductance", "A": "current", "ohm": "resistance", "V": "voltage", "s": "time", "J": "energy", "T": "field",
}  # fmt: skip
_WORDS = {
    "siemens": "S", "mho": "S", "ampere": "A", "amperes": "A", "amp": "A", "amps": "A", "volt": "V", "volts": "V",
    "ohms": "ohm", "Ohm": "ohm", "Ohms": "ohm", "OHM": "ohm", "second": "s", "seconds": "s", "sec": "s", "secs": "s",
    "joule": "J", "joules": "J", "tesla": "T",
}  # fmt: skip
_LONG = {"milli": "m", "micro": "u", "nano": "n", "pico": "p", "kilo": "k", "mega": "M"}


class Unit(NamedTuple):
    """A unit: as it is written plainly, what it measures, and its size in SI."""

    name: str
    quantity: str
    scale: float


def unit_of(text: str) -> Unit | None:
    """Return the unit that a text is, None if it is none.

    Parameters
    ----------
    text : str
        As in ``uS``, ``µS``, ``microsiemens``, ``kΩ``, ``ns``, ``K``, ``S^-1`` (none), with or without blanks around.
    """
    plain = text.strip().replace("µ", "u").replace("μ", "u").replace("Ω", "ohm").replace("Ω", "ohm")
    if plain == "K":
        return Unit("K", "temperature", 1.0)
    if re.fullmatch(r"A/?\s*(m-2|m\^-?2|m2|per_m2|/m\^?2)", plain):
        return Unit("A/m^2", "current_density", 1.0)
    if re.fullmatch(r"(ohm|Ohm)\s*(\^-1|-1)|1/(ohm|Ohm)", plain):
        return Unit("S", "conductance", 1.0)
    for long, prefix in _LONG.items():
        if plain.lower().startswith(long) and plain.lower()[len(long) :].strip(" -") in {
            *_WORDS,
            *map(str.lower, _WORDS),
        }:
            rest = plain.lower()[len(long) :].strip(" -")
            return _made(prefix, _WORDS.get(rest, "ohm"))
    if plain.lower() in _WORDS:
        return _made("", _WORDS[plain.lower()])
    for symbol in sorted({*_SYMBOLS, *_WORDS}, key=len, reverse=True):
        if plain.endswith(symbol) and plain[: -len(symbol)] in _PREFIXES:
            return _made(plain[: -len(symbol)], _WORDS.get(symbol, symbol))
    return None


def _made(prefix: str, symbol: str) -> Unit:
    return Unit(prefix + symbol, _SYMBOLS[symbol], _PREFIXES[prefix])
