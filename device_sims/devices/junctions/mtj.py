"""What the families of perpendicular tunnel junctions share: the disc, the tables, what is read off a write.

The reference layer points up: a free layer that points up is the parallel state P. A write begins in a state, rests,
gets a pulse, relaxes, and is judged by its mean mz: P above 0.5, AP below -0.5, undecided between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import scipy

from device_sims.common import Simulations
from device_sims.devices import Batch, planning
from device_sims.devices.junctions.junction import Layer, Options, Pulses, Reference  # noqa: F401  (families take them from here)
from device_sims.engines import Result
from device_sims.problem import BOLTZMANN, MU0, Geometry, Initial, Material, Mesh, Phase, Problem, Vector, observables
from device_sims.problem.magnetostatics.body import demag_tensor, volume_m3
from spinloom import streams
from spinloom.errors import UserError
from spinloom.write_events import Barrier, Energy, Junction, Levels, Outcome, Pulse, Writes

P, AP, UNDECIDED = "P", "AP", "undecided"
DIRECTIONS = {"P_to_AP": 1, "AP_to_P": -1}  # the sign of mz at the start
DECIDED = 0.5  # of mz

Plan = tuple[str, float, float]  # direction, voltage as listed, duration of a pulse
Build = Callable[[Simulations, Plan, int], Problem]
Power = Callable[[Any, str, float], float]  # options, direction, voltage

AXES = ("direction", "voltage_V", "duration_s")
KEYS = ()
BODY = "moment"
_index = pa.Column(int, pa.Check.ge(0))
_share = pa.Column(float, pa.Check.between(0, 1))
_unit = pa.Column(float, pa.Check.between(-1.001, 1.001))
_pulse = {
    "pulse": _index,
    "direction": pa.Column(str, pa.Check.isin(list(DIRECTIONS))),
    "voltage_V": pa.Column(float),
    "duration_s": pa.Column(float, pa.Check.gt(0)),
}
PULSE_COLUMNS = {
    **_pulse,
    "current_density_A_per_m2": pa.Column(float),
    "Ku_change_J_per_m3": pa.Column(float),
    "rest_s": pa.Column(float, pa.Check.gt(0)),
    "relax_s": pa.Column(float, pa.Check.gt(0)),
    "temperature_K": pa.Column(float, pa.Check.ge(0)),
}
EVENT_COLUMNS = {
    "start_state": pa.Column(str, pa.Check.isin([P, AP, UNDECIDED])),
    "final_state": pa.Column(str, pa.Check.isin([P, AP, UNDECIDED])),
    "switched": pa.Column(bool),
    "mz_start": _unit,
    "mz_final": _unit,
    "mz_pulse_mean": _unit,
    # from the begin of the pulse; absent where the write did not switch
    "switching_time_s": pa.Column(float, pa.Check.ge(0), nullable=True),
}
TRAJECTORY_COLUMNS = {"mx": pa.Column(float), "my": pa.Column(float), "mz": pa.Column(float)}
SUMMARY_COLUMNS = {
    **_pulse,
    "writes": pa.Column(int, pa.Check.ge(1)),
    "switched": _index,
    "undecided": _index,
    "probability": _share,
    "ci_low": _share,
    "ci_high": _share,
    "switching_time_mean_s": pa.Column(float, pa.Check.ge(0), nullable=True),
    "switching_time_sd_s": pa.Column(float, pa.Check.ge(0), nullable=True),
    "write_energy_mean_J": pa.Column(float, pa.Check.ge(0)),
    # with `heating` alone
    "temperature_end_K": pa.Column(float, pa.Check.ge(0), required=False),
}
# of families that may have a `reference`, with one alone
OFFSET_COLUMN = {"offset_field_T": pa.Column(float, required=False)}


# -- the device ----------------------------------------------------------------------------------------------------
def disc(layer: Layer) -> tuple[Mesh, Geometry]:
    """Return the mesh and the shape of a free layer."""
    cells = round(layer.diameter_m / layer.cell_m)
    return Mesh(cells, cells, (layer.cell_m, layer.cell_m, layer.thickness_m)), Geometry("disc")


def area_m2(layer: Layer) -> float:
    """Return the area of a free layer."""
    return math.pi / 4 * layer.diameter_m**2


def offset_T(options: Any) -> float:
    """Return the field along the normal that acts on the free layer at all times, positive towards P.

    It is ``stray_field_T``, or what ``reference`` makes.
    """
    if options.reference is None:
        return options.stray_field_T
    return sum(options.reference.fields_T(*disc(options.layer), options.material.Ms_A_per_m))


def anisotropy_field(options: Options, Ku_J_per_m3: float | None = None) -> float:
    """Return ``Hk = 2 Ku/(mu0 Ms) - (Nz - Nx) Ms`` of the disc as one moment, A/m."""
    Ms = options.material.Ms_A_per_m
    Ku = options.material.Ku_J_per_m3 if Ku_J_per_m3 is None else Ku_J_per_m3
    n = demag_tensor(*reversed(disc(options.layer)))
    return float(2 * Ku / (MU0 * Ms) - (n[2, 2] - n[0, 0]) * Ms)


def stability(options: Options) -> float:
    """Return ``Delta = mu0 Ms Hk V/(2 kB T)``, the barrier of the disc as one moment without field; inf at T = 0."""
    mesh, shape = disc(options.layer)
    moment = options.material.Ms_A_per_m * volume_m3(shape, mesh)
    energy = MU0 * moment * anisotropy_field(options) / 2
    temperature = options.temperature_K
    return energy / (BOLTZMANN * temperature) if temperature else float("inf")


def material(section: Simulations, instance: int, **own) -> Material:
    """Return an instance's material: its Ku is drawn from ``spread.Ku_relative_sd`` about the nominal one.

    ``own`` are the constants of a family; the spin polarisation is along the normal if it says nothing of it.
    """
    options = section.options
    normal = streams.generator(section.seed, "device spread", section.device, instance).standard_normal()
    factor = 1 + options.spread.Ku_relative_sd * normal
    nominal = options.material.model_dump()
    drawn = {"Ku_J_per_m3": nominal["Ku_J_per_m3"] * factor, "polarisation": (0.0, 0.0, 1.0)}
    return Material(**{**nominal, **drawn, **own})


def problem(
    section: Simulations, plan: Plan, instance: int, body: Material, pulse: dict, field_T: Vector, power_W: float
) -> Problem:
    """Return the problem of one pulse on one instance.

    ``pulse`` holds the drives of the pulse's phase besides the field, which acts at all times; ``power_W`` is what
    heats the free layer, if it is heated.
    """
    options, (direction, voltage, duration) = section.options, plan
    mesh, shape = disc(options.layer)
    hot, cooling = {}, {}
    if options.heating is not None and options.temperature_K:
        factors = options.heating.factors(power_W, duration, options.temperature_K)
        hot, cooling = ({"temperature_factor": factor} for factor in factors)
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=body,
        schedule=(
            Phase("rest", options.wait.rest_s, field_T=field_T),
            Phase("pulse", duration, field_T=field_T, **pulse, **hot),
            Phase("relax", options.wait.relax_s, field_T=field_T, **cooling),
        ),
        initial=Initial("uniform", direction=(0.0, 0.0, float(DIRECTIONS[direction]))),
        temperature_K=options.temperature_K,
        numerics=section.numerics.of_problem(),
        record_interval_s=section.numerics.record_interval_s,
        # values themselves and not their places in the lists, so that reordering the sweep changes nothing
        stream=(section.seed, "thermal field", section.device, direction, voltage, duration, instance),
    )


def plan(options: Any) -> list[Plan]:
    """Return direction, voltage as listed and duration of each pulse."""
    axes = options.pulses
    return [(d, v, t) for d in axes.directions for t in axes.durations_s for v in axes.voltages_V]


def pulses(section: Simulations, drives: Callable[[str, float], dict[str, float]]) -> pd.DataFrame:
    """Return one row per pulse: voltages in the config's order, for each width, for each direction.

    ``drives`` returns the columns ``voltage_V``, ``current_density_A_per_m2`` and ``Ku_change_J_per_m3`` of a
    direction and a voltage as listed.
    """
    options = section.options
    rows = [
        {
            "pulse": index,
            "direction": direction,
            "duration_s": duration,
            **drives(direction, voltage),
            "rest_s": options.wait.rest_s,
            "relax_s": options.wait.relax_s,
            "temperature_K": options.temperature_K,
        }
        for index, (direction, voltage, duration) in enumerate(plan(options))
    ]
    return pd.DataFrame(rows)[list(PULSE_COLUMNS)]


def check(section: Simulations, build: Build) -> None:
    """Check what both families ask of their section; ``build`` makes the problem of a pulse on an instance.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    options, where, pulses = section.options, f"device_sims.{section.device}", plan(section.options)
    planning.check_cells(f"{where}.layer", options.layer.cell_m, diameter_m=options.layer.diameter_m)
    if getattr(options, "reference", None) is not None and options.stray_field_T:
        raise UserError(
            f"{where}.stray_field_T: found {options.stray_field_T:g} together with reference, whose layers make this "
            "field, allowed: 0"
        )
    if options.heating is not None and not options.temperature_K:
        raise UserError(f"{where}.heating: found heating at temperature_K 0, allowed: null, or temperature_K above 0")
    planning.check_axes(options.pulses, f"{where}.pulses")
    planning.check_number(section, len(pulses))
    for instance in range(section.sweep.instances):
        Ku = build(section, pulses[0], instance).material.Ku_J_per_m3
        field = anisotropy_field(options, Ku)
        if field <= 0:
            raise UserError(
                f"{where}.material.Ku_J_per_m3: found {Ku:g} in instance {instance}, which turns the easy axis into "
                f"the plane, allowed: more than {Ku - MU0 * options.material.Ms_A_per_m * field / 2:.4g}"
            )
    times = [("wait.rest_s", options.wait.rest_s), ("wait.relax_s", options.wait.relax_s)]
    times += [("pulses.durations_s", duration) for duration in options.pulses.durations_s]
    planning.check_times(section, build(section, pulses[0], 0), times)


