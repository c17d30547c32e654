"""Cards from Python: those of the commands, their draws, their figures, and what is refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import spinloom as sl
from calibration.__main__ import main
from calibration.card import KernelCard

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "docs" / "examples" / "import" / "events.csv"
NAME = "nyu_stochastic_write_40nm"


@pytest.fixture(scope="module")
def card():
    return sl.card.library(NAME)


@pytest.mark.long
def test_importing_spinloom_loads_nothing_that_computes():
    code = "import sys, spinloom; print(*{'jax', 'numpy', 'pandas', 'spinloom_api'} & set(sys.modules)); spinloom.card"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "" and done.stderr == ""


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'crad'"):
        getattr(sl, "crad")  # noqa: B009
    assert {"card", "problem", "run", "study", "train", "UserError"} <= set(dir(sl))


def test_a_library_card_is_the_commands(card, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    main(["library", NAME, "--output", str(tmp_path / "card")])
    assert sl.card.read(tmp_path / "card") == card and NAME in sl.card.library()
    card.write(tmp_path / "own")
    for path in (tmp_path / "card").iterdir():
        assert path.read_bytes() == (tmp_path / "own" / path.name).read_bytes()


def test_cards_need_no_study_in_the_current_folder(card, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sl.card.library(NAME) == card


@pytest.mark.long
def test_an_imported_card_is_the_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    main(["import", str(EVENTS), "--format", "events", "--output", str(tmp_path / "card")])
    made = sl.card.import_(EVENTS, "events")
    made.write(tmp_path / "own")
    for path in (tmp_path / "card").iterdir():
        assert path.read_bytes() == (tmp_path / "own" / path.name).read_bytes()


@pytest.mark.long
def test_a_table_of_writes_gives_the_card_of_its_file(tmp_path):
    writes = pd.read_csv(EVENTS)
    made = sl.card.from_writes(writes)
    assert made == sl.card.import_(EVENTS, "events")
    for one in ("first", "second"):
        sl.card.from_writes(writes).write(tmp_path / one)
    texts = [(tmp_path / one / "card.json").read_bytes() for one in ("first", "second")]
    assert texts[0] == texts[1]
    wider = sl.card.from_writes(writes, calibration={"states": {"method": "equal_width", "count": 3}})
    assert len(wider.states) == 3
    with pytest.raises(sl.UserError, match="voltage"):
        sl.card.from_writes(writes.drop(columns="voltage_V"))


def test_tables_have_units_and_are_copies(card):
    assert card.states.attrs["units"]["conductance_S"] == "S"
    assert card.pulses.attrs["units"]["duration_s"] == "s" and "polarity" not in card.pulses.attrs["units"]
    own = card.states
    own.loc[:, "conductance_S"] = 1.0
    assert card.states["conductance_S"].equals(card.content.states["conductance_S"])
    assert not card.content.states.attrs


def test_draws_follow_the_kernel(card):
    """Chi-square of 20,000 draws for each pulse and state; of random seeds 1 in 1000 would give a false alarm."""
    size, p_values = 20_000, []
    for pulse in range(len(card.pulses)):
        for state in range(len(card.states)):
            wanted = card.kernel[pulse, state] * size
            found = np.bincount(card.sample(state, pulse, size, seed=1), minlength=len(wanted))
            assert not found[wanted == 0].any()
            if (wanted > 5).all():
                p_values.append(stats.chisquare(found, wanted).pvalue)
    assert len(p_values) > 5 and min(p_values) > 1e-3 / len(p_values)


def test_draws_are_those_of_their_seed(card):
    before = np.tile([0, 1], 50)
    first = card.sample(before, 3, seed=4)
    assert np.array_equal(first, card.sample(before, 3, seed=4))
    assert not np.array_equal(first, card.sample(before, 3, seed=5))
    assert card.sample([[0, 1, 1]], 3).shape == (1, 3) and card.sample(1, 3).shape == ()


@pytest.mark.parametrize(
    "arguments, said",
    [((0, 10), "pulse: found 10, allowed: whole numbers from 0 to 9"), ((2, 0), "state: found 2"), ((0.5, 0), "state"),
     (([0, 1], 0, 5), "size: found 5 with an array")],
)  # fmt: skip
def test_draws_of_what_is_not_there_are_refused(card, arguments, said):
    with pytest.raises(sl.UserError, match=said):
        card.sample(*arguments)


def test_a_posterior_draw_is_the_commands(tmp_path):
    card = sl.card.import_(EVENTS, "events")
    card.write(tmp_path / "card")
    main(["sample", str(tmp_path / "card"), "--seed", "3", "--number", "2", "--output", str(tmp_path / "draw")])
    assert card.posterior(2, seed=3) == sl.card.read(tmp_path / "draw") != card


def test_a_figure_and_a_page_show_the_card(card):
    axes = card.plot().axes
    assert len(axes) == 2 and axes[0].get_ylabel().startswith("probability")
    html = card._repr_html_()
    assert NAME in html and "switching" in html and card.hash[:16] in html


def test_an_export_tells_what_is_lost(card, tmp_path):
    lost = card.export("json", tmp_path / "json")
    assert list(lost.columns)[:2] == ["quantity", "pulse"] and any((tmp_path / "json").glob("*.json"))
    with pytest.raises(sl.UserError, match="nosuch"):
        card.export("nosuch", tmp_path)


def test_errors_are_one_line_in_a_notebook(tmp_path):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    with capture_output() as shown:
        InteractiveShell.instance().run_cell(f"import spinloom as sl; sl.card.read({str(tmp_path)!r})")
    InteractiveShell.clear_instance()
    assert (shown.stdout + shown.stderr).strip() == (
        f"error: {tmp_path}/card.json: cannot be read (No such file or directory)"
    )


def test_a_card_is_what_the_stages_read(card, tmp_path):
    card.write(tmp_path)
    assert KernelCard.read(tmp_path).hash == card.hash
