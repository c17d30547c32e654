"""Published numbers beside ours, on small studies made for the test."""

import json

import numpy as np
import pandas as pd
import pytest

from network.__main__ import main
from network.results import systems
from network.results.run_tables import EVALUATION_COLUMNS
from network.results.summary import evaluations_table, summary_table
from spinloom.errors import UserError
from spinloom.files import read_table
from tests.dictionary import documented
from tests.network.conftest import make_card, meter

NETWORK = {
    "dataset": "digits", "layers": ["8x8x1", "4C3", "MP2", 10], "epochs": 3, "batch_size": 10, "seeds": 2,
    "validation_images": 100,
    "rule": "accumulate_quantise_program", "baseline": "float_baseline", "variants": {"fine": None, "coarse": None},
}  # fmt: skip
OPERATIONS = 36 * 9 * 4 + 3 * 3 * 4 * 10
ACCURACY = {"fine": (0.9, 0.01), "coarse": (0.8, 0.02), "float_baseline": (0.95, 0.005)}


def entry(quantity, value, variant=None, unit=None, tag=""):
    return {"quantity": quantity, "value": value, "variant": variant, "unit": unit, "tag": tag}


def study(folder, published, **changes):
    """Write what `collect` reads of a finished study."""
    system = {"name": "Wall", "paper": "a paper", "published": published, "assumptions": ["one", "two"]}
    config = {"study": folder.name, "seed": 1, "network": NETWORK, "system": system, **changes}
    tables = folder / "network" / "summary"
    for path in (folder / "config", tables):
        path.mkdir(parents=True)
    (folder / "config" / "resolved.json").write_text(json.dumps(config))
    make_card().write(folder / "calibration" / "card")
    rows = []
    for variant, (mean, sd) in ACCURACY.items():
        for selection, shift in (("last", 0.0), ("validation_selected", 0.5)):
            rows.append({
                "variant": variant, "rule": "r", "selection": selection, "seeds": 2, "epoch_mean": 3.0,
                "test_accuracy_mean": mean + shift, "test_accuracy_sd": sd, "writes_per_sample_mean": 4.0,
                "writes_per_sample_sd": 0.5, "writes_per_synapse_mean": 7.0, "accuracy_below_float_mean": 0.95 - mean,
                "accuracy_below_float_sd": 0.003,
            })  # fmt: skip
    pd.DataFrame(rows).to_csv(tables / "summary.csv", index=False)
    energy, costs = [], []
    for variant in ACCURACY:
        if variant != "float_baseline":
            energy.append((variant, "training", "device", "programming per presentation", 13e-12, 1e-12))
        for phase in ("training", "inference"):
            for power, level in enumerate(("device", "array", "system")):
                none = variant == "float_baseline" and level != "system"
                joule = 0.0 if none else 1e-12 * 10**power
                costs.append((variant, "own", phase, level, joule, None, None if none else 1e-3 / joule))
    columns = ["variant", "phase", "level", "term", "energy_J_mean", "energy_J_sd"]
    pd.DataFrame(energy, columns=columns).to_csv(tables / "energy.csv", index=False)
    columns = ["variant", "chip", "phase", "level", "energy_J_mean", "energy_J_sd", "operations_per_J"]
    pd.DataFrame(costs, columns=columns).to_csv(tables / "costs.csv", index=False)
    return folder


