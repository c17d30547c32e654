"""Which code each job of a study depends on: its command, the plug-ins that it uses, and packages of others.

What a module imports is read from the files (`spinloom.sources`). Here it is only told where a job starts, and what is
chosen by name while it runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from calibration import laws
from calibration.sources import importers, library, parametric
from device_sims import devices, engines
from spinloom import files, sources
from spinloom.sources import command
from workflow.study.planning import Plan


@dataclass(frozen=True)
class Start:
    """Where a job starts: modules, files that are read beside the study's own, packages that no import tells of."""

    modules: tuple[str, ...]
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Short hash that tells starts of one job apart."""
        return files.sha256_text(files.canonical_json([self.modules, self.files]))[:12]

    def identity(self, root: str | Path = sources.ROOT) -> str:
        """Return the versions of packages and the digests of all files below ``root`` as JSON."""
        found = sources.identity(*self.modules, packages=self.packages, root=root)
        found["files"] |= {name: files.sha256_file(Path(root, name)) for name in self.files}
        return json.dumps(found, indent=1) + "\n"


PICTURES = ("matplotlib", "pillow")  # the bytes of a PNG are theirs


def starts(plan: Plan, root: str | Path = sources.ROOT) -> dict[str, Start]:
    """Return where each job of a study starts, by the name of its rule; ``train`` by variant.

    Jobs that the study does not have are left out. ``root`` is the folder of the sources.
    """
    # any law may be fitted: by default the best one is chosen
    fitted = [laws.REGISTRY.module(name) for name in laws.REGISTRY.names()]
    made_of, recipe = _card(plan)
    card = [*made_of, *fitted]
    found = {
        "card": Start(command("calibration", "card", *card), recipe),
        "card_figures": Start(command("calibration", "figures", *card), recipe, PICTURES),
        "card_sample": Start(command("calibration", "sample", *fitted)),
        "report": Start(("report.__main__",), _below(root, "report/page/*"), ("plotly",)),
        "data_package": Start(("workflow.study.package",), ("workflow/dictionary.md",)),
    }
    if plan.simulates:
        family = devices.REGISTRY.module(plan.simulations.device)
        engine = engines.REGISTRY.module(plan.simulations.engine)
        found |= {
            "simulate": Start(command("device_sims", "chunk", family, engine)),
            "collect": Start(command("device_sims", "collect", family, engine)),
            "picture": Start(command("device_sims", "event", engine), packages=PICTURES),
        }
    if plan.searches:
        found["wells"] = Start(command("device_sims", "wells"))
        found["barriers"] = Start(command("device_sims", "collect_wells"))
    if plan.trains:
        (dataset,), rules = ({one.modules[place] for one in plan.trained} for place in (1, 0))
        used = [dataset, *sorted(rules)]
        found |= {
            "data": Start(command("network", "data", dataset)),
            "summarise": Start(command("network", "summarise", *used)),
            "uncertainty": Start(command("network", "uncertainty", *used), packages=PICTURES),
            "systems": Start(command("network", "systems", dataset)),
            "scan": Start(command("network", "scan")),
            **{f"train_{one.variant}": Start(command("network", "train", *one.modules)) for one in plan.trained},
            **{
                f"tune_{one.variant}": Start(command("network", "tune", *one.modules))
                for one in plan.trained
                if one.tunes
            },
        }
    return found


def _card(plan: Plan) -> tuple[list[str], tuple[str, ...]]:
    """Return the plug-in that reads or computes what the card is made of, and the files that it reads."""
    config = plan.config["calibration"]
    kind, source = config["source"]["kind"], config["source"]
    if kind == "import":
        formats = [source["format"]] if source["format"] else importers.REGISTRY.names()
        return [importers.REGISTRY.module(format) for format in formats], ()
    if kind == "parametric":
        return [parametric.REGISTRY.module(config["parametric"]["device"])], ()
    if kind == "library":
        device, recipe = library.recipe(source["name"]).device, f"calibration/sources/library/{source['name']}.yaml"
        return [parametric.REGISTRY.module(device)], (recipe,)
    return [], ()


def _below(root: str | Path, pattern: str) -> tuple[str, ...]:
    """Return the names of files below ``root``, from there."""
    return tuple(path.relative_to(root).as_posix() for path in sorted(Path(root).glob(pattern)))


def validation(root: str | Path = sources.ROOT) -> Start:
    """Return where the evidence for the engines starts: with every check, engine and device."""
    chosen = [
        name for package in ("validation", "engines", "devices") for name in sources.within(f"device_sims.{package}")
    ]
    return Start(command("device_sims", "validate", *chosen), _below(root, "device_sims/validation/reference/*.csv"))
