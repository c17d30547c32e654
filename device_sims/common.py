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

    replicas_per_instance: Whole = key("At least so many replicas.", ge=1, le=100000)
    voltage_V: Real | None = key("Voltage of the pulse.", absent=True)
    duration_s: Real | None = key("Length of the pulse.", absent=True)
    direction: Literal["P_to_AP", "AP_to_P"] | None = key("Direction of a junction's write.", absent=True)
    polarity: Whole | None = key("Polarity of the current.", absent=True)
    field_T: Real | None = key("Field of the pulse.", absent=True)
    current_density_A_per_m2: Real | None = key("Current density of the pulse.", absent=True)
    zhang_li_u_m_per_s: Real | None = key("Spin drift velocity of the pulse.", absent=True)
    nominal_start_m: Real | None = key("Where the write begins.", absent=True)

    @model_validator(mode="after")
    def _names_a_pulse(self) -> Self:
        return some_given(self, type(self).model_fields.keys() - {"replicas_per_instance"})


class Sweep(Section):
    """How many devices and writes are simulated, and in which jobs."""

    instances: Whole = key("Devices (edge-roughness instances).", ge=1, le=100000)
    replicas_per_instance: Whole = key("Thermal repetitions of each pulse on each device.", ge=1, le=100000)
    instances_per_chunk: Whole = key(
        "Devices that one job simulates: no result depends on it, but changing it simulates again.",
        4,
        ge=1,
    )
    replicas_per_chunk: Whole | None = key(
        "Replicas that one job simulates, null for all: more replicas are then more jobs, and finished ones stay.",
        None,
        ge=1,
    )
    replicas: tuple[Replica, ...] = key(
        "Pulses that need more replicas than the others, as `calibration plan` writes them: an entry fits"
        " the pulses that have all of its values.",
        (),
        max_length=10000,
    )


class Numerics(Section):
    """How time is stepped."""

    integrator: Literal["fdr4", "heun", "rk4"] = key("Time stepping scheme.", "fdr4")
    dt_s: Real = key("Time step.", ge=1e-16, le=1e-11)
    precision: Literal["float32", "float64"] = key("Floating-point type.", "float32")
    demag_interval_steps: Whole = key(
        "Steps between evaluations of the other cells' stray field, extrapolated in between; 0 evaluates "
        "it at every stage.",
        2,
        ge=0,
        le=100,
    )
    record_interval_s: Real = key("Time between records of a trajectory.", gt=0)

    def of_problem(self) -> problem.Numerics:
        """Return them as a problem has them."""
        return problem.Numerics(**self.model_dump(exclude={"record_interval_s"}))


class Pictures(Section):
    """Pictures of write events in the report: the first device's first write of a pulse, simulated once more."""

    pulses: Whole = key("Pulses that have one at most, evenly picked.", 6, ge=1, le=1000)
    snapshots: Whole = key("Snapshots of a write at most.", 6, ge=2, le=100)
    most_cells: Whole = key("Cells of a layer that are kept at most, evenly picked.", 4000, ge=16, le=1000000)


class Barriers(Settings):
    """Wells of each device at rest and the barriers between them: of a wall along its track, or of a moment."""

    spacing_m: Real = key("Of a wall: distance between the first states along the track.", 1e-8, gt=0, le=1e-6)


class Common(Section):
    """Micromagnetic sweep of write events. The engine sees what is here, except for the pictures."""

    engine: Annotated[str, OneOf(engines.REGISTRY.names)] = key(
        "Who computes the trajectories. A requested engine is never replaced by another.",
    )
    device: Annotated[str, OneOf(devices.REGISTRY.names)] = key("Device family; its own section has the same name.")
    sweep: Sweep = key("How many devices and writes are simulated, and in which jobs.")
    numerics: Numerics = key("How time is stepped.")
    barriers: Barriers | None = key(
        "Wells of each device at rest and the barriers between them, by the llg engine's energy; null for none.",
        None,
    )
    pictures: Pictures | None = key(
        "Pictures of write events in the report, null for none. Only the engine llg makes them, of devices that have"
        " cells; for the others the key says nothing.",
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
