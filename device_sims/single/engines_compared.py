"""One problem on several engines, and how far they are apart: ``python -m device_sims compare``.

Each engine's run is a run of its own (`device_sims.single.run`) in a directory of its own, with all that this brings:
what is done is not done again. Without noise the trajectories are compared record by record; with a temperature the
replicas of an engine are a sample, and what is compared are means, spreads and shares with their 95 % intervals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table
from scipy import stats

from device_sims import engines
from device_sims.problem import Problem, problem_file
from device_sims.problem.observables import SATURATION
from device_sims.single.run import WALL, read_replicas, run
from spinloom import files
from spinloom.errors import UserError
from spinloom.progress import table_console

LEVEL = 0.95
MEANS = ("mx", "my", "mz", WALL)


def compare(
    source: str | Path,
    names: Sequence[str] | None,
    output: str | Path,
    replicas: int | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Run a problem file on each engine and write how they differ.

    Parameters
    ----------
    source : path
        Problem file.
    names : sequence of str, optional
        Engines, in `engines.REGISTRY`; by default all that can do this problem. The others are compared with the first.
        Those that cannot run here are left out with a line that says why.
    output : path
        Directory for ``ENGINE/`` (what `device_sims.single.run` writes), ``comparison.csv``, ``summary.csv`` and
        ``comparison.png``.
    replicas : int, optional
        Repetitions, needed at least twice with a temperature.
    seed : int, optional
        In place of the file's.

    Returns
    -------
    DataFrame
        The summary: of `differences` or of `samples`.

    Raises
    ------
    UserError
        If fewer than two engines can run here, or a named engine cannot do the problem; as of
        `device_sims.single.run.run`.
    """
    problem, _ = problem_file.load(source, seed)
    asked = names or engines.those(lambda engine: not engines.reduced(engine))
    if len(set(asked)) < len(asked):
        raise UserError(f"--engines: found {', '.join(asked)}, allowed: each engine once")
    usable = [name for name in asked if _is_usable(name)]
    if not names:
        usable = [name for name in usable if _can_do(name, problem, str(source))]
    if len(usable) < 2:
        raise UserError(
            f"--engines: found {len(usable)} of {len(asked)} that can run this problem here, allowed: two or more"
        )
    if problem.temperature_K and (replicas or 1) < 2:
        raise UserError(f"--replicas: found {replicas or 1} at {problem.temperature_K:g} K, allowed: 2 or more")
    output = Path(output)
    for name in usable:  # before the first of them spends hours
        engines.check_problem(name, problem, str(source))
    for name in usable:
        run(source, name, output / name, replicas, seed)
    tables = {name: read_replicas(output / name, problem, replicas) for name in usable}
    if problem.temperature_K:
        trajectories, summary = ensembles(tables), samples(tables)
    else:
        trajectories, summary = differences({name: own[0] for name, own in tables.items()})
    files.write_csv(trajectories, output / "comparison.csv")
    versions = {name: engines.version(name) for name in usable}
    summary.insert(list(summary).index("engine") + 1, "engine_version", summary["engine"].map(versions))
    files.write_csv(summary, output / "summary.csv")
    _draw(trajectories, usable, bool(problem.temperature_K), output / "comparison.png")
    show(summary)
    return summary


def _is_usable(name: str) -> bool:
    engines.REGISTRY.module(name, "--engines")
    usable, text = engines.probe(name)
    if not usable:
        print(f"left out: {name} cannot run here: {text}")
    return usable


def _can_do(name: str, problem: Problem, source: str) -> bool:
    try:
        engines.check_problem(name, problem, source)
    except UserError as error:
        print(f"left out: {name} cannot do this problem: {error}")
        return False
    return True


