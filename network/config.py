"""What a study may say of its networks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, Strict, field_serializer

from network import datasets, rules
from network.hardware.config import Hardware
from network.pretrained.config import Pretrained
from network.sections import Array, Augmentation, Converters, Device, EarlyStopping, Evaluation, Input, Optimizer
from spinloom.config import Seeded
from spinloom.declare import Flag, Number, OneOf, Real, Section, Whole, follows, key, meaning, partial

Entry = Annotated[
    Annotated[str, Field(min_length=1, max_length=20)] | Annotated[Whole, Field(ge=1, le=100000)],
    Field(union_mode="left_to_right"),
]
Range = Annotated[Real, Field(gt=0, le=1000)]
Scalar = Annotated[Flag | Annotated[str, Strict()] | Number | None, Field(union_mode="left_to_right")]
Value = Annotated[Scalar | tuple[Scalar, ...], Field(union_mode="left_to_right")]
Name = Annotated[
    str,
    Field(pattern="^[a-z0-9_]+$", max_length=40),
    BeforeValidator(lambda name: str(name) if type(name) is int else name),  # YAML reads 2 as a number
]


RULE_OPTIONS = follows("rule_options", "rule", rules.REGISTRY)


class Training(Section):
    """Keys a variant may change."""

    model_config = ConfigDict(json_schema_extra=RULE_OPTIONS)

    layers: tuple[Entry, ...] = key(
        "The input (784 or 28x28x1), then the widths of the layers, of which the last is the number of classes. "
        "Before the first width: 32C5 (convolution of 5 x 5 with 32 channels), 32C5p (padded), 32C5ps2 (with strides "
        "of 2), MP2 (maximum over squares), AP2 (mean over squares), GAP (mean of the whole picture). Behind a layer: "
        "+2 (end of a residual block of two layers), D0.5 (dropout). More in docs/network/layers.md.",
        min_length=2,
        max_length=64,
    )
    activation: Literal["relu", "sigmoid", "tanh", "ternary", "binary"] = key(
        "Activation function between layers.", "relu"
    )
    normalisation: Literal["batch", "none"] = key(
        "`batch`: batch normalisation of each column. `none`: only a bias, which `batch_size: 1` needs.",
        "batch",
    )
    loss: Literal["cross_entropy", "squared_hinge"] = key("Loss that the training minimises.", "cross_entropy")
    weight_range: Annotated[Range | tuple[Range, ...], Field(union_mode="left_to_right")] = key(
        "Largest weight, in units of sqrt(3 / inputs), where uniform weights give columns of unit size. Give "
        "one number, or one for each array. With batch normalisation it matters little.",
        1,
    )
    input: Input = key("What the network sees of a picture.", Input)
    augmentation: Augmentation = key(
        "How training pictures are varied each time they are shown. The cost of this is not counted.", Augmentation
    )
    validation_images: Whole | None = key(
        "Number of training images kept for validation, to choose the best epoch. With null, 5000, or a tenth "
        "if that is less.",
        None,
        ge=1,
    )
    training_images: Whole | None = key(
        "Number of images to train with, in a random order after the validation images. A smaller set is part "
        "of a larger one. With null, all others.",
        None,
        ge=1,
    )
    pretrained: Pretrained | None = key(
        "Weights that were trained elsewhere, with `epochs: 0` (docs/pretrained.md). With null, the network "
        "is trained here.",
        None,
    )
    epochs: Whole = key(
        "Number of passes over the training images. 0 is allowed only with `pretrained`.", ge=0, le=100000
    )
    batch_size: Whole = key("Number of images in a step.", ge=1)
    optimizer: Optimizer = key("The optimiser of Optax and its settings.", Optimizer)
    early_stopping: EarlyStopping | None = key(
        "When the training ends before its last epoch. With null, all epochs are trained.", None
    )
    rule: Annotated[str, OneOf(rules.REGISTRY.names)] = key("Learning rule (docs/rules.md).")
    rule_options: dict[str, Value] = key("Options of the learning rule (docs/rules.md).", dict)
    device: Device = key("Which properties of the card's device the synapses have.", Device)
    array: Array = key("Lines and tiles of the array (docs/array.md).", Array)
    converters: Converters = key(
        "Converters at the rows (digital to analogue) and at the columns (analogue to digital).", Converters
    )
    evaluation: Evaluation = key("Further tests of the trained network.", Evaluation)


class Data(Section):
    """Where the files of the data set are."""

    folder: str | None = key(
        "Folder with the files of the data set. With null, they are taken from the cache, or else from where "
        "the data set can be had (docs/datasets.md).",
        None,
    )
    cache: str = key("Folder in which checked data files are kept.", "~/.cache/spinloom", min_length=1)


class Lifetime(Section):
    """How many writes a device survives, and how fast it is written (docs/lifetime.md)."""

    endurance_writes: Real = key("Number of writes that a device survives.", 1000000000000.0, gt=0)
    samples_per_s: Real = key("Number of training samples in a second, without a pause.", 1000, gt=0)


class Tune(Section):
    """Short trainings that choose the learning rate and options of the rule, by validation images (docs/tuning.md)."""

    trials: Whole = key(
        "Number of short trainings of each variant. The first is what the config says. 0 switches tuning off.",
        8,
        ge=0,
        le=1000,
    )
    epochs: Whole = key("Number of epochs of a short training.", 1, ge=1, le=100000)
    training_images: Whole | None = key(
        "Number of training images of a short training. With null, as many as in the training itself.", None, ge=1
    )
    keys: tuple[str, ...] | None = key(
        "What is tuned: `learning_rate`, `batch_size`, or options of the rule that can be tuned. With null, "
        "the learning rate and all such options.",
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

    dataset: Annotated[str, OneOf(datasets.REGISTRY.names)] = key("Data set (docs/datasets.md).")
    dataset_options: dict[str, Value] = key(
        "Options of a data set of your own: its files, labels and scaling (docs/datasets/own.md).", dict
    )
    data: Data = key("Where the files of the data set are.", Data)
    seeds: Whole = key("Number of trainings of each variant, each with its own random numbers.", 3, ge=1, le=10000)
    card_samples: Whole = key(
        "Number of draws from the card's posterior. Each variant is trained with each draw again, to see how "
        "much of the spread comes from too few writes (docs/confidence.md). 0 means none, and 1 is not "
        "allowed.",
        0,
        ge=0,
        le=1000,
    )
    chips: Whole = key("Number of sets of devices made of each draw, with `card_samples`.", 2, ge=2, le=1000)
    seeds_per_chip: Whole = key("Number of trainings of each set of devices, with `card_samples`.", 2, ge=2, le=1000)
    hardware: Hardware = key(
        "The chip for which costs are computed (docs/cost.md). No accuracy depends on it.", Hardware
    )
    tune: Tune | None = key(meaning(Tune), absent=True)
    lifetime: Lifetime = key(
        "How many writes a device survives, and how fast it is written (docs/lifetime.md).", Lifetime
    )


def _options(rules: dict[str, Any]) -> None:
    RULE_OPTIONS(rules)
    follows("dataset_options", "dataset", datasets.REGISTRY)(rules)


class Network(Shared, Training):
    """Training of networks whose synapses are the card's devices. With null, the study ends with the card."""

    model_config = ConfigDict(json_schema_extra=_options)

    baseline: Literal["float_baseline"] | None = key(
        "Rule of the comparison with float weights, which is trained too. With null, there is none.", "float_baseline"
    )
    variants: (
        Annotated[
            dict[Name, Variant | None],  # pyright: ignore[reportInvalidTypeForm]: made of `Training`, all keys optional
            Field(min_length=1, max_length=1000),
        ]
        | None
    ) = key(
        "Trainings that differ in a few keys of this section, by name (docs/network.md). With null, there is "
        "one, named after the rule.",
        None,
    )

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
