"""What a search for a barrier may be told."""

from __future__ import annotations

from typing import Literal

from spinloom.declare import Real, Section, Whole, key


class Settings(Section):
    """How the path between two states is searched, and what is made of it."""

    images: Whole = key("Number of states along the path, both ends included.", 18, ge=5, le=200)
    start: Literal["auto", "rotation", "wall"] = key(
        "First guess of the path. `rotation` turns each cell along its shortest arc. `wall` moves the wall "
        "from its first to its last position, or sweeps one through. `auto` tries all that apply and keeps "
        "the lowest saddle.",
        "auto",
    )
    tolerance: Real = key(
        "The path counts as found when the field across it is at most this in every cell, in units of Ms.",
        2e-3,
        ge=1e-8,
        le=0.1,
    )
    steps: Whole = key("Largest number of steps of the search for the path.", 4000, ge=10, le=1000000)
    well_kT: Real = key(
        "Minima on the path that are shallower than this are ignored, in units of kB T at `temperature_K`.",
        1.0,
        gt=0,
        le=1000,
    )
    temperature_K: Real = key(
        "Temperature for `well_kT`, and for attempt times that depend on the temperature.", 300.0, gt=0, le=2000
    )
    attempt: Literal["langer", "none"] = key(
        "`langer` computes attempt times with Langer's theory, from the curvatures of the energy at the "
        "minima and the saddle. `none` computes barriers only.",
        "langer",
    )
    largest_cells: Whole = key(
        "No attempt time is computed for more magnetic cells than this. Its determinants have two rows for each cell.",
        6000,
        ge=1,
        le=50000,
    )
