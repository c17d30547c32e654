"""From the folders of finished runs to the tables of the stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from network import metering
from network.device import DeviceModel
from network.settings import Settings
from spinloom.errors import UserError
from spinloom.files import read_json, read_table, write_csv, write_json

HISTORY_COLUMNS = [
    "rule", "replicate", "epoch", "samples", "train_loss", "validation_accuracy", "test_accuracy",
    "writes", "writes_per_sample", "transitions", "write_energy_J",
]  # fmt: skip


def history_table(rows: list[dict], rule: str, replicate: int, device: DeviceModel) -> pd.DataFrame:
    """Return one row per epoch; epoch 0 is the first programming of all devices."""
    table = []
    for row in rows:
        by_pulse = np.array(row["writes_by_pulse"])
        writes = int(by_pulse.sum())
        table.append({
            "rule": rule, "replicate": replicate, "writes": writes,
            "writes_per_sample": writes / row["samples"] if row["samples"] else None,
            "transitions": row["transitions"], "write_energy_J": float(by_pulse @ device.write_energy),
            **{key: row[key] for key in ("epoch", "samples", "train_loss", "validation_accuracy", "test_accuracy")},
        })  # fmt: skip
    return pd.DataFrame(table)[HISTORY_COLUMNS]


def confusion_table(matrix: np.ndarray, rule: str, replicate: int) -> pd.DataFrame:
    """Return a confusion matrix in long format: rule, replicate, true_class, predicted_class, images."""
    true, predicted = np.indices(matrix.shape)
    return pd.DataFrame({
        "rule": rule, "replicate": replicate, "true_class": true.ravel(), "predicted_class": predicted.ravel(),
        "images": matrix.ravel(),
    })  # fmt: skip


def write_run(directory: Path, result: dict, device: DeviceModel) -> None:
    """Write a finished run: history.csv, confusion.csv, meter.json."""
    meter = result["meter"]
    rule, replicate = meter["rule"], meter["replicate"]
    write_csv(history_table(result["history"], rule, replicate, device), directory / "history.csv")
    write_csv(confusion_table(result["confusion"], rule, replicate), directory / "confusion.csv")
    write_json(meter, directory / "meter.json")


def _spread(values: pd.Series, name: str) -> dict[str, float | None]:
    """Mean and sd (n - 1) over seeds; the sd of one seed is left empty."""
    return {f"{name}_mean": values.mean(), f"{name}_sd": values.std(ddof=1) if len(values) > 1 else None}


def summary_table(history: pd.DataFrame, meters: list[dict]) -> pd.DataFrame:
    """Return per rule the accuracy at the last and at the validation-selected epoch (the first best one)."""
    rows = []
    trained = history[history["epoch"] > 0]
    for rule, of_rule in trained.groupby("rule", sort=False):
        by_seed = of_rule.groupby("replicate", sort=True)
        picks = {
            "last": by_seed["epoch"].idxmax(),
            "validation_selected": by_seed["validation_accuracy"].idxmax(),
        }
        costs = pd.DataFrame([metering.counts(meter) for meter in meters if meter["rule"] == rule])
        for selection, index in picks.items():
            chosen = of_rule.loc[index]
            rows.append({
                "rule": rule, "selection": selection, "seeds": len(chosen), "epoch_mean": chosen["epoch"].mean(),
                **_spread(chosen["test_accuracy"], "test_accuracy"),
                **_spread(chosen["validation_accuracy"], "validation_accuracy"),
                **_spread(costs["writes_per_sample"], "writes_per_sample"),
                "training_writes_per_sample_mean": costs["training_writes_per_sample"].mean(),
                "writes_per_synapse_mean": costs["writes_per_synapse"].mean(),
                "most_writes_on_a_device": costs["most_writes_on_a_device"].max(),
                "device_reads_per_sample": costs["device_reads_per_sample"].mean(),
                "synapses": costs["synapses"].max(),
                "memory_bits_per_synapse": costs["memory_bits_per_synapse"].mean(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def writes_table(history: pd.DataFrame) -> pd.DataFrame:
    """Return per rule and epoch the writes, writes per sample and transitions, mean and sd over seeds."""
    rows = []
    for (rule, epoch), group in history.groupby(["rule", "epoch"], sort=False):
        rows.append({
            "rule": rule, "epoch": epoch, "seeds": len(group), **_spread(group["writes"], "writes"),
            **_spread(group["writes_per_sample"], "writes_per_sample"), **_spread(group["transitions"], "transitions"),
            **_spread(group["write_energy_J"], "write_energy_J"),
        })  # fmt: skip
    return pd.DataFrame(rows)


def energy_table(meters: list[dict], device: DeviceModel, section: dict) -> pd.DataFrame:
    """Return per rule every energy term, the cumulative totals and the programming energy per presentation.

    Inputs shown are those of the first seed; energies are mean and sd over seeds, J per sample.
    """
    rows = []
    for rule in dict.fromkeys(meter["rule"] for meter in meters):
        mine = [meter for meter in meters if meter["rule"] == rule]
        runs = [metering.energy_terms(meter, device, section) for meter in mine]
        for i, term in enumerate(runs[0]):
            values = pd.Series([run[i]["energy_J"] for run in runs])
            head = {key: term[key] for key in ("phase", "level", "term")}
            tail = {key: term[key] for key in ("formula", "inputs", "assumption")}
            rows.append({"rule": rule, **head, **_spread(values, "energy_J"), **tail})
        sums = [metering.totals(run) for run in runs]
        for phase, level in sums[0]:
            values = pd.Series([total[phase, level] for total in sums])
            rows.append({"rule": rule, "phase": phase, "level": level, "term": "total", **_spread(values, "energy_J"),
                         "formula": "sum of the terms of this level and those below",
                         "inputs": "", "assumption": ""})  # fmt: skip
        if mine[0]["uses_device"]:
            written = [float(np.array(meter["writes_by_pulse"]) @ device.write_energy) for meter in mine]
            values = pd.Series([
                metering.programming_energy_per_presentation(energy, run["samples"] // run["epochs"], run["epochs"])
                for energy, run in zip(written, mine, strict=True)
            ])  # fmt: skip
            rows.append({"rule": rule, "phase": "training", "level": "device", "term": "programming per presentation",
                         **_spread(values, "energy_J"), "formula": "N_writes * E_write / (N_train * epochs)",
                         "inputs": f"E_written={written[0]:.6g}; samples={mine[0]['samples']}",
                         "assumption": "definition of 'energy per inference' in arXiv 2111.07284"})  # fmt: skip
    return pd.DataFrame(rows)


def summarise(runs: list[Path], settings: Settings, device: DeviceModel, output: Path) -> None:
    """Write history.csv, summary.csv, writes.csv, energy.csv and confusion.csv for a set of runs.

    Parameters
    ----------
    runs : list of Path
        Folders of finished runs; their order does not matter.
    settings : Settings
    device : DeviceModel
    output : Path

    Raises
    ------
    UserError
        If a run is missing, given twice, or not trained for the configured number of epochs.
    """
    loaded = {}
    for run in runs:
        meter = read_json(run / "meter.json")
        name = (meter["rule"] == settings.baseline, meter["rule"], meter["replicate"])
        if name in loaded:
            raise UserError(f"{run}: rule {name[1]}, replicate {name[2]} is given twice")
        if meter["epochs"] != settings.epochs:
            raise UserError(f"{run}: epochs: found {meter['epochs']}, allowed {settings.epochs} (network.epochs)")
        if meter["device"] != device.digest:
            raise UserError(f"{run}: was trained with another card or other network.device options than those given")
        loaded[name] = (meter, read_table(run / "history.csv"), read_table(run / "confusion.csv"))
    order = [loaded[name] for name in sorted(loaded)]
    meters = [meter for meter, _, _ in order]
    history = pd.concat([table for _, table, _ in order], ignore_index=True)
    confusion = pd.concat([table for _, _, table in order], ignore_index=True)
    confusion = confusion.groupby(["rule", "true_class", "predicted_class"], sort=False, as_index=False)["images"].sum()
    tables = {
        "history": history,
        "summary": summary_table(history, meters),
        "writes": writes_table(history),
        "energy": energy_table(meters, device, settings.energy),
        "confusion": confusion,
    }
    for name, table in tables.items():
        write_csv(table, output / f"{name}.csv")
