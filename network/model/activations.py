r"""What a hidden column's value becomes before it drives the next crossbar.

``ternary`` is the activation of GXNOR-Net (Deng et al., arXiv 1705.09283): +1 from x = 1 on, -1 up to x = -1, else 0,
with the window surrogate 1 on 0.5 < \|x\| < 1.5 for its gradient. ``binary`` is the sign, with the gradient of the
clip to -1 to 1 (Hubara et al., arXiv 1609.07061).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

THRESHOLD = 1.0  # of the ternary activation
WINDOW = 0.5  # half width of its surrogate


@jax.custom_jvp
def ternary(x: jax.Array) -> jax.Array:
    """Return -1, 0 or 1 for each value of ``x``, both float32[...]."""
    return (x >= THRESHOLD).astype(x.dtype) - (x <= -THRESHOLD).astype(x.dtype)


@ternary.defjvp
def _ternary(primals, tangents):
    (x,), (dx,) = primals, tangents
    inside = jnp.abs(jnp.abs(x) - THRESHOLD) < WINDOW
    return ternary(x), inside.astype(x.dtype) * dx


@jax.custom_jvp
def binary(x: jax.Array) -> jax.Array:
    """Return -1 or 1 for each value of ``x``, both float32[...]; 0 gives 1."""
    return jnp.where(x >= 0, jnp.ones_like(x), -jnp.ones_like(x))


@binary.defjvp
def _binary(primals, tangents):
    (x,), (dx,) = primals, tangents
    return binary(x), (jnp.abs(x) <= 1).astype(x.dtype) * dx


REGISTRY: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "ternary": ternary,
    "binary": binary,
}
