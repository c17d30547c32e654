"""CIFAR-10, SVHN and digits: the same pictures in every format are the same arrays."""

import hashlib
import io
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import savemat

from network import datasets
from network.datasets import base, cifar10, svhn
from network.datasets.files.unpickle import arrays_and_values
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.network.image_files import (
    ARCHIVES,
    IMAGES,
    LABELS,
    TEST,
    assert_pictures,
    batches,
    files_of,
    pack,
    picture,
    put,
    python2_pickle,
    quiet,
    small,
)


@pytest.mark.parametrize("packed", ["folder", "folder itself", "archive", "archive itself"])
@pytest.mark.parametrize("kind", ["python", "binary", "images"])
def test_every_delivery_is_the_same_data(tmp_path, kind, packed):
    if packed.startswith("folder"):
        put(tmp_path / "in", files_of(kind))
        inner = {"python": "cifar-10-batches-py", "binary": "cifar-10-batches-bin", "images": "."}[kind]
        place = tmp_path / "in" / (inner if packed == "folder itself" else "")
    else:
        (tmp_path / "in").mkdir()
        pack(tmp_path / "in" / ARCHIVES[kind], files_of(kind))
        place = tmp_path / "in" / (ARCHIVES[kind] if packed == "archive itself" else "")
    dataset, cache = small(), tmp_path / "cache"
    manifest = dataset.ensure(cache, place, quiet)
    data = dataset.load(cache, place)
    assert_pictures(data)
    original = base.Data(IMAGES["train"].reshape(20, -1), LABELS["train"], IMAGES["test"].reshape(10, -1),
                         LABELS["test"], 10, (32, 32, 3))  # fmt: skip
    assert manifest["digest"] == dataset.digest(cache, place) == base.content_hash(original)
    assert manifest["title"] == ("CIFAR-10 (PNG)" if kind == "images" else "CIFAR-10")
    assert manifest["train_class_counts"] == [2] * 10 and manifest["test_class_counts"] == [1] * 10
    assert dataset.ensure(cache, place, quiet) == manifest  # from the cache
    if kind != "images":  # published data are known by name, wherever the files have gone
        assert dataset.ensure(cache, None, quiet) == manifest


def test_the_pickles_of_these_tests_are_those_that_numpy_reads():
    planes, labels = batches()[TEST]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names of modules
        found = pickle.loads(python2_pickle(planes, labels), encoding="bytes")
    np.testing.assert_array_equal(found[b"data"], planes)
    assert found[b"labels"] == labels.tolist() and found[b"data"].dtype == np.uint8


def test_jpeg_is_called_jpeg_and_is_close(tmp_path):
    ramp = np.add.outer(np.arange(32), np.arange(32))[..., None] * np.array([1, 2, 3])
    files = {f"{split}/{name}/{k}.jpg": picture((ramp + 5 * label).astype(np.uint8), format="JPEG", quality=95)
             for split, count in (("train", 2), ("test", 1)) for k in range(count)
             for label, name in enumerate(cifar10.CLASSES)}  # fmt: skip
    put(tmp_path, {**files, "train/cat/._1.jpg": b"hidden", "train/notes.txt": b"no picture"})
    dataset = small()
    assert dataset.ensure(tmp_path / "cache", tmp_path, quiet)["title"] == "CIFAR-10 (JPEG)"
    data = dataset.load(tmp_path / "cache", tmp_path)
    assert data.train_labels.tolist() == 2 * list(range(10))  # the classes take turns
    for row, label in enumerate(data.test_labels):
        np.testing.assert_allclose(data.test_images[row].reshape(32, 32, 3), ramp + 5.0 * label, rtol=0, atol=8)


def test_pictures_change_the_name_and_another_version_is_not_taken_for_the_published_one(tmp_path):
    put(tmp_path / "in", files_of("images"))
    dataset, cache = small(), tmp_path / "cache"
    first = dataset.ensure(cache, tmp_path / "in", quiet)["digest"]
    with pytest.raises(UserError, match="not in the cache"):
        dataset.load(cache, None)
    with pytest.raises(UserError, match="put its files into a folder and set network.data.folder"):
        dataset.ensure(cache, None, quiet)
    changed = IMAGES["test"][3].copy()
    changed[5, 6, 1] ^= 1
    name = cifar10.CLASSES[LABELS["test"][3]]
    (tmp_path / "in" / "test" / name / "0003.png").write_bytes(picture(changed))
    with pytest.raises(UserError, match="not in the cache"):
        dataset.digest(cache, tmp_path / "in")
    assert dataset.ensure(cache, tmp_path / "in", quiet)["digest"] != first
    assert dataset.load(cache, tmp_path / "in").test_images[3].tolist() == changed.ravel().tolist()


