"""What a script has set up so far, and the stages of time that it asks for.

Stages that follow each other from one start, with one set of constants, are a `Job`: one problem file.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from device_sims.translate import shapes
from device_sims.translate.shapes import Config, Shape
from device_sims.translate.terms import Field
from device_sims.translate.values import Later, Signal, Unrepresentable
from spinloom import streams

REGIONS = 256
LONGEST_RUN_S = 1e-7  # of a run that ends by a condition
# mumax3's quantities that have a value for each region, and their values at first
STATIC: dict[str, Any] = {
    "msat": 0.0, "aex": 0.0, "dind": 0.0, "dbulk": 0.0, "ku1": 0.0, "ku2": 0.0, "kc1": 0.0, "kc2": 0.0, "kc3": 0.0,
    "anisu": (0.0, 0.0, 0.0), "anisc1": (0.0, 0.0, 0.0), "anisc2": (0.0, 0.0, 0.0),
    "nodemagspins": 0.0, "frozenspins": 0.0, "b1": 0.0, "b2": 0.0,
}  # fmt: skip
DYNAMIC: dict[str, Any] = {
    "alpha": 0.0, "xi": 0.0, "pol": 1.0, "lambda": 1.0, "epsilonprime": 0.0, "fixedlayer": (0.0, 0.0, 0.0),
    "freelayerthickness": 0.0,
}  # fmt: skip
DRIVES: dict[str, Any] = {"b_ext": (0.0, 0.0, 0.0), "j": (0.0, 0.0, 0.0), "temp": 0.0}
STRAINS = ("exx", "eyy", "ezz", "exy", "exz", "eyz")
SETTINGS: dict[str, Any] = {
    "enabledemag": True, "openbc": False, "disablezhanglitorque": False, "disableslonczewskitorque": False,
    "fixedlayerposition": "top", "doprecess": True, "gammall": 1.7595e11, "fixdt": 0.0, "maxerr": 1e-5, "maxdt": 0.0,
    "mindt": 0.0, "edgesmooth": 0, "relaxtorquethreshold": -1.0, "minimizerstop": 1e-6, "outputformat": "OVF2_BINARY",
}  # fmt: skip


@dataclass(frozen=True)
class Extra:
    """A map of vectors times a function of time, added to an excitation."""

    mask: np.ndarray
    times: Signal


@dataclass(frozen=True)
class Values:
    """The values of a quantity: those of regions, and what is added to them."""

    of: tuple[Any, ...]
    extra: tuple[Extra, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A stretch of the script's time, or a relaxation, which takes none.

    ``kind`` is run, relax or minimize; ``until`` is what ends a run early: a column, ``above`` or ``below``, a value.
    """

    kind: str
    begin_s: float
    duration_s: float
    line: int
    drives: dict[str, Values]
    until: tuple[str, str, float] | None = None


@dataclass
class Outputs:
    """What the script wants to have written, of all its problems: `outputs` of a problem file in words of cells."""

    drives: bool = False
    columns: list[dict[str, Any]] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)
    crops: list[tuple[tuple[int, int], ...]] = field(default_factory=list)


@dataclass
class Job:
    """What becomes one problem file.

    ``follows`` is the number of the job from whose last state this one starts, or None.
    """

    mesh: Mesh
    shape: Shape | None
    fill: np.ndarray
    regions: np.ndarray
    constants: dict[str, tuple[Any, ...]]
    settings: dict[str, Any]
    exchange: dict[tuple[int, int], tuple[str, float]]
    field_terms: tuple[Field, ...]
    window: int | None
    beyond_mx: tuple[float, float] | None
    start: Start
    follows: int | None
    stages: list[Stage] = field(default_factory=list)
    temperature_seed: int = 0
    record_s: float = 0.0
    ovf_s: float = 0.0
    saves: list[int] = field(default_factory=list)  # after how many stages a state is saved
    outputs: Outputs = field(default_factory=Outputs)


