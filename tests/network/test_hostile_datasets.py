"""Files that are damaged, foreign or hostile end in one line, and nothing of them gets into the cache."""

import io
import os
import pickle
import struct
import tarfile
import zlib

import numpy as np
import pytest

from network.datasets.files import archive
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.network.image_files import (
    ARCHIVES,
    assert_pictures,
    files_of,
    pack,
    picture,
    put,
    python2_pickle,
    quiet,
    small,
    text,
)


def odd(case: str) -> dict[str, bytes]:
    """Return a picture folder with one thing wrong."""
    files = files_of("images")
    first = next(name for name in files if name.startswith("train/cat/"))
    if case == "class":
        files["train/kitten/0.png"] = files[first]
    if case == "missing class":
        files = {name: raw for name, raw in files.items() if "test/frog" not in name}
    if case == "missing split":
        files = {name: raw for name, raw in files.items() if name.startswith("train")}
    if case == "count":
        files["train/cat/9999.png"] = files[first]
    if case == "size":
        files[first] = picture(np.zeros((32, 31, 3), np.uint8))
    if case == "mode":
        files[first] = picture(np.zeros((32, 32, 4), np.uint8))
    if case == "cut":
        files[first] = files[first][: len(files[first]) // 2]
    if case == "none":
        files[first] = b"GIF89a" + bytes(50)
    if case == "enormous":  # 60000 x 60000, says the header
        head = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        files[first] = files[first][:12] + head + struct.pack(">I", zlib.crc32(head)) + files[first][33:]
    return files


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("class", "folders in train: found airplane.*kitten.*allowed: airplane"),
        ("missing class", "folders in test: found .*allowed: airplane.*frog"),
        ("missing split", "folders in test: found none, allowed"),
        ("count", "train images: found 21, allowed: 20"),
        ("size", r"train/cat/\d+.png: found 31 x 32 RGB, allowed: 32 x 32"),
        ("mode", "found 32 x 32 RGBA, allowed: 32 x 32 RGB or L"), ("cut", "damaged or cut short"),
        ("none", "a file that is not a picture, allowed: JPEG or PNG"), ("enormous", "cut short .*exceeds limit"),
    ],
)  # fmt: skip
def test_wrong_picture_folders(tmp_path, case, message):
    put(tmp_path / "in", odd(case))
    with pytest.raises(UserError, match=message) as caught:
        small().ensure(tmp_path / "cache", tmp_path / "in", quiet)
    assert "\n" not in str(caught.value) and not (tmp_path / "cache").exists()


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


