"""What an export makes: files, and what they do not say of the card, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pandas as pd

LOSSES = "export.csv"  # table of what is lost, beside the files


@dataclass(frozen=True)
class Loss:
    """Something of a card that the files say otherwise, or not at all."""

    quantity: str
    value: float
    unit: str  # 1: a number without unit
    meaning: str
    pulse: int | None = None  # of the card; None: all
    state: int | None = None


@dataclass(frozen=True)
class Exported:
    """Files by name, and what is lost in them."""

    files: dict[str, bytes]
    losses: tuple[Loss, ...]

    def table(self) -> pd.DataFrame:
        """Return the losses as a table: quantity, pulse, state, value, unit, meaning."""
        columns = ["quantity", "pulse", "state", "value", "unit", "meaning"]
        table = pd.DataFrame([asdict(loss) for loss in self.losses], columns=columns)
        return table.astype({"pulse": "Int64", "state": "Int64", "value": float})
