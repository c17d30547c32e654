"""digits: 1797 handwritten digits, 8 x 8, 17 grey levels (Alpaydin, Kaynak 1998, UCI; CC BY 4.0), with scikit-learn.

Images 0 to 1436 train, the last 360 test: the usual split without shuffling, so there is nothing to draw. The images
are UCI's test part, by 13 people, in the order of its file. A shuffle makes the test easier (ridge regression 93.5 %
instead of 86.4 %, support vectors 99.0 % instead of 96.1 %), most likely because the same hands are then on both sides.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from network.datasets.base import Data, Made


class Digits(Made):
    """The data set."""

    name = "digits"
    title = "UCI handwritten digits (8 x 8)"
    shape = (8, 8, 1)
    classes = 10
    train_count, test_count = 1437, 360

    def load(self, cache: Path, folder: Path | None = None) -> Data:
        """Return the images, grey levels 0..16 spread over 0..255."""
        from sklearn.datasets import load_digits  # imported here: no other data set has to pay for it

        given = load_digits(return_X_y=True)
        images, labels = np.rint(np.asarray(given[0]) * (255 / 16)).astype(np.uint8), np.asarray(given[1], np.uint8)
        cut = self.train_count
        return Data(images[:cut], labels[:cut], images[cut:], labels[cut:], self.classes, self.shape)


DATASET = Digits()
