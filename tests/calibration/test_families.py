"""What each family makes of the device stage's tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.laws import precessional
from calibration.sources import build, simulated
from calibration.sources.build import check
from spinloom.errors import UserError
from spinloom.write_events import Writes
from tests.calibration.conftest import (
    ACTIVATED,
    JUNCTION,
    NOTCHED,
    PASSING,
    WALL,
    activated,
    gated,
    junction,
    junction_events,
    junction_pulses,
    notched,
    stage,
)

MEANS = {device["family"]: Writes.parse(device["writes"], "a test") for device in (WALL, JUNCTION, NOTCHED)}
G_P = np.pi / 4 * 40e-9**2 / 1e-11  # 126 uS; antiparallel half of it


def law(card, name, state):
    return next(fit for fit in card.meta.laws if fit.law == name and fit.conditions.state_from == state)


def within(fit, truth):
    """Each fitted parameter within 4.5 standard errors: false alarm 7e-6 each."""
    for name, value in truth.items():
        error = fit.standard_errors[name]
        assert 0 < error < 0.2 * value and abs(fit.parameters[name] - value) < 4.5 * error, (name, fit.parameters)


# -- junction written by current ---------------------------------------------------------------------------------------
def test_directions_are_pulses_of_one_polarity_whose_other_row_stays(cards, studies):
    card, plan = cards["stt_mtj"], studies["stt_mtj"].pulses
    assert list(card.states["label"]) == ["AP", "P"] and len(card.pulses) == len(plan) == 20
    np.testing.assert_allclose(card.pulses["voltage_V"], plan["voltage_V"])
    assert (card.pulses["polarity"] == np.sign(plan["voltage_V"])).all()
    # a positive voltage makes P of AP; the row from P was never written
    for pulse, row in card.pulses.iterrows():
        written, other = (0, 1) if row["polarity"] > 0 else (1, 0)
        rows = card.transitions[card.transitions["pulse"] == pulse].set_index(["state_from", "state_to"])
        assert set(rows.loc[written, "basis"]) == {"counts"} and rows.loc[written, "count"].sum() == 400
        assert set(rows.loc[other, "basis"]) == {"assumed"} and rows.loc[other, "effective_count"].sum() == 0
        for name in ("probability", "ci_low", "ci_high"):
            assert rows.loc[(other, other), name] == 1 and rows.loc[(other, written), name] == 0
    assert card.meta.flags.dump() == {
        "volatile": False, "reset_before_write": False, "destructive_read": False, "half_select": False,
    }  # fmt: skip


def test_junction_conductances_are_those_of_its_states(cards):
    states = cards["stt_mtj"].states
    np.testing.assert_allclose(states["conductance_S"], [G_P / 2, G_P])
    assert set(states["conductance_sd_S"]) == {0.0} and states["position_m"].isna().all()
    assert cards["stt_mtj"].population["conductance_offset_S"].abs().max() == 0
    # the share of all writes, whatever they began in, that ended in each
    assert states["count"].sum() == 20 * 400


def test_switching_laws_of_synthetic_counts_are_recovered(cards):
    """Neel-Brown counts from both states: the true parameters, and no lack of fit at 1e-4."""
    card = cards["stt_mtj"]
    for state in (0, 1):
        fit = law(card, "neel_brown", state)
        within(fit, ACTIVATED)
        assert fit.conditions.chosen and fit.goodness.p_value > 1e-4
        assert card.pulses["polarity"][list(fit.conditions.pulses)].unique().tolist() == [1 if state == 0 else -1]


def test_precessional_counts_are_recovered_and_chosen(tmp_path):
    truth = {"characteristic_time_s": 1.5e-9, "critical_voltage_V": 0.4, "initial_angle_sd_rad": 0.12}
    study = junction(tmp_path)
    study.pulses = plan = junction_pulses((0.6, 0.7, 0.8, 1.0, 1.2), (1e-9, 2e-9, 4e-9))
    p = precessional.probability(truth, plan["voltage_V"].abs(), plan["duration_s"], 300.0)
    study.events = junction_events(plan, p, instances=2, replicas=400)
    card = study.card()
    for state in (0, 1):
        fit = law(card, "precessional", state)
        within(fit, truth)
        assert fit.conditions.chosen


def test_energy_is_the_mean_heat_of_the_junction(tmp_path):
    """V^2 t G with G of the mean mz, at the voltage's own magnetoresistance; by hand for three writes."""
    study = junction(tmp_path, **{"readout.TMR_half_voltage_V": 0.3})
    study.pulses = study.pulses[study.pulses["voltage_V"].isin([0.3, -0.3]) & (study.pulses["duration_s"] == 1e-9)]
    study.pulses = study.pulses.reset_index(drop=True).assign(pulse=[0, 1])
    events = junction_events(study.pulses, [0.5, 0.5], instances=1, replicas=3)
    events["mz_pulse_mean"] = [1.0, 0.0, 0.5, -1.0, -0.5, -1.02]
    study.events = events
    card = study.card()
    # at 0.3 V TMR is 1/2: antiparallel 2/3 of the parallel conductance; beyond -1 is antiparallel
    shares = np.array([[1.0, 0.5, 0.75], [0.0, 0.25, 0.0]])
    heat = 0.09 * 1e-9 * G_P * (shares + (1 - shares) * 2 / 3)
    # and as often the device is in the state that the pulse favours already: AP for -0.3 V, P for 0.3 V
    idle = 0.09 * 1e-9 * G_P * np.array([2 / 3, 1.0])
    np.testing.assert_allclose(card.pulses["energy_junction_J"], (heat.mean(axis=1) + idle) / 2)
    np.testing.assert_allclose(card.pulses["energy_mean_J"], (heat.mean(axis=1) + idle) / 2)
    spread = heat.var(axis=1) / 2 + ((heat.mean(axis=1) - idle) / 2) ** 2
    np.testing.assert_allclose(card.pulses["energy_sd_J"], np.sqrt(spread))
    np.testing.assert_allclose(card.pulses["latency_s"], 4e-9)
    assert card.pulses[["energy_sot_J", "energy_gate_J", "energy_reset_J"]].isna().all(axis=None)
    # read at 0.1 V the ratio is 0.9
    np.testing.assert_allclose(card.states["conductance_S"], [G_P / 1.9, G_P])


