"""What a column is, by its name and unit: the many ways in which laboratories head their tables."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from calibration.sources.tabular.units import Unit, unit_of

VALUES = ("conductance", "current", "resistance")  # what a reading may be told in

# what a role is measured in; a role that is not here has no unit
QUANTITIES = {
    "conductance": "conductance", "before": "conductance", "after": "conductance", "current": "current",
    "resistance": "resistance", "voltage": "voltage", "read_voltage": "voltage", "duration": "time", "time": "time",
    "latency": "time", "temperature": "temperature", "energy": "energy", "field": "field",
    "current_density": "current_density",
}  # fmt: skip

_PULSE = r"(pulses?|puls|stimul(i|us|ation)|spikes?|programming|prog|write|writing|set|gate)"
_COUNT = r"(number|no|nr|num|index|idx|count|counter|sequence|position)"
_WHICH = r"( ?(number|no|nr|num|index|idx|id|name|label|#))?"
_G = r"(g|conductance|cond)"
_BEFORE, _AFTER = r"(before|pre|prior|initial|init|ini|i|old|start|n)", r"(after|post|final|fin|f|new|end|n ?\+ ?1)"
# the first role that fits counts; names are words in lower case with one blank between them
_PATTERNS: dict[str, tuple[str, ...]] = {
    "current_density": (r"current density( a per m2)?", r"j( write| sot)?"),
    "field": (r"(magnetic )?field( t)?", r"b( field)?"),
    "temperature": (r"temp(erature)?( k)?", r"t k"),
    "latency": (r"latency( s)?",),
    "energy": (r"(write |pulse )?energy( j)?", r"e write"),
    "polarity": (r"polarity",),
    "trials": (r"(number of )?(trials|attempts|pulses applied)", r"n (trials|attempts|total)"),
    "switched": (r"(number of )?(switched|switches|switching events|successes)", r"n (switched|sw)"),
    "read_voltage": (
        r"(v|u|voltage|bias) ?(read|r|ds|d|drain)", r"vread", r"vds", r"vd",
        r"(read|reading|drain|drain source)( out)? ?(voltage|bias|v)( v)?",
    ),
    "voltage": (
        r"(pulse |write |programming |gate |stimulus )?(amplitude|height)",
        rf"({_PULSE} )?(voltage|bias|volts|spannung)( v)?",
        r"v", r"u", rf"(?!up$)[vu] ?({_PULSE}|p|w|wr|g|gs|app|applied|amp)", rf"{_PULSE} [vu]", r"applied voltage",
        r"voltage (amplitude|applied)", r"v(g|gs|p|set|pulse|write|prog)",
    ),
    "duration": (
        rf"({_PULSE} )?(width|duration|length|dauer|breite)( n?s)?", r"pw", r"tp", r"tw", r"pulsewidth", r"tpulse",
        rf"t ?({_PULSE}|w|p|pw|width)", rf"{_PULSE} time", r"dwell( time)?",
    ),
    "before": (
        rf"{_G} ?{_BEFORE}( pulse| write)?( s)?", rf"{_BEFORE}( pulse| write)? ?{_G}( s)?", r"g(before|pre|i|init)",
    ),
    "after": (
        rf"{_G} ?{_AFTER}( pulse| write)?( s)?", rf"{_AFTER}( pulse| write)? ?{_G}( s)?", r"g(after|post|f|final)",
    ),
    "pulse_number": (
        rf"({_PULSE} )?{_COUNT}( of)?( {_PULSE})?", rf"{_PULSE} id", rf"#( of)? ?{_PULSE}", rf"{_PULSE} ?#", r"#",
        rf"n ?({_PULSE}|p)", _PULSE, r"n", r"i", r"k", r"step", r"point", r"event", r"npulse", r"pulse(number|no|nr)",
        r"pulsnummer", r"nummer", r"applied pulses",
    ),
    "direction": (
        r"(pulse )?(direction|dir|sign|type|mode|phase|branch|operation|op|process|kind|richtung)( of (pulse|write))?",
        r"(ltp|up|set|pot|potentiation) ?(ltd|down|reset|dep|depression|or ltd|or down)",
    ),
    "cycle": (
        r"(cycle|cyc|loop|sweep|round|repetition|repeat|rep|iteration|run|trial|zyklus|train|epoch|block)" + _WHICH,
    ),
    "device": (
        r"(device|dev|sample|cell|dut|chip|die|synapse|junction|bauteil|probe|element|wafer|unit)" + _WHICH,
    ),
    "resistance": (
        r"(read |channel |device )?(resistance|resistivity|res|widerstand)( ohm)?", r"r( ?(read|ds|ch|dev))?", r"rread",
        r"rds",
    ),
    "current": (
        r"(read |drain |channel |device |post ?synaptic |source drain )?(current|strom)( a)?",
        r"i(read|ds|d|ch)", r"i d",
        r"(e?psc|i)( ?(read|ds|d|ch|sd|out|r|dev))?",
    ),
    "conductance": (
        r"(read |channel |device |synaptic |measured |mean )?"
        r"(conductance|conductivity|cond|leitwert|leitfahigkeit|weight)( s)?( read)?",
        r"g( ?(read|ds|d|ch|m|p|plus|minus|dev|device|meas|measured|s))?", r"g(read|ds|d|ch)", r"y",
    ),
    "time": (r"(elapsed |relative )?(time|zeit|timestamp|t)( stamp)?( s)?",),
}  # fmt: skip
_COMPILED = {role: re.compile("|".join(f"(?:{one})" for one in patterns)) for role, patterns in _PATTERNS.items()}

UP_WORDS = frozenset(
    "up ltp pot potentiation potentiate p set inc increase increasing on write + +1 1 1.0 pos positive rise higher "
    "hoch auf program".split()
)
DOWN_WORDS = frozenset(
    "down ltd dep depression depress d reset dec decrease decreasing off erase - -1 -1.0 neg negative fall lower "
    "runter ab".split()
)
_UP_NAME = re.compile(r"\b(ltp|pot|potentiation|set|up|increas\w*|inc|rise)\b")
_DOWN_NAME = re.compile(r"\b(ltd|dep|depression|reset|down|decreas\w*|dec|fall)\b")
_DEVICE_NAME = re.compile(
    r"\b(?:device|dev|sample|cell|dut|chip|die|synapse|junction)\s*#?\s*(\w*\d\w*)\b|\b[ds]\s*#?\s*(\d\w*)\b"
)
# LTP1, or LTP 1 at the end: the first cycle of that direction
_GLUED = re.compile(r"\b(ltp|ltd|pot|dep|potentiation|depression|set|reset|up|down)(\d+)\b")
_WAY_NUMBER = re.compile(r"\b(?:ltp|ltd|pot|dep|potentiation|depression|set|reset|up|down) #?(\d+)$")
_CYCLE_NAME = re.compile(r"\b(?:cycle|cyc|loop|rep|repetition|run|trial|sweep|train|r)\s*#?\s*(\d+)\b")
# canonical names that carry their unit, "_S" and the like; the longest first
_SUFFIX = re.compile(r"_(A_per_m2|kohm|Mohm|ohm|[munp]?S|[munp]?A|m?V|[munp]?s|K|f?J|m?T)$")
_BRACKETS = re.compile(r"[\[({]([^\])}]*)[\])}]")
_AT = re.compile(r"(?:@|\bat\b)\s*([-+]?\d[\d.,]*)\s*(mV|V)\b")
_READ_AT = re.compile(
    r"(?i:\bv[\s_]*(?:read|ds?|r)\b|\bread(?:ing|[\s_-]*out)?[\s_]*(?:voltage|bias|v)?\b|\bu[\s_]*read\b)[^\d+-]{0,12}"
    r"([-+]?\d[\d.,]*)\s*(mV|V)\b"
)  # fmt: skip


class Meaning(NamedTuple):
    """What a column is taken for.

    ``role`` is None if nothing is known. ``direction`` (up or down), ``device`` and ``cycle`` are those that the name
    of a column of readings tells. ``read_at_V`` is the read voltage that it tells.
    """

    role: str | None
    unit: Unit | None = None
    direction: str | None = None
    device: str | None = None
    cycle: int | None = None
    read_at_V: float | None = None


def read_voltage_of(text: str) -> float | None:
    """Return the read voltage that a line tells, V; None if it tells none."""
    found = _READ_AT.search(text) or _AT.search(text)
    if not found:
        return None
    return float(found[1].replace(",", ".")) * (1e-3 if found[2] == "mV" else 1.0)


def meaning_of(name: str, unit_cell: str = "") -> Meaning:
    """Return what a column is, by its name and, where there is one, the cell of the row of units below."""
    text = unicodedata.normalize("NFKC", name).strip().strip('"')
    unit = unit_of(_BRACKETS.sub(r"\1", unit_cell)) if unit_cell else None
    at = read_voltage_of(text)
    bare = _AT.sub("", text)
    for inside in _BRACKETS.finditer(bare):
        inner = unit_of(inside[1].strip())
        if inner is not None:
            unit, bare = unit or inner, bare.replace(inside[0], " ")
    if unit is None and (suffix := _SUFFIX.search(bare) or _SUFFIX.search(re.sub(r"\s+\d+$", "", bare))):
        unit, bare = unit_of("A/m^2" if suffix[1] == "A_per_m2" else suffix[1]), bare[: suffix.start()]
    if unit is None:
        # "G, uS", "G / uS", "G in uS", "G uS"
        head, _, tail = re.sub(r"\s+in\s+|\s*[,/]\s*", "\x00", bare).rpartition("\x00")
        if not head:
            head, _, tail = bare.rpartition(" ")
        if head and (inner := unit_of(tail)) and (len(tail) > 1 or tail in "SAV"):
            unit, bare = inner, head
    words = _words(bare)
    glued = _GLUED.search(words)
    words = _GLUED.sub(r"\1", words) if glued else words
    direction = "up" if _UP_NAME.search(words) else "down" if _DOWN_NAME.search(words) else None
    if _UP_NAME.search(words) and _DOWN_NAME.search(words):
        direction = None
    device, cycle = _DEVICE_NAME.search(words), _CYCLE_NAME.search(words)
    role = _role(words, unit)
    number = cycle[1] if cycle else glued[2] if glued else way[1] if (way := _WAY_NUMBER.search(words)) else None
    told = {
        "direction": direction,
        "device": device[1] or device[2] if device else None,
        "cycle": int(number) if number else None,
    }
    if role in VALUES:
        return Meaning(role, unit, **told, read_at_V=at)
    if role is None or (role in ("device", "cycle", "direction") and unit is not None):
        role = unit.quantity if unit else None
        return Meaning(role, unit, **told, read_at_V=at)
    return Meaning(role, unit if role in QUANTITIES else None, **told, read_at_V=at)


def _words(text: str) -> str:
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # pulseNumber
    return " ".join(re.sub(r"[^0-9a-zA-Z#+]+", " ", text).lower().split())


def _role(words: str, unit: Unit | None) -> str | None:
    """Return the role that the words tell, if its unit is the one found."""
    # what tells columns of one kind apart is no part of what they are
    bare = " ".join(re.sub(r"\b(ltp|ltd|potentiation|depression|up|down)\b|(?<=[a-z])\s?\d+$", " ", words).split())
    for text in dict.fromkeys((words, bare)):
        for role, pattern in _COMPILED.items():
            fits = unit is None or role not in QUANTITIES or unit.quantity == QUANTITIES[role]
            counts = unit is not None and role in ("pulse_number", "trials", "switched", "polarity")
            if pattern.fullmatch(text) and fits and not counts:
                return role
    return None
