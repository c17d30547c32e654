"""What is wrong with a user's data is said in one line, or stays a warning to the last table."""

import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from network.datasets.own import kept, samples
from spinloom.errors import UserError
from tests.network.own_files import frame, load
from tests.network.own_files import samples as drawn


def refused(folder, dataset="table", **options) -> str:
    with pytest.raises(UserError) as error:
        load(folder, dataset, **options)
    told = str(error.value)
    assert "\n" not in told and "found" in told
    return told


def written(folder, table, name="a.csv", **options):
    table.to_csv(folder / name, index=False, **options)
    return {"file": name, "label": "kind"}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_and_infinite_values_name_sample_and_feature(tmp_path, value):
    table = frame()
    table.loc[[6, 9], "f2"] = value
    told = refused(tmp_path, **written(tmp_path, table))
    assert f"a.csv: sample 7, feature f2: found {value}, allowed: finite numbers" in told and "(2 values)" in told
    values, labels = drawn(20, 3)
    values[4, 1] = value
    np.savez(tmp_path / "a.npz", x=values, y=labels)
    assert f"sample 5, feature [1]: found {value}" in refused(tmp_path, "arrays", file="a.npz")


def test_labels_that_are_no_classes(tmp_path):
    table = frame()
    options = written(tmp_path, table.assign(kind=np.linspace(0, 1, 60)))
    assert "the labels look continuous" in (told := refused(tmp_path, **options)) and "regression is not among" in told
    options = written(tmp_path, table.assign(kind=np.arange(60) * 3))
    assert "labels: found 60 different numbers in 60 samples, so the labels look continuous" in refused(
        tmp_path, **options
    )
    options = written(tmp_path, table.assign(kind=[f"n{number}" for number in range(60)]))
    assert "class n0: found 1 sample, allowed: 2 or more" in refused(tmp_path, **options)
    options = written(tmp_path, table.assign(kind="oak"))
    assert "found one class, oak, allowed: two or more" in refused(tmp_path, **options)
    table.loc[3, "kind"] = None
    assert "sample 4: found no label" in refused(tmp_path, **written(tmp_path, table))


def test_labels_of_the_test_are_those_of_the_training(tmp_path):
    options = written(tmp_path, frame()) | {"test_file": "b.csv"}
    other = frame(30, name="test")
    other.loc[2, "kind"] = "yew"
    written(tmp_path, other, "b.csv")
    assert "test samples: found class yew, allowed: the classes of the training samples: ash, elm, oak" in refused(
        tmp_path, **options
    )
    written(tmp_path, frame(30, name="test").query("kind != 'elm'"), "b.csv")
    assert "classes without a test sample: elm" in load(tmp_path, **options)[1]["warnings"]
    written(tmp_path, frame(30, name="test")[["f1", "f0", "f2", "f3", "kind"]], "b.csv")
    assert "b.csv: found other columns than in a.csv" in refused(tmp_path, **options)
    written(tmp_path, frame(30, 5, name="test"), "b.csv")
    assert "b.csv: found samples of shape [5], allowed: [4], as in a.csv" in refused(tmp_path, **options)


def test_doubts_are_warnings(tmp_path):
    train, test = frame(), frame(30, name="test")
    test.iloc[:3] = train.iloc[:3]
    options = written(tmp_path, train) | {"test_file": "b.csv"}
    written(tmp_path, test, "b.csv")
    assert "3 of 30 test samples are training samples too" in load(tmp_path, **options)[1]["warnings"]
    few = pd.concat([frame(40, classes=2), frame(60, classes=3).query("kind == 'elm'").iloc[:4]])
    told = load(tmp_path, **written(tmp_path, few))[1]["warnings"]
    assert "classes with less than 10 training samples: elm (3)" in told
    assert not load(tmp_path, **written(tmp_path, frame(300, spread=1)))[1]["warnings"]


def test_constant_features_are_told_and_all_constant_ones_refused(tmp_path):
    for scaling, level in (("min_max", 0.0), ("z_score", 0.5)):
        options = written(tmp_path, frame().assign(f1=7.1))
        data, manifest = load(tmp_path, scaling=scaling, **options)
        assert "1 of 4 features do not change in training" in manifest["notes"]
        assert (data.train_images[:, 1] == level).all()
    np.savez(tmp_path / "a.npz", x=np.full((20, 3), 0.1), y=np.arange(20) % 2)
    assert "found training samples that are all alike" in refused(tmp_path, "arrays", file="a.npz")


