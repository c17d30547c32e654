"""Cards of exactly known probabilities for the learning rules, and the statistics that their tests share."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration.card import SCHEMA_VERSION, KernelCard, Meta
from calibration.card.tables import TRANSITIONS
from calibration.sources.parametric.cards import make
from calibration.sources.parametric.config import Parametric
from network import rules
from network.model import optimizers
from network.rules.base import Context
from network.sections import Device, Optimizer
from network.synapse import pulse_ladder, random_words, sampling, turns
from network.synapse.device import DeviceModel

ALARM = 1e-4  # false alarms of each family of tests (Bonferroni within it); all seeds are fixed
ONE_NS = 1e-9


@pytest.fixture(scope="module", autouse=True)
def quick_compile():
    """Compile without the expensive optimisations: these tests draw little, and most of their time is compiling."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


program = jax.jit(sampling.program, static_argnames="pulses")


def card(
    transition, voltage_V, duration_s, conductance_S=(1e-4, 2e-4), conductance_sd_S=0.0, occupancy=None, flags=None
) -> KernelCard:
    """Return a card with the transitions float[pulses, states, states]; one instance, no read noise."""
    transition = np.asarray(transition, dtype=np.float64)
    kinds, count = transition.shape[:2]
    occupancy = np.full(count, 1 / count) if occupancy is None else occupancy
    states = pd.DataFrame({
        "state": range(count), "label": [f"s{k}" for k in range(count)], "position_m": np.nan, "position_low_m": np.nan,
        "position_high_m": np.nan, "conductance_S": conductance_S, "conductance_sd_S": conductance_sd_S, "count": 0,
        "occupancy": occupancy,
    })  # fmt: skip
    pulses = pd.DataFrame({
        "pulse": range(kinds), "channel": "junction", "voltage_V": voltage_V, "current_density_A_per_m2": np.nan,
        "field_T": np.nan, "zhang_li_u_m_per_s": np.nan, "duration_s": duration_s,
        "polarity": np.sign(voltage_V).astype(np.int64),
        "temperature_K": 300.0, "energy_mean_J": 1e-13, "energy_sd_J": 0.0, "energy_sot_J": np.nan,
        "energy_junction_J": 1e-13, "energy_gate_J": np.nan, "energy_reset_J": 0.0, "latency_s": duration_s,
    })  # fmt: skip
    rows = [
        (a, s, t, 0, 0.0, p, p, p, "given")
        for a, kernel in enumerate(transition) for s, row in enumerate(kernel) for t, p in enumerate(row)
    ]  # fmt: skip
    population = pd.DataFrame({
        "instance": [0], "events": 0, "position_offset_m": 0.0, "position_offset_se_m": np.nan,
        "conductance_factor": 1.0, "conductance_offset_S": 0.0, "conductance_offset_se_S": np.nan,
    })  # fmt: skip
    reads = pd.DataFrame({
        "state": range(count), "read_voltage_V": 0.1, "energy_J": 1e-17, "latency_s": 1e-8, "noise_sd_S": 0.0,
    })  # fmt: skip
    known = {"volatile": False, "reset_before_write": False, "destructive_read": False, **(flags or {})}
    meta = {"name": "given", "schema_version": SCHEMA_VERSION, "flags": known, "source": {"kind": "parametric"}}
    table = pd.DataFrame(rows, columns=list(TRANSITIONS.columns))
    return KernelCard(states, pulses, table, population, reads, Meta(**meta), {}).validate()


def junction(up, down, duration_up_s=None, duration_down_s=None, voltage_V=1.0, back=0.0, **changes) -> KernelCard:
    """Return a two-state card: pulses that switch on with probabilities ``up``, then those that switch off."""
    up, down = np.asarray(up, float), np.asarray(down, float)
    times = [
        ONE_NS * np.arange(1, len(p) + 1) if t is None else np.asarray(t)
        for p, t in ((up, duration_up_s), (down, duration_down_s))
    ]
    kernels = [[[1 - p, p], [back, 1 - back]] for p in up] + [[[1 - back, back], [p, 1 - p]] for p in down]
    voltage = np.concatenate([np.broadcast_to(voltage_V, up.shape), -np.broadcast_to(voltage_V, down.shape)])
    return card(kernels, voltage, np.concatenate(times), **changes)


SURE = (0.05, 0.3, 0.6, 1.0)  # a ladder that ends in certainty


def lattice(levels=32, spread=0.3, **electrical) -> KernelCard:
    """Return a linear memristive card: one level per pulse on average, with this relative sd."""
    section = {
        "device": "lattice",
        "name": "lattice",
        "lattice": {
            "levels": levels, "cycle_relative_sd": spread, "up": {"voltage_V": 1.0, "duration_s": 1e-7},
            "down": {"voltage_V": -1.0, "duration_s": 1e-7},
        },
        "electrical": {
            "conductance_max_S": 1e-5, "dynamic_range": 15.0, "read_voltage_V": 0.1, "read_duration_s": 1e-8,
            **electrical,
        },
    }  # fmt: skip
    return make(Parametric.parse(section, "lattice.yaml"), 0, "lattice.yaml")


def rule(name, of_card, options=None, optimizer=None, device_options=None):
    """Return the rule with its device; by default the weight moves by minus the gradient."""
    kind = rules.get(name)
    told = rules.options(name, options or {})
    device = DeviceModel.from_card(of_card, Device(**(device_options or {})), kind.scaled_by(told))
    made = optimizers.make(Optimizer(**(optimizer or {"name": "sgd", "learning_rate": 1.0})), 1)
    return kind(device, made, told)


def context(step=0, layers=1, seed=1):
    """Return a step of the rule's own stream."""
    return Context(tuple(random_words.stream(seed, "rule", layer) for layer in range(layers)), jnp.int32(step))


