"""Follows a script, statement by statement, without simulating anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from device_sims.translate import terms, values
from device_sims.translate.functions import CROPS, READERS, Array, Functions, kind
from device_sims.translate.language import Node
from device_sims.translate.quantities import FIELDS, OUTPUTS, Quantity, call_method, checked, cropped, read
from device_sims.translate.report import Report
from device_sims.translate.shapes import Config
from device_sims.translate.values import TIME, Later, Signal, Unrepresentable, number, truth, whole
from device_sims.translate.world import DRIVES, DYNAMIC, SETTINGS, STATIC, STRAINS, World
from spinloom.errors import UserError

MOST_STATEMENTS = 2_000_000  # a script without end stops here

# statements that only write or say something, and why they are left out
SILENT = {
    **dict.fromkeys(("print", "fprintln", "tableprint"), "says something"),
    **dict.fromkeys(("expect", "expectv"), "is a test of mumax3's"),
    **dict.fromkeys(
        ("flush", "autosnapshot", "snapshot", "snapshotas"), "pictures are not written; `ovf` writes states"
    ),
    "tablesave": "each phase ends with a row of the table",
    "ext_enableunsafe": "has no effect in mumax3 either",
    "addedensterm": "energies of custom terms are those of the terms that they become",
}
# settings without a counterpart that change no result that is converged
UNFELT = {
    "mindt", "maxdt", "relaxtorquethreshold", "minimizerstop", "headroom", "demagaccuracy", "snapshotformat",
    "filenameformat", "minimizersamples", "ext_bubblemz", "step",
}  # fmt: skip
CONSTANTS: dict[str, Any] = {
    "pi": math.pi, "inf": math.inf, "true": True, "false": False, "mu0": 4e-7 * math.pi,
    "fixedlayer_top": "top", "fixedlayer_bottom": "bottom",
    **{name.lower(): name for name in ("OVF1_BINARY", "OVF2_BINARY", "OVF1_TEXT", "OVF2_TEXT", "DUMP")},
}  # fmt: skip


class Taken(Unrepresentable):
    """A variable is called as one of mumax3's own names."""


