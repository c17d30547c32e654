"""Checks of annotated shapes, which run in tests alone: production code pays nothing for its annotations."""

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

MODULES = (
    "device_sims.engines.llg.fields",
    "calibration.counting.estimator",
    "calibration.counting.spread",
    "calibration.counting.states",
    "network.synapse.alias",
    "network.synapse.pulse_trains",
    "network.synapse.random_words",
    "network.synapse.sampling",
)
# a float may be an int, as in configs
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check() -> None:
    """Check arguments and results of all functions of `MODULES`; call it before they are imported."""
    install_import_hook(MODULES, f"{__name__}.checked")
