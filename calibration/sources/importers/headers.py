"""Headers of tables of switching counts as they are published: what a column is, and its unit.

A header is a name and perhaps a unit: ``voltage_mV``, ``pulse width (ns)``, ``V / mV``, ``T [K]``. The unit decides
where a name says two things (``T`` of a temperature and of a time, an amplitude of a voltage and of a current).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from calibration.sources.tabular.content import Content
from spinloom.errors import UserError
from spinloom.text_tables import MISSING, numbers

LOW, HIGH = 0, 1
# what a state is called, in lower-case letters and digits
STATES = (
    frozenset("ap antiparallel rap hrs off highresistance highr lowconductance lowg".split()),
    frozenset("p parallel rp lrs on lowresistance lowr highconductance highg".split()),
)
WAYS = (frozenset("down reset depression ltd off".split()), frozenset("up set potentiation ltp on".split()))
# between two states, what nothing else can be first
_BETWEEN = (
    re.compile(r"\s*(?:->|=>|→|⇒|>|[\s_-]to[\s_-]|(?<=[A-Za-z\d])to(?=[A-Z\d]))\s*"),
    re.compile(r"(?<=[A-Za-z])2(?=[A-Za-z])|\s*[/|,:]\s*|\s*[–—-]\s*"),
    re.compile(r"[\s_]+"),
)

MU0 = 4e-7 * np.pi

# unit, without blanks, powers' signs and with u for micro -> kind of quantity, SI per unit
_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
UNITS: dict[str, tuple[str, float]] = {
    **{f"{prefix}V": ("voltage", size) for prefix, size in _PREFIXES.items()},
    **{f"{prefix}A": ("current", size) for prefix, size in _PREFIXES.items()},
    **{f"{prefix}s": ("time", size) for prefix, size in _PREFIXES.items() if prefix != "k"},
    **{f"{prefix}T": ("field", size) for prefix, size in _PREFIXES.items()},
    **{
        f"{prefix}A{per}{area}": ("current_density", size / square)
        for prefix, size in (*_PREFIXES.items(), ("M", 1e6), ("G", 1e9), ("T", 1e12))
        for area, square in (("m2", 1.0), ("cm2", 1e-4), ("um2", 1e-12), ("nm2", 1e-18))
        for per in ("/", "per", "")
    },
    **{unit: ("field", size) for unit, size in (("Oe", 1e-4), ("kOe", 1e-1), ("G", 1e-4), ("mOe", 1e-7))},
    **{unit: ("field", size * MU0) for unit, size in (("A/m", 1.0), ("kA/m", 1e3))},
    "K": ("temperature", 1.0),
    **{unit: ("celsius", 1.0) for unit in ("C", "°C", "degC")},
    **{unit: ("share", 0.01) for unit in ("%", "percent")},
}

# role -> what it is called, in lower-case letters and digits; the kind of quantity of roles with a unit
NAMES = {
    "direction": "direction dir transition switchingdirection process fromto",
    "from": "from initial initialstate statefrom fromstate start startstate before statebefore",
    "to": "to final finalstate stateto tostate target targetstate after stateafter",
    "voltage": "v voltage u vpulse pulsevoltage writevoltage vwrite vw vp bias biasvoltage appliedvoltage vapplied "
    "amplitude pulseamplitude pulseheight",
    "current": "i current ipulse pulsecurrent writecurrent iwrite iw amplitude pulseamplitude pulseheight",
    "current_density": "j currentdensity jpulse jwrite writecurrentdensity",
    "field": "b h field magneticfield fields mu0h u0h biasfield appliedfield externalfield bext hext bias amplitude",
    "duration": "t width pulsewidth pulseduration duration pulselength length tp tpulse tpw pw tw time "
    "pulsetime writetime",
    "temperature": "t temperature temp",
    "trials": "trials n attempts pulses writes total ntrials trialcount numberoftrials numberofpulses numberofwrites "
    "ntotal ntot repetitions repeats cycles tries shots samples numtrials numpulses",
    "switched": "switched successes success k nswitched nsw switches hits flips numberswitched numberofswitches "
    "switchingevents events nswitch nsuccess switchedcount successcount numswitched",
    "stayed": "failures failed errors stayed notswitched unswitched nerrors nfailures",
    "probability": "p probability psw pswitch pswitching switchingprobability switchprobability probabilityofswitching "
    "fraction share rate successrate switchingrate ratio probabilityswitch",
    "error_rate": "wer writeerrorrate errorrate ber",
    "device": "device sample junction mtj cell deviceid id devicename die",
}
_KNOWN = {role: set(names.split()) for role, names in NAMES.items()}
KINDS = {
    "voltage": ("voltage",),
    "current": ("current",),
    "current_density": ("current_density",),
    "field": ("field",),
    "duration": ("time",),
    "temperature": ("temperature", "celsius"),
    "probability": ("share",),
    "error_rate": ("share",),
}


def unit_of(text: str) -> str | None:
    """Return a unit of `UNITS` as it is spelled there, None if the text is none."""
    plain = re.sub(r"[\s^·*_]|\*\*", "", text.replace("µ", "u").replace("μ", "u").replace("²", "2"))
    plain = plain.replace("-2", "2") if "/" not in plain else plain
    return plain if plain in UNITS else None


def split(header: str) -> tuple[str, str]:
    """Return the name and the unit, as a header writes them; the unit is "" where it has none."""
    header = header.strip()
    if match := re.fullmatch(r"(.*?)\s*[\[(]\s*([^\[\]()]*)\s*[\])]", header):
        return match[1], match[2]
    # from the longest end that is a unit: current_density_A_per_m2, V / mV, width ns
    for match in re.finditer(r"\s*[_/,\s]\s*", header):
        if match.start() and unit_of(header[match.end() :]):
            return header[: match.start()], header[match.end() :]
    return header, ""


def roles(headers: list[str], units: list[str], given: dict[str, str], where: str) -> dict[str, tuple[int, str]]:
    """Return which column plays which role.

    Parameters
    ----------
    headers, units : list of str
        Names of the columns, which may hold a unit, and units that stand apart, "" for none.
    given : dict of str
        Role -> header, for headers that say nothing.
    where : str
        File, for errors.

    Returns
    -------
    dict of tuple
        Role -> place of the column and its unit as in `UNITS`, "" for none. A column that is none of `NAMES` has no
        role.

    Raises
    ------
    UserError
        If two columns play one role, a unit is not one of the role, or a given header is not there.
    """
    found: dict[str, tuple[int, str]] = {}
    plain = [(split(header)[0], unit or split(header)[1]) for header, unit in zip(headers, units)]
    for role, header in given.items():
        if header not in headers:
            raise UserError(f"{where}: option {role}_column: found '{header}', allowed: {', '.join(headers)}")
        place = headers.index(header)
        found[role] = place, checked(role, plain[place][1], f"{where}: column '{header}'")
    # of N and n the small one is the part
    both = {name for name, _ in plain} >= {"N", "n"}
    for place, (header, (name, unit)) in enumerate(zip(headers, plain)):
        if header in given.values():
            continue
        candidates = [role for role, names in _KNOWN.items() if re.sub("[^a-z0-9]", "", name.lower()) in names]
        if kind := UNITS.get(unit_of(unit) or "", ("", 0.0))[0]:
            candidates = [role for role in candidates if kind in KINDS.get(role, ())] or candidates
        elif name in ("t", "T"):
            candidates = ["temperature" if name == "T" else "duration"]
        elif name == "n" and both:
            candidates = ["switched"]
        candidates = [role for role in candidates if role not in given]
        if not candidates:
            continue
        role = candidates[0]
        if role in found:
            raise UserError(
                f"{where}: found columns '{headers[found[role][0]]}' and '{header}' for the {role}, allowed: one "
                f"(option {role}_column)"
            )
        found[role] = place, checked(role, unit, f"{where}: column '{header}'")
    return found


def checked(role: str, unit: str, where: str) -> str:
    """Return the unit of a role's column as `UNITS` spells it, "" if it has none; `UserError` if it is another's."""
    known, kinds = unit_of(unit), KINDS.get(role, ())
    if not unit or not kinds or (known is None and role in ("probability", "error_rate")):
        return ""
    if known is None or UNITS[known][0] not in kinds:
        allowed = [name for name, (kind, _) in UNITS.items() if kind in kinds and "per" not in name]
        raise UserError(f"{where}: found unit '{unit}' of a {role}, allowed: {', '.join(allowed)}")
    return known


def in_si(values: np.ndarray, unit: str) -> np.ndarray:
    """Return values, float64[n], of a unit of `UNITS` in SI units; "" is one already."""
    if not unit:
        return values
    kind, size = UNITS[unit]
    if kind == "celsius":
        return values + 273.15
    # a division by 1e9 rounds 7 ns to the number that 7e-9 is, a product with 1e-9 does not
    return values * size if size >= 1 else values / round(1 / size) if kind != "field" else values * size


def labels(content: Content, place: int) -> np.ndarray:
    """Return the cells of a column as text, str[rows], "" where there is none."""

    def label(cell: Any) -> str:
        if cell is None or isinstance(cell, float) and np.isnan(cell):
            return ""
        return f"{cell:g}" if isinstance(cell, float) else str(cell).strip()

    return np.array([label(cell) for cell in content.columns[place]], dtype=object)


def column(content: Content, place: int, share: bool, unit: str) -> np.ndarray:
    """Return the numbers of a column in SI units, float64[rows], NaN where there is none.

    Parameters
    ----------
    content : Content
    place : int
        Of the column.
    share : bool
        Whether a percent sign may follow a number.
    unit : str
        Of `UNITS`, "" for SI.

    Raises
    ------
    UserError
        Names the row of a cell that is neither a number nor empty.
    """
    cells, percent = content.columns[place], np.zeros(len(content.row), bool)
    if cells.dtype.kind == "f":
        return in_si(cells, unit)
    texts = labels(content, place)
    if share:
        percent = np.array([text.endswith("%") for text in texts])
        cells = np.array(
            [text.rstrip("%") if one else cell for text, one, cell in zip(texts, percent, cells)], dtype=object
        )
    values = numbers(cells, content.decimal)
    bad = np.isnan(values) & np.array([text.lower() not in MISSING for text in texts])
    if bad.any():
        index = int(bad.argmax())
        raise UserError(
            f"{content.path}: row {content.row[index]}, column '{content.names[place]}': found {texts[index]!r}, "
            "allowed: a number"
        )
    return np.where(percent, values / 100, in_si(values, unit))


def _key(label: str) -> str:
    return re.sub("[^a-z0-9+]", "", label.lower())


def _parts(text: str) -> tuple[str, str] | None:
    """Return the states before and after that a direction names, None if it names none."""
    text = re.sub(r"(?i)anti[\s_-]+parallel", "antiparallel", text.strip())
    for between in _BETWEEN:
        parts = [part for part in between.split(text) if part]
        if len(parts) == 2 and _key(parts[0]) != _key(parts[1]):
            return parts[0], parts[1]
    return None


def states(
    texts: np.ndarray, before: bool, high_state: str | None, rows: np.ndarray, where: str
) -> tuple[np.ndarray, tuple[str, str]]:
    """Return the state before of each row and the labels of the two states.

    Parameters
    ----------
    texts : ndarray, str[rows]
        Of each row its direction (AP-P, HRS to LRS; up, set), or the state before.
    before : bool
        Whether they are states before.
    high_state : str or None
        Name of the state that conducts more, where the names do not say.
    rows : ndarray, int64[rows]
        Where each stands in the file.
    where : str
        File, for errors.

    Returns
    -------
    int64[rows]
        0 for the state that conducts less, 1 for the other.
    tuple of str
        Labels in this order.

    Raises
    ------
    UserError
        If a text names no direction, or which state conducts more is not known.
    """
    different = list(dict.fromkeys(texts.tolist()))
    words = {text: way for text in different for way in (LOW, HIGH) if _key(text) in WAYS[way]}
    if len(words) == len(different) and not before:
        return np.array([1 - words[text] for text in texts], dtype=np.int64), ("low", "high")
    # of a state before, the state after is the other one
    found = {text: (text, "") if before else _parts(text) for text in different}
    spelled: dict[str, str] = {}
    for text, pair in found.items():
        if pair is None or not pair[0]:
            row = rows[int((texts == text).argmax())]
            raise UserError(
                f"{where}: row {row}: found direction {text!r}, allowed: the states before and after (AP-P, HRS to "
                "LRS), or what it does to the conductance (up or down, set or reset)"
            )
        for label in filter(None, pair):
            spelled.setdefault(_key(label), label)
    names = ", ".join(spelled.values())
    kinds = {key: HIGH if key in STATES[HIGH] else LOW if key in STATES[LOW] else None for key in spelled}
    if high_state is not None:
        if _key(high_state) not in kinds:
            raise UserError(f"{where}: option high_state: found {high_state}, allowed: {names}")
        kinds = {key: HIGH if key == _key(high_state) else LOW for key in spelled}
    known = [kind for kind in kinds.values() if kind is not None]
    if len(kinds) > 2 or len(set(known)) < len(known):
        raise UserError(f"{where}: found states {names}, allowed: two of them")
    if not known:
        raise UserError(
            f"{where}: found states {names}, of which none is known to conduct more, allowed: option high_state with "
            "its name"
        )
    kinds = {key: 1 - known[0] if kind is None else kind for key, kind in kinds.items()}
    labels = {kind: spelled[key] for key, kind in kinds.items()}
    start = {text: kinds[_key(pair[0])] for text, pair in found.items() if pair is not None}
    return np.array([start[text] for text in texts], dtype=np.int64), (labels.get(LOW, "low"), labels.get(HIGH, "high"))
