"""What ``card.json`` says beside the tables: where the card comes from, and what was found out about its device.

Entries that no class names are their source's own. They stay in the file as they are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, Strict, ValidationError

from calibration.card.kinds import Kind
from spinloom.declare import Flag, Section, key
from spinloom.errors import UserError
from spinloom.explain import explain

SCHEMA_VERSION = 2

Amount = Annotated[int, Strict()] | Annotated[float, Strict()]  # as written: 1 and 1.0 keep their digits
Positive = Annotated[Amount, Field(gt=0)]
Index = Annotated[int, Strict(), Field(ge=0)]


def _alike(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    keys = [set(row) if isinstance(row, dict) else row.model_fields_set for row in rows]
    for place, own in enumerate(keys):
        if own != keys[0]:
            raise ValueError(f"row {place}: found keys {', '.join(sorted(own))}, allowed: those of row 0")
    return rows


Table = AfterValidator(_alike)  # rows that are printed as a table
Rows = Annotated[tuple[dict[str, Any], ...], Table]


class Entry(Section):
    """A part of ``card.json``; what the source adds is kept, and what it leaves out is not filled in."""

    model_config = ConfigDict(extra="allow")

    def dump(self) -> dict[str, Any]:
        """Return what was given, in the order of the file."""
        return dict(sorted(self.model_dump(mode="json", exclude_unset=True, warnings=False).items()))


class Flags(Entry):
    """What kind of device it is."""

    volatile: Flag = key("Whether the state is lost without a write.")
    reset_before_write: Flag = key("Whether each write begins with a reset.")
    destructive_read: Flag = key("Whether a read changes the state.")
    half_select: Flag = key("Whether the card has the table half_select.", False)


class Source(Entry):
    """Where the numbers come from."""

    kind: str = key("simulated, measured, parametric or library.")
    events_sha256: str | None = key("Digest of the simulated writes.", absent=True)
    files: dict[str, str] | None = key("Digests of the imported files.", absent=True)
    spec_hashes: tuple[str, ...] | None = key("Hashes of the simulated problems.", absent=True)


class States(Entry):
    """What the states are."""

    method: str | None = key("How they were chosen.", absent=True)
    coordinate: Literal["position_m", "conductance_S", "level"] | None = key(
        "Quantity that the edges are of.", absent=True
    )
    edges: tuple[Amount, ...] | None = key("One more than states, rising, in the coordinate.", absent=True)


class Posterior(Entry):
    """Priors and intervals of the probabilities."""

    pseudocount: Annotated[Amount, Field(ge=0)] | None = key("Dirichlet prior per cell.", absent=True)
    interval: Annotated[Amount, Field(gt=0, lt=1)] | None = key("Mass of the credible interval.", absent=True)
    pooling: Literal["events", "instances"] | None = key("What the writes stand for.", absent=True)


class Steps(Entry):
    """Steps that a pulse makes."""

    pulse: Index = key("Pulse.")
    mean_S: tuple[Amount, ...] = key("Mean step from each knot.")
    mean_se_S: tuple[Amount, ...] = key("Its standard error.")
    sd_S: tuple[Amount, ...] = key("Standard deviation of a step from each knot.")


class MeasuredDevice(Entry):
    """What is its own of a measured device, shrunk to the typical one."""

    instance: Amount = key("Device.")
    step_factor: Positive = key("Its mean steps over those of a typical device.")
    step_factor_sd: Amount = key("Standard deviation of what is known of it.")
    offset_S: Amount = key("Its conductance above that of a typical device in the same state.")
    offset_sd_S: Amount = key("Standard deviation of what is known of it.")


class Measurement(Entry):
    """What series of readings say of states and read noise (`calibration.measurement`)."""

    model: Literal["levels", "steps"] = key("levels: few levels; steps: steps of a continuous conductance.")
    readings: Index = key("Readings used.")
    left_out: Index = key("Readings left out as outliers.")
    noise_sd_S: Amount = key("Standard deviation of a reading; of one that grows, at the readings' root mean square.")
    noise_interval_S: tuple[Amount | None, ...] = key("95 % interval of it; null where it was given.")
    noise_basis: Literal["estimated", "given"] = key("Where it comes from.")
    noise_floor_S: Amount | None = key("Part that does not grow with the conductance; null: nothing grows.", None)
    noise_floor_interval_S: tuple[Amount, ...] = key("Interval of it.", ())
    noise_fraction: Amount | None = key("Part that grows, over the conductance; null: nothing grows.", None)
    noise_fraction_interval: tuple[Amount, ...] = key("Interval of it.", ())
    noise_low_S: tuple[Amount, ...] = key("Lower end of the interval of each state's noise in reads.csv.", ())
    noise_high_S: tuple[Amount, ...] = key("Upper end of it.", ())
    notes: tuple[str, ...] = key("What the user should know.", ())
    knots_S: tuple[Amount, ...] = key("States at which the steps are told.", ())
    hard_ends_S: tuple[Amount, ...] = key("Where a step stops that would pass them.", ())
    steps: tuple[Steps, ...] = key("Steps of each pulse.", ())
    devices: tuple[MeasuredDevice, ...] = key("How devices differ; empty where the readings show no difference.", ())
    step_factor_sd: Amount = key("Standard deviation between devices of ln of their factor.", 0)
    step_factor_interval: tuple[Amount, ...] = key("95 % interval of it.", ())
    offset_sd_S: Amount = key("Standard deviation between devices of their conductance.", 0)
    offset_interval_S: tuple[Amount, ...] = key("95 % interval of it.", ())


class Conditions(Entry):
    """What a law holds for."""

    pulses: tuple[Index, ...] = key("Pulses that it describes.", min_length=1)
    state_from: Index | None = key("State before the write; null: any.")
    chosen: Flag = key("Whether it is the one that rows are made of.", False)


class Goodness(Entry):
    """Test of a law against the writes."""

    p_value: Amount | None = key("null: no degree of freedom is left.")


class Law(Entry):
    """A fitted or stated law, the entries of `calibration.laws.fitting.Fit`."""

    law: str = key("Its name.")
    parameters: dict[str, Amount] = key("In SI units.")
    standard_errors: dict[str, Amount | None] = key("null: none is known.")
    conditions: Conditions = key("What it holds for.")
    goodness: Goodness = key("Whether it describes the writes.")
    aic: Amount = key("Akaike's information criterion.")


class PulseSpread(Entry):
    """How positions after one pulse differ."""

    pulse: Index = key("Pulse.")


class ProbabilitySpread(PulseSpread):
    """How much devices differ in P(state 1)."""

    state_from: Index = key("State before the write.")
    sd: Amount | None = key("Standard deviation between devices; null: unknown.")
    sd_se: Amount | None = key("Its standard error.")
    interval: Annotated[tuple[Amount, ...], Field(min_length=2, max_length=2)] | None = key("Interval of the sd.")


class Worst(Entry):
    """The statistic that deviates most from the writes."""

    statistic: str = key("step_mean, step_sd, against, correlation, range_low, range_high or scatter.")
    pulse: Index | None = key("Pulse; null: all.")
    state_from: Index | None = key("State before the write; null: all.")
    observed: Amount = key("Of the writes, in SI units.")
    card: Amount = key("Of the card.")
    deviation: Amount = key("How far apart they are, over what chance allows.")


class Check(Entry):
    """Comparison of the card with the writes that it was made of (`calibration.consequences.check`)."""

    alarm: Amount = key("Probability that a right card is found to contradict its writes.")
    replicates: Index = key("Times the card made the same writes again.")
    statistics: Index = key("Statistics that were compared.")
    contradictions: Index = key("Those that neither chance nor the width of the states explains.")
    worst: Worst = key("The worst of the contradictions; without one, of all statistics.")
    range_S: tuple[Amount, ...] = key("1 % and 99 % quantile of the conductances after a write.")
    range_card_S: tuple[Amount, ...] = key("The same as the card makes them.")
    pulses: Rows = key("Each pulse over all states: mean and sd of the step, and so on, of writes and card.")


class Junction(Entry):
    """Conductances of the junction that reads the state."""

    parallel_S: Positive = key("All of it parallel.")
    antiparallel_S: Positive = key("All of it antiparallel.")
    track_length_m: Positive | None = key("Length of the wall's way from one to the other.", absent=True)


class Barrier(Entry):
    """The barrier between two states."""

    thermal_stability: Positive = key("Its height over kB T.")
    temperature_K: Positive = key("Temperature T.")
    critical_voltage_V: dict[str, Amount] | None = key("Voltage that takes it away, by direction; null: unknown.", None)
    exponent: Amount = key("Of its fall with the voltage, (1 - V/V_c)^exponent.", 2)


class Derived(Entry):
    """Figures of merit, computed from the tables (`calibration.consequences.figures_of_merit.derive`)."""

    conductance_ratio: Amount = key("Largest over smallest mean conductance of a state.")
    distinguishable_levels: Index = key("States that can be told apart.")
    distinguishable_misread: Amount = key("Share of misread levels that this allows.")
    writes: Annotated[Rows, Field(min_length=1)] = key("A row for each pulse.")
    steps: Rows = key("A row for each pulse and state before.")
    pairs: Rows = key("A row for each pulse up and its pulse down.")
    stationary_distribution: tuple[Amount, ...] = key("Occupancy of each state.", ())
    half_select_disturbs_per_million: Rows = key("Changes of state per million pulses at part of the voltage.", ())
    dead_zones: Rows = key("Durations up to which a pulse does next to nothing.", ())


class Meta(Entry):
    """Content of ``card.json``."""

    name: str = key("Name of the device.")
    schema_version: Annotated[int, Strict()] = key("Version of the card's format.")
    flags: Flags = key("What kind of device it is.")
    kind: tuple[Kind, ...] = key("What the device can be used as, by its table.", ())
    source: Source = key("Where the numbers come from.")
    hash: str | None = key("SHA-256 of the tables; without it they may be edited.", absent=True)
    units: dict[str, str] = key("SI unit of each column of the tables.", dict)
    states: States = key("What the states are.", States)
    posterior: Posterior = key("Priors and intervals of the probabilities.", Posterior)
    measurement: Measurement | None = key("What readings say of states and noise; null: states were read.", None)
    laws: tuple[Law, ...] = key("Fitted laws; the first of each group of pulses is the best.", ())
    laws_not_fitted: tuple[dict[str, Any], ...] = key("Groups of pulses that no law could be fitted to.", ())
    events: Index = key("Writes used.", 0)
    lost_events: Index = key("Writes left out.", 0)
    intended_states: tuple[Index, ...] | None = key("State that each pulse is to write; null: pulses are steps.", None)
    spread: dict[str, Amount | None] | None = key("Spread of the conductance; null: not known.", None)
    spread_position: dict[str, Amount | None] | None = key("Spread of the position; null: not known.", None)
    spread_position_by_pulse: tuple[PulseSpread, ...] = key("Spread of the position after each pulse.", ())
    probability_spread: Annotated[tuple[ProbabilitySpread, ...], Table] = key(
        "How much devices differ in P(state 1).", ()
    )
    assumed: tuple[str, ...] = key("What is not known of the device, and what is assumed instead.", ())
    junction: Junction | None = key("Conductances of the junction.", absent=True)
    barrier: Barrier | None = key("Barrier between two states; null: not known.", None)
    check: Check | None = key("Comparison with the writes behind the card; null: there are none.", None)
    warnings: tuple[str, ...] = key("What is wrong with the card, or with a law of it.", ())
    derived: Derived | None = key("Figures of merit.", absent=True)

    @classmethod
    def parse(cls, content: Any, source: str, where: str = "") -> Self:
        """Return ``content`` checked; of another version, it is refused for that alone.

        Raises
        ------
        UserError
            One line with file, key, what was found and what is allowed.
        """
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version != SCHEMA_VERSION:
            newer = ", newer than this program" if version > SCHEMA_VERSION else ""
            raise UserError(f"{source}: schema_version: found {version}{newer}, allowed: {SCHEMA_VERSION}")
        # not Section.parse: the rows of many pulses and states are more entries than a user writes
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise UserError(f"{source}: {explain(error, cls, content, where)}") from None
