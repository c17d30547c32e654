"""The network stage's tables on the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from spinloom import border
from spinloom.files import read_table
from spinloom.quantities import LEVELS, OWN, PHASES


def show(directory: Path, console: Console) -> None:
    """Print accuracy, writes, layers, energies, tests, lifetimes, published numbers: as far as ``directory`` has them.

    Raises
    ------
    UserError
        If a table that each study has is absent or damaged.
    """
    summary = read_table(directory / "summary.csv")
    console.print(_summary(summary))
    for variant, assumed in summary.dropna(subset="assumed").groupby("variant", sort=False)["assumed"].first().items():
        console.print(f"{variant} assumes: {assumed}", markup=False, highlight=False)
    if "data" in summary:
        console.print(f"data set: {summary['data'].iloc[0]}", markup=False, highlight=False)
    for warning in summary["card_warnings"].dropna().unique() if "card_warnings" in summary else ():
        console.print(f"warning: {warning}", style="bold", markup=False, highlight=False)
    for variant, told in summary.dropna(subset="warnings").groupby("variant", sort=False)["warnings"].first().items():
        console.print(f"warning: {variant}: {told}", style="bold", markup=False, highlight=False)
    if (directory / "layers.csv").exists():  # a summary of an earlier version has none
        console.print(_layers(read_table(directory / "layers.csv")))
    costs = read_table(directory / "costs.csv")
    console.print(_energy(costs))
    console.print(_chip(costs))
    lacking = costs[(costs["chip"] == OWN) & costs["lacks"].notna()]
    for variant, lacks in lacking.groupby("variant", sort=False)["lacks"].first().items():
        told = f"warning: the costs of {variant} leave out: {lacks}"
        console.print(told, style="bold", markup=False, highlight=False)
    tests = read_table(directory / "evaluations.csv")
    if len(tests):
        console.print(_evaluations(tests))
    programming = read_table(directory / "programming.csv")
    if len(programming):
        console.print(_programming(programming))
    life = read_table(directory / "lifetime.csv")
    if len(life):
        console.print(_lifetime(life))
    if (directory / "systems.csv").exists():
        console.print(_systems(read_table(directory / "systems.csv")))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    return table


def _share(mean: float, sd: float, seeds: int) -> str:
    if pd.isna(mean):
        return "-"
    return f"{100 * mean:.2f}" + (f" ± {100 * sd:.2f}" if seeds > 1 and not pd.isna(sd) else "")


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.4g}"


def _summary(rows: pd.DataFrame) -> Table:
    table = _table(
        "accuracy and writes", "variant", "epoch", "seeds", "test accuracy (%)", "below float (%)", "writes per sample",
        "most writes", "devices", "bits per synapse",
    )  # fmt: skip
    for row in rows.to_dict("records"):
        table.add_row(
            row["variant"], f"{row['selection'].replace('_', ' ')} ({row['epoch_mean']:g})", str(row["seeds"]),
            _share(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"]),
            _share(row["accuracy_below_float_mean"], row["accuracy_below_float_sd"], row["seeds"]),
            _number(row["writes_per_sample_mean"]), f"{row['most_writes_on_a_device']:g}", str(row["devices"]),
            f"{row['memory_bits_per_synapse']:g}",
        )  # fmt: skip
    return table


def _layers(rows: pd.DataFrame) -> Table:
    table = Table(title="what devices compute, and what is digital", title_justify="left")
    for name in border.SHOWN:
        table.add_column(name, overflow="fold")
    for row in border.shown(rows):
        table.add_row(*row)
    return table


def _energy(rows: pd.DataFrame) -> Table:
    total = rows[rows["chip"] == OWN].set_index(["variant", "phase", "level"])["energy_J_mean"]
    heads = [f"{phase}: {level}" for phase in PHASES for level in LEVELS]
    table = _table("energy per sample (J); array holds the devices, system both", "variant", *heads)
    for variant in dict.fromkeys(rows["variant"]):
        known = (total[variant, phase, level] for phase in PHASES for level in LEVELS)
        table.add_row(variant, *("unknown" if pd.isna(value) else f"{value:.3g}" for value in known))
    return table


def _chip(rows: pd.DataFrame) -> Table:
    """Show the chips at inference, whole systems, each variant's beside its digital rivals."""
    table = _table(
        "chips at inference, whole system", "variant", "chip", "energy (J)", "time (s)", "area (mm2)", "power (W)",
        "TOPS", "TOPS/W", "TOPS/mm2",
    )  # fmt: skip
    scales = {
        "energy_J_mean": 1, "time_s": 1, "area_m2": 1e6, "power_W": 1, "operations_per_s": 1e-12,
        "operations_per_J": 1e-12, "operations_per_s_per_m2": 1e-18,
    }  # fmt: skip
    for row in rows[(rows["phase"] == "inference") & (rows["level"] == LEVELS[-1])].to_dict("records"):
        table.add_row(row["variant"], row["chip"], *(_number(row[name] * scale) for name, scale in scales.items()))
    return table


def _evaluations(rows: pd.DataFrame) -> Table:
    table = _table(
        "further tests", "variant", "condition", "value", "seeds", "draws", "test accuracy (%)", "worst (%)", "best (%)"
    )
    for row in rows.to_dict("records"):
        table.add_row(
            row["variant"], row["condition"] + _held(row), _number(row["value"]), str(row["seeds"]), str(row["draws"]),
            _share(row["test_accuracy_mean"], row["test_accuracy_sd"], row["seeds"]),
            _share(row["test_accuracy_min"], 0, 1), _share(row["test_accuracy_max"], 0, 1),
        )  # fmt: skip
    return table


def _programming(rows: pd.DataFrame) -> Table:
    """Show what each closed loop reached in the end; programming.csv has it for every pulse."""
    table = _table(
        "programming in a closed loop: errors of the weight, -1 to 1", "variant", "stage", "most pulses",
        "not there (%)", "rms error", "5 % below", "5 % above",
    )  # fmt: skip
    for row in rows.groupby(["variant", "stage"], sort=False).tail(1).to_dict("records"):
        values = (100 * row["unfinished"], row["error_rms"], row["error_p05"], row["error_p95"])
        table.add_row(row["variant"], row["stage"], str(row["pulses"]), *(_number(value) for value in values))
    return table


def _held(row: dict) -> str:
    if pd.isna(row["temperature_K"]):
        return ""
    often = "" if pd.isna(row["refresh_interval_s"]) else f", refreshed every {row['refresh_interval_s']:g} s"
    return f", {row['temperature_K']:g} K{often}"


def _lifetime(rows: pd.DataFrame) -> Table:
    table = _table(
        f"lifetime: {rows['endurance_writes'].iloc[0]:.3g} writes, {rows['samples_per_s'].iloc[0]:g} samples/s",
        "variant", "cause", "writes/s, worst device", "mean device", "years, worst device", "mean device",
    )  # fmt: skip
    values = ("writes_per_s_worst", "writes_per_s_mean", "lifetime_years_worst", "lifetime_years_mean")
    for row in rows.to_dict("records"):
        table.add_row(row["variant"], row["cause"] + _held(row), *(_number(row[name]) for name in values))
    return table


def _systems(rows: pd.DataFrame) -> Table:
    table = _table(f"beside {rows['paper'].iloc[0]}", "quantity", "variant", "published", "ours", "sd", "unit")
    for row in rows.to_dict("records"):
        variant = "" if pd.isna(row["variant"]) else row["variant"]
        numbers = (_number(row[name]) for name in ("published", "ours_mean", "ours_sd"))
        table.add_row(row["quantity"], variant, *numbers, str(row["unit"]))
    return table
