"""What a study may say of its networks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, field_serializer

from network import datasets, rules
from network.hardware.config import Hardware
from network.pretrained.config import Pretrained
from spinloom.config import Seeded
from spinloom.declare import Flag, Number, OneOf, Real, Section, Whole, follows, key, meaning, partial
from spinloom.explain import short

Entry = Annotated[
    Annotated[str, Field(min_length=1, max_length=20)] | Annotated[Whole, Field(ge=1, le=100000)],
    Field(union_mode="left_to_right"),
]
Pulse = Annotated[Annotated[str, Strict()] | Whole, Field(union_mode="left_to_right")]  # "1" and 1 are two names
Range = Annotated[Real, Field(gt=0, le=1000)]
Scalar = Annotated[Flag | Annotated[str, Strict()] | Number | None, Field(union_mode="left_to_right")]
Value = Annotated[Scalar | tuple[Scalar, ...], Field(union_mode="left_to_right")]
Name = Annotated[
    str,
    Field(pattern="^[a-z0-9_]+$", max_length=40),
    BeforeValidator(lambda name: str(name) if type(name) is int else name),  # YAML reads 2 as a number
]


class Input(Section):
    """What the network sees of a picture."""

    range: Literal["unit", "signed", "binary"] = key(
        "What grey levels become: unit 0 to 1, signed -1 to 1, binary 0 or 1.",
        "unit",
    )
    pool: Whole = key("Pictures become smaller by the maximum over squares of this side.", 1, ge=1, le=1000)


class Augmentation(Section):
    """How training pictures are varied."""

    shift_px: Whole = key(
        "Training pictures are shifted by up to so many pixels along each side, anew each time they are "
        "shown; black comes in.",
        0,
        ge=0,
        le=100,
    )
    mirror: Flag = key("Training pictures are mirrored left to right half of the time.", False)


class Schedule(Section):
    """How the learning rate falls in the course of the training; null: it does not."""

    name: Literal["constant", "exponential", "cosine", "linear"] = key("Form of the fall.")
    final_fraction: Real = key("Share of the learning rate that is left at the end.", 0.01, gt=0, le=1)


# optimiser of optax -> what it can be told beside the learning rate and its schedule
OPTIMIZERS = {
    "adam": ("b1", "b2", "eps"),
    "adamw": ("b1", "b2", "eps", "weight_decay"),
    "sgd": ("momentum",),
    "rmsprop": ("decay", "eps", "momentum"),
    "adagrad": ("eps",),
    "lion": ("b1", "b2", "weight_decay"),
}


class Optimizer(Section):
    """Optimiser of optax, with its settings."""

    name: Annotated[str, OneOf(lambda: OPTIMIZERS)] = key("Optimiser of optax.", "adam")
    learning_rate: Real = key("Learning rate at the start.", 0.001, gt=0, le=1000)
    schedule: Schedule | None = key(
        "How the learning rate falls in the course of the training; null: it does not.",
        None,
    )
    b1: Real | None = key("Decay of the first moment (adam, adamw, lion).", absent=True, ge=0, lt=1)
    b2: Real | None = key("Decay of the second moment (adam, adamw, lion).", absent=True, ge=0, lt=1)
    eps: Real | None = key("Added to the denominator (adam, adamw, rmsprop, adagrad).", absent=True, gt=0, le=1)
    weight_decay: Real | None = key("Weight decay (adamw, lion).", absent=True, ge=0, le=10)
    momentum: Real | None = key("Momentum (sgd, rmsprop).", absent=True, ge=0, lt=1)
    decay: Real | None = key("Decay of the mean square (rmsprop).", absent=True, ge=0, lt=1)

    @property
    def settings(self) -> dict[str, float]:
        """What optax is told beside the learning rate."""
        told = self.model_dump(exclude={"name", "learning_rate", "schedule"})
        return {name: value for name, value in told.items() if value is not None}


class EarlyStopping(Section):
    """null: all epochs are trained."""

    patience: Whole = key("Epochs without better validation accuracy after which training ends.", ge=1, le=100000)


class Rest(Section):
    """Devices are left alone after each epoch and lose states at the card's rates of retention; null: they are not."""

    duration_s: Real = key("How long.", ge=0, le=100000000000.0)
    temperature_K: Real = key("At one of the temperatures of calibration.retention.", ge=0)


