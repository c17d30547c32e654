"""What pulses of one sign have in common: their step is a smooth function of voltage, width and the like.

For the pulses d of a group with places x_d (voltage, current density, field, temperature, logarithm of the duration,
each scaled to 0..1), and knots k of the state at z_k,

    f_dk = F_k + g(x_d, z_k) + h_d(z_k)

F is free; g is a Gaussian process with the kernel t^2 M(x, x') M(z, z'), M being Matern's of order 3/2 with a length
for each axis; h is a process of the state alone, r^2 M(z, z'), drawn anew for each pulse, so that pulses that have
nothing in common are not made alike. f is the mean step, and again the logarithm of its spread, each with its own t, r
and lengths. These maximise the marginal likelihood (empirical Bayes; Rasmussen and Williams, Gaussian Processes for
Machine Learning, 2006, sections 2.7, 4.2 and 5.4) in Laplace's approximation: the likelihood of the readings is taken
for a Gaussian about the most probable parameters (MacKay, Neural Computation 4, 415 (1992)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

FEWEST = 4  # pulses of a group
ENOUGH = 100  # writes of a pulse that is no worse off alone
AXES = ("voltage_V", "current_density_A_per_m2", "field_T", "temperature_K", "duration_s")
SHARED, OWN, LENGTH = 1.0, 0.2, 0.7  # t and r of a first fit, over the typical size, and its lengths
STATE = 1.5  # its length along the state, over the range
# sd of the priors of ln t, ln r and of the logarithms of the lengths, about these values
BROAD, LENGTHS = 2.0, 1.0
ROOM = 2.0  # by how many of these they may be off
TURNS: Any = {"maxiter": 60, "ftol": 1e-7}  # of the minimiser
TINY = 1e-5  # of the kernel's diagonal, and of curvatures


class Group(NamedTuple):
    """Pulses that may have something in common.

    ``members`` int64[n] are rows of the model's parameters, ``apart`` float64[axes, n, n] the squared distances of the
    pulses along each axis, ``axes`` their names.
    """

    members: Int64[np.ndarray, " n"]
    apart: Float64[np.ndarray, "axes n n"]
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Tie:
    """The prior of one function of a group: quadratic in the function's values at pulses and knots.

    Attributes
    ----------
    group
    logs
        ln t, ln r, logarithm of the length along the state, and of those along the axes.
    unit
        Typical size of the function, that t and r are told in.
    doubt
        Covariance of ``logs``.
    """

    group: Group
    logs: Float64[np.ndarray, " hyperparameters"]
    unit: float
    doubt: Float64[np.ndarray, "hyperparameters hyperparameters"]

    def precision(self, knots: int) -> Float64[np.ndarray, "values values"]:
        """Return the matrix P of the prior, exp(-f P f / 2), f in order of pulses and knots."""
        return _Prior(self.logs, self.group, knots).matrix / self.unit**2

    def drawn(self, rng: np.random.Generator) -> Tie:
        """Return a prior that is as likely as the hyperparameters leave it."""
        return replace(self, logs=np.clip(rng.multivariate_normal(self.logs, self.doubt), *_room(self.group)))


def groups(pulses: pd.DataFrame, rows: tuple[int, ...], writes: Int64[np.ndarray, " pulses"]) -> tuple[Group, ...]:
    """Return the groups of `FEWEST` pulses or more of one sign that differ in something to be smooth in.

    Pulses that mostly have `ENOUGH` writes speak for themselves.

    Parameters
    ----------
    pulses : DataFrame
        `calibration.card.tables.PULSES`.
    rows : tuple of int
        Pulses that the model has parameters of, in their order.
    writes : int64[pulses]
        With each of these.
    """
    if len(rows) < FEWEST:
        return ()
    own = pulses.iloc[list(rows)].reset_index(drop=True)
    made = []
    for _, part in own.groupby(own["polarity"]):
        place = {name: part[name].to_numpy(float) for name in AXES if name in part}
        place = {name: np.log(value) if name == "duration_s" else value for name, value in place.items()}
        place = {name: value for name, value in place.items() if np.isfinite(value).all() and np.ptp(value) > 0}
        if len(part) < FEWEST or not place or np.median(writes[part.index]) >= ENOUGH:
            continue
        axes = np.stack([(value - value.min()) / np.ptp(value) for value in place.values()])
        # pulses that differ in nothing that is known differ in something else
        if len(np.unique(axes, axis=1).T) < FEWEST:
            continue
        apart = (axes[:, :, None] - axes[:, None, :]) ** 2
        made.append(Group(part.index.to_numpy(), apart, tuple(place)))
    return tuple(made)


def first(group: Group, unit: float) -> Tie:
    """Return the prior of a first fit: smooth, from which pulses part as far as the readings tell."""
    typical, width = _usual(group)
    return Tie(group, typical, unit, np.diag(width**2))


def _usual(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and sd of the prior of the hyperparameters."""
    typical = np.log([SHARED, OWN, STATE, *[LENGTH] * len(group.axes)])
    return typical, np.where(np.arange(len(typical)) < 2, BROAD, LENGTHS)