def start(of_rule, *shapes, seed=1):
    """Return the memory and the plans of the first programming of layers [inputs, outputs]."""
    keys = tuple(random_words.stream(seed, "weights", layer) for layer in range(len(shapes)))
    return jax.jit(of_rule.init, static_argnums=1)(keys, shapes)


def proposed(of_rule, memory, arrays, signals, now):
    """Return the memory and the plans of one step; those of turns as plans of all devices."""
    memory, plans = jax.jit(of_rule.propose)(memory, arrays, signals, now)
    if plans is not None:
        plans = tuple(turns.plan(one) if isinstance(one, turns.Turns) else one for one in plans)
    return memory, plans


def devices(state, device) -> sampling.Array:
    """Return devices of the mean instance in given states, of any shape."""
    state = np.asarray(state, np.int8)
    zero = np.zeros(state.shape, np.float32)
    return sampling.Array(state, device.state_weight[state], zero, zero + 1, np.zeros(state.shape, np.int32))


ROWS, ENTRIES, COMMANDS = 1024, 4096, 32  # one shape for all small cards, so that `program` is compiled once


def apply(of_rule, array, plan, seed=7):
    """Return devices (of any shape) after a plan and how many writes and transitions there were."""
    alphabet = of_rule.alphabet()
    table, count = sampling.tables(of_rule.device, alphabet), max(len(alphabet.pulses), COMMANDS)
    spare = -len(table.threshold) % ENTRIES
    table = table._replace(threshold=np.pad(table.threshold, (0, spare)), alias=np.pad(table.alias, (0, spare)))
    shape, size = array.state.shape, array.state.size
    block, key = ROWS * sampling.LANES, random_words.stream(seed, "program")

    def blocks(field):
        flat = np.asarray(field).ravel()
        return np.pad(flat, (0, -size % block)).reshape(-1, ROWS, sampling.LANES)

    fields = [None if field is None else blocks(field) for field in array]
    pulse, mask = blocks(np.asarray(plan.pulse, np.int16)), blocks(plan.mask)
    parts, writes, transitions = [], np.zeros(count, int), 0
    for step in range(len(mask)):
        part = sampling.Array(*(None if field is None else field[step] for field in fields))
        part, info = program(key, step, part, sampling.Plan(pulse[step], mask[step]), table, count)
        parts.append(part)
        writes, transitions = writes + np.asarray(info.writes), transitions + int(info.transitions)
    after = [
        None if field[0] is None else np.concatenate([np.asarray(f).ravel() for f in field])[:size].reshape(shape)
        for field in zip(*parts, strict=True)
    ]
    return sampling.Array(*after), sampling.Info(writes[: len(alphabet.pulses)], transitions)


def shares(of_ladder, device, back, strength) -> np.ndarray:
    """Return the exact probability to switch for each strength, of the shape of ``strength``; nothing is drawn.

    `ladder.choose` is monotone in its word, so bisection counts the words that take the upper rung, out of 2^32.
    """
    strength = np.asarray(strength, np.float32)
    back = np.broadcast_to(back, strength.shape)
    pick = jax.jit(lambda word: pulse_ladder.choose(of_ladder, back, strength, word))
    direction = back.astype(int)

    def rung(word):
        return np.stack([np.asarray(v, int) for v in pick(word.astype(np.uint32))])

    def probability(chosen):
        return np.where(chosen[1], device.transition[chosen[0], direction, 1 - direction], 0.0)

    low, high = np.zeros(strength.shape, np.uint64), np.full(strength.shape, 2**32 - 1, np.uint64)
    upper, lower = rung(low), rung(high)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        same = np.all(rung(middle) == upper, axis=0)
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    count = np.where(np.all(upper == lower, axis=0), 2**32, (low + 1).astype(float))
    return (count * probability(upper) + (2.0**32 - count) * probability(lower)) / 2.0**32


def fits(found, probability) -> float:
    """Return the p-value of counts against probabilities; what is expected less than 5 times is taken together."""
    found, probability = np.asarray(found, float), np.asarray(probability, float)
    assert found[probability == 0].sum() == 0  # what is impossible has not happened
    expected = probability * found.sum()
    rare = expected < 5
    seen, wanted = np.append(found[~rare], found[rare].sum()), np.append(expected[~rare], expected[rare].sum())
    keep = wanted > 0
    if keep.sum() == 1:
        return 1.0  # certain
    return stats.chi2.sf(((seen[keep] - wanted[keep]) ** 2 / wanted[keep]).sum(), keep.sum() - 1)


def kernel_p_values(of_rule, each=2048) -> list[float]:
    """Return the p-values of the transitions of every (command, state) of the rule's alphabet, drawn by `program`."""
    alphabet, device = of_rule.alphabet(), of_rule.device
    count, states = len(alphabet.pulses), len(device.states)
    command, state = (np.repeat(v.ravel(), each) for v in np.indices((count, states)))
    after, info = apply(of_rule, devices(state, device), sampling.Plan(command, np.ones(command.shape, bool)))
    np.testing.assert_array_equal(info.writes, each * states)
    found = np.zeros((count, states, states))
    np.add.at(found, (command, state, after.state), 1)
    return [fits(found[a, s], alphabet.transition[a, s]) for a in range(count) for s in range(states)]


def enough(p_values, alarm=ALARM) -> bool:
    """Whether a family of p-values is unsuspicious (Bonferroni)."""
    return min(p_values) > alarm / len(p_values)


def bound(tests=1, alarm=ALARM) -> float:
    """Return how many standard deviations a normal deviate of a family may be away."""
    return stats.norm.isf(alarm / (2 * tests))
