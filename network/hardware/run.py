"""What the terms of a run's cost are computed from: its counts, devices, array, chip and arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from network.hardware.config import Hardware
from network.results.meter import WORD, LayerUse, Meter
from network.sections import Array, Converters
from network.synapse.device import DeviceModel
from network.training.settings import Settings


def input_bits(settings: Settings) -> int:
    """Return the bits of a picture's value: of floats those of the row converters, if there are any."""
    if settings.input.range == "binary":
        return 1
    found = settings.about_data
    return 8 if found is None or found.value_bits == 8 else settings.converters.dac_bits or found.value_bits


class Arithmetic(NamedTuple):
    """How a network computes where no array does."""

    name: str
    weight_bits: int
    hidden_bits: int  # of a value between layers
    multiplication: tuple[str, float] | None  # constant and factor; None: weights of -1, 0 and 1 only add
    addition: str
    area: str
    stationary: bool = False  # weights stay beside the arithmetic units: each unit has its own


FLOAT = Arithmetic("float32", WORD, WORD, ("float_multiplication_J", 1.0), "float_addition_J", "float_mac_area_m2")


class Reads(NamedTuple):
    """How the arrays are read for one sample in one phase."""

    forward: bool  # all products of the forward pass
    backward: bool  # all products of the backward pass
    single: float  # devices one by one


@dataclass(frozen=True)
class Tiling:
    """An array cut into tiles, whose rows are read in groups."""

    layer: LayerUse
    array: Array

    @property
    def digital(self) -> bool:
        """Whether each group of rows is converted by itself and groups are added as numbers."""
        return self.array.partial_sums == "digital"

    @property
    def group(self) -> int:
        """Rows whose currents reach a converter together."""
        return min(self.layer.inputs, self.array.group_rows)

    @property
    def groups(self) -> int:
        """Conversions of a column for one product."""
        return math.ceil(self.layer.inputs / self.group) if self.digital else 1

    @property
    def cycles(self) -> int:
        """Reads one after the other for one product; tiles are read at the same time."""
        return math.ceil(min(self.layer.inputs, self.array.tile_rows) / self.group) if self.digital else 1

    @property
    def tiles(self) -> tuple[int, int]:
        """Number of tiles along rows and columns."""
        return (
            math.ceil(self.layer.inputs / self.array.tile_rows),
            math.ceil(self.layer.outputs / self.array.tile_columns),
        )

    @property
    def rows(self) -> int:
        """Rows with a driver of their own: those of all tiles."""
        return self.layer.inputs * self.tiles[1]

    @property
    def converted_columns(self) -> int:
        """Columns with a way to a converter of their own."""
        return self.layer.outputs * (self.tiles[0] if self.digital else 1)


