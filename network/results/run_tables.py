"""The tables of one finished run, as `network.results.summary` gathers them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from network.results.meter import Meter
from network.synapse.device import DeviceModel
from spinloom.files import sealed, write_csv

HISTORY_COLUMNS = [
    "variant", "rule", "replicate", "epoch", "samples", "train_loss", "validation_accuracy", "test_accuracy",
    "writes", "writes_per_sample", "transitions", "disturbs", "write_energy_J",
]  # fmt: skip

EVALUATION_COLUMNS = [
    "variant", "rule", "replicate", "condition", "value", "temperature_K", "refresh_interval_s", "draw",
    "test_accuracy", "writes", "refresh_writes_per_device", "refresh_writes_of_worst_state", "refresh_energy_J",
]  # fmt: skip

ERRORS = ["error_rms", "error_p05", "error_p25", "error_p50", "error_p75", "error_p95"]
PROGRAMMING_COLUMNS = [
    "variant", "rule", "replicate", "stage", "pulses", "unfinished", *ERRORS, *(f"{name}_S" for name in ERRORS),
]  # fmt: skip


def history_table(rows: list[dict], meter: Meter, device: DeviceModel) -> pd.DataFrame:
    """Return one row per epoch; epoch 0 is the first programming of all devices."""
    table = []
    for row in rows:
        by_pulse = np.array(row["writes_by_pulse"])
        writes = int(by_pulse.sum())
        table.append({
            **whose(meter), "replicate": meter.replicate, "writes": writes, "disturbs": row["disturbs"],
            "writes_per_sample": writes / row["samples"] if row["samples"] else None,
            "transitions": row["transitions"], "write_energy_J": float(by_pulse @ device.write_energy),
            **{key: row[key] for key in ("epoch", "samples", "train_loss", "validation_accuracy", "test_accuracy")},
        })  # fmt: skip
    return pd.DataFrame(table)[HISTORY_COLUMNS]


def whose(meter: Meter) -> dict[str, str]:
    """Return the columns that tell whose run it is."""
    return {"variant": meter.variant, "rule": meter.rule}


def confusion_table(matrix: np.ndarray, meter: Meter) -> pd.DataFrame:
    """Return a confusion matrix, int64[classes, classes], in long format.

    Columns: variant, rule, replicate, true_class, predicted_class, images.
    """
    true, predicted = np.indices(matrix.shape)
    return pd.DataFrame({
        **whose(meter), "replicate": meter.replicate, "true_class": true.ravel(),
        "predicted_class": predicted.ravel(), "images": matrix.ravel(),
    })  # fmt: skip


def evaluation_table(rows: list[dict], meter: Meter) -> pd.DataFrame:
    """Return one row per further evaluation of the trained network."""
    table = pd.DataFrame([{**whose(meter), "replicate": meter.replicate, **row} for row in rows])
    return table.reindex(columns=EVALUATION_COLUMNS)


def programming_table(rows: list[dict], meter: Meter) -> pd.DataFrame:
    """Return one row per stage of closed-loop programming and number of pulses; none without a closed loop."""
    table = pd.DataFrame([{**whose(meter), "replicate": meter.replicate, **row} for row in rows])
    return table.reindex(columns=PROGRAMMING_COLUMNS)


def write_run(directory: Path, result: dict, device: DeviceModel) -> None:
    """Write a finished run: history.csv, confusion.csv, evaluations.csv, programming.csv, meter.json."""
    meter = result["meter"]
    with sealed(directory, ("history.csv", "confusion.csv", "evaluations.csv", "programming.csv", "meter.json")):
        write_csv(history_table(result["history"], meter, device), directory / "history.csv")
        write_csv(confusion_table(result["confusion"], meter), directory / "confusion.csv")
        write_csv(evaluation_table(result["evaluations"], meter), directory / "evaluations.csv")
        write_csv(programming_table(result["programming"], meter), directory / "programming.csv")
        meter.write(directory / "meter.json")
