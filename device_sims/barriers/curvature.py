"""The Hessian of the energy in the tangent space of the spheres, at one state.

A tangent vector is given by two coordinates for each magnetic cell, along two directions at right angles to m, times
sqrt(Ms/Ms0), so that its square is the length in the metric of `landscape`. The Riemannian Hessian is
``v.H v = v.(d2E) v - sum (m.dE) v^2``; eigenvalues are in units of mu0 Ms0^2 V.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from device_sims.barriers.landscape import Landscape

DENSE = 200  # rows up to which eigenvalues come from the matrix itself
ROWS_AT_ONCE = 32


class Curvatures:
    """Makes Hessians of one landscape; compiled once for all states."""

    def __init__(self, landscape: Landscape):
        self.landscape = landscape
        self.cells = np.flatnonzero(landscape.mask)
        self.root = np.sqrt(np.asarray(landscape.weight).ravel()[self.cells])
        self._apply = jax.jit(self._product)
        self._many = jax.jit(jax.vmap(self._product, in_axes=(None, None, 0)))
        self._force = jax.jit(landscape.force)

    def _product(self, m, basis, x):
        """Return H x, float64[2 n]; ``basis`` is float64[2, 3, n]."""
        n = len(self.cells)
        flat = (basis * (x.reshape(2, 1, n) / self.root)).sum(0)
        v = jnp.zeros_like(m).reshape(3, -1).at[:, self.cells].set(flat).reshape(m.shape)
        field, change = jax.jvp(self.landscape.field, (m,), (v,))
        bent = (m * field).sum(0) * v - change
        return ((basis * bent.reshape(3, -1)[:, self.cells]).sum(1) * self.root).reshape(2 * n)

    def at(self, m: np.ndarray) -> Curvature:
        """Return the Hessian at a state, float64[3, nz, ny, nx]."""
        return Curvature(self, m)


class Curvature:
    """The Hessian and gradient at one state.

    Parameters
    ----------
    family : Curvatures
    m : ndarray, float64[3, nz, ny, nx]
    """

    def __init__(self, family: Curvatures, m: np.ndarray):
        self.family, self.m = family, m
        self.basis = _basis(m.reshape(3, -1)[:, family.cells])
        self.size = 2 * len(family.cells)
        with jax.enable_x64(True):
            force = np.asarray(family._force(jnp.asarray(m)))
        self.force = force
        self.gradient = -self.coordinates(force)

    def coordinates(self, v: np.ndarray) -> np.ndarray:
        """Return the coordinates of a tangent field, float64[2 n]."""
        flat = v.reshape(3, -1)[:, self.family.cells]
        return ((self.basis * flat).sum(1) * self.family.root).ravel()

    def vector(self, x: np.ndarray) -> np.ndarray:
        """Return the tangent field of coordinates, rad, float64[3, nz, ny, nx]."""
        v = np.zeros_like(self.m).reshape(3, -1)
        v[:, self.family.cells] = (self.basis * (x.reshape(2, 1, -1) / self.family.root)).sum(0)
        return v.reshape(self.m.shape)

    def product(self, x: np.ndarray) -> np.ndarray:
        """Return the Hessian times coordinates, float64[2 n]."""
        with jax.enable_x64(True):
            return np.asarray(self.family._apply(self.m, self.basis, np.asarray(x, np.float64).ravel()))

    def operator(self) -> LinearOperator:
        """Return it as scipy's solvers take it."""
        return LinearOperator((self.size, self.size), matvec=self.product, dtype=np.float64)

    def matrix(self) -> np.ndarray:
        """Return it as a matrix, float64[2 n, 2 n]."""
        rows = np.empty((self.size, self.size))
        with jax.enable_x64(True):
            for first in range(0, self.size, ROWS_AT_ONCE):
                count = min(ROWS_AT_ONCE, self.size - first)
                unit = np.zeros((ROWS_AT_ONCE, self.size))
                unit[np.arange(count), first + np.arange(count)] = 1.0
                rows[first : first + count] = np.asarray(self.family._many(self.m, self.basis, unit))[:count]
        return (rows + rows.T) / 2

    def lowest(self, count: int, start: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest eigenvalues, float64[k], and their vectors, float64[2 n, k].

        There are ``count`` of them, or fewer if the matrix is small or Lanczos' method ends before they have converged.
        """
        if self.size <= DENSE:
            values, vectors = np.linalg.eigh(self.matrix())
            return values[:count], vectors[:, :count]
        if start is None:
            start = np.sin(1.0 + np.arange(self.size))
        ask = partial(eigsh, self.operator(), which="SA", v0=start)
        try:
            values, vectors = ask(k=count, ncv=min(self.size - 1, 10 * count + 40), maxiter=200, tol=1e-6)
        except ArpackNoConvergence as partly:
            values, vectors = partly.eigenvalues, partly.eigenvectors
        order = np.argsort(values)
        return values[order], vectors[:, order]


def _basis(m: np.ndarray) -> np.ndarray:
    """Return two directions at right angles to ``m``, float64[3, n], and to each other, float64[2, 3, n].

    With m they make a right-handed set: the second is m x the first.
    """
    helper = np.zeros_like(m)
    helper[np.abs(m).argmin(0), np.arange(m.shape[1])] = 1.0
    first = helper - (helper * m).sum(0) * m
    first /= np.sqrt((first**2).sum(0))
    return np.stack([first, np.cross(m, first, axis=0)])
