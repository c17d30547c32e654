"""A study of the user's own script through all stages, with the stand-in for mumax3."""

import pytest

from spinloom import files
from tests.device_sims.conftest import fake_mumax3  # noqa: F401
from tests.device_sims.test_script import script_of
from tests.workflows import SMALL, Tree

SCRIPT = {
    **SMALL,
    "device_sims": {
        "engine": "mumax3",
        "device": "script",
        "script": {
            "file": "track.mx3",
            "temperature_K": 300.0,
            "pulses": {
                "voltages_V": [0.5],
                "fields_T": [-0.8, 0.8],
                "durations_s": [1.5e-10],
            },
            "reading": {
                "length_m": 128e-9, "width_m": 16e-9, "left": "up", "pulse_start_s": 2e-12, "settle_s": 2e-12,
            },
        },
        "sweep": {"instances": 1, "replicas_per_instance": 4, "instances_per_chunk": 1},
    },
    "calibration": {
        "states": {"method": "nearest_mean", "count": None},
    },
}  # fmt: skip


@pytest.fixture
def tree(server, tmp_path, fake_mumax3):  # noqa: F811
    made = Tree.of_sources(tmp_path / "tree", server)
    script_of(made.path, [("{start_m}", "64e-9")])  # each write begins with a reset
    made.configure({}, SCRIPT)
    return made


@pytest.mark.long
def test_a_script_becomes_a_card_a_network_and_a_page_and_only_what_changed_runs_again(tree):
    planned = tree.snakemake("-n")
    assert "script track.mx3, 0.154 ns, engine mumax3" in planned.stderr, planned.stderr
    done = tree.snakemake()
    assert done.returncode == 0, done.stderr
    page = (tree.results / "report.html").read_text()
    assert "track.mx3" in page and "From pulse to state" in page
    card = files.read_json(tree.results / "calibration/card/card.json")
    assert card["source"]["engine"] == "mumax3" and card["events"] == 8
    assert [line for line in card["assumed"] if "energy" in line]
    assert tree.jobs() == {}
    # another voltage simulates that voltage; a read-out constant nothing; another line of the script all
    tree.configure({"device_sims.script.pulses.voltages_V": [0.5, 0.7]}, SCRIPT)
    assert tree.jobs()["simulate"] == 2
    tree.configure({"calibration.readout.TMR": 0.9}, SCRIPT)
    assert tree.jobs().get("simulate", 0) == 0
    tree.configure({}, SCRIPT)
    text = (tree.path / "track.mx3").read_text()
    (tree.path / "track.mx3").write_text(text.replace("alpha = 0.3", "alpha = 0.25"))
    assert tree.jobs()["simulate"] == 2
    (tree.path / "track.mx3").write_text(text)
    assert tree.jobs() == {}
    (tree.path / "track.mx3").write_text(text.replace("{seed}", "1"))
    done = tree.snakemake("-n")
    assert done.returncode and "track.mx3: found no placeholder {seed}" in done.stderr
