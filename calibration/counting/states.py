"""Values of a coordinate -> discrete states: where the edges lie and which state a value belongs to."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy
from jaxtyping import Float, Int64, Integer
from scipy import special

from calibration.sections import States
from spinloom.errors import UserError

MOST = 1024  # as many as the network stage takes
MOST_FITTED = 2000  # values that a mixture is fitted to; of more, so many quantiles
MOST_COMPONENTS = 16  # of a mixture whose number is not given
FEW_STATES = 16  # of a lattice whose number is not given


def check(options: States, pulses: int, where: str = "calibration", wells: int = 0) -> None:
    """Check that the keys of ``states`` go together.

    Parameters
    ----------
    options : States
    pulses : int
        Number of pulses.
    where : str
        Begins the error.
    wells : int
        Number of the device's wells.

    Raises
    ------
    UserError
        If the entries contradict each other.
    """
    method, count = options.method, options.count
    _complete(options, f"{where}.")
    if options.edges is not None and method != "edges":
        raise UserError(f"{where}.states.edges: found edges, allowed: null (states.method {method})")
    if method == "nearest_mean" and count not in (None, pulses):
        raise UserError(f"{where}.states.count: found {count}, allowed: {pulses}, the number of pulses (nearest_mean)")
    if method == "wells" and count not in (None, wells):
        raise UserError(f"{where}.states.count: found {count}, allowed: {wells}, the number of notches (wells)")


def _complete(options: States, begin: str) -> None:
    """Check that the method has what it cannot do without."""
    if options.method == "edges" and options.edges is None:
        raise UserError(f"{begin}states.edges: found null, allowed: a list of edges (states.method edges)")
    if options.method == "lattice" and options.count is None:
        raise UserError(f"{begin}states.count: found null, allowed: 2..{MOST} (states.method lattice)")


def state_edges(
    values: Float[np.ndarray, " writes"],
    pulse: Integer[np.ndarray, " writes"],
    options: States,
    bounds: tuple[float, float],
    unit: str,
    where: str,
) -> Float[np.ndarray, " edges"]:
    """Return the edges of the states.

    The method decides:

    - ``nearest_mean``: edges midway between neighbouring pulses' means, so that a value belongs to the pulse whose
      mean is nearest.
    - ``equal_width``: the range of all values in equal parts.
    - ``equal_population``: quantiles of all values, so that each state holds the same number of writes.
    - ``mixture``: a mixture of normal distributions is fitted to all values (expectation maximisation, McLachlan and
      Peel, Finite Mixture Models); edges where neighbouring components are equally probable.
    - ``edges``: those given, the inner ones or all.
    - ``lattice``: the bounds in equal parts, for devices whose states are quasi-continuous.

    With ``count`` None the number of states is the largest whose neighbours can be told apart, which means that a
    write is taken for one of the next state with a probability of at most ``misread``, writes being normal:

    - ``nearest_mean``: the longest chain of pulses with m_j - m_i >= z (s_i + s_j) for means m and spreads s of their
      writes, z = 2.326 for 1 %; between the two lies a threshold that each crosses with at most that probability.
    - ``mixture``: the number of components by the Bayesian information criterion, then the least separated
      neighbours merged until the same holds for the components.
    - ``equal_width``, ``equal_population``: every state has a pulse whose writes leave it, over either of its edges,
      with a probability of at most ``misread``.

    Parameters
    ----------
    values : float[writes]
        What the writes led to, in the coordinate.
    pulse : int[writes]
        What was done.
    options : States
        With a method that needs no states by nature.
    bounds : tuple of float
        Outermost edges: the lowest and highest value that a device can have.
    unit : str
        Unit of the coordinate, for errors; ``"1"`` for none.
    where : str
        File that errors name.

    Returns
    -------
    float[states + 1]
        Strictly increasing from ``bounds[0]`` to ``bounds[1]``. The same values in any order give the same edges.

    Raises
    ------
    UserError
        If the values cannot carry that many states, or the given edges are not edges.
    """
    method, count = options.method, options.count
    _complete(options, f"{where}: ")
    if method == "edges":
        return given_edges(options, bounds, unit, where)
    order = np.lexsort([pulse, values])
    values, pulse = values[order], pulse[order]
    z = -special.ndtri(options.misread)
    if method == "lattice" and count is not None:
        return np.linspace(*bounds, count + 1)
    if method == "mixture":
        inner = _mixture_edges(values, count, z, unit, where)
    elif method == "nearest_mean":
        inner = _midways(values, pulse, count, z, unit, where)
    else:
        inner = _parts(values, method, count or _most(values, pulse, method, z, unit, where))[1:-1]
    edges = np.concatenate([[bounds[0]], inner, [bounds[1]]])
    apart(edges, edges, "edges", method, unit, where)
    return edges


def resolved(options: States, values: Float[np.ndarray, " writes"], reset: bool) -> States:
    """Return the method that ``auto`` is for writes that are counted: levels if the writes show some, else a lattice.

    After a reset each pulse writes a level (``nearest_mean``). Otherwise there are levels where the values leave gaps
    that are wide for so many of them: of n values that are spread evenly, the widest gap is about ln(n)/n of the range.

    Parameters
    ----------
    options : States
    values : float[writes]
        What the writes led to, in the coordinate.
    reset : bool
        Each write begins with a reset.
    """
    if options.method != "auto":
        return options
    if reset:
        return options.model_copy(update={"method": "nearest_mean"})
    ordered = np.sort(values)
    number, span = len(ordered), np.ptp(ordered)
    gaps = np.flatnonzero(np.diff(ordered) > max(0.03, 4 * np.log(number) / number) * span)
    if len(gaps) and options.count in (None, len(gaps) + 1):
        edges = tuple(float(ordered[gap] + ordered[gap + 1]) / 2 for gap in gaps)
        return options.model_copy(update={"method": "edges", "edges": edges, "count": None})
    return options.model_copy(update={"method": "lattice", "count": options.count or FEW_STATES})


def assign_states(
    values: Float[np.ndarray, " values"], edges: Float[np.ndarray, " edges"]
) -> Int64[np.ndarray, " values"]:
    """Return the state of each value.

    Parameters
    ----------
    values : float[values]
        In the coordinate of the edges.
    edges : float[states + 1]
        From `state_edges`. State s holds ``edges[s] < x <= edges[s + 1]``; the outermost states also hold
        what lies on or beyond the ends.
    """
    return np.searchsorted(edges[1:-1], values, side="left").astype(np.int64)


def shown(values: Iterable[float], unit: str) -> str:
    """Return values, float64[n], with their unit, for an error."""
    return ", ".join(f"{value:g}" for value in values) + ("" if unit == "1" else f" {unit}")


def apart(values: np.ndarray, scale: np.ndarray, what: str, method: str, unit: str, where: str) -> None:
    """Raise `UserError` if two of the rising ``values``, float64[n], coincide on the ``scale``, float64[n]."""
    # differences below rounding error mean that the values coincide
    if np.any(np.diff(values) <= 1e-12 * (scale[-1] - scale[0])):
        raise UserError(
            f"{where}: states.count: found {len(scale) - 1} but {what} coincide ({shown(values, unit)}, states.method "
            f"{method}), allowed: fewer states, because what was written is too much alike"
        )


def _single(what: str, where: str) -> UserError:
    return UserError(
        f"{where}: states.count: found null, but no two {what} can be told apart at states.misread, allowed: a number "
        "of states, a larger misread, or writes that spread less"
    )


def given_edges(options: States, bounds: tuple[float, float], unit: str, where: str) -> np.ndarray:
    """Return the edges of the config, float64[states + 1], between the bounds; `UserError` if they are not edges."""
    edges, count = np.asarray(options.edges, dtype=float), options.count
    if len(edges) >= 2 and edges[0] == bounds[0] and edges[-1] == bounds[1]:
        edges = edges[1:-1]
    inside = np.all(np.isfinite(edges)) and np.all((edges > bounds[0]) & (edges < bounds[1]))
    if not len(edges) or not inside or np.any(np.diff(edges) <= 0):
        raise UserError(
            f"{where}: states.edges: found {shown(edges, unit)}, allowed: one or more inner edges, increasing, "
            f"between {shown(bounds, unit)} (or all edges, those two included)"
        )
    if len(edges) + 1 > MOST or count not in (None, len(edges) + 1):
        raise UserError(
            f"{where}: states.edges: found {len(edges)} inner edges, allowed: {min(count or MOST, MOST) - 1} "
            f"({'states.count - 1' if count else 'at most'})"
        )
    return np.concatenate([[bounds[0]], edges, [bounds[1]]])


def _pulse_moments(values: np.ndarray, pulse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and spread of each pulse's writes, by ascending mean; NaN where nothing was repeated."""
    _, of = np.unique(pulse, return_inverse=True)
    n = np.bincount(of)
    mean = np.bincount(of, values) / n
    squares = np.bincount(of, (values - mean[of]) ** 2)
    free = np.maximum(n - 1, 1)
    pooled = squares.sum() / (n - 1).sum() if (n > 1).any() else np.nan
    sd = np.sqrt(np.where(n > 1, squares / free, pooled))
    order = np.argsort(mean, kind="stable")
    return mean[order], sd[order]


