"""Reading one kind of pickle without trusting it: plain Python values and uint8 arrays, as CIFAR's batches hold.

A pickle is a program that calls what it names. Here it can name three things only, and they are stand-ins: NumPy
itself never sees what the file says about an array.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from spinloom.errors import UserError


class _Uint8:
    """Stand-in for ``numpy.dtype``; any other element type is refused."""

    def __init__(self, code, *_):
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"element type {code!r}")

    def __setstate__(self, state):
        """Byte order and alignment mean nothing for single bytes."""


class _Array:
    """Stand-in for ``numpy.ndarray``; ``values`` is the array once the state has been set."""

    values: np.ndarray

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Uint8) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("array of objects")
        self.values = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")


class _Reconstruct:
    """Stand-in for NumPy's function; an object without attributes, because a pickle may set those of a function."""

    __slots__ = ()

    def __call__(self, kind, *_):
        if kind is not _Array:
            raise pickle.UnpicklingError(f"array of kind {kind!r}")
        return _Array()


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Uint8,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it calls {module}.{name}")
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to something outside")


def arrays_and_values(raw: bytes, where: str) -> dict[bytes, Any]:
    """Return the dictionary in a pickle written by Python 2, its arrays as ``uint8`` arrays.

    Raises
    ------
    UserError
        If the bytes are no such pickle, or name anything but the making of a ``uint8`` array.
    """
    try:
        found = _Unpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:  # bytes that make no sense as a program can fail in any way
        raise UserError(f"{where}: not a pickle of numbers and uint8 arrays ({error})") from None
    if not isinstance(found, dict):
        raise UserError(f"{where}: found a pickled {type(found).__name__}, allowed: dict")
    return {key: getattr(value, "values", None) if isinstance(value, _Array) else value for key, value in found.items()}
