"""Where a study's kernel card comes from: simulation, measurement, a law, the library, or another card.

``calibration.source.kind`` chooses; what follows the counting (half-select, retention, inverse, interpolated pulses,
derived figures) is the same for all of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calibration.card import KernelCard
from calibration.config import Source, Stage
from calibration.consequences import derive
from calibration.consequences.check import checked
from calibration.counting.assemble import assemble
from calibration.counting.kernel_rows import rejected_laws
from calibration.counting.states import check as check_states
from calibration.counting.writes import Writes
from calibration.sections import METHODS
from calibration.sources import importers, library, simulated
from calibration.sources.importers import Imported
from calibration.sources.parametric import cards
from calibration.sources.parametric.common import Common
from spinloom.errors import UserError
from spinloom.write_events import Writes as Meaning

# kind -> keys of calibration.source that it needs
NEEDED = {"import": ("file",), "library": ("name",), "card": ("file",)}


def check(config: Stage, family: str, means: Meaning | None, pulses: int) -> KernelCard | None:
    """Check, before anything runs, what concerns several keys of the calibration section.

    Parameters
    ----------
    config : Stage
    family : str
        Device family of the device stage.
    means : Meaning or None
        What its write events mean; None if nothing is simulated.
    pulses : int
        Number of its pulses.

    Returns
    -------
    KernelCard or None
        The card, without what `derive.add` adds; None if it is yet to be simulated, imported or read.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    _check_source(config, "")
    source = config.source
    if means is not None:
        simulated.check(family, means, config, pulses, "calibration")
    if source.kind == "parametric":
        return cards.make(_parametric(config), config.seed, "calibration.parametric")
    if source.kind == "library":
        return library.card(source.needed("name"), config.seed, source.population)
    return None


def _check_source(config: Stage, where: str) -> None:
    where = f"{where}calibration"
    source, states = config.source, config.states
    kind = source.kind
    for key in NEEDED.get(kind, ()):
        source.needed(key, where)
    if kind == "parametric":
        _parametric(config, where)
    if kind == "library":
        library.recipe(source.needed("name"), f"{where}.source.name")
    elif source.population is not None:
        raise UserError(f"{where}.source.population: found a value, allowed with kind {kind}: null")
    if kind == "import":
        format = source.format or importers.recognised(source.needed("file"), source.options)[0]
        importers.check(format, source.options, f"format {format}", f"{where}.source.options")
        if not importers.brings_states(format):
            if states.method not in METHODS:
                raise UserError(
                    f"{where}.states.method: found '{states.method}', allowed for an import: {', '.join(METHODS)}"
                )
            # how many pulses a file holds is not known before it is read
            check_states(states, states.count or 2, where)
    if config.kernel.form == "law" and config.posterior.pooling == "instances":
        raise UserError(
            f"{where}.posterior.pooling: found 'instances', allowed with kernel.form law: events (the fit takes writes "
            "for independent)"
        )


def _parametric(config: Stage, where: str = "calibration") -> Common:
    if config.parametric is None:
        raise UserError(f"{where}.parametric: this section is missing; source.kind asks for it")
    return config.parametric


def _imported(source: Source) -> Imported:
    return importers.import_file(source.needed("file"), source.format, source.options)


def inputs(config: Stage) -> list[str]:
    """Return the files that the card depends on besides the config and the device stage's.

    Raises
    ------
    UserError
        If the source's path does not exist, contains braces, or should be a card and is none.
    """
    source = config.source
    if source.kind not in ("import", "card"):
        return []
    path = Path(source.needed("file"))
    if source.kind == "import" and (named := importers.inputs(path, source.format, source.options)) is not None:
        found = [str(file) for file in named]
    else:
        found = [str(path)] if path.is_file() else sorted(str(file) for file in path.rglob("*") if file.is_file())
    if braced := [name for name in (str(path), *found) if set("{}") & set(name)]:
        raise UserError(
            f"calibration.source.file: found {braced[0]}, allowed: a path without braces, which name wildcards"
        )
    if not found and not path.exists():
        raise UserError(f"calibration.source.file: found {path}, which is not there, allowed: an existing path")
    if source.kind == "card" and not (path / "card.json").is_file():
        raise UserError(f"calibration.source.file: found {path}, which has no card.json, allowed: the folder of a card")
    return found


def writes(config: Stage, where: str, device_sims: str | Path | None) -> Writes | None:
    """Return the writes behind a card, None for a source that has none; arguments and errors as of `make`."""
    source = config.source
    if source.kind == "simulation":
        if device_sims is None:
            raise UserError("--device-sims: found nothing, allowed with source.kind simulation: a folder of tables")
        return simulated.read(device_sims, config, where)
    if source.kind == "import":
        return _counted(_imported(source), config, where)
    return None


def _counted(imported: Imported, config: Stage, where: str) -> Writes | None:
    return imported.writes if imported.simulated is None else simulated.counted(imported.simulated, config, where)


def make(
    config: Stage, where: str, device_sims: str | Path | None, barriers: str | Path | None = None
) -> tuple[KernelCard, Imported | None]:
    """Return the card that a calibration section asks for.

    Parameters
    ----------
    config : Stage
        The study's calibration section with its seed.
    where : str
        Name of its file, for errors.
    device_sims : str or Path or None
        Folder of the device stage's tables; needed for kind simulation.
    barriers : str or Path, optional
        The device stage's table of barriers at rest.

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
    source = config.source
    _check_source(config, f"{where}: ")
    imported = None
    if source.kind == "import":
        imported = _imported(source)
    counted = _counted(imported, config, where) if imported else writes(config, where, device_sims)
    if counted is not None:
        card = assemble(counted, config, where)
    elif imported is not None and imported.card is not None:
        card = imported.card
    elif source.kind == "parametric":
        card = cards.make(_parametric(config), config.seed, where)
    elif source.kind == "library":
        card = library.card(source.needed("name"), config.seed, source.population)
    else:
        card = KernelCard.read(source.needed("file"))
    card = derive.add(card, config, where, barriers)
    if counted is not None:
        card = checked(card, counted, config.seed, config.accept_misfit)
        warnings = (*card.meta.warnings, *rejected_laws(card))
        card = replace(card, meta=card.meta.model_copy(update={"warnings": warnings}))
    return card.validate(), imported