@dataclass(frozen=True)
class Run:
    """One run on one chip; see the module text."""

    meter: Meter
    device: DeviceModel
    hardware: Hardware
    array: Array
    converters: Converters
    input_values: int  # of a picture
    input_bits: int
    batch: int  # pictures of a training step
    arithmetic: Arithmetic = field(default=FLOAT)

    @classmethod
    def of(cls, meter: Meter, device: DeviceModel, settings: Settings) -> Run:
        """Return a run as its settings describe it."""
        rows, columns, channels = settings.architecture().picture
        return cls(
            meter, device, settings.hardware, settings.array, settings.converters, rows * columns * channels,
            input_bits(settings), settings.batch_size,
        )  # fmt: skip

    # -- the array ----------------------------------------------------------------------------------------------
    @cached_property
    def tilings(self) -> tuple[Tiling, ...]:
        """Each layer's array."""
        return tuple(Tiling(layer, self.array) for layer in self.meter.layers)

    @property
    def analogue(self) -> bool:
        """Whether products are formed by devices."""
        return self.meter.devices > 0

    def reads(self, phase: str) -> Reads:
        """Return how the arrays are read; nothing of it is true if they are not."""
        m, training = self.meter, phase == "training"
        if not m.devices:
            return Reads(False, False, 0.0)
        # devices without memory cannot be read backward
        backward = training and m.in_loop and not m.clocks
        return Reads(m.in_loop or not training, backward, m.single_reads if training else 0.0)

    def rows_driven(self, phase: str) -> int:
        """Return how many rows all products of a sample drive; in the backward pass columns are driven."""
        how, m = self.reads(phase), self.meter
        forward = m.reads_per_product * sum(t.rows * t.layer.uses for t in self.tilings) * how.forward
        return forward + how.backward * sum(t.layer.outputs * t.tiles[0] * t.layer.uses for t in self.tilings[1:])

    def conversions(self, phase: str) -> float:
        """Return how many column values are converted for a sample, single devices included."""
        how, m = self.reads(phase), self.meter
        forward = m.reads_per_product * sum(t.layer.outputs * t.groups * t.layer.uses for t in self.tilings)
        backward = sum(t.layer.inputs * t.layer.uses for t in self.tilings[1:])
        return forward * how.forward + backward * how.backward + how.single

    @property
    def read_time_s(self) -> float:
        """Time of a read of the devices, the mean over states; of a clocked device with its pulse."""
        own = float(np.mean(self.device.read_latency))
        return own + (float(np.mean(self.device.write_latency)) if self.meter.clocks else 0.0)

    def read_cycles(self, phase: str) -> int:
        """Return how many reads of the arrays follow each other for a sample: layers, places and groups of rows."""
        how, m = self.reads(phase), self.meter
        forward = m.reads_per_product * sum(t.cycles * t.layer.uses for t in self.tilings) * how.forward
        return forward + how.backward * sum(t.layer.uses for t in self.tilings[1:])

    def conversion_slots(self, phase: str) -> int:
        """Return how many conversions follow each other for a sample, where columns share converters."""
        how, m = self.reads(phase), self.meter
        shared = self.hardware.told("columns_per_adc")

        def slots(columns: int) -> int:
            return min(shared, columns)

        forward = sum(
            t.cycles * t.layer.uses * slots(min(t.layer.outputs, self.array.tile_columns)) for t in self.tilings
        )
        backward = sum(t.layer.uses * slots(min(t.layer.inputs, self.array.tile_rows)) for t in self.tilings[1:])
        return m.reads_per_product * forward * how.forward + backward * how.backward

    @cached_property
    def read_energy_J(self) -> np.ndarray:
        """Energy of all reads of one forward pass, by layer; all layers together if a read is a pulse, float64[L]."""
        m, device = self.meter, self.device
        if m.clocks:  # a read is a clock pulse and the look at what it left
            return np.array([np.array(m.clocks) @ (device.write_energy + float(np.mean(device.read_energy)))])
        return self.states_read_J * [layer.uses * m.reads_per_product for layer in m.layers]

    @property
    def states_read_J(self) -> np.ndarray:
        """Energy of reading each device once in its final state, by layer, float64[L]."""
        return np.array(self.meter.devices_by_state) @ self.device.read_energy

    # -- writes -------------------------------------------------------------------------------------------------
    @property
    def written_J(self) -> float:
        """Energy of all programming events, J."""
        return float(self.meter.by_pulse @ self.device.write_energy)

    @property
    def first_share(self) -> float:
        """Share of all programming events that the first programming or a deployment has."""
        m = self.meter
        return (m.first_writes + sum(m.deployment_by_pulse)) / m.writes if m.writes else 0.0

    def write_slots(self, phase: str) -> float:
        """Return how many pulses follow each other: in all of the training, or in the first programming.

        Devices of one row and one pulse are written at the same time, tiles too. So the pulses of a step are at most
        as many as the rows of a tile times the kinds of pulses, and never more than the devices written. Where each
        write is verified, devices are written one by one.
        """
        m = self.meter
        first = phase == "first programming"
        writes = m.writes * (self.first_share if first else 1 - self.first_share)
        if first and m.verify_reads:
            return writes
        kinds = max(1, sum(n > 0 for n in m.by_pulse))
        most = kinds * min(self.array.tile_rows, max(layer.inputs for layer in m.layers)) * (1 if first else m.steps)
        return min(writes, most)

    @property
    def write_time_s(self) -> float:
        """Mean time of a write, NaN if a pulse that was given has none."""
        m = self.meter
        return float(m.by_pulse @ self.device.write_latency) / m.writes

    # -- digital circuits ---------------------------------------------------------------------------------------
    @property
    def hidden_bits(self) -> int:
        """Bits of a value between layers: the row converter's, where an array reads it."""
        if self.analogue:
            return self.converters.dac_bits or WORD
        return self.arithmetic.hidden_bits

    def digital_products(self, phase: str) -> int:
        """Return the multiplications that no array forms: gradients (but outer products), and passes of no devices."""
        m = self.meter
        gradients = 0 if m.outer else m.products
        if phase == "inference":
            return 0 if m.devices else m.products
        if m.clocks:  # errors go back through the stored controls of each device
            return (gradients + m.back_products) * m.devices_per_synapse
        return gradients + (0 if m.in_loop else m.products + m.back_products)

    @property
    def product_J(self) -> tuple[float, str]:
        """Energy of a digital multiplication and addition, and what it is made of."""
        a, h = self.arithmetic, self.hardware
        addition = h.constant(a.addition)
        if a.multiplication is None:
            return addition, a.addition
        name, factor = a.multiplication
        told = name if factor == 1 else f"{factor:g} {name}"
        return factor * h.constant(name) + addition, f"{told} + {a.addition}"

    def memory_J_per_bit(self, bits: float) -> tuple[float, str]:
        """Return the energy of a bit of a memory that holds ``bits``, and the name of the constant."""
        fits = bits <= self.hardware.told("on_chip_memory_bits")
        name = "memory_J_per_bit" if fits else "dram_J_per_bit"
        return self.hardware.constant(name), name

    @property
    def weight_bits(self) -> int:
        """Bits of all weights that digital memory holds to classify; none where devices hold them."""
        if self.analogue:
            return 0
        return self.meter.synapses * (
            self.meter.weight_bits if self.arithmetic == FLOAT else self.arithmetic.weight_bits
        )

    @property
    def training_bits(self) -> int:
        """Bits that a training keeps: weights, optimiser, gradients."""
        m = self.meter
        weights = 0 if m.in_loop or "weights" in m.memory_bits else m.synapses * WORD
        return weights + m.memory + (0 if m.outer else m.trainable * WORD)

    def bits_held(self, phase: str) -> int:
        """Return the bits of static memory that a phase holds, activations included."""
        values = self.input_values * self.input_bits + self.meter.columns * self.hidden_bits
        return values + (self.training_bits if phase == "training" else self.weight_bits)

    def lanes_time_s(self, operations: float, products: bool = False) -> float:
        """Return the time of digital operations on all lanes, or of products on a unit for each weight."""
        lanes = self.hardware.told("digital_lanes")
        if products and self.arithmetic.stationary:
            lanes = self.meter.synapses
        return operations / (lanes * self.hardware.told("clock_Hz"))

    @property
    def lacks(self) -> str:
        """What the costs of this run leave out, in words; empty: nothing."""
        ideal = [
            name for name, bits in (("DAC", self.converters.dac_bits), ("ADC", self.converters.adc_bits)) if not bits
        ]
        return f"ideal {' and '.join(ideal)}, not charged" if self.analogue and ideal else ""
