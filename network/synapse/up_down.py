"""Devices that are moved up and down in steps: which pulses do it, and by how much on average."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from network.synapse.device import DeviceModel
from spinloom.errors import UserError


class Steps(NamedTuple):
    """The pulses of a card by their direction, each side from the smallest mean step to the largest."""

    ups: tuple[int, ...]
    downs: tuple[int, ...]
    size: np.ndarray  # float64[K], mean step of each pulse in its direction, of the weight

    @property
    def strongest(self) -> tuple[int, int]:
        """The pulses of the largest steps, in the order of the card."""
        return min(self.ups[-1], self.downs[-1]), max(self.ups[-1], self.downs[-1])


def steps(device: DeviceModel, several: bool = False) -> Steps:
    """Return the pulses up and down and their mean steps in the middle half of the range, where its ends cut nothing.

    Parameters
    ----------
    device : DeviceModel
    several : bool
        Whether a direction may have several pulses, as `network.synapse.pulse_ladder` uses them.

    Raises
    ------
    UserError
        If a direction has no pulse; of a device with one pulse each way also if there are others; of one with several
        if no direction has more than one.
    """
    step = np.einsum("kst,t->ks", device.transition, device.state_weight) - device.state_weight
    mean, inner = step @ device.occupancy, slice(len(device.states) // 4, len(device.states) - len(device.states) // 4)
    size = step[:, inner].mean(axis=1)
    ups, downs = (
        tuple(sorted(np.flatnonzero((sign * mean > 0) & (sign * size > 0)).tolist(), key=lambda k: abs(size[k])))
        for sign in (1, -1)
    )
    count = len(mean)
    if not several and (count != 2 or len(ups) != 1 or len(downs) != 1):
        raise UserError(
            f"pulses.csv: found {count} pulses, allowed: one that raises the conductance and one that lowers it "
            "(choose them with network.device.pulses)"
        )
    if several and (not ups or not downs or count == 2):
        raise UserError(
            f"pulses.csv: found {len(ups)} pulses that raise the conductance and {len(downs)} that lower it, allowed: "
            "at least one of each, and two or more of at least one kind (network.device.widths adds some)"
        )
    return Steps(ups, downs, np.abs(size))
