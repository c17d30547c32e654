"""Digital-to-analogue and analogue-to-digital converters: uniform quantisers with saturation.

Levels. Unsigned: ``2^bits`` levels from 0 to full scale F, step ``F / (2^bits - 1)``. Signed: mid-tread, ``2^bits - 1``
levels from -F to F with 0 among them, step ``F / (2^(bits - 1) - 1)``; the code that two's complement has left is not
used. One signed bit has no middle: its levels are -F and F, and 0 becomes F. Within the range the error is at most half
a step. A converter with ``bits=None`` is ideal: it neither rounds nor saturates.

Gradient. Straight-through: 1 for inputs within the range, ends included, 0 outside; the full scale is a constant.

A full-scale sine through a signed converter has a signal-to-noise ratio of ``6.02 bits + 1.76 dB``
(W. R. Bennett, Bell Syst. Tech. J. 27, 446 (1948)) plus ``20 log10(1 - 2^(1 - bits))`` for the code left out, plus
a correction of order ``2^(-bits / 2) dB`` for the time the sine spends at its extremes, which are levels.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from spinloom.errors import UserError

MAX_BITS = 16  # float32 has 24: rounding stays below 1 % of a step


def check_bits(bits: int | None, key: str = "converters: bits") -> None:
    """Raise a `UserError`, beginning with ``key``, unless ``bits`` is None or a whole number of 1 to 16."""
    if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= MAX_BITS):
        raise UserError(f"{key}: found {bits!r}, allowed: null (ideal) or a whole number of 1 to {MAX_BITS}")


def levels(bits: int, signed: bool) -> int:
    """Return the number of distinct levels."""
    check_bits(bits)
    return 2**bits - (signed and bits > 1)


def quantise(x: jax.Array, bits: int | None, full_scale: float | jax.Array, signed: bool) -> jax.Array:
    """Return the nearest level of a converter, with a straight-through gradient (see the module text).

    Parameters
    ----------
    x : jax.Array, float32[...]
        In the unit of ``full_scale``.
    bits : int or None
        1 to 16; None: ideal.
    full_scale : float or jax.Array
        Above 0; one number, or an array that broadcasts with ``x`` (a scale per column: float32[1, columns]).
    signed : bool
        Range -full_scale to full_scale, else 0 to full_scale.

    Returns
    -------
    jax.Array, float32[...]
        Of the shape of ``x``. A NaN stays one.

    Raises
    ------
    UserError
        If bits is out of range, or a full scale given as a number is not positive and finite.
    """
    if isinstance(full_scale, int | float) and not 0 < full_scale < float("inf"):
        raise UserError(f"converters: full_scale: found {full_scale}, allowed: finite, more than 0")
    x = jnp.asarray(x, jnp.float32)
    check_bits(bits)
    if bits is None:
        return x
    return _straight_through(bits, bool(signed))(x, jnp.asarray(full_scale, jnp.float32))


def beyond(x: jax.Array, bits: int, full_scale: float | jax.Array, signed: bool) -> jax.Array:
    """Return the share of ``x`` that a converter ends at a full scale which it passes, float32[].

    Parameters as of `quantise`. A signed converter of one bit has no levels but its ends: nothing passes them.
    """
    if signed and bits == 1:
        return jnp.float32(0)
    low = -full_scale if signed else 0.0
    return jnp.mean((x > full_scale) | (x < low), dtype=jnp.float32)


def _straight_through(bits: int, signed: bool) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the rounding, with a gradient as if there were none."""

    @jax.custom_jvp
    def quantise(x: jax.Array, full_scale: jax.Array) -> jax.Array:
        scaled = jnp.clip(x / full_scale, -1.0 if signed else 0.0, 1.0)
        if signed and bits == 1:
            return jnp.where(jnp.isnan(scaled), scaled, jnp.where(scaled >= 0, full_scale, -full_scale))
        steps = (levels(bits, signed) - 1) / (2 if signed else 1)  # from 0 to full scale
        # exactly 1 at the top, and equal codes stay equal since it divides first: a second pass changes nothing
        return jnp.round(scaled * steps) / steps * full_scale

    @quantise.defjvp
    def _gradient(primals, tangents):
        x, full_scale = primals
        inside = (x >= (-full_scale if signed else 0.0)) & (x <= full_scale)
        return quantise(x, full_scale), jnp.where(inside, tangents[0], 0.0)

    return quantise
