"""The study's config: checked against its schema with one-line errors, completed with defaults, cut into sections."""

from __future__ import annotations

import copy
import difflib
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from spinloom.errors import UserError

SCHEMAS = Path(__file__).parent.parent / "workflow" / "schemas"
STAGES = ("device_sims", "calibration", "network")
MAX_ENTRIES = 100_000  # a few aliases of aliases are more than any memory holds
MAX_DEPTH = 32  # no schema is half as deep; an alias of what it lies in has no end


class _Loader(yaml.SafeLoader):
    """YAML without tags that run code, in which no key of a mapping silently replaces an earlier one."""

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        lines = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                raise UserError(
                    f"{self.name}: line {line}: found key '{_short(key.value)}' again, first in line "
                    f"{lines[key.tag, key.value]}, allowed: each key once"
                )
            lines[key.tag, key.value] = line
        return node


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the config: each device family's part, a law's and the network's are files."""
    rules = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text(encoding="utf-8"))
    device_sims = rules["properties"]["device_sims"]["properties"]
    for path in sorted((SCHEMAS / "devices").glob("*.yaml")):
        device_sims[path.stem] = yaml.safe_load(path.read_text(encoding="utf-8"))
        device_sims["device"].setdefault("enum", []).append(path.stem)
    calibration = rules["properties"]["calibration"]["properties"]
    parametric = yaml.safe_load((SCHEMAS / "sources" / "parametric.yaml").read_text(encoding="utf-8"))
    calibration["parametric"] = {**parametric, **calibration["parametric"]}
    population = parametric["properties"]["population"]["properties"]
    calibration["source"]["properties"]["population"]["properties"] = population
    rules["properties"]["network"] = yaml.safe_load((SCHEMAS / "network.yaml").read_text(encoding="utf-8"))
    return rules


def load(path: str | Path, overlay: str | Path | None = None) -> dict[str, Any]:
    """Return the checked config of ``path`` with the file ``overlay`` laid over it, key by key.

    Raises
    ------
    UserError
        If a file cannot be read, or the config is wrong.
    """
    return resolve(_another_rule(read(path), read(overlay) if overlay else {}), str(overlay or path))


def read(path: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; tags and anything else that could run code are refused.

    Raises
    ------
    UserError
        If it cannot be read, is no mapping, has a key twice, or is nested without end.
    """
    try:
        with open(path, encoding="utf-8") as stream:  # a stream tells the loader the file's name
            layer = yaml.load(stream, Loader=_Loader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(layer, dict):
        raise UserError(f"{path}: found no keys, allowed: a YAML mapping")
    _check_depth(layer, str(path))
    return layer


def laid_over(path: str | Path, layer: dict[str, Any]) -> dict[str, Any]:
    """Return the checked config of ``path`` with ``layer``, as Snakemake read it from ``--configfile``, over it."""
    return resolve(_another_rule(read(path), layer), f"{path} and overlays" if layer else str(path))


def stacked(path: str | Path, layers: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """Return the checked config of ``path`` with ``layers`` over it, the last on top; errors as of `resolve`."""
    whole = read(path)
    for layer in layers:
        whole = _another_rule(whole, layer)
    return resolve(whole, source)


def _another_rule(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay ``above`` over ``below``; the options of a learning rule do not outlive the rule."""
    old, new = below.get("network"), above.get("network")
    if isinstance(old, dict) and isinstance(new, dict) and new.get("rule", old.get("rule")) != old.get("rule"):
        below = {**below, "network": {key: value for key, value in old.items() if key != "rule_options"}}
    return _overlay(below, above)


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)}
    return {**below, **above, **{key: _overlay(below[key], above[key]) for key in both}}


