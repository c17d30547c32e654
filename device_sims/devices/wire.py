"""What the families of walls in tracks share: the strip, its checks, what is read off a trajectory."""

from __future__ import annotations

import math

import numpy as np
import pandera.pandas as pa

from device_sims.engines import Result
from device_sims.problem import MU0, Geometry, Mesh, Numerics, Problem, Roughness, observables
from device_sims.problem.observables import LOST, MULTIPLE, SINGLE
from spinloom.errors import UserError

MAX_EVENTS = 1_000_000  # a sweep beyond this is a slip of the keyboard
EDGE_MARGIN_CELLS = 1  # room beside the nominal width for edges that bulge outward

INDEX = pa.Column(int, pa.Check.ge(0))
POSITION = pa.Column(float, pa.Check.ge(0), nullable=True)  # absent where there is not one wall to have it
EVENT_COLUMNS = {
    "start_position_m": POSITION,
    "pulse_end_position_m": POSITION,
    "final_position_m": POSITION,
    "wall_state": pa.Column(str, pa.Check.isin([SINGLE, LOST, MULTIPLE])),
    "lost_at_s": pa.Column(float, pa.Check.ge(0), nullable=True),
}
TRAJECTORY_COLUMNS = {
    "position_m": POSITION,
    "mx": pa.Column(float),
    "my": pa.Column(float),
    "mz": pa.Column(float),
}


def strip(track: dict, roughness: dict, notches: dict, seed: int, instance: int) -> tuple[Mesh, Geometry]:
    """Return the mesh and the shape of a track, from the config's mappings of the same names."""
    cell = track["cell_m"]
    rough = None
    if roughness["rms_m"] > 0:
        rough = Roughness(roughness["rms_m"], roughness["correlation_length_m"], seed, instance)
    mesh = Mesh(
        nx=round(track["length_m"] / cell),
        ny=round(track["width_m"] / cell) + 2 * EDGE_MARGIN_CELLS,
        cell_m=(cell, cell, track["thickness_m"]),
    )
    return mesh, Geometry(
        "strip",
        width_m=track["width_m"],
        roughness=rough,
        notch_positions_m=tuple(notches["positions_m"]),
        notch_depth_m=notches["depth_m"],
        notch_width_m=notches["width_m"],
    )


def numerics(config: dict) -> Numerics:
    """Return the numerics of the config's ``numerics`` mapping; what it does not name keeps its default."""
    return Numerics(**{name: config[name] for name in Numerics.__dataclass_fields__ if name in config})


def rest_width(material: dict) -> float:
    """Return ``sqrt(A / (Ku - mu0 Ms^2 / 2))`` of the config's material, m: the width that a wall is laid with."""
    effective = material["Ku_J_per_m3"] - MU0 * material["Ms_A_per_m"] ** 2 / 2
    return math.sqrt(material["A_J_per_m"] / effective)


def check_track(track: dict, where: str) -> None:
    """Check that whole cells make the track; ``where`` names its part of the config.

    Raises
    ------
    UserError
        Naming the key.
    """
    for key in ("length_m", "width_m"):
        cells = track[key] / track["cell_m"]
        if cells < 1 or abs(cells - round(cells)) > 1e-6 * cells:
            raise UserError(
                f"{where}.track.cell_m: found {track['cell_m']:g}, "
                f"allowed: a length that divides {key} = {track[key]:g}"
            )


def check_width(material: dict, Ku_J_per_m3: float, cell_m: float, found: str) -> None:
    """Check that a wall exists and is no narrower than a cell; ``found`` begins the error.

    Raises
    ------
    UserError
        If the film's easy axis lies in the plane, or the lattice would pin the wall.
    """
    effective = Ku_J_per_m3 - MU0 * material["Ms_A_per_m"] ** 2 / 2
    if effective <= 0:
        raise UserError(
            f"{found} and turns the film's easy axis into the plane; allowed: what leaves Ku above mu0 Ms^2/2"
        )
    width = math.sqrt(material["A_J_per_m"] / effective)
    if width < cell_m:
        raise UserError(
            f"{found}: the wall's width parameter sqrt(A/K_eff) is then {width:.3g} m; allowed: at least a cell "
            f"(track.cell_m = {cell_m:g}), or the lattice pins the wall"
        )


def observe(problem: Problem, result: Result) -> tuple[dict, dict]:
    """Return the row of `EVENT_COLUMNS` and the arrays of `TRAJECTORY_COLUMNS` of a trajectory.

    Its phases must be called ``rest`` and ``pulse``, in this order, whatever follows them. A position is absent in
    every record that has not one wall.
    """
    up_left, mz = problem.initial.up_left, result.m[:, 2]
    states = observables.wall_states(mz, result.mask, up_left)
    position = observables.wall_position(mz, result.mask, problem.mesh.cell_m[0], up_left)
    position[np.array(states) != SINGLE] = np.nan
    changes = observables.state_events(result.t_s, states)
    row = {
        "start_position_m": float(position[result.phase_end["rest"]]),
        "pulse_end_position_m": float(position[result.phase_end["pulse"]]),
        "final_position_m": float(position[-1]),
        "wall_state": states[-1],
        "lost_at_s": changes[0][0] if changes else float("nan"),
    }
    mean = observables.mean_magnetisation(result.m, result.mask)
    return row, {"position_m": position, **dict(zip(("mx", "my", "mz"), mean.T))}
