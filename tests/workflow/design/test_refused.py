"""Sections of a search that would go wrong without a word: each is refused in one line, before anything runs."""

import numpy as np
import optuna
import pytest

from spinloom.dotted import overlap
from spinloom.errors import UserError
from tests.workflow.design.conftest import WANTED
from tests.workflow.design.test_space import DMI, KU, VOLTAGE, wall
from tests.workflows import changed
from workflow.design import chooser, command, expressions, fidelities, objectives, tables
from workflow.design import space as space_module
from workflow.design.config import COLUMNS
from workflow.design.space import Space
from workflow.study.planning import Planner, decisive

LIST, LAST = VOLTAGE.removesuffix(".0"), VOLTAGE.replace(".0", ".4")
SETS = [[1.25, 0.05, -0.55, -1.0, -1.25], [1.3, 0.05, -0.55, -1.0, -1.25]]
MARGIN, RULES = "network.rule_options.margin", ["accumulate_quantise_program", "bop"]
EPOCHS = {"key": "network.epochs", "range": [1, 5], "whole": True}
VARIABLES = {"Ku": {"key": KU, "range": [8.6e5, 1e6]}, "D": {"key": DMI, "range": [5e-4, 1.5e-3], "log": True}}
SHORT = {"network": {"epochs": 1}}
PLANNER = Planner()  # what the studies have in common is planned once


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(space_module, "DRAWS", 60)