PLANES, BATCH = np.zeros((2, 3072), np.uint8), b"\x80\x02}(" + text(b"data")
HOSTILE = {
    "shell": (lambda target: pickle.dumps(Evil(os.system, f"touch {target}"), 2), r"it calls \w+.system"),
    "eval": (lambda target: pickle.dumps(Evil(eval, f"open({str(target)!r}, 'w')"), 4), "it calls builtins.eval"),
    "file": (lambda target: pickle.dumps(Evil(open, str(target), "w")), "it calls "),
    "dotted": (lambda _: b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.sort\x93.", "it calls numpy.ndarray.sort"),
    "function of numpy": (lambda _: BATCH + b"cnumpy\nload\n" + text(b"x") + b"\x85Ru.", "it calls numpy.load"),
    "objects": (lambda _: python2_pickle(PLANES, [0, 1], b"O8"), "element type"),
    "shape": (lambda _: python2_pickle(PLANES, [0, 1], shape=(3, 3072)), "cannot reshape"),
    "kind": (lambda _: BATCH + b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00NtRu.", "array of kind"),
    "outside": (lambda _: b"\x80\x02Px\n.", "refers to something outside"),
    "attributes": (lambda _: b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}(U\x08__call__Nub.", "attribute"),
    "half an array": (lambda _: BATCH + b"cnumpy\nndarray\n)\x81" + text(b"labels") + b"]u.", "data: found NoneType"),
    "list": (lambda _: b"\x80\x02].", "found a pickled list, allowed: dict"),
    "no data": (lambda _: b"\x80\x02}.", "data: found NoneType"),
    "width": (lambda _: python2_pickle(PLANES[:, :5], [0, 1]), r"found \[2, 5\], allowed: \[n, 3072\]"),
    "label": (lambda _: python2_pickle(PLANES, [0, 10]), "labels: found values of another kind"),
    "cut": (lambda _: python2_pickle(PLANES, [0, 1])[:900], "truncated"),
    "empty": (lambda _: b"", "Ran out of input"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_pickles_that_do_more_than_hold_numbers(tmp_path, case):
    make, message = HOSTILE[case]
    files = {**files_of("python"), "cifar-10-batches-py/data_batch_2": make(tmp_path / "done")}
    put(tmp_path / "in", files)
    with pytest.raises(UserError, match=message) as caught:  # even if its hash is the allowed one
        small(python=files).ensure(tmp_path / "cache", tmp_path / "in", quiet)
    assert "data_batch_2" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "done").exists() and not (tmp_path / "cache").exists()


def test_labels_and_planes_must_be_as_many(tmp_path):
    files = {**files_of("python"), "cifar-10-batches-py/test_batch": python2_pickle(PLANES, [1, 2, 3])}
    put(tmp_path / "in", files)
    with pytest.raises(UserError, match=r"test labels: found uint8\[3\] up to 3, allowed: uint8\[2\]"):
        small(python=files).ensure(tmp_path / "cache", tmp_path / "in", quiet)


@pytest.mark.parametrize("kind", ["python", "binary"])
@pytest.mark.parametrize(("case", "message"), [("hash", "data_batch_3(.bin)?: MD5: found .*, allowed"),
                                               ("lacks", "found no data_batch_3")])  # fmt: skip
def test_only_the_published_batches(tmp_path, kind, case, message):
    files = files_of(kind)
    name = next(name for name in files if "data_batch_3" in name)
    files[name] = files[name][:-1] + b"!"
    if case == "lacks":
        del files[name]
    pack(tmp_path / ARCHIVES[kind], files)
    with pytest.raises(UserError, match=message):
        small().ensure(tmp_path / "cache", tmp_path, quiet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw[:-1], "length: found 12291 bytes, allowed: a multiple of 3073"),
        (lambda raw: b"\x0a" + raw[1:], "train labels: found .* up to 10, allowed: .* up to 9"),
    ],
)
def test_binary_batches_that_make_no_sense(tmp_path, change, message):
    files = files_of("binary")
    name = "cifar-10-batches-bin/data_batch_1.bin"
    files[name] = change(files[name])
    put(tmp_path, files)
    with pytest.raises(UserError, match=message):
        small(binary=files).ensure(tmp_path / "cache", tmp_path, quiet)


def info(name, kind=tarfile.REGTYPE, size=0):
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, "/etc/passwd"
    return made


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (info("../evil"), "leads out of the archive"), (info("a/../../evil"), "leads out of the archive"),
        (info("/tmp/evil"), "leads out of the archive"), (info("train/cat/evil.png", tarfile.SYMTYPE), "special file"),
        (info("train/cat/evil.png", tarfile.LNKTYPE), "special file"), (info("x", tarfile.CHRTYPE), "special file"),
        (info("x", tarfile.FIFOTYPE), "special file"), (info("x", tarfile.GNUTYPE_SPARSE), "special file"),
        (info("x", size=10**7), "found more than 1000000 bytes unpacked, allowed: at most 1000000"),
        (info("long name", tarfile.GNUTYPE_LONGNAME, 10**7), "found more than 1000000 bytes unpacked"),
    ],
)  # fmt: skip
def test_hostile_archives(tmp_path, member, message):
    pack(tmp_path / "in.tar.gz", files_of("images"), member)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message) as caught:
        small(limit=10**6).ensure(tmp_path / "cache", tmp_path / "in.tar.gz", quiet)
    assert "\n" not in str(caught.value) and sorted(tmp_path.rglob("*")) == before


def test_an_archive_with_a_file_twice(tmp_path):
    with tarfile.open(tmp_path / "in.tar.gz", "w:gz") as tar:
        for prefix in ("a/", "b/"):
            for name, raw in files_of("images").items():
                made = info(prefix + name, size=len(raw))
                tar.addfile(made, io.BytesIO(raw))
    with pytest.raises(UserError, match="found train/.* a second time, allowed: each file once"):
        small().ensure(tmp_path / "cache", tmp_path / "in.tar.gz", quiet)


