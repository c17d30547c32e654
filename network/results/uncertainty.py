"""How sure a study is of its own numbers: the spread over seeds, over devices, and over what the device may be.

A card made of few writes is one of many that these writes allow. With ``network.card_samples: n`` a variant is trained
on n draws from the card's posterior (`calibration.tools.sample`), on each with several chips (sets of devices), and on
each chip with several seeds. Result k of chip j of card i is

    y_ijk = mu + a_i + b_ij + e_ijk,    variances  s_card^2, s_devices^2, s_seeds^2,

a balanced nested design with I cards, J chips and K seeds. The mean squares

    MS_card = J K var_i(mean_ij. of i),   MS_devices = K pooled var_j,   MS_seeds = pooled var_k

have the expectations s_seeds^2 + K s_devices^2 + J K s_card^2, s_seeds^2 + K s_devices^2 and s_seeds^2, which gives
the estimates; a negative one is 0. Intervals are generalised ones: each mean square over its expectation is chi-square
with its degrees of freedom, hence draws of MS df / chi^2 stand for the expectations (Weerahandi, J. Am. Stat. Assoc.
88, 899 (1993); for nested designs Burdick, Quiroz and Iyer, J. Qual. Technol. 38 (2006)).

A posterior's variance falls with the number of independent writes. So the card's share of the spread tells whether
more replicas would help, and `calibration plan --narrow` which sweep does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from network.hardware.costs import totals
from network.hardware.run import Run
from network.hardware.terms import terms
from network.results.meter import Meter
from network.synapse.device import DeviceModel
from network.training.card import read_device
from network.training.settings import BASELINE, Settings
from spinloom.errors import UserError
from spinloom.files import read_table
from spinloom.quantities import LEVELS, PHASES
from spinloom.streams import generator

SOURCES = ("card", "devices", "seeds")
DRAWS = 20_000
INTERVAL = 0.95
COLUMNS = [
    "variant", "rule", "quantity", "card_samples", "chips", "seeds", "mean", "sd_total",
    *(f"sd_{source}{end}" for source in SOURCES for end in ("", "_low", "_high")),
]  # fmt: skip


class Components(NamedTuple):
    """Standard deviations by source (the order of `SOURCES`), with the ends of their intervals."""

    sd: np.ndarray  # float64[3]
    low: np.ndarray  # float64[3]
    high: np.ndarray  # float64[3]


def components(values: np.ndarray, random: np.random.Generator) -> Components:
    """Split the spread of a balanced nested design into its sources.

    Parameters
    ----------
    values : ndarray, float64[cards, chips, seeds]
        At least two of each.
    random : Generator
        For the intervals.

    Raises
    ------
    UserError
        If there are fewer than two of anything.
    """
    if min(values.shape) < 2:
        raise UserError(f"uncertainty: found {values.shape} cards, chips and seeds, allowed: at least 2 of each")
    cards, chips, seeds = values.shape
    freedom = np.array([cards - 1, cards * (chips - 1), cards * chips * (seeds - 1)])
    squares = np.array([
        chips * seeds * values.mean(axis=(1, 2)).var(ddof=1),
        seeds * values.mean(axis=2).var(axis=1, ddof=1).mean(),
        values.var(axis=2, ddof=1).mean(),
    ])  # fmt: skip
    expected = squares * freedom / random.chisquare(freedom, (DRAWS, 3))
    ends = (1 - INTERVAL) / 2
    low, high = np.quantile(_solve(expected, chips, seeds), [ends, 1 - ends], axis=0)
    return Components(_solve(squares, chips, seeds), low, high)


def _solve(squares: np.ndarray, chips: int, seeds: int) -> np.ndarray:
    """Return the sds whose expected mean squares are ``squares`` [..., 3]; negative variances are 0."""
    card, devices, noise = np.moveaxis(squares, -1, 0)
    variances = np.stack([(card - devices) / (chips * seeds), (devices - noise) / seeds, noise], axis=-1)
    return np.sqrt(np.maximum(variances, 0.0))


def quantities(
    meter: Meter, history: pd.DataFrame, evaluations: pd.DataFrame, device: DeviceModel, settings: Settings
) -> dict:
    """Return what is asked of a run: accuracy after the last epoch, writes, energies in J per sample by level."""
    draws = evaluations.loc[evaluations["condition"] == "draw", "test_accuracy"]
    accuracy = draws.mean() if len(draws) else history["test_accuracy"].iloc[int(history["epoch"].argmax())]
    sums = totals(terms(Run.of(meter, device, settings)))
    return {
        "test_accuracy": float(accuracy),
        "writes_per_sample": meter.per_sample(meter.writes),
        **{f"{phase}_energy_J_{level}": sums[phase, level].energy_J for phase in PHASES for level in LEVELS},
    }


def split(variants: list[Settings], runs: Path, cards: Path) -> pd.DataFrame:
    """Return one row per variant and quantity, with the columns `COLUMNS`.

    Parameters
    ----------
    variants : list of Settings
        The baseline among them is left out, as it has no card.
    runs : Path
        Folder with the runs ``VARIANT_CARD_CHIP_SEED``.
    cards : Path
        Folder with the sampled cards, by number.

    Raises
    ------
    UserError
        If a run is missing, or of another card.
    """
    rows = []
    for settings in variants:
        if settings.rule == BASELINE:
            continue
        shape = (settings.card_samples, settings.chips, settings.seeds_per_chip)
        devices = [read_device(cards / str(i), settings) for i in range(shape[0])]
        found: dict[str, np.ndarray] = {}
        for place in np.ndindex(shape):
            run = runs / "_".join(map(str, (settings.variant, *place)))
            meter, device = Meter.read(run), devices[place[0]]
            if meter.device != device.digest:
                raise UserError(
                    f"{run}: found a run of another card than {cards / str(place[0])}, allowed: runs of that card"
                )
            history, evaluations = (read_table(run / f"{name}.csv") for name in ("history", "evaluations"))
            for name, value in quantities(meter, history, evaluations, device, settings).items():
                found.setdefault(name, np.zeros(shape))[place] = value
        for name, values in found.items():
            random = generator(settings.seed, "network", "uncertainty", settings.variant, name)
            parts = components(values, random)
            rows.append({
                "variant": settings.variant, "rule": settings.rule, "quantity": name, "card_samples": shape[0],
                "chips": shape[1], "seeds": shape[2], "mean": values.mean(),
                "sd_total": float(np.sqrt(np.sum(parts.sd**2))),
                **{f"sd_{source}": parts.sd[i] for i, source in enumerate(SOURCES)},
                **{f"sd_{source}_low": parts.low[i] for i, source in enumerate(SOURCES)},
                **{f"sd_{source}_high": parts.high[i] for i, source in enumerate(SOURCES)},
            })  # fmt: skip
    return pd.DataFrame(rows)[COLUMNS]
