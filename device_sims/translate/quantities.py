"""mumax3's quantities and their methods: ``m``, constants by region, fields and currents, regions, masks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from device_sims.translate.functions import Array, Functions, kind
from device_sims.translate.shapes import Config, Shape, config_method, shape_method, uniform
from device_sims.translate.values import Later, Signal, Unrepresentable, as_signal, number, vector, whole
from device_sims.translate.world import DRIVES, DYNAMIC, STATIC, Extra, Mesh, World

# what mumax3 computes and a script may only read
OUTPUTS = re.compile(
    r"(e|b|edens)_\w+|ext_\w*(pos|dist|speed|charge|chargelattice|density|densitylattice|tilt|phi|theta|index\w*)|dt|neval|"
    r"lasterr|peakerr|maxtorque|m_full|torque|lltorque|sttorque|spinangle|maxangle|exchcoupling|dindcoupling|mfm|"
    r"totalshift|step|b_therm|f_mel"
)


@dataclass(frozen=True)
class Quantity:
    """A quantity of mumax3 by its name; one component of it, or its values in one region or a part of the box, if so.

    ``part`` are the first and the end of the cells along x, y and z.
    """

    name: str
    component: int | None = None
    region: int | None = None
    part: tuple[tuple[int, int], ...] | None = None

    @property
    def text(self) -> str:
        """What a script calls it."""
        part = "" if self.component is None else f".comp({self.component})"
        return self.name + part + ("" if self.region is None else f".region({self.region})")

    @property
    def column(self) -> str | None:
        """The column of table.csv that holds its mean, if one does."""
        if self.name == "m" and self.region is None and self.part is None:
            return f"m{'xyz'[self.component]}" if self.component is not None else None
        return COLUMNS.get(self.name)

    def output(self, window: int | None) -> dict[str, Any] | None:
        """Return the entry of `outputs.columns` that writes it, in words of regions and cells; None if none does.

        ``window`` is the component of m that the window follows, if there is one.
        """
        if self.name in ("ext_dwpos", "ext_dwxpos") and window in (0, 1):
            return {"kind": "wall_position", "component": "xyz"[window]}
        if self.name in OBSERVABLES:
            return {"kind": OBSERVABLES[self.name]}
        if self.name == "m" and self.region is not None:
            return {"kind": "mean", "region": self.region}
        if self.name == "m" and self.part is not None:
            return {"kind": "mean", "part": self.part}
        return None


# what a column of `outputs.columns` computes of them
OBSERVABLES = {
    "ext_topologicalcharge": "topological_charge", "ext_topologicalchargelattice": "topological_charge",
    "ext_corepos": "core", "ext_bubblepos": "skyrmion",
}  # fmt: skip
# fields that are written beside a state, by what `outputs.fields` calls them
FIELDS = {
    "b_eff": "effective", "b_demag": "stray", "b_exch": "exchange", "b_anis": "anisotropy", "b_ext": "zeeman",
}  # fmt: skip
# what table.csv has of mumax3's numbers
COLUMNS = {
    "ext_dwpos": "wall_position_m", "ext_dwxpos": "wall_position_m",
    "t": "t_s", "e_total": "energy_total_J", "e_exch": "energy_exchange_J", "e_anis": "energy_anisotropy_J",
    "e_demag": "energy_demag_J", "e_zeeman": "energy_zeeman_J",
}  # fmt: skip


def cropped(mesh: Mesh, name: str, quantity: Any, limits: list[int]) -> Any:
    """Return a part of a quantity, by a function of mumax3 whose name begins with ``crop``; a `Later` of others."""
    if not isinstance(quantity, Quantity):
        return Later(f"{name}(...)")
    if name == "cropregion":
        return replace(quantity, region=limits[0])
    part = [(0, n) for n in mesh.cells] if quantity.part is None else list(quantity.part)
    if name == "croplayer":
        part[2] = (limits[0], limits[0] + 1)
    elif name == "crop":
        part = list(zip(limits[::2], limits[1::2]))
    else:
        part["xyz".index(name[-1])] = (limits[0], limits[1])
    return replace(quantity, part=tuple(part))


def is_vector(name: str) -> bool:
    """Return whether a quantity of `World.values` has three components."""
    return isinstance({**STATIC, **DYNAMIC, **DRIVES}.get(name), tuple)


def checked(name: str, value: Any) -> Any:
    """Return what a script assigns to a quantity: a number or vector, or functions of time."""
    if is_vector(name):
        return tuple(c if isinstance(c, Signal) else number(c) for c in vector(value))
    return value if isinstance(value, Signal) else number(value)


def read(world: World, quantity: Quantity) -> Any:
    """Return the value of a quantity in an expression: a number if it is one everywhere, else what comes later."""
    if quantity.name in world.values:
        values = world.values[quantity.name]
        own = values if quantity.region is None else [values[quantity.region]]
        if all(value == own[0] for value in own) and not world.extra.get(quantity.name):
            found = own[0] if quantity.component is None else own[0][quantity.component]
            if not isinstance(found, Signal) and not (
                isinstance(found, tuple) and any(isinstance(c, Signal) for c in found)
            ):
                return found
    return Later(quantity.text, quantity.column)


def call_method(functions: Functions, target: Any, name: str, arguments: list[Any]) -> Any:
    """Return what a method does.

    Raises
    ------
    Unrepresentable
        If there is no such method, or it cannot be followed.
    """
    if isinstance(target, Shape):
        return shape_method(target, name, arguments)
    if isinstance(target, Config):
        return config_method(target, name, arguments)
    if isinstance(target, Array):
        return _array_method(target, name, arguments)
    if isinstance(target, Later):
        return Later(f"{target.what}.{name}()", target.column)
    if isinstance(target, tuple):
        return _vector_method(target, name, arguments)
    if not isinstance(target, Quantity):
        raise Unrepresentable(f"a value has no method '{name}'")
    if name == "comp":
        return replace(target, component=whole(arguments[0]))
    if name == "region":
        return replace(target, region=whole(arguments[0]))
    if name in ("average", "get") and target.name in functions.world.values:
        return read(functions.world, target)
    if target.name in functions.world.values:
        return _values_method(functions.world, target.name, name, arguments)
    if target.name == "m" and (done := _m_method(functions, name, arguments)):
        return done[0]
    if target.name == "regions" and (done := _regions_method(functions, name, arguments)):
        return done[0]
    return Later(f"{target.text}.{name}()", target.column if name == "average" else None)


def _vector_method(v: tuple[Any, ...], name: str, arguments: list[Any]) -> Any:
    """Return what a method makes of a vector of numbers."""
    if name in ("x", "y", "z"):
        return v["xyz".index(name)]
    own = np.array([number(c) for c in v])
    if name in ("len", "normalized"):
        length = float(np.linalg.norm(own))
        return length if name == "len" else tuple((own / length).tolist())
    if name in ("mul", "div"):
        factor = number(arguments[0])
        return tuple((own * factor if name == "mul" else own / factor).tolist())
    other = np.array([number(c) for c in vector(arguments[-1])])
    if name == "dot":
        return float(own @ other)
    if name == "madd":
        other = other * number(arguments[0])
    made = {"add": own + other, "madd": own + other, "sub": own - other, "cross": np.cross(own, other)}
    if name not in made:
        raise Unrepresentable(f"a vector has no method '{name}' here")
    return tuple(made[name].tolist())


def _m_method(functions: Functions, name: str, arguments: list[Any]) -> tuple[Any] | None:
    """Set m by a method and return its value in a tuple, or None if the method only reads."""
    world = functions.world
    if name == "setinshape":
        shape, config = arguments
        world.set_m(kind(config, Config, "a state"), world.inside(kind(shape, Shape, "a shape")))
    elif name == "setregion":
        world.set_m(kind(arguments[1], Config, "a state"), world.regions == whole(arguments[0]))
    elif name == "set":
        world.set_m(kind(arguments[0], Config, "a state"))
    elif name == "setcell":
        i, j, k = (whole(c) for c in arguments[:3])
        where = np.zeros(world.ready().shape, bool)
        where[k, j, i] = True
        world.set_m(uniform(*(number(c) for c in vector(arguments[3]))), where)
    elif name == "loadfile":
        world.set_field(functions.state(arguments[0]))
    elif name == "setarray":
        world.set_field(kind(arguments[0], Array, "a field").values)
    else:
        return None
    return (None,)


def _regions_method(functions: Functions, name: str, arguments: list[Any]) -> tuple[Any] | None:
    regions = functions.world.regions
    if name == "loadfile":
        functions.regions_of(arguments[0])
        return (None,)
    if name in ("setcell", "getcell"):
        i, j, k = (whole(c) for c in arguments[:3])
        if name == "setcell":
            regions[k, j, i] = whole(arguments[3])
        return (int(regions[k, j, i]),)
    return None


def _values_method(world: World, quantity: str, name: str, arguments: list[Any]) -> Any:
    """Set or read the values of a quantity that has them by region."""
    if name == "setregion":
        world.set_value(quantity, checked(quantity, arguments[1]), whole(arguments[0]))
    elif name == "set":
        world.set_value(quantity, checked(quantity, arguments[0]))
    elif name == "getregion":
        return world.values[quantity][whole(arguments[0])]
    elif name == "isuniform":
        return len(set(world.values[quantity])) == 1
    elif name == "add" and quantity in world.extra:
        mask = kind(arguments[0], Array, "a map of vectors").values
        if mask.shape != (3, *world.ready().shape):
            raise Unrepresentable("adds a map of another number of cells")
        times = arguments[1] if len(arguments) > 1 else 1.0
        world.extra[quantity].append(Extra(mask.copy(), as_signal(times)))
    elif name == "removeextraterms":
        world.extra.get(quantity, []).clear()
    else:
        raise Unrepresentable(f"{quantity} has no method '{name}' here")
    return None


def _array_method(array: Array, name: str, arguments: list[Any]) -> Any:
    """Fill or read a field of numbers."""
    if name in ("setvector", "setscalar"):
        i, j, k = (whole(c) for c in arguments[:3])
        value = arguments[3]
        array.values[:, k, j, i] = [number(c) for c in vector(value)] if name == "setvector" else number(value)
    elif name == "set":
        c, i, j, k = (whole(c) for c in arguments[:4])
        array.values[c, k, j, i] = number(arguments[4])
    elif name in ("get", "getcell"):
        c, i, j, k = (whole(c) for c in arguments[:4])
        return float(array.values[c, k, j, i])
    else:
        raise Unrepresentable(f"a field has no method '{name}' here")
    return None
