"""Files of measured or published devices -> writes to count, or a kernel card.

One module per format (`REGISTRY`) with ``OPTIONS`` and ``read(path, options) -> Imported``; the formats are described
in ``docs/import.md``. A further format is one more module and one line here.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from calibration.sources.importers import (
    crosssim,
    events,
    traces,
    trains,
    updown,
)
from calibration.sources.importers.base import Imported, Option, check_options
from spinloom.errors import UserError

__all__ = ["OPTIONS", "REGISTRY", "STATES_FROM_OPTIONS", "Imported", "Option", "check", "import_file"]

REGISTRY: dict[str, ModuleType] = {
    "events": events,
    "trains": trains,
    "traces": traces,
    "updown": updown,
    "crosssim": crosssim,
}
OPTIONS: dict[str, dict[str, Option]] = {name: module.OPTIONS for name, module in REGISTRY.items()}
# formats whose card comes with its states (option states); calibration.states does not act on them
STATES_FROM_OPTIONS = {"crosssim"}


def check(format: str, options: dict[str, Any] | None, where: str) -> dict[str, Any]:
    """Return the options of a format with their defaults, before any file is read.

    Parameters
    ----------
    format : str
        Key of `REGISTRY`.
    options : dict or None
        Of `OPTIONS`; values may be text, as a command line gives them.
    where : str
        Begins the errors.

    Raises
    ------
    UserError
        If the format or an option is unknown, or an option's value is of the wrong type or outside its range.
    """
    if format not in REGISTRY:
        raise UserError(f"{where}: format: found {format}, allowed: {', '.join(REGISTRY)}")
    return check_options(OPTIONS[format], options, where)


def import_file(path: str | Path, format: str, options: dict[str, Any] | None = None) -> Imported:
    """Read a file or folder of one of the formats.

    Parameters
    ----------
    path : str or Path
    format : str
        Key of `REGISTRY`.
    options : dict or None
        Of `OPTIONS`; values may be text, as a command line gives them.

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
    checked = check(format, options, str(path))
    return REGISTRY[format].read(path, checked)
