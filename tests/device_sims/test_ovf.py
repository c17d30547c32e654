"""OVF 2.0 files: bytes by the format's description, files of other programs, damage."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from device_sims.problem import DataFile, Mesh, ovf
from spinloom import files
from spinloom.errors import UserError

CELL = (2e-9, 3e-9, 4e-9)
HEADER = """# OOMMF OVF 2.0
# Segment count: 1
# Begin: Segment
# Begin: Header
# Title: m
# meshtype: rectangular
# meshunit: m
# xmin: 0
# ymin: 0
# zmin: 0
# xmax: 4e-09
# ymax: 3e-09
# zmax: 4e-09
# valuedim: 3
# valuelabels: m_x m_y m_z
# valueunits: 1 1 1
# Desc: Total simulation time:  0  s
# xbase: 1e-09
# ybase: 1.5e-09
# zbase: 2e-09
# xnodes: 2
# ynodes: 1
# znodes: 1
# xstepsize: 2e-09
# ystepsize: 3e-09
# zstepsize: 4e-09
# End: Header
"""


def field(components=3, shape=(2, 3, 4)) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(components, *shape))


@pytest.mark.parametrize("format", ovf.FORMATS)
@pytest.mark.parametrize("components", [1, 2, 3])
def test_what_is_written_is_read(tmp_path, format, components):
    values = field(components)
    ovf.write(tmp_path / "a.ovf", values, CELL, format=format, time_s=1.5e-9)
    read = ovf.read(tmp_path / "a.ovf")
    np.testing.assert_array_equal(read.values, values.astype(np.float32) if format == "binary4" else values)
    assert read.values.dtype == np.float64 and read.cell_m == CELL
    assert read.header["desc"] == "Total simulation time:  1.5e-09  s"


@pytest.mark.parametrize(
    ("format", "title", "check", "number"),
    [("binary4", "Binary 4", "38b49649", "<f"), ("binary8", "Binary 8", "40de77832112dc42", "<d")],
)
def test_binary_bytes_are_those_of_the_description(tmp_path, format, title, check, number):
    """Little-endian check value, then x fastest, a vector's components together; the header is mumax3's."""
    values = np.array([[[[1.0, 4.0]]], [[[2.0, 5.0]]], [[[3.0, 6.5]]]])
    ovf.write(tmp_path / "a.ovf", values, CELL, format=format)
    numbers = b"".join(struct.pack(number, v) for v in (1, 2, 3, 4, 5, 6.5))
    expected = HEADER.replace("time:  0  s", "time:  0.0  s").encode() + f"# Begin: Data {title}\n".encode()
    expected += bytes.fromhex(check) + numbers + f"\n# End: Data {title}\n# End: Segment\n".encode()
    assert (tmp_path / "a.ovf").read_bytes() == expected


def test_text_and_node_order(tmp_path):
    values = np.arange(8.0).reshape(1, 2, 2, 2)
    ovf.write(tmp_path / "a.ovf", values, CELL, format="text", name="Ku")
    lines = (tmp_path / "a.ovf").read_text().splitlines()
    start = lines.index("# Begin: Data Text") + 1
    assert lines[start : start + 8] == [f"{v}.0" for v in range(8)]
    assert "# valuelabels: Ku" in lines and "# valueunits: 1" in lines


def test_files_of_mumax3_are_read(tmp_path):
    """No line end behind binary data; a blank behind each line of text; no count of blanks is sacred."""
    data = struct.pack("<7f", 1234567.0, 1, 2, 3, 4, 5, 6)
    binary = HEADER.encode() + b"# Begin: Data Binary 4\n" + data + b"# End: Data Binary 4\n# End: Segment\n"
    text = HEADER.encode() + b"# Begin: Data Text\n1 2 3 \n4 5 6 \n# End: Data Text\n# End: Segment\n"
    for content in (binary, text):
        (tmp_path / "a.ovf").write_bytes(content)
        read = ovf.read(tmp_path / "a.ovf")
        np.testing.assert_array_equal(read.values[:, 0, 0], [[1, 4], [2, 5], [3, 6]])
        assert read.cell_m == CELL


def test_files_of_oommf_are_read(tmp_path):
    """Any case, blanks in labels, comments, other length units, windows line ends."""
    content = HEADER.replace("# meshunit: m", "#\n# MeshUnit:\tnm ## a comment")
    for axis, edge in zip("xyz", "234"):
        content = content.replace(f"# {axis}stepsize: {edge}e-09", f"#  {axis} StepSize : {edge}.0")
    content += "# Begin: data text\n  1 2\t3\n## comment\n4 5 6 # another\n#  END: Data text\n# End: segment\n"
    (tmp_path / "a.omf").write_bytes(content.replace("\n", "\r\n").encode())
    read = ovf.read(tmp_path / "a.omf")
    np.testing.assert_array_equal(read.values[:, 0, 0], [[1, 4], [2, 5], [3, 6]])
    assert read.cell_m == pytest.approx(CELL, abs=0, rel=1e-12)


@pytest.mark.parametrize("format", ovf.FORMATS)
def test_a_file_cut_anywhere_is_an_error(tmp_path, format):
    ovf.write(tmp_path / "a.ovf", field(shape=(1, 2, 2)), CELL, format=format)
    content = (tmp_path / "a.ovf").read_bytes()
    needed = content.lower().rindex(b"# end: data") + len(b"# end: data")
    for length in range(needed):
        with pytest.raises(UserError, match="a.ovf: ") as error:
            ovf.parse(content[:length], "a.ovf")
        assert "\n" not in str(error.value)
    assert ovf.parse(content[:needed], "a.ovf").values.shape == (3, 1, 2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((b"OVF 2.0", b"OVF 1.0"), "allowed: # OOMMF OVF 2.0"),
        ((b"count: 1", b"count: 2"), "found 2 segments, allowed: 1"),
        ((b"type: rectangular", b"type: irregular"), "found meshtype 'irregular', allowed: rectangular"),
        ((b"# znodes: 1\n", b""), "found a header without 'znodes'"),
        ((b"xnodes: 2", b"xnodes: 2.5"), "xnodes: found '2.5', allowed: a positive whole number"),
        ((b"xnodes: 2", b"xnodes: 3"), "found 6 numbers and an end of data, needed 9"),
        ((b"xnodes: 2", b"xnodes: 1"), "found 6 numbers and an end of data, needed 3"),
        ((b"unit: m", b"unit: furlong"), "found meshunit 'furlong', allowed: m, mm"),
        ((b"Begin: Data Text", b"Begin: Data Binary 6"), "found data 'Binary 6', allowed: text, binary 4, binary 8"),
        ((b"\n4 5 6", b"\n4 five 6"), "found data that are not numbers"),
        ((b"\n4 5 6", b"\n4 nan 6"), "not a finite number"),
    ],
)
def test_bad_files_are_one_line_errors(change, message):
    content = HEADER.encode() + b"# Begin: Data Text\n1 2 3\n4 5 6\n# End: Data Text\n# End: Segment\n"
    assert ovf.parse(content, "a").values.shape == (3, 1, 1, 2)
    assert change[0] in content
    with pytest.raises(UserError, match=message):
        ovf.parse(content.replace(*change), "a")


def test_a_wrong_check_value_is_an_error(tmp_path):
    ovf.write(tmp_path / "a.ovf", field(), CELL)
    content = (tmp_path / "a.ovf").read_bytes().replace(bytes.fromhex("38b49649"), bytes.fromhex("4996b438"))
    with pytest.raises(UserError, match="found numbers in the wrong byte order, allowed: the byte order of OVF 2.0"):
        ovf.parse(content, "a")
    with pytest.raises(UserError, match="check value"):
        ovf.parse(content.replace(bytes.fromhex("4996b438"), bytes(4)), "a")


def test_a_problems_file_must_fit_and_stay_as_it_was(tmp_path):
    path = tmp_path / "a.ovf"
    ovf.write(path, field(), CELL)
    file = DataFile(str(path), files.sha256_file(path))
    assert ovf.on_mesh(file, Mesh(4, 3, CELL, 2), 3).shape == (3, 2, 3, 4)
    with pytest.raises(UserError, match="found 4 x 3 x 2 nodes of 3 values, allowed: 4 x 3 x 1 nodes of 3"):
        ovf.on_mesh(file, Mesh(4, 3, CELL, 1), 3)
    with pytest.raises(UserError, match="allowed: 4 x 3 x 2 nodes of 1"):
        ovf.on_mesh(file, Mesh(4, 3, CELL, 2), 1)
    ovf.write(path, -field(), CELL)
    with pytest.raises(UserError, match="found that it changed after the problem was made"):
        ovf.on_mesh(file, Mesh(4, 3, CELL, 2), 3)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        ovf.read(path)


def test_unknown_format():
    with pytest.raises(UserError, match="found 'binary2', allowed: text, binary4, binary8"):
        ovf.write("a.ovf", field(), CELL, format="binary2")


@pytest.mark.parametrize("format", ovf.FORMATS)
@pytest.mark.parametrize("components", [1, 3])
def test_exchange_with_discretisedfield(tmp_path, format, components):
    discretisedfield = pytest.importorskip("discretisedfield")
    values = field(components).astype(np.float32).astype(float)  # the same in all formats
    ovf.write(tmp_path / "ours.ovf", values, CELL, format=format)
    theirs = discretisedfield.Field.from_file(tmp_path / "ours.ovf")
    np.testing.assert_array_equal(theirs.array, np.moveaxis(values, 0, -1).transpose(2, 1, 0, 3))
    assert tuple(theirs.mesh.cell) == pytest.approx(CELL, abs=0, rel=1e-12)
    representation = {"text": "txt", "binary4": "bin4", "binary8": "bin8"}[format]
    theirs.to_file(tmp_path / "theirs.ovf", representation=representation)
    np.testing.assert_array_equal(ovf.read(tmp_path / "theirs.ovf").values, values)


# -- OVF 1.0, and what programs write a little differently -----------------------------------------------------------
def ovf1(values: np.ndarray, data: str, **changes: str) -> bytes:
    """Return ``float[3, nz, ny, nx]`` as OOMMF writes it in OVF 1.0."""
    nz, ny, nx = values.shape[1:]
    header = {
        "Title": "m", "meshtype": "rectangular", "meshunit": "m", "valueunit": "1", "valuemultiplier": "1.0",
        "xmin": "0", "ymin": "0", "zmin": "0", "xmax": f"{nx * CELL[0]}", "ymax": f"{ny * CELL[1]}",
        "zmax": f"{nz * CELL[2]}", "ValueRangeMinMag": "1e-08", "ValueRangeMaxMag": "1",
        "xbase": f"{CELL[0] / 2}", "ybase": f"{CELL[1] / 2}", "zbase": f"{CELL[2] / 2}",
        "xnodes": f"{nx}", "ynodes": f"{ny}", "znodes": f"{nz}",
        "xstepsize": f"{CELL[0]}", "ystepsize": f"{CELL[1]}", "zstepsize": f"{CELL[2]}", **changes,
    }  # fmt: skip
    rows = np.moveaxis(values, 0, -1).reshape(-1, 3)
    if data == "Text":
        body = "".join(" ".join(map(repr, row)) + "\n" for row in rows.tolist()).encode()
    else:
        kind, check = {"Binary 4": (">f4", 1234567.0), "Binary 8": (">f8", 123456789012345.0)}[data]
        body = np.array(check, kind).tobytes() + rows.astype(kind).tobytes() + b"\n"
    head = "# OOMMF: rectangular mesh v1.0\n# Segment count: 1\n# Begin: Segment\n# Begin: Header\n"
    head += "".join(f"# {label}: {value}\n" for label, value in header.items())
    return f"{head}# End: Header\n# Begin: Data {data}\n".encode() + body + f"# End: Data {data}\n".encode()


@pytest.mark.parametrize("data", ["Text", "Binary 4", "Binary 8"])
def test_ovf_1_is_read_as_another_program_reads_it(tmp_path, data):
    values = field().astype(np.float32).astype(float)
    path = tmp_path / "a.omf"
    path.write_bytes(ovf1(values, data))
    read = ovf.read(path)
    np.testing.assert_array_equal(read.values, values)
    assert read.cell_m == pytest.approx(CELL, abs=0, rel=1e-12)
    discretisedfield = pytest.importorskip("discretisedfield")
    theirs = discretisedfield.Field.from_file(path).array
    np.testing.assert_array_equal(theirs, np.moveaxis(values, 0, -1).transpose(2, 1, 0, 3))


def test_ovf_1_has_a_multiplier_and_is_cut_short_as_ovf_2_is():
    content = ovf1(field(), "Binary 8", valuemultiplier="8e5")
    np.testing.assert_allclose(ovf.parse(content, "a").values, 8e5 * field(), rtol=1e-15)
    with pytest.raises(UserError, match="a: found 71 numbers and no end of data, needed 72"):
        ovf.parse(content[: content.index(b"Begin: Data Binary 8") + 21 + 8 * 72 + 4], "a")
    swapped = np.array(123456789012345.0, ">f8").tobytes()
    with pytest.raises(UserError, match="wrong byte order, allowed: the byte order of OVF 1.0"):
        ovf.parse(content.replace(swapped, swapped[::-1]), "a")


@pytest.mark.parametrize(
    "change",
    [
        (b"# OOMMF OVF 2.0", b"\xef\xbb\xbf# OOMMF OVF 2.0"),  # a byte-order mark
        (b"xnodes: 2", b"xnodes: 2.0"),
        (b"meshunit: m", b"meshunit: M"),
        (b"xstepsize: 2e-09\n# ystepsize: 3e-09\n# zstepsize: 4e-09", b"xstepsize: 2\n# ystepsize: 3\n# zstepsize: 4"),
        (b"\n", b"\r\n"),
    ],
)
def test_spellings_of_other_programs(change):
    content = HEADER.encode() + b"# Begin: Data Text\n1 2 3\n4 5 6\n# End: Data Text\n# End: Segment\n"
    assert change[0] in content
    content = content.replace(*change)
    if b"xstepsize: 2\n" in content:
        content = content.replace(b"meshunit: m", b"meshunit: NM")
    read = ovf.parse(content, "a")
    np.testing.assert_array_equal(read.values[:, 0, 0], [[1, 4], [2, 5], [3, 6]])
    assert read.cell_m == pytest.approx((2e-9, 3e-9, 4e-9), abs=0, rel=1e-12)


def test_cells_of_another_size_are_refused_or_interpolated(tmp_path):
    path = tmp_path / "a.ovf"
    x = np.broadcast_to((np.arange(8) + 0.5) / 8, (1, 4, 8))
    ovf.write(path, np.stack([x, 1 - x, 0 * x]), (5e-9, 5e-9, 5e-9))
    file = DataFile(str(path), files.sha256_file(path))
    with pytest.raises(UserError, match="found cells of 5e-09 x 5e-09 x 5e-09 m, allowed: the mesh's, 2e-09 x 2e-09"):
        ovf.on_mesh(file, Mesh(8, 4, (2e-9, 2e-9, 1e-9)), 3)
    with pytest.raises(UserError, match="allowed: 20 x 4 x 1 nodes of 3, or interpolate: true"):
        ovf.on_mesh(file, Mesh(20, 4, (2e-9, 2e-9, 1e-9)), 3)
    assert ovf.on_mesh(file, Mesh(8, 4, (5.002e-9, 5e-9, 5e-9)), 3).shape == (3, 1, 4, 8)
    stretched = replace(file, interpolate=True)
    # linear in x, so exact up to the middle of the first and the last cell of the file, and constant beyond
    fine = ovf.on_mesh(stretched, Mesh(32, 4, (2e-9, 2e-9, 1e-9), 2), 3)
    expected = np.clip((np.arange(32) + 0.5) / 32, 1 / 16, 15 / 16)
    np.testing.assert_allclose(fine[0], np.broadcast_to(expected, (2, 4, 32)), rtol=1e-12)
    np.testing.assert_allclose(fine[:2].sum(0), 1, rtol=1e-12)
    nearest = ovf.on_mesh(stretched, Mesh(16, 4, (2e-9, 2e-9, 1e-9)), 3, nearest=True)
    np.testing.assert_array_equal(nearest[0, 0, 0], np.repeat(x[0, 0], 2))
