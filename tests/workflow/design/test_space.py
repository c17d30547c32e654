"""What a search may vary, and what is refused before anything runs."""

import copy
import math

import numpy as np
import optuna
import pytest

from spinloom import files
from spinloom.errors import UserError
from tests.workflow.design.conftest import WANTED, layer
from tests.workflows import changed
from workflow.design import chooser, derived, expressions, objectives
from workflow.design.config import Design
from workflow.design.space import Space, label
from workflow.study import config

WALL = {"study": "wall"}
KU, DMI = "device_sims.domain_wall.material.Ku_J_per_m3", "device_sims.domain_wall.material.D_J_per_m2"
VOLTAGE = "device_sims.domain_wall.pulses.voltages_V.0"


def wall(**design):
    variables = {"Ku": {"key": KU, "range": [6e5, 1.2e6]}, "D": {"key": DMI, "range": [1e-4, 4e-3], "log": True}}
    return Space(
        "config.yaml", {**WALL, "design": {"variables": variables, "objectives": WANTED, "points": 4, **design}}
    )


def test_values_become_keys_and_entries_of_lists():
    variables = {
        "top": {"key": VOLTAGE, "range": [1.0, 2.0]},
        "margin": {"key": "network.rule_options.margin", "range": [0.01, 1], "log": True},
        "epochs": {"key": "network.epochs", "range": [1, 9], "whole": True},
        "act": {"key": "network.activation", "choices": ["relu", "tanh"]},
    }
    space = wall(variables=variables, ties={"device_sims.domain_wall.pulses.voltages_V.4": "-top"})
    values = space.values([0.5, 0.5, 0.99, 0.5])
    assert values == {"top": 1.5, "margin": 0.1, "epochs": 9, "act": "tanh"}
    changes = space.changes(values)
    assert changes["device_sims"]["domain_wall"]["pulses"]["voltages_V"] == [1.5, 0.05, -0.55, -1.0, -1.5]
    whole = space.config(changes)
    assert whole["network"]["rule_options"]["margin"] == 0.1 and whole["network"]["activation"] == "tanh"
    assert space.base["device_sims"]["domain_wall"]["pulses"]["voltages_V"][0] == 1.25  # nothing is changed in place
    np.testing.assert_allclose(space.unit(values), [0.5, 0.5, 1.0, 0.75], atol=1e-12)
    assert label(changes) != label(space.changes({**values, "top": 1.6}))


def test_ranges_are_met_evenly():
    """Whole numbers and steps reach both ends; 6 standard deviations of a binomial, 1e-8 false alarms."""
    variables = {
        "epochs": {"key": "network.epochs", "range": [2, 5], "whole": True},
        "start": {"key": "device_sims.domain_wall.wall.start_m", "range": [4e-8, 8e-8], "step": 1e-8},
    }
    space, random = wall(variables=variables), np.random.default_rng(3)
    drawn = [space.drawn(random) for _ in range(2000)]
    for name, known in (("epochs", [2, 3, 4, 5]), ("start", [4e-8, 5e-8, 6e-8, 7e-8, 8e-8])):
        found, counts = np.unique([values[name] for values in drawn], return_counts=True)
        np.testing.assert_allclose(found, known, rtol=1e-9)
        share = 1 / len(known)
        assert np.all(np.abs(counts - 2000 * share) < 6 * math.sqrt(2000 * share * (1 - share)))


def test_a_variable_without_its_condition_takes_no_part():
    variables = {
        "rule": {"key": "network.rule", "choices": ["accumulate_quantise_program", "bop"]},
        "margin": {"key": "network.rule_options.margin", "range": [0.01, 1], "when": "rule != 'bop'"},
    }
    space = wall(variables=variables)
    on, off = space.values([0.2, 0.5]), space.values([0.9, 0.5])
    assert space.active(on) == on and space.active(off) == {"rule": "bop"}
    assert "rule_options" not in space.changes(off)["network"]
    assert space.unit(space.active(off))[1] == 0.5


def test_derived_quantities_are_the_textbooks():
    base = config.load("config.yaml")
    effective = 8.8e5 - 2e-7 * math.pi * 1e12
    assert derived.value("K_eff_J_per_m3", base) == pytest.approx(effective, rel=1e-8, abs=0)
    assert derived.value("D_critical_J_per_m2", base) == pytest.approx(
        4 * math.sqrt(2e-11 * effective) / math.pi, rel=1e-8, abs=0
    )
    assert derived.value("exchange_length_m", base) == pytest.approx(
        math.sqrt(4e-11 / (4e-7 * math.pi)) / 1e6, rel=1e-9, abs=0
    )
    junction = config.load("config.yaml", "configs/mtj_ternary.yaml")
    assert derived.value("thermal_stability", junction) == pytest.approx(41, abs=0.5)  # as the config says
    with pytest.raises(UserError, match="found thermal_stability, allowed: of a device that has these constants"):
        derived.value("thermal_stability", base)