def _midways(values: np.ndarray, pulse: np.ndarray, count: int | None, z: float, unit: str, where: str) -> np.ndarray:
    mean, sd = _pulse_moments(values, pulse)
    if count is None:
        kept = longest_chain(mean, sd, z)
        if len(kept) < 2:
            raise _single("pulses", where)
        mean = mean[kept]
    elif len(mean) != count:
        raise UserError(
            f"{where}: states.count: found {count} with {len(mean)} pulses, allowed: {len(mean)}, one state per pulse "
            "(states.method nearest_mean)"
        )
    # two pulses with one mean still leave an edge, but no way to tell which of them a value belongs to
    apart(mean, np.append(mean, values[-1]), "pulse means", "nearest_mean", unit, where)
    return (mean[1:] + mean[:-1]) / 2


def longest_chain(
    mean: Float[np.ndarray, " pulses"], sd: Float[np.ndarray, " pulses"], z: float
) -> Int64[np.ndarray, " kept"]:
    """Return which of the ascending means can be kept so that neighbours differ by z times the sum of their sds.

    Parameters
    ----------
    mean, sd : float[pulses]
        In one unit; nothing can be told apart from a pulse whose sd is NaN.
    z : float
        Normal quantile.

    Returns
    -------
    int64[kept]
        Indices, ascending; of several chains of the same length the first found.
    """
    best: list[list[int]] = []
    for upper in range(len(mean)):
        below = [
            best[lower]
            for lower in range(upper)
            if mean[upper] > mean[lower] and mean[upper] - mean[lower] >= z * (sd[upper] + sd[lower])
        ]
        best.append([*max(below, key=len, default=[]), upper])
    return np.array(max(best, key=len))


