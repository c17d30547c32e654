"""What a run did, counted: the content of ``meter.json``, from which every table of costs is computed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from pydantic import model_validator

from network.model.architecture import Between
from spinloom.declare import Section, key
from spinloom.files import read_json, write_json

WORD = 32  # bits of a float


class LayerUse(NamedTuple):
    """The array of one layer, and how many products it forms for one sample (places of a convolution)."""

    inputs: int
    outputs: int
    uses: int

    @property
    def synapses(self) -> int:
        """Number of weights."""
        return self.inputs * self.outputs


class Clipped(NamedTuple):
    """The shares of a layer's conversions that end at full scale; None for ideal converters."""

    dac: float | None
    adc: float | None


class Meter(Section):
    """The counters of one run."""

    variant: str
    rule: str
    replicate: int
    device: str  # digest of the `DeviceModel`
    assumed: str  # of the pulses that the card does not hold, in words; empty: nothing
    uses_device: bool  # devices are read and programmed while training
    epochs: int
    samples: int  # presented in training, all epochs together; 0: the weights were given
    steps: int
    layers: tuple[LayerUse, ...]
    between: Between | None = key("What digital circuits compute between the arrays.", absent=True)
    pretrained: str | None = key("SHA-256 of the file that gave the weights.", absent=True)
    normalisation: str  # a key of `energy.COLUMN_OPERATIONS`
    devices_per_synapse: int  # 0: the run has no devices
    reads_per_product: int
    clocks: tuple[float, ...] | None  # pulses of each kind that one read of all synapses takes, if a read is a pulse
    outer: bool  # weights change by outer products of pulse trains
    pulses: tuple[int | str, ...]  # names of the pulses that the following two count
    writes_by_pulse: tuple[int, ...]
    deployment_by_pulse: tuple[int, ...]  # of trained weights that are programmed into devices
    first_writes: int
    transitions: int
    disturbs: int
    writes_by_layer: tuple[int, ...]
    most_writes_on_a_device: tuple[int, ...]  # by layer
    devices_by_state: tuple[tuple[int, ...], ...]  # by layer and final state
    state_reads_per_step: int | float  # of each device, to decide whether to program it
    verify_reads: int  # of single devices, to see whether a first programming or a deployment has succeeded
    memory_bits: dict[str, int]  # of digital memory that the rule keeps
    weight_bits: int  # of a weight that no device holds
    clipped: tuple[Clipped, ...]  # by layer, of the trained network with the validation images

    @classmethod
    def read(cls, run: Path) -> Self:
        """Read the meter of the run in the folder ``run``.

        Raises
        ------
        UserError
            If a counter is missing or of another type, or if the counts of writes contradict each other.
        """
        path = run / "meter.json"
        return cls.parse(read_json(path), str(path))

    def write(self, path: Path) -> None:
        """Write the meter as JSON."""
        write_json(self.dump(), path)

    @model_validator(mode="after")
    def _writes_agree(self) -> Self:
        if self.writes != sum(self.writes_by_layer):
            raise ValueError("writes by pulse and writes by device differ")
        return self

    @property
    def by_pulse(self) -> np.ndarray:
        """Programming events of each kind, deployment included, int64[K]."""
        return np.array(self.writes_by_pulse, np.int64) + np.array(self.deployment_by_pulse, np.int64)

    @property
    def writes(self) -> int:
        """All programming events."""
        return sum(self.writes_by_pulse) + sum(self.deployment_by_pulse)

    @property
    def in_loop(self) -> bool:
        """Whether the forward pass of training reads devices."""
        return bool(self.uses_device or self.clocks)

    @property
    def synapses(self) -> int:
        """Number of weights."""
        return sum(layer.synapses for layer in self.layers)

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.synapses * self.devices_per_synapse

    @property
    def trainable(self) -> int:
        """Numbers that are trained: one per weight, or one per wire if each device has controls of its own."""
        return self.devices if self.clocks else self.synapses

    @property
    def products(self) -> int:
        """Multiplications of the forward pass of one sample."""
        return sum(layer.synapses * layer.uses for layer in self.layers)

    @property
    def back_products(self) -> int:
        """Multiplications of the backward pass of one sample; the first layer hands no errors on."""
        return sum(layer.synapses * layer.uses for layer in self.layers[1:])

    @property
    def columns(self) -> int:
        """Columns whose value one sample needs."""
        return sum(layer.outputs * layer.uses for layer in self.layers)

    @property
    def single_reads(self) -> float:
        """Reads of single devices per sample: to decide whether to write them, or to verify a write."""
        return self.per_sample(self.state_reads_per_step * self.devices * self.steps + self.verify_reads)

    def per_sample(self, count: float) -> float:
        """Return ``count`` for each sample presented; not a number if the weights were given and none was."""
        return count / self.samples if self.samples else math.nan

    @property
    def memory(self) -> int:
        """Bits of digital memory, all kinds together."""
        return sum(self.memory_bits.values())

    def counts(self) -> dict[str, float | None]:
        """Return the counters as the tables state them: per run, per sample and per synapse.

        Shares of clipped conversions are those of the worst layer; None where converters are ideal.
        """
        forward = self.products * self.reads_per_product
        back = 0 if self.clocks else self.back_products
        return {
            "synapses": self.synapses,
            "devices": self.devices,
            "writes": self.writes,
            "first_writes": self.first_writes + sum(self.deployment_by_pulse),
            "writes_per_sample": self.per_sample(self.writes),
            "training_writes_per_sample": self.per_sample(sum(self.writes_by_pulse) - self.first_writes),
            "writes_per_synapse": self.writes / self.synapses,
            "most_writes_on_a_device": max(self.most_writes_on_a_device, default=0),
            "transitions": self.transitions,
            "disturbs": self.disturbs,
            "device_reads_per_sample": self.in_loop * (forward + back) * self.devices_per_synapse + self.single_reads,
            "memory_bits_per_synapse": self.memory / self.synapses,
            "dac_clipped_share": max((one.dac for one in self.clipped if one.dac is not None), default=None),
            "adc_clipped_share": max((one.adc for one in self.clipped if one.adc is not None), default=None),
        }
