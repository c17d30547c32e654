"""Studies and trainings from Python have the bytes of the commands."""

import pytest

import spinloom as sl
from tests.workflows import RESULTS, SMALL, Tree, contents

NETWORK = {"dataset": "digits", "layers": [64, 10], "epochs": 1, "batch_size": 50}


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory):
    """A study that has run, as Python sees it."""
    tree = finished.copied(tmp_path_factory.mktemp("study") / "tree")
    return sl.study(tree.path / "study.yaml", folder=tree.path)


@pytest.mark.long
def test_a_study_from_a_mapping_has_the_bytes_of_the_command(finished, server, tmp_path):
    tree = Tree.of_sources(tmp_path / "tree", server)
    made = sl.study(SMALL, folder=tree.path).run()
    assert made.results == tree.path / RESULTS and made.report.exists()
    assert contents(tree.results) == contents(finished.results)


@pytest.mark.long
def test_a_study_that_has_run_runs_nothing_again(study):
    before = study.report.stat().st_mtime_ns
    assert study.run() is study and study.report.stat().st_mtime_ns == before


def test_tables_have_units(study):
    assert set(study.summary["variant"]) == {"accumulate_quantise_program", "float_baseline"}
    assert study.history.attrs["units"]["write_energy_J"] == "J"
    assert study.table("lifetime").equals(study.table("network/summary/lifetime.csv"))
    assert {"network/summary/costs.csv", "device_sims/events.parquet"} <= set(study.tables)
    assert len(study.events) == 8 * 4 and study.card.meta.events > 0
    with pytest.raises(sl.UserError, match="no table nosuch, allowed: .*summary.csv"):
        study.table("nosuch")


def test_a_page_shows_the_study(study):
    html = study._repr_html_()
    assert "stt_mtj, simulated by macrospin" in html and "64 - 10" in html and "report.html" in html


@pytest.mark.long
def test_a_training_has_the_bytes_of_the_studys(study, tmp_path):
    for variant in ("accumulate_quantise_program", "float_baseline"):
        own = sl.train(study.card, study.training(variant), folder=tmp_path / variant)
        for path in (study.results / "network" / "runs" / f"{variant}_0").iterdir():
            assert path.read_bytes() == (own.folder / path.name).read_bytes(), path.name
    assert own.accuracy == study.history.query("variant == 'float_baseline'")["test_accuracy"].iloc[-1]
    assert sl.train(study.card, study).history["rule"].iloc[0] == "accumulate_quantise_program"


@pytest.mark.long
def test_a_training_of_a_mapping_takes_rule_options_and_seed(study):
    found = [sl.train(study.card, NETWORK, "accumulate_quantise_program", seed=2, margin=m) for m in (0.0, 0.4)]
    assert found[0].history["writes"].sum() > found[1].history["writes"].sum() > 0
    again = sl.train(None, NETWORK, "float_baseline", seed=2)
    assert not again.history.equals(sl.train(None, NETWORK, "float_baseline", seed=3).history)
    assert "test accuracy" in again._repr_html_() and again.confusion["images"].sum() == 360


@pytest.mark.parametrize(
    "network, rule, said",
    [
        ({**NETWORK, "epoch": 1}, "float_baseline", "network: .*epoch"),
        (NETWORK, None, "network: .*rule"),
        ({**NETWORK, "variants": {"a": {}}}, "float_baseline", "network.variants"),
        (NETWORK, "accumulate_quantise_program", "card"),
    ],
)
def test_a_wrong_training_is_refused(network, rule, said):
    with pytest.raises(sl.UserError, match=said):
        sl.train(None, network, rule)


def test_a_wrong_study_is_refused(study, tmp_path):
    with pytest.raises(sl.UserError, match="study: .*sede"):
        sl.study({"sede": 1}, folder=study.folder)
    with pytest.raises(sl.UserError, match="variant: found nosuch"):
        study.training("nosuch")
    with pytest.raises(sl.UserError, match="config.yaml"):
        sl.study(folder=tmp_path)


@pytest.mark.long
def test_what_fails_in_a_run_is_the_error(study):
    with pytest.raises(sl.UserError, match="its log: .*snakemake.log"):
        sl.study({**SMALL, "study": "fails"}, folder=study.folder).run("nosuch")
