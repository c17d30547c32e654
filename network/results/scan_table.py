"""The points of a scan side by side in one table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spinloom.files import read_json, read_table
from spinloom.quantities import LEVELS, OWN, PHASES

COPIED = (
    "rule", "seeds", "epoch_mean", "test_accuracy_mean", "test_accuracy_sd", "accuracy_below_float_mean",
    "accuracy_below_float_sd", "writes_per_sample_mean", "training_writes_per_sample_mean", "most_writes_on_a_device",
    "memory_bits_per_synapse", "dac_clipped_share", "adc_clipped_share", "synapses", "devices", "assumed", "warnings",
)  # fmt: skip
COSTS = {  # column: phase, level and column of costs.csv
    f"{phase}_energy_{unit}_{level}": (phase, level, column)
    for phase in PHASES
    for level in LEVELS
    for unit, column in (("J", "energy_J_mean"), ("sd_J", "energy_J_sd"))
} | {  # of the whole system
    "training_time_s": ("training", "system", "time_s"), "inference_time_s": ("inference", "system", "time_s"),
    "area_m2": ("inference", "system", "area_m2"),
    "inference_operations_per_J": ("inference", "system", "operations_per_J"),
}  # fmt: skip


def collect(points: dict[str, dict[str, str]], folder: Path) -> pd.DataFrame:
    """Return one row per point and variant: accuracies, writes, energies, and its labels, a column ``axis_NAME`` each.

    Parameters
    ----------
    points : dict
        Labels by axis, of each point by its name; see `workflow.study.scan`.
    folder : Path
        Has a finished study for each point, by its name.

    Raises
    ------
    UserError
        If a point's tables are missing.
    """
    rows = []
    for name, labels in points.items():
        study = folder / name
        summary, costs = (read_table(study / "network/summary" / f"{table}.csv") for table in ("summary", "costs"))
        last = summary[summary["selection"] == "last"]
        totals = costs[costs["chip"] == OWN].set_index(["variant", "phase", "level"]).to_dict("index")
        card = read_json(study / "calibration/card/card.json")
        written = int(read_table(study / "calibration/card/transitions.csv")["count"].sum())
        states = len(read_table(study / "calibration/card/states.csv"))
        for row in last.to_dict("records"):
            variant = row["variant"]
            rows.append({
                "point": name, **{f"axis_{axis}": label for axis, label in labels.items()},
                "variant": variant, **{column: row[column] for column in COPIED},
                **{key: totals[variant, *which][column] for key, (*which, column) in COSTS.items()},
                "costs_lack": totals[variant, PHASES[-1], LEVELS[-1]]["lacks"],
                **({"data": row["data"]} if "data" in row else {}),  # of the user's own
                "states": states, "writes_behind_card": written, "card_sha256": card["hash"],
            })  # fmt: skip
    return pd.DataFrame(rows)
