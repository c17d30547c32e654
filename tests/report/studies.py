"""Folders as finished studies leave them, made up in no time: the calibration's made-up devices, and network tables."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from calibration.consequences.derive import with_derived
from calibration.sources import library
from spinloom import files
from tests.calibration.conftest import KINDS, ROOT, Study
from tests.dictionary import documented
from workflow.study import config as study_config
from workflow.study.axes import axis_entries

VARIANTS = {"five": 0.9, "two </script>": 0.85, "float_baseline": 0.95}
ENERGY_J = {"device": 1e-13, "array": 1e-9, "system": 1e-6}


def filled(heading: str, rows: list[dict]) -> pd.DataFrame:
    """Return rows as the table that the data dictionary describes, with nothing where they say nothing."""
    columns = documented(heading)
    assert set().union(*rows) <= set(columns), heading
    return pd.DataFrame(rows).reindex(columns=columns)


def simulated(folder: Path, kind: str) -> dict:
    """Write the device stage's tables and the card of a made-up device; return the calibration section."""
    study = {"domain_wall": Study, **KINDS}[kind](folder)
    family = study.device["family"]
    if family == "domain_wall":
        study.pulses["polarity"] = 1
    else:
        study.events["instance"] = study.events["instance"].astype(int)
    card = study.card()
    with_derived(card).write(folder / "calibration" / "card")
    times = np.linspace(0, study.pulses["duration_s"].max() + 4e-9, 12)
    track = "mz" if family.endswith("mtj") else "position_m"
    rows = []
    for row in study.events.groupby("pulse").head(30).to_dict("records"):
        end = row.get("final_position_m", row.get("mz_pulse_mean", 1e-7))
        for t in times:
            rows.append({
                "pulse": row["pulse"], "instance": row["instance"], "replica": row["replica"], "t_s": t, track: end,
            })  # fmt: skip
    files.write_parquet(filled(f"{family}: trajectories", rows), folder / "device_sims" / "trajectories.parquet")
    summary = []
    for pulse, own in study.events.groupby("pulse"):
        drive = {
            name: study.pulses[name][pulse]
            for name in ("voltage_V", "field_T", "direction", "duration_s")
            if name in study.pulses and name in documented(f"{family}: summary")
        }
        row = {"pulse": pulse, **drive, "writes": len(own)}
        if family == "domain_wall":
            ends = own["final_position_m"]
            row |= {"lost": 0, "position_mean_m": ends.mean(), "position_sd_m": ends.std()}
            row |= {"position_sem_m": ends.sem()}
        else:
            moved = own["passed"] if "passed" in own else own["start_state"] != own["final_state"]
            row |= {"probability": moved.mean(), "ci_low": moved.mean() * 0.9, "ci_high": moved.mean() * 0.9 + 0.1}
        summary.append(row)
    files.write_csv(filled(f"{family}: summary", summary), folder / "device_sims" / "summary.csv")
    return study.config