def resolve(config: dict[str, Any], source: str = "config") -> dict[str, Any]:
    """Return a checked copy of ``config`` with every default filled in and every number in the type of its key.

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
    return resolve_with(schema(), config, source)


def check_section(content: Any, stage: str, source: str) -> dict[str, Any]:
    """Return a checked and completed copy of a stage's section file; errors as of `resolve`."""
    rules = schema()["properties"]
    own = rules[stage]
    own = {**own, "properties": {"seed": rules["seed"], **own["properties"]}, "required": ["seed", *own["required"]]}
    return resolve_with(own, content, source)


def resolve_with(rules: dict[str, Any], config: Any, source: str) -> dict[str, Any]:
    """Return a checked and completed copy of ``config`` by any schema; arguments and errors as of `resolve`.

    The schema may use what `resolve` can fill in and explain: ``properties`` and ``items``, no references.
    """
    _check_depth(config, source)
    for path, value in _leaves(config):
        if isinstance(value, float) and not math.isfinite(value) or isinstance(value, int) and abs(value) > 2**53:
            raise UserError(f"{source}: {path}: found {_short(value)}, allowed: finite numbers up to 2^53")
    config = _numbers(copy.deepcopy(config), rules)
    validator = jsonschema.Draft202012Validator(rules)
    errors = sorted(validator.iter_errors(config), key=lambda e: (-len(e.absolute_path), str(e.absolute_path)))
    if errors:
        raise UserError(f"{source}: {_explain(errors[0])}")
    _fill(config, rules)
    return _numbers(config, rules)


def _check_depth(value: Any, source: str, path: str = "", depth: int = 0, entries: int = 0) -> int:
    """Refuse what has no end, or could as well have none; return the number of ``entries`` with those of ``value``."""
    if depth > MAX_DEPTH:
        raise UserError(
            f"{source}: {_short(path)}: found more than {MAX_DEPTH} levels, or an alias of what it lies in, "
            f"allowed: at most {MAX_DEPTH} levels"
        )
    for key, item in _items(value):
        entries = _check_depth(item, source, f"{path}.{key}" if path else str(key), depth + 1, entries + 1)
        if entries > MAX_ENTRIES:
            raise UserError(
                f"{source}: {_short(path)}: found more than {MAX_ENTRIES} entries, aliases written out, "
                f"allowed: at most {MAX_ENTRIES}"
            )
    return entries


def _items(value: Any):
    return value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()


def _leaves(value: Any, path: str = ""):
    for key, item in _items(value):
        yield from _leaves(item, f"{path}.{key}" if path else str(key))
    if not isinstance(value, (dict, list)):
        yield path, value


def section(config: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return what a stage sees of the config: its own part and the study's seed."""
    return {"seed": config["seed"], **(config[stage] or {})}


def section_texts(config: dict[str, Any], more: dict[str, dict[str, Any]] | None = None) -> dict[str, str]:
    """Return the text of each section file by its name: ``resolved`` is the whole config, each stage has its own.

    ``more`` are further files by name: what single jobs of a stage see of its section.
    """
    parts = {"resolved": config, **{stage: section(config, stage) for stage in STAGES}, **(more or {})}
    return {name: json.dumps(_in_order(content), indent=1) + "\n" for name, content in parts.items()}


def _in_order(value: Any, name: str = "") -> Any:
    """Return ``value`` with all keys sorted, except for variants: tables show these in the user's order."""
    if isinstance(value, dict):
        keys = value if name == "variants" else sorted(value)
        return {key: _in_order(value[key], key) for key in keys}
    return [_in_order(item) for item in value] if isinstance(value, list) else value


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
    for item in value if isinstance(value, list) else ():
        _fill(item, rules.get("items", {}))


def _explain(error: jsonschema.ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path) or "top level"
    rule = error.validator
    if rule == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = next(key for key in error.instance if key not in known)
        # names end in their unit, which is what one forgets
        close = difflib.get_close_matches(str(unknown), known, n=1) or [k for k in known if k.startswith(f"{unknown}_")]
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
    return f"{path}: found {_short(error.instance)}, allowed: {text}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = text.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."
