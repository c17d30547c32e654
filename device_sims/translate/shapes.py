"""mumax3's shapes and states of m: functions of the place, m from the middle of the box.

The formulas are those of mumax3's reference (https://mumax.github.io/api.html): shapes combine by logic, move, turn and
repeat; states of m move, turn and add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from device_sims.translate.values import Unrepresentable, number

Sizes = tuple[float, ...]
FAR = 1e-3  # m, beyond any box: what a problem file says for infinity
Inside = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Shape:
    """A part of space: ``inside(x, y, z)`` of float64[n] is bool[n].

    ``key(size_m)`` is what a problem file calls it in a box of that size, if it can.
    """

    inside: Inside
    key: Callable[[Sizes], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Config:
    """A state of m: ``at(x, y, z)`` of float64[n] is float64[3, n], of any length.

    ``key`` is the start of a problem file that says the same, if there is one; ``random`` is whether it has random
    numbers of its own.
    """

    at: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    key: dict[str, Any] | None = field(default=None, compare=False)
    random: bool = False


# -- shapes --------------------------------------------------------------------------------------------------------
def _key(kind: str, *size_m: float) -> Callable[[Sizes], dict[str, Any]]:
    return lambda box: {"kind": kind, "size_m": list(size_m)}


def _nothing() -> Shape:
    return Shape(lambda x, y, z: np.zeros(np.shape(x), bool))


def ellipsoid(a: float, b: float, c: float) -> Shape:
    """Return the ellipsoid of these axes; of infinite height it is an ellipse."""
    key = _key("ellipse", a, b) if math.isinf(c) else _key("ellipsoid", a, b, c)
    return Shape(lambda x, y, z: (x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2 <= 0.25, key)


def cylinder(diameter: float, height: float) -> Shape:
    """Return the cylinder along z, lengths in m."""
    d = diameter

    def key(box: Sizes) -> dict[str, Any]:
        disc = {"kind": "disc", "size_m": [d, d]}
        if height >= 2 * FAR:
            return disc
        middle = box[2] / 2
        between = {"kind": "range", "z_m": [middle - height / 2, middle + height / 2]}
        return {"kind": "intersection", "of": [disc, between]}

    return Shape(lambda x, y, z: (np.abs(z) <= height / 2) & ((x / d) ** 2 + (y / d) ** 2 <= 0.25), key)


def cone(diameter: float, height: float) -> Shape:
    """Return the cone whose base is at z = 0, lengths in m."""
    d = diameter
    return Shape(
        lambda x, y, z: ((height - z) * z >= 0) & ((x / d) ** 2 + (y / d) ** 2 <= 0.25 * (1 - z / height) ** 2)
    )


def superball(diameter: float, p: float) -> Shape:
    """Return the superball of exponent 2 p, lengths in m."""
    if p <= 0:
        return _nothing()
    return Shape(lambda *place: np.sum([np.abs(2 * c / diameter) ** (2 * p) for c in place], axis=0) <= 1)


def cuboid(a: float, b: float, c: float) -> Shape:
    """Return the box of these edges; of infinite height it is a rectangle."""
    key = _key("rectangle", a, b) if math.isinf(c) else _key("cuboid", a, b, c)
    return Shape(lambda x, y, z: (np.abs(x) < a / 2) & (np.abs(y) < b / 2) & (np.abs(z) < c / 2), key)


def triangle(x0: float, y0: float, x1: float, y1: float, x2: float, y2: float) -> Shape:
    """Return the triangle of these corners."""
    twice = x0 * (y1 - y2) + x1 * (y2 - y0) + x2 * (y0 - y1)
    if not twice:
        return _nothing()

    def inside(x, y, z):
        s = (y0 * x2 - x0 * y2 + (y2 - y0) * x + (x0 - x2) * y) / twice
        t = (x0 * y1 - y0 * x1 + (y0 - y1) * x + (x1 - x0) * y) / twice
        return (s >= 0) & (t >= 0) & (s + t <= 1)

    def key(box: Sizes) -> dict[str, Any]:
        points = [[x + box[0] / 2, y + box[1] / 2] for x, y in ((x0, y0), (x1, y1), (x2, y2))]
        return {"kind": "polygon", "points_m": points}

    return Shape(inside, key)


def axis_range(axis: int) -> Callable[[float, float], Shape]:
    """Return the function that makes the part of space between two planes across an axis."""

    def between(a: float, b: float) -> Shape:
        def key(box: Sizes) -> dict[str, Any]:
            low, high = (min(max(limit, -FAR), FAR) + box[axis] / 2 for limit in (a, b))
            return {"kind": "range", f"{'xyz'[axis]}_m": [low, high]}

        return Shape(lambda *place: (place[axis] >= a) & (place[axis] < b), key)

    return between


def universe() -> Shape:
    """Return all space."""
    return Shape(lambda x, y, z: np.ones(np.shape(x), bool), lambda box: {"kind": "box"})


def image(dark: np.ndarray, size_m: tuple[float, float]) -> Shape:
    """Return the dark pixels, bool[rows, columns] from the top, of an image stretched over the box."""
    rows, columns = dark.shape

    def inside(x, y, z):
        column = np.trunc(columns * x / size_m[0] + 0.5 * columns).astype(int)
        row = np.trunc(rows * y / size_m[1] + 0.5 * rows).astype(int)
        within = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        return within & dark[::-1][np.where(within, row, 0), np.where(within, column, 0)]

    return Shape(inside)


def _turned(cos: float, sin: float, a, b):
    return a * cos + b * sin, -a * sin + b * cos


def _folded(c, period: float):
    if not period or math.isinf(period):
        return c
    far = np.sign(c) * (np.fmod(np.abs(c + period / 2), period) - period / 2)
    return np.where(np.abs(c) > period / 2, far, c)


LOGIC: dict[str, tuple[Callable[[Any, Any], Any], str | None]] = {
    "add": (np.logical_or, "union"),
    "intersect": (np.logical_and, "intersection"),
    "sub": (lambda a, b: a & ~b, "difference"),
    "xor": (np.logical_xor, None),
}
ORDER = ("scale", "rotate_rad", "repeat_m", "translate_m")  # in which a problem file moves a shape


def _combined(kind: str | None, a: Shape, b: Shape) -> Callable[[Sizes], dict[str, Any]] | None:
    if kind is None or a.key is None or b.key is None:
        return None
    first, second = a.key, b.key

    def key(box: Sizes) -> dict[str, Any]:
        left, right = first(box), second(box)
        if left["kind"] == kind and left.keys() == {"kind", "of"}:  # a loop that adds one to the next stays flat
            return {"kind": kind, "of": [*left["of"], right]}
        return {"kind": kind, "of": [left, right]}

    return key


def _moved(shape: Shape, name: str, value: Any) -> Callable[[Sizes], dict[str, Any]] | None:
    if shape.key is None:
        return None
    own = shape.key

    def key(box: Sizes) -> dict[str, Any]:
        said = own(box)
        if name == "translate_m" and name in said:
            return {**said, name: [a + b for a, b in zip(said[name], value)]}
        later = ORDER[ORDER.index(name) :]
        return {"kind": "union", "of": [said], name: value} if said.keys() & set(later) else {**said, name: value}

    return key


def shape_method(shape: Shape, name: str, arguments: list[Any]) -> Shape:
    """Return what a method makes of a shape.

    Raises
    ------
    Unrepresentable
        If there is no such method, or an argument is of another kind.
    """
    own = shape.inside
    if name in LOGIC:
        (other,) = arguments
        if not isinstance(other, Shape):
            raise Unrepresentable(f"{name}: needs a shape")
        combine, kind = LOGIC[name]
        inside = lambda x, y, z: combine(own(x, y, z), other.inside(x, y, z))  # noqa: E731
        return Shape(inside, _combined(kind, shape, other))
    if name == "inverse":
        made = shape.key
        key = (lambda box: {**made(box), "invert": not made(box).get("invert", False)}) if made else None
        return Shape(lambda x, y, z: ~own(x, y, z), key)
    n = [number(value) for value in arguments]
    if name == "transl":
        return Shape(lambda x, y, z: own(x - n[0], y - n[1], z - n[2]), _moved(shape, "translate_m", n))
    if name == "scale":
        return Shape(lambda x, y, z: own(x / n[0], y / n[1], z / n[2]), _moved(shape, "scale", n))
    if name == "repeat":
        periods = [0.0 if math.isinf(period) else period for period in n]
        folded = lambda *place: own(*(_folded(c, period) for c, period in zip(place, periods)))  # noqa: E731
        return Shape(folded, _moved(shape, "repeat_m", periods))
    if name in ("rotx", "roty", "rotz"):
        cos, sin = math.cos(n[0]), math.sin(n[0])

        def turned(x, y, z):
            if name == "rotz":
                x, y = _turned(cos, sin, x, y)
            elif name == "roty":
                z, x = _turned(cos, sin, z, x)
            else:
                y, z = _turned(cos, sin, y, z)
            return own(x, y, z)

        return Shape(turned, _moved(shape, "rotate_rad", n[0]) if name == "rotz" else None)
    raise Unrepresentable(f"a shape has no method '{name}' here")


# -- states of m ---------------------------------------------------------------------------------------------------
def uniform(mx: float, my: float, mz: float) -> Config:
    """Return the state along one direction."""
    key = {"kind": "uniform", "direction": [mx, my, mz]} if any((mx, my, mz)) else None
    return Config(lambda x, y, z: np.array([np.full(np.shape(x), c) for c in (mx, my, mz)]), key)


def _around(x, y, core: np.ndarray, polarity: float, across: tuple[Any, Any]):
    """Return (across_x/r, across_y/r, core), and the polarity along z where r = 0."""
    r = np.hypot(x, y)
    safe = np.where(r > 0, r, 1.0)
    m = np.array([across[0] / safe, across[1] / safe, core])
    m[:, r == 0] = np.array([0.0, 0.0, polarity])[:, None]
    return m


def vortex(circulation: float, polarity: float, cell_m: float, anti: bool = False) -> Config:
    """Return the vortex or antivortex in the middle; its core is a cell edge wide."""

    def at(x, y, z):
        core = 1.5 * polarity * np.exp(-(x**2 + y**2) / (2 * cell_m**2))
        across = (-x * circulation, y * circulation) if anti else (-y * circulation, x * circulation)
        return _around(x, y, core, polarity, across)

    return Config(at, {"kind": "vortex"} if circulation == polarity == 1 and not anti else None)


def skyrmion(charge: float, polarity: float, cell_m: float, bloch: bool) -> Config:
    """Return the skyrmion in the middle, 8 cell edges wide."""

    def at(x, y, z):
        mz = 2 * polarity * (np.exp(-(x**2 + y**2) / (8 * cell_m) ** 2) - 0.5)
        outside = charge * (1 - np.abs(mz))
        return _around(x, y, mz, polarity, (-y * outside, x * outside) if bloch else (x * outside, y * outside))

    return Config(at)


def two_domain(*m: float, cell_m: float) -> Config:
    """Return two domains with a wall at x = 0, two cell edges wide; m of the left, the wall and the right."""
    left, wall, right = np.array(m[:3]), np.array(m[3:6]), np.array(m[6:])

    def at(x, y, z):
        share = np.exp(-((x / (2 * cell_m)) ** 2))
        return (1 - share) * np.where(x < 0, left[:, None], right[:, None]) + share * wall[:, None]

    return Config(at)


def vortex_wall(left: float, right: float, inner: Config, width_m: float) -> Config:
    """Return two domains along x with a vortex between them, ``width_m`` wide."""

    def at(x, y, z):
        m = inner.at(x, y, z)
        for domain, there in ((left, x < -width_m / 2), (right, x > width_m / 2)):
            m[:, there] = np.array([domain, 0.0, 0.0])[:, None]
        return m

    return Config(at)


def conical(q: tuple, direction: tuple, angle: float) -> Config:
    """Return the cone of wave vector ``q``, 1/m, about a direction."""
    u = np.array(direction, float) / np.linalg.norm(direction)
    if abs(u[2]) == 1:
        a, b = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    else:
        across = math.sqrt(1 - u[2] ** 2)
        a = np.array([u[0] * u[2], u[1] * u[2], u[2] ** 2 - 1]) / across
        b = np.array([-u[1], u[0], 0]) / across

    def at(x, y, z):
        turn = q[0] * x + q[1] * y + q[2] * z
        side = a[:, None] * np.cos(turn) + b[:, None] * np.sin(turn)
        return math.cos(angle) * u[:, None] + math.sin(angle) * side

    return Config(at)


def random_state(generator: Callable[[], np.random.Generator], seed: int) -> Config:
    """Return directions that are spread evenly over the sphere, one for each place."""

    def at(x, y, z):
        m = generator().standard_normal((3, len(x)))
        return m / np.linalg.norm(m, axis=0)

    return Config(at, {"kind": "random", "seed": seed}, random=True)


def config_method(config: Config, name: str, arguments: list[Any]) -> Config:
    """Return what a method makes of a state; `Unrepresentable` as of `shape_method`."""
    own = config.at
    if name == "add":
        weight, other = number(arguments[0]), arguments[1]
        if not isinstance(other, Config):
            raise Unrepresentable("add: needs a state of m")
        return Config(lambda x, y, z: own(x, y, z) + weight * other.at(x, y, z), random=config.random or other.random)
    n = [number(value) for value in arguments]
    if name == "transl":
        return Config(lambda x, y, z: own(x - n[0], y - n[1], z - n[2]), random=config.random)
    if name == "scale":
        return Config(lambda x, y, z: own(x / n[0], y / n[1], z / n[2]), random=config.random)
    if name == "rotz":
        cos, sin = math.cos(n[0]), math.sin(n[0])

        def at(x, y, z):
            m = own(*_turned(cos, sin, x, y), z)
            return np.array([m[0] * cos - m[1] * sin, m[0] * sin + m[1] * cos, m[2]])

        return Config(at, random=config.random)
    raise Unrepresentable(f"a state of m has no method '{name}' here")
