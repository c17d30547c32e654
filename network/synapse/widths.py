r"""Pulses of other widths than a card's, where only one was measured: an assumption that a study makes, and says.

A pulse that lasts the share f of one of the card's is taken to move a device f times as far in the mean, with f times
the variance: the parts of a pulse add up independently. With m the mean step from a state and e the deviation of an
outcome from it, the outcome is moved to f m + sqrt(f) e. It lies between two states and is split between them in
proportion to nearness, which keeps the mean and adds variance; the same mean on its two nearest states has the least
variance that states allow; a mixture of the two has the wanted variance if any has. What would leave the range stays
at its end. Energy and duration go with f.
"""

from __future__ import annotations

import numpy as np


def shortened(transition: np.ndarray, conductance: np.ndarray, share: float) -> np.ndarray:
    """Return the kernels of pulses that last ``share`` of those given.

    Parameters
    ----------
    transition : ndarray, float64[..., S, S]
    conductance : ndarray, float64[S]
        Of the states, S (siemens), all different.
    share : float
        Above 0, at most 1.

    Returns
    -------
    ndarray, float64[..., S, S]
    """
    mean = transition @ conductance
    step = share * (mean - conductance)
    outcome = (conductance + step)[..., None] + np.sqrt(share) * (conductance - mean[..., None])
    outcome = np.clip(outcome, conductance.min(), conductance.max())
    wide = np.einsum("...t,...tu->...u", transition, split(outcome, conductance))
    middle = (transition * outcome).sum(axis=-1)
    least = split(middle, conductance)
    variance = (transition * (outcome - middle[..., None]) ** 2).sum(axis=-1)
    high, low = ((one * (conductance - middle[..., None]) ** 2).sum(axis=-1) for one in (wide, least))
    span = high - low
    part = np.clip(np.divide(high - variance, span, out=np.zeros_like(span), where=span > 0), 0, 1)[..., None]
    mixed = (1 - part) * wide + part * least
    return mixed / mixed.sum(axis=-1, keepdims=True)


def split(value: np.ndarray, conductance: np.ndarray) -> np.ndarray:
    """Return each value, float64[...], as probabilities of its two neighbouring states: float64[..., S], same mean."""
    order = np.argsort(conductance, kind="stable")
    rising = conductance[order]
    below = np.clip(np.searchsorted(rising, value, side="right") - 1, 0, len(rising) - 2)
    share = np.clip((value - rising[below]) / (rising[below + 1] - rising[below]), 0, 1)
    found = np.zeros((*np.shape(value), len(rising)))
    np.put_along_axis(found, order[below][..., None], (1 - share)[..., None], axis=-1)
    np.put_along_axis(found, order[below + 1][..., None], share[..., None], axis=-1)
    return found
