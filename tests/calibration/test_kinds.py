"""What a device can be used as follows from its table."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from calibration.card.kinds import Kind, kinds
from calibration.sources import library
from spinloom.errors import UserError

CONDUCTANCE = np.linspace(1e-6, 5e-6, 5)


def towards(memory: float, states: int = 5) -> np.ndarray:
    """Return the kernel of a pulse for each state, which keeps the share ``memory`` of the state before."""
    goal, start = np.meshgrid(np.arange(states), np.arange(states), indexing="ij")
    return np.eye(states)[np.round((1 - memory) * goal + memory * start).astype(int)]


def of(kernel, conductance=CONDUCTANCE, known=None, volatile=False, reset=False):
    known = np.ones(kernel.shape[:2], bool) if known is None else known
    return kinds(kernel, conductance, known, volatile, reset)


def stepping(states: int) -> np.ndarray:
    """Return the kernels of one step up and one step down."""
    return np.stack([np.eye(states)[np.clip(np.arange(states) + step, 0, states - 1)] for step in (1, -1)])


def junction(probability: float) -> np.ndarray:
    switch = [[1 - probability, probability], [0, 1]], [[1, 0], [probability, 1 - probability]]
    return np.array(switch, dtype=float)


@pytest.mark.parametrize(
    "kernel, flags, found",
    [
        (towards(0.0), {}, {Kind.STEPS, Kind.LEVELS}),
        (towards(0.0), {"reset": True}, {Kind.LEVELS}),
        (stepping(5), {}, {Kind.STEPS}),
        (stepping(5)[:1], {}, {Kind.STEPS}),  # one direction alone
        (stepping(3), {"conductance": CONDUCTANCE[:3]}, {Kind.STEPS, Kind.LEVELS}),
        (junction(0.9), {"conductance": CONDUCTANCE[:2]}, {Kind.SWITCHING, Kind.LEVELS}),
        (junction(0.1), {"conductance": CONDUCTANCE[:2]}, {Kind.SWITCHING}),
        (junction(0.1), {"conductance": CONDUCTANCE[:2], "volatile": True}, {Kind.VOLATILE}),
    ],
)
def test_kinds(kernel, flags, found):
    assert set(of(kernel, **flags)) == found


def test_rows_that_nobody_wrote_do_not_count():
    # two pulses that write a level from where they were tried, and are assumed to do nothing elsewhere
    kernel = np.stack([np.eye(5)] * 2)
    kernel[0, 1:4], kernel[1, 1:4] = np.eye(5)[4], np.eye(5)[0]
    known = np.zeros((2, 5), bool)
    known[:, 1:4] = True
    assert Kind.LEVELS in of(kernel, known=known)
    assert Kind.LEVELS not in of(kernel)


@pytest.mark.parametrize(
    "name, found",
    [
        ("memristor_32_levels", (Kind.STEPS,)),
        ("skyrmion_counter", (Kind.STEPS,)),
        ("ellis_gate", (Kind.VOLATILE,)),
        ("ut_austin_mtj_50nm", (Kind.SWITCHING,)),
        ("gt_stt_mtj_28nm", (Kind.SWITCHING, Kind.LEVELS)),
    ],
)
def test_cards_of_the_library_know_their_kind(name, found):
    card = library.card(name)
    assert card.kinds() == found


def test_the_kind_is_that_of_the_pulses_that_are_used():
    card = library.card("gt_stt_mtj_28nm")
    weak = [
        int(pulse)
        for pulse in card.pulses["pulse"]
        if card.kernel[pulse, 0, 1] < 0.3 and card.kernel[pulse, 1, 0] < 0.3
    ]
    assert Kind.LEVELS in card.kinds() and card.kinds(weak) == (Kind.SWITCHING,)


def test_the_pulses_with_the_most_writes():
    card = library.card("ecram_101_levels", 1, None)
    assert card.most_written() == tuple(card.pulses["pulse"])
    counted = card.transitions.assign(count=0)
    again = pd.concat([counted, counted.assign(pulse=counted["pulse"] + 2, count=3)], ignore_index=True)
    pulses = pd.concat([card.pulses, card.pulses.assign(pulse=card.pulses["pulse"] + 2)], ignore_index=True)
    several = dataclasses.replace(card, pulses=pulses, transitions=again)
    assert several.most_written() == (2, 3) and several.kinds("most_written") == card.kinds()
    up = counted[counted["pulse"] == card.most_written()[0]]
    with pytest.raises(UserError, match="1 pulses that raise the conductance and 0 that lower it"):
        dataclasses.replace(card, pulses=card.pulses.head(1), transitions=up).most_written()
