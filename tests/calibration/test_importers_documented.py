"""What docs/import.md and docs/import/ say of the formats: their options, the examples and the studies."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from calibration.__main__ import main
from calibration.config import Stage
from calibration.sources import build, importers
from calibration.sources.importers import REGISTRY, import_file
from spinloom.errors import UserError
from workflow.study import config as study_config
from workflow.study import planning

DIRECTIONS = {"duration_s": 1e-9, "voltage_up_V": 0.5, "voltage_down_V": -0.4}


def test_every_format_and_its_options_are_documented(capsys):
    docs = Path(__file__).parents[2] / "docs"
    overview, keys = ((docs / name).read_text() for name in ("import.md", "config/imports.md"))
    pages = "".join(page.read_text() for page in sorted((docs / "import").glob("*.md")))
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    shown = capsys.readouterr().out
    for format in REGISTRY.names():
        assert f"| [`{format}`](import/" in overview
        assert f"## `{format}`\n" in pages or f": `{format}`\n" in pages  # a section, or the title of a page
        for name, field in REGISTRY.get(format).Options.model_fields.items():
            assert f"| `{name}` |" in keys and f"  {name}: {field.description}" in shown


EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "import"
PAGES = {"measured": "import.md", "crosssim": "import.md", "runs": "import/runs.md"}


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_the_studies_of_the_page_are_those_of_the_examples(name):
    file = EXAMPLES / f"{name}.yaml"
    page = PAGES[name]
    assert f"```yaml\n{file.read_text()}```\n" in (EXAMPLES.parents[1] / page).read_text()
    root = EXAMPLES.parents[2]
    config = study_config.laid_over(root / "config.yaml", yaml.safe_load(file.read_text()))
    section = study_config.section(config, "calibration")
    section["source"]["file"] = str(root / section["source"]["file"])
    made = planning.plan({**config, "calibration": {**config["calibration"], "source": section["source"]}})
    assert not made.simulates and not made.trains and made.card_inputs
    card, imported = build.make(Stage.parse(section, file.name), file.name, None)
    assert imported.report.empty
    # levels of the example, the option of the tables, and a level for each voltage
    assert len(card.states) == {"measured": 4, "crosssim": 32, "runs": 3}[name]


@pytest.mark.parametrize(
    "format, name",
    [
        ("events", "events.csv"),
        ("trains", "trains"),
        ("traces", "traces.csv"),
        ("updown", "updown.csv"),
        ("crosssim", "tables"),
    ],
)
def test_the_examples_of_the_page_import(format, name):
    result = import_file(EXAMPLES / name, format, {} if format == "events" else DIRECTIONS)
    assert (result.card is None) == (format != "crosssim") and result.report.empty


def test_null_is_the_default_of_an_option_and_no_other_name_is_one():
    options = importers.check("events", {"channel": None, "temperature_K": None}, "f")
    assert (options.channel, options.temperature_K) == ("measured", 300)
    with pytest.raises(UserError, match="f: options: found unknown key 'chanel'"):
        importers.check("events", {"chanel": None}, "f")