def _parts(values: np.ndarray, method: str, count: int) -> np.ndarray:
    if method == "equal_width":
        return np.linspace(values[0], values[-1], count + 1)
    return np.quantile(values, np.arange(count + 1) / count)


def _most(values: np.ndarray, pulse: np.ndarray, method: str, z: float, unit: str, where: str) -> int:
    mean, sd = _pulse_moments(values, pulse)
    for count in range(min(MOST, len(mean)), 1, -1):
        edges = _parts(values, method, count)
        # nothing can be written beyond the outermost
        edges[[0, -1]] = -np.inf, np.inf
        inside = (mean - z * sd >= edges[:-1, None]) & (mean + z * sd <= edges[1:, None])
        if inside.any(axis=1).all():
            return count
    raise _single(f"parts of {shown(values[[0, -1]], unit)}", where)


def _mixture_edges(values: np.ndarray, count: int | None, z: float, unit: str, where: str) -> np.ndarray:
    # in units of the spread: the library's floor of 1e-6 on variances is meant for numbers of order 1
    centre, scale = values.mean(), values.std()
    if not scale > 0:
        raise UserError(f"{where}: states.method: found mixture with one value only, {shown(values[:1], unit)}")
    scaled = (values - centre) / scale
    components = _fit_mixture(scaled, count)[1] if count else _best_mixture(scaled, z)
    if len(components) < 2:
        raise _single("components of the mixture", where)
    pairs = zip(components[:-1], components[1:])
    inner = [edge for lower, upper in pairs if (edge := _crossing(lower, upper)) is not None]
    if len(inner) < len(components) - 1:
        raise UserError(
            f"{where}: states.count: found {count} but two components of the mixture lie within each other, allowed: "
            "fewer states, because what was written does not show that many clusters"
        )
    return centre + scale * np.array(inner)


