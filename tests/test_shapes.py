"""The shapes that signatures state are checked in tests, so a wrong one fails."""

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from calibration.counting import estimator, spread
from device_sims.engines.llg.fields import demag
from network.synapse import random_words


def test_a_wrong_shape_fails():
    writes = np.zeros(5, np.int64)
    assert estimator.count_transitions(writes, writes, writes, 2, 3).shape == (2, 3, 3)
    with pytest.raises(TypeCheckError):
        estimator.count_transitions(writes, writes[:4], writes, 2, 3)
    with pytest.raises(TypeCheckError):
        spread.random_effects(np.zeros((5, 1)), writes, writes)
    with pytest.raises(TypeCheckError):
        demag.nonlocal_field(jnp.zeros((1, 4, 4)), jnp.zeros((4, 1, 4, 8)), (1, 8, 8))


def test_a_wrong_type_of_number_fails():
    with pytest.raises(TypeCheckError):
        random_words.fraction(jnp.zeros(3, jnp.int32))