def test_published_numbers_and_ours(tmp_path):
    published = [
        entry("test_accuracy", 91.0, "fine", "%", "abstract"),
        entry("test_accuracy", 90.5, "fine", "%", "figure 3"),
        entry("programming_energy_per_presentation_J", 20.0, unit="pJ"),
        entry("writes_per_synapse", 5.0, "coarse"),
    ]
    studies = [study(tmp_path / "a", published), study(tmp_path / "b", [])]
    none = study(tmp_path / "none", [], system=None)
    main(["systems", "--studies", *map(str, [*studies, none]), "--output", str(tmp_path / "systems.csv")])
    table = read_table(tmp_path / "systems.csv")
    assert list(table.columns) == systems.COLUMNS == documented("summary/systems.csv")
    assert set(table["study"]) == {"a", "b"} and set(table["assumed"]) == {"one; two"}
    assert set(table["card_sha256"]) == {make_card().hash}
    assert set(zip(table["seeds"], table["epochs"], strict=True)) == {(2, 3.0)}

    of_a = table[table["study"] == "a"].set_index(["quantity", "variant", "tag"], drop=False)
    accuracy = of_a[of_a["quantity"] == "test_accuracy"]
    assert accuracy["variant"].tolist() == ["fine", "fine", "coarse", "float_baseline"]
    np.testing.assert_allclose(accuracy["published"], [91.0, 90.5, np.nan, np.nan])
    np.testing.assert_allclose(accuracy["ours_mean"], [90, 90, 80, 95])  # in the paper's unit, after the last epoch
    np.testing.assert_allclose(accuracy["ours_sd"], [1, 1, 2, 0.5])
    assert set(accuracy["unit"]) == {"%"}
    energy = of_a[of_a["quantity"] == "programming_energy_per_presentation_J"]
    # without a variant the first is meant; floats program nothing and have no row
    assert energy["variant"].tolist() == ["fine", "coarse"]
    np.testing.assert_allclose(energy[["published", "ours_mean", "ours_sd"]], [[20, 13, 1], [np.nan, 13, 1]])
    writes = of_a[of_a["quantity"] == "writes_per_synapse"].set_index("variant")
    assert writes.loc["coarse", "published"] == 5 and writes.loc["fine", "ours_mean"] == 7
    assert writes["ours_sd"].isna().all()
    # a system without any number is compared in accuracy
    of_b = table[table["study"] == "b"]
    assert of_b["quantity"].tolist() == ["test_accuracy"] * 3 and of_b["published"].isna().all()
    np.testing.assert_allclose(of_b["ours_mean"], [0.9, 0.8, 0.95])

    text = (tmp_path / "systems.csv").read_text()
    (tmp_path / "systems.csv").write_text(text.replace("91.0", "92.0"))
    with pytest.raises(UserError, match=r"systems.csv: found that it was edited .*\(systems.csv.sha256\)"):
        read_table(tmp_path / "systems.csv")


def test_energies_per_operation_and_loss(tmp_path):
    published = [
        entry("energy_per_operation_J_array", 3.0, "fine", "fJ"),
        entry("inference_energy_J_system", 1e-10, "fine"),
        entry("training_energy_J_device", 0.5, "coarse", "pJ"),
        entry("operations_per_J_inference_system", 18.3, "fine", "TOPS/W"),
        entry("accuracy_below_float", 0.04, "fine"),
    ]
    table = systems.collect([study(tmp_path / "a", published)]).set_index(["quantity", "variant"])
    ours = table["ours_mean"]
    assert ours["energy_per_operation_J_array", "fine"] == pytest.approx(1e-11 / OPERATIONS * 1e15, rel=1e-9, abs=0)
    assert ours["inference_energy_J_system", "fine"] == pytest.approx(1e-10, rel=1e-9, abs=0)
    assert ours["training_energy_J_device", "coarse"] == pytest.approx(1.0, rel=1e-9, abs=0)
    assert ours["operations_per_J_inference_system", "fine"] == pytest.approx(1e-3 / 1e-10 * 1e-12, rel=1e-9, abs=0)
    assert ours["accuracy_below_float", "fine"] == pytest.approx(0.05, rel=1e-9, abs=0)
    assert ours["accuracy_below_float", "float_baseline"] == 0
    # floats have no array whose energy could be told, but a system
    assert ("energy_per_operation_J_array", "float_baseline") not in ours
    assert ours["inference_energy_J_system", "float_baseline"] == pytest.approx(1e-10, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("published", "message"),
    [
        (entry("speed", 1.0), "system.published.quantity: found speed, allowed: test_accuracy, "),
        (entry("test_accuracy", 1.0, unit="pJ"), "system.published.0.unit: found pJ, allowed: 1, % for test_accuracy"),
        (entry("inference_energy_J_array", 1.0, unit="%"), "unit: found %, allowed: J, mJ, uJ"),
        (entry("test_accuracy", 1.0, "huge"), "system.published.0.variant: found huge, allowed: fine, coarse, float_b"),
    ],
)
def test_numbers_that_cannot_be_compared(tmp_path, published, message):
    with pytest.raises(UserError) as error:
        systems.collect([study(tmp_path / "a", [published])])
    assert message in str(error.value)