def _room(group: Group) -> np.ndarray:
    typical, width = _usual(group)
    return np.stack([typical - ROOM * width, typical + ROOM * width])


class _Prior:
    """The prior's matrix, a product of one over pulses and one over knots, with its determinant and derivatives."""

    def __init__(self, logs: np.ndarray, group: Group, knots: int):
        shared, own, state, *lengths = np.exp(logs)
        self.count, self.knots = len(group.members), knots
        z = np.linspace(0, 1, knots)
        along = group.apart / np.square(lengths)[:, None, None]
        kernel, self.by_length = _matern(along)
        states, self.by_state = _matern(((z[:, None] - z) / state)[None] ** 2)
        self.by_size = shared**2 * (kernel + TINY * np.eye(self.count)), own**2 * np.eye(self.count)
        self.by_length *= shared**2
        factors = cho_factor(self.by_size[0] + self.by_size[1]), cho_factor(states + TINY * np.eye(knots))
        self.pulses, self.states = cho_solve(factors[0], np.eye(self.count)), cho_solve(factors[1], np.eye(knots))
        # the mean over the pulses is free
        free = self.pulses.sum(axis=1)
        self.pulses -= np.outer(free, free) / free.sum()
        size = [2 * np.log(np.diag(factor[0])).sum() for factor in factors]
        self.log_determinant = -knots * (size[0] + np.log(free.sum() / self.count)) - (self.count - 1) * size[1]
        self.matrix = np.kron(self.pulses, self.states)

    def slope(self, second: np.ndarray) -> np.ndarray:
        """Return the derivatives of the expected log prior by the hyperparameters, ``second`` being E[f f']."""
        second = second.reshape(self.count, self.knots, self.count, self.knots)
        over = self.pulses @ np.einsum("ikjl,kl->ij", second, self.states) @ self.pulses - self.knots * self.pulses
        inner = self.states @ np.einsum("ikjl,ij->kl", second, self.pulses) @ self.states
        inner -= (self.count - 1) * self.states
        sizes = [(over * part).sum() for part in self.by_size]
        lengths = 0.5 * np.einsum("ij,aij->a", over, self.by_length)
        return np.array([*sizes, 0.5 * (inner * self.by_state[0]).sum(), *lengths])


