"""Where a study's kernel card comes from: simulation, measurement, a law, the library, or another card.

``calibration.source.kind`` chooses; what follows the counting (half-select, retention, inverse, interpolated pulses,
derived figures) is the same for all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibration import extras, families, importers, library, parametric
from calibration.assemble import assemble
from calibration.card import KernelCard
from calibration.importers import Imported
from calibration.tables import entry
from calibration.writes import Writes
from spinloom.errors import UserError

# kind -> keys of calibration.source that it needs
KINDS = {
    "simulation": (),
    "import": ("file", "format"),
    "parametric": (),
    "library": ("name",),
    "card": ("file",),
}


def check(config: dict[str, Any], family: str, pulses: int) -> None:
    """Check the calibration section as a schema cannot, before anything runs.

    Parameters
    ----------
    config : dict
        The calibration section.
    family : str
        Device family of the device stage.
    pulses : int
        Number of its pulses.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    source = config["source"]
    kind = source["kind"]
    for key in KINDS[kind]:
        if source[key] is None:
            raise UserError(f"calibration.source.{key}: found null, allowed with kind {kind}: a value")
    if kind == "simulation":
        families.check(family, config, pulses)
    elif kind == "import":
        importers.check(source["format"], source["options"], "calibration.source.options")
    elif kind == "parametric":
        if config["parametric"] is None:
            raise UserError("calibration.parametric: this section is missing; calibration.source.kind asks for it")
        parametric.make(config["parametric"], config.get("seed", 0), "calibration.parametric")
    elif kind == "library":
        library.recipe(source["name"], "calibration.source.name")


def inputs(config: dict[str, Any]) -> list[str]:
    """Return the files that the card depends on besides the config and the device stage's."""
    source = config["source"]
    if source["kind"] not in ("import", "card"):
        return []
    path = Path(source["file"])
    if not path.exists():
        raise UserError(f"calibration.source.file: found {path}, which is not there, allowed: an existing path")
    return [str(path)] if path.is_file() else sorted(str(file) for file in path.rglob("*") if file.is_file())


def writes(config: dict[str, Any], where: str, device_sims: str | Path | None) -> Writes | None:
    """Return the writes behind a card, None for a source that has none; arguments and errors as of `make`."""
    kind, source = entry(config, "source.kind", where, str), config["source"]
    if kind == "simulation":
        if device_sims is None:
            raise UserError("--device-sims: found nothing, allowed with source.kind simulation: a folder of tables")
        return families.read(device_sims, config, where)
    if kind == "import":
        return importers.import_file(source["file"], source["format"], source["options"]).writes
    return None


def make(config: dict[str, Any], where: str, device_sims: str | Path | None) -> tuple[KernelCard, Imported | None]:
    """Return the card that a calibration section asks for.

    Parameters
    ----------
    config : dict
        The study's calibration section with its seed.
    where : str
        Name of its file, for errors.
    device_sims : str or Path or None
        Folder of the device stage's tables; needed for kind simulation.

    Returns
    -------
    KernelCard
    Imported or None
        Of an import: what it left out and why, and what the user should know.

    Raises
    ------
    UserError
        If an input is unfit.
    """
    kind, source = entry(config, "source.kind", where, str), config["source"]
    imported = None
    if kind == "simulation":
        if device_sims is None:
            raise UserError(
                "--device-sims: found nothing, allowed with source.kind simulation: the device stage's folder"
            )
        card = assemble(families.read(device_sims, config, where), config, where)
    elif kind == "import":
        imported = importers.import_file(source["file"], source["format"], source["options"])
        card = imported.card or assemble(imported.writes, config, where)
    elif kind == "parametric":
        card = parametric.make(config["parametric"], config["seed"], where)
    elif kind == "library":
        card = library.card(source["name"], config["seed"])
    elif kind == "card":
        card = KernelCard.read(source["file"])
    else:
        raise UserError(f"{where}: source.kind: found '{kind}', allowed: {', '.join(KINDS)}")
    return extras.add(card, config, where).validate(), imported