def test_unscaled_values_outside_of_0_to_1(tmp_path):
    options = written(tmp_path, frame())
    told = refused(tmp_path, scaling="none", **options)
    assert "with scaling none, allowed: 0 to 1; give the key limits, or set scaling to min_max or z_score" in told
    assert load(tmp_path, scaling="none", limits=[-9, 9], **options)[1]["train_images"] == 48
    assert "limits: found with scaling z_score, allowed: only with scaling none" in refused(
        tmp_path, scaling="z_score", limits=[0, 1], **options
    )


def test_columns(tmp_path):
    options = written(tmp_path, frame().assign(place="somewhere"))
    assert (
        "column 'place', sample 1: found somewhere, allowed: numbers; if the column is not a feature, name it in ignore"
        in (refused(tmp_path, **options))
    )
    plain = load(tmp_path, **written(tmp_path, frame()))[1]["digest"]
    options = written(tmp_path, frame().assign(place="somewhere"))
    assert load(tmp_path, ignore=["place"], **options)[1]["digest"] == plain
    assert load(tmp_path, features=["f0", "f1", "f2", "4"], **options)[1]["digest"] == plain
    assert "label: found 'sort', allowed: f0, f1, f2, f3, kind" in refused(tmp_path, **{**options, "label": "sort"})
    assert "features: found 'kind', which is the label, the group or ignored" in refused(
        tmp_path, features=["f0", "kind"], ignore=["place"], **options
    )
    assert "found neither of label and labels_file" in refused(tmp_path, file="a.csv")
    frame().to_csv(tmp_path / "i.csv")  # pandas writes the numbers of the rows as well
    assert "column 1: found no name" in refused(tmp_path, file="i.csv", label="kind")
    frame().rename_axis("row").to_csv(tmp_path / "i.csv")
    assert (
        "column 'row': found a column that only numbers the samples, allowed: features; name it in ignore"
        in refused(tmp_path, file="i.csv", label="kind")
    )


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    assert "none.csv, which cannot be read (No such file or directory)" in refused(
        tmp_path, file="none.csv", label="kind"
    )
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv: found an empty file" in refused(tmp_path, file="empty.csv", label="kind")
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)) * 20)
    assert "bytes that are not text" in refused(tmp_path, file="bytes.csv", label="kind")
    (tmp_path / "bytes.parquet").write_bytes(b"PAR1")
    assert "found no readable Parquet" in refused(tmp_path, file="bytes.parquet", label="kind")
    (tmp_path / "ragged.csv").write_text("a,b,kind\n1,2,x\n1,2,3,4,5,x\n")
    assert "ragged.csv: found no readable table" in refused(tmp_path, file="ragged.csv", label="kind")
    (tmp_path / "wide.csv").write_text("a,b,kind\n" + "1,2,3,x\n" * 9)  # cells that no column is named for
    assert "wide.csv: found no readable table" in refused(tmp_path, file="wide.csv", label="kind")
    for name, raw in (("a.npz", b"PK\x03\x04"), ("b.npy", b"\x93NUMPY" + struct.pack("<BB", 9, 9))):
        (tmp_path / name).write_bytes(raw)
        labels = {"labels_file": "b.npy"} if name.endswith("npy") else {}
        assert "found no readable arrays" in refused(tmp_path, "arrays", file=name, **labels)
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "y.npy", np.arange(20) % 2)
    assert "found no readable arrays" in refused(tmp_path, "arrays", file="objects.npy", labels_file="y.npy")
    np.savez(tmp_path / "c.npz", a=np.ones(3))
    assert "found no array 'x', allowed: a" in refused(tmp_path, "arrays", file="c.npz")
    assert "y.npy, allowed: one with an NPY file, none with any other" in refused(tmp_path, "arrays", file="y.npy")
    monkeypatch.setattr(kept, "MOST_B", 10)
    assert "allowed: at most 1e-08 GB, because samples are kept in memory" in refused(tmp_path, "arrays", file="c.npz")


def test_more_than_memory_is_meant_to_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "MOST_VALUES", 200)
    told = refused(tmp_path, **written(tmp_path, frame()))
    assert (
        "found 60 samples of 5 values, allowed: at most 200 values in all, because samples are kept in memory" in told
    )


