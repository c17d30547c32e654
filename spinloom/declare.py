"""What a user may write, declared once: a section is a class, a key is a typed field with its range and meaning.

From the classes come the checks with their one-line errors, the defaults, the JSON Schema for editors, docs/config.md,
the options of the command lines, and the frozen objects that the code receives:

    class Track(Section):
        \"\"\"The strip.\"\"\"

        length_m: Real = key("Length of the track.", gt=0, le=1e-5)
        corners: Literal["sharp", "round"] = key("Shape of the ends.", "sharp")

A key without a default must be given. `absent` marks a key that may be left out and has no default: the code sees None.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationError,
    create_model,
    model_serializer,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from spinloom.errors import UserError

MAX_ENTRIES = 100_000  # a few aliases of aliases are more than any memory holds
MAX_DEPTH = 32  # no section is half as deep; an alias of what it lies in has no end
Bound = TypeVar("Bound", bound="Section")


def _number(value: Any) -> Any:
    """Return a text that is a number as one: YAML 1.1 reads ``2e11`` as a text."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _whole(value: Any) -> Any:
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


Real = Annotated[float, Strict(), BeforeValidator(_number)]  # 300 and 300.0 are one value
Whole = Annotated[int, Strict(), BeforeValidator(_whole)]
Flag = Annotated[bool, Strict()]
# whole where it can be: 4.0 is 4, 0.5 stays
Number = Annotated[int | float, BeforeValidator(_whole)]


class OneOf:
    """Marks a text as one of the names that ``names`` returns when a value is checked, as those of plug-ins."""

    def __init__(self, names: Callable[[], Iterable[str]]):
        self.names = names

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, rule: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(rule), "enum": list(self.names())}

    def _known(self, name: str) -> str:
        if name not in (names := list(self.names())):
            raise PydanticKnownError("literal_error", {"expected": ", ".join(names)})
        return name


class Section(BaseModel):
    """Base of all that a user writes: unknown keys are refused, and nothing changes after the check."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, protected_namespaces=()
    )

    @classmethod
    def parse(cls, content: Any, source: str, where: str = "") -> Self:
        """Return ``content`` checked and completed.

        Parameters
        ----------
        content : Any
            As read from YAML or JSON.
        source : str
            Name of the file, for errors.
        where : str
            Key that ``content`` stands under, for errors.

        Raises
        ------
        UserError
            One line with the key, what was found and what is allowed.
        """
        check_depth(content, source)
        check_numbers(content, source)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise UserError(f"{source}: {explain(error, cls, content, where)}") from None

    def dump(self) -> dict[str, Any]:
        """Return the section as JSON holds it, with every default filled in."""
        return self.model_dump(mode="json")

    @model_serializer(mode="wrap")
    def _without_absent(self, serialise: Any) -> dict[str, Any]:
        fields = type(self).model_fields
        return {k: v for k, v in serialise(self).items() if v is not None or not is_absent(fields.get(k))}


def key(meaning: str, default: Any = ..., *, absent: bool = False, **limits: Any) -> Any:
    """Declare a key.

    Parameters
    ----------
    meaning : str
        One sentence, for docs and editors.
    default : Any
        Value if the key is left out; without one the key must be given. A class stands for itself with its defaults.
    absent : bool
        The key may be left out and has no default; its type must allow None.
    **limits
        ``gt``, ``ge``, ``lt``, ``le``, ``min_length``, ``max_length``, ``pattern``, as in `pydantic.Field`.
    """
    extra: dict[str, Any] = {"absent": True} if absent else {}
    if absent:
        default = None
    if isinstance(default, type):
        return Field(default_factory=default, description=meaning, json_schema_extra={**extra, "default": {}}, **limits)
    return Field(default, description=meaning, json_schema_extra=extra or None, **limits)


def is_absent(field: FieldInfo | None) -> bool:
    """Return whether a field has no default and may be left out."""
    return field is not None and isinstance(field.json_schema_extra, dict) and "absent" in field.json_schema_extra


def compose(name: str, base: type[Bound], sections: dict[str, type[Section]], absent: bool = True) -> type[Bound]:
    """Return ``base`` with a key for each of ``sections``, as plug-ins bring them."""
    fields: dict[str, Any] = {
        title: (section | None, key(meaning(section), absent=absent)) for title, section in sections.items()
    }
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


def partial(name: str, base: type[Bound]) -> type[Bound]:
    """Return a section with the keys of ``base``, none of which must be given; dump it with ``exclude_unset``."""
    fields: dict[str, Any] = {}
    for title, field in base.model_fields.items():
        free = copy(field)
        free.default, free.default_factory, free.validate_default = None, None, False
        fields[title] = (field.rebuild_annotation(), free)
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


def meaning(section: type[Section]) -> str:
    """Return the first line of a section's docstring."""
    return (section.__doc__ or "").strip().split("\n")[0]