def test_undecided_writes_are_an_error_beyond_their_share(tmp_path):
    study = junction(tmp_path)
    study.events.loc[[5, 7000], "final_state"] = "undecided"
    words = "2 of 8000 events ended in neither state, the first is .* replica 5, allowed: .*relax for longer"
    with pytest.raises(UserError, match=words):
        study.card()
    card = study.card(max_lost_fraction=0.001)
    assert (card.meta.events, card.meta.lost_events) == (7998, 2)


def test_barrier_is_told(cards, tmp_path):
    assert cards["stt_mtj"].meta.barrier.dump() == {
        "thermal_stability": 40.0, "temperature_K": 300.0, "exponent": 2,
        "critical_voltage_V": {"AP_to_P": 0.5, "P_to_AP": 0.6},
    }  # fmt: skip
    assert cards["vcma_mtj"].meta.barrier.critical_voltage_V is None
    study = junction(tmp_path)
    study.device["writes"]["barrier"] = None
    assert study.card().meta.barrier is None


def test_devices_that_differ_are_told_by_their_probabilities(tmp_path):
    """Barriers from 8 to 16: the spread of P between devices is that of the law."""
    study, stabilities = junction(tmp_path), np.linspace(8, 16, 9)
    plan = study.pulses
    study.events = pd.concat(
        junction_events(plan, activated(plan, stability), instances=1, seed=number).assign(instance=number)
        for number, stability in enumerate(stabilities)
    )
    spread = pd.DataFrame([row.dump() for row in study.card().meta.probability_spread]).set_index("pulse")
    truth = np.std([activated(plan, stability) for stability in stabilities], axis=0, ddof=1)
    largest = int(truth.argmax())
    assert truth[largest] > 0.18 and spread["devices"].eq(9).all()
    # the estimate's own relative error for 9 devices of 100 writes is 1/sqrt(16) + little: 1.8 of it
    assert spread["sd"][largest] == pytest.approx(truth[largest], abs=0, rel=0.45)
    # a pulse that does next to nothing to any device tells of no spread
    assert truth.min() < 0.01 and spread["sd"][int(truth.argmin())] < 0.05


