"""mumax3's custom field terms: what of ``AddFieldTerm`` is one of the terms that a problem has.

A field, T, is a sum of products of numbers, constant vectors and m. Three kinds have a counterpart: a constant vector
(an applied field), ``c p x m`` (the damping-like torque of a current) and ``c (m.u) u`` (a uniaxial anisotropy).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from device_sims.translate.values import Signal, Unrepresentable, as_signal, number

FUNCTIONS = ("add", "madd", "mul", "dot", "cross", "addfieldterm")  # of mumax3's, that take quantities


@dataclass(frozen=True)
class Tensor:
    """A polynomial of m: by degree its coefficients, float64[components, 3, 3, ...] with one axis of 3 for each m."""

    parts: dict[int, np.ndarray]

    @property
    def size(self) -> int:
        """Number of components."""
        return len(next(iter(self.parts.values())))


def of(*values: float) -> Tensor:
    """Return the constant of these components."""
    return Tensor({0: np.array(values, float)})


M = Tensor({1: np.eye(3)})  # the magnetisation itself


def add(a: Tensor, b: Tensor, first: float = 1.0, second: float = 1.0) -> Tensor:
    """Return ``first a + second b``."""
    sums: dict[int, Any] = defaultdict(float)
    for tensor, factor in ((a, first), (b, second)):
        for degree, part in tensor.parts.items():
            sums[degree] = sums[degree] + factor * part
    return Tensor(dict(sums))


def _product(a: Tensor, b: Tensor, combine) -> Tensor:
    """Return a product that ``combine`` makes of two coefficients whose other axes are to stand side by side."""
    sums: dict[int, Any] = defaultdict(float)
    for n, left in a.parts.items():
        for k, right in b.parts.items():
            sums[n + k] = sums[n + k] + combine(left, right)
    return Tensor(dict(sums))


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return the product of a number and a vector, or component by component."""
    if a.size != b.size and 1 not in (a.size, b.size):
        raise Unrepresentable("multiplies fields of different numbers of components")

    def combine(left, right):
        size = max(len(left), len(right))
        left, right = (np.broadcast_to(x, (size, *x.shape[1:])) for x in (left, right))
        return np.stack([np.multiply.outer(x, y) for x, y in zip(left, right)])

    return _product(a, b, combine)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the scalar product."""
    return _product(a, b, lambda x, y: np.sum([np.multiply.outer(p, q) for p, q in zip(x, y)], axis=0)[None])


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Return the vector product."""

    def combine(x, y):
        parts = ((1, 2), (2, 0), (0, 1))
        return np.stack([np.multiply.outer(x[i], y[j]) - np.multiply.outer(x[j], y[i]) for i, j in parts])

    return _product(a, b, combine)


@dataclass(frozen=True)
class Field:
    """What a custom field is: ``constant`` + ``across`` x m + sum of K-like strengths times (m.u) u, all in T."""

    constant: tuple[float, float, float]
    across: tuple[float, float, float]
    axes: tuple[tuple[float, tuple[float, float, float]], ...]


def recognise(term: Any) -> Field:
    """Return a custom field as the terms that a problem has; `Unrepresentable` if it is none of them."""
    if not isinstance(term, Tensor) or term.size != 3 or set(term.parts) - {0, 1}:
        raise Unrepresentable("adds a field that is neither an applied one, nor a current's torque, nor an anisotropy")
    constant = term.parts.get(0, np.zeros(3))
    linear = term.parts.get(1, np.zeros((3, 3)))
    odd, even = (linear - linear.T) / 2, (linear + linear.T) / 2
    across = (odd[2, 1], odd[0, 2], odd[1, 0])  # the matrix of v x m
    strengths, vectors = np.linalg.eigh(even)
    largest = np.abs(strengths).max()
    axes = tuple(
        (float(strength), tuple(float(c) for c in vectors[:, i]))
        for i, strength in enumerate(strengths)
        if abs(strength) > 1e-9 * largest
    )
    return Field(tuple(map(float, constant)), tuple(map(float, across)), axes)  # type: ignore[arg-type]


def call(name: str, arguments: list[Any]) -> Tensor:
    """Return what a function of mumax3 makes of quantities; `Unrepresentable` if they cannot be followed."""
    if any(isinstance(value, Signal) for value in arguments):
        raise Unrepresentable("a custom field that changes in time")
    if name == "const":
        return of(number(arguments[0]))
    if name == "constvector":
        return of(*(number(value) for value in arguments))
    tensors = [value for value in arguments if isinstance(value, Tensor)]
    if len(tensors) < 2:
        raise Unrepresentable(f"{name}: of quantities that only the simulation knows")
    a, b = tensors[:2]
    if name == "madd":
        first, second = (as_signal(value).offset for value in arguments[2:4])
        return add(a, b, first, second)
    return {"add": add, "mul": multiply, "dot": dot, "cross": cross}[name](a, b)
