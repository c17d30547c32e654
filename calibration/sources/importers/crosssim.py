"""Lookup tables of conductance changes in a folder, laid out as CrossSim or as XBTorch stores them (`lookup`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from calibration.card import SCHEMA_VERSION, KernelCard, Kind, Meta
from calibration.card.tables import CARD, PULSES
from calibration.counting.estimator import stationary
from calibration.counting.kernel_rows import stated
from calibration.sources.importers.base import Directions, Imported, Switch
from calibration.sources.importers.lookup import Device, Step, grids, quantiles
from calibration.sources.importers.lookup.lattice import Pieces, split
from calibration.sources.importers.measured import direction_pulses, directions, pulse_row, unknown
from calibration.sources.importers.reading import Report, folder_of
from calibration.sources.tabular.units import CONDUCTANCE_UNITS
from spinloom import quantities
from spinloom.declare import OneOf, Real, Whole, key
from spinloom.errors import UserError
from spinloom.files import sha256_file
from spinloom.text_tables import Text

MOST_STATES = 1024
BRINGS_STATES = True
KIND = Kind.STEPS
LAYOUTS = (quantiles, grids)


class Options(Directions):
    """Options of lookup tables."""

    conductance_unit: Annotated[str, OneOf(lambda: CONDUCTANCE_UNITS)] = key(
        "Unit of the conductances in the tables.", "S"
    )
    states: Whole = key("Number of states of the card, equally spaced in conductance.", 64, ge=2, le=MOST_STATES)
    device: Text | None = key("Number or name of the one device to import. With null, all devices are imported.", None)
    by_instance: Switch = key("With true, each device's own kernel is written too, if there are several devices.", True)
    read_voltage_V: Real = key("Voltage of a read.", 0.1)
    read_duration_s: Real = key("Length of a read.", 5e-9)
    read_noise_fraction: Real = key(
        "Read noise: standard deviation of a read, relative to the conductance.", 0, ge=0, le=1
    )


def recognise(path: Path, table: object) -> str | None:
    """Return why the folder is one of these, None if it is not."""
    here = [layout.SHOWN for layout in LAYOUTS if path.is_dir() and layout.is_here(path)]
    return f"a folder with {here[0]}" if here else None


def read(path: str, options: Options) -> Imported:
    """Read the tables of one device or more and put them on one lattice of conductances.

    The lattice runs evenly from the lowest to the highest conductance of all tables. See `lattice.split` for what
    becomes of a step: its mean is exact, its standard deviation is exact unless less than the lattice can show. A row
    of the pooled kernel is the mean over the devices that can have its conductance.

    Parameters
    ----------
    path : str
        Folder with the files of one of `LAYOUTS`.
    options : Options

    Raises
    ------
    UserError
        Names the file, the row and the column.
    """
    folder = folder_of(path)
    plan = direction_pulses(options)
    here = [layout for layout in LAYOUTS if layout.is_here(folder)]
    if len(here) != 1:
        raise UserError(
            f"{folder}: found {'tables of both kinds' if here else 'no table'}, allowed: "
            f"{' or '.join(layout.SHOWN for layout in LAYOUTS)}"
        )
    found = here[0].read(folder, options.device, CONDUCTANCE_UNITS[options.conductance_unit])
    devices = found.devices
    tables = [(device.up, device.down) for device in devices.values()]
    ways = [
        directions(device.up.mean_change_S, device.down.mean_change_S, folder, device.names)
        for device in devices.values()
    ]
    ends = np.array([up.ends_S for up, _ in tables])
    lattice = np.linspace(ends[:, 0].min(), ends[:, 1].max(), options.states)
    kernels = np.stack([[kernel(table, lattice) for table in pair] for pair in tables])
    # a lattice point next to a device's range is reached from within it
    pitch = (lattice[1] - lattice[0]) * (1 - 1e-9)  # one that is a whole pitch away is none, whatever rounding says
    own = (lattice > ends[:, :1] - pitch) & (lattice < ends[:, 1:] + pitch)
    if not own.any(axis=0).all():
        gap = lattice[~own.any(axis=0)][0]
        raise UserError(
            f"{folder}: found no device with the conductance {gap:g} S, allowed: devices whose conductances overlap; "
            "import one with option device"
        )
    pooled = np.einsum("ds,dpst->pst", own / own.sum(axis=0), kernels)
    pooled /= pooled.sum(axis=-1, keepdims=True)
    narrow, excess = _narrow_rows(tables, lattice, own)
    notes = tuple(note for way in ways for note in way)
    if narrow:
        notes += (
            f"{narrow} of {2 * int(own.sum())} steps are narrower than the lattice of pitch {1e6 * pitch:.3g} uS can "
            f"show: their mean is exact, their standard deviation too large by up to {1e6 * excess:.3g} uS; option "
            f"states allows up to {MOST_STATES}",
        )
    notes += found.notes
    card = _card(
        folder,
        options,
        plan,
        devices,
        lattice,
        pooled,
        kernels,
        {"rows_too_narrow": narrow, "excess_sd_S": excess, "notes": list(notes)},
    )
    return Imported(rows=found.rows, report=Report().table(), card=card, notes=notes)


def kernel(table: Step, lattice: np.ndarray) -> np.ndarray:
    """Return the probabilities of a pulse between the points of an even lattice.

    Parameters
    ----------
    table : Step
    lattice : ndarray, float64[states]
        S; holds all conductances of the table.

    Returns
    -------
    ndarray, float64[states, states]
        Indexed by from, to.
    """
    pitch = (lattice[-1] - lattice[0]) / (len(lattice) - 1)
    rows = []
    for conductance in lattice:
        step = table.landing(conductance)
        low, high = (np.clip((end - lattice[0]) / pitch, 0, len(lattice) - 1) for end in (step.low, step.high))
        rows.append(split(Pieces(low, high, step.weight), len(lattice)))
    return np.stack(rows)


def _narrow_rows(tables: list[tuple[Step, Step]], lattice: np.ndarray, own: np.ndarray) -> tuple[int, float]:
    """Return how many steps are narrower than the lattice can show, and by how much at most their sd grows, S."""
    pitch = (lattice[-1] - lattice[0]) / (len(lattice) - 1)
    excess = []
    for device, pair in enumerate(tables):
        for step in (table.landing(conductance) for table in pair for conductance in lattice[own[device]]):
            rest = (step.mean - lattice[0]) / pitch % 1
            excess.append(np.sqrt(max(step.variance, rest * (1 - rest) * pitch**2)) - np.sqrt(step.variance))
    # below a thousandth of the pitch it is rounding
    return int(np.sum(np.array(excess) > 1e-3 * pitch)), float(max(excess))


def _card(
    folder: Path,
    options: Options,
    plan: pd.DataFrame,
    devices: dict[str, Device],
    lattice: np.ndarray,
    pooled: np.ndarray,
    kernels: np.ndarray,
    lattice_meta: dict[str, Any],
) -> KernelCard:
    state, occupancy = np.arange(len(lattice)), stationary(pooled)
    states = pd.DataFrame(
        {
            "state": state,
            "label": [f"s{number}" for number in state],
            "position_m": np.nan,
            "position_low_m": np.nan,
            "position_high_m": np.nan,
            "conductance_S": lattice,
            "conductance_sd_S": 0.0,
            "count": 0,
            "occupancy": occupancy,
        }
    )
    # a write costs what the state before it conducts
    mean = float(occupancy @ lattice)
    sd = float(np.sqrt(occupancy @ (lattice - mean) ** 2))
    rows = []
    for pulse, fields in enumerate(plan.to_dict("records")):
        rows.append(pulse_row(pulse, fields, options, mean, sd))
    duration, voltage = options.read_duration_s, options.read_voltage_V
    reads = pd.DataFrame(
        {
            "state": state,
            "read_voltage_V": voltage,
            "energy_J": voltage**2 * lattice * duration,
            "latency_s": duration,
            "noise_sd_S": options.read_noise_fraction * lattice,
        }
    )
    # a state is a conductance, so devices differ in their kernels and not in the conductance of a state
    population = pd.DataFrame(
        {
            "instance": np.arange(len(devices)),
            "events": 0,
            "conductance_factor": 1.0,
            "conductance_offset_S": 0.0,
            "conductance_offset_se_S": np.nan,
            "position_offset_m": np.nan,
            "position_offset_se_m": np.nan,
        }
    )
    extras = {}
    if len(devices) > 1 and options.by_instance:
        parts = [stated(own).assign(instance=instance) for instance, own in enumerate(kernels)]
        extras["by_instance"] = pd.concat(parts, ignore_index=True)
    edges = np.concatenate([lattice[:1], (lattice[1:] + lattice[:-1]) / 2, lattice[-1:]])
    content = {
        "name": options.name or folder.resolve().name,
        "schema_version": SCHEMA_VERSION,
        "flags": {
            "volatile": options.volatile,
            "reset_before_write": False,
            "destructive_read": options.destructive_read,
            "half_select": False,
        },
        "source": {
            "kind": "library",
            "format": "crosssim",
            "files": {file.name: sha256_file(file) for device in devices.values() for file in device.files},
            "options": options.given(),
        },
        "units": {column: quantities.of(column).si for schema in CARD.values() for column in schema.columns},
        "states": {"method": "lattice", "coordinate": "conductance_S", "edges": [float(edge) for edge in edges]},
        "import": {
            "devices": [label or "0" for label in devices],
            "lattice_pitch_S": float(lattice[1] - lattice[0]),
            **lattice_meta,
        },
        "laws": [],
        "events": 0,
        "lost_events": 0,
        "spread": None,
    }
    pulses = pd.DataFrame(rows).reindex(columns=list(PULSES.columns))
    content["assumed"] = list(unknown(pulses, options))
    transitions = stated(pooled, basis="given")
    return KernelCard(
        states, pulses, transitions, population, reads, Meta.parse(content, str(folder)), extras
    ).validate(folder)