# -- junction written by voltage ---------------------------------------------------------------------------------------
def test_voltage_pulse_has_two_rows_and_a_gate(cards, studies):
    card, study = cards["vcma_mtj"], studies["vcma_mtj"]
    events = study.events.merge(study.pulses, on="pulse")
    assert len(card.pulses) == 4 and set(card.pulses["polarity"]) == {0} and set(card.pulses["channel"]) == {"gate"}
    assert set(card.transitions["basis"]) == {"counts"} and card.meta.laws == ()
    counts = card.transitions["count"].to_numpy().reshape(4, 2, 2)
    assert counts.sum(axis=-1).tolist() == [[400, 400]] * 4
    by_hand = events.groupby(["duration_s", "voltage_V", "direction"])["final_state"].apply(lambda s: (s == "P").sum())
    for pulse, row in card.pulses.iterrows():
        own = by_hand[row["duration_s"], row["voltage_V"]]
        assert counts[pulse, :, 1].tolist() == [own["AP_to_P"], own["P_to_AP"]]
    # eps0 9.8 (pi/4 (40 nm)^2)/1.5 nm = 72.7 aF; 1 kohm um^2 makes 1.26 uS
    gate = 8.8541878e-12 * 9.8 * np.pi / 4 * 40e-9**2 / 1.5e-9 * card.pulses["voltage_V"] ** 2
    np.testing.assert_allclose(card.pulses["energy_gate_J"], gate, rtol=1e-6)
    heat = card.pulses["energy_junction_J"]
    assert heat.between(
        *(card.pulses["voltage_V"] ** 2 * card.pulses["duration_s"] * G_P / 100 * share for share in (0.5, 1.0))
    ).all()
    np.testing.assert_allclose(card.pulses["energy_mean_J"], gate + heat, rtol=1e-6)


def test_a_law_of_the_voltage_is_not_for_voltage_pulses(studies):
    for changes, words in (
        ({"kernel.form": "law"}, "kernel.form: found 'law', allowed for vcma_mtj: counts, as no law is known for it"),
        ({"kernel.law": "neel_brown"}, "kernel.law: found 'neel_brown', allowed for vcma_mtj: auto$"),
    ):
        with pytest.raises(UserError, match=words):
            build.make(gated(Path(), **changes).stage, "c.json", studies["vcma_mtj"].tables)


def test_a_row_that_no_voltage_pulse_wrote_is_missed_by_name(tmp_path):
    study = gated(tmp_path)
    study.events = study.events[study.events["pulse"] != 5]  # AP_to_P at 1.5 V, 0.2 ns
    study.pulses = study.pulses[study.pulses["pulse"] != 5].assign(pulse=range(7))
    study.events["pulse"] -= (study.events["pulse"] > 5).astype(int)
    with pytest.raises(UserError, match=r"pulse 1: found no write that begins in state 0 \(AP\), allowed: .* replicas"):
        study.card()
    # to assume that it stays is the config's choice here
    rows = study.card(kernel__empty_rows="stay").transitions.query("pulse == 1 and state_from == 0")
    assert rows["probability"].tolist() == [1, 0] and set(rows["basis"]) == {"assumed"}


# -- notched wire ------------------------------------------------------------------------------------------------------
def test_notched_wire_forgets_and_both_rows_are_alike(cards, studies):
    card, events = cards["notched_wire"], studies["notched_wire"].events
    assert card.meta.flags.volatile and card.rows_repeat
    np.testing.assert_array_equal(card.kernel[:, 0], card.kernel[:, 1])
    passed = events.groupby("pulse")["passed"].sum().to_numpy()
    np.testing.assert_allclose(card.kernel[:, 0, 1], (passed + 0.5) / (400 + 1))
    assert list(card.states["label"]) == ["pinned", "passed"]
    # junction over the 200 nm beyond the notch: 200 x 50 nm^2/1e-9 ohm m^2 = 10 uS, 2.5 times less pinned
    np.testing.assert_allclose(card.states["conductance_S"], [4e-6, 10e-6])
    within(law(card, "passing", None), PASSING)
    assert card.meta.intended_states == tuple(0 if k < 200 else 1 for k in passed)


def test_clock_energy_is_the_configs_and_has_no_column(cards):
    pulses = cards["notched_wire"].pulses
    np.testing.assert_allclose(pulses["energy_mean_J"], 2e-15)
    assert pulses[["energy_sot_J", "energy_junction_J", "energy_gate_J", "energy_reset_J"]].isna().all(axis=None)
    np.testing.assert_allclose(pulses["latency_s"], 5e-9)
    np.testing.assert_allclose(pulses["field_T"], [0.01, 0.014, 0.018, 0.022, 0.026, 0.03])


