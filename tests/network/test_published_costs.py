"""What others publish for whole networks, beside the cost model; docs/cost/published.md tells the same numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from network.hardware.config import Hardware
from network.hardware.costs import totals
from network.hardware.run import Run
from network.hardware.terms import terms
from network.results.meter import Meter
from network.sections import Array, Converters
from network.synapse.device import NO_DEVICE
from tests.network.conftest import meter

PAGE = (Path(__file__).parents[2] / "docs/cost/published.md").read_text()


def chip(layers, reads: int, hardware: Hardware, bits: Converters, read_J: float = 0.0, values: int = 784) -> Run:
    """Return a network for inference on tiles of 128 x 128 whose devices are read in 1 ns, groups as numbers."""
    counted = meter(
        layers=layers, uses_device=False, reads_per_product=reads, normalisation="none", memory_bits={}, pulses=[0],
        writes_by_pulse=[0], deployment_by_pulse=[0], first_writes=0, writes_by_layer=[], most_writes_on_a_device=[],
        devices_by_state=[[rows * columns] for rows, columns, _ in layers],
    )  # fmt: skip
    assert isinstance(counted, Meter)
    device = replace(NO_DEVICE, read_energy=np.array([read_J]), read_latency=np.array([1e-9]))
    array = Array(partial_sums="digital", tile_rows=128, tile_columns=128)
    return Run(counted, device, hardware, array, bits, values, 8, 1)


def energy(run: Run, level: str) -> float:
    return totals(terms(run))["inference", level].energy_J


def test_the_binary_network_of_smtj_pbnn_sim():
    """784-1024-1024-10, each weight drawn and read 4 times: 0.624 uJ, which is 83.8 fJ for each of 4 x 1.86e6 reads."""
    layers = [[784, 1024, 1], [1024, 1024, 1], [1024, 10, 1]]
    weights = sum(rows * columns for rows, columns, _ in layers)
    each = 0.624e-6 / 4 / weights
    assert each == pytest.approx(83.8e-15, rel=1e-3, abs=0)
    bits = Converters(dac_bits=8, adc_bits=8)
    theirs = chip(layers, 4, Hardware(preset="28nm_macro"), bits, each)
    assert energy(theirs, "device") == pytest.approx(0.624e-6, rel=1e-9, abs=0)
    ours = chip(layers, 4, Hardware(preset="28nm_macro"), bits, 48e-15)  # their read alone
    told = [f"{energy(ours, level) * 1e6:.2f}" for level in ("device", "array", "system")]
    assert f"| ours with ours: {told[0]}, {told[1]} and {told[2]} uJ |" in PAGE


def test_vgg_8_of_neurosim():
    """8-bit weights in 8 cells, inputs bit by bit, converters of 4 bits for 8 columns, 7 nm."""
    cells = 8
    layers = [
        [27, 128 * cells, 1024], [1152, 128 * cells, 1024], [1152, 256 * cells, 256], [2304, 256 * cells, 256],
        [2304, 512 * cells, 64], [4608, 512 * cells, 64], [8192, 1024 * cells, 1], [1024, 10 * cells, 1],
    ]  # fmt: skip
    run = chip(layers, 8, Hardware(preset="7nm_macro"), Converters(dac_bits=1, adc_bits=4), values=32 * 32 * 3)
    operations = 2 * run.meter.products / cells
    spent = totals(terms(run))["inference", "system"]
    told = (
        f"{spent.energy_J * 1e6:.0f} uJ, {operations / spent.energy_J * 1e-12:.0f} TOPS/W, {spent.time_s * 1e3:.1f} ms"
    )
    assert f"| ours with ours: {told} |" in PAGE
    # within the factor by which two users of the same program differ (35 and 96 uJ)
    assert 35e-6 / 2.75 < spent.energy_J < 96e-6 * 2.75
