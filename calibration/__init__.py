"""Stage 2: writes of a device, simulated or measured, -> its kernel card, the only thing that a trainer sees of it.

``card`` is the contract; ``sources`` says where a card comes from; ``writes`` is what simulations (``families``) and
measurements (``importers``) have in common, and ``assemble`` counts them. Devices given by a law are in ``parametric``
and, ready made, in ``library``.

Only the card is imported here, so that reading one costs neither statistics nor plotting.
"""

import spinloom  # noqa: F401  (before any package: it says which are missing)
from calibration.card import SCHEMA_VERSION, KernelCard

__all__ = ["SCHEMA_VERSION", "KernelCard"]
