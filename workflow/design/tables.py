"""The tables of a search, in ``results/STUDY/design/``: what was tried, what was found, what it is worth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from spinloom import files
from workflow.design import fidelities, fronts, surrogate
from workflow.design.config import FULL
from workflow.design.ending import Fresh
from workflow.design.objectives import LINEAR
from workflow.design.runs import Runs
from workflow.design.search import Search, Trial

NAMES = ("trials", "fidelities", "hypervolume", "final", "noise", "sensitivities", "curves", "robustness")


def write(search: Search, fresh: list[Fresh], runs: Runs) -> None:
    """Write all tables, sealed, and ``design.json`` with what a page needs beside them."""
    tables = of(search, fresh)
    with files.sealed(runs.folder, [f"{name}.csv" for name in tables]):
        for name, table in tables.items():
            files.write_csv(table, runs.folder / f"{name}.csv")
    goals = [
        {
            "name": goal.name, "quantity": goal.quantity, "variant": goal.variant, "sign": goal.sign,
            "linear": goal.quantity in LINEAR, "at_least": goal.at_least, "at_most": goal.at_most,
        }
        for goal in search.goals
    ]  # fmt: skip
    told = {
        "study": search.space.base["study"], "seed": search.space.base["seed"], "design": search.space.whole["design"],
        "goals": goals, "levels": search.space.levels, "optuna": search.chooser.optuna.__version__,
        "refused": search.chooser.refused, "config": search.space.whole,
    }  # fmt: skip
    files.write_json(told, runs.folder / "design.json")


def of(search: Search, fresh: list[Fresh]) -> dict[str, pd.DataFrame]:
    """Return the tables by name (`NAMES`)."""
    fits = _fits(search)
    made = (
        trials(search), correlations(search), history(search), final(search, fresh), noise(search),
        sensitivities(search, fits), curves(search, fits), robustness(search, fits),
    )  # fmt: skip
    return dict(zip(NAMES, made, strict=True))


def trials(search: Search) -> pd.DataFrame:
    """Return one row per point: values, objectives with their errors at the highest fidelity, what became of it."""
    front, rows = {trial.number for trial in search.front()}, []
    for trial in search.trials:
        level = next((one for one in reversed(search.space.levels) if one in trial.measured), None)
        row: dict[str, Any] = {
            "number": trial.number, "generation": trial.generation,
            "point": trial.labels.get(level) if level else None, "fidelity": level,
            **{name: _plain(trial.values.get(name)) for name in search.space.variables},
        }  # fmt: skip
        for place, goal in enumerate(search.goals):
            own = trial.measured[level][place] if level else None
            row[goal.name] = own.mean if own else None
            row[f"{goal.name}_error"] = own.error if own else None
            row[f"{goal.name}_told"] = trial.told[place] if trial.told else None
        row["within_bounds"] = trial.full and search.kept(trial)
        rows.append({**row, "front": trial.number in front, "failed": trial.reason or None})
    return pd.DataFrame(rows)


def correlations(search: Search) -> pd.DataFrame:
    """Return how alike two fidelities that follow each other rank the points that both have seen."""
    rows, columns = [], ["cheap", "dear", "objective", "points", "spearman", "spearman_low", "spearman_high"]
    for cheap, dear in zip(search.space.levels, search.space.levels[1:]):
        for goal, a, b in zip(search.goals, *(values.T for values in search.seen(cheap, dear)), strict=True):
            own = fidelities.agreement(a, b)
            rows.append(
                dict(zip(columns, (cheap, dear, goal.name, own.points, own.rho, own.low, own.high), strict=True))
            )
    return pd.DataFrame(rows, columns=columns)


def history(search: Search) -> pd.DataFrame:
    """Return the hypervolume of the points so far, as a share of the box between the worst and the best values.

    Points that break a bound do not count.
    """
    full = [trial for trial in search.trials if trial.full]
    rows, columns = [], ["points", "full_points", "hypervolume"]
    if not full:
        return pd.DataFrame(rows, columns=columns)
    values = search.scaled([trial.measured[FULL] for trial in full])
    low, extent = values.min(axis=0), np.ptp(values, axis=0)
    seen: list[np.ndarray] = []
    count = 0
    for trial in search.trials:
        if trial.full:
            count += 1
            if search.kept(trial):
                own = search.scaled([trial.measured[FULL]])[0]
                # a little beyond the worst, or the ends of the front would rule nothing
                seen.append((own - low) / np.where(extent > 0, extent, 1) + 0.01)
        volume = fronts.hypervolume(np.array(seen), np.zeros(len(low))) / 1.01 ** len(low) if seen else 0.0
        rows.append(dict(zip(columns, (trial.number + 1, count, volume), strict=True)))
    return pd.DataFrame(rows, columns=columns)


def final(search: Search, fresh: list[Fresh]) -> pd.DataFrame:
    """Return the points that were made again: searched, fresh, and tested on the test images.

    The study as it stands has no number, and was not searched.
    """
    rows = []
    for one in fresh:
        values = one.trial.values if one.trial else search.space.stands
        row: dict[str, Any] = {
            "number": one.trial.number if one.trial else None,
            "point": one.trial.labels[FULL] if one.trial else None, "fresh_point": one.label,
            **{name: _plain(values.get(name)) for name in search.space.variables},
        }  # fmt: skip
        for place, goal in enumerate(search.goals):
            before = one.trial.measured[FULL][place] if one.trial else None
            again = one.measured[place] if one.measured else None
            row |= {
                f"{goal.name}_searched": before.mean if before else None,
                f"{goal.name}_searched_error": before.error if before else None,
                f"{goal.name}_fresh": again.mean if again else None,
                f"{goal.name}_fresh_error": again.error if again else None,
            }  # fmt: skip
        tested = one.tested if one.measured else None
        row |= {"test_accuracy": tested.mean if tested else None, "test_accuracy_sd": tested.sd if tested else None}
        rows.append({**row, "seeds": tested.n if tested else 0, "failed": one.reason or None})
    return pd.DataFrame(rows).astype({"number": "Int64"}) if rows else pd.DataFrame()


def noise(search: Search) -> pd.DataFrame:
    """Return how far the points of the front are from each other, how sure each is, and what is worth more next."""
    rows = []
    columns = ["objective", "scale", "points", "gap_median", "seeds_error_median", "card_sd_median", "worth_more"]
    front = search.front()
    for place, goal in enumerate(search.goals):
        own = [trial.measured[FULL][place] for trial in front]
        if not own:
            continue
        scaled = np.sort([float(goal.scaled(one.mean)) for one in own])
        gap = float(np.median(np.diff(scaled))) if len(scaled) > 1 else np.nan
        # in units of the comparison
        seeds, cards = (
            float(np.median([goal.error(one._replace(**other)) for one in own]))
            for other in ({"card_sd": 0.0}, {"sd": np.nan})
        )
        worth = "another point"
        if goal.name.startswith("validation_accuracy") and all(one.n == 1 and not one.card_sd for one in own):
            worth = "unknown: one seed has no spread"
        elif np.hypot(seeds, cards) > gap:
            worth = "more writes" if cards > seeds else "more seeds"
        told = (goal.name, goal.scale.removesuffix(goal.name).strip("- ") or "1", len(own), gap, seeds, cards, worth)
        rows.append(dict(zip(columns, told, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _basis(search: Search) -> list[Trial]:
    """Return the trials that a fit rests on: those at full fidelity if they suffice, else what all of them told."""
    full = [trial for trial in search.trials if trial.full]
    enough = max(surrogate.LEAST, 3 * len(search.space.variables))
    return full if len(full) >= enough else [trial for trial in search.trials if trial.told]


def _fits(search: Search) -> list[surrogate.Fit | None]:
    basis, seed = _basis(search), search.space.base["seed"]
    found = []
    for place, goal in enumerate(search.goals):
        values = np.array([float(goal.scaled(trial.told[place])) for trial in basis])
        errors = np.array([goal.error(trial.measured[FULL][place]) if trial.full else 0.0 for trial in basis])
        found.append(surrogate.fit(search.space, [trial.values for trial in basis], values, errors, seed))
    return found


def sensitivities(search: Search, fits: list[surrogate.Fit | None]) -> pd.DataFrame:
    """Return Sobol's indices of each objective and variable, with the error of the fit that they are of."""
    columns = [
        "objective", "scale", "variable", "first_order", "first_order_half", "total_order", "total_order_half",
        "points", "fit_rmse", "fit_r2",
    ]  # fmt: skip
    rows = []
    for goal, found in zip(search.goals, fits, strict=True):
        if found is None:
            continue
        own = surrogate.sobol(found, search.space.base["seed"])
        for number, name in enumerate(search.space.variables):
            indices = [float(values[number]) for values in own]
            told = (goal.name, goal.scale, name, *indices, found.points, found.rmse, found.r2)
            rows.append(dict(zip(columns, told, strict=True)))
    return pd.DataFrame(rows, columns=columns)


