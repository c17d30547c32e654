"""Networks that suit measured devices: what `inspect` writes, and what a study has that names no learning rule."""

from __future__ import annotations

from typing import Any

from calibration.card import Kind

STEPS: dict[str, Any] = {
    "layers": [784, 100, 10],
    "activation": "sigmoid",
    "normalisation": "none",
    "weight_range": 10.0,
    "batch_size": 1,
    "epochs": 3,
    "optimizer": {"name": "sgd", "learning_rate": 0.1, "schedule": {"name": "exponential", "final_fraction": 0.05}},
    "seeds": 1,
    "rule": "stochastic_coincidence",
    "rule_options": {"pair": True},
    "device": {"pulses": "most_written"},
}
SWITCHING: dict[str, Any] = {
    "layers": [784, 256, 10],
    "batch_size": 1000,
    "epochs": 5,
    "optimizer": {"name": "adam", "learning_rate": 0.01, "schedule": {"name": "exponential", "final_fraction": 0.05}},
    "seeds": 1,
    "rule": "outer_product_probability",
    "rule_options": {"devices": 16, "gain": 10.0, "normalise": "layer"},
}
# for devices whose pulses write levels: the rest is as in the default study
LEVELS: dict[str, Any] = {"rule": "accumulate_quantise_program"}
NETWORKS = {Kind.STEPS: STEPS, Kind.SWITCHING: SWITCHING, Kind.LEVELS: LEVELS}
