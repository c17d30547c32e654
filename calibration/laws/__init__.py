"""Laws: few numbers in place of many probabilities.

Each module of this package is a law, as is each entry point of the group ``spinloom.laws``. Its ``KIND`` is

* ``switching``, P(switch) of a pulse: it defines ``AXES`` (the columns that P depends on), ``PARAMETERS``, ``FIXED``,
  ``THERMAL``, ``probability``, ``log_probabilities`` and ``starts``;
* ``displacement``, the distribution of where a write ends given where it began: it defines ``parameters_for``,
  ``parameters_of``, ``rows``, ``log_density`` and ``starts``.

`calibration.laws.fitting` fits them.
"""

from __future__ import annotations

from types import ModuleType

from spinloom.registry import Registry

REGISTRY = Registry(
    "calibration.kernel.law", __name__, words=("NAME", "KIND", "HINT", "starts"), shared=("fitting",), named="NAME"
)


def get(name: str, where: str = "config") -> ModuleType:
    """Return the module of a law; `UserError`, which ``where`` begins, if there is none."""
    return REGISTRY.get(name, f"{where}: law")
