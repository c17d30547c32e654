"""What a term of a run's cost is: factors named once, of which its energy, its formula and its inputs are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Factor(NamedTuple):
    """A number in the formula of a term."""

    symbol: str  # how the formula writes it
    value: float
    told: str = ""  # how the inputs tell it; empty for a constant that the formula shows


def given(symbol: str, value: float, name: str = "") -> Factor:
    """Return a factor that the inputs tell as ``name=value``; the name is the symbol if there is none."""
    return Factor(symbol, value, f"{name or symbol}={value:.6g}")


class Drafted(NamedTuple):
    """What a function of `TERMS` says of its term; one without factors does not apply, and the assumption is why."""

    assumption: str
    factors: tuple[Factor, ...] = ()
    per: Factor | None = None  # divides the product
    time_s: float = 0.0
    time_told: str = ""  # formula of the time in words; empty: it takes none


@dataclass(frozen=True)
class Term:
    """One contribution to the cost of a sample, or of a chip in the first programming."""

    phase: str
    level: str
    name: str
    draft: Drafted

    @property
    def energy_J(self) -> float:
        """Energy, J."""
        if not self.draft.factors:
            return 0.0
        product = math.prod(factor.value for factor in self.draft.factors)
        return float(product / self.draft.per.value if self.draft.per else product)

    @property
    def time_s(self) -> float:
        """Time that nothing else of the run overlaps, s."""
        return float(self.draft.time_s)

    @property
    def formula(self) -> str:
        """The energy's formula in symbols."""
        product = " * ".join(factor.symbol for factor in self.draft.factors)
        return f"{product} / {self.draft.per.symbol}" if self.draft.per else product

    @property
    def inputs(self) -> str:
        """The values of the formula's symbols."""
        return "; ".join(factor.told for factor in (*self.draft.factors, self.draft.per) if factor and factor.told)

    @property
    def assumption(self) -> str:
        """What is assumed, or why the term does not apply."""
        return self.draft.assumption
