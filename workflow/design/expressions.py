"""Small expressions of a config: numbers, comparisons and a few functions of named values. Nothing else is run.

K_eff_J_per_m3 > 0 and device_sims.domain_wall.track.cell_m <= exchange_length_m / 2
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from device_sims.problem import MU0
from spinloom.errors import UserError
from spinloom.explain import short


def _product(a: float, b: float) -> float:
    """Return a product of numbers; a text times a number could fill the memory."""
    if isinstance(a, str) or isinstance(b, str):
        raise TypeError("a text has no product")
    return a * b


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "log10": math.log10, "abs": abs, "min": min, "max": max,
    "round": round,
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "mu0": MU0}
ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: _product, ast.Div: operator.truediv,
    ast.Pow: lambda base, exponent: float(base) ** exponent,  # of whole numbers it could have no end
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
ALLOWED = "numbers, names, texts in quotes, + - * / **, comparisons, and, or, not, " + ", ".join(FUNCTIONS)


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes
    ----------
    text : str
    where : str
        Key that it stands under, for errors.
    names : frozenset of str
        Names that it needs; parts of a key are parted by dots, entries of lists are numbers (``pulses.voltages_V.0``).
    texts : frozenset of (str, str)
        Names that it compares with a text, and the text.
    """

    text: str
    where: str
    tree: ast.expr
    names: frozenset[str]
    texts: frozenset[tuple[str, str]] = frozenset()

    def value(self, lookup: Callable[[str], Any]) -> Any:
        """Return its value with the names that ``lookup`` finds.

        Raises
        ------
        UserError
            If it has none, as the root of a negative number; as of ``lookup``.
        """
        try:
            return _value(self.tree, lookup)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise UserError(f"{self.where}: found {short(self.text)}, which has no value ({error})") from None

    def holds(self, lookup: Callable[[str], Any]) -> bool:
        """Return whether it is true; an expression without a value is not. Errors as of ``lookup``."""
        try:
            return bool(_value(self.tree, lookup))
        except (ArithmeticError, TypeError, ValueError):
            return False


def parse(text: str, where: str, condition: bool = False) -> Expression:
    """Return an expression, checked.

    Parameters
    ----------
    text : str
        In Python's spelling; entries of a list as ``voltages_V[0]``.
    where : str
        Key that it stands under, for errors.
    condition : bool
        It must be true or false: a number would count as true unless it is 0.

    Raises
    ------
    UserError
        If it is none, or asks for more than `ALLOWED`.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        names: set[str] = set()
        _check(tree, names)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(f"{where}: found {short(text)}, allowed: {ALLOWED}") from None
    if condition and not _decides(tree):
        raise UserError(f"{where}: found {short(text)}, allowed: comparisons, joined by and, or, not")
    return Expression(text, where, tree, frozenset(names), frozenset(_texts(tree)))


def _decides(node: ast.expr) -> bool:
    """Return whether an expression is true or false, whatever its names are."""
    if isinstance(node, ast.BoolOp):
        return all(map(_decides, node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _decides(node.operand)
    return isinstance(node, ast.Compare)


def _texts(tree: ast.expr) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for name, text in (*zip(sides, sides[1:]), *zip(sides[1:], sides)):
                if isinstance(name, ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield name.id, text.value


def _check(node: ast.expr, names: set[str]) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str, bool)):
        return
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        if (name := _name(node)) not in CONSTANTS:
            names.add(name)
        return
    below: list[ast.expr]
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        below = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in ARITHMETIC:
        below = [node.operand]
    elif isinstance(node, ast.BoolOp):
        below = node.values
    elif isinstance(node, ast.Compare) and all(type(one) in COMPARISONS for one in node.ops):
        below = [node.left, *node.comparators]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        if node.keywords:
            raise ValueError("keywords")
        below = node.args
    else:
        raise ValueError(type(node).__name__)
    for one in below:
        _check(one, names)


def _name(node: ast.expr) -> str:
    """Return a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is int:
        return f"{_name(node.value)}.{node.slice.value}"
    raise ValueError(type(node).__name__)


def _value(node: ast.expr, lookup: Callable[[str], Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        name = _name(node)
        return CONSTANTS[name] if name in CONSTANTS else lookup(name)
    if isinstance(node, ast.BinOp):
        return ARITHMETIC[type(node.op)](_value(node.left, lookup), _value(node.right, lookup))
    if isinstance(node, ast.UnaryOp):
        return ARITHMETIC[type(node.op)](_value(node.operand, lookup))
    if isinstance(node, ast.BoolOp):
        decide = all if isinstance(node.op, ast.And) else any
        return decide(_value(one, lookup) for one in node.values)
    if isinstance(node, ast.Compare):
        values = [_value(one, lookup) for one in (node.left, *node.comparators)]
        return all(COMPARISONS[type(op)](a, b) for op, a, b in zip(node.ops, values, values[1:]))
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id](*(_value(one, lookup) for one in node.args))