def _matern(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel of squared scaled distances along axes, and its derivatives by the logarithms of lengths."""
    distance = np.sqrt(3 * squared.sum(axis=0))
    return (1 + distance) * np.exp(-distance), 3 * squared * np.exp(-distance)


def chosen(
    tie: Tie,
    value: Float64[np.ndarray, " values"],
    slope: Float64[np.ndarray, " values"],
    curved: Float64[np.ndarray, "values values"],
) -> Tie:
    """Return the prior that maximises the marginal likelihood.

    Parameters
    ----------
    tie : Tie
        Where to begin.
    value : float64[values]
        The function, in order of pulses and knots, about which the likelihood is known.
    slope, curved : float64[values], float64[values, values]
        First and second derivatives of minus its logarithm there, all other parameters integrated out.
    """
    knots = len(value) // len(tie.group.members)
    value, slope, curved = value / tie.unit, slope * tie.unit, curved * tie.unit**2
    levels, vectors = np.linalg.eigh((curved + curved.T) / 2)
    curved = (vectors * np.maximum(levels, 0)) @ vectors.T  # what does not curve tells nothing
    curved[np.diag_indices_from(curved)] += TINY * max(levels.max(), 1.0)
    typical, width = _usual(tie.group)

    def cost(logs: np.ndarray) -> tuple[float, np.ndarray]:
        prior = _Prior(logs, tie.group, knots)
        total = curved + prior.matrix
        # the free direction of the prior is lost in the rounding errors of its stiffest one
        total[np.diag_indices_from(total)] += 1e-12 * np.diag(prior.matrix).max()
        factor = cho_factor(total)
        pull = prior.matrix @ value
        moved = -cho_solve(factor, slope + pull)
        evidence = 0.5 * prior.log_determinant - np.log(np.diag(factor[0])).sum() - 0.5 * value @ pull
        evidence -= 0.5 * (slope + pull) @ moved
        second = cho_solve(factor, np.eye(len(value))) + np.outer(value + moved, value + moved)
        off = (logs - typical) / width
        return -evidence + 0.5 * off @ off, -prior.slope(second) + off / width

    room = list(zip(*_room(tie.group)))
    # from pulses that go together, and from such that do not
    starts = tie.logs, typical + np.where(np.arange(len(typical)) == 0, -width, width)
    tried = [minimize(cost, start, jac=True, method="L-BFGS-B", bounds=room, options=TURNS) for start in starts]
    best = min(tried, key=lambda one: one.fun).x
    second = np.array([(cost(best + step)[1] - cost(best - step)[1]) / 0.2 for step in 0.1 * np.eye(len(best))])
    values, vectors = np.linalg.eigh((second + second.T) / 2)
    # no less is known of the hyperparameters than their prior tells
    doubt = (vectors / np.maximum(values, 1 / BROAD**2)) @ vectors.T
    return Tie(tie.group, best, tie.unit, doubt)


def smoothed(
    group: Group, value: Float[np.ndarray, " pulses"], variance: Float[np.ndarray, " pulses"]
) -> tuple[Float64[np.ndarray, " pulses"], Float64[np.ndarray, "pulses pulses"]]:
    """Return a quantity of each pulse of a group, made smooth as far as its values tell, and its covariance.

    Parameters
    ----------
    group : Group
    value, variance : float[pulses]
        Estimates of the group's pulses, and their squared standard errors.
    """
    curved = np.diag(1 / variance)
    unit = float(max(value.std(), np.sqrt(variance.min())))
    tie = chosen(first(group, unit), value, np.zeros(len(value)), curved)
    covariance = np.linalg.inv(curved + tie.precision(1))
    return covariance @ (curved @ value), covariance


class Blocks(NamedTuple):
    """Where the functions of the groups stand among a model's parameters, and their priors.

    ``places`` are int64[pulses * knots] each, ``units`` float64[pulses * knots] is what a parameter of 1 stands for.
    """

    places: tuple[Int64[np.ndarray, " values"], ...]
    units: tuple[Float64[np.ndarray, " values"], ...]
    ties: tuple[Tie, ...]

    @classmethod
    def first(cls, groups: tuple[Group, ...], scale: np.ndarray, mean: np.ndarray, knots: int) -> Blocks:
        """Return the blocks of a model whose parameters begin with the mean steps, float64[pulses, knots], and ln s.

        Parameters
        ----------
        groups : tuple of Group
        scale, mean : float64[pulses]
            What a mean step of 1 stands for, and first guesses of it.
        knots : int
        """
        places, units, ties = [], [], []
        for group in groups:
            own = (group.members[:, None] * knots + np.arange(knots)).ravel()
            places += [own, len(scale) * knots + own]
            units += [np.repeat(scale[group.members], knots), np.ones(len(own))]
            ties += [first(group, float(np.sqrt(np.mean(mean[group.members] ** 2)))), first(group, 1.0)]
        return cls(tuple(places), tuple(units), tuple(ties))

    def shares(self, pulses: int) -> Float64[np.ndarray, "groups pulses"]:
        """Return what takes the mean over each group."""
        out = np.zeros((len(self.ties) // 2, pulses))
        for row, tie in zip(out, self.ties[::2]):
            row[tie.group.members] = 1 / len(tie.group.members)
        return out

    def precision(self, size: int) -> Float64[np.ndarray, "size size"]:
        """Return the priors' matrix over all of a model's parameters."""
        out = np.zeros((size, size))
        for place, unit, tie in zip(self.places, self.units, self.ties):
            knots = len(place) // len(tie.group.members)
            out[np.ix_(place, place)] = tie.precision(knots) * np.outer(unit, unit)
        return out

    def drawn(self, rng: np.random.Generator) -> Blocks:
        """Return the blocks with priors that are as likely as their hyperparameters leave them."""
        return self._replace(ties=tuple(tie.drawn(rng) for tie in self.ties))

    def chosen(self, theta: np.ndarray, slope: np.ndarray, curved: np.ndarray) -> Blocks:
        """Return the blocks with the priors that the likelihood chooses.

        Parameters
        ----------
        theta : float64[parameters]
            Most probable parameters.
        slope, curved : float64[parameters], float64[parameters, parameters]
            Derivatives of minus the logarithm of the likelihood there.
        """
        total = curved + self.precision(len(theta))
        ties = []
        for place, unit, tie in zip(self.places, self.units, self.ties):
            others = np.setdiff1d(np.arange(len(theta)), place)
            cross = curved[np.ix_(place, others)]
            own = curved[np.ix_(place, place)] - cross @ np.linalg.solve(
                _definite(total[np.ix_(others, others)]), cross.T
            )
            ties.append(chosen(tie, theta[place] * unit, slope[place] / unit, own / np.outer(unit, unit)))
        return self._replace(ties=tuple(ties))


def _definite(matrix: np.ndarray) -> np.ndarray:
    """Return a symmetric matrix with no eigenvalue below 1, as the covariance of the parameters takes them."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 1.0)) @ vectors.T
