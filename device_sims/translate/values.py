"""What an expression of a script can be before anything is simulated, beside numbers, texts and vectors."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import special


class Unrepresentable(Exception):
    """Says why a statement has no counterpart in a problem file."""


@dataclass(frozen=True)
class Later:
    """A value that only a simulation could tell: what it is of, and the column of table.csv that has it, if any."""

    what: str
    column: str | None = None
    why: str = "which only the simulation knows"


@dataclass(frozen=True)
class Signal:
    """A function of the script's time t, s.

    Attributes
    ----------
    of : callable
        float64[n] of times to float64[n] of values.
    offset, slope : float
        Of ``offset + slope t + sum amplitude sin(omega t + phase)``, which the function is if ``closed``.
    sines : tuple of (amplitude, omega in rad/s, phase)
    closed : bool
    """

    of: Callable[[Any], Any] = field(compare=False)
    offset: float = 0.0
    slope: float = 0.0
    sines: tuple[tuple[float, float, float], ...] = ()
    closed: bool = True

    def scaled(self, factor: float) -> Signal:
        """Return the function times a number."""
        sines = tuple((a * factor, w, p) for a, w, p in self.sines)
        return Signal(lambda t: factor * self.of(t), factor * self.offset, factor * self.slope, sines, self.closed)

    def plus(self, other: Signal) -> Signal:
        """Return the sum of two functions."""
        return Signal(
            lambda t: self.of(t) + other.of(t),
            self.offset + other.offset,
            self.slope + other.slope,
            self.sines + other.sines,
            self.closed and other.closed,
        )

    @property
    def is_line(self) -> bool:
        """Whether it is ``offset + slope t``."""
        return self.closed and not self.sines


TIME = Signal(lambda t: np.asarray(t, float), slope=1.0)


def constant(value: float) -> Signal:
    """Return the function that is a number at all times."""
    return Signal(lambda t: np.full(np.shape(t), float(value)), offset=float(value))


def as_signal(value: Any) -> Signal:
    """Return a number or a function as a function."""
    return value if isinstance(value, Signal) else constant(number(value))


def unknown(value: Later) -> Unrepresentable:
    """Return the error of what depends on a value that is not known."""
    return Unrepresentable(f"depends on {value.what}, {value.why}")


def number(value: Any) -> float:
    """Return a value as a number.

    Raises
    ------
    Unrepresentable
        If it is none.
    """
    if isinstance(value, Later):
        raise unknown(value)
    if isinstance(value, Signal):
        raise Unrepresentable("a function of time is allowed only as the value of a quantity")
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
        raise Unrepresentable(f"found {shown(value)}, where a number is needed")
    return float(value)


def whole(value: Any) -> int:
    """Return a value as a whole number; `Unrepresentable` if it is none."""
    found = number(value)
    if not found.is_integer():
        raise Unrepresentable(f"found {found:g}, where a whole number is needed")
    return int(found)


def truth(value: Any) -> bool:
    """Return a value as true or false; `Unrepresentable` if it is neither."""
    if isinstance(value, Later):
        raise unknown(value)
    if not isinstance(value, bool):
        raise Unrepresentable(f"found {shown(value)}, where a condition is needed")
    return value


def vector(value: Any) -> tuple[Any, Any, Any]:
    """Return a value as three numbers or functions of time; `Unrepresentable` if it is no vector."""
    if isinstance(value, Later):
        raise unknown(value)
    if not isinstance(value, tuple) or len(value) != 3:
        raise Unrepresentable(f"found {shown(value)}, where a vector is needed")
    return value


def shown(value: Any) -> str:
    """Return a value in words."""
    if isinstance(value, (bool, int, float, str, tuple)):
        return repr(value)
    return f"a {type(value).__name__.lower()}"


# -- arithmetic ----------------------------------------------------------------------------------------------------
COMPARISONS = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def binary(sign: str, a: Any, b: Any) -> Any:
    """Return ``a sign b``; all arithmetic of the language is that of floating point numbers.

    Raises
    ------
    Unrepresentable
        If the operands are of kinds that the language does not combine.
    """
    if isinstance(a, Later) or isinstance(b, Later):
        return a if isinstance(a, Later) else b
    if sign in COMPARISONS:
        return COMPARISONS[sign](number(a), number(b))
    if not isinstance(a, Signal) and not isinstance(b, Signal):
        return _numbers(sign, number(a), number(b))
    if sign in "+-":
        return as_signal(a).plus(as_signal(b).scaled(1 if sign == "+" else -1))
    if sign == "*":
        if isinstance(a, Signal) and isinstance(b, Signal):
            first, second = a, b
            return Signal(lambda t: first.of(t) * second.of(t), closed=False)
        return a.scaled(number(b)) if isinstance(a, Signal) else b.scaled(number(a))
    if sign == "/" and not isinstance(b, Signal):
        return a.scaled(1 / number(b))
    first, second = as_signal(a), as_signal(b)
    return Signal(lambda t: _quotient(first.of(t), second.of(t)), closed=False)


def _quotient(a, b):
    with np.errstate(all="ignore"):  # what is no number is refused where it is needed
        return a / b


def _numbers(sign: str, a: float, b: float) -> float:
    if sign == "+":
        return a + b
    if sign == "-":
        return a - b
    if sign == "*":
        return a * b
    if b == 0:
        raise Unrepresentable(f"divides {a:g} by 0")
    return a / b if sign == "/" else math.fmod(a, b)


def negative(value: Any) -> Any:
    """Return minus a number or function."""
    if isinstance(value, Later):
        return value
    return value.scaled(-1.0) if isinstance(value, Signal) else -value if isinstance(value, int) else -number(value)


def _sine(signal: Signal, quarter: float) -> Signal:
    function = Signal(lambda t: np.sin(signal.of(t) + quarter), closed=False)
    if not signal.is_line:
        return function
    return replace(function, sines=((1.0, signal.slope, signal.offset + quarter),), closed=True)


def _sinc(x):
    return np.sinc(np.asarray(x) / np.pi)


PLAIN = (
    "abs", "sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "expm1", "exp2", "log", "log10", "log1p", "log2", "sqrt",
    "cbrt", "floor", "ceil", "trunc",
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in PLAIN},
    **{name: getattr(np, f"arc{name[1:]}") for name in "asin acos atan asinh acosh atanh atan2".split()},
    **{name: getattr(special, name) for name in "erf erfc gamma j0 j1 y0 y1 jn yn".split()},
    "pow": np.power, "pow10": lambda x: 10.0**x, "hypot": np.hypot, "max": np.maximum, "min": np.minimum,
    "mod": np.fmod, "remainder": lambda x, y: x - y * np.rint(x / y), "sinc": _sinc, "sign": np.sign,
    "heaviside": lambda x: np.heaviside(x, 0.5), "ldexp": lambda x, n: x * 2.0**n,
    "norm": lambda x: np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi),
    "isnan": np.isnan, "isinf": lambda x, sign=0: np.isinf(x) & (np.sign(x) * sign >= 0),
}  # fmt: skip


def apply(name: str, arguments: list[Any]) -> Any:
    """Return a function of `FUNCTIONS` of numbers, or of functions of time.

    Raises
    ------
    Unrepresentable
        If an argument is no number.
    """
    for value in arguments:
        if isinstance(value, Later):
            return value
    function = FUNCTIONS[name]
    if not any(isinstance(value, Signal) for value in arguments):
        with np.errstate(all="ignore"):
            found = function(*(number(value) for value in arguments))
        return bool(found) if name in ("isnan", "isinf") else float(found)
    signals = [as_signal(value) for value in arguments]
    if name in ("sin", "cos"):
        return _sine(signals[0], 0.0 if name == "sin" else math.pi / 2)
    return Signal(lambda t: function(*(signal.of(t) for signal in signals)), closed=False)
