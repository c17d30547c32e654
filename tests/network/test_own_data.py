"""Data sets of the user's: every format gives the same samples, and training values alone scale them."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from network import datasets
from network.datasets import base
from network.datasets.own import kept
from network.hardware.run import input_bits
from network.training import settings
from spinloom.config import read
from spinloom.errors import UserError
from tests.network.own_files import frame, load, own, quiet, samples

SECTION = {
    "seed": 1, "layers": [4, 3], "epochs": 2, "batch_size": 8, "rule": "float_baseline", "baseline": None,
}  # fmt: skip


def test_every_way_of_writing_a_table_is_the_same_data_set(tmp_path):
    table = frame()
    table.to_csv(tmp_path / "comma.csv", index=False)
    table.to_csv(tmp_path / "german.csv", index=False, sep=";", decimal=",")
    table.to_csv(tmp_path / "tab.tsv", index=False, sep="\t")
    table.to_csv(tmp_path / "blank.txt", index=False, sep=" ")
    table.to_csv(tmp_path / "bare.csv", index=False, header=False)
    table.to_parquet(tmp_path / "table.parquet")
    np.savez(tmp_path / "arrays.npz", x=table.iloc[:, :4].to_numpy(), y=table["kind"].to_numpy(str))
    np.save(tmp_path / "x.npy", table.iloc[:, :4].to_numpy())
    np.save(tmp_path / "y.npy", table["kind"].to_numpy(str))
    found = [
        load(tmp_path, file=name, label="kind")
        for name in ("comma.csv", "german.csv", "tab.tsv", "blank.txt", "table.parquet")
    ]
    found += [load(tmp_path, file="bare.csv", label=5)]  # by its number
    found += [load(tmp_path, "arrays", file="arrays.npz"), load(tmp_path, "arrays", file="x.npy", labels_file="y.npy")]
    assert len({manifest["digest"] for _, manifest in found}) == 1
    data, manifest = found[0]
    assert manifest["class_names"] == ["ash", "elm", "oak"] and manifest["classes"] == 3
    assert (manifest["train_images"], manifest["test_images"], manifest["shape"]) == (48, 12, [1, 4, 1])
    raw = hashlib.sha256((tmp_path / "comma.csv").read_bytes()).hexdigest()
    assert manifest["sha256"] == raw and manifest["files"] == [{"name": "comma.csv", "sha256": raw}]
    assert manifest["title"] == f"comma.csv (SHA-256 {raw[:12]})"
    assert data.train_images.dtype == np.float32


def test_types_of_columns_make_no_difference(tmp_path):
    table = frame().assign(flag=np.arange(60) % 5 < 2)
    table["count"] = pd.array(np.arange(60) % 7, "Int64")
    table.to_csv(tmp_path / "a.csv", index=False)
    table.assign(kind=table["kind"].astype("category")).to_parquet(tmp_path / "a.parquet")
    values = table.drop(columns="kind").to_numpy(np.float64)
    np.savez(tmp_path / "a.npz", x=values, y=table["kind"].to_numpy("S"))
    found = [load(tmp_path, file=name, label="kind")[1] for name in ("a.csv", "a.parquet")]
    found.append(load(tmp_path, "arrays", file="a.npz")[1])
    assert len({one["digest"] for one in found}) == 1 and found[2]["class_names"] == ["ash", "elm", "oak"]
    np.savez(tmp_path / "bits.npz", x=values > values.mean(axis=0), y=np.arange(60) % 3)
    assert set(np.unique(load(tmp_path, "arrays", file="bits.npz")[0].train_images)) == {0, 1}
    table.loc[4, "count"] = pd.NA
    table.to_parquet(tmp_path / "gap.parquet")
    with pytest.raises(UserError, match="sample 5, feature count: found nan"):
        load(tmp_path, file="gap.parquet", label="kind")


def test_the_split_takes_the_share_of_each_class_and_does_not_depend_on_the_order_of_classes(tmp_path):
    values, _ = samples(40, 2)
    labels = np.array(["a"] * 30 + ["b"] * 10)
    np.savez(tmp_path / "one.npz", x=values, y=labels)
    order = np.r_[30:40, 0:30]  # the classes change places, within each the order stays
    np.savez(tmp_path / "other.npz", x=values[order], y=labels[order])
    (data, manifest), (other, _) = (load(tmp_path, "arrays", file=f"{name}.npz") for name in ("one", "other"))
    assert (manifest["train_class_counts"], manifest["test_class_counts"]) == ([24, 8], [6, 2])
    assert sorted(data.test_images.tolist()) == sorted(other.test_images.tolist())
    drawn, _ = load(tmp_path, "arrays", file="one.npz", split_seed=2)
    assert sorted(data.test_images.tolist()) != sorted(drawn.test_images.tolist())
    half, _ = load(tmp_path, "arrays", file="one.npz", test_share=0.5)
    assert np.bincount(half.test_labels).tolist() == [15, 5]


@pytest.mark.parametrize("by", ["feature", "all"])
@pytest.mark.parametrize("scaling", ["min_max", "z_score"])
def test_scales_are_those_of_the_training_samples(tmp_path, scaling, by):
    train, test = frame(60), frame(30, name="test", spread=1.0)
    train.to_csv(tmp_path / "train.csv", index=False)
    test.to_csv(tmp_path / "test.csv", index=False)
    data, manifest = load(
        tmp_path, file="train.csv", test_file="test.csv", label="kind", scaling=scaling, scale_by=by, z_limit=3
    )
    own, given = (one.iloc[:, :4].to_numpy() for one in (train, test))
    axis = 0 if by == "feature" else None
    if scaling == "min_max":
        low, high = own.min(axis), own.max(axis)
    else:
        low, high = (own.mean(axis) + sign * 3 * own.std(axis) for sign in (-1, 1))
    for found, values in ((data.train_images, own), (data.test_images, given)):
        np.testing.assert_allclose(found, np.clip((values - low) / (high - low), 0, 1), rtol=0, atol=1e-6)
    outside = np.mean((given < low) | (given > high))
    told = f"{100 * outside:.3g} % of the test values lie outside of the training values and are clipped"
    assert outside > 0 and (told in manifest["warnings"]) == (outside > 0.01)
    assert told in manifest["warnings"] + manifest["notes"]


def test_series_are_pictures_of_channels_and_time_with_a_scale_for_each_channel(tmp_path):
    random = np.random.default_rng(3)
    x = random.normal(size=(24, 3, 16)) * np.array([1, 10, 100])[:, None]
    np.savez(tmp_path / "series.npz", x=x, y=np.arange(24) % 2)
    data, manifest = load(tmp_path, "arrays", file="series.npz", scale_by="channel")
    assert manifest["shape"] == [3, 16, 1]
    channels = data.train_images.reshape(-1, 3, 16)
    assert channels.min(axis=(0, 2)).tolist() == [0, 0, 0] and channels.max(axis=(0, 2)).tolist() == [1, 1, 1]
    whole, _ = load(tmp_path, "arrays", file="series.npz")
    assert whole.train_images.reshape(-1, 3, 16)[:, 0].std() < 0.1 * whole.train_images.reshape(-1, 3, 16)[:, 2].std()


def test_eight_bit_pictures_stay_as_they_are(tmp_path):
    random = np.random.default_rng(4)
    pictures = random.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    names = {"x_train": pictures[:16], "y_train": np.arange(16) % 4, "x_test": pictures[16:], "y_test": np.arange(4)}
    np.savez(tmp_path / "keras.npz", **names)
    data, manifest = load(
        tmp_path, "arrays", file="keras.npz", features="x_train", labels="y_train", test_features="x_test",
        test_labels="y_test",
    )  # fmt: skip
    assert manifest["shape"] == [28, 28, 1] and data.test_images.dtype == np.uint8
    np.testing.assert_array_equal(data.train_images, pictures[:16].reshape(16, -1))
    # the same numbers in a table are laid out and divided by what they end at
    table = pd.DataFrame(pictures.reshape(20, -1)).assign(label=np.arange(20) % 4)
    table.to_csv(tmp_path / "pictures.csv", index=False)
    laid, told = load(tmp_path, file="pictures.csv", label="label", limits=[0, 255], picture=[28, 28, 1])
    assert told["shape"] == [28, 28, 1]
    known = {row.tobytes() for row in (pictures.reshape(20, -1) / np.float64(255)).astype(np.float32)}
    assert {row.tobytes() for row in np.vstack([laid.train_images, laid.test_images])} == known


def test_a_folder_of_pictures_has_a_class_per_folder_and_changes_no_size_unasked(tmp_path):
    random = np.random.default_rng(5)
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(5):
            picture = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "pets" / kind / f"{number}.png")
    data, manifest = load(tmp_path, "image_folder", file="pets", colours="rgb")
    assert manifest["shape"] == [6, 8, 3] and manifest["class_names"] == ["cat", "dog"]
    assert data.train_images.dtype == np.uint8 and manifest["test_class_counts"] == [1, 1]
    grey, told = load(tmp_path, "image_folder", file="pets", resize=[4, 4])
    assert told["shape"] == [4, 4, 1] and grey.train_images.shape == (8, 16)
    Image.fromarray(np.zeros((5, 8), np.uint8)).save(tmp_path / "pets" / "cat" / "9.png")
    with pytest.raises(
        UserError, match=r"cat/9.png: found 5 x 8 pixels, allowed: 6 x 8, .* set resize: \[rows, columns\]"
    ):
        load(tmp_path, "image_folder", file="pets")
    assert load(tmp_path, "image_folder", file="pets", resize=[4, 4])[1]["train_images"] == 9


def test_a_file_is_read_once_until_it_changes(tmp_path, monkeypatch):
    frame().to_csv(tmp_path / "a.csv", index=False)
    reads = []
    plain = kept.Files.read
    monkeypatch.setattr(kept.Files, "read", lambda self, path: reads.append(path) or plain(self, path))
    first = own(tmp_path, file="a.csv", label="kind")
    sha256, cache = first.found.sha256, tmp_path / "cache"
    for _ in range(3):  # planned again, and the jobs
        again = own(tmp_path, file="a.csv", label="kind")
        assert again.found.sha256 == sha256 and again.shape == (1, 4, 1)
        again.load(cache)
    assert len(reads) == 1
    (tmp_path / "a.csv").write_text((tmp_path / "a.csv").read_text().replace("oak", "fir"))
    now = own(tmp_path, file="a.csv", label="kind")
    assert now.found.sha256 != sha256 and "fir" in now.found.class_names and len(reads) == 2
    # a job that was planned with the old file, whose samples are no longer in the cache
    for path in (cache / "table").glob("*.npz"):
        path.unlink()
    job = type(first)(first.options, first.found, cache)
    with pytest.raises(UserError, match=r"a.csv .*: found that it changed after the study was planned .SHA-256 \w+"):
        job.ensure(cache, None, quiet)
    now.ensure(cache, None, quiet)
    assert now.load(cache).classes == 3 and len(reads) == 3


def test_files_that_trade_places_are_another_data_set(tmp_path, monkeypatch):
    frame().to_csv(tmp_path / "a.csv", index=False)
    frame(name="test").to_csv(tmp_path / "b.csv", index=False)
    there = own(tmp_path, file="a.csv", test_file="b.csv", label="kind")
    manifest = there.ensure(tmp_path / "cache", None, quiet)
    _, told = load(tmp_path, file="b.csv", test_file="a.csv", label="kind")
    assert told["sha256"] != manifest["sha256"]
    assert there.digest(tmp_path / "cache") == manifest["digest"] != told["digest"]
    assert (
        len({load(tmp_path, file="a.csv", label="kind", **test)[1]["sha256"] for test in ({}, {"test_file": "a.csv"})})
        == 2
    )
    monkeypatch.chdir(tmp_path)
    options = {"file": "b.csv", "test_file": str(tmp_path / "a.csv"), "label": "kind"}
    assert datasets.get("table", options, cache=tmp_path / "cache").found.sha256 == told["sha256"]


def test_what_is_kept_is_checked(tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    found = own(tmp_path, file="a.csv", label="kind")
    cache = tmp_path / "cache"
    before = found.ensure(cache, None, quiet)
    (entry,) = (cache / "table").glob("*.npz")
    entry.write_bytes(entry.read_bytes()[:-200])
    with pytest.raises(UserError, match="damaged"):
        found.load(cache)
    assert found.ensure(cache, None, quiet) == before


def test_layers_are_checked_against_the_file_and_defaults_fit_small_data(tmp_path):
    frame().to_csv(tmp_path / "a.csv", index=False)
    section = {
        **SECTION, "dataset": "table", "data": {"cache": str(tmp_path / "cache")},
        "dataset_options": {"file": str(tmp_path / "a.csv"), "label": "kind"},
    }  # fmt: skip
    one = settings.check(section)
    assert one.held(48) == 4 and one.held(60000) == 5000 and one.held(1437) == 143 and one.held(5) == 1
    assert input_bits(one) == 32
    assert input_bits(settings.check({**section, "converters": {"dac_bits": 6}})) == 6
    for change, line in (
        ({"layers": [5, 3]}, "network.layers: found 5 inputs, allowed: 4 or 1x4x1 for this data set"),
        ({"layers": [4, 10]}, "network.layers: found 10 outputs, allowed: 3 for table"),
        ({"validation_images": 5000}, "network.validation_images: found 5000, allowed: whole numbers 1 to 47"),
        ({"batch_size": 100}, r"network.batch_size: found 100, allowed: 1 to 44 \(images to train with\)"),
        ({"augmentation": {"mirror": True}}, "network.augmentation.mirror: found true, allowed: false for samples of"),
        ({"data": {**section["data"], "folder": "x"}}, "network.data.folder: found 'x', allowed: null for table"),
        ({"dataset": "digits"}, "network.dataset_options: found file, label, allowed: none for digits"),
    ):
        with pytest.raises(UserError, match=line):
            settings.check({**section, **change})
    assert settings.check({**SECTION, "dataset": "digits", "layers": [64, 10]}).held(1437) == 143


def test_the_digest_of_8_bit_data_is_what_it_was():
    data = base.Data(
        np.arange(8, dtype=np.uint8).reshape(2, 4), np.array([0, 1], np.uint8),
        np.ones((1, 4), np.uint8), np.array([1], np.uint8), 2, (2, 2, 1),
    )  # fmt: skip
    name = hashlib.sha256(b"[2,[2,2,1],2,1]")
    for values in data[:4]:
        name.update(values.tobytes())
    assert base.content_hash(data) == name.hexdigest()
    assert base.content_hash(data._replace(train_images=data.train_images.astype(np.float32) / 8)) != name.hexdigest()


def test_files_begin_at_the_config_that_names_them(tmp_path):
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "study.yaml"
    path.write_text(
        "network: {dataset: table, dataset_options: {file: ../a.csv, test_file: /b.csv, label: file}}\n"
        "scan:\n  axes:\n  - {key: network.dataset_options.file, values: [c.csv]}\n"
        "  - {name: d, points: {one: {network: {dataset_options: {labels_file: d.csv}}}}}\n"
        "  - {key: network.rule, values: [bop]}\n"
    )
    found = read(path)
    options = found["network"]["dataset_options"]
    assert options == {"file": str(tmp_path / "a.csv"), "test_file": "/b.csv", "label": "file"}
    one, two, three = found["scan"]["axes"]
    assert one["values"] == [str(tmp_path / "deep" / "c.csv")] and three["values"] == ["bop"]
    assert two["points"]["one"]["network"]["dataset_options"]["labels_file"] == str(tmp_path / "deep" / "d.csv")


def test_floats_must_be_in_0_to_1():
    good = base.Data(
        np.zeros((2, 4), np.float32), np.array([0, 1], np.uint8), np.ones((1, 4), np.float32), np.array([1], np.uint8),
        2, (1, 4, 1),
    )  # fmt: skip
    assert base.check(good, "here") is good
    for bad in (good.test_images * 1.5, good.test_images * np.nan, good.test_images.astype(np.float64)):
        with pytest.raises(UserError, match="here: test images: found"):
            base.check(good._replace(test_images=bad), "here")
