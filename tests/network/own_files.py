"""Files of a user's: well-behaved classes as features, written in every way that is read."""

import numpy as np
import pandas as pd

from network import datasets
from spinloom.streams import generator


def quiet(_):
    pass


def samples(count, features, classes=3, name="samples", spread=0.3):
    """Return float64[count, features] around a point for each class, which are the same for all names, and labels."""
    centres = generator(1, "centres", features).normal(size=(classes, features))
    random = generator(1, name)
    labels = np.arange(count) % classes
    return centres[labels] + spread * random.normal(size=(count, features)), labels


def frame(count=60, features=4, **options) -> pd.DataFrame:
    """Return such samples as a table with text labels in the column ``kind``."""
    values, labels = samples(count, features, **options)
    table = pd.DataFrame(values.round(4), columns=[f"f{number}" for number in range(features)])
    return table.assign(kind=np.array(["oak", "ash", "elm", "yew"])[labels])


def own(folder, dataset="table", **options):
    """Return a data set whose files are in ``folder``, with a cache beside them."""
    files = {key: str(folder / value) for key, value in options.items() if key.endswith("file")}
    return datasets.get(dataset, {**options, **files}, cache=folder / "cache")


def load(folder, dataset="table", **options):
    """Return the arrays of a data set and its manifest."""
    found = own(folder, dataset, **options)
    manifest = found.ensure(folder / "cache", None, quiet)
    return found.load(folder / "cache"), manifest