def test_grey_pictures_become_rgb(tmp_path):
    files = files_of("images")
    grey = IMAGES["test"][0][:, :, 0]
    files[f"test/{cifar10.CLASSES[LABELS['test'][0]]}/0000.png"] = picture(grey)
    put(tmp_path / "in", files)
    dataset = small()
    dataset.ensure(tmp_path / "cache", tmp_path / "in", quiet)
    found = dataset.load(tmp_path / "cache", tmp_path / "in").test_images[0].reshape(32, 32, 3)
    np.testing.assert_array_equal(found, np.repeat(grey[:, :, None], 3, axis=2))


def test_mirror(tmp_path, mirror):
    pack(tmp_path / "mirror" / "cifar-10-binary.tar.gz", files_of("binary"))
    dataset = small(urls=(f"{mirror}/cifar-10-binary.tar.gz",))
    assert dataset.ensure(tmp_path / "cache", None, quiet)["layout"] == "binary-batches"
    assert_pictures(dataset.load(tmp_path / "cache"))
    pack(tmp_path / "mirror" / "cifar-10-binary.tar.gz", {**files_of("binary"), "test_batch.bin": b"again"})
    lines = []
    with pytest.raises(UserError, match="could not be downloaded"):
        dataset.ensure(tmp_path / "other", None, lines.append)
    assert "test_batch.bin a second time, allowed: each file once" in lines[-1] and not (tmp_path / "other").exists()


# ---- SVHN

DIGITS = {"train": np.r_[1:11, 10, 10], "test": np.r_[10:0:-1]}


def mat_files(change=lambda split, content: content, compress=True) -> dict[str, bytes]:
    files = {}
    for split, labels in DIGITS.items():
        images = generator(2, split).integers(0, 256, (32, 32, 3, len(labels)), dtype=np.uint8)
        stream = io.BytesIO()
        savemat(stream, change(split, {"X": images, "y": labels[:, None].astype(np.uint8)}), do_compression=compress)
        files[f"{split}_32x32.mat"] = stream.getvalue()
    return files


def small_svhn(files, mirror="http://127.0.0.1:9"):
    layout = svhn.layout({name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}, mirror)
    return replace(svhn.DATASET, train_count=12, test_count=10, layouts=(layout,))


@pytest.mark.parametrize("compress", [True, False])
def test_svhn(tmp_path, compress):
    files = mat_files(compress=compress)
    put(tmp_path / "in", files)
    dataset, cache = small_svhn(files), tmp_path / "cache"
    manifest = dataset.ensure(cache, tmp_path / "in", quiet)
    data = dataset.load(cache, tmp_path / "gone")
    assert data.train_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0]
    assert manifest["train_class_counts"] == [3] + [1] * 9 and manifest["title"] == "SVHN cropped house numbers"
    images = generator(2, "train").integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    for row, column, channel, n in ((0, 0, 0, 0), (3, 17, 1, 5), (31, 2, 2, 11)):
        assert data.train_images[n].reshape(32, 32, 3)[row, column, channel] == images[row, column, channel, n]
    assert manifest["digest"] == dataset.digest(cache) == base.content_hash(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, c: {**c, "X": c["X"].astype(np.int16)}, r"X: found int16\[32, 32, 3, 12\], allowed: uint8"),
        (lambda s, c: {**c, "X": c["X"][:, :, :2]}, r"X: found uint8\[32, 32, 2, 12\]"),
        (lambda s, c: {"y": c["y"]}, r"X: found object\[\], allowed: uint8"),
        (lambda s, c: {**c, "y": c["y"].astype(float)}, r"y: found float64\[12, 1\], allowed: uint8\[12, 1\]"),
        (lambda s, c: {**c, "y": c["y"][:-1]}, r"y: found uint8\[11, 1\], allowed: uint8\[12, 1\]"),
        (lambda s, c: {**c, "y": c["y"] - 1}, "y: found 0 to 9, allowed: 1 to 10"),
        (lambda s, c: {**c, "y": c["y"] + 1}, "y: found 2 to 11, allowed: 1 to 10"),
        (lambda s, c: {"X": c["X"][..., :-1], "y": c["y"][:-1]}, "train images: found 11, allowed: 12"),
    ],
)  # fmt: skip
def test_svhn_files_that_are_not_as_described(tmp_path, change, message):
    files = mat_files(change)
    put(tmp_path, files)
    with pytest.raises(UserError, match=message):
        small_svhn(files).ensure(tmp_path / "cache", tmp_path, quiet)


