"""What a write does to the cells beside the selected one, which see a share of its voltage.

In an array without transistors the cells of the selected row and column see V/2, or V/3 in the V/3 scheme. A pulse at a
share f of the voltage switches with the law's probability there. For Neel-Brown switching and small probabilities the
ratio to the full pulse is exp(-Delta (1 - f) V/V_c0): exp(-Delta V/(2 V_c0)) for V/2, exp(-2 Delta V/(3 V_c0)) for V/3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from calibration import laws
from calibration.card.tables import HALF_SELECT, conform
from calibration.laws.fitting import Fit
from spinloom.errors import UserError

Rows = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
PULSES = 10**6


def table(
    rows: Rows, pulses: pd.DataFrame, fractions: Sequence[float], where: str = "half_select.fractions"
) -> pd.DataFrame:
    """Return the kernels of pulses at shares of their voltage.

    Parameters
    ----------
    rows : callable
        (voltage_V, duration_s, temperature_K), each float64[n], to float64[n, states, states]: the device's law.
    pulses : DataFrame
        Rows of a card's pulses; uses ``pulse`` (or the row number), ``voltage_V``, ``duration_s``, ``temperature_K``.
    fractions : sequence of float
        Shares, above 0 and below 1.
    where : str
        Key that asks for the table; begins the errors.

    Returns
    -------
    DataFrame
        `calibration.card.tables.HALF_SELECT`.

    Raises
    ------
    UserError
        If a share is no share or doubled, or a pulse has no voltage.
    """
    for fraction in fractions:
        if not 0 < fraction < 1:
            raise UserError(f"{where}: found {fraction:g}, allowed: more than 0 and less than 1")
        if sum(np.isclose(fraction, other, rtol=1e-12, atol=0) for other in fractions) > 1:
            raise UserError(f"{where}: found {fraction:g} more than once, allowed: each fraction once")
    if "voltage_V" not in pulses or pulses["voltage_V"].isna().any():
        raise UserError(f"{where}: pulses: found one without voltage_V, allowed: a voltage for every pulse")
    numbers = pulses["pulse"].to_numpy() if "pulse" in pulses else np.arange(len(pulses))
    voltage, duration, temperature = (pulses[axis].to_numpy() for axis in ("voltage_V", "duration_s", "temperature_K"))
    tables = []
    for fraction in fractions:
        kernel = rows(fraction * voltage, duration, temperature)
        pulse, start, stop = np.indices(kernel.shape).reshape(3, -1)
        columns = {"pulse": numbers[pulse], "fraction": float(fraction), "state_from": start, "state_to": stop}
        tables.append(pd.DataFrame({**columns, "probability": kernel.ravel()}))
    return conform(pd.concat(tables, ignore_index=True), HALF_SELECT, where)


def law_rows(fits: Sequence[Fit], where: str = "half_select") -> Rows:
    """Return the kernel of a two-state device at any voltage, for `table`.

    Every law counts the voltage positive in its own direction, so against it the law is asked at a negative voltage.
    The precessional law knows no thermal activation, which is all that happens below V_c0: there Neel-Brown takes its
    place, with the barrier that the thermal angle implies, Delta = 1/(2 theta_sigma^2), and tau0 = 1 ns.

    Parameters
    ----------
    fits : sequence of Fit
        Switching laws. ``conditions`` has ``state_from``; ``polarity``, the sign of the voltage that makes the device
        leave that state; and ``chosen``, without which a fit is left out.

    Raises
    ------
    UserError
        Unless there is just one chosen law for each of the states 0 and 1.
    """
    chosen = [fit for fit in fits if fit.conditions.get("chosen")]
    if sorted(fit.conditions.get("state_from", -1) for fit in chosen) != [0, 1]:
        found = ", ".join(f"{fit.law} from {fit.conditions.get('state_from')}" for fit in chosen) or "none"
        raise UserError(f"{where}: laws: found {found}, allowed: one switching law from state 0 and one from state 1")

    def rows(voltage_V: np.ndarray, duration_s: np.ndarray, temperature_K: np.ndarray) -> np.ndarray:
        kernel = np.zeros((len(voltage_V), 2, 2))
        for fit in chosen:
            start, own_voltage = fit.conditions["state_from"], fit.conditions["polarity"] * voltage_V
            moved = laws.get(fit.law).probability(fit.parameters, own_voltage, duration_s, temperature_K)
            if fit.law == "precessional":
                activated = laws.get("neel_brown").probability(_barrier(fit), own_voltage, duration_s, temperature_K)
                moved = np.where(own_voltage < fit.parameters["critical_voltage_V"], activated, moved)
            kernel[:, start, 1 - start], kernel[:, start, start] = moved, 1 - moved
        return kernel

    return rows


def _barrier(fit: Fit) -> dict[str, float]:
    given = fit.parameters
    return {
        "thermal_stability": 1 / (2 * given["initial_angle_sd_rad"] ** 2),
        "critical_voltage_V": given["critical_voltage_V"],
        "reference_temperature_K": given.get("reference_temperature_K", 300.0),
    }


def disturbs_per_million(table: pd.DataFrame) -> pd.DataFrame:
    """Return what 10^6 half-selected pulses do to a cell.

    Parameters
    ----------
    table : DataFrame
        `calibration.card.tables.HALF_SELECT`.

    Returns
    -------
    DataFrame
        ``pulse``, ``fraction``, ``state_from``; ``disturbs``, the mean number of times that 10^6 pulses change the
        state, if it is put back each time: 10^6 (1 - P_ss); ``untouched``, the probability that none of 10^6 does:
        P_ss^(10^6).
    """
    away = table[table["state_from"] != table["state_to"]]
    # summed over where it goes: 1 - P_ss would lose disturbs rarer than 1e-16
    keys = ["pulse", "fraction", "state_from"]
    lost = away.groupby(keys, as_index=False)["probability"].sum()
    disturbed = np.minimum(lost["probability"], 1.0)
    with np.errstate(divide="ignore"):
        untouched = np.exp(PULSES * np.log1p(-disturbed))
    return lost[keys].assign(disturbs=PULSES * disturbed, untouched=untouched)