# -- what is read off ----------------------------------------------------------------------------------------------
def state(mz: float) -> str:
    """Return the state that a mean mz stands for."""
    return P if mz > DECIDED else AP if mz < -DECIDED else UNDECIDED


def observe(batch: Batch, problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a write.

    ``switching_time_s`` is when mz first passes zero, between two records by linear interpolation.
    """
    mx, my, mz = observables.mean_magnetisation(result.m, result.mask).T
    begin, end, t = result.phase_end["rest"], result.phase_end["pulse"], result.t_s
    side = 1 if problem.initial.direction[2] > 0 else -1
    final = state(mz[-1])
    switched = final == (AP if side > 0 else P)
    crossing = float("nan")
    after = np.flatnonzero(side * mz[begin:] <= 0)
    if switched and after.size:
        k = begin + after[0]
        part = mz[k - 1] / (mz[k - 1] - mz[k]) if k > begin else 0.0
        crossing = float(t[k - 1] + part * (t[k] - t[k - 1]) - t[begin]) if k > begin else 0.0
    row = {
        "start_state": state(mz[begin]),
        "final_state": final,
        "switched": bool(switched),
        "mz_start": float(mz[begin]),
        "mz_final": float(mz[-1]),
        "mz_pulse_mean": float(np.trapezoid(mz[begin : end + 1], t[begin : end + 1]) / (t[end] - t[begin])),
        "switching_time_s": crossing,
    }
    return row, {"mx": mx, "my": my, "mz": mz}


def interval(switched, writes, mass: float = 0.95):
    """Return the Jeffreys interval of a probability: quantiles of Beta(k + 1/2, n - k + 1/2), 0 and 1 at the ends."""
    k, n = np.asarray(switched), np.asarray(writes)
    low = np.where(k == 0, 0.0, scipy.stats.beta.ppf((1 - mass) / 2, k + 0.5, n - k + 0.5))
    high = np.where(k == n, 1.0, scipy.stats.beta.ppf((1 + mass) / 2, k + 0.5, n - k + 0.5))
    return low, high


def power_W(options: Any, direction: str, voltage_V: float) -> float:
    """Return the power of a voltage on the junction in the state that a write starts from."""
    resistance = options.junction.RA_ohm_m2 / area_m2(options.layer)
    return voltage_V**2 / (resistance if DIRECTIONS[direction] > 0 else resistance * (1 + options.junction.TMR))


def summarise(options: Any, pulses: pd.DataFrame, events: pd.DataFrame, power: Power = power_W) -> pd.DataFrame:
    """Return the columns of `SUMMARY_COLUMNS`, one row per pulse.

    ``power(options, direction, voltage)`` is what heats the free layer, W, if it is heated.

    The write's energy is ``V^2 t A G`` with the conductance per area linear in mz,
    ``G = (1 + mz)/(2 RA) + (1 - mz)/(2 RA (1 + TMR))``, so that the mean of mz over the pulse is all that it needs.
    """
    mesh, shape = disc(options.layer)
    area = volume_m3(shape, mesh) / mesh.size_m[2]
    RA, TMR = options.junction.RA_ohm_m2, options.junction.TMR
    rows = []
    for pulse in pulses.to_dict("records"):
        own = events[events["pulse"] == pulse["pulse"]]
        mz, times = own["mz_pulse_mean"].mean(), own["switching_time_s"].dropna()
        conductance = area / RA * ((1 + mz) / 2 + (1 - mz) / 2 / (1 + TMR))
        low, high = interval(own["switched"].sum(), len(own))
        rows.append(
            {
                **{name: pulse[name] for name in _pulse},
                "writes": len(own),
                "switched": int(own["switched"].sum()),
                "undecided": int((own["final_state"] == UNDECIDED).sum()),
                "probability": float(own["switched"].mean()),
                "ci_low": float(low),
                "ci_high": float(high),
                "switching_time_mean_s": float(times.mean()),
                "switching_time_sd_s": float(times.std(ddof=1)),
                "write_energy_mean_J": float(pulse["voltage_V"] ** 2 * pulse["duration_s"] * conductance),
            }
        )
        if options.heating is not None:
            heat = power(options, pulse["direction"], pulse["voltage_V"])
            rows[-1]["temperature_end_K"] = pulse["temperature_K"] + options.heating.rise_K(heat, pulse["duration_s"])
    offset = {"offset_field_T": offset_T(options)} if getattr(options, "reference", None) is not None else {}
    return pd.DataFrame(rows).assign(**offset)


def ordered(table: pd.DataFrame, columns: dict) -> pd.DataFrame:
    """Return the columns of a table in the order of ``columns``, without those that it does not have."""
    return table[[name for name in columns if name in table]]


def describe(section: Simulations) -> dict:
    """Return what there is to know of the junction."""
    options = section.options
    own = {}
    if getattr(options, "reference", None) is not None:
        fields = options.reference.fields_T(*disc(options.layer), options.material.Ms_A_per_m)
        own = dict(zip(("reference_stray_field_T", "reference_coupling_field_T"), fields))
    return {
        "diameter_m": options.layer.diameter_m,
        "film_thickness_m": options.layer.thickness_m,
        "RA_ohm_m2": options.junction.RA_ohm_m2,
        "TMR": options.junction.TMR,
        "anisotropy_field_A_per_m": anisotropy_field(options),
        "thermal_stability": stability(options) if options.temperature_K else None,
        **own,
    }


def writes(
    section: Simulations,
    channel: str,
    *,
    favours: bool,
    energy: Energy,
    critical_V: dict | None,
    delta: float | None = None,
) -> Writes:
    """Return what the write events mean: two states, AP and P, and a pulse that is one for both directions.

    Parameters
    ----------
    channel : str
        What is pulsed.
    favours : bool
        Whether a pulse favours one state: a device that is in it, if no write was simulated from there, stays.
    energy : Energy
        What a write spends.
    critical_V : dict or None
        Critical voltage by direction, if there is one.
    delta : float or None
        Barrier of the less stable state over kB T; None: that of `stability`.
    """
    options = section.options
    read = options.junction
    return Writes(
        outcome=Outcome(
            column="final_state",
            counted=(AP, P),
            left_out=(UNDECIDED,),
            what="ended in neither state",
            advice="relax for longer",
        ),
        states=Levels(
            labels=(AP, P),
            before="direction",
            starts={direction: int(side > 0) for direction, side in DIRECTIONS.items()},
            missing="stay" if favours else "error",
        ),
        pulse=Pulse(
            channel=channel,
            drives=("voltage_V", "current_density_A_per_m2"),
            polarity="current_density_A_per_m2",
            settle="relax_s",
        ),
        junction=Junction(area_m2=area_m2(options.layer), RA_ohm_m2=read.RA_ohm_m2, TMR=read.TMR),
        energy=energy,
        # the exponent is that of one moment in axial symmetry, on which the torque acts as a field along its axis
        barrier=Barrier(
            thermal_stability=stability(options) if delta is None else delta,
            critical_voltage_V=critical_V,
            exponent=2,
        )
        if options.temperature_K
        else None,
    )
