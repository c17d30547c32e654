"""Where a trace of readings turns: which of its pulses go up and which go down, told by the readings alone.

Measurements repeat a cycle of so many pulses up and so many down. The period is the one with which the trace repeats
itself best. The mean cycle has less noise than a reading by the square root of the number of cycles; in it, the turns
are placed such that the steps of each direction are best described as smooth functions of the conductance. This finds
the end of a saturated run, where the largest reading is a matter of chance. A trace without a period is cut where it
reverses by more than its noise, and each turn is then moved in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MOST_READINGS = 20_000  # that the period is looked for in
REPEATS = 0.7  # share of the variance that a period must explain


class Runs(NamedTuple):
    """Directions of the steps of a trace.

    ``step`` int64[n] is 1 or -1 for the pulse before each reading (that of the first is what it would have been), and
    ``up``, ``down`` are the pulses in a run if all runs have as many, else None.
    """

    step: np.ndarray
    up: int | None
    down: int | None


def noise_of(values: np.ndarray) -> float:
    """Return a rough sd of the noise of a trace, float64[n] with NaN in gaps: of the second differences' spread."""
    second = np.diff(values, 2)
    second = second[np.isfinite(second)]
    return float(1.4826 * np.median(np.abs(second - np.median(second))) / np.sqrt(6)) if len(second) else 0.0


def of_counts(number: np.ndarray, up: int, down: int, first: int) -> np.ndarray:
    """Return the direction (1 or -1) of each pulse, int64[n], by its ``number``, int64[n], that runs on from 1.

    ``first`` is the direction of pulse 1; ``up`` and ``down`` are the pulses in a run.
    """
    one, other = (up, down) if first > 0 else (down, up)
    return np.where((number - 1) % (one + other) < one, first, -first)


def turns(values: np.ndarray, period: int | None = None) -> Runs | None:
    """Return the directions of a trace's steps, None if it has no turn.

    Parameters
    ----------
    values : ndarray, float64[n]
        Readings after pulses 1 to n, NaN where one is missing.
    period : int, optional
        Pulses in a cycle, where it is known.
    """
    if np.isfinite(values).sum() < 4:
        return None
    free = _irregular(values)
    regular = [_regular(values, own) for own in ([period] if period else _periods(values))]
    costs = [(_cost(values, runs), runs) for runs in regular if runs is not None]
    if not costs:
        return free
    cost, best = min(costs, key=lambda one: one[0])
    if period is None and free is not None:
        # each turn that is placed freely must earn its place (Schwarz's criterion)
        number = len(values)
        worth = (np.diff(free.step) != 0).sum() * 2 * np.log(number) * _cost(values, free) / number
        if _cost(values, free) + worth < cost:
            return free
    return best


def _regular(values: np.ndarray, period: int) -> Runs | None:
    found = _turns_of_cycle(_fold(values, period))
    if found is None:
        return None
    start, up = found
    # the step before reading i is that from phase i - 1
    phase = (np.arange(len(values)) - 1 - start) % period
    return Runs(np.where(phase < up, 1, -1), up, period - up)


def _cost(values: np.ndarray, runs: Runs) -> float:
    """Return the squares left of all steps, each direction's a parabola of the level two readings before.

    The reading just before would not do: its noise is in the step as well.
    """
    step, level = np.diff(values)[1:], values[:-2]
    known = np.isfinite(step) & np.isfinite(level)
    step, level = step[known] / values[np.isfinite(values)].std(), level[known]
    moments = _moments((level - level.mean()) / (level.std() or 1.0), step)
    return float(sum(_left(moments[runs.step[2:][known] == way].sum(axis=0)) for way in (1, -1)))