def test_the_barrier_of_a_notch_is_the_energy_that_it_saves():
    """Notches much longer than a wall is wide: sigma t times twice the depth, over k_B T, whatever the edges."""
    notched = config.load("config.yaml", "configs/notched_synapse.yaml")
    assert derived.value("wall_barrier_kT", notched) == pytest.approx(78.3, abs=0.1)  # as docs/studies/ has it
    found = {}
    for depth in (12e-9, 24e-9):  # in whole cells
        notch = {"notches.depth_m": depth, "notches.pitch_m": 400e-9, "notches.width_m": 400e-9}
        changes = {**notch, "temperature_K": 400.0}
        track = changed(notched, {f"device_sims.notched_track.{key}": value for key, value in changes.items()})
        found[depth] = derived.value("wall_barrier_kT", track)
    effective = 6e5 - 2e-7 * math.pi * 3.6e11
    wall = 4 * math.sqrt(1.5e-11 * effective) - math.pi * 0.5e-3  # a Neel wall without its stray field, J/m2
    assert found[24e-9] == pytest.approx(wall * 1.25e-9 * 48e-9 / (1.380649e-23 * 400), rel=0.1, abs=0)
    assert found[24e-9] == pytest.approx(2 * found[12e-9], rel=0.05, abs=0)
    rough = changed(notched, {"device_sims.notched_track.roughness.rms_m": 3e-9, "seed": 5})
    assert derived.value("wall_barrier_kT", rough) == derived.value("wall_barrier_kT", notched)
    with pytest.raises(UserError, match="found wall_barrier_kT, allowed: of a device that has these constants"):
        derived.value("wall_barrier_kT", config.load("config.yaml"))


def test_a_quantity_of_the_device_is_an_objective(tmp_path):
    design = layer(objectives=[WANTED[0], {"quantity": "wall_barrier_kT", "at_least": 57}])["design"]
    goal = objectives.goals(Design.parse(design, "config", "design"), ["v"])[1]
    notched = config.load("config.yaml", "configs/notched_synapse.yaml")
    files.write_json(notched, tmp_path / "config" / "resolved.json")
    found = objectives.measure(tmp_path, goal)
    assert found.mean == derived.value("wall_barrier_kT", notched) and found.error == 0
    assert goal.sign == 1 and goal.violation(50.0) == 7 and float(goal.scaled(50.0)) == 50  # no logarithm


def test_a_step_that_does_not_divide_the_range_ends_below_it(recwarn):
    one = wall(variables={"w": {"key": KU, "range": [2.4e-8, 1.0e-7], "step": 4e-9}}).variables["w"]
    high = chooser._distribution(optuna, one).high
    assert high == 1e-7 and not recwarn.list
    odd = wall(variables={"w": {"key": KU, "range": [1.0, 2.05], "step": 0.2}}).variables["w"]
    assert chooser._distribution(optuna, odd).high == 2.0 and not recwarn.list


def test_constraints_are_told_before_anything_runs():
    space = wall(constraints=["K_eff_J_per_m3 > 1e4", f"{DMI} < 0.9 * D_critical_J_per_m2"])
    assert space.broken({"Ku": 6e5, "D": 1e-4}) == "K_eff_J_per_m3 > 1e4"
    assert space.broken({"Ku": 8.8e5, "D": 3.9e-3}).startswith(DMI)
    assert space.broken({"Ku": 8.8e5, "D": 1.1e-3}) == ""
    assert 0.1 < space.check_feasible(np.random.default_rng(0)) < 0.9
    # what only a stage knows
    assert "turns the film's easy axis into the plane" in wall().refused({"Ku": 6e5, "D": 1e-4})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"variables.Ku.key": "device_sims.domain_wall.matter.Ku"}, "matter.Ku, which the study does not"),
        ({"variables.Ku.key": "network.epochz"}, "variables.Ku: .*did you mean 'epochs'"),
        ({"variables.Ku.key": "study"}, "found the key study, allowed: keys of device_sims, calibration and network"),
        ({"variables.Ku.key": DMI}, f"found {DMI} and {DMI}, allowed"),
        ({"variables.Ku.key": VOLTAGE.replace(".0", ".7")}, "which the study does not have"),
        ({"variables.Ku.range": [2e5, 1e5]}, r"Ku.range: found \[200000, 100000\], allowed: two numbers"),
        ({"variables.Ku.range": [5, 5]}, r"range: found \[5, 5\], allowed: two numbers"),
        ({"variables.Ku.range": [1e5, 1e12]}, "design.variables.Ku: .*Ku_J_per_m3: found 1000000000000.0"),
        ({"variables.D.range": [0, 1e-3]}, "found 0 with log, allowed: a range above 0"),
        ({"variables.D.choices": [1, 2]}, "found both range and choices, or neither"),
        ({"variables": {}}, "variables: found {}, allowed: at least 1"),
        ({"objectives": [{"quantity": "speed"}]}, "objectives.0.quantity: found speed, allowed: validation_accuracy, "),
        ({"objectives": [{"quantity": "test_accuracy"}]}, "found test_accuracy, which is of the test images"),
        ({"objectives": [{"quantity": "area_m2", "variant": "x"}]}, "objectives.0.variant: found x, allowed: v"),
        ({"objectives": WANTED[:1] * 2}, "found an objective a second time"),
        ({"sampler": "cma"}, "sampler: found cma, allowed: tpe, nsga2, gp, random"),
        ({"points": None}, "found neither points nor hours"),
        ({"constraints": ["K_eff > 0"]}, r"constraints.0: found K_eff, allowed: a variable \(Ku, D\), a key"),
        ({"constraints": ["Ku > "]}, "constraints.0: found Ku > , allowed: numbers, names"),
        ({"constraints": ["__import__('os').system('ls')"]}, "constraints.0: found __import__"),
        ({"constraints": ["Ku > 1e6", "Ku < 9e5"]}, r"no point among 2000 that fulfils them \(\d+ violate Ku > 1e6"),
        ({"fidelities": {"cheap": {"network": {"epochz": 1}}}}, "did you mean 'epochs'"),
        ({"fidelities": {"full": {}}}, "found a fidelity named full, allowed: another name"),
        ({"fidelities": {"cheap": {"study": "x"}}}, "found study, allowed: changes of the stages"),
    ],
)  # fmt: skip
def test_bad_sections_are_one_line(changes, message):
    variables = {"Ku": {"key": KU, "range": [6e5, 1.2e6]}, "D": {"key": DMI, "range": [1e-4, 4e-3], "log": True}}
    section = changed({"variables": variables, "objectives": WANTED, "points": 4}, changes)
    with pytest.raises(UserError, match=message) as error:
        space = Space("config.yaml", {**WALL, "design": section})
        objectives.goals(space.design, ["v"])
        space.check_feasible(np.random.default_rng(0))
    assert "\n" not in str(error.value)


