"""What notches do to a wall: the tables of docs/studies/notched_synapse.md.

    python -m benchmarks.notches steps    [--engine llg] [--set KEY=VALUE ...] [--output TABLE.csv]
    python -m benchmarks.notches depth    [--depths_m ...] [--widths_m ...] [--factors ...] [--set ...] [--output ...]
    python -m benchmarks.notches barriers [--set ...] [--output ...]
    python -m benchmarks.notches cards CARD ... [--output ...]

All begin with configs/notched_synapse.yaml, or ``--config``; ``--set notches.count=5`` changes a key of its device (or
``sweep.``, ``numerics.``, ``seed``). ``steps`` counts how each pulse moves walls by one notch. ``depth`` does so for
notches of several depths and widths, driven at multiples of the current that frees the wall of a straight track by the
closed form. ``barriers`` searches the saddle between the first two notches of each device by the nudged elastic band of
the llg engine, beside the pinning energy of the 1-D model. ``cards`` sets the steps of cards side by side: how
large, how even, how alike up and down. Prints a table.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from calibration.card import KernelCard
from calibration.consequences.figures_of_merit import conductance_steps
from device_sims.barriers import Settings, between
from device_sims.common import Simulations
from device_sims.config import Stage
from device_sims.engines.collective import pinning
from device_sims.problem import BOLTZMANN, material
from device_sims.problem.initial import initial_magnetisation
from device_sims.validation import same_writes
from spinloom.quantities import WIRE_DRIVES
from workflow.study import config

ROOT = Path(__file__).parents[1]
COUNTS = ["writes", "reached", "stayed", "beyond", "elsewhere", "lost"]
TEN_YEARS_S = 10 * 365.25 * 24 * 3600


def section_of(path: str, settings: dict[str, Any]) -> Simulations:
    """Return the device section of a config with other values of its keys, checked.

    Parameters
    ----------
    path : str
        Overlay of config.yaml.
    settings : dict
        Dotted keys of the notched track, or of ``sweep``, ``numerics``, ``seed``. A track whose number or pitch of
        notches is set without a length is as long as these notches and 80 nm at each end.
    """
    content = config.section(config.load(ROOT / "config.yaml", path), "device_sims")
    options = content["notched_track"]
    for key, value in settings.items():
        first = key.split(".")[0]
        place = content if first in ("sweep", "numerics", "seed") else options
        *parents, last = key.split(".")
        for parent in parents:
            place = place[parent]
        place[last] = value
    if "track.length_m" not in settings and {"notches.count", "notches.pitch_m"} & settings.keys():
        options["track"]["length_m"] = options["notches"]["count"] * options["notches"]["pitch_m"] + 160e-9
    section = Stage.parse(content, path)
    section.family.check(section)
    return section


def steps(section: Simulations, engine: str | None = None) -> pd.DataFrame:
    """Return how often each pulse wrote what it should: from notches with a next one, and from the outermost."""
    started = time.perf_counter()
    events = same_writes.outcomes(section, engine or section.engine)
    table = section.family.summarise(section, section.family.pulses(section), events)
    options = section.options
    first = section.family.centres_m(options)[0]
    begin = ((table["nominal_start_m"] - first) / options.notches.pitch_m).round()
    table["from"] = np.where(begin == table["wanted_notch"], "outermost", "inner")
    drive = WIRE_DRIVES[options.drive]
    found = table.groupby([drive, "duration_s", "polarity", "from"], as_index=False)[COUNTS].sum()
    found["probability"] = found["reached"] / found["writes"]
    return found.assign(temperature_K=options.temperature_K, wall_s=round(time.perf_counter() - started))


def straight(section: Simulations) -> Any:
    """Return a problem of the section's track with straight edges and without grains."""
    track = section.options
    plain = track.model_copy(update={"roughness": type(track.roughness)(), "grains": type(track.grains)()})
    return section.family.batches(section.model_copy(update={"notched_track": plain}))[0].problem


def depth(path: str, settings: dict[str, Any], depths_m, widths_m, factors) -> pd.DataFrame:
    """Return `steps` of notches of several depths and widths, driven at multiples of what frees the wall."""
    tables = []
    for deep, wide in itertools.product(depths_m, widths_m):
        own = {**settings, "notches.depth_m": deep, "notches.width_m": wide}
        problem = straight(section_of(path, own))
        drive = section_of(path, own).options.drive
        inner = slice(0, section_of(path, own).options.notches.count - 1)
        freeing = float(pinning.freeing_drives(problem, drive)[inner].mean())
        barrier = pinning.pinning(problem).barriers_J[inner].min() / (BOLTZMANN * 300)
        own["pulses." + {"sot": "current_densities_A_per_m2", "field": "fields_T"}[drive]] = [
            float(f"{factor * freeing:.3g}") for factor in factors
        ]
        found = steps(section_of(path, own))
        tables.append(found.assign(depth_m=deep, width_m=wide, barrier_kT_300K=barrier, frees=freeing))
        print(tables[-1].to_string(index=False), flush=True)
    return pd.concat(tables, ignore_index=True)


