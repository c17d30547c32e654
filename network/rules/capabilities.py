"""What a learning rule says of itself, which the trainer, the checks of a study and the meter go by."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Devices(Enum):
    """How a rule uses devices."""

    IN_PLACE = "in place"  # they hold the weights: read and programmed while training
    DEPLOYED = "deployed"  # they are programmed with the trained weights
    CLOCKED = "clocked"  # they hold nothing: a read is a pulse, and a look at what it left
    NONE = "none"  # weights are numbers in digital memory


class Costs(NamedTuple):
    """What a rule does beyond its plans, for the meter."""

    state_reads_per_step: float = 0  # times a training step reads each device's state to decide whether to program it
    reads_per_product: int = 1  # times each device is read for one product of its array; 0: there is none
    weight_bits: int = 32  # of a weight that no device holds, as it is kept to classify
