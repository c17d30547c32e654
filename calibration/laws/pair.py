"""A ternary synapse of two binary junctions as the product of their two kernels.

The junctions (R1, R2) carry the weight (on, off) = +1, (off, on) = -1, (off, off) = 0w and (on, on) = 0s: the two zeros
read alike. A command asks for ``whole`` sure steps and one more with a probability; which junction a step pulses
depends on the state:

    from    one step                second step
    -1      R1 on  -> 0s            R2 off -> +1
    0w      R1 on  -> +1
    0s      R2 off -> +1
    +1      none

for positive commands; negative ones exchange R1 and R2. After Greenberg-Toledo et al., arXiv 1912.12636. Each junction
switches on with P_on and off with P_off of any switching law; two may be pulsed in one cycle.
"""

from __future__ import annotations

import numpy as np

from spinloom.errors import UserError

STATES = ("-1", "0w", "0s", "+1")
LUMPED = ("-1", "0", "+1")
OFF, ON = 0, 1
JUNCTIONS = ((OFF, ON), (OFF, OFF), (ON, ON), (ON, OFF))  # R1, R2 of each state
STEPS = (("on", "off"), ("on",), ("off",), ())  # which junction a positive command pulses first, and second


def binary(on: float, off: float) -> np.ndarray:
    """Return the kernel of one junction, float64[2, 2], states off and on, given its chances to be switched."""
    return np.array([[1 - on, on], [off, 1 - off]])


def kernel(sign: int, whole: int, on: float, off: float | None = None) -> np.ndarray:
    """Return the transition matrix of a command.

    Parameters
    ----------
    sign : {-1, 1}
        Direction of the command.
    whole : int
        Sure steps, kappa >= 0.
    on, off : float
        Probability p(nu) that the last, unsure step switches its junction on, or off (the same if None).

    Returns
    -------
    ndarray, float64[4, 4]
        In the order of `STATES`.

    Raises
    ------
    UserError
        If the command or a probability is impossible.
    """
    off = on if off is None else off
    if sign not in (-1, 1) or whole < 0:
        raise UserError(f"pair: command: found sign {sign}, whole {whole}, allowed: sign -1 or 1, whole >= 0")
    for name, value in (("on", on), ("off", off)):
        if not 0 <= value <= 1:
            raise UserError(f"pair: {name}: found {value}, allowed: a probability in 0..1")
    rows = []
    for steps, (first, second) in zip(STEPS, JUNCTIONS):
        chance = {"on": 0.0, "off": 0.0}
        for place, step in enumerate(steps):
            unsure = {"on": on, "off": off}[step]
            chance[step] = 1.0 if place < whole else unsure if place == whole else 0.0
        # R1 is only ever switched on and R2 only ever off by a positive command
        one, two = binary(chance["on"], 0.0)[first], binary(0.0, chance["off"])[second]
        rows.append([one[r1] * two[r2] for r1, r2 in JUNCTIONS])
    positive = np.array(rows)
    # exchanging the junctions exchanges +1 and -1 and leaves both zeros
    mirror = [3, 1, 2, 0]
    return positive if sign > 0 else positive[np.ix_(mirror, mirror)]


def lump(matrix: np.ndarray, weak_zero: float | None = None) -> np.ndarray:
    """Return the matrix on {-1, 0, +1}.

    Parameters
    ----------
    matrix : ndarray, float64[4, 4]
        Of `kernel`.
    weak_zero : float or None
        Share of 0w among the zeros. None: the rows of 0w and 0s must agree (Kemeny and Snell, Finite Markov Chains,
        theorem 6.3.2), then the lumped chain is a Markov chain whatever the share.

    Returns
    -------
    ndarray, float64[3, 3]

    Raises
    ------
    UserError
        If the rows disagree and ``weak_zero`` is None.
    """
    gathered = np.column_stack([matrix[:, 0], matrix[:, 1] + matrix[:, 2], matrix[:, 3]])
    if weak_zero is None:
        gap = np.abs(gathered[1] - gathered[2]).max()
        if gap > 1e-12:
            raise UserError(
                f"pair: lump: found rows of 0w and 0s that differ by {gap:.3g}, allowed: equal, or weak_zero"
            )
        weak_zero = 0.5
    return np.array([gathered[0], weak_zero * gathered[1] + (1 - weak_zero) * gathered[2], gathered[3]])
