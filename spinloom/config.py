"""The study's config: checked against its schema with one-line errors, completed with defaults, cut into sections."""

from __future__ import annotations

import copy
import difflib
import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from spinloom import files
from spinloom.errors import UserError

SCHEMA = Path(__file__).parent.parent / "workflow" / "schemas" / "config.schema.yaml"
STAGES = ("device_sims", "calibration", "network")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the config."""
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def load(path: str | Path, overlay: str | Path | None = None) -> dict[str, Any]:
    """Return the checked config of ``path`` with ``overlay`` laid over it, key by key.

    Raises
    ------
    UserError
        If a file cannot be read, or the config is wrong.
    """
    config: dict[str, Any] = {}
    for source in filter(None, (path, overlay)):
        try:
            layer = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{source}: cannot be read ({error.strerror})") from None
        except yaml.YAMLError as error:
            raise UserError(f"{source}: not valid YAML: {error}") from None
        if not isinstance(layer, dict):
            raise UserError(f"{source}: found no keys, allowed: a YAML mapping")
        config = _overlay(config, layer)
    return resolve(config, str(overlay or path))


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: _overlay(below[key], above[key]) for key in both}}


def resolve(config: dict[str, Any], source: str = "config") -> dict[str, Any]:
    """Return a checked copy of ``config`` with every default filled in.

    Parameters
    ----------
    config : dict
        As read from YAML.
    source : str
        What to call it in errors.

    Raises
    ------
    UserError
        One line with the key, what was found and what is allowed.
    """
    config = _numbers(copy.deepcopy(config), schema())
    validator = jsonschema.Draft202012Validator(schema())
    errors = sorted(validator.iter_errors(config), key=lambda e: (-len(e.absolute_path), str(e.absolute_path)))
    if errors:
        raise UserError(f"{source}: {_explain(errors[0])}")
    _fill(config, schema())
    try:
        files.canonical_json(config)
    except ValueError:
        raise UserError(f"{source}: found a number that is NaN or infinite, allowed: finite numbers") from None
    return config


def section(config: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return what a stage sees of the config: its own part and the study's seed."""
    return {"seed": config["seed"], **config[stage]}


def write_sections(config: dict[str, Any], directory: str | Path) -> dict[str, str]:
    """Write the whole config as ``resolved.json`` and each stage's section as ``STAGE.json``; return the paths.

    A file that already has the right content is left alone, so that its time of change means a change.
    """
    paths = {}
    for name, content in {"resolved": config, **{stage: section(config, stage) for stage in STAGES}}.items():
        path = Path(directory) / f"{name}.json"
        text = json.dumps(content, sort_keys=True, indent=1) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            files.write_text(text, path)
        paths[name] = str(path)
    return paths


def _numbers(value: Any, rules: dict[str, Any]) -> Any:
    """Return ``value`` with texts such as ``2e11``, which YAML 1.1 does not read as a number, made numbers."""
    if isinstance(value, dict):
        known = rules.get("properties", {})
        return {key: _numbers(item, known.get(key, {})) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, rules.get("items", {})) for item in value]
    if isinstance(value, str) and rules.get("type") in ("number", "integer"):
        try:
            number = float(value)
        except ValueError:
            return value
        return int(number) if rules["type"] == "integer" and number.is_integer() else number
    return value


def sources(*packages: str) -> list[str]:
    """Return the Python files of packages, sorted: what a workflow rule names as a stage's sources."""
    return sorted(str(path) for package in packages for path in Path(package).rglob("*.py"))


def _fill(value: Any, rules: dict[str, Any]) -> None:
    for key, rule in rules.get("properties", {}).items():
        if isinstance(value, dict):
            if key not in value and "default" in rule:
                value[key] = copy.deepcopy(rule["default"])
            if key in value:
                _fill(value[key], rule)


def _explain(error: jsonschema.ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path) or "top level"
    rule = error.validator
    if rule == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        close = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        return f"{path}: found unknown key '{_short(unknown)}'{hint}, allowed: {', '.join(known)}"
    if rule == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
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
    limit = error.validator_value
    if rule == "enum":
        text = ", ".join(map(str, limit))
    elif rule == "uniqueItems":
        text = "each entry once"
    elif rule == "type":
        text = " or ".join(limit) if isinstance(limit, list) else limit
    else:
        text = allowed.get(rule, f"{rule} {{}}").format(limit)
    return f"{path}: found {_short(error.instance)}, allowed: {text}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."
