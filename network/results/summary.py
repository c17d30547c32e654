"""From the folders of finished runs to the tables of the stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from network.hardware import border, costs
from network.hardware.run import Run
from network.results import lifetime
from network.results.meter import Clipped, Meter
from network.results.run_tables import PROGRAMMING_COLUMNS
from network.sections import Converters
from network.synapse.device import DeviceModel
from network.training.settings import BASELINE, Settings
from spinloom.errors import UserError
from spinloom.files import read_table, sealed, write_csv

PARTS = ("history", "confusion", "evaluations", "programming")  # tables of a run
CLIPPED = 0.01  # share of a layer's values beyond a converter's full scale above which a run warns
REFRESH = ("refresh_writes_per_device", "refresh_energy_J")


def _spread(values: pd.Series, name: str) -> dict[str, float]:
    """Mean and sd (n - 1) over seeds; the sd of one seed is not a number and left empty."""
    return {f"{name}_mean": values.mean(), f"{name}_sd": values.std(ddof=1)}


def summary_table(history: pd.DataFrame, evaluations: pd.DataFrame, meters: list[Meter]) -> pd.DataFrame:
    """Return per variant the accuracy at the last and at the validation-selected epoch (the first best one).

    Where a rule is tested in several draws, the last epoch's accuracy of a seed is their mean. The accuracy below the
    float baseline is the mean of the seeds' own differences: runs of the same seed share split, batches and start.
    """
    rows, accuracies = [], {}
    trained = history[history["test_accuracy"].notna()]  # of given weights epoch 0, which else was not tested
    drawn = evaluations[evaluations["condition"] == "draw"]
    for (variant, rule), mine in trained.groupby(["variant", "rule"], sort=False):
        by_seed = mine.groupby("replicate", sort=True)
        picks = {
            "last": by_seed["epoch"].idxmax(),
            "validation_selected": by_seed["validation_accuracy"].idxmax(),
        }
        costs = pd.DataFrame([meter.counts() for meter in meters if meter.variant == variant])
        draws = drawn[drawn["variant"] == variant].groupby("replicate")["test_accuracy"]
        for selection, index in picks.items():
            chosen = mine.loc[index].set_index("replicate")
            accuracy, within = chosen["test_accuracy"], None
            if selection == "last" and len(draws):
                accuracy, within = draws.mean(), draws.std(ddof=1).mean()
            accuracies[variant, selection] = accuracy
            rows.append({
                "variant": variant, "rule": rule, "selection": selection, "seeds": len(chosen),
                "epoch_mean": chosen["epoch"].mean(), **_spread(accuracy, "test_accuracy"),
                "test_accuracy_draw_sd": within, **_spread(chosen["validation_accuracy"], "validation_accuracy"),
                **_spread(costs["writes_per_sample"], "writes_per_sample"),
                "training_writes_per_sample_mean": costs["training_writes_per_sample"].mean(),
                "writes_per_synapse_mean": costs["writes_per_synapse"].mean(),
                "most_writes_on_a_device": costs["most_writes_on_a_device"].max(),
                "device_reads_per_sample": costs["device_reads_per_sample"].mean(),
                "synapses": costs["synapses"].max(), "devices": costs["devices"].max(),
                "memory_bits_per_synapse": costs["memory_bits_per_synapse"].mean(),
                "dac_clipped_share": costs["dac_clipped_share"].mean(),
                "adc_clipped_share": costs["adc_clipped_share"].mean(),
                "assumed": next(meter.assumed for meter in meters if meter.variant == variant) or None,
            })  # fmt: skip
    for row in rows:
        own = accuracies[row["variant"], row["selection"]]
        row.update(_spread(accuracies.get((BASELINE, row["selection"]), own * np.nan) - own, "accuracy_below_float"))
    return pd.DataFrame(rows)


def clipping_warnings(clipped: list[tuple[Clipped, ...]], converters: Converters) -> list[str]:
    """Return what to say of converters that cut off more than `CLIPPED` of a layer's values.

    Parameters
    ----------
    clipped : list of tuple of Clipped
        By run of one variant, and by layer.
    converters : Converters
        Of these runs.
    """
    found = []
    for kind, full_scale in (("dac", converters.dac_full_scale), ("adc", converters.adc_full_scale)):
        shares = np.array([[getattr(layer, kind) or 0.0 for layer in run] for run in clipped]).max(axis=0)
        if shares.max() <= CLIPPED:
            continue
        layer = int(shares.argmax())
        # a row's converter takes pictures of at most 1, whatever the key says
        remedy = "" if kind == "dac" and layer == 0 else f"; network.converters.{kind}_full_scale is {full_scale:g}"
        told = f"{100 * shares.max():.2g} % of the values of layer {layer + 1} are beyond the full scale of its"
        found.append(f"{told} {kind.upper()}{remedy}")
    return found


def given_warnings(
    variants: list[Settings], sha256: dict[str, str | None], confusion: pd.DataFrame
) -> dict[str, list[str]]:
    """Return by variant what to say of given weights that classify no better than chance, in floats or in devices.

    Parameters
    ----------
    variants : list of Settings
    sha256 : dict
        Of the file that gave the weights, by variant; None: they were trained.
    confusion : pandas.DataFrame
        Of all variants, in long format.
    """
    same: dict[tuple, list[str]] = {}
    for one in variants:
        if sha256[one.variant] is not None:
            same.setdefault((sha256[one.variant], one.activation, repr(one.input)), []).append(one.variant)
    found: dict[str, list[str]] = {one.variant: [] for one in variants}
    for names in same.values():
        own = confusion[confusion["variant"].isin(names)]
        images = own.groupby(["variant", "true_class"])["images"].sum().unstack()
        right = own[own["true_class"] == own["predicted_class"]].groupby("variant")["images"].sum()
        best = float((right / images.sum(axis=1)).max())
        chance, count = float((images.max(axis=1) / images.sum(axis=1)).max()), float(images.sum(axis=1).min())
        if best > chance + 3 * (chance * (1 - chance) / count) ** 0.5:
            continue
        told = (
            f"pretrained: the given network is right in {100 * best:.3g} % of the test images, no better than chance "
            f"({100 * chance:.3g} %): see whether the scaling of the data, network.input.range and the order of "
            "classes are those of its training"
        )
        for name in names:
            found[name].append(told)
    return found


def writes_table(history: pd.DataFrame) -> pd.DataFrame:
    """Return per variant and epoch the writes, writes per sample, transitions and disturbs, mean and sd over seeds."""
    rows = []
    for (variant, rule, epoch), group in history.groupby(["variant", "rule", "epoch"], sort=False):
        rows.append({
            "variant": variant, "rule": rule, "epoch": epoch, "seeds": len(group), **_spread(group["writes"], "writes"),
            **_spread(group["writes_per_sample"], "writes_per_sample"),
            **_spread(group["transitions"], "transitions"), "disturbs_mean": group["disturbs"].mean(),
            **_spread(group["write_energy_J"], "write_energy_J"),
        })  # fmt: skip
    return pd.DataFrame(rows)


def evaluations_table(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Return per variant and condition the accuracy, mean and sd over seeds; draws of a seed are averaged.

    A condition is told by its name, its value, and of a hold the temperature and the interval of refresh.
    """
    columns = ["variant", "rule", "condition", "value", "temperature_K", "refresh_interval_s"]
    rows = []
    table = evaluations.assign(value=evaluations["value"].where(evaluations["condition"] != "draw", 0.0))
    for names, group in table.groupby(columns, sort=False, dropna=False):
        accuracy = group["test_accuracy"]
        rows.append({
            **dict(zip(columns, names, strict=True)),
            "seeds": group["replicate"].nunique(), "draws": group["draw"].nunique(),
            **_spread(group.groupby("replicate")["test_accuracy"].mean(), "test_accuracy"),
            "test_accuracy_min": accuracy.min(), "test_accuracy_max": accuracy.max(),
            "writes_mean": group["writes"].mean(), **{f"{name}_mean": group[name].mean() for name in REFRESH},
        })  # fmt: skip
    means = ["test_accuracy_mean", "test_accuracy_sd", "test_accuracy_min", "test_accuracy_max", "writes_mean"]
    return pd.DataFrame(rows, columns=[*columns, "seeds", "draws", *means, *(f"{name}_mean" for name in REFRESH)])


