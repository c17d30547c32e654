"""Where the spread comes from: estimates and intervals against their definition, and runs that differ in one source."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from calibration.__main__ import main as calibration
from network import datasets, rules
from network.__main__ import main
from network.results.uncertainty import COLUMNS, components
from network.synapse.device import DeviceModel
from network.training import data, settings
from network.training.trainer import Trainer
from spinloom.errors import UserError
from spinloom.files import read_table, write_csv
from tests.network.conftest import contents, make_card, quiet


def design(random, cards, chips, seeds, sds):
    """Return results of a nested design with these standard deviations."""
    a, b, e = (random.normal(0, sd, shape) for sd, shape in zip(
        sds, ((cards, 1, 1), (cards, chips, 1), (cards, chips, seeds)), strict=True))  # fmt: skip
    return 5.0 + a + b + e


def test_components_by_hand():
    """Two cards, two chips, two seeds, in whole numbers."""
    values = np.array([[[1.0, 3.0], [5.0, 7.0]], [[11.0, 13.0], [15.0, 17.0]]])
    # seeds: variance 2 in each pair. Chips: means 2, 6 and 12, 16, variance 8. Cards: means 4, 14, variance 50
    got = components(values, np.random.default_rng(0)).sd ** 2
    assert got == pytest.approx([50 - 8 / 2, 8 - 2 / 2, 2.0], abs=1e-12)


def test_a_negative_variance_is_zero():
    values = np.array([[[1.0, 9.0], [2.2, 8.2]], [[0.0, 10.4], [3.0, 7.02]]])  # means hardly differ
    parts = components(values, np.random.default_rng(0))
    assert parts.sd[:2].tolist() == [0.0, 0.0] and parts.low[:2].tolist() == [0.0, 0.0]
    assert (parts.high >= parts.sd).all() and parts.high[2] > parts.low[2] > 0


def test_estimates_are_unbiased_and_intervals_hold():
    """400 designs. Means within 4.5 standard errors, coverage of 95 % intervals from 92 to 99 %: false alarms 1e-3."""
    random, sds = np.random.default_rng(7), np.array([1.0, 0.7, 0.5])
    found = [components(design(random, 8, 3, 2, sds), random) for _ in range(400)]
    variances = np.array([one.sd**2 for one in found])
    error = variances.std(axis=0, ddof=1) / 20
    # cutting negative variances off at 0 biases them upwards by less than a standard error here
    assert (np.abs(variances.mean(axis=0) - sds**2) < 4.5 * error).all()
    inside = [np.mean([(one.low[k] <= sds[k]) & (sds[k] <= one.high[k]) for one in found]) for k in range(3)]
    assert all(0.92 <= share <= 0.99 for share in inside), inside


def test_no_split_without_repetition():
    with pytest.raises(UserError, match=r"found \(4, 1, 2\) cards, chips and seeds, allowed: at least 2 of each"):
        components(np.zeros((4, 1, 2)), np.random.default_rng(0))


def test_a_chip_keeps_its_devices_through_the_seeds(config):
    """Same chip: same instances and states as made, other weights and batches. Another chip or card: other devices."""

    def made(replicate, chip):
        section = settings.read(config())
        device = DeviceModel.from_card(make_card(), section.device, rules.get(section.rule).scale)
        dataset = datasets.get(section.dataset)
        dataset.ensure(*data.folders(section.data), quiet)
        run = Trainer(section, device, replicate, dataset.load(*data.folders(section.data)), chip)
        array, instance = run.machine.fabricate()
        return (
            np.asarray(instance),
            np.asarray(array.state),
            np.asarray(run.machine.stream("programming")),
            run.identity("x"),
        )

    base, seed, chip, card, plain = (
        made(*at) for at in ((0, (3, 1)), (1, (3, 1)), (0, (3, 0)), (0, (2, 1)), (0, None))
    )
    assert np.array_equal(base[0], seed[0]) and np.array_equal(base[1], seed[1])
    assert not np.array_equal(base[2], seed[2])
    for other in (chip, card, plain):
        assert not np.array_equal(base[0], other[0]) and not np.array_equal(base[2], other[2])
    assert len({one[3] for one in (base, seed, chip, card, plain)}) == 5


def counted_card():
    """Return a card of 20 writes a row: its draws differ."""
    card = make_card()
    table = card.transitions.assign(basis="counts", effective_count=card.transitions["probability"] * 20)
    table["count"] = np.round(table["effective_count"]).astype("int64")
    return replace(card, transitions=table)


@pytest.mark.long
def test_the_table_of_a_study(config, tmp_path):
    """From sampled cards through runs to the table: accuracies put in by hand come out split, energies are those of
    the cards; the same command gives the same bytes."""
    path = config(card_samples=2, epochs=1, variants={"a": {}}, layers=[16, 4])
    training, runs = tmp_path / "training_a.json", tmp_path / "sampled"
    training.write_text(json.dumps(settings.parts(json.loads(path.read_text()))["training_a"]))
    assert not set(settings.REPEATS) & set(json.loads(training.read_text()))
    counted_card().write(tmp_path / "card")
    main(["data", "--config", str(path), "--output", str(tmp_path / "data.json"), "--log", str(tmp_path / "log")])
    accuracy = np.arange(8.0).reshape(2, 2, 2) / 10
    for card in ("0", "1"):
        calibration(["sample", str(tmp_path / "card"), "--number", card, "--output", str(tmp_path / "cards" / card)])
        main(["train", "--config", str(training), "--cache", str(tmp_path / "cache"), "--card",
              str(tmp_path / "cards" / card), "--card-sample", card, "--chip", "0", "--replicate", "0",
              "--output", str(tmp_path / card),
              "--log", str(tmp_path / "log")])  # fmt: skip
        for place in np.ndindex(2, 2):
            run = runs / "_".join(["a", card, *map(str, place)])
            shutil.copytree(tmp_path / card, run)
            history = read_table(run / "history.csv")
            (run / "SHA256SUMS").unlink()  # what follows is no result of a training
            write_csv(history.assign(test_accuracy=accuracy[int(card), *place]), run / "history.csv")
    command = ["uncertainty", "--config", str(path), "--sampled", str(runs), "--cards", str(tmp_path / "cards")]
    for name in ("one", "two"):
        main([*command, "--output", str(tmp_path / name / "u.csv"), "--figure", str(tmp_path / name / "u.png")])
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    table = read_table(tmp_path / "one" / "u.csv")
    assert list(table.columns) == COLUMNS and set(table["variant"]) == {"a"}
    rows = table.set_index("quantity")
    expected = components(accuracy, np.random.default_rng(0)).sd
    assert rows.loc["test_accuracy", ["sd_card", "sd_devices", "sd_seeds"]].tolist() == pytest.approx(
        expected, abs=1e-12
    )
    # copies of one run: all the spread in energy is the cards'
    energy = rows.loc["training_energy_J_device"]
    assert energy["sd_card"] > 0 and energy["sd_devices"] == energy["sd_seeds"] == 0
    written = {card: read_table(tmp_path / card / "history.csv")["write_energy_J"].sum() for card in ("0", "1")}
    assert written["0"] != written["1"]

    (tmp_path / "cards" / "0").rename(tmp_path / "kept")
    (tmp_path / "cards" / "1").rename(tmp_path / "cards" / "0")
    (tmp_path / "kept").rename(tmp_path / "cards" / "1")
    with pytest.raises(UserError, match="a_0_0_0: found a run of another card than"):
        main([*command, "--output", str(tmp_path / "u.csv"), "--figure", str(tmp_path / "u.png")])
    assert not (tmp_path / "u.csv").exists()


def test_one_draw_is_refused(config):
    with pytest.raises(UserError, match="network.card_samples: found 1, allowed: 0 or at least 2"):
        settings.read(config(card_samples=1))
