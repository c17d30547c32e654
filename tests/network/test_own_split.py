"""Who trains, validates and tests of a data set of the user's: classes alike, and groups whole."""

import numpy as np
import pytest

from network.datasets.own import held
from network.training.settings import check
from network.training.split import split
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.network.own_files import frame, load, samples

SECTION = {
    "dataset": "table", "layers": [4, 3], "rule": "float_baseline", "epochs": 1, "batch_size": 5, "seeds": 1,
    "normalisation": "none", "optimizer": {"name": "adam", "learning_rate": 0.01},
}  # fmt: skip


def grouped(folder, count=240, people=20, **more):
    """Write a table whose samples are of people with their own numbers of samples, and return it."""
    who = generator(3, "who").choice(people, count, p=np.arange(1, people + 1) / (people * (people + 1) / 2))
    table = frame(count).assign(person=[f"p{number:02}" for number in who], **more)
    table.to_csv(folder / "people.csv", index=False)
    return table


def settings(folder, seed=1, file="people.csv", **changes):
    options = {"file": str(folder / file), "label": "kind", **changes.pop("dataset_options", {})}
    data = {"cache": str(folder / "cache")}
    return check({**SECTION, "seed": seed, "data": data, "dataset_options": options, **changes})


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_on_two_sides(tmp_path, seed):
    """Each sample is told by a feature that says its row; scaled, that is its rank."""
    table = grouped(tmp_path)
    table = table.assign(row=np.arange(len(table)) + 0.5 * (np.arange(len(table)) % 2))
    table.to_csv(tmp_path / "people.csv", index=False)
    options = {"label": "kind", "group": "person", "split_seed": seed, "scaling": "none", "limits": [-9, 999]}
    data, manifest = load(tmp_path, file="people.csv", **options)
    rows = [np.floor(images[:, 4] * 1008 - 8.75).astype(int) for images in (data.train_images, data.test_images)]
    train, test = (set(table["person"][own]) for own in rows)
    assert not train & test and train | test == set(table["person"])
    assert abs(len(rows[1]) / len(table) - 0.2) < 0.05
    assert any("groups test" in note for note in manifest["notes"])
    own = settings(tmp_path, seed, dataset_options={**options, "label": "kind"}, layers=[5, 3], validation_images=40)
    validates, trains = split(own, data)
    assert sorted([*validates, *trains]) == list(range(len(rows[0])))
    assert not set(table["person"][rows[0][validates]]) & set(table["person"][rows[0][trains]])
    assert 20 <= len(validates) <= 60 and len(set(data.train_labels[trains])) == 3


def test_draws_differ_by_seed_and_not_by_the_order_of_rows(tmp_path):
    table = grouped(tmp_path)
    options = {"label": "kind", "group": "person"}
    found = {seed: load(tmp_path, file="people.csv", split_seed=seed, **options)[0] for seed in (1, 2)}
    assert sorted(found[1].test_labels) != sorted(found[2].test_labels) or len(found[1].test_labels) != len(
        found[2].test_labels
    )
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "shuffled.csv", index=False)
    other, _ = load(tmp_path, file="shuffled.csv", split_seed=1, **options)
    assert sorted(other.test_images.tolist()) == sorted(found[1].test_images.tolist())


def test_each_class_validates_with_its_share(tmp_path):
    frame(100).assign(kind=["a"] * 60 + ["b"] * 30 + ["c"] * 10).to_csv(tmp_path / "some.csv", index=False)
    data, _ = load(tmp_path, file="some.csv", label="kind")
    drawn = []
    for seed in (1, 2):
        own = settings(tmp_path, seed, "some.csv", validation_images=20)
        validates, trains = split(own, data)
        assert np.bincount(data.train_labels[validates]).tolist() == [12, 6, 2]
        assert sorted([*validates, *trains]) == list(range(80))
        drawn.append(sorted(validates))
    assert drawn[0] != drawn[1]


