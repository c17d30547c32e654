"""What a search for a barrier may be told."""

from __future__ import annotations

from typing import Literal

from spinloom.declare import Real, Section, Whole, key


class Settings(Section):
    """How the path between two states is searched, and what is made of it."""

    images: Whole = key("States along the path, both ends included.", 18, ge=5, le=200)
    start: Literal["auto", "rotation", "wall"] = key(
        "First guess of the path. rotation: each cell turns along its shortest arc; wall: the wall of the first state "
        "is moved to where the second's is, or a wall is swept through; auto: all that apply, of which the lowest "
        "saddle counts.",
        "auto",
    )
    tolerance: Real = key(
        "The path counts as found when no cell feels more than this field across it, in units of Ms.",
        2e-3,
        ge=1e-8,
        le=0.1,
    )
    steps: Whole = key("Steps of the path at most.", 4000, ge=10, le=1000000)
    well_kT: Real = key(
        "Minima on the path that are shallower, in kB T at temperature_K, are passed over.", 1.0, gt=0, le=1000
    )
    temperature_K: Real = key("Temperature of well_kT and of attempt times that depend on one.", 300.0, gt=0, le=2000)
    attempt: Literal["langer", "none"] = key(
        "langer: attempt times by Langer's theory, from the curvatures of energy at minima and saddle; none: only "
        "barriers.",
        "langer",
    )
    largest_cells: Whole = key(
        "Above so many magnetic cells Langer's determinants, of matrices of twice as many rows, are not computed.",
        6000,
        ge=1,
        le=50000,
    )
