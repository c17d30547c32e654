"""Files of measured or published devices -> writes to count, or a kernel card.

Each module of this package is a format, as is each entry point of the group ``spinloom.importers``. It defines
``Options``, the section of its options (below `base.Common`), and ``read(path, options) -> Imported``.
``BRINGS_STATES = True`` says that its card comes with its states, on which ``calibration.states`` does not act.
``docs/import.md`` describes the formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibration.sources.importers.base import Common, Imported
from spinloom.registry import Registry

__all__ = ["REGISTRY", "Imported", "brings_states", "check", "import_file"]

REGISTRY = Registry(
    "calibration.source.format",
    __name__,
    words=("Options", "read"),
    shared=("base", "lattice", "measured", "reading", "sequence", "series", "units"),
)


def brings_states(format: str) -> bool:
    """Return whether the card of a format comes with its states."""
    return getattr(REGISTRY.get(format), "BRINGS_STATES", False)


def check(format: str, options: dict[str, Any] | None, source: str) -> Common:
    """Return the options of a format with their defaults, before any file is read.

    Parameters
    ----------
    format : str
        One of `REGISTRY`.
    options : dict or None
        Of the format's ``Options``; values may be text, as a command line gives them, and null is the default.
    source : str
        Begins the errors.

    Raises
    ------
    UserError
        If the format or an option is unknown, or an option's value is of the wrong type or outside its range.
    """
    known = REGISTRY.get(format).Options
    given = {
        name: value for name, value in (options or {}).items() if value is not None or name not in known.model_fields
    }
    return known.parse(given, source, "options")


def import_file(path: str | Path, format: str, options: dict[str, Any] | None = None) -> Imported:
    """Read a file or folder of one of the formats.

    Parameters
    ----------
    path : str or Path
    format : str
        One of `REGISTRY`.
    options : dict or None
        Of the format's ``Options``; values may be text, as a command line gives them.

    Returns
    -------
    Imported
        With ``writes`` for `calibration.counting.assemble`, or with a finished ``card``; ``report`` lists what was
        left out.

    Raises
    ------
    UserError
        One line that names the file, the row, the column or the option.
    """
    return REGISTRY.get(format).read(path, check(format, options, str(path)))