def network(folder: Path) -> None:
    """Write the network stage's tables: 3 variants, 2 seeds, 3 epochs."""
    history, summary, energy, confusion, evaluations = [], [], [], [], []
    costs, areas, rivals, sensitivity, layers = [], [], [], [], []
    for place, (variant, accuracy) in enumerate(VARIANTS.items()):
        own = {"variant": variant, "rule": "accumulate_quantise_program"}
        writes = 0 if variant == "float_baseline" else 0.5 + place
        for replicate in range(2):
            history += [
                {**own, "replicate": replicate, "epoch": epoch, "samples": 100, "train_loss": 1 / epoch,
                 "validation_accuracy": accuracy, "test_accuracy": accuracy - 0.1 / epoch + 0.01 * replicate,
                 "writes": 10, "writes_per_sample": writes}
                for epoch in (1, 2, 3)
            ]  # fmt: skip
        summary += [
            {**own, "selection": selection, "seeds": 2, "epoch_mean": 3, "test_accuracy_mean": accuracy,
             "test_accuracy_sd": 0.001, "writes_per_sample_mean": writes, "most_writes_on_a_device": 7, "devices": 40,
             "memory_bits_per_synapse": 32 + place, "accuracy_below_float_mean": 0.95 - accuracy,
             "accuracy_below_float_sd": 0.002, "device_reads_per_sample": 10 * place,
             "assumed": "short pulses" if variant == "five" else None, "dac_clipped_share": None,
             "adc_clipped_share": 0.07 * place,
             "warnings": "7 % of the values are <beyond>" if variant != "five" else None}
            for selection in ("last", "validation_selected")
        ]  # fmt: skip
        for phase in ("training", "inference"):
            for level, joule in ENERGY_J.items():
                mean = 0.0 if variant == "float_baseline" and level != "system" else joule * (1 + place)
                told = {"formula": "N E", "inputs": "N=1", "assumption": "a < b"}
                costs.append({
                    **own, "chip": "own", "phase": phase, "level": level, "energy_J_mean": mean, "time_s": 1e-6,
                    "area_m2": 1e-6, "power_W": mean / 1e-6, "operations_per_s": 1e12, "operations_per_J": 1e13,
                    "operations_per_s_per_m2": 1e18, "lacks": "ideal ADC, not charged" if level == "array" else None,
                })  # fmt: skip
                areas.append(
                    {
                        **own,
                        "chip": "own",
                        "phase": phase,
                        "level": level,
                        "block": "cells",
                        "number": 9,
                        "area_m2": 1e-9,
                    }
                )
                sensitivity += [{
                    **own, "phase": phase, "quantity": quantity, "constant": "adc_J_per_step", "value": 1e-14,
                    "low": 1e-15, "high": 5e-14, "total": 1.0, "total_at_low": 0.5, "total_at_high": 4.0,
                    "source": "a < survey",
                } for quantity in ("energy_J", "time_s", "area_m2")]  # fmt: skip
                rivals.append({**own, "chip": "int8 streamed", "phase": "inference", "term": "leakage"})
                energy += [{**own, "phase": phase, "level": level, "term": term, "energy_J_mean": mean, **told}
                           for term in ("reads", "total")]  # fmt: skip
        held = "digital" if variant == "float_baseline" else "devices"
        layers.append({
            **own, "layer": 1, "kind": "dense", "inputs": 5, "outputs": 3, "uses": 1, "devices": 40, "inference": held,
            "training_forward": held, "training_backward": "none", "gradient": "digital", "after": "bias; <relu>",
        })  # fmt: skip
        confusion += [
            {**own, "true_class": true, "predicted_class": answer, "images": 90 if true == answer else 5}
            for true in range(3)
            for answer in range(3)
        ]
        evaluations += [
            {**own, "condition": "input_noise_sd", "value": noise, "seeds": 2, "draws": 1,
             "test_accuracy_mean": accuracy - noise, "test_accuracy_sd": 0.0, "test_accuracy_min": accuracy - noise,
             "test_accuracy_max": accuracy}
            for noise in (0.1, 0.2)
        ]  # fmt: skip
        evaluations += [
            {**own, "condition": "hold_s", "value": hold, "temperature_K": 358.0, "refresh_interval_s": interval,
             "seeds": 2, "draws": 1, "test_accuracy_mean": accuracy, "test_accuracy_sd": 0.0,
             "test_accuracy_min": accuracy, "test_accuracy_max": accuracy}
            for interval in (None, 3600.0) for hold in (1e4, 1e8)
        ]  # fmt: skip
    tables = {"history": history, "summary": summary, "energy": energy, "confusion": confusion}
    tables |= {"costs": costs, "areas": areas, "rivals": rivals, "sensitivity": sensitivity, "layers": layers}
    tables |= {"evaluations": evaluations, "writes": [{"variant": "five", "epoch": 1}]}
    years = {"endurance_writes": 1e12, "samples_per_s": 1e3, "lifetime_years_worst": 321.0}
    tables |= {"programming": [
        {"variant": "five", "rule": "train_then_deploy", "stage": "deployment", "pulses": pulses, "seeds": 2,
         "unfinished": 1 / 2**pulses, "error_rms": 0.5, "error_p05": -0.9, "error_p50": 0.0, "error_p95": 0.9}
        for pulses in range(3)
    ]}  # fmt: skip
    tables |= {"lifetime": [{"variant": "five", "cause": "learning", **years}]}
    for name, rows in tables.items():
        files.write_csv(filled(f"summary/{name}.csv", rows), folder / "network" / "summary" / f"{name}.csv")
    quantity = {"system": "x", "paper": "A paper", "quantity": "test_accuracy", "variant": "five", "published": 91.0}
    systems = [{**quantity, "unit": "%", "ours_mean": 90.0, "ours_sd": 0.1, "seeds": 2, "assumed": "much"}]
    files.write_csv(filled("summary/systems.csv", systems), folder / "network" / "summary" / "systems.csv")
    data = {"dataset": "mnist", "title": "MNIST", "files": [{"name": "images", "sha256": "ab" * 32}]}
    files.write_json(data, folder / "network" / "data.json")


