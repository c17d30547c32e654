"""Laws: few numbers in place of many probabilities.

Each module of this package is a law, as is each entry point of the group ``spinloom.laws``. Its ``KIND`` is

* ``switching``, P(switch) of a pulse: it defines ``AXES`` (the columns that P depends on), ``PARAMETERS``, ``FIXED``,
  ``THERMAL``, ``probability``, ``log_probabilities`` and ``starts``;
* ``displacement``, the distribution of where a write ends given where it began: it defines ``parameters_for``,
  ``parameters_of``, ``rows``, ``log_density`` and ``starts``.

`calibration.laws.fitting` fits them. ``AUTO`` is the law's place among those of one kind and with the same axes that
``kernel.law: auto`` tries; a law without it is tried only where it is asked for.
"""

from __future__ import annotations

from types import ModuleType

from spinloom.registry import Registry

REGISTRY = Registry(
    "calibration.kernel.law", __name__, words=("NAME", "KIND", "HINT", "starts"), shared=("fitting",), named="NAME"
)


def tried(kind: str, axes: tuple[str, ...] | None = None) -> list[str]:
    """Return the laws of a kind that ``auto`` tries, in their order.

    Laws of installed packages are none of them: what is installed must not change a result that does not ask for it.

    Parameters
    ----------
    kind : {"switching", "displacement"}
    axes : tuple of str or None
        Columns that a switching law depends on.
    """
    own = [law for law in map(get, REGISTRY.own()) if (law.KIND, getattr(law, "AXES", None)) == (kind, axes)]
    return [law.NAME for law in sorted((law for law in own if hasattr(law, "AUTO")), key=lambda law: law.AUTO)]


def get(name: str, where: str = "config") -> ModuleType:
    """Return the module of a law; `UserError`, which ``where`` begins, if there is none."""
    return REGISTRY.get(name, f"{where}: law")
