"""OVF: the file format in which OOMMF, mumax3 and ubermag exchange fields on a rectangular mesh.

After the OOMMF user's guide, "The OVF 2.0 format" (https://math.nist.gov/oommf/doc): ``# label: value`` lines whose
labels mind neither case nor blanks, one segment, nodes with x fastest and z slowest; numbers as text or as IEEE 754
little-endian of 4 or 8 bytes behind a check value. In OVF 1.0, which is read and not written, they are big-endian,
three a node, and to be multiplied by ``valuemultiplier``. Irregular meshes are refused.
"""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_sims.problem.parts import DataFile, Mesh
from spinloom import files
from spinloom.errors import UserError

FORMATS = {
    "text": ("Text", None, None),
    "binary4": ("Binary 4", np.dtype("<f4"), 1234567.0),
    "binary8": ("Binary 8", np.dtype("<f8"), 123456789012345.0),
}
METRES = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "pm": 1e-12}
FIRST_LINES = {b"#oommfovf2.0": 2, b"#oommf:rectangularmeshv1.0": 1, b"#oommf:rectangularmeshv0.99": 1}
LARGEST = 1e9  # of what a header counts and measures
SAME_CELL = 1e-3  # relative difference up to which a cell's edge is the mesh's: headers are rounded
# in a header's description, as OOMMF, mumax3 and `write` say it
TIME = re.compile(r"total simulation time:\s*([-+.\deE]+)\s*(?:s|seconds?)?\s*$", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"^[ \t]*#[ \t]*end[ \t]*:[ \t]*data", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Field:
    """A field on cells.

    Attributes
    ----------
    values : float64[c, nz, ny, nx]
        c is 1 for a scalar.
    cell_m : tuple of 3 floats
        Cell edges, m.
    header : dict
        Every record of the header, labels in lower case without blanks; several ``desc`` are joined by new lines.
    """

    values: np.ndarray
    cell_m: tuple[float, float, float]
    header: dict[str, str]

    @property
    def time_s(self) -> float:
        """Time of the snapshot, NaN if the header does not tell."""
        found = TIME.search(self.header.get("desc", ""))
        return float(found[1]) if found else float("nan")


def write(
    path: str | Path,
    values: np.ndarray,
    cell_m,
    *,
    format: str = "binary4",
    name: str = "m",
    time_s=0.0,
    unit: str = "1",
    origin_m=(0.0, 0.0, 0.0),
) -> None:
    """Write a field with the header that mumax3 writes, atomically.

    Parameters
    ----------
    path : path
    values : float[c, nz, ny, nx] or float[nz, ny, nx]
    cell_m : 3 floats
        Cell edges, m.
    format : str
        A key of `FORMATS`.
    name : str
        Title, and stem of the labels (``m_x m_y m_z``).
    time_s : float
        Time of the snapshot, s.
    unit : str
        Of the values.
    origin_m : 3 floats
        Corner of the first cell, m.

    Raises
    ------
    UserError
        If there is no such format.
    """
    if format not in FORMATS:
        raise UserError(f"ovf format: found '{format}', allowed: {', '.join(FORMATS)}")
    values = np.asarray(values)
    values = values[None] if values.ndim == 3 else values
    components, *counts = values.shape
    title, dtype, check = FORMATS[format]
    labels = [name] if components == 1 else [f"{name}_{'xyz'[i] if components == 3 else i}" for i in range(components)]
    axes = list(zip("xyz", reversed(counts), map(float, cell_m), map(float, origin_m)))
    lines = [
        "OOMMF OVF 2.0",
        "Segment count: 1",
        "Begin: Segment",
        "Begin: Header",
        f"Title: {name}",
        "meshtype: rectangular",
        "meshunit: m",
        *(f"{axis}min: {corner!r}" if corner else f"{axis}min: 0" for axis, _, _, corner in axes),
        *(f"{axis}max: {corner + count * edge!r}" for axis, count, edge, corner in axes),
        f"valuedim: {components}",
        f"valuelabels: {' '.join(labels)}",
        f"valueunits: {' '.join([unit] * components)}",
        f"Desc: Total simulation time:  {float(time_s)!r}  s",
        *(f"{axis}base: {corner + edge / 2!r}" for axis, _, edge, corner in axes),
        *(f"{axis}nodes: {count}" for axis, count, _, _ in axes),
        *(f"{axis}stepsize: {edge!r}" for axis, _, edge, _ in axes),
        "End: Header",
        f"Begin: Data {title}",
    ]
    rows = np.moveaxis(values, 0, -1).reshape(-1, components)
    if dtype is None:
        data = "".join(" ".join(map(repr, row)) + "\n" for row in rows.astype(float).tolist()).encode()
    else:
        data = np.asarray(check, dtype).tobytes() + rows.astype(dtype).tobytes() + b"\n"
    head = "".join(f"# {line}\n" for line in lines).encode()
    with files.atomic(path) as temporary:
        temporary.write_bytes(head + data + f"# End: Data {title}\n# End: Segment\n".encode())


def read(path: str | Path) -> Field:
    """Read an OVF file of one segment on a rectangular mesh.

    Raises
    ------
    UserError
        If it cannot be read, is of another kind, is cut short, or holds anything but finite numbers.
    """
    return parse(_bytes(path), str(path))


def contents(file: DataFile) -> bytes:
    """Return the bytes of a problem's file, which must still be those that the problem was made with.

    Raises
    ------
    UserError
        If the file cannot be read or has changed.
    """
    content = _bytes(file.path)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise UserError(f"{file.path}: found that it changed after the problem was made; make the problem again")
    return content


def is_ovf(content: bytes) -> bool:
    """Return whether a file begins as OVF files do."""
    return content[:20].removeprefix(BOM_UTF8).lstrip(b"# ").lower().startswith(b"oommf")


def on_mesh(file: DataFile, mesh: Mesh, components: int | None, nearest: bool = False) -> np.ndarray:
    """Return the values of a problem's OVF file at the mesh's cells, ``float64[components, nz, ny, nx]``.

    A file that is to be interpolated is stretched over the box, as an image is.

    Parameters
    ----------
    file : DataFile
    mesh : Mesh
    components : int or None
        None: any number.
    nearest : bool
        Interpolate by taking the value of the nearest cell; else linearly.

    Raises
    ------
    UserError
        If it has another number of components or other cells than the mesh; as of `read` and `contents`.
    """
    field = parse(contents(file), file.path)
    counts = f"{mesh.nx} x {mesh.ny} x {mesh.nz}"
    found = " x ".join(str(n) for n in field.values.shape[:0:-1])
    wanted = len(field.values) if components is None else components
    remedy = "" if file.interpolate else ", or interpolate: true, which stretches the file over the box"
    if len(field.values) != wanted or field.values.shape[1:] != mesh.shape and not file.interpolate:
        remedy = remedy if len(field.values) == wanted else ""
        allowed = f"{counts} nodes of {wanted}{remedy}"
        raise UserError(f"{file.path}: found {found} nodes of {len(field.values)} values, allowed: {allowed}")
    if file.interpolate:
        return _resampled(field.values, mesh.shape, nearest)
    if any(abs(theirs - ours) > SAME_CELL * ours for theirs, ours in zip(field.cell_m, mesh.cell_m)):
        theirs, ours = (" x ".join(f"{edge:g}" for edge in cell) for cell in (field.cell_m, mesh.cell_m))
        raise UserError(f"{file.path}: found cells of {theirs} m, allowed: the mesh's, {ours} m{remedy}")
    return field.values


def _resampled(values: np.ndarray, shape: tuple[int, ...], nearest: bool) -> np.ndarray:
    import scipy.ndimage

    at = [(np.arange(n) + 0.5) * count / n - 0.5 for n, count in zip(shape, values.shape[1:])]
    if nearest:
        return values[np.ix_(np.arange(len(values)), *(np.floor(np.round(c + 0.5, 9)).astype(int) for c in at))]
    points = np.meshgrid(*at, indexing="ij")
    return np.stack([scipy.ndimage.map_coordinates(one, points, order=1, mode="nearest") for one in values])


def _bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def parse(content: bytes, name: str) -> Field:
    """Return the field in the bytes of an OVF file called ``name``; errors as of `read`."""
    first, _, rest = content.removeprefix(BOM_UTF8).partition(b"\n")
    version = FIRST_LINES.get(re.sub(rb"\s", b"", first.lower()))
    if version is None:
        allowed = "# OOMMF OVF 2.0, or # OOMMF: rectangular mesh v1.0"
        raise UserError(f"{name}: found first line {_shown(first)}, allowed: {allowed}")
    header: dict[str, str] = {}
    while rest:
        line, _, rest = rest.partition(b"\n")
        label, colon, value = line.decode("utf-8", "replace").strip().lstrip("#").partition(":")
        label, value = "".join(label.split()).lower(), value.split("##")[0].strip()
        if label == "begin" and value.lower().startswith("data"):
            break
        if colon and label not in ("begin", "end"):
            header[label] = f"{header[label]}\n{value}" if label == "desc" and label in header else value
    else:
        raise UserError(f"{name}: found a file that is cut short, without a line '# Begin: Data'")
    if header.get("segmentcount", "1") != "1":
        raise UserError(f"{name}: found {header['segmentcount']} segments, allowed: 1")
    if header.get("meshtype", "").lower() != "rectangular":
        raise UserError(f"{name}: found meshtype '{header.get('meshtype', '')}', allowed: rectangular")
    counts = [_number(header, f"{axis}nodes", int, name) for axis in "zyx"]
    components = _number(header, "valuedim", int, name) if version == 2 else 3
    unit = header.get("meshunit", "m").lower()
    if unit not in METRES:
        raise UserError(f"{name}: found meshunit '{header['meshunit']}', allowed: {', '.join(METRES)}")
    x, y, z = (METRES[unit] * _number(header, f"{axis}stepsize", float, name) for axis in "xyz")
    numbers = _data(rest, value.split(None, 1)[-1], components * int(np.prod(counts)), name, version)
    if version == 1 and "valuemultiplier" in header:
        numbers = numbers * _number(header, "valuemultiplier", float, name)
    if not np.isfinite(numbers).all():
        raise UserError(f"{name}: found a value that is not a finite number")
    return Field(np.moveaxis(numbers.reshape(*counts, components), -1, 0), (x, y, z), header)


def _number(header: dict[str, str], label: str, kind: type, name: str):
    try:
        value = float(header[label])
        if not 0 < value < LARGEST or kind is int and not value.is_integer():
            raise ValueError
    except KeyError:
        raise UserError(f"{name}: found a header without '{label}'") from None
    except ValueError:
        wanted = "whole number" if kind is int else "number"
        raise UserError(f"{name}: {label}: found {header[label]!r}, allowed: a positive {wanted}") from None
    return kind(value)


def _data(body: bytes, title: str, count: int, name: str, version: int) -> np.ndarray:
    """Return the ``count`` numbers of a data block as float64."""
    known = {official.lower(): (dtype, check) for official, dtype, check in FORMATS.values()}
    kind = " ".join(title.lower().split())
    if kind not in known:
        raise UserError(f"{name}: found data '{title}', allowed: {', '.join(known)}")
    dtype, check = known[kind]
    if dtype is None:
        end = _END.search(body)
        text = re.sub(rb"#.*", b"", body[: end.start()] if end else body)
        try:
            numbers = np.array(text.split(), dtype=np.float64)
        except ValueError as error:
            raise UserError(f"{name}: found data that are not numbers ({error})") from None
    else:
        dtype = dtype if version == 2 else dtype.newbyteorder(">")
        size = dtype.itemsize
        if len(body) >= size and np.frombuffer(body, dtype, 1)[0] != dtype.type(check):
            if np.frombuffer(body, other := dtype.newbyteorder(), 1)[0] == other.type(check):
                raise UserError(
                    f"{name}: found numbers in the wrong byte order, allowed: the byte order of OVF {version}.0"
                )
            raise UserError(f"{name}: found a wrong check value before the data; the file is damaged")
        stop = size * (1 + count)
        numbers = np.frombuffer(body[size : min(stop, len(body) - len(body) % size)], dtype).astype(np.float64)
        end = _END.match(body[stop:].lstrip())
    if numbers.size != count or not end:
        raise UserError(f"{name}: found {numbers.size} numbers and {'an' if end else 'no'} end of data, needed {count}")
    return numbers


def _shown(line: bytes) -> str:
    return repr(line[:40].decode("utf-8", "replace"))
