"""Time steps for dm/dt = f.

A fixed step is a function ``step(f, m, h) -> m`` with ``f(m, c, w)``: c is the fraction of the step at which the stage
lies, w the weight of the step's noise in it. Noise that is held for the step makes the schemes converge to the
Stratonovich solution. The result is not normalised. `dormand_prince` chooses its own steps and is for T = 0.

`stability.py` says what a step does to noise and which steps are too long.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from device_sims.engines.llg.stability import A3, A4, P2, P3


def heun(f: Callable, m, h):
    """Second order, two evaluations."""
    k1 = f(m, 0.0, 1.0)
    k2 = f(m + h * k1, 1.0, 1.0)
    return m + (h / 2) * (k1 + k2)


def rk4(f: Callable, m, h):
    """Fourth order (without noise), four evaluations."""
    k1 = f(m, 0.0, 1.0)
    k2 = f(m + (h / 2) * k1, 0.5, 1.0)
    k3 = f(m + (h / 2) * k2, 0.5, 1.0)
    k4 = f(m + h * k3, 1.0, 1.0)
    return m + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4)


def fdr4(f: Callable, m, h):
    """Second order, four evaluations, made for noise: the stages' weights keep the fluctuation-dissipation relation.

    Nested midpoint steps: the same storage as Heun's, a third of its error per step, and an equilibrium that is right
    for waves up to x = 1.8, where Heun's step has to stay below (alpha / 2)^(1/3).
    """
    k = f(m, 0.0, P3 / A4)
    k = f(m + (h * A4 / A3) * k, A4 / A3, P2 / A3)
    k = f(m + (h * 2 * A3) * k, 2 * A3, 1.0)
    return m + h * f(m + (h / 2) * k, 0.5, 1.0)


FIXED = {"heun": heun, "rk4": rk4, "fdr4": fdr4}
EVALUATIONS = {"heun": 2, "rk4": 4, "fdr4": 4}

# Dormand and Prince, J. Comp. Appl. Math. 6, 19 (1980): stages, and the difference to the embedded fourth order.
_C = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_A = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_E = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def dormand_prince(f: Callable, m, start, stop, step, tolerance, longest=None):
    """Advance ``m`` from ``start`` to ``stop`` with steps that keep the error per step below ``tolerance``.

    Parameters
    ----------
    f : callable
        ``f(m, t)``, dm/dt.
    m : float[3, nz, ny, nx]
        Unit vectors (or zero), as is the result.
    start, stop, step : float
        Times, and the first step to try.
    tolerance : float
        Of the largest change of a component by the embedded error.
    longest : float, optional
        Largest step; default: none but the error's.

    Returns
    -------
    m, step, evaluations, smallest
        The end state, the step to try next, the number of evaluations, and the smallest step tried.
    """

    def attempt(carry):
        m, k1, t, step, count, smallest = carry
        if longest is not None:
            step = jnp.minimum(step, longest)
        # a step that would leave a sliver takes it too
        h = jnp.where(t + 1.01 * step >= stop, stop - t, step)
        k, y = [k1], m
        for c, row in zip(_C, _A):
            y = m + h * sum(a * stage for a, stage in zip(row, k) if a)
            k.append(f(y, t + c * h))
        error = h * jnp.max(jnp.abs(sum(e * stage for e, stage in zip(_E, k) if e)))
        accepted = error <= tolerance
        factor = jnp.clip(0.9 * (tolerance / jnp.maximum(error, 1e-30)) ** 0.2, 0.2, 5.0)
        # the last step of a stretch may be short for no fault of its own
        following = jnp.where(accepted & (h < step), jnp.maximum(step, h * factor), h * factor)
        m = jnp.where(accepted, normalised(y), m)
        k1 = jnp.where(accepted, k[-1], k1)
        t = jnp.where(accepted, jnp.where(h == stop - t, stop, t + h), t)
        return m, k1, t, following, count + 6, jnp.minimum(smallest, jnp.where(accepted, smallest, h))

    def unfinished(carry):
        _, _, t, step, _, _ = carry
        return (t < stop) & (t + step > t) & jnp.isfinite(step)

    count = jnp.asarray(1)
    m, _, t, step, count, smallest = jax.lax.while_loop(
        unfinished, attempt, (m, f(m, start), start, step, count, jnp.asarray(jnp.inf, m.dtype))
    )
    # a step that shrank to nothing leaves the state unfinished: let the caller see it
    return jnp.where(t >= stop, m, jnp.nan), step, count, smallest


def normalised(m):
    """Return ``m`` (``[3, ...]``) with unit length, and zero where it is zero."""
    square = (m * m).sum(0)
    return m / jnp.sqrt(jnp.maximum(square, jnp.finfo(m.dtype).tiny))
