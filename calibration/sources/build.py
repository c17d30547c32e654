"""Where a study's kernel card comes from: simulation, measurement, a law, the library, or another card.

``calibration.source.kind`` chooses; what follows the counting (half-select, retention, inverse, interpolated pulses,
derived figures) is the same for all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calibration.card import KernelCard
from calibration.card.tables import entry
from calibration.consequences import derive
from calibration.counting.assemble import assemble
from calibration.counting.states import METHODS
from calibration.counting.states import check as check_states
from calibration.counting.writes import Writes
from calibration.sources import importers, library, simulated
from calibration.sources.importers import Imported
from calibration.sources.parametric import cards
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
    _check_source(config, "")
    if config["source"]["kind"] == "simulation":
        simulated.check(family, config, pulses)
    if config["source"]["kind"] == "parametric":
        cards.make(config["parametric"], config["seed"], "calibration.parametric")
    if config["source"]["kind"] == "library" and config["source"]["population"] is not None:
        library.card(config["source"]["name"], config["seed"], config["source"]["population"])


def _check_source(config: dict[str, Any], where: str) -> None:
    where = f"{where}calibration"
    kind, source, states = config["source"]["kind"], config["source"], config["states"]
    if kind not in KINDS:
        raise UserError(f"{where}.source.kind: found '{kind}', allowed: {', '.join(KINDS)}")
    for key in KINDS[kind]:
        if source[key] is None:
            raise UserError(f"{where}.source.{key}: found null, allowed with kind {kind}: a value")
    if kind == "parametric" and config["parametric"] is None:
        raise UserError(f"{where}.parametric: this section is missing; source.kind asks for it")
    if kind == "library":
        library.recipe(source["name"], f"{where}.source.name")
    elif source["population"] is not None:
        raise UserError(f"{where}.source.population: found a value, allowed with kind {kind}: null")
    if kind == "import":
        importers.check(source["format"], source["options"], f"{where}.source.options")
        if not importers.brings_states(source["format"]):
            if states["method"] == "device":
                raise UserError(f"{where}.states.method: found 'device', allowed for an import: {', '.join(METHODS)}")
            # how many pulses a file holds is not known before it is read
            check_states(states, states["count"] or 2, where)
    if config["kernel"]["form"] == "law" and config["posterior"]["pooling"] == "instances":
        raise UserError(
            f"{where}.posterior.pooling: found 'instances', allowed with kernel.form law: events (the fit takes writes "
            "for independent)"
        )


def inputs(config: dict[str, Any]) -> list[str]:
    """Return the files that the card depends on besides the config and the device stage's."""
    source = config["source"]
    if source["kind"] not in ("import", "card"):
        return []
    path = Path(source["file"])
    if set("{}") & set(str(path)):
        raise UserError(f"calibration.source.file: found {path}, allowed: a path without braces, which name wildcards")
    if not path.exists():
        raise UserError(f"calibration.source.file: found {path}, which is not there, allowed: an existing path")
    return [str(path)] if path.is_file() else sorted(str(file) for file in path.rglob("*") if file.is_file())


def writes(config: dict[str, Any], where: str, device_sims: str | Path | None) -> Writes | None:
    """Return the writes behind a card, None for a source that has none; arguments and errors as of `make`."""
    kind, source = entry(config, "source.kind", where, str), config["source"]
    if kind == "simulation":
        if device_sims is None:
            raise UserError("--device-sims: found nothing, allowed with source.kind simulation: a folder of tables")
        return simulated.read(device_sims, config, where)
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
    _check_source(config, f"{where}: ")
    imported = None
    if kind == "import":
        imported = importers.import_file(source["file"], source["format"], source["options"])
    counted = imported.writes if imported else writes(config, where, device_sims)
    if counted is not None:
        card = assemble(counted, config, where)
    elif imported is not None and imported.card is not None:
        card = imported.card
    elif kind == "parametric":
        card = cards.make(config["parametric"], config["seed"], where)
    elif kind == "library":
        card = library.card(source["name"], config["seed"], source["population"])
    elif kind == "card":
        card = KernelCard.read(source["file"])
    else:
        raise UserError(f"{where}: source.kind: found '{kind}', allowed: {', '.join(KINDS)}")
    return derive.add(card, config, where).validate(), imported
