"""What is wrong with what a user wrote, in one line: ``key: found this, allowed: that``.

`explain` words pydantic's errors. The checks here refuse what no declaration can judge: input without end, and numbers
that are none.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from spinloom.errors import UserError

MAX_ENTRIES = 100_000  # a few aliases of aliases are more than any memory holds
MAX_DEPTH = 32  # no section is half as deep; an alias of what it lies in has no end
SMALLEST = 1e-40  # no quantity of a device in SI units is as small
LARGEST = 2**53  # a float holds every whole number up to here


def check_depth(value: Any, source: str, path: str = "", depth: int = 0, entries: int = 0) -> int:
    """Return ``entries`` plus the number of entries in ``value``.

    Raises
    ------
    UserError
        If ``value`` has too many levels or entries: it may have no end.
    """
    if depth > MAX_DEPTH:
        raise UserError(
            f"{source}: {short(path)}: found more than {MAX_DEPTH} levels, or an alias of a section that contains it, "
            f"allowed: at most {MAX_DEPTH} levels"
        )
    for name, item in _items(value):
        entries = check_depth(item, source, f"{path}.{name}" if path else str(name), depth + 1, entries + 1)
        if entries > MAX_ENTRIES:
            raise UserError(
                f"{source}: {short(path)}: found more than {MAX_ENTRIES} entries (aliases count in full), allowed: at "
                f"most {MAX_ENTRIES}"
            )
    return entries


def check_numbers(content: Any, source: str) -> None:
    """Check that numbers are finite and that a float can hold them.

    Raises
    ------
    UserError
        If a number is not finite or is beyond 2^53.
    """
    for path, value in leaves(content):
        if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) > LARGEST:
            raise UserError(f"{source}: {path}: found {short(value)}, allowed: finite numbers up to 2^53")


def check_magnitudes(content: Any, source: str) -> None:
    """Check that no number of a user's is so close to zero that what it is divided into overflows.

    Raises
    ------
    UserError
        If one is below `SMALLEST`, and not zero.
    """
    for path, value in leaves(content):
        if isinstance(value, float) and 0 < abs(value) < SMALLEST:
            raise UserError(f"{source}: {path}: found {short(value)}, allowed: 0, or a size of {SMALLEST:g} or more")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of everything in ``value`` that is neither mapping nor list."""
    for name, item in _items(value):
        yield from leaves(item, f"{path}.{name}" if path else str(name))
    if not isinstance(value, (dict, list)):
        yield path, value


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()


# pydantic's type of an error -> what is allowed, filled in from its context
ALLOWED = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "finite_number": "a finite number",
    "string_pattern_mismatch": "text that matches {pattern}",
}
# beginning of the type of an error -> kind of value that is allowed
KINDS = {
    "float": "number", "int": "integer", "string": "string", "bool": "boolean", "tuple": "array", "list": "array",
    "model": "object", "dict": "object", "none": "null",
}  # fmt: skip
UNKNOWN = ("extra_forbidden", "invalid_key")  # types of the error for a key that no section has
OWN = ("value_error", "assertion_error")  # types of the error that a check of ours raises
ORDER = ("integer", "number", "string", "boolean", "array", "object", "null")