def refusal(section, **study):
    """Return the one line that a search is refused with."""
    with pytest.raises(UserError) as error:
        space = Space("config.yaml", {"study": "wall", **study, "design": section}, "mine.yaml")
        space.planner = PLANNER
        plan = space.planner.plan(space.base)
        fidelities.check(space)
        objectives.check(objectives.goals(space.design, plan.variants), plan)
        space.check_feasible(np.random.default_rng(0))
        space.check_effects([one.variant for one in space.design.objectives], np.random.default_rng(1))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "changes, message",
    [
        # ranges and choices
        ({"variables.Ku.range": [900000.01, 900000.02]}, "Ku.range: found [900000.01, 900000.02], allowed: ends that"),
        ({"variables.Ku.step": 1e-9}, "variables.Ku: found step 1e-09, allowed: 0.001 to the range, 140000"),
        ({"variables.x": {"key": "network.activation", "choices": ["relu", "tanh", "relu"]}}, "the same study as relu"),
        ({"variables.x": {"key": "network.epochs", "choices": [1, 1.0]}}, "found 1.0, which gives the same study as 1"),
        # keys that overlap: an entry would be set in the list of choices itself
        (
            {"variables.a": {"key": LIST, "choices": SETS}, "variables.b": {"key": VOLTAGE, "range": [1.2, 1.3]}},
            f"design: found {LIST} and {VOLTAGE}, allowed",
        ),
        ({"variables.a": {"key": LIST, "choices": SETS}, "ties": {VOLTAGE: "1.3"}}, f"found {LIST} and {VOLTAGE}"),
        ({"variables.x": {"key": "seed", "range": [1, 9], "whole": True}}, "found the key seed, allowed: keys of devi"),
        ({"ties": {"seed": "round(Ku)"}}, "design.ties: found the key seed, allowed"),
        # names that a column or an expression has already
        *(
            ({f"variables.{name}": EPOCHS}, f"variables.{name}: found a name that tables or expressions use")
            for name in ("generation", "validation_accuracy", "pi", "lambda", "wall_width_m", "sqrt")
        ),
        # ties and conditions see what is before them
        ({"ties": {VOLTAGE: f"{LIST}[0] * 2"}}, f"design.ties.{VOLTAGE}: found {VOLTAGE}, which has no value yet"),
        ({"ties": {LAST: f"-{LIST}[0]", VOLTAGE: "Ku / 7e5"}}, f"design.ties.{LAST}: found {VOLTAGE}, which has no"),
        ({"ties": {VOLTAGE: "wall_width_m * 1e8", KU.replace("Ku_J_per_m3", "A_J_per_m"): "1e-11"}}, "a later tie"),
        (
            {"variables": {"m": {"key": MARGIN, "range": [0.01, 1], "when": "rule == 'bop'"},
                           "rule": {"key": "network.rule", "choices": RULES}}},
            "variables.m.when: found rule, which has no value yet, allowed: what variables and ties before",
        ),
        ({"variables.m": {"key": MARGIN, "range": [0.01, 1], "when": "Ku > 9e9"}}, "m.when: found Ku > 9e9, which"),
        ({"variables.m": {"key": MARGIN, "range": [0.01, 1], "when": "1 / 0 > 1"}}, "which holds at none of"),
        (
            {"variables": {"rule": {"key": "network.rule", "choices": RULES},
                           "m": {"key": MARGIN, "range": [0.01, 1], "when": "rule != 'bpo'"}}},
            "m.when: found rule compared with bpo, allowed: accumulate_quantise_program, bop",
        ),
        # what would always be true
        ({"constraints": ["Ku"]}, "constraints.0: found Ku, allowed: comparisons, joined by and, or, not"),
        ({"constraints": ["'Ku > 9e5'"]}, "allowed: comparisons, joined by"),
        ({"constraints": ["D < 1e-3 or 2e-3"]}, "allowed: comparisons, joined by"),
        ({"ties": {VOLTAGE: "1 / (Ku - Ku)"}}, f"60 violate design.ties.{VOLTAGE}: found 1 / (Ku - Ku), which has no"),
        # objectives that no table has, or that no point can reach
        (
            {"objectives": [WANTED[0], {**WANTED[0], "variant": "accumulate_quantise_program"}]},
            "objectives.1: found validation_accuracy of accumulate_quantise_program twice",
        ),
        ({"objectives": [{**WANTED[0], "at_least": 90}]}, "0.at_least: found 90, allowed: a share from 0 to 1"),
        ({"objectives": [{**WANTED[0], "at_least": 0.9, "at_most": 0.5}]}, "0.at_least: found 0.9, allowed: at most"),
        ({"objectives": [{**WANTED[1], "at_most": -1}]}, "0.at_most: found -1, allowed: more than 0"),
        ({"objectives": [{"quantity": "retention_s"}]}, "found retention_s, allowed: with temperatures in calibration"),
        ({"objectives": [{"quantity": "wall_barrier_kT"}]}, "0.quantity: found wall_barrier_kT, allowed: of a"),
        (
            {"objectives": [{**WANTED[1], "variant": "float_baseline"}]},
            "found training_energy_J_device of float_baseline, allowed: of a variant that has devices",
        ),
        ({"storage": "postgresql://ada:secret@db/name"}, "storage: found a password, allowed: a URL without one"),
        ({"storage": "postgresql://db/name?password=secret"}, "storage: found a password, allowed: a URL without one"),
        ({"storage": ""}, "storage: found , allowed: at least 1 characters"),
        # fidelities
        ({"variables.e": EPOCHS, "fidelities": {"short": SHORT}}, "short: found network.epochs, which variables"),
        ({"ties": {VOLTAGE: "1.3"}, "fidelities": {"short": changed({}, {LIST: SETS[0]})}}, f"ties set ({VOLTAGE})"),
        ({"fidelities": {"short": {}}}, "fidelities.short: found the same study as full, allowed: a cheaper form"),
        ({"fidelities": {"long": {"network": {"epochs": 20}}}}, "fidelities.long: found 2 times the training of full"),
        (
            {"fidelities": {"a": SHORT, "b": {"network": {"epochs": 1, "training_images": 1000}}}},
            "fidelities.a: found 55 times the training of b, allowed: a cheaper form of the study, the cheapest first",
        ),
        (
            {"fidelities": {"a": {"device_sims": {"sweep": {"instances": 64}}}}},
            "fidelities.a: found 8 times the simulations of full",
        ),
        ({"fidelities": {"a": SHORT, "b": SHORT}}, "fidelities.b: found the same study as a"),
        ({"fidelities": {"short": {"network": None}}}, "fidelities.short: found no network, allowed: changes of the"),
    ],
)  # fmt: skip
def test_a_section_that_would_go_wrong_is_one_line(changes, message):
    told = refusal(changed({"variables": VARIABLES, "objectives": WANTED, "points": 4}, changes))
    assert message in told and "secret" not in told


