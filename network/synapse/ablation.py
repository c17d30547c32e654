"""Kernels from which something is taken away, to see what it costs a network: noise, asymmetry."""

from __future__ import annotations

import numpy as np

from network.synapse.widths import split


def least_noise(transition: np.ndarray, conductance: np.ndarray) -> np.ndarray:
    """Return the kernel with the same mean outcomes and the least spread that the states allow.

    Each row keeps only the two neighbouring states between which its mean lies, shared such that the mean stays. A
    device of two states keeps its kernel: there the probability is the mean.

    Parameters
    ----------
    transition : ndarray, float64[..., S, S]
    conductance : ndarray, float64[S]
        Of the states, S (siemens), all different.

    Returns
    -------
    ndarray, float64[..., S, S]
    """
    return split(transition @ conductance, conductance)


def mirrored(transition: np.ndarray, rank: np.ndarray, conductance: np.ndarray) -> np.ndarray:
    """Return the kernel seen in a mirror that exchanges up and down.

    The mean of a kernel and its mirror image is symmetric: what raises a device's state is then as likely as what its
    partner pulse lowers. Partners are the pulses at the same place from above and from below in the order of their
    mean outcomes; states likewise.

    Parameters
    ----------
    transition : ndarray, float64[..., K, S, S]
    rank : ndarray, int[K]
        Pulses in rising order of their mean outcome.
    conductance : ndarray, float64[S]
        Of the states, S (siemens).

    Returns
    -------
    ndarray, float64[..., K, S, S]
    """
    partner, image = np.empty_like(rank), np.empty(len(conductance), np.int64)
    partner[rank] = rank[::-1]
    order = np.argsort(conductance, kind="stable")
    image[order] = order[::-1]
    return transition[..., partner, :, :][..., image, :][..., image]
