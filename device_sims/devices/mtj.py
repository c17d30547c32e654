"""What the families of perpendicular tunnel junctions share: the disc, the tables, what is read off a write.

The reference layer points up: a free layer that points up is the parallel state P. A write begins in a state, rests,
gets a pulse, relaxes, and is judged by its mean mz: P above 0.5, AP below -0.5, undecided between.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy.stats import beta

from device_sims.devices import Batch
from device_sims.engines import Result
from device_sims.problem import BOLTZMANN, MU0, Geometry, Initial, Material, Mesh, Numerics, Phase, Problem, observables
from device_sims.problem.body import demag_tensor, volume_m3
from spinloom import streams
from spinloom.errors import UserError

P, AP, UNDECIDED = "P", "AP", "undecided"
DIRECTIONS = {"P_to_AP": 1, "AP_to_P": -1}  # the sign of mz at the start
DECIDED = 0.5  # of mz
MAX_EVENTS = 1_000_000  # a sweep beyond this is a slip of the keyboard

AXES = ("direction", "voltage_V", "duration_s")
KEYS = ()
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
}


# -- the device ----------------------------------------------------------------------------------------------------
def disc(layer: dict) -> tuple[Mesh, Geometry]:
    """Return the mesh and the shape of the config's ``layer``."""
    cells = round(layer["diameter_m"] / layer["cell_m"])
    return Mesh(cells, cells, (layer["cell_m"], layer["cell_m"], layer["thickness_m"])), Geometry("disc")


def anisotropy_field(config: dict, Ku_J_per_m3: float | None = None) -> float:
    """Return ``Hk = 2 Ku/(mu0 Ms) - (Nz - Nx) Ms`` of the disc as one moment, A/m."""
    Ms = config["material"]["Ms_A_per_m"]
    Ku = config["material"]["Ku_J_per_m3"] if Ku_J_per_m3 is None else Ku_J_per_m3
    n = demag_tensor(*reversed(disc(config["layer"])))
    return float(2 * Ku / (MU0 * Ms) - (n[2, 2] - n[0, 0]) * Ms)


def stability(config: dict) -> float:
    """Return ``Delta = mu0 Ms Hk V/(2 kB T)``, the barrier of the disc as one moment without field; inf at T = 0."""
    mesh, shape = disc(config["layer"])
    moment = config["material"]["Ms_A_per_m"] * volume_m3(shape, mesh)
    energy = MU0 * moment * anisotropy_field(config) / 2
    temperature = config["temperature_K"]
    return energy / (BOLTZMANN * temperature) if temperature else float("inf")


def material(section: dict, name: str, instance: int, **torque) -> Material:
    """Return an instance's material: its Ku is drawn from ``spread.Ku_relative_sd`` about the nominal one."""
    config = section[name]
    normal = streams.generator(section["seed"], "device spread", name, instance).standard_normal()
    factor = 1 + config["spread"]["Ku_relative_sd"] * normal
    nominal = config["material"]
    return Material(
        **{**nominal, "Ku_J_per_m3": nominal["Ku_J_per_m3"] * factor}, polarisation=(0.0, 0.0, 1.0), **torque
    )


def problem(section: dict, name: str, plan: tuple, instance: int, body: Material, pulse: dict, field_T) -> Problem:
    """Return the problem of one pulse on one instance; ``plan`` is ``(direction, voltage, duration)``.

    ``pulse`` holds the drives of the pulse's phase besides the field, which acts at all times.
    """
    config, (direction, voltage, duration) = section[name], plan
    mesh, shape = disc(config["layer"])
    given = section["numerics"]
    return Problem(
        mesh=mesh,
        geometry=shape,
        material=body,
        schedule=(
            Phase("rest", config["wait"]["rest_s"], field_T=field_T),
            Phase("pulse", duration, field_T=field_T, **pulse),
            Phase("relax", config["wait"]["relax_s"], field_T=field_T),
        ),
        initial=Initial("uniform", direction=(0.0, 0.0, float(DIRECTIONS[direction]))),
        temperature_K=config["temperature_K"],
        numerics=Numerics(**{key: given[key] for key in Numerics.__dataclass_fields__ if key in given}),
        record_interval_s=given["record_interval_s"],
        # values themselves and not their places in the lists, so that reordering the sweep changes nothing
        stream=(section["seed"], "thermal field", name, direction, voltage, duration, instance),
    )


def plan(config: dict) -> list[tuple[str, float, float]]:
    """Return direction, voltage as listed and duration of each pulse."""
    axes = config["pulses"]
    return [
        (d, float(v), float(t)) for d in axes["directions"] for t in axes["durations_s"] for v in axes["voltages_V"]
    ]