def _fold(values: np.ndarray, period: int) -> np.ndarray:
    """Return the mean cycle, float64[period]."""
    cycles = -(-len(values) // period)
    whole = np.full(cycles * period, np.nan)
    whole[: len(values)] = values
    known = np.isfinite(whole).reshape(cycles, period)
    total = np.where(known, whole.reshape(cycles, period), 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _periods(values: np.ndarray) -> list[int]:
    """Return the shortest period with which the trace repeats itself, and its neighbours that do so nearly as well."""
    values = values[:MOST_READINGS]
    known = np.isfinite(values)
    total = np.nanvar(values) * known.sum()
    longest = len(values) // 2
    if longest < 4 or not total:
        return []
    tried = np.arange(4, longest + 1)
    if len(values) > 4000:  # by the autocorrelation first
        centred = np.where(known, values - np.nanmean(values), 0.0)
        power = np.abs(np.fft.rfft(centred, 2 * len(values))) ** 2
        likeness = np.fft.irfft(power)[: longest + 1] / np.arange(len(values), len(values) - longest - 1, -1)
        peaks = 1 + np.flatnonzero((likeness[1:-1] >= likeness[:-2]) & (likeness[1:-1] >= likeness[2:]))
        near = {int(peak) + shift for peak in peaks[np.argsort(-likeness[peaks])][:60] for shift in range(-3, 4)}
        tried = np.array(sorted(own for own in near if 4 <= own <= longest))
    explained = np.array([_explained(values, known, total, int(period)) for period in tried])
    if not len(explained) or explained.max() < REPEATS:
        return []
    # its multiples explain as much
    good = tried[explained >= explained.max() - 0.035]
    near = (tried >= good[0]) & (tried <= good[0] * 1.15)
    best = tried[near][explained[near].argmax()]
    near = (np.abs(tried - best) <= max(2, best // 20)) & (explained > explained.max() - 0.1)
    return [int(own) for own in tried[near]]


def _explained(values: np.ndarray, known: np.ndarray, total: float, period: int) -> float:
    mean = np.resize(_fold(values, period), len(values))
    left = np.sum((values - mean)[known] ** 2)
    free = known.sum() - period
    return 1 - (left / max(free, 1)) / (total / max(known.sum() - 1, 1))


def _moments(level: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return what least squares of the step as a parabola of the level needs, float64[n, 13]."""
    power = np.stack([level**0, level, level**2], axis=1)
    squares = (power[:, :, None] * power[:, None, :]).reshape(-1, 9)
    return np.column_stack([squares, power * step[:, None], step**2])


def _left(moments: np.ndarray) -> np.ndarray:
    """Return the sum of squares that a parabola leaves, float64[...]; weakly held to be flat where steps are few."""
    shape = moments.shape[:-1]
    matrix = moments[..., :9].reshape(*shape, 3, 3) + np.diag([1e-9, 1e-2, 1e-1])
    vector = moments[..., 9:12]
    solved = np.linalg.solve(matrix, vector[..., None])[..., 0]
    return moments[..., 12] - np.sum(vector * solved, axis=-1)


def _turns_of_cycle(mean: np.ndarray) -> tuple[int, int] | None:
    """Return the phase of the first step up and the number of steps up in a mean cycle, None if it does not turn."""
    period = len(mean)
    known = np.isfinite(mean)
    if known.sum() < 4 or np.ptp(mean[known]) == 0:
        return None
    mean = np.interp(np.arange(period), np.flatnonzero(known), mean[known], period=period)
    mean = (mean - mean.mean()) / mean.std()
    step = np.roll(mean, -1) - mean  # from phase to phase + 1, round the cycle
    sums = np.concatenate([[np.zeros(13)], np.cumsum(np.tile(_moments(mean, step), (2, 1)), axis=0)])
    low, high = int(mean.argmin()), int(mean.argmax())
    reach = min(max(3, period // 3), 150)
    starts = np.unique((low + np.arange(-reach, reach + 1)) % period)
    ends = np.unique((high + np.arange(-reach, reach + 1)) % period)
    start, end = np.meshgrid(starts, ends, indexing="ij")
    up = (end - start) % period
    fits = (up >= 1) & (up < period)
    start, up = start[fits], up[fits]
    rising = sums[start + up] - sums[start]
    falling = sums[start + period] - sums[start + up]
    right = (rising[:, 9] > 0) & (falling[:, 9] < 0)
    if not right.any():
        return None
    left, start, up = _left(rising[right]) + _left(falling[right]), start[right], up[right]
    # of those that are as likely within chance: a file that begins with a run, and round numbers of pulses
    equal = left <= left.min() * (1 + 9 / max(period - 6, 1))
    begins = np.isin(start, (0, period - 1)) | np.isin((start + up) % period, (0, period - 1))
    rank = 2 * begins + (up % 5 == 0) * (period % 5 == 0) + (up % 10 == 0) * (period % 10 == 0) + (2 * up == period)
    best = np.lexsort([left, -np.where(equal, rank, -1)])[0]
    return int(start[best]), int(up[best])


def _irregular(values: np.ndarray) -> Runs | None:
    known = np.flatnonzero(np.isfinite(values))
    filled = np.interp(np.arange(len(values)), known, values[known])
    scale = filled.std()
    if not scale:
        return None
    filled = (filled - filled.mean()) / scale
    least = max(4 * noise_of(filled), 0.2 * float(np.subtract(*np.quantile(filled, [0.98, 0.02]))))
    places = _reversals(filled, least)
    if len(places) < 3:
        return None
    step = np.diff(filled)
    for _ in range(3):
        places = _moved(filled[:-1], step, places)
    sign = np.ones(len(values), dtype=np.int64)
    rises = filled[places[1]] > filled[places[0]]
    for number, (start, end) in enumerate(zip(places[:-1], places[1:])):
        sign[start + 1 : end + 1] = 1 if (number % 2 == 0) == rises else -1
    sign[0] = sign[1]
    return Runs(sign, None, None)


def _reversals(values: np.ndarray, least: float) -> list[int]:
    """Return the ends of the runs: first, turns by more than ``least``, last."""
    places, low, high, way = [0], 0, 0, 0
    for place, value in enumerate(values):
        low = place if value < values[low] else low
        high = place if value > values[high] else high
        if way >= 0 and values[high] - value > least:
            if high > 0:
                places.append(high)
            way, low = -1, place
            high = place
        elif way <= 0 and value - values[low] > least:
            if low > 0:
                places.append(low)
            way, high = 1, place
            low = place
    return [*dict.fromkeys([*places, len(values) - 1])]


def _moved(level: np.ndarray, step: np.ndarray, places: list[int]) -> list[int]:
    """Return the ends with each turn moved to where parabolas of all other runs describe the steps best."""
    moments = _moments(level, step)
    sums = np.concatenate([[np.zeros(13)], np.cumsum(moments, axis=0)])
    ends = list(zip(places[:-1], places[1:]))
    ways = [np.sum([sums[end] - sums[start] for start, end in ends[way::2]], axis=0) for way in (0, 1)]
    fits = [np.linalg.solve(w[:9].reshape(3, 3) + np.diag([1e-9, 1e-2, 1e-1]), w[9:12]) for w in ways]
    power = np.stack([level**0, level, level**2])
    wrong = [np.concatenate([[0.0], np.cumsum((step - fit @ power) ** 2)]) for fit in fits]
    moved = [places[0]]
    for number in range(1, len(places) - 1):
        before, after = wrong[(number - 1) % 2], wrong[number % 2]
        reach = np.arange(moved[-1] + 1, places[number + 1])
        reach = reach[np.abs(reach - places[number]) <= max(3, (places[number + 1] - moved[-1]) // 3)]
        cost = before[reach] - before[moved[-1]] + after[places[number + 1]] - after[reach]
        moved.append(int(reach[cost.argmin()]))
    return [*moved, places[-1]]