def check_depth(value: Any, source: str, path: str = "", depth: int = 0, entries: int = 0) -> int:
    """Refuse what has no end, or could as well have none; return the number of ``entries`` with those of ``value``."""
    if depth > MAX_DEPTH:
        raise UserError(
            f"{source}: {short(path)}: found more than {MAX_DEPTH} levels, or an alias of what it lies in, "
            f"allowed: at most {MAX_DEPTH} levels"
        )
    for name, item in _items(value):
        entries = check_depth(item, source, f"{path}.{name}" if path else str(name), depth + 1, entries + 1)
        if entries > MAX_ENTRIES:
            raise UserError(
                f"{source}: {short(path)}: found more than {MAX_ENTRIES} entries, aliases written out, "
                f"allowed: at most {MAX_ENTRIES}"
            )
    return entries


def check_numbers(content: Any, source: str) -> None:
    """Refuse numbers that are not finite or that a float cannot hold."""
    for path, value in leaves(content):
        if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) > 2**53:
            raise UserError(f"{source}: {path}: found {short(value)}, allowed: finite numbers up to 2^53")


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
    "string_pattern_mismatch": "text that matches {pattern}",
}
# beginning of the type of an error -> kind of value that is allowed
KINDS = {
    "float": "number", "int": "integer", "string": "string", "bool": "boolean", "tuple": "array", "list": "array",
    "model": "object", "dict": "object", "none": "null",
}  # fmt: skip


ORDER = ("integer", "number", "string", "boolean", "array", "object", "null")


