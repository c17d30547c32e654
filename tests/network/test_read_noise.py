"""Deviates of read noise: their table against the normal distribution, and what is drawn from it."""

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from network.model import read_noise
from network.synapse import random_words

KEY = random_words.stream(1, "n")
VALUES = np.concatenate([-read_noise.quantiles()[::-1], read_noise.quantiles()]).astype(np.float64)


def test_the_table_is_normal_up_to_its_resolution():
    """All values that there are, each as likely as the others, against the exact distribution."""
    count = len(VALUES)
    assert count == 2**16 and np.all(np.diff(VALUES) > 0)
    below = np.arange(count + 1) / count
    exact = norm.cdf(VALUES)
    assert np.maximum(np.abs(exact - below[:-1]), np.abs(exact - below[1:])).max() < 1.01 / count
    for power, moment in ((2, 1), (4, 3), (6, 15), (8, 105)):
        np.testing.assert_allclose(np.mean(VALUES**power), moment, rtol={2: 1e-6, 4: 3e-4, 6: 2e-3, 8: 1e-2}[power])


@pytest.mark.parametrize("bound", [2.0, 3.0, 3.5, 4.0])
def test_tails_are_those_of_the_normal_distribution(bound):
    """Beyond ``bound`` lie as many of the 65,536 values as belong there, to one value on each side."""
    assert abs(np.sum(np.abs(VALUES) > bound) - len(VALUES) * 2 * norm.sf(bound)) <= 2


def test_deviates_are_drawn_evenly_and_independently():
    """Chi-square over 256 equally likely bins, correlations to 3.3 standard deviations: false alarms 1 % in all."""
    drawn = np.asarray(read_noise.deviates(KEY, 4, (1000, 256)))
    assert np.isin(drawn, VALUES.astype(np.float32)).all()
    assert chisquare(np.histogram(norm.cdf(drawn), 256, (0, 1))[0]).pvalue > 1e-3
    later = np.asarray(read_noise.deviates(KEY, 5, drawn.shape))
    # the two halves of a word, and the two words of a draw, stand as far apart as these
    flat, half = drawn.ravel(), drawn.size // 2
    pairs = [(flat, later.ravel()), (flat[1:], flat[:-1]), (flat[half:], flat[:half]), (flat[64:], flat[:-64])]
    for one, other in pairs:
        assert abs(np.corrcoef(one, other)[0, 1]) < 3.3 / np.sqrt(len(one))
        assert abs(np.corrcoef(one**2, other**2)[0, 1]) < 3.3 / np.sqrt(len(one))


@pytest.mark.parametrize("shape", [(3, 7), (128,), (2, 5, 40, 3)])
def test_any_shape(shape):
    drawn = np.asarray(read_noise.deviates(KEY, 4, shape))
    assert drawn.shape == shape and drawn.dtype == np.float32 and np.abs(drawn).max() < 4.4
    assert len(np.unique(drawn)) > 0.9 * drawn.size
