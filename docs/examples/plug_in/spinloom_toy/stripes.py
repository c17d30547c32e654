"""Noisy stripes, upright (0) or flat (1): 4 x 4 pixels, made when they are asked for."""

from __future__ import annotations

import numpy as np

from network.datasets.base import Data, Made


class Stripes(Made):
    """The data set."""

    name = "stripes"
    title = "Noisy stripes (4 x 4)"
    shape = (4, 4, 1)
    classes = 2
    train_count, test_count = 600, 200

    def load(self, cache, folder=None):
        """Return the same images each time."""
        draw = np.random.default_rng(1)
        flat = draw.integers(0, 2, 800).astype(np.uint8)
        upright = np.arange(4) % 2 * np.ones((4, 1))
        stripes = np.where(flat[:, None, None], upright.T, upright)
        images = (150 * stripes + draw.integers(0, 100, (800, 4, 4))).astype(np.uint8).reshape(800, -1)
        return Data(images[:600], flat[:600], images[600:], flat[600:], 2, self.shape)


DATASET = Stripes()