def explain(error: ValidationError, model: type[Section], content: Any, where: str = "") -> str:
    """Return the deepest error as ``path: found this, allowed: that``."""
    found: dict[tuple, list[Any]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(_path(one, content), []).append(one)
    path = min(found, key=lambda path: (-len(path), str(path)))
    errors = found[path]
    first = errors[0]
    text = ".".join(map(str, (*filter(None, [where]), *path)))
    kind = first["type"]
    if kind == "extra_forbidden":
        known = sorted(_keys(model, path[:-1]))
        return f"{_parent(where, path)}: {unknown_key(path[-1], known)}"
    if kind == "missing":
        return f"{_parent(where, path)}: key '{path[-1]}' is missing"
    value = _at(content, path)
    if first["loc"][-1:] == ("[key]",):
        path, value = path[:-1], path[-1]
        text = ".".join(map(str, (*filter(None, [where]), *path)))
    if kind in ("value_error", "assertion_error"):
        return f"{text or 'top level'}: {first['ctx']['error']}"
    if kind not in ("literal_error", *ALLOWED) and not kind.endswith(("_type", "_parsing", "_from_float")):
        return f"{text or 'top level'}: found {short(value)}, allowed: {first['msg']}"
    allowed = [_allowed(one) for one in errors]
    if _nullable(model, path):
        allowed.append("null")
    order = [kind for kind in ORDER if kind in allowed]  # kinds of values last, in one order
    words = dict.fromkeys([one for one in allowed if one not in ORDER] + order)
    return f"{text or 'top level'}: found {short(value)}, allowed: {' or '.join(words)}"


def unknown_key(name: Any, known: list[str]) -> str:
    """Return the text of the error for a key that is none of ``known``."""
    # names end in their unit, which is what one forgets
    close = difflib.get_close_matches(str(name), known, n=1) or [k for k in known if k.startswith(f"{name}_")]
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return f"found unknown key '{short(name)}'{hint}, allowed: {', '.join(known)}"


def short(value: Any) -> str:
    """Return a value as an error shows it: one line of at most 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _allowed(one: Any) -> str:
    kind, context = one["type"], one.get("ctx", {})
    if kind == "literal_error":
        return context["expected"].replace("'", "").replace(" or ", ", ")
    if kind in ALLOWED:
        return ALLOWED[kind].format(**{k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()})
    return KINDS[kind.split("_")[0]]


def _path(one: Any, content: Any) -> tuple:
    """Return where an error is, without the names that pydantic gives to the members of a union."""
    path: list[Any] = []
    for part in one["loc"]:
        inside = isinstance(content, dict) and part in content or isinstance(content, list) and isinstance(part, int)
        if inside:
            path.append(part)
            content = content[part]
    return (*path, one["loc"][-1]) if one["type"] == "missing" else tuple(path)


def _at(content: Any, path: tuple) -> Any:
    for part in path:
        content = content[part]
    return content


def _parent(where: str, path: tuple) -> str:
    return ".".join(map(str, (*filter(None, [where]), *path[:-1]))) or "top level"


def schema(model: type[Section]) -> dict[str, Any]:
    """Return the JSON Schema of a section, without references, for editors and for docs/config.md."""
    rules = model.model_json_schema()
    return _plain(rules, rules.pop("$defs", {}))


# pydantic leaves the bounds of what may be null under its own names
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def _plain(rule: Any, defs: dict[str, Any], names: bool = False) -> Any:
    """Return a part of a schema with references put in, and without titles; ``names``: its keys are a user's."""
    if isinstance(rule, list):
        return [_plain(item, defs) for item in rule]
    if not isinstance(rule, dict):
        return rule
    if "$ref" in rule and not names:
        rule = {**defs[rule["$ref"].rpartition("/")[2]], **{k: v for k, v in rule.items() if k != "$ref"}}
    if names:
        return {name: _plain(item, defs) for name, item in rule.items()}
    absent = rule.get("absent", False)
    drop = {"title", "absent", *(("default",) if absent else ())}
    plain = {_BOUNDS.get(k, k): _plain(v, defs, k == "properties") for k, v in rule.items() if k not in drop}
    several = [one for one in plain.get("anyOf", ()) if one != {"type": "null"}]
    if len(several) == 1:
        only = several[0]
        if not absent and "enum" in only:
            only = {"enum": [*only["enum"], None]}
        elif not absent:
            only = {**only, "type": [only["type"], "null"]}
        plain = {**only, **{k: v for k, v in plain.items() if k != "anyOf"}}
    return plain


def _annotations(model: type[Section], path: tuple) -> Iterator[Any]:
    """Yield the types that the value at ``path`` may have."""
    types: list[Any] = [model]
    for part in path:
        below: list[Any] = []
        for one in types:
            if isinstance(one, type) and issubclass(one, Section):
                field = one.model_fields.get(part)
                below += members(field.annotation) if field else []
            elif isinstance(part, int):
                below += [m for inner in getattr(one, "__args__", ()) if inner is not ... for m in members(inner)]
            else:  # a mapping with free names
                below += members(one.__args__[1]) if len(getattr(one, "__args__", ())) == 2 else []
        types = below
    yield from types


def members(annotation: Any) -> list[Any]:
    """Return the types in a union, or the type itself, without their annotations."""
    from types import UnionType
    from typing import Union, get_args, get_origin

    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [member for one in get_args(annotation) for member in members(one)]
    return [annotation]


def _keys(model: type[Section], path: tuple) -> list[str]:
    return [
        name
        for one in _annotations(model, path)
        if isinstance(one, type) and issubclass(one, Section)
        for name in one.model_fields
    ]


def _nullable(model: type[Section], path: tuple) -> bool:
    return type(None) in list(_annotations(model, path))
