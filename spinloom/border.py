"""The border between devices and digital circuits of a network's layers in words, for the terminal and the page."""

from __future__ import annotations

import pandas as pd

DEVICES, DIGITAL, NONE = "devices", "digital", "none"  # where a product is formed, in `layers.csv`
SHOWN = (
    "variant", "layer", "array", "products at inference", "training in devices", "training, digital",
    "DAC / ADC (bit)", "digital, after the array",
)  # fmt: skip


def shown(table: pd.DataFrame) -> list[list[str]]:
    """Return ``layers.csv`` as rows of `SHOWN`; variants whose borders are the same share their rows."""
    alike: dict[tuple, list[str]] = {}
    for variant, own in table.groupby("variant", sort=False):
        alike.setdefault(tuple(map(tuple, _words(own))), []).append(str(variant))
    return [[", ".join(names), *row] for rows, names in alike.items() for row in rows]


def _words(table: pd.DataFrame) -> list[list[str]]:
    rows = []
    for row in table.to_dict("records"):
        steps = {"forward": row["training_forward"], "backward": row["training_backward"], "gradient": row["gradient"]}
        training = [", ".join(name for name, found in steps.items() if found == of) for of in (DEVICES, DIGITAL)]
        used = DEVICES in (row["inference"], *steps.values())
        bits = ("ideal" if pd.isna(row[name]) else f"{row[name]:g}" for name in ("dac_bits", "adc_bits"))
        times = f", {row['uses']} times a sample" if row["uses"] > 1 else ""
        rows.append([
            f"{row['layer']}: {row['kind']}", f"{row['inputs']} x {row['outputs']}{times}", row["inference"],
            *(names or "-" for names in training), " / ".join(bits) if used else "-", row["after"],
        ])  # fmt: skip
    return rows
