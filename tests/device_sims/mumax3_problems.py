"""Problems that the tests of mumax3 share."""

from dataclasses import replace
from pathlib import Path

from device_sims.problem import Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, Region, Waveform

GOLDEN = Path(__file__).parent / "golden_mumax3"
PLAIN = Problem(
    Mesh(4, 2, (4e-9, 4e-9, 1e-9)), Geometry(), Material(1e6, 1.5e-11, 0.02, 8e5),
    (Phase("run", 4e-13),), Initial("uniform", (0.6, 0.0, 0.8)), 300.0, Numerics(1e-13, "heun", "float32"), 2e-13,
    stream=(7, "thermal field", "run", 3),
)  # fmt: skip
# everything that a problem can ask of a single layer, with each constant in two values
ALL = Problem(
    mesh=Mesh(12, 6, (4e-9, 4e-9, 1e-9)),
    geometry=Geometry(
        "strip", width_m=2e-8, notch_positions_m=(2.2e-8,), notch_depth_m=5e-9, notch_width_m=1.2e-8
    ),
    material=Material(
        1e6, 1.5e-11, 0.05, 8e5, 1e-3, 0.1, 0.3, (0.0, 0.8, 0.6), 5e4, (0.6, 0.0, 0.8), zhang_li_beta=0.04
    ),
    schedule=(
        Phase("rest", 6e-13),
        Phase(
            "pulse", 1.5e-12, Ku_factor=Waveform(1, 0.9, 0.05, 1e11, 0.3), current_density_A_per_m2=Waveform(0, 2e12),
            field_T=(0.05, 0.0, Waveform(0.1, 0.4)), zhang_li_u_m_per_s=Waveform(50.0, 50.0, 100.0, 2e11),
            region_Ku_factors=(("gate", Waveform(0.8, 1.2)),),
        ),
        Phase("end", 6e-13, zhang_li_u_m_per_s=-100.0),
    ),
    initial=Initial("wall", position_m=2e-8, azimuth_rad=0.7),
    temperature_K=0.0,
    numerics=Numerics(5e-14, "heun", "float32", 0, demag=False),
    record_interval_s=6e-13,
    stream=(7, "thermal field", "run", 0),
    regions=(
        Region((0, 2e-8), (0, 1), (("D_J_per_m2", 1.5), ("Ku_J_per_m3", 1.1), ("A_J_per_m", 0.8)), "gate"),
        Region((1e-8, 3e-8), (1e-8, 1), (("Ms_A_per_m", 0.9), ("alpha", 2.0))),
    ),
)  # fmt: skip
LAYERS = Problem(
    Mesh(4, 4, (3e-9, 3e-9, 2e-9), 2), Geometry(), Material(8e5, 1.3e-11, 0.1, zhang_li_beta=0.05),
    (Phase("first", 1e-12, zhang_li_u_m_per_s=-50.0), Phase("second\nline", 1e-12, zhang_li_u_m_per_s=-50.0)),
    Initial("vortex", relax_tolerance=1e-4), 0.0, Numerics(1e-13, "dopri5", "float32", tolerance=1e-5), 1e-12,
    stream=(7, "thermal field", "run", 0),
)  # fmt: skip


def with_(problem: Problem = PLAIN, **changes) -> Problem:
    """Return a problem with keys of its parts changed."""
    for name, value in changes.items():
        part, _, key = name.partition("__")
        problem = replace(problem, **{part: replace(getattr(problem, part), **{key: value}) if key else value})
    return problem