def check(section: dict, name: str, build) -> None:
    """Check what both families ask of their section; ``build(section, plan, instance)`` makes a problem.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    config, where = section[name], f"device_sims.{name}"
    layer, sweep = config["layer"], section["sweep"]
    cells = layer["diameter_m"] / layer["cell_m"]
    if cells < 1 or abs(cells - round(cells)) > 1e-6 * cells:
        raise UserError(
            f"{where}.layer.cell_m: found {layer['cell_m']:g}, allowed: a length that divides diameter_m = "
            f"{layer['diameter_m']:g}"
        )
    for axis, values in config["pulses"].items():
        if len(set(values)) != len(values):
            raise UserError(f"{where}.pulses.{axis}: found {values}, allowed: each value once")
    number = len(plan(config)) * sweep["instances"] * sweep["replicas_per_instance"]
    if number > MAX_EVENTS:
        raise UserError(f"{where}.pulses: found {number} write events in all, allowed: at most {MAX_EVENTS}")
    for instance in range(sweep["instances"]):
        Ku = build(section, plan(config)[0], instance).material.Ku_J_per_m3
        field = anisotropy_field(config, Ku)
        if field <= 0:
            raise UserError(
                f"{where}.material.Ku_J_per_m3: found {Ku:g} in instance {instance}, which turns the easy axis into "
                f"the plane; allowed: more than {Ku - MU0 * config['material']['Ms_A_per_m'] * field / 2:.4g}"
            )
    first = build(section, plan(config)[0], 0)
    for key in ("rest_s", "relax_s"):
        first.steps(config["wait"][key], f"{where}.wait.{key}")
    for duration in config["pulses"]["durations_s"]:
        first.steps(duration, f"{where}.pulses.durations_s")
    first.steps(first.record_interval_s, "device_sims.numerics.record_interval_s")


def batches(section: dict, name: str, build) -> list[Batch]:
    """Return the batches of a sweep, ordered by pulse and instance."""
    sweep = section["sweep"]
    return [
        Batch(pulse, instance, build(section, own, instance), sweep["replicas_per_instance"])
        for pulse, own in enumerate(plan(section[name]))
        for instance in range(sweep["instances"])
    ]


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
    low = np.where(k == 0, 0.0, beta.ppf((1 - mass) / 2, k + 0.5, n - k + 0.5))
    high = np.where(k == n, 1.0, beta.ppf((1 + mass) / 2, k + 0.5, n - k + 0.5))
    return low, high


def summarise(config: dict, pulses: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of `SUMMARY_COLUMNS`, one row per pulse.

    The write's energy is ``V^2 t A G`` with the conductance per area linear in mz,
    ``G = (1 + mz)/(2 RA) + (1 - mz)/(2 RA (1 + TMR))``, so that the mean of mz over the pulse is all that it needs.
    """
    mesh, shape = disc(config["layer"])
    area = volume_m3(shape, mesh) / mesh.size_m[2]
    RA, TMR = config["junction"]["RA_ohm_m2"], config["junction"]["TMR"]
    rows = []
    for pulse in pulses.itertuples():
        own = events[events["pulse"] == pulse.pulse]
        mz, times = own["mz_pulse_mean"].mean(), own["switching_time_s"].dropna()
        conductance = area / RA * ((1 + mz) / 2 + (1 - mz) / 2 / (1 + TMR))
        low, high = interval(own["switched"].sum(), len(own))
        rows.append(
            {
                **{name: getattr(pulse, name) for name in _pulse},
                "writes": len(own),
                "switched": int(own["switched"].sum()),
                "undecided": int((own["final_state"] == UNDECIDED).sum()),
                "probability": float(own["switched"].mean()),
                "ci_low": float(low),
                "ci_high": float(high),
                "switching_time_mean_s": float(times.mean()),
                "switching_time_sd_s": float(times.std(ddof=1)),
                "write_energy_mean_J": float(pulse.voltage_V**2 * pulse.duration_s * conductance),
            }
        )
    return pd.DataFrame(rows)


def describe(section: dict, name: str) -> dict:
    """Return what the read-out needs to know of the junction."""
    config = section[name]
    return {
        "family": name,
        "diameter_m": config["layer"]["diameter_m"],
        "film_thickness_m": config["layer"]["thickness_m"],
        "RA_ohm_m2": config["junction"]["RA_ohm_m2"],
        "TMR": config["junction"]["TMR"],
        "anisotropy_field_A_per_m": anisotropy_field(config),
        "thermal_stability": stability(config) if config["temperature_K"] else None,
    }