def test_studies_without_a_system_or_tables(tmp_path):
    with pytest.raises(UserError, match="--studies: found no study with a system"):
        systems.collect([study(tmp_path / "a", [], system=None)])
    with pytest.raises(UserError, match="resolved.json: cannot be read"):
        systems.collect([tmp_path / "absent"])
    broken = study(tmp_path / "b", [])
    (broken / "network" / "summary" / "energy.csv").unlink()
    with pytest.raises(UserError, match="energy.csv: found no such table"):
        systems.collect([broken])
    with pytest.raises(UserError, match="system: found a system in a study without a network, allowed: null"):
        systems.check({"published": []}, [])


def runs(variant, accuracies, draws=None):
    """Return history, evaluations and meters of seeds with these accuracies at their two epochs."""
    history, evaluations, meters = [], [], []
    for replicate, at in enumerate(accuracies):
        for epoch, (validation, test) in enumerate(at, start=1):
            history.append({"variant": variant, "rule": "r", "replicate": replicate, "epoch": epoch,
                            "validation_accuracy": validation, "test_accuracy": test})  # fmt: skip
        for draw, accuracy in enumerate(draws[replicate] if draws else ()):
            evaluations.append({
                "variant": variant, "rule": "r", "replicate": replicate, "condition": "draw", "value": float(draw),
                "draw": draw, "test_accuracy": accuracy, "writes": 6,
            })  # fmt: skip
        meters.append(meter(
            variant=variant, uses_device=False, layers=[[2, 3, 1]], samples=10, first_writes=6,
            writes_by_pulse=[6, 0], deployment_by_pulse=[0, 4], writes_by_layer=[10], memory_bits={"x": 12},
        ))  # fmt: skip
    return history, evaluations, meters


def test_summary_over_seeds_and_draws():
    """The loss against floats is the mean of the seeds' own differences, and its sd is theirs."""
    variant = runs("fine", [[(0.9, 0.80), (0.8, 0.70)], [(0.7, 0.60), (0.8, 0.64)]], [[0.72, 0.76], [0.60, 0.62]])
    floats = runs("float_baseline", [[(0.9, 0.90), (0.9, 0.92)], [(0.9, 0.80), (0.9, 0.81)]])
    floats = ([{**row, "rule": "float_baseline"} for row in floats[0]], [], floats[2])
    history, evaluations = (pd.DataFrame(variant[i] + floats[i]) for i in (0, 1))
    table = summary_table(history, evaluations, variant[2] + floats[2]).set_index(["variant", "selection"])
    last, best = table.loc[("fine", "last")], table.loc[("fine", "validation_selected")]
    assert last["test_accuracy_mean"] == pytest.approx((0.74 + 0.61) / 2, abs=1e-12)
    assert last["test_accuracy_sd"] == pytest.approx(np.std([0.74, 0.61], ddof=1), abs=1e-12)
    each = [np.std(d, ddof=1) for d in ([0.72, 0.76], [0.60, 0.62])]
    assert last["test_accuracy_draw_sd"] == pytest.approx(np.mean(each), abs=1e-12)
    assert best["test_accuracy_mean"] == pytest.approx((0.80 + 0.64) / 2, abs=1e-12)
    differences = [0.92 - 0.74, 0.81 - 0.61]
    assert last["accuracy_below_float_mean"] == pytest.approx(np.mean(differences), abs=1e-12)
    assert last["accuracy_below_float_sd"] == pytest.approx(np.std(differences, ddof=1), abs=1e-12)
    assert last["writes_per_sample_mean"] == pytest.approx(1.0, abs=1e-12)  # training 6, deployment 4, 10 samples
    assert last["training_writes_per_sample_mean"] == pytest.approx(0.0, abs=1e-12)
    assert last["memory_bits_per_synapse"] == pytest.approx(2.0, abs=1e-12)
    alone = summary_table(pd.DataFrame(variant[0]), pd.DataFrame(variant[1]), variant[2])
    assert alone["accuracy_below_float_mean"].isna().all()

    drawn = evaluations_table(pd.DataFrame(variant[1]).reindex(columns=EVALUATION_COLUMNS)).iloc[0]
    assert (drawn["seeds"], drawn["draws"], drawn["writes_mean"]) == (2, 2, 6)
    assert drawn["test_accuracy_mean"] == pytest.approx((0.74 + 0.61) / 2, abs=1e-12)
    assert (drawn["test_accuracy_min"], drawn["test_accuracy_max"]) == (0.60, 0.76)