def test_shapes_of_arrays(tmp_path):
    values, labels = drawn(20, 6)

    def told(x, y=labels, **options):
        np.savez(tmp_path / "a.npz", x=x, y=y)
        return refused(tmp_path, "arrays", file="a.npz", **options)

    assert "found features of shape [20], allowed: [samples, features]" in told(values[:, 0])
    assert "found 20 samples and labels of shape [19], allowed: one label for each" in told(values, labels[1:])
    assert "found 20 samples and labels of shape [20, 3]" in told(values, np.eye(3)[labels])
    assert "pictures of shape [3, 8, 8], where the channels seem to come first" in told(np.zeros((20, 3, 8, 8)))
    assert "picture: found [2, 2, 1], allowed: sizes whose product is 6" in told(values, picture=[2, 2, 1])
    assert "scale_by: found 'channel' for samples without channels" in told(values, scale_by="channel")
    assert "test_share: found together with test samples" in told(values, test_file="a.npz", test_share=0.3)
    assert "found no sample" in told(values[:0], labels[:0])


def test_pictures_that_are_none(tmp_path):
    folder = tmp_path / "pets"
    folder.mkdir()
    assert "found no pictures, allowed: a folder with CLASS/*.png" in refused(tmp_path, "image_folder", file="pets")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "loose.png")
    assert "loose.png: found a picture beside the folders of classes, allowed: pictures in" in refused(
        tmp_path, "image_folder", file="pets"
    )
    (folder / "loose.png").unlink()
    for kind in ("cat", "dog"):
        (folder / kind).mkdir()
        Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(folder / kind / "deep.png")
    assert "deep.png: found a picture of mode I;16, allowed: pictures of 8 bits" in refused(
        tmp_path, "image_folder", file="pets"
    )
    (folder / "cat" / "deep.png").write_bytes(b"no picture")
    assert "deep.png: found a file that is not a picture, allowed: JPEG or PNG" in refused(
        tmp_path, "image_folder", file="pets"
    )


def test_columns_that_say_the_label_or_the_row(tmp_path):
    table = frame().assign(kind=np.arange(60) % 3)
    twice = pd.concat([table, table[["kind"]]], axis=1)
    assert "label: found 'kind' in several columns" in refused(tmp_path, **written(tmp_path, twice))
    mixed = table.sample(frac=1, random_state=1)
    for rows in (mixed, mixed[:45]):  # with what pandas calls the index, also where some of it is missing
        rows.to_csv(tmp_path / "i.csv")
        assert "column 1: found no name" in refused(tmp_path, file="i.csv", label="kind")
        assert load(tmp_path, file="i.csv", label="kind", ignore=[1])[1]["shape"] == [1, 4, 1]
        rows.rename_axis("Id").to_csv(tmp_path / "i.csv")
        assert "column 'Id': found a column that only numbers the samples" in refused(
            tmp_path, file="i.csv", label="kind"
        )
    asked = load(tmp_path, file="i.csv", label="kind", features=["Id", "f0"])[1]
    assert asked["shape"] == [1, 2, 1]
    copied = load(tmp_path, **written(tmp_path, table.assign(target=table["kind"] * 2 + 1)))[1]
    assert any("f0" not in line and "target tells the class" in line for line in copied["warnings"])


def test_the_cell_that_is_no_number_is_the_one_that_is_named(tmp_path):
    lines = frame().to_csv(index=False, sep=";", decimal=",").splitlines()
    lines[9] = lines[9].replace(",", ".", 1)
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert "column 'f0', sample 9: found" in refused(tmp_path, file="a.csv", label="kind")
    table = frame().assign(f1=pd.Series([None if row == 3 else row % 2 == 0 for row in range(60)], dtype=object))
    assert "column 'f1', sample 4: found" in refused(tmp_path, **written(tmp_path, table))
    frame().assign(f1=frame()["f1"].astype(str)).to_parquet(tmp_path / "a.parquet")
    assert "sample 1: found -0.1162 of type str, allowed: numbers" in refused(tmp_path, file="a.parquet", label="kind")
    frame().assign(f1=pd.array([None] + [1, 2] * 29 + [1], "Int64")).to_parquet(tmp_path / "a.parquet")
    assert "sample 1, feature f1: found nan" in refused(tmp_path, file="a.parquet", label="kind")


def test_names_with_blanks_and_every_utf_16(tmp_path):
    text = frame().to_csv(index=False)
    (tmp_path / "a.csv").write_text(text)
    plain = load(tmp_path, file="a.csv", label="kind")[1]["digest"]
    for raw in (
        text.replace("kind", "kind ", 1).encode(),
        text.encode("utf-16-be"),
        b"\xfe\xff" + text.encode("utf-16-be"),
    ):
        (tmp_path / "a.csv").write_bytes(raw)
        assert load(tmp_path, file="a.csv", label="kind")[1]["digest"] == plain


