"""A scan: whole studies, its *points*, that differ from each other along axes.

    scan:
      axes:
        - {key: calibration.states.count, values: [2, 3, 5]}          # one key of the config
        - name: margin                                                # or named changes of it
          points: {tight: {network: {rule_options: {margin: 0.1}}}, wide: {network: {rule_options: {margin: 0.5}}}}
        - name: system                                                # `from`: sections of another config, underneath
          points: {wall: {from: configs/dw_few_state.yaml, take: [device_sims, calibration]}}

Every combination of the axes' entries is a point: config.yaml, under it what its entries take ``from`` elsewhere, then
the study's own config, then the entries' changes. Its results go to ``results/STUDY/points/NAME/``; micromagnetic
chunks are shared, since their names are hashes of what the engine sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from spinloom.config import SHIPPED, read, stack
from spinloom.declare import Section, key
from spinloom.errors import UserError
from spinloom.stages import STAGES
from workflow.study import config
from workflow.study.axes import axis_entries
from workflow.study.config import Scan

MOST_POINTS = 2000


class _Axes(Section):
    scan: Scan | None = key("Axes of the scan.")


@dataclass(frozen=True)
class Point:
    """One study of a scan.

    Attributes
    ----------
    name : str
        ``AXIS=LABEL`` of each axis, with commas between; its folder.
    labels : dict of str
        Label of its entry by axis.
    config : dict
        Complete, as `workflow.study.config.resolve` leaves it.
    """

    name: str
    labels: dict[str, str]
    config: dict[str, Any]


def points(path: str, layer: dict[str, Any]) -> list[Point]:
    """Return the points of a study, in the order of the axes' entries, the last axis fastest; none without a scan.

    Parameters
    ----------
    path : str
        config.yaml.
    layer : dict
        What is laid over it, with a section ``scan``.

    Raises
    ------
    UserError
        Naming the point and the key that cannot be.
    """
    base, layer = stack(path, layer)
    scan = _Axes.parse({"scan": layer.get("scan")}, "config").dump()["scan"]
    if scan is None:
        return []
    own = {key: value for key, value in layer.items() if key != "scan"}
    axes = [axis_entries(number, axis) for number, axis in enumerate(scan["axes"])]
    names = [name for name, _ in axes]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"scan.axes: found the name {repeated[0]} a second time, allowed: each name once")
    total = 1
    for _, entries in axes:
        total *= len(entries)
    if total > MOST_POINTS:
        raise UserError(f"scan.axes: found {total} points, allowed: at most {MOST_POINTS}")
    found = []
    taken = [{label: _taken(entry) for label, entry in entries.items()} for _, entries in axes]
    for chosen in product(*(entries.items() for _, entries in axes)):
        labels = {name: label for name, (label, _) in zip(names, chosen, strict=True)}
        name = ",".join(f"{axis}={label}" for axis, label in labels.items())
        layers = [sections[label] for sections, (label, _) in zip(taken, chosen, strict=True)] + [own]
        layers += [{k: v for k, v in entry.items() if k not in ("from", "take")} for _, entry in chosen]
        try:
            whole = config.stacked(base, layers, f"{path} and overlays")
            if whole["network"] is None:
                raise UserError("network: found null, allowed in a scan: a network, because a scan compares networks")
        except UserError as error:
            raise UserError(f"scan: point {name}: {error}") from None
        found.append(Point(name, labels, whole))
    return found


def _taken(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the sections that an entry takes from another config."""
    source = entry.get("from")
    if source is None:
        return {}
    if not isinstance(source, str):
        raise UserError(f"scan.axes: from: found {source!r}, allowed: the path of a config file")
    # a file of the user's, or one that comes with Spinloom
    ours = SHIPPED / source
    content = read(ours if ours.exists() and not Path(source).exists() else source)
    take = entry.get("take", list(STAGES))
    wrong = [one for one in take if one not in STAGES] if isinstance(take, list) else [take]
    if wrong:
        raise UserError(f"scan.axes: take: found {wrong[0]}, allowed: a list of {', '.join(STAGES)}")
    return {key: content[key] for key in take if key in content}