def test_notched_wire_driven_by_spin_orbit_torque_heats_its_line(tmp_path):
    study = notched(tmp_path)
    del study.config["write_energy"]["clock_energy_J"]
    with pytest.raises(UserError, match="key write_energy.clock_energy_J is missing"):
        study.card()
    current = [1e11, -2e11, 3e11, 4e11, 5e11, 6e11]
    study.pulses = study.pulses.assign(channel="sot", field_T=0.0, current_density_A_per_m2=current)
    drive = "current_density_A_per_m2"
    study.device["writes"] |= {
        "pulse": {"channel": "sot", "drives": [drive], "polarity": drive, "settle": "settle_s"},
        "energy": {"sot": {"width_m": 50e-9, "length_m": 300e-9}},
    }
    card = study.card()
    # J^2 rho (w d L) t with rho 2e-7, 50 nm x 5 nm x 300 nm, 4 ns: 0.6 fJ at 1e11
    np.testing.assert_allclose(card.pulses["energy_sot_J"], 0.6e-15 * np.array([1, 4, 9, 16, 25, 36]))
    np.testing.assert_allclose(card.pulses["energy_mean_J"], card.pulses["energy_sot_J"])
    assert list(card.pulses["polarity"]) == [1, -1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda s: s.device["writes"]["junction"].update(area_m2=-1),
            "writes.junction.area_m2: found -1, allowed: more",
        ),
        (lambda s: s.events.__setitem__("wall_state", "multiple"), "2400 of 2400 events ended with more than one wall"),
        (lambda s: s.events.__setitem__("passed", 1), "column passed: found 'int64', allowed: type bool"),
        (lambda s: s.pulses.__setitem__("channel", "gate"), "column channel: found 'gate' in row 0, allowed: field$"),
    ],
)
def test_unfit_tables_of_a_notched_wire(tmp_path, edit, words):
    study = notched(tmp_path)
    edit(study)
    with pytest.raises(UserError, match=words):
        study.card()


def test_a_wall_that_left_the_wire_has_passed(tmp_path):
    study = notched(tmp_path)
    study.events.loc[study.events["passed"], "wall_state"] = "lost"
    card = study.card()
    assert (card.meta.events, card.meta.lost_events) == (2400, 0)


def test_a_family_of_more_states_brings_them(tmp_path):
    """Three states from antiparallel to parallel, written after a reset: what a plug-in may state."""
    study = notched(tmp_path)
    levels = study.events["replica"] % 3
    study.events["end"] = levels.map({0: "low", 1: "half", 2: "high"})
    labels = ["low", "half", "high"]
    study.device["writes"] |= {
        "outcome": {"column": "end", "counted": labels, "what": "ended nowhere", "advice": "wait"},
        "states": {"kind": "levels", "labels": labels},
    }
    card = study.card()
    assert card.states["label"].tolist() == labels and card.meta.flags.reset_before_write
    np.testing.assert_allclose(card.states["conductance_S"], [4e-6, 7e-6, 10e-6])
    counts = levels[study.events["pulse"] == 0].value_counts().sort_index()
    assert card.transitions.query("pulse == 0 and state_from == 0")["count"].tolist() == counts.tolist()


def test_heat_of_a_junction_needs_the_state_before():
    with pytest.raises(UserError, match="^device.json: writes: found energy.junction, allowed: only if each write"):
        Writes.parse({**NOTCHED["writes"], "energy": {"junction": {"mz": "mz"}}}, "device.json", "writes")


