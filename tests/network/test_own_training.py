"""Networks of devices learn a user's tables, spectra, series and pictures; whatever takes 0 to 1 is content."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from network.crossbar.converters import quantise
from tests.network.conftest import make_card, train, trainer, write_config
from tests.network.own_files import samples


def activities(folder):
    """Write tables as of the UCI data set of human activities: 561 features in -1 to 1, six classes, labels apart."""
    for part, count in (("train", 180), ("test", 60)):
        values, labels = samples(count, 561, 6, part, spread=1.0)
        lines = [" " + " ".join(f"{value: .7e}" for value in row) for row in np.tanh(values)]
        (folder / f"X_{part}.txt").write_text("\n".join(lines) + "\n")
        (folder / f"y_{part}.txt").write_text("".join(f"{label + 1}\n" for label in labels))
    files = {
        "file": "X_train.txt", "test_file": "X_test.txt", "labels_file": "y_train.txt", "test_labels_file": "y_test.txt"
    }  # fmt: skip
    options = {**{key: str(folder / name) for key, name in files.items()}, "scaling": "none", "limits": [-1, 1]}
    return {"dataset": "table", "dataset_options": options, "layers": [561, 12, 6], "input": {"range": "signed"}}


def spectra(folder):
    """Write 100 spectra of 1,000 channels with a line at one of four places."""
    random = np.random.default_rng(1)
    kinds = np.arange(100) % 4
    channels = np.arange(1000)
    lines = np.exp(-(((channels - 200 * (1 + kinds[:, None])) / 30) ** 2) / 2)
    table = pd.DataFrame((1e4 * lines + random.normal(0, 300, (100, 1000))).round(1), columns=list(map(str, channels)))
    table.assign(phase=np.array(list("abcd"))[kinds]).to_csv(folder / "spectra.csv", index=False, sep=";", decimal=",")
    options = {"file": str(folder / "spectra.csv"), "label": "phase", "scaling": "z_score", "scale_by": "all"}
    return {"dataset": "table", "dataset_options": options, "layers": [1000, 8, 4], "input": {"range": "signed"}}


def series(folder):
    """Write series of two channels, of which one has a wave of one of three frequencies, as pictures."""
    random = np.random.default_rng(2)
    kinds, time = np.arange(120) % 3, np.arange(32)
    wave = np.sin(2 * np.pi * (1 + kinds[:, None]) * time / 32)
    x = np.stack([wave, 0 * wave], axis=1) + random.normal(0, 0.2, (120, 2, 32))
    np.savez(folder / "series.npz", x=x, y=kinds)
    layers = ["2x32x1", "6C3p", 3]
    return {"dataset": "arrays", "dataset_options": {"file": str(folder / "series.npz")}, "layers": layers}


def pictures(folder):
    """Write float pictures of 28 x 28 with a bright quarter."""
    random = np.random.default_rng(3)
    x = random.random((120, 28, 28)) * 0.3
    for number in range(120):
        row, column = divmod(number % 4, 2)
        x[number, 14 * row : 14 * row + 14, 14 * column : 14 * column + 14] += 0.6
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", np.arange(120) % 4)
    options = {"file": str(folder / "x.npy"), "labels_file": str(folder / "y.npy"), "scaling": "none"}
    return {"dataset": "arrays", "dataset_options": options, "layers": ["28x28x1", "4C5", "MP2", 4]}


@pytest.mark.long
@pytest.mark.parametrize("kind", [activities, spectra, series, pictures])
def test_learns(tmp_path, kind):
    config = partial(write_config, tmp_path, data={"cache": str(tmp_path / "cache")})
    changes = {"validation_images": None, "batch_size": 8, "epochs": 6, **kind(tmp_path)}
    result, _ = train(config, tmp_path / "run", make_card(), **changes)
    classes = len(result["confusion"])
    assert result["history"][-1]["test_accuracy"] > 0.8 > 2 / classes


def machine(folder, **changes):
    config = partial(write_config, folder, data={"cache": str(folder / "cache")})
    return trainer(config, validation_images=None, batch_size=8, **{**activities(folder), **changes}).machine


def test_what_enters_the_network(tmp_path):
    """Ranges, bits and noise act on floats as on pictures: they all begin at 0 to 1."""
    one = machine(tmp_path)
    images, _ = one.test
    unit = np.asarray(one.prepare(images)).reshape(len(images), -1)
    np.testing.assert_array_equal(unit, images)
    written = np.loadtxt(tmp_path / "X_test.txt")
    np.testing.assert_allclose(np.asarray(one.shaped(unit)), written, rtol=0, atol=1e-6)  # signed: as they were
    binary = machine(tmp_path, input={"range": "binary"})
    np.testing.assert_array_equal(np.asarray(binary.shaped(binary.prepare(images))).reshape(unit.shape), written > 0)
    coarse = machine(tmp_path, converters={"dac_bits": 3})
    seen = quantise(coarse.shaped(unit), 3, 1.0, signed=True)
    assert len(np.unique(seen)) == 7 and np.abs(seen - written).max() < 1 / 6 + 1e-6