def finished(folder: Path, kind: str, trains: bool) -> Path:
    """Write a finished study; ``kind`` is a made-up device or a card of the library."""
    config = study_config.load(ROOT / "config.yaml")
    config["study"] = kind
    if kind in library.names():
        config["calibration"]["source"]["kind"] = "library"
        library.card(kind).write(folder / "calibration" / "card")
    else:
        config["calibration"] = simulated(folder, kind)
    if trains:
        config["system"] = {"name": "x"}
        network(folder)
    else:
        config["network"] = None
    files.write_json(config, folder / "config" / "resolved.json")
    if kind == "domain_wall":
        pictures(folder, [0, 2])
    return folder


def pictures(folder: Path, pulses: list[int]) -> None:
    """Write a strip and an animation of three frames for each of these pulses, in colours of their own."""
    place = folder / "device_sims" / "pictures"
    place.mkdir()
    for pulse in pulses:
        Image.new("RGB", (4, 3), (40 * pulse, 0, 0)).save(place / f"pulse_{pulse}_strip.webp", lossless=True)
        first, *others = (Image.new("RGB", (5, 3), (40 * pulse, 0, 50 * n)) for n in range(1, 4))
        first.save(
            place / f"pulse_{pulse}.webp", lossless=True, save_all=True, append_images=others, duration=350, loop=0
        )
    files.write_json({"options": {}, "pulses": pulses}, folder / "config" / "pictures.json")


MARGINS, LEVELS = [0.0, 0.1, 0.5], {"2": [0, 4], "010": [0, 1, 2, 3, 4], "wall": [0, 2, 4]}
AXES = [
    {"key": "network.rule_options.margin", "values": MARGINS},
    {"name": "levels", "points": {name: {"network": {"device": {"pulses": used}}} for name, used in LEVELS.items()}},
    {"name": "of", "points": {"track": {"from": "configs/dw_few_state.yaml", "take": ["device_sims"]}}},
]


def scan(folder: Path, axes: list[dict]) -> Path:
    """Write what a scan leaves when it has run, without its points' own results: two variants of three seeds each."""
    config = study_config.laid_over("config.yaml", {"study": "a_scan", "scan": {"axes": axes}})
    files.write_json(config, folder / "config" / "resolved.json")
    named = dict(axis_entries(number, axis) for number, axis in enumerate(config["scan"]["axes"]))
    chosen = [dict(zip(named, labels)) for labels in product(*named.values())]
    points = {",".join(f"{axis}={label}" for axis, label in labels.items()): labels for labels in chosen}
    # in the points' order, as the workflow writes it
    files.write_text(json.dumps(points), folder / "config" / "scan.json")
    rows = []
    for place, (point, labels) in enumerate(points.items()):
        files.write_json({**config, "scan": None}, folder / "points" / point / "config" / "resolved.json")
        for variant, accuracy in (("five", 0.8 + 0.013 * place), ("float_baseline", 0.95)):
            rows.append({
                "point": point, **{f"axis_{axis}": label for axis, label in labels.items()},
                "variant": variant, "rule": variant, "seeds": 3, "epoch_mean": 5.0, "test_accuracy_mean": accuracy,
                "test_accuracy_sd": 0.001, "accuracy_below_float_mean": 0.95 - accuracy, "synapses": 40,
                "accuracy_below_float_sd": 0.002, "writes_per_sample_mean": 0.5 + place, "devices": 40,
                "training_writes_per_sample_mean": 0.1, "most_writes_on_a_device": 7, "memory_bits_per_synapse": 32,
                "assumed": None, "dac_clipped_share": None, "adc_clipped_share": 0.07,
                "warnings": "7 % of the values are <beyond>" if point == "a" else None,
                **{
                    f"{phase}_energy_{unit}_{level}": joule * (1 + place if variant == "five" else level == "system")
                    for phase in ("training", "inference") for level, mean in ENERGY_J.items()
                    for unit, joule in (("J", mean), ("sd_J", 0.02 * mean))
                },
                "training_time_s": 2e-6, "inference_time_s": 1e-6, "area_m2": 1e-6, "inference_operations_per_J": 1e13,
                "costs_lack": None, "states": 5, "writes_behind_card": 160, "card_sha256": files.sha256_text(point),
            })  # fmt: skip
    files.write_csv(pd.DataFrame(rows), folder / "scan.csv")
    return folder