@pytest.mark.parametrize(
    "key, more",
    [
        (KU, {"calibration": {"source": {"kind": "library", "name": "sot_mtj_80nm_a"}}}),  # nothing is simulated
        ("calibration.states.count", {"calibration": {"source": {"kind": "library", "name": "sot_mtj_80nm_a"}}}),
        (MARGIN, {"network": {"variants": {"own": {"rule_options": {"margin": 0.2}}}}}),  # the variant has its own
        ("network.data.cache", {}),
    ],
)
def test_a_variable_without_effect_is_refused(key, more):
    own = {KU: {"range": [8.6e5, 1e6]}, "network.data.cache": {"choices": ["a", "b"]}, MARGIN: {"range": [0.01, 1]}}
    one = {"key": key, **own.get(key, {"range": [2, 9], "whole": True})}
    rate = {"key": "network.optimizer.learning_rate", "range": [0.001, 0.1], "log": True}
    told = refusal({"variables": {"rate": rate, "x": one}, "objectives": WANTED[:1], "points": 4}, **more)
    assert f"design.variables.x.key: found {key}, which changes nothing that the objectives follow from" in told


def test_an_option_of_another_rule_has_its_effect_where_the_rule_is_that():
    """The first variant is named after its rule, so points of another rule have another variant."""
    options = {"key": "network.rule_options.threshold", "range": [1e-9, 1e-6], "log": True, "when": "rule == 'bop'"}
    space = wall(variables={"rule": {"key": "network.rule", "choices": RULES}, "t": options})
    space.check_effects([None], np.random.default_rng(0))
    seen = {decisive(space.config(space.changes({"rule": "bop", "t": value})), [None]) for value in (1e-9, 1e-8)}
    assert len(seen) == 2


def test_errors_name_the_file_of_the_section(tmp_path):
    path = tmp_path / "mine.yaml"
    for line, told in (
        ("budget: 3", "design: found unknown key 'budget'"),
        ("constraints: [x > 9]", "design.constraints: found no point among 60"),
        ("objectives: [{quantity: speed}]", "design.objectives.0.quantity: found speed"),
    ):
        text = f"study: mine\ndesign: {{variables: {{x: {{key: {MARGIN}, range: [0.1, 1]}}}}, points: 4, {line}}}\n"
        path.write_text(text if "objectives" in line else text.replace("points", f"objectives: {WANTED}, points"))
        with pytest.raises(UserError) as error:
            command.check([str(path)])
        assert str(error.value).startswith(f"{path}: {told}")


def test_a_fidelity_of_another_engine_may_train_longer():
    fidelities.check(wall(variables=VARIABLES, fidelities={"a": {**changed({}, {"device_sims.engine": "collective"}),
                                                                 "network": {"epochs": 20}}}))  # fmt: skip


def test_ties_see_what_ties_before_them_set():
    space = wall(variables=VARIABLES, ties={VOLTAGE: "Ku / 1e6", LAST: f"-{LIST}[0]"})
    voltages = space.changes({"Ku": 9e5, "D": 1e-3})["device_sims"]["domain_wall"]["pulses"]["voltages_V"]
    assert voltages[0] == 0.9 and voltages[4] == -0.9


def test_whole_numbers_in_steps_end_at_the_last_step(recwarn):
    one = wall(variables={"e": {"key": "network.epochs", "range": [1, 4], "whole": True, "step": 2}}).variables["e"]
    assert chooser._distribution(optuna, one).high == 3 and not recwarn.list


def test_keys_overlap_where_one_lies_in_the_other():
    assert overlap("a.b", "a.b.0") and overlap("a.b.00", "a.b.0") and overlap("a", "a")
    assert not overlap("a.b", "a.bc") and not overlap("a.b.1", "a.b.10")


def test_conditions_are_comparisons():
    for text in ("x > 1 and not (y == 2 or x < y)", "1 < x < 3"):
        expressions.parse(text, "k", condition=True)
    assert expressions.parse("a.b == 'x' or 'y' != c", "k").texts == {("c", "y")}


def test_each_column_of_a_table_is_no_name_of_a_variable(search):
    found = search(points=8)
    found.run()
    for made in (tables.trials(found), tables.final(found, [])):
        own = [name for name in made if name not in found.space.variables]
        assert all(name in COLUMNS or name.startswith(tuple(goal.quantity for goal in found.goals)) for name in own)
