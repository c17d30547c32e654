"""What a user may write, declared once: a section is a class, a key is a typed field with its range and meaning.

From the classes come the checks with their one-line errors, the defaults, the JSON Schema for editors, docs/config/,
the options of the command lines, and the frozen objects that the code receives:

    class Track(Section):
        \"\"\"The strip.\"\"\"

        length_m: Real = key("Length of the track.", gt=0, le=1e-5)
        corners: Literal["sharp", "round"] = key("Shape of the ends.", "sharp")

A key without a default must be given. `absent` marks a key that may be left out and has no default: the code sees None.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from spinloom.errors import UserError
from spinloom.explain import LARGEST, check_depth, check_numbers, explain, is_absent, number
from spinloom.registry import Registry

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
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST else value


Real = Annotated[float, Strict(), BeforeValidator(_number)]  # 300 and 300.0 are one value
Whole = Annotated[int, Strict(), BeforeValidator(_whole)]
Flag = Annotated[bool, Strict()]
# whole where it can be: 4.0 is 4, 0.5 stays
Number = Annotated[int | float, BeforeValidator(_whole)]


class OneOf:
    """Marks a value as one of those that ``names`` returns when it is checked, as the names of plug-ins."""

    def __init__(self, names: Callable[[], Iterable[Any]]):
        self.names = names

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, rule: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(rule), "enum": list(self.names())}

    def _known(self, name: Any) -> Any:
        if name not in (names := list(self.names())):
            raise PydanticKnownError("literal_error", {"expected": ", ".join(map(str, names))})
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

    @field_validator("*")
    @classmethod
    def _not_null(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse null for a key that may only be left out."""
        if value is None and is_absent(cls.model_fields.get(str(info.field_name))):
            raise PydanticCustomError("absent", "a value, or leave the key out")
        return value

    @model_serializer(mode="wrap")
    def _without_absent(self, serialise: Any) -> dict[str, Any]:
        if not isinstance(self, Section):  # a copy with changes, not checked yet
            return serialise(self)
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
        default, limits = None, {"validate_default": False, **limits}
    if isinstance(default, type):
        return Field(default_factory=default, description=meaning, json_schema_extra={**extra, "default": {}}, **limits)
    return Field(default, description=meaning, json_schema_extra=extra or None, **limits)


def some_given(section: Bound, names: Iterable[str]) -> Bound:
    """Return ``section``, for a validator that must refuse it if none of these keys is given.

    Raises
    ------
    ValueError
        If none is given.
    """
    if section.model_fields_set.isdisjoint(names):
        raise ValueError(f"found none of these keys, allowed: one or more of {', '.join(sorted(names))}")
    return section


def compose(name: str, base: type[Bound], sections: dict[str, type[Section]], absent: bool = True) -> type[Bound]:
    """Return ``base`` with a key for each of ``sections``, as plug-ins bring them."""
    fields: dict[str, Any] = {
        title: (section | None, key(meaning(section), absent=absent)) for title, section in sections.items()
    }
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


def options_of(registry: Registry) -> dict[str, type[Section]]:
    """Return the ``Options`` of all plug-ins by name, of one without any an empty section.

    One that cannot be imported says so when a config asks for it.
    """

    def options(name: str) -> type[Section]:
        try:
            return getattr(registry.get(name), "Options", Section)
        except UserError as error:
            return _unusable(str(error))

    return {name: options(name) for name in registry.names()}


def _unusable(reason: str) -> type[Section]:
    class Unusable(Section):
        @model_validator(mode="before")
        @classmethod
        def _refuse(cls, content: Any) -> Any:
            raise ValueError(reason)

    return Unusable


def follows(options: str, name: str, registry: Registry) -> Callable[[dict[str, Any]], None]:
    """Return what completes a section's JSON Schema: the key ``options`` holds those of the plug-in that ``name`` says.

    For ``json_schema_extra`` of the section's configuration.
    """

    def complete(rules: dict[str, Any]) -> None:
        rules.setdefault("allOf", []).extend(
            {
                "if": {"properties": {name: {"const": plug_in}}, "required": [name]},
                "then": {"properties": {options: schema(section)}},
            }
            for plug_in, section in options_of(registry).items()
        )

    return complete


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


def schema(model: type[Section]) -> dict[str, Any]:
    """Return the JSON Schema of a section, without references, for editors and for docs/config/."""
    rules = model.model_json_schema()
    return _plain(rules, rules.pop("$defs", {}))


# pydantic leaves the bounds of what may be null under its own names
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def _plain(rule: Any, defs: dict[str, Any], names: bool = False, above: tuple[str, ...] = ()) -> Any:
    """Return a part of a schema with references put in, and without titles; ``names``: its keys are a user's.

    ``above`` are the sections that it lies in: one that may lie in itself is written out once.
    """
    if isinstance(rule, list):
        return [_plain(item, defs, above=above) for item in rule]
    if not isinstance(rule, dict):
        return rule
    if "$ref" in rule and not names:
        section = rule["$ref"].rpartition("/")[2]
        if section in above:
            return {"type": "object", "description": f"As the {section.lower()} around it."}
        above = (*above, section)
        rule = {**defs[section], **{k: v for k, v in rule.items() if k != "$ref"}}
    if names:
        return {name: _plain(item, defs, above=above) for name, item in rule.items()}
    absent = rule.get("absent", False)
    drop = {"title", "absent", *(("default",) if absent else ())}
    plain = {_BOUNDS.get(k, k): _plain(v, defs, k == "properties", above) for k, v in rule.items() if k not in drop}
    several = [one for one in plain.get("anyOf", ()) if one != {"type": "null"}]
    if len(several) == 1:
        only = several[0]
        if not absent and "enum" in only:
            only = {"enum": [*only["enum"], None]}
        elif not absent:
            only = {**only, "type": [only["type"], "null"]}
        plain = {**only, **{k: v for k, v in plain.items() if k != "anyOf"}}
    return plain


BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def allowed(rule: dict[str, Any]) -> str:
    """Return type and bounds in words."""
    if "const" in rule:
        return f"`{json.dumps(rule['const'])}`{' or null' if 'null' in rule.get('type', ()) else ''}"
    if "enum" in rule:
        return ", ".join(f"`{value}`" if value is not None else "null" for value in rule["enum"])
    for several in ("anyOf", "oneOf"):
        if several in rule:
            return " or ".join(dict.fromkeys(filter(None, map(allowed, rule[several]))))
    kinds = rule.get("type", "")
    free = isinstance(kinds, list) and "null" in kinds
    text = " or ".join(kind for kind in kinds if kind != "null") if isinstance(kinds, list) else kinds
    limits = [words.format(number(rule[key])) for key, words in BOUNDS.items() if key in rule]
    if isinstance(rule.get("items"), dict) and (entry := allowed(rule["items"])):
        text += f" of ({entry})" if " or " in entry else f" of {entry}"
    text = f"{text} {', '.join(limits)}".strip()
    return f"{text}{',' if limits else ''} or null" if free else text


def default(rule: dict[str, Any]) -> str:
    """Return the default as the config would write it."""
    return f"`{json.dumps(rule['default'])}`" if "default" in rule else ""
