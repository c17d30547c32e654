import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration.card import SCHEMA_VERSION, KernelCard, Meta
from calibration.consequences.derive import with_derived
from calibration.counting import kernel_rows
from calibration.counting.estimator import stationary, transition_rows
from calibration.counting.writes import Writes
from calibration.sections import Kernel, Posterior
from calibration.tools.sample import sample
from spinloom.errors import UserError
from spinloom.streams import generator
from tests.calibration.conftest import meta_with

DRAWS = 200
POSTERIOR = Posterior()


def make_card(seed=1, writes=20, instances=6, reset=True, pooling="events", kernel=None, name="test") -> KernelCard:
    """Return the card of a made-up device with 2 pulses and 3 states; without a reset, `writes` from each state."""
    rng = generator(seed, "card", name)
    kernel = np.array([[0.7, 0.25, 0.05], [0.1, 0.3, 0.6]]) if kernel is None else np.asarray(kernel)
    starts = 1 if reset else 3
    pulse, start, instance, _ = np.indices((2, starts, instances, writes)).reshape(4, -1)
    # a wall that was further along before a write is further along after it
    state = np.array([rng.choice(3, p=kernel[a]) for a in pulse])
    posterior = Posterior(pooling=pooling)
    rows = transition_rows(pulse, start, state, instance, 2, 3, posterior, "test")
    if reset:
        rows = type(rows)(**{key: np.repeat(part[:, :1], 3, axis=1) for key, part in vars(rows).items()})
    transitions = kernel_rows.table(rows)
    count = np.bincount(state, minlength=3)
    states = pd.DataFrame(
        {
            "state": range(3),
            "label": ["s0", "s1", "s2"],
            "position_m": [100e-9, 300e-9, 500e-9],
            "position_low_m": [0.0, 200e-9, 400e-9],
            "position_high_m": [200e-9, 400e-9, 600e-9],
            "conductance_S": [10e-6, 20e-6, 30e-6],
            "conductance_sd_S": [1e-6, 2e-6, 1e-6],
            "count": count,
            "occupancy": stationary(rows.probability),
        }
    )
    pulses = pd.DataFrame({"pulse": range(2), "channel": "gate+sot", "voltage_V": [0.5, -0.5], "polarity": 1})
    pulses["current_density_A_per_m2"], pulses["field_T"], pulses["zhang_li_u_m_per_s"] = 3e11, np.nan, np.nan
    pulses["duration_s"], pulses["temperature_K"], pulses["latency_s"] = 1e-9, 300.0, 5e-9
    pulses["energy_mean_J"], pulses["energy_sd_J"] = [3e-15, 4e-15], [3e-16, 0.0]
    pulses["energy_sot_J"], pulses["energy_gate_J"] = [2e-15, 3e-15], [1e-15, 1e-15]
    pulses["energy_junction_J"], pulses["energy_reset_J"] = np.nan, np.nan
    population = pd.DataFrame({"instance": range(instances), "events": len(state) // instances})
    population["conductance_factor"] = 1.0
    population["conductance_offset_S"] = 1e-6 * np.linspace(-1, 1, instances)
    population["position_offset_m"] = 20e-9 * np.linspace(-1, 1, instances)
    population["conductance_offset_se_S"], population["position_offset_se_m"] = 1e-7, 2e-9
    reads = pd.DataFrame({"state": range(3), "read_voltage_V": 0.1, "energy_J": 1e-16, "latency_s": 5e-9})
    reads["noise_sd_S"] = 1e-7
    content = {
        "name": name,
        "schema_version": SCHEMA_VERSION,
        "flags": {"volatile": False, "reset_before_write": reset, "destructive_read": False, "half_select": False},
        "source": {"kind": "simulated"},
        "states": {"method": "edges", "coordinate": "position_m", "edges": [0.0, 200e-9, 400e-9, 600e-9]},
        "posterior": posterior.dump(),
        "laws": [],
        "spread": {"cycle_to_cycle_sd_S": 2e-6, "cycle_to_cycle_se_S": 1e-7, "device_to_device_sd_S": None},
    }
    return with_derived(KernelCard(states, pulses, transitions, population, reads, Meta(**content)).validate())


@pytest.fixture(scope="module")
def card():
    return make_card()


@pytest.fixture(scope="module")
def draws(card):
    return [sample(card, 7, number) for number in range(DRAWS)]


def replaced(card, **tables):
    parts = {**card.tables, "meta": card.meta, **tables}
    return KernelCard(**parts)


def test_rows_are_draws_from_the_posterior(card, draws):
    # each probability alone is Beta(n + a, N - n + (K - 1) a); 6 Kolmogorov-Smirnov tests of 200 draws at 1e-4: a right
    # sampler fails for 1 seed in 1600
    kernels_drawn = np.array([one.kernel for one in draws])
    counts = card.transitions["count"].to_numpy().reshape(2, 3, 3)[:, 0]
    for pulse, state in np.ndindex(2, 3):
        n = counts[pulse, state]
        beta = stats.beta(n + 0.5, counts[pulse].sum() - n + 1)
        assert stats.kstest(kernels_drawn[:, pulse, 0, state], beta.cdf).pvalue > 1e-4


def test_mean_and_quantiles_of_the_draws_are_those_of_the_card(card, draws):
    # means within 4.5 standard errors; the share below ci_low and above ci_high 2.5 % each of 200, binomial at 1e-5
    kernels_drawn = np.array([one.kernel for one in draws])[:, :, 0]
    error = kernels_drawn.std(axis=0) / np.sqrt(DRAWS)
    assert (np.abs(kernels_drawn.mean(axis=0) - card.kernel[:, 0]) < 4.5 * error).all()
    low, high = (card.transitions[name].to_numpy().reshape(2, 3, 3)[:, 0] for name in ("ci_low", "ci_high"))
    for share in ((kernels_drawn < low).sum(axis=0), (kernels_drawn > high).sum(axis=0)):
        assert stats.binom.ppf(1e-5, DRAWS, 0.025) <= share.min() and share.max() <= stats.binom.isf(1e-5, DRAWS, 0.025)


def test_a_draw_is_a_valid_card_that_claims_no_uncertainty(card, draws):
    drawn = draws[0].validate()
    table = drawn.transitions
    np.testing.assert_array_equal(table["ci_low"], table["probability"])
    np.testing.assert_array_equal(table["ci_high"], table["probability"])
    np.testing.assert_array_equal(table["count"], card.transitions["count"])
    np.testing.assert_allclose(drawn.states["occupancy"], stationary(drawn.kernel), rtol=1e-12)
    # each write begins with a reset, so the state before still does not matter
    np.testing.assert_array_equal(drawn.kernel[:, 0], drawn.kernel[:, 2])
    assert "derived" not in drawn.meta.dump() and "derived" in card.meta.dump()
    told = drawn.meta.source.dump()["sample"]
    assert (told["seed"], told["number"], told["of"]) == (7, 0, card.hash)
    assert "energies of writes (1 of 2)" in told["varied"] and "energies of writes (1 of 2)" in told["fixed"]
    assert "rows from counts" in told["varied"] and "reads" in told["fixed"]


def test_the_same_number_is_the_same_bytes_and_another_is_not(card, draws, tmp_path):
    for folder in ("first", "second"):
        sample(card, 7, 3).write(tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert all((tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes() for name in files)
    assert draws[3].hash == sample(card, 7, 3).hash
    assert len({draws[3].hash, draws[4].hash, sample(card, 8, 3).hash, card.hash}) == 4


def test_draws_of_different_numbers_are_independent(draws):
    # correlation of consecutive draws: standard error 1/sqrt(200) for each of 4 quantities; 4.5 of them
    values = np.array([[d.kernel[0, 0, 0], d.kernel[1, 0, 0], *d.states["conductance_S"][:2]] for d in draws])
    for series in values.T:
        assert abs(np.corrcoef(series[:-1], series[1:])[0, 1]) < 4.5 / np.sqrt(DRAWS)


def test_pulses_and_states_are_drawn_independently(draws):
    # standard error 1/sqrt(200); 4.5 of them
    first, second = ([d.kernel[pulse, 0, 0] for d in draws] for pulse in (0, 1))
    conductance = [d.states["conductance_S"][0] for d in draws]
    assert abs(np.corrcoef([first, second, conductance]) - np.eye(3)).max() < 4.5 / np.sqrt(DRAWS)


def test_mean_conductances_have_students_distribution(card, draws):
    # KS tests of 3 states at 1e-4: fails for 1 seed in 3000
    for state, row in card.states.iterrows():
        score = [(d.states["conductance_S"][state] - row["conductance_S"]) for d in draws]
        score = np.array(score) / (row["conductance_sd_S"] / np.sqrt(row["count"]))
        assert stats.kstest(score, stats.t(row["count"] - 1).cdf).pvalue > 1e-4


def test_energies_offsets_and_spreads_have_their_standard_errors(card, draws):
    # 120 writes: sd 3e-16 / sqrt(120); KS at 1e-4 each: fails for 1 seed in 2500
    energy = np.array([d.pulses["energy_mean_J"] for d in draws])
    assert stats.kstest((energy[:, 0] - 3e-15) / (3e-16 / np.sqrt(120)), "norm").pvalue > 1e-4
    assert (energy[:, 1] == 4e-15).all()
    parts = np.array([d.pulses["energy_sot_J"][0] + d.pulses["energy_gate_J"][0] for d in draws])
    np.testing.assert_allclose(parts, energy[:, 0], rtol=1e-12)
    offset = np.array([d.population["conductance_offset_S"] - card.population["conductance_offset_S"] for d in draws])
    position = np.array([d.population["position_offset_m"] - card.population["position_offset_m"] for d in draws])
    assert stats.kstest(offset[:, 2] / 1e-7, "norm").pvalue > 1e-4
    # one device's conductance and position err together
    np.testing.assert_allclose(offset / 1e-7, position / 2e-9, atol=1e-6)
    spread = np.array([d.meta.spread["cycle_to_cycle_sd_S"] for d in draws])
    assert stats.kstest((spread - 2e-6) / 1e-7, "norm").pvalue > 1e-4
    assert draws[0].meta.spread["device_to_device_sd_S"] is None


def test_effective_counts_widen_the_draws():
    # rows worth a quarter of their counts vary twice as much: ratio of two sds of 80 draws, 8 % each, 4.5 of them
    card = make_card(writes=100)
    table = card.transitions.assign(effective_count=card.transitions["effective_count"] / 4)
    quarter = replaced(card, transitions=table)
    spread = [np.std([sample(one, 1, n).kernel[0, 0, 0] for n in range(80)]) for one in (card, quarter)]
    assert abs(spread[1] / spread[0] - 2) < 2 * 4.5 * 0.112


@pytest.mark.parametrize("basis", ["given", "assumed"])
def test_rows_without_uncertainty_stay(card, basis):
    table = card.transitions.assign(basis="counts")
    table.loc[table["pulse"] == 1, "basis"] = basis
    drawn = sample(replaced(card, transitions=table), 7, 0)
    np.testing.assert_array_equal(drawn.kernel[1], card.kernel[1])
    assert (drawn.kernel[0] != card.kernel[0]).all()
    assert f"rows {basis}" in drawn.meta.source.dump()["sample"]["fixed"]


def switch_card():
    """Return the card of a two-state device at 6 voltages, its rows from state 0 by a fitted logistic law."""
    rng = generator(5, "switch")
    card, voltages = make_card(), 0.1 * np.arange(1, 7)
    pulse = np.repeat(np.arange(6), 40)
    after = rng.binomial(1, 1 / (1 + np.exp(-(voltages[pulse] - 0.35) / 0.08)))
    pulses = pd.concat([card.pulses.iloc[:1]] * 6, ignore_index=True)
    pulses["pulse"], pulses["voltage_V"] = range(6), voltages
    writes = Writes(
        name="switch",
        events=pd.DataFrame({"pulse": pulse, "instance": 0, "replica": 0, "before": 0.0, "after": after.astype(float)}),
        pulses=pulses,
        coordinate="level",
        bounds=(-0.5, 1.5),
        conductance=lambda level: 1e-5 * (1 + level),
        flags={**card.meta.flags.dump(), "reset_before_write": False},
        source={"kind": "simulated"},
        where="switch",
        edges=np.array([-0.5, 0.5, 1.5]),
        labels=("P", "AP"),
    )
    kernel = Kernel(form="law", law="logistic", empty_rows="stay")
    start = np.zeros(240, int)
    fits, _ = kernel_rows.fit_laws(writes, start, kernel, 1, "switch")
    rows = transition_rows(pulse, start, after, np.zeros(240, int), 6, 2, POSTERIOR, "switch")
    wanted = np.repeat([[True, False]], 6, axis=0)
    table = kernel_rows.with_laws(kernel_rows.table(rows), wanted, fits, pulses, writes.edges, 0.95, "switch")
    table = kernel_rows.with_stay(table, ~wanted)
    states = card.states.iloc[:2].assign(occupancy=[0.0, 1.0], label=["P", "AP"])
    meta = meta_with(
        card,
        laws=[fit.to_dict() for fit in fits],
        flags={"reset_before_write": False},
        states={"method": "device", "coordinate": "level", "edges": [-0.5, 0.5, 1.5]},
    )
    return KernelCard(states, pulses, table, card.population, card.reads.iloc[:2], meta).validate()


def test_rows_of_a_law_follow_its_parameters():
    card = switch_card()
    draws = [sample(card, 7, number) for number in range(80)]
    switched = np.array([one.kernel[:, 0, 1] for one in draws])
    # one law, so all rows rise with the drive in each draw, which draws of the rows alone would not
    assert (np.diff(switched, axis=1) > 0).all()
    # the spread is that of the law's interval: sd of 80 draws 8 %, and the interval is one of the delta method
    table = card.transitions.query("state_from == 0 and state_to == 1")
    width = (table["ci_high"] - table["ci_low"]).to_numpy() / (2 * stats.norm.isf(0.025))
    np.testing.assert_allclose(switched.std(axis=0)[2:4], width[2:4], rtol=0.35)
    np.testing.assert_allclose(switched.mean(axis=0), table["probability"], atol=0.03)
    told = draws[0].meta.source.dump()["sample"]
    assert "rows from laws" in told["varied"] and "rows assumed" in told["fixed"]
    np.testing.assert_array_equal(draws[0].kernel[:, 1], card.kernel[:, 1])
    assert draws[0].meta.laws[0].parameters != card.meta.laws[0].parameters


def test_a_probability_of_zero_stays_zero(card):
    table = card.transitions.assign(basis="interpolated")
    table.loc[table["state_to"] == 2, ["probability", "ci_low"]] = 0.0
    total = table.groupby(["pulse", "state_from"])["probability"].transform("sum")
    table["probability"] = table["probability"] / total
    table["ci_low"], table["ci_high"] = 0.0, 1.0
    drawn = sample(replaced(card, transitions=table), 7, 0)
    assert (drawn.kernel[..., 2] == 0).all() and (drawn.kernel[..., 0] != card.kernel[..., 0]).all()


def test_states_of_one_write_stay(card):
    drawn = sample(replaced(card, states=card.states.assign(count=[1, 0, 50])), 7, 0)
    np.testing.assert_array_equal(drawn.states["conductance_S"][:2], card.states["conductance_S"][:2])
    assert drawn.states["conductance_S"][2] != card.states["conductance_S"][2]


def with_states(card, method="edges", **tables):
    return replaced(card, meta=meta_with(card, states={"method": method}), **tables)


def test_bins_of_a_lattice_stay(card):
    wide = card.states.assign(count=2, conductance_sd_S=2e-5)
    drawn = [sample(with_states(card, "lattice", states=wide), 7, number) for number in range(20)]
    assert all((one.states["conductance_S"] == wide["conductance_S"]).all() for one in drawn)
    assert "conductances of states" in drawn[0].meta.source.dump()["sample"]["fixed"]
    moved = sample(with_states(card, states=wide), 7, 0)
    assert (moved.states["conductance_S"] != wide["conductance_S"]).all()


@pytest.mark.parametrize("coordinate", ["position_m", "conductance_S"])
def test_mean_conductances_stay_in_their_state(card, coordinate):
    # few writes with a spread as wide as the states: of untruncated draws 4 in 10 would be out of order
    states = card.states.assign(count=2, conductance_sd_S=1e-5)
    edges = np.array([5e-6, 15e-6, 25e-6, 35e-6])
    if coordinate == "position_m":
        # 5 uS at 0 and 35 uS at 600 nm
        meta = meta_with(card, junction={"antiparallel_S": 5e-6, "parallel_S": 35e-6, "track_length_m": 600e-9})
    else:
        meta = meta_with(card, states={"coordinate": coordinate, "edges": edges.tolist()})
    drawn = np.array(
        [sample(replaced(card, states=states, meta=meta), 7, n).states["conductance_S"] for n in range(60)]
    )
    assert (drawn[:, 0] < edges[1]).all() and (drawn[:, 2] > edges[2]).all()
    assert ((drawn[:, 1] > edges[1]) & (drawn[:, 1] < edges[2])).all() and drawn[:, 1].std() > 1e-6
    if coordinate == "conductance_S":
        # what lies beyond the outermost edges is of the outermost states
        assert drawn[:, 0].min() < edges[0] and drawn[:, 2].max() > edges[3]
    else:
        assert drawn.min() > edges[0] and drawn.max() < edges[3]


@pytest.mark.long
def test_interpolated_rows_have_their_prior_already(card):
    # worth 10 writes: Beta(10 p, 10 (1 - p)); with pseudocounts it would be narrower by a tenth. KS of 200 draws at
    # 1e-4; the variance p (1 - p) / 11, 10 % each, 3.5 of them
    table = card.transitions.assign(basis="interpolated", count=0)
    table["probability"], table["ci_low"], table["ci_high"] = np.tile([0.5, 0.3, 0.2], 6), 0.0, 1.0
    table["effective_count"] = 2.0 * table["probability"]
    few = replaced(card, transitions=table)
    drawn = np.array([sample(few, 7, number).kernel[0, 0, 0] for number in range(DRAWS)])
    assert stats.kstest(drawn, stats.beta(1.0, 1.0).cdf).pvalue > 1e-4
    assert abs(drawn.var() * 12 - 1) < 3.5 * 0.063


def test_conductances_stay_positive(card):
    wild = replaced(card, states=card.states.assign(count=2, conductance_sd_S=2e-5))
    assert min(sample(wild, 7, number).states["conductance_S"].min() for number in range(50)) > 0


def test_a_card_without_devices_drawn_from_a_start_keeps_rows_apart():
    drawn = sample(make_card(reset=False), 7, 0)
    assert (drawn.kernel[0, 0] != drawn.kernel[0, 1]).all()


def test_negative_numbers_are_refused(card):
    with pytest.raises(UserError, match="card sample: number: found -1, allowed: 0 or more"):
        sample(card, 7, -1)


def test_a_card_of_a_law_draws_the_same_after_a_trip_to_disk(tmp_path):
    # card.json sorts its keys: the law's covariance must not be tied to the order of its parameters
    card = switch_card()
    card.write(tmp_path / "card")
    read = KernelCard.read(tmp_path / "card")
    np.testing.assert_allclose(sample(read, 7, 0).kernel, sample(card, 7, 0).kernel, atol=1e-12)


def test_a_junction_without_a_spread_of_conductance_is_sampled(cards):
    drawn = sample(cards["stt_mtj"], 1, 0).validate()
    assert drawn.meta.spread is None and drawn.hash != cards["stt_mtj"].hash