def test_a_search_is_no_scan_and_needs_a_network():
    both = copy.deepcopy(layer())
    both["scan"] = {"axes": [{"key": "network.epochs", "values": [1, 2]}]}
    with pytest.raises(UserError, match="found a study without a network, or with a scan"):
        Space("config.yaml", both)
    with pytest.raises(UserError, match="found a study without a network"):
        Space("config.yaml", {**layer(), "network": None})


@pytest.mark.parametrize(
    "text, value",
    [
        ("2 + 3 * x ** 2", 14.0), ("-x / 4", -0.5), ("sqrt(x * 8) == 4", True), ("1 < x <= 2 and not x > 2", True),
        ("x == 'a' or a.b[1] >= 5", True), ("min(x, 1, a.b[0]) + round(pi)", 4.0), ("max(abs(-3), log10(100))", 3.0),
    ],
)  # fmt: skip
def test_expressions(text, value):
    names = {"x": 2.0, "a.b.1": 5, "a.b.0": 7}
    assert expressions.parse(text, "k").value(names.__getitem__) == pytest.approx(value, rel=1e-8, abs=0)


@pytest.mark.parametrize(
    "text", ["x; y", "lambda: 1", "[1, 2]", "x if y else z", "open('f')", "x.__class__()", "f'{x}'", "x[y]"]
)
def test_expressions_run_nothing_else(text):
    with pytest.raises(UserError, match="^k: found .*, allowed: numbers, names"):
        expressions.parse(text, "k")


def test_an_expression_without_a_value_does_not_hold():
    found = expressions.parse("sqrt(x) < 1", "k")
    assert not found.holds(lambda name: -1.0) and found.holds(lambda name: 0.5)
    for text in ("1 / x", "9 ** 9 ** 9 ** x", "9999999999 * 'x' == 'x'"):
        with pytest.raises(UserError, match="^k: found .*, which has no value"):
            expressions.parse(text, "k").value({"x": 0.0 if "/" in text else 9.0}.__getitem__)


def test_the_energy_of_writes_is_that_of_the_writes_alone(tmp_path):
    tables = tmp_path / "network" / "summary"
    tables.mkdir(parents=True)
    (tables / "summary.csv").write_text("variant,selection,seeds\nv,last,2\n")
    head = "variant,phase,level,term,energy_J_mean,energy_J_sd\n"
    rows = "v,training,device,reads,5e-10,1e-12\nv,training,device,writes,{},2e-14\nv,training,device,total,1,0\n"
    goal = objectives.Goal("training_write_energy_J", "training_write_energy_J", "v", -1, None, None)
    (tables / "energy.csv").write_text(head + rows.format("3e-13"))
    assert objectives.measure(tmp_path, goal) == objectives.Measured(3e-13, 2e-14, 2)
    (tables / "energy.csv").write_text(head + rows.format("0"))  # it learned nothing, or has no devices
    assert np.isnan(objectives.measure(tmp_path, goal).mean)
