"""Moved pictures: each is an exact copy, all shifts are equally likely, and only training sees them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from network.model.augmentation import augment
from network.synapse import random_words
from spinloom.errors import UserError
from tests.network.conftest import contents, train, trainer

ROWS, COLUMNS, CHANNELS, COUNT = 5, 7, 2, 4000
PICTURE = np.arange(1, ROWS * COLUMNS * CHANNELS + 1, dtype=np.uint8).reshape(ROWS, COLUMNS, CHANNELS)
moved = jax.jit(augment, static_argnums=(3, 4))


def shifted(down: int, right: int, mirrored: bool) -> np.ndarray:
    """Return PICTURE moved, by a loop over its pixels."""
    source, new = PICTURE[:, ::-1] if mirrored else PICTURE, np.zeros_like(PICTURE)
    for row in range(ROWS):
        for column in range(COLUMNS):
            if 0 <= row + down < ROWS and 0 <= column + right < COLUMNS:
                new[row + down, column + right] = source[row, column]
    return new


@pytest.mark.parametrize(("most", "mirror"), [(0, True), (1, False), (2, True)])
def test_every_move_is_exact_and_equally_likely(most, mirror):
    """Chi-square over all moves of 4000 pictures, false alarms 0.01 %, fixed seed; no other picture comes out."""
    shifts = range(-most, most + 1)
    moves = {
        shifted(down, right, turned).tobytes(): (down, right, turned)
        for down in shifts for right in shifts for turned in ((False, True) if mirror else (False,))
    }  # fmt: skip
    got = np.asarray(
        moved(random_words.stream(1, "moves"), 3, jnp.asarray(np.tile(PICTURE, (COUNT, 1, 1, 1))), most, mirror)
    )
    assert got.dtype == np.uint8
    found = [moves[picture.tobytes()] for picture in got]
    count = [found.count(move) for move in moves.values()]
    assert len(moves) == (1 + mirror) * (2 * most + 1) ** 2 and sum(count) == COUNT
    assert stats.chisquare(count).pvalue > 1e-4


def test_moves_belong_to_step_and_place():
    key, wide = random_words.stream(1, "moves"), jnp.asarray(np.tile(PICTURE, (50, 1, 1, 1)))
    all_of_them = np.asarray(moved(key, 3, wide, 2, True))
    np.testing.assert_array_equal(all_of_them[:20], moved(key, 3, wide[:20], 2, True))
    assert not np.array_equal(all_of_them, moved(key, 4, wide, 2, True))


@pytest.mark.long
def test_only_training_sees_moved_pictures(config, tmp_path):
    """A step whose weights cannot move tests alike; the losses of training differ. Off is what it was without."""
    plain, off, on, turned, both = (tmp_path / name for name in ("plain", "off", "on", "turned", "both"))
    still = {"optimizer": {"name": "sgd", "learning_rate": 1e-30}, "epochs": 1, "normalisation": "none"}
    still |= {"rule": "float_baseline", "rule_options": {}}
    results = [
        train(config, folder, **still, **more)[0]["history"][-1]
        for folder, more in (
            (plain, {}),
            (off, {"augmentation": {"shift_px": 0, "mirror": False}}),
            (on, {"augmentation": {"shift_px": 1}}),
            (turned, {"augmentation": {"mirror": True}}),
            (both, {"augmentation": {"shift_px": 1, "mirror": True}}),
        )
    ]
    assert results[0] == results[1]
    assert len({row["test_accuracy"] for row in results}) == 1
    assert len({row["train_loss"] for row in results[1:]}) == 4


@pytest.mark.long
def test_a_training_moves_its_pictures_by_its_own_stream_and_step(config, tmp_path, monkeypatch):
    """Moves that blacken the pictures of a wrong key, or of the first step alone, are told by the loss."""
    still = {"optimizer": {"name": "sgd", "learning_rate": 1e-30}, "epochs": 1, "normalisation": "none"}
    still |= {"rule": "float_baseline", "rule_options": {}, "augmentation": {"shift_px": 1}}
    key = trainer(config, **still).machine.stream("augmentation")

    def loss(name, keep):
        monkeypatch.setattr(
            "network.training.trainer.augment", lambda key, step, pictures, *_: jnp.where(keep(key, step), pictures, 0)
        )
        return train(config, tmp_path / name, **still)[0]["history"][-1]["train_loss"]

    seen, black = loss("seen", lambda *_: True), loss("black", lambda *_: False)
    assert loss("key", lambda found, _: jnp.all(found == key)) == seen != black
    assert loss("later", lambda _, step: step > 0) not in (seen, black)
    assert loss("never", lambda _, step: step >= 10**6) == black


@pytest.mark.long
def test_the_same_again_and_after_resume(config, tmp_path):
    changes = {"augmentation": {"shift_px": 1, "mirror": True}}
    train(config, tmp_path / "whole", **changes)
    train(config, tmp_path / "twice", **changes)
    train(config, tmp_path / "broken", **changes | {"epochs": 2})
    train(config, tmp_path / "broken", **changes)
    assert contents(tmp_path / "whole") == contents(tmp_path / "twice")
    assert (tmp_path / "whole" / "history.csv").read_bytes() == (tmp_path / "broken" / "history.csv").read_bytes()


def test_rules_of_a_replicate_see_the_same_pictures(config):
    """Named by seed and replicate, not by the rule."""
    one, other, next_ = (
        trainer(config, replicate=replicate, rule=rule, rule_options={}).machine.stream("augmentation")
        for rule, replicate in (("float_baseline", 0), ("accumulate_quantise_program", 0), ("float_baseline", 1))
    )
    assert np.array_equal(one, other) and not np.array_equal(one, next_)


@pytest.mark.parametrize(("section", "message"), [
    ({"shift_px": 4}, "network.augmentation.shift_px: found 4, allowed: whole numbers 0 to 3"),
    ({"shift_px": -1}, "augmentation.shift_px: found -1, allowed"),
    ({"mirror": "yes"}, "augmentation.mirror: found yes, allowed"),
    ({"turn": 1}, "augmentation"),
])  # fmt: skip
def test_errors(config, section, message):
    with pytest.raises(UserError, match=message):
        trainer(config, augmentation=section)
