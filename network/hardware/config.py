"""What a study may say of the chip that its network would run on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from network.hardware.constants import CONSTANTS, NODES_NM
from spinloom.declare import OneOf, Real, Section, Whole, key

# what each preset says for a key that is left out; docs/cost.md tells where it comes from
PRESETS: dict[str, dict[str, Any]] = {
    "idealised": {
        "node_nm": 45.0, "cell_pitch_m": 1e-6, "columns_per_adc": 1, "clock_Hz": 5e8, "digital_lanes": 1024,
        "on_chip_memory_bits": 2**33,
        "constants": {
            "line_capacitance_F_per_m": 0.0, "driver_overhead": 0.0, "sample_hold_J": 0.0, "leakage_W_per_bit": 0.0,
        },
    },
    "nanowire_lab_bench": {
        "node_nm": 45.0, "cell_pitch_m": 1e-4, "columns_per_adc": 1024, "clock_Hz": 3e9, "digital_lanes": 8,
        "on_chip_memory_bits": 2**27, "constants": {"adc_rate_Hz": 1e3},
    },
    "28nm_macro": {
        "node_nm": 28.0, "cell_pitch_m": 1e-6, "columns_per_adc": 8, "clock_Hz": 5e8, "digital_lanes": 256,
        "on_chip_memory_bits": 2**26, "constants": {},
    },
    "7nm_macro": {
        "node_nm": 7.0, "cell_pitch_m": 1e-6, "columns_per_adc": 8, "clock_Hz": 1e9, "digital_lanes": 1024,
        "on_chip_memory_bits": 2**28, "constants": {},
    },
}  # fmt: skip

Constants = dict[Annotated[str, OneOf(lambda: CONSTANTS)], Annotated[Real, Field(ge=0)]]


class Hardware(Section):
    """The chip, as far as it changes costs and no accuracy: tiles and bits stand in `array` and `converters`."""

    preset: Literal["idealised", "nanowire_lab_bench", "28nm_macro", "7nm_macro"] = key(
        "Set of values for the keys of this section that you leave out (docs/cost.md).",
        "28nm_macro",
    )
    node_nm: Real | None = key(
        "Technology node of the circuits around the devices, in nm.", absent=True, ge=NODES_NM[0], le=NODES_NM[1]
    )
    cell_pitch_m: Real | None = key(
        "Distance from cell to cell of the array, along rows and columns.", absent=True, gt=0, le=0.01
    )
    columns_per_adc: Whole | None = key(
        "Number of columns that one converter serves, one after the other.", absent=True, ge=1
    )
    clock_Hz: Real | None = key("Clock frequency of the digital circuits.", absent=True, gt=0, le=1e11)
    digital_lanes: Whole | None = key("Number of arithmetic units that work in parallel.", absent=True, ge=1, le=10**9)
    on_chip_memory_bits: Real | None = key(
        "Size of the memory on the chip. What does not fit is charged as memory outside the chip.", absent=True, gt=0
    )
    inference_batch: Whole = key(
        "Number of pictures that a digital network classifies each time it reads its weights.", 1, ge=1, le=10**6
    )
    constants: Constants = key(
        "Your own numbers in place of the published ones, by their names in docs/cost/numbers.md.", dict
    )

    def told(self, name: str) -> Any:
        """Return the value of a key: what the config says, else what the preset says."""
        said = getattr(self, name)
        return PRESETS[self.preset][name] if said is None else said

    def constant(self, name: str) -> float:
        """Return a number of `CONSTANTS`: the config's, else the preset's, else the published one at the node."""
        own = {**PRESETS[self.preset]["constants"], **self.constants}
        return own[name] if name in own else CONSTANTS[name].value(self.told("node_nm"))