def explain(error: ValidationError, model: type[BaseModel], content: Any, where: str = "") -> str:
    """Return the deepest error as ``path: found this, allowed: that``."""
    found: dict[tuple, list[Any]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(_path(one, content), []).append(one)
    path = min(found, key=lambda path: _rank(path, found[path][0]["type"]))
    # a value of the right type that cannot be says more than that it is of no other type
    errors = sorted(found[path], key=lambda one: one["type"] not in OWN)
    first = errors[0]
    text = ".".join(map(str, (*filter(None, [where]), *path)))
    kind, is_key = first["type"], first["loc"][-1:] == ("[key]",)
    if kind in UNKNOWN:
        known = sorted(_keys(model, path[:-1]))
        return f"{_parent(where, path)}: {unknown_key(path[-1], known, getattr(model, 'OTHER_NAMES', {}))}"
    if kind == "missing":
        return f"{_parent(where, path)}: key '{path[-1]}' is missing"
    value = first["input"] if is_key else _at(content, path)
    if kind in OWN:
        return f"{text or 'top level'}: {first['ctx']['error']}"
    if kind not in ("literal_error", *ALLOWED) and not kind.endswith(("_type", "_parsing", "_from_float")):
        return f"{text or 'top level'}: found {short(value)}, allowed: {first['msg']}"
    allowed = [_allowed(one) for one in (errors[:1] if is_key else errors)]
    if not is_key and _nullable(model, path):
        allowed.append("null")
    order = [kind for kind in ORDER if kind in allowed]  # kinds of values last, in one order
    words = dict.fromkeys([one for one in allowed if one not in ORDER] + order)
    return f"{text or 'top level'}: found {short(value)}, allowed: {' or '.join(words)}"


def _rank(path: tuple, kind: str) -> tuple:
    """Return what the error to tell is the least by: the deepest; of one section an unknown key before a missing one.

    A misspelt key is both, and the hint comes with the unknown one.
    """
    of_keys = (*UNKNOWN, "missing")
    where = path[:-1] if kind in of_keys else path
    return -len(where), str(where), of_keys.index(kind) if kind in of_keys else len(of_keys)


def unknown_key(name: Any, known: list[str], other_names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the text of the error for a key that is none of ``known``.

    ``other_names`` says of names in lower case what they are, for keys that other programs call otherwise.
    """
    # names end in their unit, which is what one forgets
    close = difflib.get_close_matches(str(name), known, n=1) or [k for k in known if k.startswith(f"{name}_")]
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    if told := other_names.get(str(name).lower()):
        hint = f" ({told})"
    return f"found unknown key '{short(name)}'{hint}, allowed: {', '.join(known) or 'none'}"


def short(value: Any) -> str:
    """Return a value as an error shows it: one line of at most 60 characters."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    except TypeError:  # a key that JSON does not know, as a date
        text = str(value)
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def number(value: float) -> str:
    """Return a number as one writes it: 2500000, 1e9, 2e-8."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    text = f"{mantissa}e{int(exponent)}" if exponent else mantissa
    whole = float(value).is_integer() and (abs(value) < 1e7 or float(text) != value)
    return str(int(value)) if whole else text


def _allowed(one: Any) -> str:
    kind, context = one["type"], one.get("ctx", {})
    if kind == "literal_error":
        return context["expected"].replace("'", "").replace(" or ", ", ")
    if kind in ALLOWED:
        return ALLOWED[kind].format(**{k: number(v) if isinstance(v, float) else v for k, v in context.items()})
    return KINDS[kind.split("_")[0]]


def _path(one: Any, content: Any) -> tuple:
    """Return where an error is, without the names that pydantic gives to the members of a union."""
    loc: tuple = one["loc"]
    own: tuple = ()
    if one["type"] in (*UNKNOWN, "missing"):  # a key that the content lacks, or that pydantic tells as a text
        loc, own = loc[:-1], (one["input"] if one["type"] == "invalid_key" else loc[-1],)
    elif loc[-1:] == ("[key]",):  # the error of a free name is told of the mapping that it stands in
        loc = loc[:-2]
    path: list[Any] = []
    for part in loc:
        inside = content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
        if part in inside:
            path.append(part)
            content = content[part]
    return (*path, *own)


def _at(content: Any, path: tuple) -> Any:
    for part in path:
        content = content[part]
    return content


def _parent(where: str, path: tuple) -> str:
    return ".".join(map(str, (*filter(None, [where]), *path[:-1]))) or "top level"


def _annotations(model: type[BaseModel], path: tuple) -> Iterator[Any]:
    """Yield the types that the value at ``path`` may have."""
    types: list[Any] = [model]
    for part in path:
        below: list[Any] = []
        for one in types:
            if isinstance(one, type) and issubclass(one, BaseModel):
                field = one.model_fields.get(str(part))
                kinds = members(field.annotation) if field else []
                below += [kind for kind in kinds if kind is not type(None) or not is_absent(field)]
            elif isinstance(part, int):
                below += [m for inner in getattr(one, "__args__", ()) if inner is not ... for m in members(inner)]
            else:  # a mapping with free names
                below += members(one.__args__[1]) if len(getattr(one, "__args__", ())) == 2 else []
        types = below
    yield from types


def is_absent(field: FieldInfo | None) -> bool:
    """Return whether a field has no default and may be left out."""
    return field is not None and isinstance(field.json_schema_extra, dict) and "absent" in field.json_schema_extra


def members(annotation: Any) -> list[Any]:
    """Return the types in a union, or the type itself, without their annotations."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for one in get_args(annotation) for member in members(one)]
    return [annotation]


def _keys(model: type[BaseModel], path: tuple) -> list[str]:
    return [
        field.alias or name
        for one in _annotations(model, path)
        if isinstance(one, type) and issubclass(one, BaseModel)
        for name, field in one.model_fields.items()
    ]


def _nullable(model: type[BaseModel], path: tuple) -> bool:
    return type(None) in list(_annotations(model, path))
