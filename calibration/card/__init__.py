"""The kernel card, the contract between calibration and network: its tables, their schemas, its rates of retention."""

from calibration.card.card import FLAGS, META, SCHEMA_VERSION, SUM_TOLERANCE, KernelCard, retention_rates

__all__ = [
    "FLAGS",
    "KernelCard",
    "META",
    "SCHEMA_VERSION",
    "SUM_TOLERANCE",
    "retention_rates",
]
