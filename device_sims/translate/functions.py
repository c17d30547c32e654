"""mumax3's functions, by name: what each does to the `World`, or what it makes of its arguments."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from device_sims.problem import ovf
from device_sims.translate import shapes, terms
from device_sims.translate.shapes import Config, Shape
from device_sims.translate.values import (
    FUNCTIONS,
    Later,
    Signal,
    Unrepresentable,
    apply,
    as_signal,
    number,
    unknown,
    whole,
)
from device_sims.translate.world import World
from spinloom import streams
from spinloom.errors import UserError

# functions that make a quantity of others: a script can only save or tabulate what they return
CROPS = ("crop", "cropx", "cropy", "cropz", "croplayer", "cropregion")
READERS = (*CROPS, "shifted", "masked", "normalized", "runningaverage", "sum", "sumvector", "mulmv", "div")

TILE = 2  # edge of a tile of the plane in grains: four grains are expected in it


class Array:
    """A field of numbers that a script fills or loads, ``values`` float64[components, nz, ny, nx]."""

    def __init__(self, values: np.ndarray):
        self.values = values


class Functions:
    """The functions, bound to a world; ``table`` holds them by their names in lower case."""

    def __init__(self, world: World, folder: Path, note: Callable[[str], None]):
        self.world, self.folder, self.note = world, folder, note
        self._random = streams.generator(0, "mumax3", "rand")
        cell = lambda: world.ready().cell_m[0]  # noqa: E731
        n = lambda values: [number(value) for value in values]  # noqa: E731
        self.table: dict[str, Callable[..., Any]] = {
            **{name: (lambda *a, name=name: apply(name, list(a))) for name in FUNCTIONS},
            # the mesh
            "setgridsize": lambda *a: world.set_mesh(cells=tuple(whole(c) for c in a)),
            "setcellsize": lambda *a: world.set_mesh(cell_m=tuple(n(a))),
            "setpbc": lambda *a: world.set_mesh(images=tuple(whole(c) for c in a)),
            "setmesh": self._set_mesh,
            # shapes
            "ellipsoid": lambda *a: shapes.ellipsoid(*n(a)),
            "ellipse": lambda a, b: shapes.ellipsoid(number(a), number(b), math.inf),
            "circle": lambda d: shapes.cylinder(number(d), math.inf),
            "cylinder": lambda *a: shapes.cylinder(*n(a)),
            "cone": lambda *a: shapes.cone(*n(a)),
            "superball": lambda *a: shapes.superball(*n(a)),
            "cuboid": lambda *a: shapes.cuboid(*n(a)),
            "rect": lambda a, b: shapes.cuboid(number(a), number(b), math.inf),
            "square": lambda a: shapes.cuboid(number(a), number(a), math.inf),
            "triangle": lambda *a: shapes.triangle(*n(a)),
            "xrange": lambda *a: shapes.axis_range(0)(*n(a)),
            "yrange": lambda *a: shapes.axis_range(1)(*n(a)),
            "zrange": lambda *a: shapes.axis_range(2)(*n(a)),
            "universe": shapes.universe,
            "layer": lambda i: self._layers(whole(i), whole(i) + 1),
            "layers": lambda a, b: self._layers(whole(a), whole(b)),
            "cell": self._cell,
            "imageshape": self._image,
            "grainroughness": self._rough,
            "setgeom": lambda shape: world.set_shape(kind(shape, Shape, "a shape")),
            "ext_initgeomfromovf": self._geometry_of,
            # regions
            "defregion": self._def_region,
            "defregioncell": lambda r, *at: self._def_cell(r, *at),
            "redefregion": self._redefine,
            "ext_makegrains": self._grains,
            "ext_scaleexchange": lambda a, b, s: self._exchange("scale", a, b, s),
            "ext_interexchange": lambda a, b, s: self._exchange("value", a, b, s),
            "ext_rmsurfacecharge": self._rm_charge,
            # states
            "uniform": lambda *a: shapes.uniform(*n(a)),
            "vortex": lambda c, p: shapes.vortex(whole(c), whole(p), cell()),
            "antivortex": lambda c, p: shapes.vortex(whole(c), whole(p), cell(), anti=True),
            "neelskyrmion": lambda c, p: shapes.skyrmion(whole(c), whole(p), cell(), False),
            "blochskyrmion": lambda c, p: shapes.skyrmion(whole(c), whole(p), cell(), True),
            "twodomain": lambda *a: shapes.two_domain(*n(a), cell_m=cell()),
            "vortexwall": lambda a, b, c, p: shapes.vortex_wall(
                number(a), number(b), shapes.vortex(whole(c), whole(p), cell()), world.ready().size_m[1]
            ),
            "conical": lambda q, u, angle: shapes.conical(tuple(n(q)), tuple(n(u)), number(angle)),
            "helical": lambda q: shapes.conical(tuple(n(q)), tuple(n(q)), math.pi / 2),
            "randommag": lambda: self._random_state(0),
            "randommagseed": lambda s: self._random_state(whole(s)),
            # numbers
            "vector": lambda x, y, z: (x, y, z),
            "rand": lambda: self._drawn("random"),
            "randnorm": lambda: self._drawn("standard_normal"),
            "randexp": lambda: self._drawn("standard_exponential"),
            "randint": lambda top: int(self._random.integers(whole(top))),
            "randseed": self._reseed,
            "index2coord": lambda i, j, k: world.ready().centre(number(i), number(j), number(k)),
            "sprint": lambda *a: " ".join(map(_printed, a)),
            "sprintf": lambda text, *a: formatted(text, a),
            "now": lambda: Later("the time of day"),
            "since": lambda *_: Later("the time of day"),
            "functionfromdatafile": self._from_table,
            # fields
            "loadfile": lambda name: Array(self._field(name).values),
            "newvectormask": lambda *a: self._array(3, a),
            "newscalarmask": lambda *a: self._array(1, a),
            "newslice": lambda c, *a: self._array(whole(c), a),
            **{
                name: (lambda *a, name=name: terms.call(name, list(a)))
                for name in ("const", "constvector", "add", "madd", "mul", "dot", "cross")
            },
            **{name: (lambda *a, name=name: Later(f"{name}(...)")) for name in READERS if name not in CROPS},
            "addfieldterm": lambda term: world.field_terms.append(terms.recognise(term)),
            "removecustomfields": world.field_terms.clear,
            # time
            "thermseed": self._thermal_seed,
            "thermreseed": self._thermal_seed,
            "tableautosave": lambda dt: setattr(world, "record_s", number(dt)),
            "ext_centerwall": lambda c=0: setattr(world, "window", whole(c)),
        }

    # -- files -----------------------------------------------------------------------------------------------------
    def path(self, name: Any) -> Path:
        """Return the place of a file that the script names; `Unrepresentable` if it is not there."""
        found = self.folder / str(kind(name, str, "the name of a file")).removeprefix("file://")
        if not found.is_file():
            raise Unrepresentable(f"{found}: is not there")
        return found

    def _field(self, name: Any) -> ovf.Field:
        try:
            return ovf.read(self.path(name))
        except UserError as error:
            raise Unrepresentable(str(error)) from None

    def state(self, name: Any) -> np.ndarray:
        """Return a state of m from a file on the cells of the mesh, float64[3, nz, ny, nx]."""
        values = self._field(name).values
        if values.shape != (3, *self.world.ready().shape):
            counts = " x ".join(map(str, values.shape[:0:-1]))
            raise Unrepresentable(f"loads a state of {counts} cells, which are not those of the mesh")
        return values

    def _image(self, name: Any) -> Shape:
        from PIL import Image  # imported here: few scripts need it

        pixels = np.asarray(Image.open(self.path(name)).convert("RGBA"), float)
        opaque = pixels[..., 3] / 255
        dark = (opaque > 128 / 65535) & ((pixels[..., :3] * opaque[..., None]).sum(-1) < 3 * 255 / 2)
        return shapes.image(dark, self.world.ready().size_m[:2])  # type: ignore[arg-type]

    def _geometry_of(self, name: Any) -> None:
        read = self._field(name)
        nz, ny, nx = read.values.shape[1:]
        self.world.set_mesh(cells=(nx, ny, nz), cell_m=read.cell_m)
        self.world.set_fill(read.values[0])

    def regions_of(self, name: Any) -> None:
        """Take the regions from the first component of a file."""
        values = self._field(name).values[0]
        if values.shape != self.world.ready().shape:
            raise Unrepresentable("loads regions of another number of cells")
        self.world.regions[:] = np.rint(values).astype(int)

    def _from_table(self, name: Any, x: Any, y: Any, method: Any = "linear") -> Callable[[Any], Any]:
        with open(self.path(name), encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row and not row[0].lstrip().startswith("#")]
        data = np.array([[float(row[whole(x)]), float(row[whole(y)])] for row in rows])
        if method != "linear":
            raise Unrepresentable(f"interpolates by '{method}', allowed: linear")

        def function(value: Any) -> Any:
            signal = as_signal(value)
            return Signal(lambda t: np.interp(signal.of(t), data[:, 0], data[:, 1]), closed=False)

        return function

    def _array(self, components: int, counts: tuple[Any, ...]) -> Array:
        nx, ny, nz = (whole(c) for c in counts)
        return Array(np.zeros((components, nz, ny, nx)))

    # -- mesh and shapes -------------------------------------------------------------------------------------------
    def _set_mesh(self, *a: Any) -> None:
        counts, edges, images = a[:3], a[3:6], a[6:]
        self.world.set_mesh(
            cells=tuple(whole(c) for c in counts),
            cell_m=tuple(number(c) for c in edges),
            images=tuple(whole(c) for c in images),
        )

    def _layers(self, first: int, last: int) -> Shape:
        mesh = self.world.ready()
        if not 0 <= first <= last <= mesh.cells[2]:
            raise Unrepresentable(f"names the layers {first} to {last} of {mesh.cells[2]}")
        low, high = (mesh.centre(0, 0, layer)[2] - mesh.cell_m[2] / 2 for layer in (first, last))
        return shapes.axis_range(2)(low, high)

    def _cell(self, i: Any, j: Any, k: Any) -> Shape:
        mesh = self.world.ready()
        box = shapes.cuboid(*mesh.cell_m)
        return shapes.shape_method(box, "transl", list(mesh.centre(whole(i), whole(j), whole(k))))

    def _rough(self, size: Any, low: Any, high: Any, seed: Any) -> Shape:
        self.note("the heights of the grains are drawn from other random numbers than mumax3's")
        region_of, low, high = voronoi(number(size), 256, whole(seed)), number(low), number(high)

        def inside(x, y, z):
            height = low + (high - low) * region_of(x, y) / 256
            return (z <= low) | ((z < high) & (z < height))

        return Shape(inside)

    # -- regions ---------------------------------------------------------------------------------------------------
    def _def_region(self, region: Any, shape: Any) -> None:
        self.world.regions[self.world.inside(kind(shape, Shape, "a shape"))] = _region(region)

    def _def_cell(self, region: Any, i: Any, j: Any, k: Any) -> None:
        self.world.regions[whole(k), whole(j), whole(i)] = _region(region)

    def _redefine(self, old: Any, new: Any) -> None:
        regions = self.world.regions
        regions[regions == _region(old)] = _region(new)

    def _grains(self, size: Any, count: Any, seed: Any) -> None:
        self.note("the grains are drawn from other random numbers than mumax3's, of the same statistics")
        mesh = self.world.ready()
        x, y, _ = mesh.places()
        self.world.regions[:] = voronoi(number(size), whole(count), whole(seed))(x, y).reshape(mesh.shape)

    def _exchange(self, how: str, a: Any, b: Any, value: Any) -> None:
        low, high = sorted((_region(a), _region(b)))
        self.world.exchange[low, high] = (how, number(value))

    def _rm_charge(self, region: Any, left: Any, right: Any) -> None:
        if not number(self.world.values["msat"][_region(region)]):
            raise Unrepresentable(f"Msat is 0 in region {_region(region)}")
        self.world.beyond_mx = (number(left), number(right))

    # -- random numbers --------------------------------------------------------------------------------------------
    def _drawn(self, distribution: str) -> float:
        self.note("random numbers are other ones than mumax3's")
        return float(getattr(self._random, distribution)())

    def _reseed(self, seed: Any) -> None:
        if not isinstance(seed, Later):
            self._random = streams.generator(whole(seed), "mumax3", "rand")

    def _random_state(self, seed: int) -> Config:
        self.note("the random state is drawn from other random numbers than mumax3's")
        return shapes.random_state(lambda: streams.generator(seed, "mumax3", "RandomMag"), seed)

    def _thermal_seed(self, seed: Any = 0) -> None:
        if isinstance(seed, Later):
            self.note("the seed is not taken over: give one with --seed")
        else:
            self.world.thermal_seed = whole(seed)


def kind(value: Any, wanted: type, words: str) -> Any:
    """Return a value that must be of a class; `Unrepresentable` if it is not."""
    if isinstance(value, Later):
        raise unknown(value)
    if not isinstance(value, wanted):
        raise Unrepresentable(f"needs {words}")
    return value


def _region(value: Any) -> int:
    found = whole(value)
    if not 0 <= found < 256:
        raise Unrepresentable(f"found region {found}, allowed: 0 to 255")
    return found


def _printed(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def formatted(text: Any, values: tuple[Any, ...]) -> Any:
    """Return a text with values in place of its verbs, as C's printf does it; %v is any value."""
    if any(isinstance(value, Later) for value in values):
        return next(value for value in values if isinstance(value, Later))
    left = list(values)

    def put(found: re.Match) -> str:
        if found[0] == "%%":
            return "%"
        value = left.pop(0) if left else ""
        if found[2] in "vst":
            return f"%{found[1]}s" % _printed(value)
        return f"%{found[1]}{found[2]}" % (int(number(value)) if found[2] in "dxXo" else number(value))

    return re.sub(r"%([-+ 0#]*\d*(?:\.\d+)?)([vdsfFeEgGxXot%])", put, str(text))


# -- grains --------------------------------------------------------------------------------------------------------
def voronoi(size_m: float, regions: int, seed: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return the function that gives the region of each place, from the middle of the box.

    Centres are a Poisson process of one in ``size_m`` squared, each with a region drawn from 0 to ``regions - 1``; a
    tile's centres come from a stream of its own, so the grains do not depend on the size of the box.
    """
    edge = TILE * size_m

    def region_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        tiles = [range(int(np.floor(c.min() / edge)) - 2, int(np.floor(c.max() / edge)) + 3) for c in (x, y)]
        centres, numbers = [], []
        for i in tiles[0]:
            for j in tiles[1]:
                rng = streams.generator(seed, "mumax3", "grains", i, j)
                count = rng.poisson(TILE**2)
                centres.append((rng.random((count, 2)) + (i, j)) * edge)
                numbers.append(rng.integers(regions, size=count))
        nearest = cKDTree(np.concatenate(centres)).query(np.column_stack([x, y]))[1]
        return np.concatenate(numbers)[nearest]

    return region_of