def test_truncated_and_foreign_archives(tmp_path):
    pack(tmp_path / "whole.tar.gz", files_of("images"))
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    wrong_sum = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    pack(tmp_path / "other.tar.gz", {"readme": b"hello"})
    other = (tmp_path / "other.tar.gz").read_bytes()
    cases = {
        "not a readable archive": (whole[: len(whole) // 2], b"PK\x03\x04zip", b""),
        "CRC check failed": (wrong_sum,),
        "found no files of cifar10, allowed: data_batch_1.*; or {train,test}/CLASS": (other,),
    }
    for message, raw in ((message, raw) for message, raws in cases.items() for raw in raws):
        (tmp_path / "in.tar.gz").write_bytes(raw)
        with pytest.raises(UserError, match=message):
            small().ensure(tmp_path / "cache", tmp_path / "in.tar.gz", quiet)
    assert not (tmp_path / "cache").exists()


def test_damaged_bytes_of_an_archive_never_get_through_as_another_error():
    """400 archives with one byte of a header overwritten: either members come out or one line."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info("a/" * 60 + "é.bin", size=700), io.BytesIO(bytes(700)))
    raw, random = plain.getvalue(), generator(1, "damage")
    refused = 0
    for _ in range(400):
        hurt = bytearray(raw)
        hurt[random.integers(0, 3 * 512)] = random.integers(0, 256)
        try:
            list(archive.members(io.BytesIO(bytes(hurt)), "x", 10**5))
        except UserError:
            refused += 1
    assert refused > 100


def test_folders_that_are_too_large_or_not_there(tmp_path):
    put(tmp_path / "in", files_of("images"))
    with pytest.raises(UserError, match=r"in: length: found \d+ bytes, allowed: at most 5000"):
        small(limit=5000).ensure(tmp_path / "cache", tmp_path / "in", quiet)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="network.data.folder: .*found no files of cifar10, allowed: data_batch_1"):
        small().ensure(tmp_path / "cache", tmp_path / "empty", quiet)
    with pytest.raises(
        UserError, match="network.data.folder: found .*absent, which does not exist, allowed: a folder or a .tar.gz"
    ):
        small().ensure(tmp_path / "cache", tmp_path / "absent", quiet)


def test_damaged_cache_is_noticed_and_mended(tmp_path):
    put(tmp_path / "in", files_of("binary"))
    dataset, cache = small(), tmp_path / "cache"
    manifest = dataset.ensure(cache, tmp_path / "in", quiet)
    (entry,) = (cache / "cifar10").iterdir()
    good, random = entry.read_bytes(), generator(1, "damage")
    refused = 0
    for _ in range(60):
        hurt = bytearray(good)
        hurt[random.integers(0, len(good))] ^= 1 << random.integers(0, 8)
        entry.write_bytes(bytes(hurt))
        try:
            assert_pictures(dataset.load(cache, tmp_path / "in"))  # a byte that means nothing to the reader
        except UserError as error:
            refused += "\n" not in str(error)
    assert refused > 50
    entry.write_bytes(good[: len(good) // 3])
    with pytest.raises(UserError, match="damaged .*; run 'python -m network data' again"):
        dataset.load(cache, None)
    assert dataset.ensure(cache, tmp_path / "in", quiet) == manifest
    assert_pictures(dataset.load(cache, None))


def test_a_cache_entry_whose_arrays_are_not_those_it_names(tmp_path):
    put(tmp_path / "in", files_of("binary"))
    dataset, cache = small(), tmp_path / "cache"
    dataset.ensure(cache, tmp_path / "in", quiet)
    (entry,) = (cache / "cifar10").iterdir()
    with np.load(entry) as stored:
        arrays = dict(stored)
    arrays["test_labels"] = arrays["test_labels"][::-1]
    np.savez(entry, **arrays)
    with pytest.raises(UserError, match="SHA-256 of the arrays"):
        dataset.load(cache, None)