class Machine:
    """Runs a script on a `World`; what it could not follow is in the report, and no error."""

    def __init__(self, folder: Path):
        self.report = Report()
        self.world = World()
        self.functions = Functions(self.world, folder, self._note)
        self.columns: list[str] = []
        self._scopes: list[dict[str, Any]] = [{}]
        self._line = self._count = 0
        self._over = False

    def run(self, script: Node) -> None:
        """Run a script to its end.

        Raises
        ------
        UserError
            If it has no end.
        """
        self._items(script.parts[0])

    def _note(self, text: str) -> None:
        self.report.notes[self._line, text] += 1

    def _left_out(self, text: str) -> None:
        self.report.left_out[self._line, text] += 1

    # -- statements ------------------------------------------------------------------------------------------------
    def _items(self, items: Node) -> None:
        for node in items.parts:
            if not self._over:
                self._statement(node)

    def _block(self, block: Node) -> None:
        self._scopes.append({})
        self._items(block.parts[0])
        self._scopes.pop()

    def _statement(self, node: Node) -> None:
        self._line = node.line
        self._count += 1
        if self._count > MOST_STATEMENTS:
            raise UserError(
                f"line {node.line}: found more than {MOST_STATEMENTS} executed statements, allowed: a script that ends"
            )
        try:
            if node.kind == "block":
                self._block(node)
            elif node.kind == "if":
                self._if(node)
            elif node.kind in ("counted", "while"):
                self._for(node)
            elif node.kind == "assign":
                self._assign(node)
            elif node.kind == "call":
                self._call_statement(node)
            else:
                self._left_out("computes a value that nothing uses")
        except Unrepresentable as error:
            self._failed(node, str(error), isinstance(error, Taken))
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, OSError) as error:
            # too few or too many arguments, a name in place of a number: mumax3 would not run it either
            self._failed(node, f"is no valid use of mumax3 ({error})")

    def _failed(self, node: Node, reason: str, always: bool = False) -> None:
        """Refuse a statement; one that defines a variable is left out, and what depends on the variable is refused."""
        if node.kind == "assign" and node.parts[0].kind == "name" and str(node.parts[1]) == ":=" and not always:
            self.report.left_out[node.line, reason] += 1
            unknown = Later(f"line {node.line}", why="which could not be followed")
            self._scopes[-1][node.parts[0].parts[0]] = unknown
        else:
            self.report.refused[node.line, reason] += 1

    def _if(self, node: Node) -> None:
        condition, block, *other = node.parts
        if truth(self.value(condition)):
            self._block(block)
        elif other:
            self._statement(other[0]) if other[0].kind == "if" else self._block(other[0])

    def _for(self, node: Node) -> None:
        if node.kind == "counted":
            start, condition, step, block = node.parts
        else:
            start, step, (*before, block) = None, None, node.parts
            condition = before[0] if before else None
        self._scopes.append({})
        try:
            if start is not None:
                self._assign(start)
            while (condition is None or truth(self.value(condition))) and not self._over:
                self._block(block)
                self._line = node.line
                if step is not None:
                    self._assign(step) if step.kind == "assign" else self.value(step)
                elif condition is None:
                    raise Unrepresentable("a loop without an end")
        finally:
            self._scopes.pop()

    def _assign(self, node: Node) -> None:
        target, sign, *right = node.parts
        sign = str(sign)
        self._count += 1
        if target.kind != "name":
            raise Unrepresentable("sets something that has no name")
        name = target.parts[0]
        if sign in ("=", ":=") and name in OWN and sign == "=" and self._scope(name) is None:
            self._set(name, right[0])
            return
        if sign in ("=", ":="):
            value = self.value(right[0])
        else:
            change = 1 if sign in ("++", "--") else self.value(right[0])
            value = values.binary(sign[0], self.value(target), change)
            if isinstance(value, float) and isinstance(self.value(target), int) and value.is_integer():
                value = int(value)  # counters stay whole
        if sign == ":=" and len(self._scopes) == 1 and (name in OWN or name in self.functions.table):
            raise Taken(f"defines '{target.parts[1]}', which is mumax3's own name in any case of letters")
        scope = self._scopes[-1] if sign == ":=" else self._scope(name)
        if scope is None:
            if name in OWN:
                self._put(name, value)
                return
            raise Unrepresentable(f"sets '{target.parts[1]}', which is neither defined nor one of mumax3's")
        if sign != ":=" and not _alike(scope[name], value):
            # in a block, a variable j hides mumax3's J: names do not mind case
            spelt, before = target.parts[1], values.shown(scope[name])
            raise Unrepresentable(f"'{spelt}' is {before} here, and is set to another kind")
        scope[name] = value

    def _scope(self, name: str) -> dict[str, Any] | None:
        return next((scope for scope in reversed(self._scopes) if name in scope), None)

    def _set(self, name: str, node: Node) -> None:
        self._put(name, self.value(node, timed=name in self.world.values))

    def _put(self, name: str, value: Any) -> None:
        """Set one of mumax3's own names."""
        world = self.world
        if name in world.values:
            world.set_value(name, checked(name, value))
        elif name == "m":
            if isinstance(value, Array):
                world.set_field(value.values)
            else:
                world.set_m(kind(value, Config, "a state"))
        elif name == "t":
            world.time_s, world.time_known = number(value), True
        elif name in UNFELT:
            self._left_out("changes no result, or only its numerical error")
        elif name == "edgesmooth" and world.shape is not None:
            self._left_out("comes after SetGeom, whose edges it does not change in mumax3 either")
            world.settings[name] = number(value)
        elif name in SHIFTS:
            self._left_out("the window that moves fills new cells with the state of its edge")
        elif isinstance(world.settings[name], bool):
            world.settings[name] = truth(value)
        elif isinstance(world.settings[name], str):
            world.settings[name] = str(value)
        else:
            world.settings[name] = number(value)

    def _call_statement(self, node: Node) -> None:
        target, *arguments = node.parts
        name = target.parts[0] if target.kind == "name" else ""
        if name in SILENT:
            self._left_out(SILENT[name])
        elif name in ("tableadd", "tableaddvar"):
            self._column(arguments)
        elif name in ("save", "saveas", "autosave"):
            self._save(name, arguments)
        elif name in ("run", "steps", "relax", "minimize", "runwhile"):
            self._time(name, arguments)
        elif name == "exit":
            self._over = True
        elif name == "setsolver":
            self._left_out("the integrator is chosen by temperature and step (docs/from_mumax3.md)")
        else:
            self.value(node)

    def _column(self, arguments: list[Node]) -> None:
        value = self.value(arguments[0], raw=True)
        own = value.output(self.world.window) if isinstance(value, Quantity) else None
        if own is not None:
            if own not in self.world.outputs.columns:
                self.world.outputs.columns.append(own)
        elif column := "mx, my, mz" if value == Quantity("m") else getattr(value, "column", None):
            moved = column == "wall_position_m" and self.world.window is not None
            self._note(f"is what table.csv calls {'window_shift_m' if moved else column}")
        elif isinstance(value, Quantity) and value.name in ("b_ext", "j", "temp"):
            self._note("is what table.csv has of each drive")
            self.world.outputs.drives = True
        else:
            self._left_out("table.csv has no such column")

    def _save(self, name: str, arguments: list[Node]) -> None:
        value = self.value(arguments[0], raw=True)
        if not isinstance(value, Quantity) or value.name not in ("m", *FIELDS):
            self._left_out("OVF files hold m and fields alone")
            return
        if value.component is not None or value.region is not None:
            self._note("all components are saved, in all cells")
        if value.name in FIELDS:
            self._note("is saved beside each state of m")
            self.world.outputs.fields.add(FIELDS[value.name])
        if value.part is not None and value.part not in self.world.outputs.crops:
            self.world.outputs.crops.append(value.part)
        if name == "autosave":
            self.world.ovf_s = number(self.value(arguments[1]))
        elif self.world.jobs:
            self.world.jobs[-1].saves.append(len(self.world.jobs[-1].stages))
        else:
            self._left_out("the start is the first of the OVF files, if there are any")

    # -- time ------------------------------------------------------------------------------------------------------
    def _time(self, name: str, arguments: list[Node]) -> None:
        world, line = self.world, self._line
        if len(arguments) != (name not in ("relax", "minimize")):
            raise Unrepresentable(f"{name} takes another number of arguments")
        if name in ("relax", "minimize"):
            world.advance(name, 0.0, line)
        elif name == "run":
            if (duration_s := number(self.value(arguments[0]))) > 0:
                world.advance("run", duration_s, line)
        elif name == "steps":
            step_s = world.settings["fixdt"]
            if not step_s:
                raise Unrepresentable("takes steps whose length mumax3 chooses: the time is not known; use Run")
            world.advance("run", whole(self.value(arguments[0])) * step_s, line)
        else:
            self._run_while(arguments[0])

    def _run_while(self, condition: Node) -> None:
        if condition.kind != "binary" or str(condition.parts[1]) not in ("<", "<=", ">", ">="):
            raise Unrepresentable("runs while a condition holds that is no comparison")
        left, sign, right = condition.parts
        a, b = self.value(left, timed=True), self.value(right, timed=True)
        less = str(sign)[0] == "<"
        if isinstance(b, (Later, Signal)):
            a, b, less = b, a, not less
        limit = number(b)
        if isinstance(a, Signal):
            if not a.is_line or not a.slope or (a.slope > 0) != less:
                raise Unrepresentable("runs while a function of time holds that has no one end")
            end_s = (limit - a.offset) / a.slope
            if end_s > (now_s := number(self.world.now)):
                self.world.advance("run", end_s - now_s, self._line)
            return
        if not isinstance(a, Later) or not a.column:
            what = a.what if isinstance(a, Later) else "a number"
            raise Unrepresentable(f"runs while {what} has a value: table.csv has no such column")
        self.world.advance("run", 0.0, self._line, (a.column, "above" if less else "below", limit))

    # -- expressions -----------------------------------------------------------------------------------------------
    def value(self, node: Node, timed: bool = False, raw: bool = False) -> Any:
        """Return the value of an expression.

        Parameters
        ----------
        node : Node
        timed : bool
            Whether ``t`` stands for all times, as in what is assigned to a quantity, and not for now.
        raw : bool
            Whether a quantity stays one.
        """
        found = self._value(node, timed)
        return found if raw or not isinstance(found, Quantity) else read(self.world, found)

    def _value(self, node: Node, timed: bool) -> Any:
        if node.kind == "value":
            return node.parts[0]
        if node.kind == "name":
            return self._named(node.parts[0], node.parts[1], timed)
        if node.kind == "unary":
            sign, operand = str(node.parts[0]), self.value(node.parts[1], timed)
            if sign == "!":
                return operand if isinstance(operand, Later) else not truth(operand)
            return values.negative(operand) if sign == "-" else operand
        if node.kind == "binary":
            left, sign, right = node.parts
            return values.binary(str(sign), self.value(left, timed), self.value(right, timed))
        if node.kind in ("and", "or"):
            left = self.value(node.parts[0], timed)
            if not isinstance(left, Later) and truth(left) == (node.kind == "or"):
                return truth(left)
            right = self.value(node.parts[1], timed)
            return left if isinstance(left, Later) else right
        if node.kind == "index":
            return self._indexed(self.value(node.parts[0], timed), self.value(node.parts[1]))
        if node.kind == "call":
            return self._call(node, timed)
        if node.kind == "attribute":
            raise Unrepresentable(f"takes '.{node.parts[1]}' of something without calling it")
        raise Unrepresentable("is no expression")

    def _named(self, name: str, spelt: str, timed: bool) -> Any:
        scope = self._scope(name)
        if scope is not None:
            return scope[name]
        if name == "t":
            return TIME if timed else self.world.now
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in self.world.settings:
            return self.world.settings[name]
        if name in self.world.values or name in ("m", "geom", "regions") or OUTPUTS.fullmatch(name):
            return Quantity(name)
        raise Unrepresentable(f"'{spelt}' is neither defined nor one of mumax3's names that are known here")

    def _indexed(self, value: Any, index: Any) -> Any:
        at = whole(index)
        if isinstance(value, Later):
            column = f"m{'xyz'[at]}" if value.column == "m" and at < 3 else None
            return Later(f"{value.what}[{at}]", column)
        if not isinstance(value, tuple) or not 0 <= at < len(value):
            raise Unrepresentable(f"found index {at} of {values.shown(value)}")
        return value[at]

    def _call(self, node: Node, timed: bool) -> Any:
        target, *arguments = node.parts
        if target.kind == "attribute":
            owner, name = self._value(target.parts[0], timed), target.parts[1]
            functions_of_time = isinstance(owner, Quantity) and owner.name in self.world.values
            return call_method(
                self.functions, owner, name, [self.value(a, timed or functions_of_time, raw=False) for a in arguments]
            )
        if target.kind != "name":
            raise Unrepresentable("calls something that has no name")
        name, spelt = target.parts
        if name in CROPS:
            quantity = self.value(arguments[0], raw=True)
            return cropped(self.world.ready(), name, quantity, [whole(self.value(a)) for a in arguments[1:]])
        scope = self._scope(name)
        function = scope[name] if scope is not None else self.functions.table.get(name)
        if not callable(function):
            raise Unrepresentable(f"'{spelt}' is none of mumax3's functions that are known here")
        given: list[Any] = [self.value(a, timed, raw=name in (*terms.FUNCTIONS, *READERS)) for a in arguments]
        if name in terms.FUNCTIONS:
            given = [terms.M if value == Quantity("m") else value for value in given]
        return function(*given)


def _alike(before: Any, now: Any) -> bool:
    """Return whether a variable may change from one value to another: its type stays."""
    later = isinstance(before, Later) or isinstance(now, Later)
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (before, now))
    return later or numbers or type(before) is type(now)


SHIFTS = {
    "shiftmagl", "shiftmagr", "shiftmagu", "shiftmagd", "shiftm", "shiftgeom", "shiftregions", "edgecarryshift",
    "totalshift",
}  # fmt: skip
OWN = {"m", "t", *STATIC, *DYNAMIC, *DRIVES, *STRAINS, *SETTINGS, *UNFELT, *SHIFTS}  # what a script may assign to
