"""What a study says of its simulations whatever the device: engine, family, sweep and time stepping."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator

from device_sims import devices, engines, problem
from device_sims.barriers.settings import Settings
from spinloom.config import Seeded
from spinloom.declare import OneOf, Real, Section, Whole, key, some_given
from spinloom.errors import UserError


class Replica(Section):
    """Pulses that need more replicas than the others."""

    replicas_per_instance: Whole = key("At least this many replicas of these pulses on each device.", ge=1, le=100000)
    voltage_V: Real | None = key("Voltage of the pulses.", absent=True)
    duration_s: Real | None = key("Length of the pulses.", absent=True)
    direction: Literal["P_to_AP", "AP_to_P"] | None = key("Direction of the write, for junctions.", absent=True)
    polarity: Whole | None = key("Sign of the drive, for walls that are written in both directions.", absent=True)
    field_T: Real | None = key("Field of the pulses.", absent=True)
    current_density_A_per_m2: Real | None = key("Current density of the pulses.", absent=True)
    zhang_li_u_m_per_s: Real | None = key("Velocity u of the Zhang-Li torque of the pulses.", absent=True)
    nominal_start_m: Real | None = key("Position at which the write begins.", absent=True)

    @model_validator(mode="after")
    def _names_a_pulse(self) -> Self:
        return some_given(self, type(self).model_fields.keys() - {"replicas_per_instance"})


class Sweep(Section):
    """How many devices and writes are simulated, and how they are divided into jobs."""

    instances: Whole = key(
        "Number of devices. Each has its own edge roughness, grains and other differences between devices.",
        ge=1,
        le=100000,
    )
    replicas_per_instance: Whole = key(
        "How often each pulse is repeated on each device, each time with other thermal noise.", ge=1, le=100000
    )
    instances_per_chunk: Whole = key(
        "Number of devices in one job. No result depends on it, but a change simulates everything again.",
        4,
        ge=1,
    )
    replicas_per_chunk: Whole | None = key(
        "Number of replicas in one job. With null, a job has all of them. With a number, further replicas are "
        "further jobs, and finished jobs are kept.",
        None,
        ge=1,
    )
    replicas: tuple[Replica, ...] = key(
        "Pulses that need more replicas than the others, as `calibration plan` writes them. An entry applies "
        "to the pulses that have all of its values.",
        (),
        max_length=10000,
    )


class Numerics(Section):
    """How the equation of motion is integrated in time."""

    integrator: Literal["fdr4", "heun", "rk4"] = key(
        "Integration scheme. `fdr4` is made for thermal noise, `heun` is for comparison with other codes, and "
        "`rk4` is for 0 K (docs/device_sims/time_steps.md).",
        "fdr4",
    )
    dt_s: Real = key(
        "Time step. A step that is too long for the mesh is refused, and the error says how long it may be.",
        ge=1e-16,
        le=1e-11,
    )
    precision: Literal["float32", "float64"] = key(
        "Floating-point type of the magnetisation and the fields.", "float32"
    )
    demag_interval_steps: Whole = key(
        "Number of steps from one evaluation of the stray field of other cells to the next. In between it is "
        "extrapolated. 0 evaluates it at every stage of a step.",
        2,
        ge=0,
        le=100,
    )
    record_interval_s: Real = key("Time between two records of a trajectory.", gt=0)

    def of_problem(self) -> problem.Numerics:
        """Return them as a problem has them."""
        return problem.Numerics(**self.model_dump(exclude={"record_interval_s"}))


class Pictures(Section):
    """Pictures of write events in the report: the first device's first write of a pulse, simulated once more."""

    pulses: Whole = key(
        "Largest number of pulses with a picture. They are spread evenly over all pulses.", 6, ge=1, le=1000
    )
    snapshots: Whole = key("Largest number of snapshots of one write.", 6, ge=2, le=100)
    most_cells: Whole = key(
        "Largest number of cells that are kept of a layer. They are spread evenly over the layer.",
        4000,
        ge=16,
        le=1000000,
    )


class Barriers(Settings):
    """Wells of each device at rest and the barriers between them: of a wall along its track, or of a moment."""

    spacing_m: Real = key(
        "For a wall: distance along the track between the positions at which the search for wells begins.",
        1e-8,
        gt=0,
        le=1e-6,
    )


class Common(Section):
    """Simulation of the device's writes. A change here simulates again what it touches, except for the pictures."""

    engine: Annotated[str, OneOf(engines.REGISTRY.names)] = key(
        "Program that computes the trajectories (docs/engines.md). If it cannot, the study stops: no other "
        "engine replaces it.",
    )
    device: Annotated[str, OneOf(devices.REGISTRY.names)] = key(
        "Device family. Its keys are in the section of the same name."
    )
    sweep: Sweep = key("How many devices and writes are simulated, and how they are divided into jobs.")
    numerics: Numerics = key("How the equation of motion is integrated in time.")
    barriers: Barriers | None = key(
        "Wells of each device at rest, and the energy barriers between them, computed with the engine llg "
        "(docs/barriers.md). With null, none are computed.",
        None,
    )
    pictures: Pictures | None = key(
        "Pictures of writes in the report (docs/pictures.md). With null, there are none. Only the engine "
        "`llg` makes pictures. For other engines these keys have no effect.",
        Pictures(),
    )


class Simulations(Common, Seeded):
    """What stage 1 sees of a study, without the sections of the families that it does not simulate."""

    @property
    def options(self) -> Any:
        """The section of the study's own device family; None if the study has none."""
        return getattr(self, self.device)

    @property
    def family(self) -> ModuleType:
        """The module of the study's device family.

        Raises
        ------
        UserError
            If it cannot be imported, or its section is missing.
        """
        module = devices.REGISTRY.get(self.device)
        if self.options is None:
            raise UserError(f"device_sims.{self.device}: this section is missing; device_sims.device asks for it")
        return module