def test_svhn_hash_truncation_and_absence(tmp_path):
    files = mat_files()
    put(tmp_path, {**files, "test_32x32.mat": files["test_32x32.mat"][:-1]})
    with pytest.raises(UserError, match="test_32x32.mat: SHA256: found .*, allowed"):
        small_svhn(files).ensure(tmp_path / "cache", tmp_path, quiet)
    cut = {name: raw[: len(raw) // 2] for name, raw in files.items()}
    put(tmp_path, cut)
    with pytest.raises(UserError, match="train_32x32.mat: not a readable MATLAB file"):
        small_svhn(cut).ensure(tmp_path / "cache", tmp_path, quiet)
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(UserError, match="found no test_32x32.mat"):
        small_svhn(files).ensure(tmp_path / "cache", tmp_path, quiet)


def test_svhn_mirror_of_single_files(tmp_path, mirror):
    files = mat_files()
    put(tmp_path / "mirror", files)
    dataset = small_svhn(files, mirror)
    assert dataset.ensure(tmp_path / "cache", None, quiet)["test_images"] == 10
    lines = []
    with pytest.raises(UserError, match="could not be downloaded"):
        replace(dataset, limit=1000).ensure(tmp_path / "other", None, lines.append)
    assert lines == [f"svhn: {mirror} brought no usable files: {mirror}/train_32x32.mat: found more than 1000 bytes, "
                     "allowed: at most 1000"]  # fmt: skip


# ---- digits and the registry


def test_digits(tmp_path):
    dataset = datasets.get("digits")
    data = dataset.load(tmp_path)
    # the first of all digits: its second row of 0..16 is 0 0 13 15 10 15 5 0
    assert data.train_images[0].reshape(8, 8)[1].tolist() == [0, 0, 207, 239, 159, 239, 80, 0]
    assert data.train_labels[:10].tolist() == list(range(10)) and data.train_images.max() == 255
    manifest = dataset.ensure(tmp_path, None, quiet)
    total = np.add(manifest["train_class_counts"], manifest["test_class_counts"])
    assert total.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI's documentation
    assert manifest["digest"] == dataset.digest(tmp_path) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "digits", "cifar10", "svhn"])
def test_registry(name):
    dataset = datasets.get(name)
    counts = {"digits": (1437, 360), "cifar10": (50000, 10000), "svhn": (73257, 26032)}.get(name, (60000, 10000))
    shape = {"digits": (8, 8, 1), "cifar10": (32, 32, 3), "svhn": (32, 32, 3)}.get(name, (28, 28, 1))
    assert (dataset.name, dataset.shape, dataset.classes) == (name, shape, 10) and dataset.title
    assert (dataset.train_count, dataset.test_count) == counts and dataset.inputs == np.prod(shape)
    with pytest.raises(UserError, match="network.dataset: found nist, allowed: arrays, .*mnist"):
        datasets.get("nist")


def test_published_hashes_are_hashes():
    layouts = [
        layout
        for name in ("cifar10", "svhn", "mnist", "fashion_mnist")
        for layout in datasets.get(name).layouts
        if layout.hashes
    ]
    assert [len(layout.hashes) for layout in layouts] == [6, 6, 2, 4, 4]
    for layout in layouts:
        length = 2 * hashlib.new(layout.algorithm).digest_size
        values = {value for _, value in layout.hashes}
        assert len(values) == len(layout.hashes) and all(len(v) == length and int(v, 16) for v in values)


def test_unpickled_arrays_are_the_bytes_of_the_file():
    planes, labels = batches()["data_batch_4"]
    found = arrays_and_values(python2_pickle(planes, labels), "x")
    np.testing.assert_array_equal(found[b"data"], planes)
    assert found[b"labels"] == labels.tolist() and found[b"batch_label"] == b"training batch"
