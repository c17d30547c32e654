"""What a training may be told: pictures, optimiser, device, array, converters, tests of the trained network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Strict

from spinloom.declare import Flag, OneOf, Real, Section, Whole, key
from spinloom.explain import short

Pulse = Annotated[Annotated[str, Strict()] | Whole, Field(union_mode="left_to_right")]  # "1" and 1 are two names


class Input(Section):
    """What the network sees of a picture."""

    range: Literal["unit", "signed", "binary"] = key(
        "What grey levels become: 0 to 1 (`unit`), -1 to 1 (`signed`), or 0 and 1 with the border at 0.5 (`binary`).",
        "unit",
    )
    pool: Whole = key(
        "Side of the squares whose maximum makes the picture smaller, in pixels. 1 leaves it as it is.",
        1,
        ge=1,
        le=1000,
    )


class Augmentation(Section):
    """How training pictures are varied each time they are shown. The cost of this is not counted."""

    shift_px: Whole = key(
        "Training pictures are shifted by up to this many pixels along each side. What comes in is black.",
        0,
        ge=0,
        le=100,
    )
    mirror: Flag = key("With true, training pictures are mirrored left to right half of the time.", False)


class Schedule(Section):
    """How the learning rate falls during the training. With null, it stays the same."""

    name: Literal["constant", "exponential", "cosine", "linear"] = key(
        "How the learning rate falls, over the whole training."
    )
    final_fraction: Real = key("Learning rate at the end, as a part of that at the start.", 0.01, gt=0, le=1)


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
    """The optimiser of Optax and its settings."""

    name: Annotated[str, OneOf(lambda: OPTIMIZERS)] = key("Name of the optimiser in Optax.", "adam")
    learning_rate: Real = key("Learning rate at the start.", 0.001, gt=0, le=1000)
    schedule: Schedule | None = key(
        "How the learning rate falls during the training. With null, it stays the same.",
        None,
    )
    b1: Real | None = key(
        "Decay of the first moment (adam, adamw, lion). Left out: Optax's default.", absent=True, ge=0, lt=1
    )
    b2: Real | None = key(
        "Decay of the second moment (adam, adamw, lion). Left out: Optax's default.", absent=True, ge=0, lt=1
    )
    eps: Real | None = key(
        "Number added to the denominator (adam, adamw, rmsprop, adagrad). Left out: Optax's default.",
        absent=True,
        gt=0,
        le=1,
    )
    weight_decay: Real | None = key("Weight decay (adamw, lion). Left out: Optax's default.", absent=True, ge=0, le=10)
    momentum: Real | None = key("Momentum (sgd, rmsprop). Left out: none.", absent=True, ge=0, lt=1)
    decay: Real | None = key("Decay of the mean square (rmsprop). Left out: Optax's default.", absent=True, ge=0, lt=1)

    @property
    def settings(self) -> dict[str, float]:
        """What optax is told beside the learning rate."""
        told = self.model_dump(exclude={"name", "learning_rate", "schedule"})
        return {name: value for name, value in told.items() if value is not None}


class EarlyStopping(Section):
    """When the training ends before its last epoch. With null, all epochs are trained."""

    patience: Whole = key(
        "Number of epochs without a better validation accuracy after which the training ends.", ge=1, le=100000
    )


class Rest(Section):
    """A pause after each epoch, in which devices lose states at the card's rates. With null, there is none."""

    duration_s: Real = key("Length of the pause.", ge=0, le=100000000000.0)
    temperature_K: Real = key(
        "Temperature during the pause. It must be one of `calibration.retention.temperatures_K`.", ge=0
    )


