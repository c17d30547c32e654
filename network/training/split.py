"""Which samples of the training set validate."""

from __future__ import annotations

import numpy as np

from network.datasets import Data
from network.datasets.own import held
from network.training.settings import Settings
from spinloom.errors import UserError
from spinloom.streams import generator


def split(settings: Settings, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the samples that validate and of those that train, int64[...] each, in the order drawn.

    Data sets of the user's are often small: of them each class validates with its share, and groups stay whole, so
    that the number is as near to what is asked for as they allow. Published data sets are drawn as a whole.

    Raises
    ------
    UserError
        If groups leave less samples than are to train.
    """
    random = generator(settings.seed, "network", "validation split")
    order = random.permutation(len(data.train_labels))
    count = settings.held(len(order))
    if settings.about_data is None:
        return order[:count], order[count:]
    if data.train_groups is None:
        chosen = held.by_class(data.train_labels, count, order)
    else:
        groups = generator(settings.seed, "network", "validation split", "groups").permutation(
            data.train_groups.max() + 1
        )
        chosen = held.by_group(data.train_labels, data.train_groups, count / len(order), groups)
        assert chosen is not None  # the data set was refused else
    drawn = chosen[order]
    if (wanted := settings.training_images) is not None and wanted > int((~chosen).sum()):
        raise UserError(
            f"network.training_images: found {wanted}, allowed: 1 to {int((~chosen).sum())}, because whole groups "
            "validate"
        )
    return order[drawn], order[~drawn]