def differences(tables: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what each engine differs by from the first.

    Parameters
    ----------
    tables : dict of DataFrame
        ``table.csv`` by engine, all with the same times.

    Returns
    -------
    trajectories : DataFrame
        ``engine, t_s, quantity, value, difference``.
    summary : DataFrame
        ``quantity, engine, reference, max_difference, t_s`` (when), ``scale`` (largest value of the reference),
        ``relative``; an energy's scale is that of the total's change, or of the total if it does not change.

    Raises
    ------
    UserError
        If the times differ.
    """
    reference, first = next(iter(tables.items()))
    names = [name for name in first.columns.astype(str) if name != "t_s"]
    total = first["energy_total_J"].to_numpy()
    change = float(np.ptp(total))
    energy_scale = change if change > 1e-6 * np.abs(total).max() else float(np.abs(total).max())
    long, rows = [], []
    for engine, table in tables.items():
        if len(table) != len(first) or not np.allclose(table["t_s"], first["t_s"], rtol=1e-9, atol=1e-18):
            raise UserError(f"{engine}: found other times in table.csv than with {reference}, allowed: the same times")
        for name in names:
            own = table[name] if name in table else pd.Series(0.0, table.index)  # an energy that an engine has not
            apart = own - first[name]
            long.append(pd.DataFrame({"engine": engine, "t_s": first["t_s"], "quantity": name, "value": own}))
            long[-1]["difference"] = apart
            if engine == reference or apart.isna().all():
                continue
            place = int(np.nanargmax(np.abs(apart)))
            scale = energy_scale if name.startswith("energy") else float(first[name].abs().max())
            worst = abs(float(apart.iloc[place]))
            rows.append(
                {
                    "quantity": name,
                    "engine": engine,
                    "reference": reference,
                    "max_difference": worst,
                    "t_s": float(first["t_s"].iloc[place]),
                    "scale": scale,
                    "relative": worst / scale if scale else math.nan,
                }
            )
    return pd.concat(long, ignore_index=True), pd.DataFrame(rows)


def ensembles(tables: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """Return mean and standard deviation over replicas, ``engine, t_s, quantity, replicas, mean, sd``."""
    long = []
    for engine, own in tables.items():
        grouped = pd.concat(own).groupby("t_s", sort=True)
        for name in own[0].columns.astype(str).drop("t_s"):
            part = grouped[name].agg(["count", "mean", "std"]).reset_index()
            part.columns = ["t_s", "replicas", "mean", "sd"]
            long.append(part.assign(engine=engine, quantity=name))
    order = ["engine", "t_s", "quantity", "replicas", "mean", "sd"]
    return pd.concat(long, ignore_index=True)[order]


def samples(tables: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """Return what the replicas of each engine say of the last record, with intervals of 95 %.

    Parameters
    ----------
    tables : dict of list of DataFrame
        ``table.csv`` of each replica, by engine.

    Returns
    -------
    DataFrame
        ``quantity, engine, replicas, value, low, high, overlaps`` (with the first engine's interval): of each of
        `MEANS` the mean (Student's interval) and the sd (that of a normal variable, by chi squared), and the share of
        replicas that switched, which is mz of another sign than at the start (Jeffreys' interval), where all replicas
        start with abs(mz) above `SATURATION`.
    """
    rows, reference = [], next(iter(tables))
    for engine, own in tables.items():
        first, last = (np.array([[t[name].iloc[i] for name in MEANS] for t in own], float) for i in (0, -1))
        for column, name in enumerate(MEANS):
            values = last[:, column][np.isfinite(last[:, column])]
            if len(values) < 2:
                continue
            for what, interval in (("mean", mean_interval), ("sd", sd_interval)):
                rows.append((f"{name} {what}", engine, len(values), *interval(values)))
        if (np.abs(first[:, 2]) > SATURATION).all():
            switched = int((np.sign(first[:, 2]) * last[:, 2] < 0).sum())
            rows.append(("switched", engine, len(own), switched / len(own), *share_interval(switched, len(own))))
    summary = pd.DataFrame(rows, columns=["quantity", "engine", "replicas", "value", "low", "high"])
    bounds = summary[summary["engine"] == reference].set_index("quantity")[["low", "high"]]
    both = summary["quantity"].map(bounds["low"]), summary["quantity"].map(bounds["high"])
    summary["overlaps"] = (summary["low"] <= both[1]) & (both[0] <= summary["high"])
    return summary.sort_values("quantity", kind="stable", ignore_index=True)


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of a sample, float64[n], and its Student interval."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return mean, mean - reach, mean + reach


def sd_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the standard deviation of a sample, float64[n], and its interval if the sample is normal."""
    n, sd = len(values), float(values.std(ddof=1))
    low, high = (math.sqrt((n - 1) / stats.chi2.ppf(q, n - 1)) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return sd, low * sd, high * sd


def share_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return Jeffreys' interval of a share (Brown, Cai and DasGupta, Stat. Sci. 16, 101 (2001))."""
    a, b = successes + 0.5, trials - successes + 0.5
    low, high = (stats.beta.ppf(q, a, b) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return 0.0 if successes == 0 else float(low), 1.0 if successes == trials else float(high)


def show(summary: pd.DataFrame) -> None:
    """Print a summary."""
    table = Table(*summary.columns)
    for row in summary.itertuples(index=False):
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    table_console().print(table)


def _draw(trajectories: pd.DataFrame, names: list[str], noisy: bool, path: Path) -> None:
    """Draw the means with their spread, or the trajectories above and what they differ by below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [name for name in (*MEANS, "energy_total_J") if name in set(trajectories["quantity"])]
    rows = 1 if noisy else 2
    figure, axes = plt.subplots(
        rows, len(panels), figsize=(3.4 * len(panels), 2.8 * rows), squeeze=False, layout="tight", sharex=True
    )
    for column, name in enumerate(panels):
        for number, engine in enumerate(names):
            chosen = (trajectories["engine"] == engine) & (trajectories["quantity"] == name)
            part, style = trajectories[chosen], {"color": f"C{number}", "label": engine}
            t = part["t_s"] * 1e9
            if noisy:
                axes[0, column].plot(t, part["mean"], **style)
                low, high = part["mean"] - part["sd"], part["mean"] + part["sd"]
                axes[0, column].fill_between(t, low, high, color=f"C{number}", alpha=0.2)
                continue
            axes[0, column].plot(t, part["value"], "-" if number == 0 else "--", **style)
            if number:
                axes[1, column].plot(t, part["difference"], **style)
        axes[0, column].set_title(name)
        axes[-1, column].set_xlabel("t (ns)")
    axes[0, 0].set_ylabel("mean and sd" if noisy else "value")
    if not noisy:
        axes[1, 0].set_ylabel(f"less {names[0]}")
    axes[0, 0].legend(fontsize="small")
    files.write_png(figure, path)
    plt.close(figure)