def programming_table(programming: pd.DataFrame) -> pd.DataFrame:
    """Return per variant, stage and number of pulses the errors of closed-loop programming, means over seeds.

    A seed whose devices needed fewer pulses counts with its last row.
    """
    errors = [column for column in PROGRAMMING_COLUMNS if column == "unfinished" or column.startswith("error")]
    rows = []
    for names, group in programming.groupby(["variant", "rule", "stage"], sort=False):
        runs = [own.set_index("pulses")[errors] for _, own in group.groupby("replicate")]
        pulses = range(max(run.index.max() for run in runs) + 1)
        mean = pd.concat([run.reindex(pulses, method="ffill") for run in runs]).groupby(level=0).mean()
        whole = dict(zip(("variant", "rule", "stage"), names, strict=True))
        for number, row in zip(pulses, mean.to_dict("records"), strict=True):
            rows.append({**whole, "pulses": number, "seeds": len(runs), **row})
    return pd.DataFrame(rows, columns=["variant", "rule", "stage", "pulses", "seeds", *errors])


def cost_tables(runs: dict[str, list[Run]]) -> dict[str, pd.DataFrame]:
    """Return the tables of what the variants' networks cost on a chip, from their runs by variant."""
    made = {
        "energy": costs.energy_table,
        "costs": costs.cost_table,
        "areas": lambda same: costs.area_table(same[0]),
        "rivals": lambda same: costs.rivals_table(same[0]),
        "sensitivity": lambda same: costs.sensitivity_table(same[0]),
    }
    return {name: pd.concat([make(same) for same in runs.values()], ignore_index=True) for name, make in made.items()}


