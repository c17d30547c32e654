"""What all stages have to say of a study's config before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from calibration.config import Stage as Calibration
from calibration.sources import build
from device_sims import devices
from device_sims.barriers.rest import search
from device_sims.barriers.rest.search import Search
from device_sims.common import Simulations
from device_sims.config import Stage
from device_sims.pictures import of_sweep
from device_sims.sweep import sweep
from device_sims.sweep.chunk import Chunk
from network import datasets
from network.pretrained import files, weights
from network.results import systems
from network.training import settings
from network.training.card import suits
from network.training.settings import Settings
from spinloom import config as study_config
from spinloom.deferred import defer
from spinloom.files import canonical_json


@dataclass(frozen=True)
class Plan:
    """What a study will do.

    Attributes
    ----------
    config : dict
        Complete.
    simulations : Simulations
        The section of stage 1.
    chunks : list of Chunk
        What stage 1 simulates; none if the card comes from elsewhere.
    simulates, trains : bool
        Whether stages 1 and 3 have a part in it.
    searches : list of Search
        Of wells at rest, one for each instance; none if the study does not ask for them.
    card_inputs : list of str
        Files of the user's that the card is made from.
    pictured : dict of str
        Hashes of the chunks whose first event is drawn, by number of the pulse.
    sections : dict of dict
        What single jobs see of the config, by file name: those of stage 3 (see `network.training.settings.parts`) and
        the pictures.
    trained : list of Settings
        What stage 3 trains, the baseline last.
    """

    config: dict[str, Any]
    simulations: Simulations
    chunks: list[Chunk]
    simulates: bool
    trains: bool
    searches: list[Search]
    card_inputs: list[str]
    pictured: dict[int, str]
    sections: dict[str, dict[str, Any]]
    trained: list[Settings]

    @property
    def network(self) -> dict[str, Any]:
        """The section of stage 3."""
        return self.config["network"]

    @property
    def variants(self) -> list[str]:
        """Names of what stage 3 trains."""
        return [one.variant for one in self.trained]

    @property
    def sampled_variants(self) -> list[str]:
        """Names of what stage 3 trains on draws of the card too: all but the baseline."""
        return [one.variant for one in self.trained if one.rule != settings.BASELINE]

    def told(self) -> str:
        """Return in a few words where the card comes from and what is trained with it."""
        source = self.config["calibration"]["source"]
        if self.simulates:
            writes, first = sum(chunk.replicas for chunk in self.chunks), self.chunks[0]
            card = f"{writes} writes of {first.device} are simulated with engine {first.engine}"
        elif source["kind"] == "parametric":
            card = "the kernel card is parametric"
        else:
            card = f"the kernel card comes from {source['name'] or source['file']} ({source['kind']})"
        if not self.trains:
            return f"{card}; no network"
        return f"{card}; networks {', '.join(self.variants)} on {self.network['dataset']}"


def plan(config: dict[str, Any]) -> Plan:
    """Check a config, complete as `workflow.study.config.resolve` leaves it, by all stages.

    Raises
    ------
    UserError
        Naming the first key that cannot be.
    """
    return Planner().plan(config)


class Planner:
    """Plans studies one after the other, what they have in common once: points of a scan differ in few sections."""

    def __init__(self):
        self._known: dict[tuple[str, ...], Any] = {}

    def plan(self, config: dict[str, Any]) -> Plan:
        """Check a config as `plan` does."""
        defer("jax", "optax")  # which the rules' files import
        first, second, third = (
            study_config.section(config, stage) for stage in ("device_sims", "calibration", "network")
        )
        device = self._once("device", lambda: Stage.parse(first, "config", "device_sims"), first)
        calibration = self._once("card", lambda: Calibration.parse(second, "config", "calibration"), second)
        simulates = calibration.source.kind == "simulation"
        chunks, means, pulses = self._once("sweep", lambda: _sweep(device), first) if simulates else ([], None, 0)
        card = self._once(
            "check", lambda: build.check(calibration, device.device, means, pulses), first if simulates else {}, second
        )
        trains, parts, trained = config["network"] is not None, {}, []
        if trains:
            named = {key: third[key] for key in ("dataset", "dataset_options", "data")}
            if (found := self._once("found", lambda: datasets.found(third), named)) is not None:
                third["found"] = found.dump()
            third = files.hashed(third)
            trained = self._once("trained", lambda: settings.check_all(third), third)
            for one in trained:
                if (given := one.pretrained) is not None:
                    network = one.architecture()
                    said = {"pretrained": given.dump(), "network": repr(network)}
                    self._once("pretrained", lambda: weights.given(given, network), said)  # noqa: B023 (called at once)
                if card is not None:
                    suits(card, one, "calibration.source")
            parts = self._once(
                "parts", lambda: {"network": settings.without_cache(third), **settings.parts(third)}, third
            )
        systems.check(config.get("system"), [one.variant for one in trained])
        pictured = of_sweep.pictured(device, chunks)
        sections = {**parts, "pictures": {"options": first["pictures"], "pulses": list(pictured)}}
        searches = self._once("barriers", lambda: search.searches(device), first) if simulates else []
        inputs = build.inputs(calibration)
        return Plan(config, device, chunks, simulates, trains, searches, inputs, pictured, sections, trained)

    def _once(self, name: str, make: Callable[[], Any], *sections: dict[str, Any]) -> Any:
        key = (name, *map(canonical_json, sections))
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _sweep(device: Simulations) -> tuple[list[Chunk], Any, int]:
    """Return what stage 1 simulates, what the family says of the writes, and the number of pulses."""
    return sweep.plan_checked(device), device.family.writes(device), len(device.family.pulses(device))


# what of the calibration section a card has no use for that is not counted from writes
COUNTING = ("states", "kernel", "posterior", "max_lost_fraction", "accept_misfit", "readout", "write_energy")


def decisive(config: dict[str, Any], variants: Iterable[str | None]) -> str:
    """Return all of a complete config that results of these variants (None: the first) follow from, as a text."""
    kind, device = config["calibration"]["source"]["kind"], config["device_sims"]
    idle = {*devices.REGISTRY.names(), "pictures"} - {device["device"]} if kind == "simulation" else device.keys()
    unused = {"simulation": ("parametric",), "import": ("parametric",), "parametric": COUNTING}
    network = study_config.section(config, "network")
    parts, first = settings.parts(network), next(iter(settings.variants(network)))
    return canonical_json(
        [
            {key: value for key, value in device.items() if key not in idle},
            {
                key: value
                for key, value in config["calibration"].items()
                if key not in unused.get(kind, ("parametric", *COUNTING))
            },
            {key: network[key] for key in (*settings.ASSUMED, *settings.REPEATS)},
            [parts["data"], *(parts.get(f"training_{variant or first}") for variant in variants)],
        ]
    )
