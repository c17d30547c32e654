"""Published numbers of circuits, each with its range and source: all numbers of the cost model stand here.

Digital numbers are published for two nodes, 45 nm (Horowitz, ISSCC 2014) and 7 nm (Jouppi et al., ISCA 2021). Between
them a number is interpolated linearly in the logarithms of number and node, which is a power law through both points.

The range of a number is what published values of the same circuit span. `network.hardware.sensitivity` moves each
number from one end to the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NODES_NM = (7.0, 45.0)  # between which digital numbers are published
HOROWITZ = "Horowitz, ISSCC 2014 (45 nm); Jouppi et al., ISCA 2021, table 2 (7 nm)"
SURVEY = "Murmann, ADC Performance Survey 1997-2023"
ISAAC = "Shafiee et al., ISCA 2016 (ISAAC), table I, 32 nm"
LIBRARIES = (0.5, 2.0)  # cell libraries, supply voltages and layouts of one node


@dataclass(frozen=True)
class Constant:
    """A number of a circuit.

    ``at`` is one number for all nodes, or a number for each of `NODES_NM`; ``low`` and ``high`` are the ends of the
    published range as factors.
    """

    unit: str
    meaning: str
    at: float | tuple[float, float]
    low: float
    high: float
    source: str

    def value(self, node_nm: float) -> float:
        """Return the number at a node."""
        if not isinstance(self.at, tuple):
            return self.at
        small, large = NODES_NM
        share = math.log(node_nm / small) / math.log(large / small)
        return self.at[0] * (self.at[1] / self.at[0]) ** share


def _digital(meaning: str, at_7_nm: float, at_45_nm: float, unit: str = "J", source: str = HOROWITZ) -> Constant:
    return Constant(unit, meaning, (at_7_nm, at_45_nm), *LIBRARIES, source)


CONSTANTS: dict[str, Constant] = {
    # arithmetic
    "float_multiplication_J": _digital("product of two 32-bit floats", 1.31e-12, 3.7e-12),
    "float_addition_J": _digital("sum of two 32-bit floats", 0.38e-12, 0.9e-12),
    "int8_multiplication_J": _digital("product of two 8-bit integers", 0.07e-12, 0.2e-12),
    "int32_addition_J": _digital("sum of two 32-bit integers", 0.03e-12, 0.1e-12),
    # memory, per bit: 64-bit accesses of static memories of 32 KB and 1 MB, and of DRAM
    "buffer_J_per_bit": _digital("access to a buffer of 32 KB", 8.5e-12 / 64, 20e-12 / 64),
    "memory_J_per_bit": _digital("access to a memory of 1 MB on the chip", 14e-12 / 64, 100e-12 / 64),
    "dram_J_per_bit": Constant("J", "access to memory beside the chip", 1.3e-9 / 64, 0.2, 2.0, HOROWITZ),
    "register_J_per_bit": _digital(
        "access to a register beside an arithmetic unit", 8.5e-12 / 64 / 6, 20e-12 / 64 / 6,
        source="a sixth of a buffer's: Chen et al., ISCA 2016 (Eyeriss), figure 2",
    ),
    "leakage_W_per_bit": Constant(
        "W", "standby power of static memory", 1e-11, 0.1, 10.0, "assumption: some 10 pA at 1 V for each cell"
    ),
    # converters
    "adc_J_per_step": Constant(
        "J", "conversion, part in proportion to 2^bits (Walden's figure of merit)", 1e-14, 0.1, 5.0,
        f"{SURVEY}: typical 10 fJ, best about 1 fJ, many at 50 fJ",
    ),
    "adc_thermal_J": Constant(
        "J", "conversion, part in proportion to 4^bits (thermal noise)", 7.5e-18, 0.032, 10.0,
        f"{SURVEY}: Schreier's figure of merit 170 dB, best about 185, many at 160",
    ),
    "adc_rate_Hz": Constant(
        "Hz", "conversions of one converter in a second", 1e8, 0.1, 12.0,
        f"{SURVEY}: converters of 6 to 8 bits; 1.2 GHz in {ISAAC}",
    ),
    "adc_area_m2_per_step": Constant(
        "m2", "area of a converter over 2^bits", 1.2e-9 / 256, 0.3, 10.0, f"8 bits, 0.0012 mm2: {ISAAC}"
    ),
    "dac_J_per_step": Constant(
        "J", "conversion of a row's voltage over 2^bits", 2e-15, 0.1, 10.0,
        f"assumption: 0.5 pJ with 8 bits, as one bit takes 0.33 pJ in {ISAAC}",
    ),
    "dac_area_m2_per_step": Constant(
        "m2", "area of a row's converter over 2^bits", 1.66e-13 / 2, 0.3, 10.0, f"1 bit: {ISAAC}"
    ),
    "sample_hold_J": Constant("J", "holding a column's current for its converter", 1e-15, 0.1, 10.0, ISAAC),
    "sample_hold_area_m2": Constant("m2", "area of that circuit", 3.9e-14, 0.3, 10.0, ISAAC),
    # array
    "line_capacitance_F_per_m": Constant(
        "F", "wire of an array", 2e-10, 0.75, 1.5, "ITRS 2013, interconnect: 0.15 to 0.3 fF/um at all nodes"
    ),
    "driver_overhead": Constant(
        "1", "energy lost in driver and selector over that of the write", 0.5, 0.0, 4.0,
        "assumption: a selector at half of the device's voltage; between an ideal switch and a fifth of the supply",
    ),
    # areas of digital circuits
    "float_mac_area_m2": _digital(
        "multiplication and addition of 32-bit floats", 1.1884e-8 * (7 / 45) ** 2, 1.1884e-8, "m2",
        "Horowitz, ISSCC 2014 (45 nm); the square of the node below",
    ),
    "int8_mac_area_m2": _digital(
        "multiplication of 8-bit integers and 32-bit addition", 4.19e-10 * (7 / 45) ** 2, 4.19e-10, "m2",
        "Horowitz, ISSCC 2014 (45 nm); the square of the node below",
    ),
    "adder_area_m2": _digital(
        "sum of two 32-bit integers", 1.37e-10 * (7 / 45) ** 2, 1.37e-10, "m2",
        "Horowitz, ISSCC 2014 (45 nm); the square of the node below",
    ),
    "memory_area_m2_per_bit": _digital(
        "static memory, a third of it not cells", 2.7e-14 / 0.67, 3.46e-13 / 0.67, "m2",
        "cells of 0.346 um2 (Mistry et al., IEDM 2007) and 0.027 um2 (Chang et al., ISSCC 2017)",
    ),
}  # fmt: skip


def table() -> str:
    """Return all numbers as a table in Markdown, at 45, 28 and 7 nm."""
    rows = [
        "| number | unit | 45 nm | 28 nm | 7 nm | range | what it is, and its source |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in CONSTANTS.items():
        values = " | ".join(f"{one.value(node):.3g}" for node in (45, 28, 7))
        rows.append(
            f"| `{name}` | {one.unit} | {values} | x {one.low:g} to {one.high:g} | {one.meaning}. {one.source} |"
        )
    return "\n".join(rows) + "\n"