def summarise(
    runs: list[Path],
    variants: list[Settings],
    devices: dict[str, DeviceModel],
    output: Path,
    warnings: tuple[str, ...] = (),
    tuned: dict[str, str] | None = None,
) -> None:
    """Write history, summary, layers, writes, costs, evaluations, programming, confusion and more (.csv) for some runs.

    Parameters
    ----------
    runs : list of Path
        Folders of finished runs; their order does not matter.
    variants : list of Settings
    devices : dict
        The device of each variant, by its name.
    output : Path
    warnings : tuple of str
        Of the card; they stand in the summary beside each variant that uses it.
    tuned : dict of str
        What tuning found, in words, by variant; none where there was no tuning.

    Raises
    ------
    UserError
        If a run is missing, given twice, of another device, or not trained to its end.
    """
    order = [settings.variant for settings in variants]
    loaded = {}
    for run in runs:
        meter = Meter.read(run)
        variant, replicate = meter.variant, meter.replicate
        if variant not in order:
            raise UserError(f"{run}: variant: found {variant}, allowed: {', '.join(order)}")
        name, settings = (order.index(variant), replicate), variants[order.index(variant)]
        if name in loaded:
            raise UserError(
                f"{run}: found replicate {replicate} of variant {variant} a second time, allowed: each once"
            )
        stopped = settings.early_stopping and meter.epochs < settings.epochs
        if meter.epochs != settings.epochs and not stopped:
            raise UserError(f"{run}: epochs: found {meter.epochs}, allowed: {settings.epochs} (network.epochs)")
        if meter.device != devices[variant].digest:
            raise UserError(
                f"{run}: found a run of another card or of other network.device options, allowed: runs of the card and "
                "options that are given"
            )
        loaded[name] = (meter, *(read_table(run / f"{file}.csv") for file in PARTS))
    for number, settings in enumerate(variants):
        if missing := [k for k in range(settings.seeds) if (number, k) not in loaded]:
            raise UserError(
                f"--runs: found no replicate {missing[0]} of variant {settings.variant}, allowed: all {settings.seeds} "
                "seeds"
            )
    parts = [loaded[name] for name in sorted(loaded)]
    meters = [part[0] for part in parts]
    history, confusion, evaluations, programming = (
        pd.concat([part[i] for part in parts if len(part[i])] or [parts[0][i]], ignore_index=True)
        for i in range(1, 1 + len(PARTS))
    )
    confusion = confusion.groupby(["variant", "rule", "true_class", "predicted_class"], sort=False, as_index=False)
    runs_by_variant = {
        own.variant: [Run.of(meter, devices[own.variant], own) for meter in meters if meter.variant == own.variant]
        for own in variants
    }
    tables = {
        "history": history,
        "summary": summary_table(history, evaluations, meters),
        "writes": writes_table(history),
        **cost_tables(runs_by_variant),
        "layers": pd.concat(
            [border.layer_table(runs_by_variant[own.variant][0], own) for own in variants], ignore_index=True
        ),
        "evaluations": evaluations_table(evaluations),
        "programming": programming_table(programming),
        "lifetime": lifetime.lifetime_table(meters, evaluations, variants[0].lifetime),
        "confusion": confusion["images"].sum(),
    }
    said = {
        own.variant: clipping_warnings([one.clipped for one in meters if one.variant == own.variant], own.converters)
        for own in variants
    }
    sha256 = {meter.variant: meter.pretrained for meter in meters}
    for name, lines in given_warnings(variants, sha256, tables["confusion"]).items():
        said[name] += lines
    if any(sha256.values()):
        files = {own.variant: Path(own.pretrained.file).name for own in variants if own.pretrained is not None}
        tables["summary"]["pretrained"] = tables["summary"]["variant"].map(
            lambda name: f"{files[name]} (SHA-256 {sha256[name]})" if sha256[name] else None
        )
    if tuned:
        tables["summary"]["tuned"] = tables["summary"]["variant"].map(tuned)
    if (data := variants[0].about_data) is not None:  # of all variants
        said = {name: [*(f"data: {line}" for line in data.warnings), *lines] for name, lines in said.items()}
        tables["summary"]["data"] = data.title
    tables["summary"]["warnings"] = tables["summary"]["variant"].map(lambda name: "; ".join(said[name]) or None)
    if warnings:
        uses = {settings.variant: settings.uses_card for settings in variants}
        told = tables["summary"]["variant"].map(lambda name: "; ".join(warnings) if uses[name] else None)
        tables["summary"]["card_warnings"] = told
    with sealed(output, [f"{name}.csv" for name in tables]):
        for name, table in tables.items():
            write_csv(table, output / f"{name}.csv")