def _each_once(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError(f"found {short(list(values))}, allowed: each entry once")
    return values


class Device(Section):
    """Which traits of the device take part."""

    within_state_spread: Flag = key("Conductance varies within a state from write to write.", True)
    read_noise: Flag = key("Each read is noisy.", True)
    device_to_device: Flag = key("Each synapse is one of the card's instances, with what is its own.", True)
    stochastic: Flag = key(
        "Outcomes are drawn from the card's kernel; false: from the kernel of the same means with the least noise.",
        True,
    )
    symmetric: Flag = key("true: up and down behave alike, the mean of the kernel and its mirror image.", False)
    rest: Rest | None = key(
        "Devices are left alone after each epoch and lose states at the card's rates of retention; null: they are not.",
        None,
    )
    pulses: (
        Literal["most_written"]
        | Annotated[tuple[Pulse, ...], Field(min_length=2, max_length=1024), AfterValidator(_each_once)]
        | None
    ) = key(
        "Pulses of the card that are used, by name; most_written: the one up and the one down with the most writes; "
        "null: all.",
        None,
    )
    widths: Annotated[
        tuple[Annotated[Real, Field(gt=0, lt=1)], ...], Field(max_length=16), AfterValidator(_each_once)
    ] = key(
        "Shares of its duration for which each pulse is assumed to be given as well; mean and variance of its step are "
        "in proportion.",
        (),
    )
    between: Whole = key(
        "Pulses that are assumed between each two of one direction that follow each other in strength; mean and "
        "variance of their step are in between too.",
        0,
        ge=0,
        le=16,
    )
    stuck_fraction: Real = key("Share of devices that no pulse moves.", 0, ge=0, le=1)


class Array(Section):
    """Lines and tiles of the crossbar."""

    wire_resistance_ohm: Real = key("Line resistance per cell, in rows and in columns.", 0, ge=0, le=1000000000.0)
    driver_resistance_ohm: Real = key("Resistance of each row's driver.", 0, ge=0, le=1000000000.0)
    sense_resistance_ohm: Real = key("Resistance of each column's amplifier.", 0, ge=0, le=1000000000.0)
    tile_rows: Whole = key("Rows of a tile; a larger layer is cut into tiles.", 64, ge=1, le=100000)
    tile_columns: Whole = key("Columns of a tile.", 64, ge=1, le=100000)
    partial_sums: Literal["analogue", "digital"] = key(
        "analogue: the currents of all rows add before a column is converted; digital: each group of rows that is read "
        "at once is converted by itself, and the groups are added as numbers.",
        "analogue",
    )
    rows_read_at_once: Whole | None = key(
        "With digital sums: rows of a tile that are read together; null: all of them.", None, ge=1, le=100000
    )
    half_select: Real | None = key(
        "Share of the write voltage on cells that share a line with the written one, one of the card's "
        "half-select fractions; null: cells have transistors.",
        None,
        ge=0,
        le=1,
    )

    @property
    def group_rows(self) -> int:
        """Rows whose currents reach a converter together, at most: all of a layer's with analogue sums."""
        if self.partial_sums == "analogue":
            return 10**9
        return min(self.tile_rows, self.rows_read_at_once or self.tile_rows)

    @property
    def resistances_ohm(self) -> dict[str, float]:
        """Resistances of the lines, by key."""
        keys = ("wire_resistance_ohm", "driver_resistance_ohm", "sense_resistance_ohm")
        return {key: getattr(self, key) for key in keys}

    @property
    def resistive(self) -> bool:
        """Whether a read differs from that of an ideal array."""
        return any(self.resistances_ohm.values())


class Converters(Section):
    """Digital-to-analogue and analogue-to-digital converters."""

    dac_bits: Whole | None = key("Bits of the row converters; null: ideal.", None, ge=1, le=16)
    dac_full_scale: Real = key(
        "Largest hidden value that a row converter knows; pictures end at 1.",
        4,
        gt=0,
        le=1000000.0,
    )
    adc_bits: Whole | None = key("Bits of the column converters; null: ideal.", None, ge=1, le=16)
    adc_full_scale: Real = key("Largest column value, in units of sqrt(inputs / 3).", 4, gt=0, le=1000000.0)


class Retention(Section):
    """The trained network is also tested after it was left alone (docs/lifetime.md)."""

    temperatures_K: tuple[Annotated[Real, Field(gt=0, le=2000)], ...] = key(
        "Temperatures in the range of the card's calibration.retention.",
        min_length=1,
        max_length=100,
    )
    holds_s: tuple[Annotated[Real, Field(gt=0, le=100000000000.0)], ...] = key(
        "Times from the training to the test.",
        min_length=1,
        max_length=1000,
    )
    refresh_intervals_s: tuple[Annotated[Real | None, Field(gt=0, le=100000000000.0)], ...] = key(
        "Times between refreshes; null: none.",
        (None,),
        min_length=1,
        max_length=100,
    )
    attempts: Whole = key("Most pulses that a device gets in a refresh.", 5, ge=1, le=1000)


class Evaluation(Section):
    """Tests of the trained network beyond its accuracy."""

    input_noise_sds: tuple[Annotated[Real, Field(ge=0, le=100)], ...] = key(
        "The trained network is also tested with Gaussian noise of these standard deviations on pictures in 0 to 1.",
        (),
        max_length=100,
    )
    retention: Retention | None = key(
        "The trained network is also tested after it was left alone (docs/lifetime.md).",
        None,
    )


RULE_OPTIONS = follows("rule_options", "rule", rules.REGISTRY)


class Training(Section):
    """Keys a variant may change."""

    model_config = ConfigDict(json_schema_extra=RULE_OPTIONS)

    layers: tuple[Entry, ...] = key(
        "What comes in (784 or 28x28x1), then widths; convolutions before the first width: 32C5, 32C5p "
        "(padded), 32C5ps2 (strides), MP2 (maximum over squares), AP2 or GAP (means); behind an array +2 (end of a "
        "residual block of two arrays) and D0.5 (dropout).",
        min_length=2,
        max_length=64,
    )
    activation: Literal["relu", "sigmoid", "tanh", "ternary", "binary"] = key("Function between layers.", "relu")
    normalisation: Literal["batch", "none"] = key(
        "batch: batch normalisation of each column; none: a bias alone.",
        "batch",
    )
    loss: Literal["cross_entropy", "squared_hinge"] = key("Loss that is minimised.", "cross_entropy")
    weight_range: Annotated[Range | tuple[Range, ...], Field(union_mode="left_to_right")] = key(
        "Largest weight in units of sqrt(3 / inputs), where uniform weights make columns of unit size; one number, or "
        "one for each array. With batch normalisation it means little.",
        1,
    )
    input: Input = key("What the network sees of a picture.", Input)
    augmentation: Augmentation = key("How training pictures are varied.", Augmentation)
    validation_images: Whole | None = key(
        "Images taken from the training set for validation; null: 5000, or a tenth if that is less.", None, ge=1
    )
    training_images: Whole | None = key(
        "Images to train with, those that follow the validation images in the same random order; null: all others.",
        None,
        ge=1,
    )
    pretrained: Pretrained | None = key(
        "Weights that were trained elsewhere, with epochs: 0 (docs/pretrained.md); null: they are trained here.",
        None,
    )
    epochs: Whole = key("Passes over the training set; 0 with pretrained alone.", ge=0, le=100000)
    batch_size: Whole = key("Images per step.", ge=1)
    optimizer: Optimizer = key("Optimiser of optax, with its settings.", Optimizer)
    early_stopping: EarlyStopping | None = key("null: all epochs are trained.", None)
    rule: Annotated[str, OneOf(rules.REGISTRY.names)] = key(
        "Learning rule: a file in network/rules, or a plug-in (CONTRIBUTING.md)."
    )
    rule_options: dict[str, Value] = key("Options of the rule, each of its own.", dict)
    device: Device = key("Which traits of the device take part.", Device)
    array: Array = key("Lines and tiles of the crossbar.", Array)
    converters: Converters = key("Digital-to-analogue and analogue-to-digital converters.", Converters)
    evaluation: Evaluation = key("Tests of the trained network beyond its accuracy.", Evaluation)


class Data(Section):
    """Where the data set lies."""

    folder: str | None = key("Folder with the data set's files; null: look elsewhere.", None)
    cache: str = key("Folder that keeps checked data files.", "~/.cache/spinloom", min_length=1)


class Lifetime(Section):
    """What a device lasts, and how fast it learns (docs/lifetime.md)."""

    endurance_writes: Real = key("Writes until a device fails.", 1000000000000.0, gt=0)
    samples_per_s: Real = key("Training samples presented in a second, without pause.", 1000, gt=0)


class Tune(Section):
    """Short trainings find the learning rate and what the rule lets be tuned, on validation images (docs/tuning.md)."""

    trials: Whole = key("Short trainings of each variant, the first as the config says; 0: none.", 8, ge=0, le=1000)
    epochs: Whole = key("Epochs of each.", 1, ge=1, le=100000)
    training_images: Whole | None = key("Images of each; null: as the training's.", None, ge=1)
    keys: tuple[str, ...] | None = key(
        "What is tuned: learning_rate, batch_size, or an option that the rule says can be; null: the learning rate and "
        "all such options.",
        None,
        min_length=1,
        max_length=20,
    )


Variant = partial("Variant", Training)


# keys of earlier versions, and what became of them
RENAMED = {"energy": "costs are told for `hardware` now, docs/cost.md"}


class Shared(Section):
    """Keys that all variants share."""

    OTHER_NAMES: ClassVar[dict[str, str]] = RENAMED

    dataset: Annotated[str, OneOf(datasets.REGISTRY.names)] = key(
        "Data set: a file in network/datasets, or a plug-in (CONTRIBUTING.md)."
    )
    dataset_options: dict[str, Value] = key(
        "What a data set of your own is told: its files, the label, the scaling (docs/datasets.md).", dict
    )
    data: Data = key("Where the data set lies.", Data)
    seeds: Whole = key("Number of trainings.", 3, ge=1, le=10000)
    card_samples: Whole = key(
        "Draws from the card's posterior with which each variant is trained again, to tell how much of "
        "the spread comes from too few writes (docs/confidence.md); 0: none, otherwise at least 2.",
        0,
        ge=0,
        le=1000,
    )
    chips: Whole = key("With card_samples: sets of devices made of each draw.", 2, ge=2, le=1000)
    seeds_per_chip: Whole = key("With card_samples: trainings of each set of devices.", 2, ge=2, le=1000)
    hardware: Hardware = key("The chip that costs are told for (docs/cost.md); no accuracy depends on it.", Hardware)
    tune: Tune | None = key(meaning(Tune), absent=True)
    lifetime: Lifetime = key("What a device lasts, and how fast it learns (docs/lifetime.md).", Lifetime)


def _options(rules: dict[str, Any]) -> None:
    RULE_OPTIONS(rules)
    follows("dataset_options", "dataset", datasets.REGISTRY)(rules)


class Network(Shared, Training):
    """Training with the kernel card, which neither simulates nor calibrates. null: the study ends with the card."""

    model_config = ConfigDict(json_schema_extra=_options)

    baseline: Literal["float_baseline"] | None = key("Rule to compare with.", "float_baseline")
    variants: (
        Annotated[
            dict[Name, Variant | None],  # pyright: ignore[reportInvalidTypeForm]: made of `Training`, all keys optional
            Field(min_length=1, max_length=1000),
        ]
        | None
    ) = key("Trainings that differ in what is said here, by name; null: one, named after the rule.", None)

    @field_serializer("variants")
    def _as_said(self, variants: dict[str, Any] | None) -> Any:
        """Return the variants with no default filled in."""
        return variants and {
            name: one and one.model_dump(mode="json", exclude_unset=True) for name, one in variants.items()
        }


class Planned(Seeded):
    """What planning a study adds to the section: the seed, and what the files of the data set hold."""

    found: datasets.Found | None = key("What the files of a data set of your own hold; null: not looked at.", None)


class Stage(Network, Planned):
    """What the stage sees of a study."""