def test_arrays_that_are_none(tmp_path):
    values, labels = drawn(60, 4)

    def told(**arrays):
        np.savez(tmp_path / "a.npz", **arrays)
        return refused(tmp_path, "arrays", file="a.npz")

    assert "found features of shape [], allowed: [samples, features]" in told(x=3, y=labels)
    assert "found 60 samples and labels of shape [], allowed: one label for each" in told(x=values, y=3)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as whole:
        whole.writestr("x", "1, 2")
        whole.writestr("y", "1, 2")
    assert "one of its files is not an array" in refused(tmp_path, "arrays", file="a.npz")
    np.savez_compressed(tmp_path / "a.npz", x=np.tile(values, (50, 1)), y=np.tile(labels, 50))
    raw = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(raw[:300] + bytes(100) + raw[400:])
    assert "found no readable arrays" in refused(tmp_path, "arrays", file="a.npz")
    with (tmp_path / "x.npy").open("wb") as file:  # says that it holds more than any memory does
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**13, 5)})
        file.write(bytes(100))
    np.save(tmp_path / "y.npy", labels)
    assert "found no readable arrays" in refused(tmp_path, "arrays", file="x.npy", labels_file="y.npy")
    np.savez(tmp_path / "b.npz", x=values, y=labels)
    (tmp_path / "b.npz").rename(tmp_path / "B.NPZ")
    assert load(tmp_path, "arrays", file="B.NPZ")[1]["classes"] == 3
    assert "training samples that are all alike" in told(x=np.full((60, 4), 7, np.uint8), y=labels)


def test_numbers_that_no_float_tells_apart(tmp_path):
    for scaling in ("min_max", "z_score"):
        for factor in (1e308, 1e-320):
            options = written(tmp_path, frame().assign(f0=np.sign(frame()["f0"]) * factor * 1.5))
            assert "in size, because the squares of others" in refused(tmp_path, scaling=scaling, **options)
    for labels in (np.arange(60) % 3 * 1e300, np.array(["9007199254740993", "9007199254740995"] * 30)):
        np.savez(tmp_path / "a.npz", x=drawn(60, 4)[0], y=labels)
        assert "allowed: below 2^53, or words" in refused(tmp_path, "arrays", file="a.npz")


@pytest.mark.parametrize("factor", [0.01, 100])
def test_a_test_file_of_another_unit_is_told(tmp_path, factor):
    test = frame(30, name="test")
    test.iloc[:, :4] *= factor
    options = written(tmp_path, frame()) | {"test_file": "b.csv"}
    written(tmp_path, test, "b.csv")
    assert any("both have the same unit" in line for line in load(tmp_path, **options)[1]["warnings"])
    written(tmp_path, frame(30, name="test"), "b.csv")
    assert not any("both have the same unit" in line for line in load(tmp_path, **options)[1]["warnings"])


def png(values) -> bytes:
    """Return a PNG of 16-bit colours, which Pillow does not write."""

    def part(kind, raw):
        return struct.pack(">I", len(raw)) + kind + raw + struct.pack(">I", zlib.crc32(kind + raw))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def test_pictures_of_which_something_would_be_lost(tmp_path):
    random = np.random.default_rng(3)
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for number in range(4):
            picture = random.integers(0, 256, (4, 5, 4), dtype=np.uint8)
            picture[..., 3] = 255
            Image.fromarray(picture).save(tmp_path / "pets" / kind / f"{number}.png")
    pets = {"dataset": "image_folder", "file": "pets", "colours": "rgb"}
    assert load(tmp_path, **pets)[1]["classes"] == 2  # nothing shines through
    odd = tmp_path / "pets" / "dog" / "odd.png"
    Image.fromarray(np.zeros((4, 5, 4), np.uint8)).save(odd)
    assert "odd.png: found transparent parts" in refused(tmp_path, **pets)
    odd.write_bytes(png(np.full((4, 5, 3), 4095)))
    assert "odd.png: found a picture of 16 bits, allowed: 8 bits" in refused(tmp_path, **pets)
    odd.unlink()
    (tmp_path / "pets" / "emu").mkdir()
    assert "emu: found no pictures, allowed: one or more of each class" in refused(tmp_path, **pets)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "pets" / "emu" / "1.bmp")
    assert "1.bmp: found a kind of picture that cannot be read here, allowed: .jpg, .jpeg, .png" in refused(
        tmp_path, **pets
    )