# -- checks before anything runs ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "family", "words"),
    [
        ({"states.method": "device"}, "domain_wall", "states.method: found 'device', allowed for domain_wall: nearest"),
        ({}, "stt_mtj", "calibration.states.method: found 'nearest_mean', allowed for stt_mtj: device"),
        ({"states.method": "lattice", "states.count": None}, "domain_wall", "found null, allowed: 2..1024 "),
        ({"states.count": 4}, "domain_wall", "calibration.states.count: found 4, allowed: 5, the number of pulses"),
        ({"states.edges": [1e-7]}, "domain_wall", "calibration.states.edges: found edges, allowed: null"),
        ({"source.kind": "import"}, "domain_wall", "calibration.source.file: found null, allowed with kind import"),
        ({"source.kind": "import", "source.file": "x.csv"}, "domain_wall", "x.csv: found nothing, allowed: a file"),
        (
            {"source": {"kind": "import", "file": "x", "format": "events", "options": {"colour": 1}, "name": None,
                        "population": None}},
            "domain_wall", "format events: calibration.source.options: found unknown key 'colour'",
        ),
        ({"source.kind": "card"}, "domain_wall", "calibration.source.file: found null, allowed with kind card"),
        ({"source.kind": "library"}, "domain_wall", "calibration.source.name: found null, allowed with kind library"),
        (
            {"source.kind": "library", "source.name": "none_such"}, "domain_wall",
            "calibration.source.name: found 'none_such', allowed: arm_pma_mtj_50nm, ",
        ),
        ({"source.kind": "parametric"}, "domain_wall", "calibration.parametric: this section is missing; "),
    ],
)  # fmt: skip
def test_sources_are_checked_before_anything_runs(changes, family, words):
    with pytest.raises(UserError, match=words) as error:
        config = stage(changes)
        check(config, family, MEANS[family] if config.source.kind == "simulation" else None, 5)
    assert "\n" not in str(error.value)


def test_sound_sources_pass_the_check(tmp_path):
    check(stage(), "domain_wall", MEANS["domain_wall"], 5)
    check(stage({"states.method": "device", "states.count": None}), "notched_wire", MEANS["notched_wire"], 6)
    check(stage({"source.kind": "library", "source.name": "pbit"}), "domain_wall", None, 0)
    # states that a simulation could not have are of no interest to a card from elsewhere
    check(stage({"source.kind": "card", "source.file": "x", "states.method": "device"}), "domain_wall", None, 5)


def test_inputs_are_the_files_of_the_user(tmp_path):
    assert build.inputs(stage()) == []
    config = stage({"source.kind": "card", "source.file": str(tmp_path / "card")})
    with pytest.raises(UserError, match="calibration.source.file: found .*card, which is not there, allowed: an exist"):
        build.inputs(config)
    (tmp_path / "card").mkdir()
    with pytest.raises(UserError, match="card, which has no card.json, allowed: the folder of a card"):
        build.inputs(config)
    for name in ("b", "a", "card.json"):
        (tmp_path / "card" / name).write_text(name)
    assert build.inputs(config) == [str(tmp_path / "card" / name) for name in ("a", "b", "card.json")]
    assert build.inputs(stage({"source.kind": "import", "source.file": str(tmp_path / "card" / "a")})) == [
        str(tmp_path / "card" / "a")
    ]


def test_cards_from_elsewhere(good, tmp_path):
    """A card on disk keeps its numbers; the library's gets tables besides; simulations need their folder."""
    good.write(tmp_path)
    again, dropped = build.make(stage({"source.kind": "card", "source.file": str(tmp_path)}), "c.json", None)
    assert again.hash == good.hash and dropped is None
    ready, _ = build.make(stage({"source.kind": "library", "source.name": "pbit"}), "c.json", None)
    assert ready.meta.source.kind == "library" and ready.meta.derived.writes
    with pytest.raises(UserError, match="--device-sims: found nothing, allowed with source.kind simulation"):
        build.make(stage(), "c.json", None)
    with pytest.raises(UserError, match="c.json: source.kind: found guess, allowed: simulation, import, "):
        build.make(stage({"source.kind": "guess"}), "c.json", None)


def test_unfit_method_and_incomplete_folder(studies, tmp_path):
    with pytest.raises(UserError, match="device.json: cannot be read"):
        simulated.read(tmp_path, stage(), "c.json")
    (tmp_path / "device.json").write_text('{"family": "domain_wall"}')
    with pytest.raises(UserError, match="device.json: found no key writes"):
        simulated.read(tmp_path, stage(), "c.json")
    by_nature = stage({"states.method": "device", "states.count": None})
    writes = simulated.read(studies["stt_mtj"].tables, by_nature, "c.json")
    with pytest.raises(UserError, match="states.method: found 'nearest_mean', allowed for stt_mtj: device"):
        simulated.read(studies["stt_mtj"].tables, stage(), "c.json")
    assert writes.events["before"].isin([0.0, 1.0]).all() and JUNCTION["family"] == writes.name
