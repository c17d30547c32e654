"""The jobs of the small study that run again after changes of each kind."""

import pytest

REPORT = {"report_html": 1, "data_package": 1, "all": 1}
AFTER = {"summarise": 1, **REPORT}
# the variant that uses the card; both
ON_CARD = {"train": 1, **AFTER}
TRAINING = {"train": 2, **AFTER}
CALIBRATION = {"card": 1, "card_figures": 1, **ON_CARD}
TABLES = {"collect": 1, **CALIBRATION}
SIMULATION = {"simulate": 4, **TABLES}
EVERYTHING = {"simulate": 4, "data": 1, **TABLES, "train": 2}
NOTHING: dict[str, int] = {}
FIGURES = {"data_package": 1, "all": 1}
PAGE = {"report_html": 1, "all": 1}


def without(jobs, *names):
    return {name: count for name, count in jobs.items() if name not in names}


def every_eighth_short(cases):
    """Return the cases as parameters; all but every eighth are marked long."""
    return [pytest.param(*case, marks=pytest.mark.long if place % 8 else []) for place, case in enumerate(cases)]
