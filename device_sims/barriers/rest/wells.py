"""The search on one device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from device_sims.barriers.barrier import between
from device_sims.barriers.chain import chain
from device_sims.barriers.landscape import Landscape
from device_sims.barriers.rest.gather import TABLE
from device_sims.barriers.rest.search import Search
from device_sims.barriers.tables import directions
from device_sims.problem.initial import initial_magnetisation
from device_sims.problem.observables import wall_position

# of a device with one well: what else there is leads into it
ALONE = {"well_from": 0, "well_to": 0, "barrier_J": 0.0, "converged": True, "note": "the only well"}
CHAIN = ("well_from", "well_to", "barrier_J", "attempts_per_s", "ten_year_temperature_K", "converged", "note")


def find(search: Search) -> pd.DataFrame:
    """Return the table `TABLE` of one device, without its ``instance``."""
    landscape = Landscape(search.problem)
    mask, settings = landscape.mask, search.settings
    states = [initial_magnetisation(replace(search.problem, initial=one), mask) for one in search.starts]
    if not search.labels:
        found = chain(landscape, np.stack(states), settings)
        dx = search.problem.mesh.cell_m[0]
        places = [float(wall_position(one.m[2], mask, dx)) for one in found.wells]
        rows = pd.DataFrame(found.rows() or [ALONE], columns=[*CHAIN])
        for side in ("from", "to"):
            rows[f"position_{side}_m"] = [places[well] for well in rows[f"well_{side}"]]
            rows[f"label_{side}"] = None
    else:
        barrier = between(search.problem, *states, settings=settings, landscape=landscape)
        rows = directions(barrier, settings.temperature_K)
        for side in ("from", "to"):
            rows[f"well_{side}"] = rows[f"state_{side}"].map({"a": 0, "b": 1})
            rows[f"label_{side}"] = [search.labels[well] for well in rows[f"well_{side}"]]
            rows[f"position_{side}_m"] = np.nan
    return rows[[name for name in TABLE.columns if name != "instance"]]