@dataclass(frozen=True)
class Mesh:
    """Cells, their edges in m, and mumax3's numbers of images in periodic directions."""

    cells: tuple[int, int, int] = (0, 0, 0)
    cell_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    images: tuple[int, int, int] = (0, 0, 0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array over cells."""
        return self.cells[2], self.cells[1], self.cells[0]

    @property
    def size_m(self) -> tuple[float, ...]:
        """Edges of the box."""
        return tuple(n * edge for n, edge in zip(self.cells, self.cell_m))

    def centre(self, i: float, j: float, k: float) -> tuple[float, ...]:
        """Return the place of a cell, from the middle of the box, m."""
        return tuple((c + 0.5 - n / 2) * edge for c, n, edge in zip((i, j, k), self.cells, self.cell_m))

    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x, y, z of all cells in the order of arrays, float64[cells] each."""
        axes = [(np.arange(n) + 0.5 - n / 2) * edge for n, edge in zip(self.cells, self.cell_m)]
        z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        return x.ravel(), y.ravel(), z.ravel()


@dataclass(frozen=True)
class Start:
    """A state of m, float64[3, nz, ny, nx], and the key of a problem file that says the same, if one does."""

    m: np.ndarray
    key: dict[str, Any] | None = None
    file: str | None = None


class World:
    """mumax3's own state, as far as a problem needs it."""

    def __init__(self) -> None:
        self.mesh = Mesh()
        self.shape: Shape | None = None
        self.values = {
            **{name: [value] * REGIONS for name, value in {**STATIC, **DYNAMIC, **DRIVES}.items()},
            **{name: [0.0] * REGIONS for name in STRAINS},
        }
        self.extra: dict[str, list[Extra]] = {"b_ext": [], "j": []}
        self.settings = dict(SETTINGS)
        self.exchange: dict[tuple[int, int], tuple[str, float]] = {}
        self.field_terms: list[Field] = []
        self.window: int | None = None
        self.beyond_mx: tuple[float, float] | None = None  # of the track beyond the box, whose charges it takes away
        self.thermal_seed = 0
        self.time_s, self.time_known = 0.0, True  # the latter until a run ends by a condition
        self.record_s = self.ovf_s = 0.0
        self.outputs = Outputs()
        self.jobs: list[Job] = []
        self._regions: np.ndarray | None = None
        self._fill: np.ndarray | None = None
        self._smooth = 0  # EdgeSmooth as of when the geometry was set
        self._start: Start | None = None
        self._fresh = True  # whether m was set as a whole since the last stage

    # -- mesh, shape, regions --------------------------------------------------------------------------------------
    def set_mesh(self, **changes: Any) -> None:
        """Change the mesh; what lies on it is made again."""
        if self.jobs:
            raise Unrepresentable("changes the mesh after the first run")
        if any(self.extra.values()):
            raise Unrepresentable("changes the mesh after maps were made for it")
        self.mesh = replace(self.mesh, **changes)
        self._regions = self._fill = self._start = None

    def ready(self) -> Mesh:
        """Return the mesh, which must be complete by now."""
        if not all(self.mesh.cells) or not all(self.mesh.cell_m):
            raise Unrepresentable("needs SetGridSize and SetCellSize in front of it")
        return self.mesh

    def set_shape(self, shape: Shape) -> None:
        """Set the geometry."""
        self.ready()
        self.shape, self._fill, self._smooth = shape, None, int(self.settings["edgesmooth"])
        if self.jobs:
            raise Unrepresentable("changes the geometry after the first run")

    @property
    def fill(self) -> np.ndarray:
        """Part of each cell that is material, float64[nz, ny, nx]."""
        if self._fill is None:
            mesh = self.ready()
            if self.shape is None:
                self._fill = np.ones(mesh.shape)
            else:
                self._fill = filled(self.shape, mesh, self._smooth)
        return self._fill

    def set_fill(self, fill: np.ndarray) -> None:
        """Set the part of each cell that is material, float64[nz, ny, nx], as of a file."""
        self.shape, self._fill = None, fill

    @property
    def regions(self) -> np.ndarray:
        """Number of the region of each cell, int[nz, ny, nx]."""
        if self._regions is None:
            self._regions = np.zeros(self.ready().shape, int)
        return self._regions

    def inside(self, shape: Shape) -> np.ndarray:
        """Return the cells whose centres lie in a shape, bool[nz, ny, nx]."""
        mesh = self.ready()
        return np.asarray(shape.inside(*mesh.places()), bool).reshape(mesh.shape)

    # -- the state -------------------------------------------------------------------------------------------------
    def set_m(self, config: Config, where: np.ndarray | None = None) -> None:
        """Set m to a state, in all cells or in those of ``where``, bool[nz, ny, nx]."""
        mesh = self.ready()
        m = np.asarray(config.at(*mesh.places()), float).reshape(3, *mesh.shape)
        if where is None:
            self._start, self._fresh = Start(m, config.key), True
            return
        if not self._fresh:
            raise Unrepresentable("changes a part of m after a run: the state that it changes is not known")
        self._start = Start(np.where(where, m, self.start.m))

    def set_field(self, m: np.ndarray) -> None:
        """Set m to an array, float64[3, nz, ny, nx]."""
        if m.shape != (3, *self.ready().shape):
            raise Unrepresentable("loads a state of another number of cells")
        self._start, self._fresh = Start(m), True

    @property
    def start(self) -> Start:
        """The state that m was set to; mumax3's default is a random one."""
        if self._start is None:
            self.set_m(shapes.random_state(lambda: streams.generator(0, "mumax3", "RandomMag", 0), 0))
        assert self._start is not None
        return self._start

    # -- quantities ------------------------------------------------------------------------------------------------
    def set_value(self, name: str, value: Any, region: int | None = None) -> None:
        """Set a quantity in a region, or everywhere."""
        if region is None:
            self.values[name] = [value] * REGIONS
        elif 0 <= region < REGIONS:
            self.values[name][region] = value
        else:
            raise Unrepresentable(f"found region {region}, allowed: 0 to {REGIONS - 1}")

    # -- time ------------------------------------------------------------------------------------------------------
    @property
    def now(self) -> float | Later:
        """Time, s, if it is known."""
        return (
            self.time_s if self.time_known else Later("t", why="behind a RunWhile, whose end is not known: set t = 0")
        )

    def advance(self, kind: str, duration_s: float, line: int, until: tuple[str, str, float] | None = None) -> None:
        """Let a stage of time follow what was asked for so far."""
        drives, duration_s = self._drives(), LONGEST_RUN_S if until else duration_s
        if not self.time_known and any(map(_timed, drives.values())):
            raise Unrepresentable("has a function of t behind a RunWhile, whose end is not known: set t = 0")
        stage = Stage(kind, self.time_s, duration_s, line, drives, until)
        job = self._job()
        job.stages.append(stage)
        self._fresh = False
        self.time_s += duration_s
        self.time_known = self.time_known and until is None

    def _drives(self) -> dict[str, Values]:
        names = (*DRIVES, "ku1", *STRAINS)
        return {name: Values(tuple(self.values[name]), tuple(self.extra.get(name, ()))) for name in names}

    def _job(self) -> Job:
        """Return the job that the next stage belongs to: the last one, or a new one."""
        constants = {name: tuple(self.values[name]) for name in (*STATIC, *DYNAMIC)}
        last = self.jobs[-1] if self.jobs else None
        if last is not None and not self._fresh and self._agrees(last, constants):
            last.record_s, last.ovf_s = _shortest(last.record_s, self.record_s), _shortest(last.ovf_s, self.ovf_s)
            return last
        self.jobs.append(
            Job(
                self.ready(),
                self.shape,
                self.fill.copy(),
                self.regions.copy(),
                constants,
                self.settings | {"edgesmooth": self._smooth},
                dict(self.exchange),
                tuple(self.field_terms),
                self.window,
                self.beyond_mx,
                self.start,
                None if self._fresh else len(self.jobs) - 1,
                temperature_seed=self.thermal_seed,
                record_s=self.record_s,
                ovf_s=self.ovf_s,
                outputs=self.outputs,
            )
        )
        return self.jobs[-1]

    def _agrees(self, job: Job, constants: dict[str, tuple[Any, ...]]) -> bool:
        """Return whether a job's constants are those of now; what relaxations do not feel is brought up to date."""
        terms = [tuple(term for term in group if not _is_torque(term)) for group in (self.field_terms, job.field_terms)]
        fixed = terms[0] == terms[1] and self.beyond_mx == job.beyond_mx
        own = (self.exchange == job.exchange, fixed, self.window == job.window)
        torques = tuple(self.field_terms) != job.field_terms
        here = np.unique(self.regions[self.fill > 0]).tolist()
        differ = {
            name
            for name, values in constants.items()
            if any(values[r] != job.constants[name][r] for r in here) and name != "ku1"
        }
        if any(values[r] and not job.constants["ku1"][r] for values in [constants["ku1"]] for r in here):
            differ.add("ku1")  # nothing times a factor
        settings = {name for name, value in self.settings.items() if job.settings[name] != value and name in FELT}
        only_relaxed = all(stage.kind != "run" for stage in job.stages)
        if not torques and not any(_flows(stage) for stage in job.stages):  # no current has felt them yet
            job.constants = {**job.constants, **{name: constants[name] for name in CURRENT}}
            job.settings = {**job.settings, **{name: self.settings[name] for name in CURRENT_SETTINGS}}
            differ, settings = differ - CURRENT, settings - CURRENT_SETTINGS
        warm = [stage.drives["temp"].of for stage in job.stages if stage.kind == "run"]
        if warm and any(warm[-1][r] != self.values["temp"][r] for r in here):
            return False  # a problem has one temperature
        if not np.array_equal(self.regions, job.regions):
            return False
        if not all(own[:2]) or differ & STATIC.keys() or settings & {"enabledemag"}:
            return False
        if not only_relaxed and (differ or settings or torques or not own[2]):
            return False
        if only_relaxed:
            job.constants = {**constants, "ku1": job.constants["ku1"]}
            job.field_terms = tuple(self.field_terms)
            job.settings = self.settings | {"edgesmooth": self._smooth}
            job.window, job.temperature_seed = self.window, self.thermal_seed
        return True


# settings that a run feels
FELT = {
    "enabledemag", "disablezhanglitorque", "disableslonczewskitorque", "fixedlayerposition", "doprecess", "gammall",
    "fixdt", "maxerr",
}  # fmt: skip


# constants and settings that act with a current alone
CURRENT = {"pol", "lambda", "epsilonprime", "fixedlayer", "freelayerthickness", "xi"}
CURRENT_SETTINGS = {"disablezhanglitorque", "disableslonczewskitorque", "fixedlayerposition"}


def _flows(stage: Stage) -> bool:
    """Return whether a current flows in a stage that runs."""
    j = stage.drives["j"]
    return stage.kind == "run" and (bool(j.extra) or any(of != (0.0, 0.0, 0.0) for of in j.of))


def _timed(values: Values) -> bool:
    """Return whether a quantity is a function of time."""
    own = any(isinstance(c, Signal) for value in values.of for c in (value if isinstance(value, tuple) else (value,)))
    return own or any(not extra.times.is_line or extra.times.slope for extra in values.extra)


def _is_torque(term: Field) -> bool:
    """Return whether a custom field is but a current's torque, which a relaxation does not feel."""
    return any(term.across) and not any(term.constant) and not term.axes


def _shortest(a: float, b: float) -> float:
    return min(filter(None, (a, b)), default=0.0)


def filled(shape: Shape, mesh: Mesh, smooth: int) -> np.ndarray:
    """Return the part of each cell in a shape, float64[nz, ny, nx]: by its centre, or by ``smooth``^3 points.

    As mumax3 does it, only cells that the shape's edge may cut (one of corners and centre in, another out) are sampled.
    """
    x, y, z = mesh.places()
    centre = np.asarray(shape.inside(x, y, z), bool)
    if not smooth:
        return centre.astype(float).reshape(mesh.shape)
    dx, dy, dz = mesh.cell_m
    votes = centre.astype(int)
    for i, j, k in itertools.product((-0.5, 0.5), repeat=3):
        votes += np.asarray(shape.inside(x + i * dx, y + j * dy, z + k * dz), bool)
    found, cut = (votes == 9).astype(float), np.flatnonzero((votes > 0) & (votes < 9))
    offsets = (np.arange(smooth) + 0.5) / smooth - 0.5
    samples = np.zeros(len(cut))
    for i, j, k in itertools.product(offsets, repeat=3):
        samples += np.asarray(shape.inside(x[cut] + i * dx, y[cut] + j * dy, z[cut] + k * dz), bool)
    found[cut] = samples / smooth**3
    return found.reshape(mesh.shape)