def test_shares_are_rounded_to_the_count():
    labels = np.repeat(np.arange(7, dtype=np.uint8), [1, 2, 3, 5, 8, 13, 21])
    for count in range(1, len(labels)):
        order = generator(count, "order").permutation(len(labels))
        chosen = held.by_class(labels, count, order)
        assert chosen.sum() == count
        off = np.bincount(labels[chosen], minlength=7) - np.bincount(labels) * count / len(labels)
        assert (np.abs(off) < 1).all()


def test_groups_come_nearest_to_the_share_of_each_class():
    """Two kinds of groups, each of one class: both classes are held out by their share."""
    labels = np.repeat([0, 1] * 50, 4).astype(np.uint8)
    groups = np.repeat(np.arange(100), 4)
    for seed in range(5):
        chosen = held.by_group(labels, groups, 0.2, generator(seed, "groups").permutation(100))
        assert np.bincount(labels[chosen]).tolist() == [40, 40]
    whole = held.by_group(labels[:12], groups[:12], 0.01, np.arange(3))  # a third is the least that there is
    assert whole.sum() == 4 and set(labels[:12][~whole]) == {0, 1}


def test_published_data_sets_are_drawn_as_before():
    """The draw of the digits, by the same stream as a whole."""
    own = check({**SECTION, "dataset": "digits", "layers": [64, 10], "seed": 7})
    data = own.data_set.load(None)
    order = generator(7, "network", "validation split").permutation(1437)
    validates, trains = split(own, data)
    assert (validates == order[:143]).all() and (trains == order[143:]).all()


def test_arrays_and_test_files(tmp_path):
    values, labels = samples(60, 4)
    who = np.arange(60) // 6
    np.savez(tmp_path / "all.npz", x=values, y=labels, person=who)
    data, _ = load(tmp_path, "arrays", file="all.npz", groups="person")
    assert len(data.test_labels) == 12 and len(set(data.train_groups.tolist())) == 8
    table = grouped(tmp_path)
    table.head(30).to_csv(tmp_path / "test.csv", index=False)
    _, manifest = load(tmp_path, file="people.csv", test_file="test.csv", label="kind", group="person")
    assert any(line.startswith("groups that train and test: ") for line in manifest["warnings"])


def test_what_groups_cannot_do_is_refused(tmp_path):
    table = grouped(tmp_path)
    cases = {
        "allowed: 3 or more groups": table.assign(person=np.where(table.index < 100, "a", "b")),
        "found that each group has all samples of some class": table.assign(person=table["kind"]),
        "allowed: one for each sample": table.assign(person=table["person"].where(table.index != 7)),
        "so none can validate": table.assign(
            person=table["kind"] + np.where(table["kind"] == "oak", table.index // 150, 0).astype(str)
        ),
    }
    for number, (told, made) in enumerate(cases.items()):
        made.to_csv(tmp_path / f"{number}.csv", index=False)
        with pytest.raises(UserError, match=told):
            load(tmp_path, file=f"{number}.csv", label="kind", group="person")
    for options, told in (
        ({"group": "kind"}, "which is the label, allowed: another column"),
        ({"group": "nobody"}, "group: found 'nobody'"),
        ({"group": "person", "features": ["f0", "person"]}, "which is the label, the group or ignored"),
    ):
        with pytest.raises(UserError, match=told):
            load(tmp_path, file="people.csv", label="kind", **options)
    np.savez(tmp_path / "short.npz", x=np.eye(6), y=np.arange(6) % 2, who=np.arange(5))
    with pytest.raises(
        UserError, match="groups: found an array of shape \\[5\\], allowed: one group for each of 6 samples"
    ):
        load(tmp_path, "arrays", file="short.npz", groups="who")
    data, _ = load(tmp_path, file="people.csv", label="kind", group="person")
    with pytest.raises(UserError, match="because whole groups validate"):
        wanted = len(data.train_labels) - 10
        split(
            settings(tmp_path, dataset_options={"group": "person"}, validation_images=10, training_images=wanted), data
        )
