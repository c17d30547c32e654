"""The scales on which parameters are searched: logarithms of what is positive, log-odds of what is a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

LOGIT_LIMIT = 25.0  # log-odds at which a probability counts as 0 or 1 in the search


@dataclass(frozen=True)
class Parameter:
    """A parameter of a law and the scale it is searched on.

    Attributes
    ----------
    name : str
    kind : {"identity", "log", "logit"}
        Search scale.
    low, high : float
        Range of the search, in the unit of the parameter.
    closed : {"", "low", "high", "both"}
        Bounds that are values of the law (a rate of 0) and not only the end of the search.
    step : float
        For ``identity``: a typical size, which makes the scale a number of order 1.
    """

    name: str
    kind: str = "log"
    low: float = 1e-12
    high: float = 1e12
    closed: str = ""
    step: float = 1.0


class Scale:
    """Between the values of parameters and the scale on which they are searched."""

    def __init__(self, parameters: tuple[Parameter, ...]):
        self.parameters = parameters
        self.names = [one.name for one in parameters]
        kinds = np.array([one.kind for one in parameters])
        self._log, self._logit = (kinds == kind for kind in ("log", "logit"))
        self._step = np.array([one.step if one.kind == "identity" else 1.0 for one in parameters])

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Return the search coordinates, float64[k], of ``values``, float64[k]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.asarray(values, float) / self._step
            return np.where(self._log, np.log(x), np.where(self._logit, special.logit(x), x))

    def backward(self, x: np.ndarray) -> np.ndarray:
        """Return the values, float64[k]; plus or minus infinity is a closed bound."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(self._log, np.exp(x), np.where(self._logit, special.expit(x), x * self._step))

    def moved(self, x: np.ndarray, entry: int, value: float) -> np.ndarray:
        """Return search coordinates, float64[k], with one parameter at ``value``."""
        x = x.copy()
        x[entry] = Scale((self.parameters[entry],)).forward(np.array([value]))[0]
        return x

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and the upper ends of the search on the scale, float64[k] each."""
        limit = np.where(self._logit, LOGIT_LIMIT, np.inf)
        low, high = (self.forward(np.array([getattr(p, end) for p in self.parameters])) for end in ("low", "high"))
        return np.maximum(low, -limit), np.minimum(high, limit)