def barriers(section: Simulations) -> pd.DataFrame:
    """Return barriers and rates between the first two notches of each device, by micromagnetics and 1-D model."""
    rows = []
    for instance in range(section.sweep.instances):
        started = time.perf_counter()
        problems = [b.problem for b in section.family.batches(section) if (b.pulse, b.instance) == (0, instance)][:2]
        mask = material.mask(problems[0])
        states = [initial_magnetisation(problem, mask) for problem in problems]
        # the path needs no more than to bring Newton's method to the saddle
        found = between(problems[0], states[0], states[1], Settings(start="wall", images=14, tolerance=0.05))
        wall = upright(problems[0], section.family.centres_m(section.options))
        rates = {T: sum(found.rates_per_s(T)) / 2 for T in (300.0, 400.0)}
        rows.append(
            {
                "instance": instance,
                **{f"barrier_{w}_kT_300K": b / (BOLTZMANN * 300) for w, b in zip(("up", "down"), found.barriers_J)},
                **{f"wall_model_{w}_kT_300K": b / (BOLTZMANN * 300) for w, b in zip(("up", "down"), wall)},
                "attempts_per_s": found.attempts[0].rate_per_s,
                **{f"lost_in_ten_years_{T:.0f}K": -np.expm1(-2 * rate * TEN_YEARS_S) for T, rate in rates.items()},
                "converged": found.converged,
                "wall_s": round(time.perf_counter() - started),
            }
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def upright(problem: Any, centres_m: np.ndarray) -> tuple[float, float]:
    """Return the 1-D model's barriers between the first two notches, up and down, J, over shallow minima in between."""
    found, reach = pinning.pinning(problem), (centres_m[1] - centres_m[0]) / 4
    lowest = [found.energy_J[np.abs(found.place_m - centre) < reach].min() for centre in centres_m[:2]]
    top = found.energy_J[(found.place_m > centres_m[0]) & (found.place_m < centres_m[1])].max()
    return top - lowest[0], top - lowest[1]


def cards(folders: list[str]) -> pd.DataFrame:
    """Return, of the strongest pulse up and down of each card in the inner half of its conductances, how it steps.

    ``step_of_range`` is the mean step over the range; ``slope`` its change from a quarter to three quarters of the
    range over its mean, 0 if it is linear; ``sd_of_step`` the spread of a step over its mean; ``asymmetry`` the root
    of the mean square of (up + down) / (up - down).
    """
    rows = []
    for folder in folders:
        card = KernelCard.read(folder)
        G = card.states["conductance_S"].to_numpy()
        share = (G - G.min()) / np.ptp(G)
        inner = (share >= 0.25) & (share <= 0.75)
        mean, sd = conductance_steps(card.kernel, G, card.states["conductance_sd_S"].to_numpy())
        strongest = mean[:, inner].mean(1)
        up, down = int(np.argmax(strongest)), int(np.argmin(strongest))
        total, apart = mean[up] + mean[down], mean[up] - mean[down]
        row: dict[str, Any] = {
            "card": folder,
            "states": len(G),
            "range_uS": 1e6 * np.ptp(G),
            "ratio": G.max() / G.min(),
        }
        for name, pulse in (("up", up), ("down", down)):
            step = mean[pulse, inner]
            line = np.polyfit(share[inner], step, 1)
            row[f"{name}_step_of_range"] = abs(step.mean()) / np.ptp(G)
            row[f"{name}_slope"] = line[0] / 2 / step.mean()
            row[f"{name}_sd_of_step"] = np.sqrt((sd[pulse, inner] ** 2).mean()) / abs(step.mean())
        row["asymmetry"] = np.sqrt(np.mean((total[inner] / apart[inner]) ** 2))
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Read the command line, make one table, print it and write it where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["steps", "depth", "barriers", "cards"])
    parser.add_argument("cards", nargs="*", metavar="CARD")
    parser.add_argument("--config", default=str(ROOT / "configs/notched_synapse.yaml"))
    parser.add_argument("--engine", help="default: the config's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--depths_m", nargs="+", type=float, default=[12e-9, 16e-9, 20e-9, 24e-9])
    parser.add_argument("--widths_m", nargs="+", type=float, default=[32e-9, 48e-9, 64e-9])
    parser.add_argument("--factors", nargs="+", type=float, default=[0.8, 1.0, 1.2, 1.4, 1.7])
    parser.add_argument("--output")
    given = parser.parse_args()
    settings = {key: yaml.safe_load(value) for key, value in (one.split("=", 1) for one in given.set)}
    if given.table == "depth":
        table = depth(given.config, settings, given.depths_m, given.widths_m, given.factors)
    elif given.table == "cards":
        table = cards(given.cards)
    else:
        section = section_of(given.config, settings)
        table = steps(section, given.engine) if given.table == "steps" else barriers(section)
    print(table.to_string(index=False))
    if given.output:
        table.to_csv(given.output, index=False)


if __name__ == "__main__":
    main()
