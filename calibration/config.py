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
        "simulation: the device stage; import: measured data; parametric: a law, section `parametric`; "
        "library: a ready card; card: a card on disk. Only `simulation` simulates.",
        "simulation",
    )
    file: str | None = key("File or folder to import; folder of the card.", None, min_length=1)
    format: Annotated[str, OneOf(importers.REGISTRY.names)] | None = key(
        "Format of the file to import (docs/import.md); null: the one that it looks like.",
        None,
    )
    name: str | None = key("Name of the library's card (docs/cards.md).", None, min_length=1)
    options: dict[str, Any] = key("Options of the format (docs/import.md).", dict)
    population: Population | None = key(
        "Of the library's device: spread between devices, instead of the recipe's own; keys of parametric.population.",
        None,
    )

    def needed(self, name: str, where: str = "calibration") -> str:
        """Return the value of a key that a source of this kind must have; `UserError` if it has none."""
        value = getattr(self, name)
        if value is None:
            raise UserError(f"{where}.source.{name}: found null, allowed with kind {self.kind}: a value")
        return value


class Calibration(Section):
    """From write events to the kernel card. A change here reruns no simulation."""

    source: Source = key("Where the card comes from.", Source)
    states: States = key("How a position or a conductance becomes a state.")
    posterior: Posterior = key("Priors and intervals of the probabilities.", Posterior)
    kernel: Kernel = key("How a row of probabilities is made.", Kernel)
    interpolate: Interpolate = key("Pulses that were not simulated, between pulses that were.", Interpolate)
    half_select: HalfSelect = key(
        "Pulses at a fraction of their voltage, as cells see them that share a line with the one that is written.",
        HalfSelect,
    )
    retention: Retention = key("Loss of the state in time.", Retention)
    parametric: Parametric | None = key(  # pyright: ignore[reportInvalidTypeForm]: made when plug-ins are found
        "The device of a parametric source; null: none.", None
    )
    max_lost_fraction: Real = key("Share of writes whose outcome is no state before it is an error.", 0, ge=0, le=1)
    accept_misfit: Flag = key("A card that contradicts the writes that it is made of is a warning and no error.", False)
    readout: Readout = key("What a state conducts, and what a read is.")
    write_energy: WriteEnergy = key("Circuit quantities of a write; a device needs those of its own mechanism.")


class Stage(Calibration, Seeded):
    """What the stage sees of a study: its section, and the seed."""
