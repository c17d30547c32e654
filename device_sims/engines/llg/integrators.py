"""Time steps for dm/dt = f(m, c), c being the fraction of the step at which a stage lies.

Each is a function ``step(f, m, h) -> m``; noise that f holds fixed during the step makes it a Stratonovich scheme.
The result is not normalised.
"""

from collections.abc import Callable


def heun(f: Callable, m, h):
    """Second order, two evaluations."""
    k1 = f(m, 0.0)
    k2 = f(m + h * k1, 1.0)
    return m + (h / 2) * (k1 + k2)


def rk4(f: Callable, m, h):
    """Fourth order (without noise), four evaluations."""
    k1 = f(m, 0.0)
    k2 = f(m + (h / 2) * k1, 0.5)
    k3 = f(m + (h / 2) * k2, 0.5)
    k4 = f(m + h * k3, 1.0)
    return m + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4)


INTEGRATORS = {"heun": heun, "rk4": rk4}
