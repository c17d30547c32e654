"""Published systems beside the studies that stand for them: `collect` makes one table of both.

A study with a section ``system`` says which paper it stands for and what that paper reports; our side is read from the
study's own tables. Published numbers keep their unit, ours are brought to it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from network.training import settings
from spinloom.config import section
from spinloom.errors import UserError
from spinloom.files import read_json, read_table
from spinloom.quantities import LEVELS, OWN, PHASES

# columns of summary.csv, without _mean
SUMMARY = (
    "test_accuracy", "validation_accuracy", "accuracy_below_float", "writes_per_sample", "training_writes_per_sample",
    "writes_per_synapse", "most_writes_on_a_device", "device_reads_per_sample", "memory_bits_per_synapse",
)  # fmt: skip
ENERGIES = (
    "programming_energy_per_presentation_J",
    *(f"{phase}_energy_J_{level}" for phase in PHASES for level in LEVELS),
    *(f"energy_per_operation_J_{level}" for level in LEVELS),
)
RATES = tuple(f"operations_per_J_{phase}_{level}" for phase in PHASES for level in LEVELS)  # 2 for each weight and use
PREFIXES = {"J": 0, "mJ": 3, "uJ": 6, "nJ": 9, "pJ": 12, "fJ": 15, "aJ": 18}
COLUMNS = [
    "system", "paper", "study", "quantity", "variant", "published", "unit", "tag", "ours_mean", "ours_sd", "seeds",
    "epochs", "assumed", "card_sha256",
]  # fmt: skip


def units(quantity: str) -> dict[str, float]:
    """Return the units that a quantity may be given in and by what ours is multiplied; the first is that of our tables.

    Raises
    ------
    UserError
        If there is no such quantity.
    """
    if quantity in ENERGIES:
        return {unit: 10.0**power for unit, power in PREFIXES.items()}
    if quantity in SUMMARY:
        return {"1": 1.0, "%": 100.0} if "accuracy" in quantity else {"1": 1.0}
    if quantity in RATES:
        return {"1/J": 1.0, "TOPS/W": 1e-12}
    raise UserError(f"system.published.quantity: found {quantity}, allowed: {', '.join((*SUMMARY, *ENERGIES, *RATES))}")


def check(system: dict | None, variants: list[str]) -> None:
    """Refuse a ``system`` section whose numbers cannot be set beside any of ours (`UserError`).

    Parameters
    ----------
    system : dict or None
        As completed by the config's schema.
    variants : list of str
        Names of the study's variants; none if it trains nothing.
    """
    if system is None:
        return
    if not variants:
        raise UserError("system: found a system in a study without a network, allowed: null")
    for number, entry in enumerate(system["published"]):
        allowed = units(entry["quantity"])
        if entry["unit"] not in (None, *allowed):
            found, known = entry["unit"], ", ".join(allowed)
            raise UserError(f"system.published.{number}.unit: found {found}, allowed: {known} for {entry['quantity']}")
        if entry["variant"] not in (None, *variants):
            found, known = entry["variant"], ", ".join(variants)
            raise UserError(f"system.published.{number}.variant: found {found}, allowed: {known}")


def collect(studies: list[Path]) -> pd.DataFrame:
    """Return one row per published number and variant of the studies (folders ``results/NAME``) that have a system.

    Every variant has a row for each quantity that the study compares and for ``test_accuracy``; where the paper has no
    number for it, ``published`` is empty.

    Raises
    ------
    UserError
        If a study is not finished, or none of them has a system.
    """
    rows = []
    for study in studies:
        config = read_json(study / "config/resolved.json")
        if config.get("system"):
            rows += _study(study, config)
    if not rows:
        raise UserError("--studies: found no study with a system, allowed: studies whose config has a section `system`")
    return pd.DataFrame(rows)[COLUMNS]


def _study(study: Path, config: dict) -> list[dict]:
    from calibration.card import KernelCard

    system, network = config["system"], settings.check_all(section(config, "network"), study / "config/resolved.json")
    variants = [one.variant for one in network]
    check(system, variants)
    entries = [{**entry, "variant": entry["variant"] or variants[0]} for entry in system["published"]]
    operations = {one.variant: sum(n.inputs * n.outputs * n.uses for n in one.architecture().layers) for one in network}
    ours, runs = _ours(study / "network/summary", operations)
    card = KernelCard.read(study / "calibration/card").hash
    rows = []
    for quantity in dict.fromkeys(["test_accuracy", *(entry["quantity"] for entry in entries)]):
        factors, of_it = units(quantity), [entry for entry in entries if entry["quantity"] == quantity]
        usual = next((entry["unit"] for entry in of_it if entry["unit"]), next(iter(factors)))
        for variant in variants:
            mean, sd = ours.get((variant, quantity), (None, None))
            published = [entry for entry in of_it if entry["variant"] == variant]
            if mean is None and not published:  # no device is programmed in the float baseline
                continue
            for entry in published or [{"value": None, "unit": None, "tag": ""}]:
                unit = entry["unit"] or usual if published else usual
                rows.append({
                    "system": system["name"], "paper": system["paper"], "study": study.name, "quantity": quantity,
                    "variant": variant, "published": entry["value"], "unit": unit, "tag": entry["tag"],
                    "ours_mean": None if mean is None else mean * factors[unit],
                    "ours_sd": None if sd is None else sd * factors[unit], **runs[variant],
                    "assumed": "; ".join(system["assumptions"]), "card_sha256": card,
                })  # fmt: skip
    return rows


def _ours(tables: Path, operations: dict[str, int]) -> tuple[dict[tuple[str, str], tuple], dict[str, dict]]:
    """Return (mean, sd) by variant and quantity after the last epoch, and seeds and epochs by variant."""
    summary, energy, costs = (read_table(tables / f"{name}.csv") for name in ("summary", "energy", "costs"))
    found, runs = {}, {}
    for row in summary[summary["selection"] == "last"].to_dict("records"):
        runs[row["variant"]] = {"seeds": row["seeds"], "epochs": row["epoch_mean"]}
        for quantity in SUMMARY:
            mean = row.get(f"{quantity}_mean", row.get(quantity))
            found[row["variant"], quantity] = mean, row.get(f"{quantity}_sd")
    if missing := sorted(set(operations) - set(runs)):
        raise UserError(f"{tables / 'summary.csv'}: variant: found no {missing[0]}, allowed: a table with all variants")
    programmed = energy[energy["term"] == "programming per presentation"]
    for row in programmed.to_dict("records"):
        found[row["variant"], "programming_energy_per_presentation_J"] = row["energy_J_mean"], row["energy_J_sd"]
    own = costs[(costs["chip"] == OWN) & costs["phase"].isin(PHASES)]
    for row in own.to_dict("records"):
        (variant, phase, level), value = (
            (row[name] for name in ("variant", "phase", "level")),
            (
                row["energy_J_mean"],
                row["energy_J_sd"],
            ),
        )
        if not value[0] > 0:  # floats have neither devices nor arrays
            continue
        found[variant, f"{phase}_energy_J_{level}"] = value
        found[variant, f"operations_per_J_{phase}_{level}"] = row["operations_per_J"], None
        if phase == "inference":
            each = tuple(energy_J / operations[variant] for energy_J in value)
            found[variant, f"energy_per_operation_J_{level}"] = each
    return {key: tuple(_given(v) for v in value) for key, value in found.items() if _given(value[0]) is not None}, runs


def _given(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
