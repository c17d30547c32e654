"""What a study may say of its kernel card."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict

from calibration.sections import HalfSelect, Interpolate, Kernel, Posterior, Readout, Retention, States, WriteEnergy
from calibration.sources import importers
from calibration.sources.parametric.common import Population
from calibration.sources.parametric.config import Parametric
from spinloom.config import Seeded
from spinloom.declare import Flag, OneOf, Real, Section, follows, key
from spinloom.errors import UserError


class Source(Section):
    """Where the card comes from."""

    model_config = ConfigDict(json_schema_extra=follows("options", "format", importers.REGISTRY))

    kind: Literal["simulation", "import", "parametric", "library", "card"] = key(
        "Where the card comes from. `simulation`: the device stage. `import`: measured data. `parametric`: a "
        "formula, in the section `parametric`. `library`: a ready card. `card`: a card on disk. Only "
        "`simulation` runs the device stage.",
        "simulation",
    )
    file: str | None = key("File or folder to import. With `kind: card`, the folder of the card.", None, min_length=1)
    format: Annotated[str, OneOf(importers.REGISTRY.names)] | None = key(
        "Format of the file to import (docs/import.md). With null, the program recognises it.",
        None,
    )
    name: str | None = key("Name of the card of the library (docs/cards.md).", None, min_length=1)
    options: dict[str, Any] = key("Options of the import format (docs/import.md).", dict)
    population: Population | None = key(
        "Differences between devices, in place of those of the library's device.",
        None,
    )

    def needed(self, name: str, where: str = "calibration") -> str:
        """Return the value of a key that a source of this kind must have; `UserError` if it has none."""
        value = getattr(self, name)
        if value is None:
            raise UserError(f"{where}.source.{name}: found null, allowed with kind {self.kind}: a value")
        return value


class Calibration(Section):
    """How writes become a kernel card. A change here simulates nothing again."""

    source: Source = key("Where the card comes from.", Source)
    states: States = key("How a position or a conductance becomes a state.")
    posterior: Posterior = key("Priors and credible intervals of the probabilities.", Posterior)
    kernel: Kernel = key("How the rows of the card are made. A row is a pulse and the state before it.", Kernel)
    interpolate: Interpolate = key("Pulses to add to the card, between those that were simulated.", Interpolate)
    half_select: HalfSelect = key(
        "What happens to cells that share a line with the written cell and see a part of its voltage.",
        HalfSelect,
    )
    retention: Retention = key(
        "How the card says that devices lose their state in time (docs/calibration/consequences.md).", Retention
    )
    parametric: Parametric | None = key(  # pyright: ignore[reportInvalidTypeForm]: made when plug-ins are found
        "The device, with `source.kind: parametric`.", None
    )
    max_lost_fraction: Real = key(
        "Largest share of writes that may end in no state. A larger share is an error.", 0, ge=0, le=1
    )
    accept_misfit: Flag = key(
        "With true, a card that contradicts the writes it is made of gives a warning. With false, it is an "
        "error (docs/calibration/check.md).",
        False,
    )
    readout: Readout = key("What a state conducts, and how it is read.")
    write_energy: WriteEnergy = key(
        "What the energy of a write is computed from. A device needs the keys of its own mechanism."
    )


class Stage(Calibration, Seeded):
    """What the stage sees of a study: its section, and the seed."""