def _each_once(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError(f"found {short(list(values))}, allowed: each entry once")
    return values


class Device(Section):
    """Which properties of the card's device the synapses have."""

    within_state_spread: Flag = key("With true, the conductance of a state differs from write to write.", True)
    read_noise: Flag = key("With true, each read has noise.", True)
    device_to_device: Flag = key(
        "With true, each synapse is one of the card's devices, with its own conductances and kernel. With "
        "false, all devices are alike.",
        True,
    )
    stochastic: Flag = key(
        "With true, the next state is drawn from the card's kernel. With false, from the kernel with the same "
        "means and the least noise. A device of two states keeps its own.",
        True,
    )
    symmetric: Flag = key(
        "With true, up and down behave alike: the kernel is the mean of the card's and its mirror image.", False
    )
    rest: Rest | None = key(
        "A pause after each epoch, in which devices lose states at the card's rates. With null, there is none.",
        None,
    )
    pulses: (
        Literal["most_written"]
        | Annotated[tuple[Pulse, ...], Field(min_length=2, max_length=1024), AfterValidator(_each_once)]
        | None
    ) = key(
        "Names of the card's pulses to use. `most_written` takes the pulse up and the pulse down with the "
        "most writes. With null, all pulses are used.",
        None,
    )
    widths: Annotated[
        tuple[Annotated[Real, Field(gt=0, lt=1)], ...], Field(max_length=16), AfterValidator(_each_once)
    ] = key(
        "Shorter pulses to assume: parts of each pulse's length. Mean and variance of a step shrink by the "
        "same factor (docs/rules/steps.md).",
        (),
    )
    between: Whole = key(
        "Number of pulses to assume between two neighbours in strength. Mean and variance of their steps lie "
        "in between too (docs/rules/steps.md).",
        0,
        ge=0,
        le=16,
    )
    stuck_fraction: Real = key("Part of the devices that no pulse changes.", 0, ge=0, le=1)


class Array(Section):
    """Lines and tiles of the array (docs/array.md)."""

    wire_resistance_ohm: Real = key(
        "Resistance of a line for each cell, for rows and for columns.", 0, ge=0, le=1000000000.0
    )
    driver_resistance_ohm: Real = key("Resistance of the driver at the end of each row.", 0, ge=0, le=1000000000.0)
    sense_resistance_ohm: Real = key("Resistance of the amplifier at the end of each column.", 0, ge=0, le=1000000000.0)
    tile_rows: Whole = key("Number of rows of a tile. A larger layer is cut into tiles.", 64, ge=1, le=100000)
    tile_columns: Whole = key("Number of columns of a tile. A larger layer is cut into tiles.", 64, ge=1, le=100000)
    partial_sums: Literal["analogue", "digital"] = key(
        "How the rows of a column are summed. `analogue`: the currents of all rows, before one conversion. "
        "`digital`: as numbers, after each group of rows that is read at once has been converted.",
        "analogue",
    )
    rows_read_at_once: Whole | None = key(
        "Number of rows of a tile that are read at once, with `partial_sums: digital`. With null, all of them.",
        None,
        ge=1,
        le=100000,
    )
    half_select: Real | None = key(
        "Part of the write voltage on cells that share a line with the written cell. It must be one of the "
        "card's `calibration.half_select.fractions`. With null, cells have transistors and see nothing.",
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
    """Converters at the rows (digital to analogue) and at the columns (analogue to digital)."""

    dac_bits: Whole | None = key(
        "Number of bits of the converters at the rows. With null, they are ideal.", None, ge=1, le=16
    )
    dac_full_scale: Real = key(
        "Largest hidden value that a row's converter can represent. For pictures it is always 1.",
        4,
        gt=0,
        le=1000000.0,
    )
    adc_bits: Whole | None = key(
        "Number of bits of the converters at the columns. With null, they are ideal.", None, ge=1, le=16
    )
    adc_full_scale: Real = key(
        "Largest column value that a converter can represent, in units of sqrt(inputs / 3).", 4, gt=0, le=1000000.0
    )


class Retention(Section):
    """Tests of the trained network after it was left alone (docs/lifetime.md). With null, there are none."""

    temperatures_K: tuple[Annotated[Real, Field(gt=0, le=2000)], ...] = key(
        "Temperatures, within the range of `calibration.retention.temperatures_K`.",
        min_length=1,
        max_length=100,
    )
    holds_s: tuple[Annotated[Real, Field(gt=0, le=100000000000.0)], ...] = key(
        "Times from the end of the training to the test.",
        min_length=1,
        max_length=1000,
    )
    refresh_intervals_s: tuple[Annotated[Real | None, Field(gt=0, le=100000000000.0)], ...] = key(
        "Times from one refresh of the devices to the next. null in the list means no refresh.",
        (None,),
        min_length=1,
        max_length=100,
    )
    attempts: Whole = key("Largest number of pulses for a device in one refresh.", 5, ge=1, le=1000)


class Evaluation(Section):
    """Further tests of the trained network."""

    input_noise_sds: tuple[Annotated[Real, Field(ge=0, le=100)], ...] = key(
        "The trained network is also tested with Gaussian noise on the pictures. These are its standard "
        "deviations, with pictures from 0 to 1.",
        (),
        max_length=100,
    )
    retention: Retention | None = key(
        "Tests of the trained network after it was left alone (docs/lifetime.md). With null, there are none.",
        None,
    )
