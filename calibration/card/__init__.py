"""The kernel card, the contract between calibration and network: its tables, their schemas, its rates of retention."""

from calibration.card.card import MOST_WRITTEN, SCHEMA_VERSION, SUM_TOLERANCE, KernelCard, Meta, retention_rates
from calibration.card.kinds import Kind

__all__ = [
    "MOST_WRITTEN",
    "KernelCard",
    "Kind",
    "Meta",
    "SCHEMA_VERSION",
    "SUM_TOLERANCE",
    "retention_rates",
]
