"""Digital networks beside a network of devices: the same layers and pictures, in numbers of fewer or more bits.

They are told for inference; the rival of a training is the variant ``float_baseline``, which is trained. What a rival
costs says nothing of its accuracy: a float network's is the baseline's, that of the others is not measured here.
"""

from __future__ import annotations

from dataclasses import replace

from network.hardware.run import FLOAT, Arithmetic, Run

INT8 = Arithmetic("int8", 8, 8, ("int8_multiplication_J", 1.0), "int32_addition_J", "int8_mac_area_m2")
# the cells of an array multiplier grow with the product of both widths
INT4 = Arithmetic("int4", 4, 4, ("int8_multiplication_J", 0.25), "int32_addition_J", "int8_mac_area_m2")
FEW = {
    2: Arithmetic("binary", 1, 8, None, "int32_addition_J", "adder_area_m2"),
    3: Arithmetic("ternary", 2, 8, None, "int32_addition_J", "adder_area_m2"),
}
STREAMED, STATIONARY = "streamed", "stationary"


def rivals(run: Run) -> dict[str, Run]:
    """Return the digital rivals of a run that classifies with devices, by name; none of one that does not."""
    if not run.analogue:
        return {}
    m = run.meter
    digital = m.model_copy(
        update={
            "uses_device": False, "clocks": None, "devices_per_synapse": 0, "reads_per_product": 0, "outer": False,
            "writes_by_pulse": (0,) * len(m.pulses), "deployment_by_pulse": (0,) * len(m.pulses), "first_writes": 0,
            "writes_by_layer": (), "most_writes_on_a_device": (), "devices_by_state": (), "state_reads_per_step": 0,
            "verify_reads": 0, "memory_bits": {},
        }
    )  # fmt: skip
    found = {}
    few = FEW.get(len(run.device.states))
    for arithmetic in (FLOAT, INT8, INT4, *([few] if few else [])):
        for way in (STREAMED, STATIONARY):
            how = arithmetic._replace(stationary=way == STATIONARY)
            found[f"{arithmetic.name} {way}"] = replace(run, meter=digital, arithmetic=how)
    return found
