"""The area of a run's chip, block by block."""

from __future__ import annotations

from typing import NamedTuple

from network.hardware.run import Run


class Block(NamedTuple):
    """Circuits of one kind."""

    level: str
    name: str
    number: float
    each_m2: float
    assumption: str

    @property
    def area_m2(self) -> float:
        """All of them."""
        return self.number * self.each_m2


def blocks(run: Run, phase: str) -> list[Block]:
    """Return the blocks that a phase needs; whole tiles count, and a chip without devices has none of the array.

    Wiring between blocks, control and test circuits are left out.
    """
    h, m, array = run.hardware, run.meter, run.array
    found = []
    if run.analogue:
        copies = m.devices_per_synapse
        tiles = [t.tiles[0] * t.tiles[1] for t in run.tilings]
        # a layer smaller than a tile has a tile of its own size
        sides = [(min(t.layer.inputs, array.tile_rows), min(t.layer.outputs, array.tile_columns)) for t in run.tilings]
        rows = sum(n * side[0] for n, side in zip(tiles, sides, strict=True))
        columns = sum(t.tiles[1] * side[1] * (t.tiles[0] if t.digital else 1) for t, side in zip(run.tilings, sides))
        cells = copies * sum(n * side[0] * side[1] for n, side in zip(tiles, sides, strict=True))
        shared = h.told("columns_per_adc")
        converters = sum(
            t.tiles[1] * (t.tiles[0] if t.digital else 1) * -(-side[1] // shared) for t, side in zip(run.tilings, sides)
        )
        adders = sum(t.layer.outputs * (t.groups - 1) for t in run.tilings)
        dac, adc = run.converters.dac_bits, run.converters.adc_bits
        ideal = "ideal converter: not charged"
        found = [
            Block("device", "cells", cells, h.told("cell_pitch_m") ** 2, "whole tiles at the cell's pitch"),
            Block(
                "array", "DAC", rows, h.constant("dac_area_m2_per_step") * 2**dac if dac else 0.0,
                "one per row of a tile, in proportion to 2^bits" if dac else ideal,
            ),
            Block("array", "sample and hold", columns, h.constant("sample_hold_area_m2"), "one per converted column"),
            Block(
                "array", "ADC", converters, h.constant("adc_area_m2_per_step") * 2**adc if adc else 0.0,
                "columns share converters, in proportion to 2^bits" if adc else ideal,
            ),
            Block("array", "adders", adders, h.constant("adder_area_m2"), "one for each sum of two groups of rows"),
        ]  # fmt: skip
    per_bit = h.constant("memory_area_m2_per_bit")
    on_chip = min(run.bits_held(phase), h.told("on_chip_memory_bits"))
    kept = "weights that no device holds, values between layers; in training what the rule keeps"
    lanes = h.told("digital_lanes") if not run.arithmetic.stationary else m.synapses
    lane = h.constant(run.arithmetic.area) * (run.arithmetic.multiplication[1] if run.arithmetic.multiplication else 1)
    told = "arithmetic units" if not run.arithmetic.stationary else "one unit for each weight"
    return [
        *found,
        Block("system", "digital lanes", lanes, lane, f"{run.arithmetic.name} {told}"),
        Block(
            "system",
            "memory",
            on_chip,
            per_bit,
            kept,
        ),
    ]
