"""Problem files against their YAML schema. To be replaced by a model as in `spinloom.declare`."""

from __future__ import annotations

import copy
import difflib
import json
import math
from typing import Any

import jsonschema

from spinloom.errors import UserError
from spinloom.explain import check_depth, leaves


def resolve_with(rules: dict[str, Any], config: Any, source: str) -> dict[str, Any]:
    """Return a checked and completed copy of ``config`` by any schema; arguments and errors as of `resolve`.

    The schema may use what `resolve` can fill in and explain: ``properties`` and ``items``, no references.
    """
    check_depth(config, source)
    for path, value in leaves(config):
        if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) > 2**53:
            raise UserError(f"{source}: {path}: found {_short(value)}, allowed: finite numbers up to 2^53")
    config = _numbers(copy.deepcopy(config), rules)
    validator = jsonschema.Draft202012Validator(rules)
    errors = sorted(validator.iter_errors(config), key=lambda e: (-len(e.absolute_path), str(e.absolute_path)))
    if errors:
        raise UserError(f"{source}: {_explain(errors[0])}")
    _fill(config, rules)
    return _numbers(config, rules)


def _numbers(value: Any, rules: dict[str, Any]) -> Any:
    """Return ``value`` with each number in the type of its key, so that 300 and 300.0 are one config.

    Texts such as ``2e11``, which YAML 1.1 does not read as a number, are numbers too.
    """
    if isinstance(value, dict):
        known, other = rules.get("properties", {}), rules.get("additionalProperties")
        other = other if isinstance(other, dict) else {}
        return {key: _numbers(item, known.get(key, other)) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, rules.get("items", {})) for item in value]
    kinds = rules.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    is_text = isinstance(value, str) and "string" in kinds
    if is_text or isinstance(value, bool) or not {"number", "integer"} & set(kinds):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    # a key that may be either takes whole numbers as such
    if "number" in kinds and not ("integer" in kinds and number.is_integer()):
        return number if math.isfinite(number) else value
    return int(number) if number.is_integer() else value


def _fill(value: Any, rules: dict[str, Any]) -> None:
    for key, rule in rules.get("properties", {}).items():
        if isinstance(value, dict):
            if key not in value and "default" in rule:
                value[key] = copy.deepcopy(rule["default"])
            if key in value:
                _fill(value[key], rule)
    for item in value if isinstance(value, list) else ():
        _fill(item, rules.get("items", {}))


def _explain(error: jsonschema.ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path) or "top level"
    # a schema and a file's content may be anything
    schema: Any = error.schema
    limit: Any = error.validator_value
    instance: Any = error.instance
    rule = str(error.validator)
    if rule == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        unknown = next(key for key in instance if key not in known)
        # names end in their unit, which is what one forgets
        close = difflib.get_close_matches(str(unknown), known, n=1) or [k for k in known if k.startswith(f"{unknown}_")]
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        return f"{path}: found unknown key '{_short(unknown)}'{hint}, allowed: {', '.join(known)}"
    if rule == "required":
        missing = next(key for key in limit if key not in instance)
        return f"{path}: key '{missing}' is missing"
    allowed = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "minItems": "at least {} entries",
        "maxItems": "at most {} entries",
        "pattern": "text that matches {}",
        "type": "{}",
        "maxLength": "at most {} characters",
    }
    if rule == "not":
        text = "letters, digits, _ and -"
    elif rule == "enum":
        text = ", ".join(map(str, limit))
    elif rule == "uniqueItems":
        text = "each entry once"
    elif rule == "type":
        text = " or ".join(limit) if isinstance(limit, list) else limit
    else:
        text = allowed.get(rule, f"{rule} {{}}").format(limit)
    return f"{path}: found {_short(instance)}, allowed: {text}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."