# a component of a mixture: weight, mean, variance
Component = tuple[float, float, float]


def _fit_mixture(values: np.ndarray, count: int) -> tuple[float, list[Component]]:
    """Return the BIC and the components, by mean, of the better of two fits that start from fixed places."""
    from sklearn.mixture import GaussianMixture  # imported here: slow, and most cards need no mixture

    if len(values) > MOST_FITTED:
        # quantiles hold all that a mixture of a few broad components can use, and the fit's time is that of the values
        values = np.quantile(values, (np.arange(MOST_FITTED) + 0.5) / MOST_FITTED)
    table, fits = values[:, None], []
    shares = (np.arange(count) + 0.5) / count
    for means in (np.quantile(values, shares), values[0] + shares * (values[-1] - values[0])):
        model = GaussianMixture(
            count,
            tol=1e-6,  # the fit creeps where clusters overlap, and must not stop there
            max_iter=2000,
            weights_init=np.full(count, 1 / count),
            means_init=means[:, None],
            precisions_init=np.full((count, 1, 1), (4 * count / (values[-1] - values[0])) ** 2),
        )
        fits.append(model.fit(table))
    best = max(fits, key=lambda fit: fit.lower_bound_)
    order = np.argsort(best.means_.ravel(), kind="stable")
    parts = (part.ravel()[order].tolist() for part in (best.weights_, best.means_, best.covariances_))
    return float(best.bic(table)), list(zip(*parts))


def _best_mixture(values: np.ndarray, z: float) -> list[Component]:
    found = []
    for count in range(1, min(MOST_COMPONENTS, len(np.unique(values)) // 2) + 1):
        found.append(_fit_mixture(values, count))
        # the criterion has one broad minimum; two steps without gain are past it
        if len(found) - 1 - int(np.argmin([bic for bic, _ in found])) >= 2:
            break
    components = min(found, key=lambda fit: fit[0])[1] if found else []
    while len(components) > 1:
        apart = [_separation(*pair) for pair in zip(components[:-1], components[1:])]
        closest = int(np.argmin(apart))
        if apart[closest] >= z:
            break
        components[closest : closest + 2] = [_merged(components[closest], components[closest + 1])]
    return components


def _separation(lower: Component, upper: Component) -> float:
    if _crossing(lower, upper) is None:
        return 0.0
    return (upper[1] - lower[1]) / (np.sqrt(lower[2]) + np.sqrt(upper[2]))


def _merged(one: Component, other: Component) -> Component:
    weight = one[0] + other[0]
    mean = (one[0] * one[1] + other[0] * other[1]) / weight
    square = (one[0] * (one[2] + (one[1] - mean) ** 2) + other[0] * (other[2] + (other[1] - mean) ** 2)) / weight
    return weight, mean, square


def _crossing(lower: Component, upper: Component) -> float | None:
    """Return where the components are equally probable between their means; None if one covers the other."""

    def advantage(x: float) -> float:
        logs = [
            np.log(weight) - (x - mean) ** 2 / (2 * square) - np.log(square) / 2
            for weight, mean, square in (lower, upper)
        ]
        return logs[0] - logs[1]

    if not advantage(lower[1]) > 0 > advantage(upper[1]):
        return None
    return float(scipy.optimize.brentq(advantage, lower[1], upper[1], xtol=1e-14))