def chosen(search: Search) -> Trial | None:
    """Return the point of the front that is nearest to the best of all objectives at once; None without a front."""
    if not (front := search.front()):
        return None
    values = search.scaled([trial.measured[FULL] for trial in front])
    extent = np.ptp(values, axis=0)
    away = (values.max(axis=0) - values) / np.where(extent > 0, extent, 1)
    return front[int(np.argmin(np.linalg.norm(away, axis=1)))]


def curves(search: Search, fits: list[surrogate.Fit | None]) -> pd.DataFrame:
    """Return what the fits say of points that differ from the chosen one in one variable alone."""
    rows, columns = [], ["number", "variable", "value", "objective", "predicted", "low", "high"]
    if (centre := chosen(search)) is None:
        return pd.DataFrame(rows, columns=columns)
    for name in centre.values:
        points = surrogate.curve(search.space, centre.values, name)
        for goal, found in zip(search.goals, fits, strict=True):
            if found is None:
                continue
            mean, sd = found.predict(points)
            ends = np.sort([goal.unscaled(mean - surrogate.Z * sd), goal.unscaled(mean + surrogate.Z * sd)], axis=0)
            for point, *told in zip(points, goal.unscaled(mean), *ends, strict=True):
                rows.append(
                    dict(zip(columns, (centre.number, name, _plain(point[name]), goal.name, *told), strict=True))
                )
    return pd.DataFrame(rows, columns=columns)


def robustness(search: Search, fits: list[surrogate.Fit | None]) -> pd.DataFrame:
    """Return how the front moves if one variable is off by the search's tolerance: the worse side, by the fits.

    Losses are in units of the comparison (accuracy, decades), as the fit's error beside them.
    """
    rows, front = [], search.front()
    columns = ["variable", "tolerance", "objective", "scale", "points", "loss_mean", "loss_most", "fit_rmse"]
    for name in search.space.variables:
        able = [(trial.values, surrogate.off(search.space, trial.values, name)) for trial in front]
        able = [one for one in able if one[1]]
        for goal, found in zip(search.goals, fits, strict=True):
            if found is None or not able:
                continue
            losses = [float(found.predict([values])[0][0] - found.predict(moved)[0].min()) for values, moved in able]
            told = (np.mean(losses), np.max(losses), found.rmse)
            head = (name, search.space.design.tolerance, goal.name, goal.scale, len(able))
            rows.append(dict(zip(columns, (*head, *told), strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _plain(value: Any) -> Any:
    """Return a value as a table holds it."""
    return json.dumps(value) if isinstance(value, (list, tuple, dict)) else value
