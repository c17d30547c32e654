"""The arrays of a card, as `calibration.exports.json` and `npz` store them."""

from __future__ import annotations

import numpy as np

from calibration.card import KernelCard

FORMAT = "spinloom kernel arrays"
VERSION = 1


def arrays(card: KernelCard) -> dict[str, np.ndarray]:
    """Return all tables of a card as arrays.

    ``transitions_COLUMN`` are [pulse, state_from, state_to], ``by_instance_COLUMN`` [instance, pulse, state_from,
    state_to] and ``half_select_probability`` [pulse, fraction, state_from, state_to]. Columns of other tables are
    [row], ``TABLE_COLUMN``. Names end with the SI unit, if there is one.
    """
    states, pulses = len(card.states), len(card.pulses)
    found = {}
    for name, table in card.tables.items():
        keys, shape = _shape(name, table, pulses, states)
        for column in table.columns:
            if column in keys:
                continue
            values = table[column]
            text = values.dtype.kind not in "biuf"
            array = values.fillna("").astype(str).to_numpy(dtype=np.str_) if text else values.to_numpy()
            found[f"{name}_{column}"] = array.reshape(shape)
    if "half_select" in card.extras:
        found["half_select_fraction"] = np.unique(card.extras["half_select"]["fraction"])
    return found


def _shape(name: str, table, pulses: int, states: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the columns that an array's axes stand for, and its shape."""
    kernel, axes = (pulses, states, states), ("pulse", "state_from", "state_to")
    if name == "transitions":
        return axes, kernel
    if name == "by_instance" and len(table) == (of := table["instance"].nunique()) * pulses * states * states:
        return ("instance", *axes), (of, *kernel)
    if name == "half_select" and len(table) == (of := table["fraction"].nunique()) * pulses * states * states:
        return ("fraction", *axes), (pulses, of, states, states)
    return (), (len(table),)
