"""What the sections of a problem file share: what a section says, kinds and their keys, vectors, files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_sims.problem.parts import DataFile
from spinloom import files
from spinloom.declare import Section
from spinloom.errors import UserError


def given_of(section: Section) -> dict[str, Any]:
    """Return what a section says, without what it leaves out."""
    return {name: value for name, value in section if value is not None}


def check_kind(kind: str, said: dict[str, Any], where: str, kinds: dict) -> None:
    """Check that ``said`` has the keys that a kind needs and none that only others use; `UserError` if not."""
    uses, needs = kinds[kind]
    for key in needs:
        if key not in said:
            raise UserError(f"{where}: key '{key}' is missing; kind {kind} needs it")
    for key in said:
        owners = [one for one, (keys, _) in kinds.items() if key in keys]
        if owners and key not in uses:
            raise UserError(f"{where}.{key}: found with kind {kind}, allowed: only with kind {', '.join(owners)}")


def unit(vector: Sequence[float], where: str) -> tuple[float, float, float]:
    """Return a vector of any length as a unit vector; `UserError` if it is zero."""
    if not any(vector):
        raise UserError(f"{where}: found the zero vector, allowed: any other vector")
    exponent = math.frexp(max(map(abs, vector)))[1]
    x, y, z = (math.ldexp(component, -exponent) for component in vector)  # exact, and its length is finite
    length = math.hypot(x, y, z)
    return x / length, y / length, z / length


def data_file(name: str, where: str, folder: Path, interpolate: bool = False) -> DataFile:
    """Return a file, named relative to ``folder``, with its digest; `UserError` if it cannot be read."""
    try:
        path = (folder / Path(name).expanduser()).resolve()
        return DataFile(str(path), files.sha256_file(path), interpolate)
    except OSError as error:
        raise UserError(f"{where}: {folder / name}: cannot be read ({error.strerror})") from None
    except (ValueError, RuntimeError) as error:  # a NUL in the path, no such user
        raise UserError(f"{where}: found {name!r}, allowed: the path of a file ({error})") from None
