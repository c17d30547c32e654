"""The tables of README.md and docs/systems.md, and the figure of the pipeline: ``python docs/front_page.py``.

Our numbers come from the pages of the systems and of the first study, those of the papers from the configs.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from spinloom import files  # noqa: E402  (found by the line above)

BEGIN, END = "<!-- python docs/front_page.py -->\n", "<!-- end -->\n"
FIGURE = ROOT / "docs" / "pipeline.svg"
FIRST = ROOT / "docs" / "first_study.md"
NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?")
PANELS = ((0.055, 0.17), (0.3, 0.17), (0.545, 0.12), (0.81, 0.17))  # left and width, parts of the figure's
BLUE, GREY, INK = "#1f6fb2", "#9aa5b1", "#24292f"


class System(NamedTuple):
    """A row of the table: a config, and the rows of its page with the published variant and the floats."""

    paper: str
    page: str
    config: str
    devices: str
    variant: str  # of ``system.published``
    row: str
    floats: str


SYSTEMS = (
    System("Misba et al.", "misba", "dw_few_state", "wall track, five levels", "states_5", "margin 0.1", "float"),
    System(
        "Greenberg-Toledo et al.", "greenberg_toledo", "mtj_ternary",
        "CNN of pairs of junctions, no float weights", "cnn",
        "CNN 32C5-MP2-64C5-MP2-512", "its float",
    ),
    System(
        "Babu and Rajendran", "babu_rajendran", "memristive", "32 levels over a range of 15", "one_device",
        "one device against a reference", "float",
    ),
    System(
        "the same", "babu_rajendran", "memristive_pcmo", "26 levels over a range of 1.8", "one_device",
        "one device against a reference", "float",
    ),
    System(
        "Mondal and Srivastava", "mondal", "mtj_crossbar", "16 binary junctions per weight", "devices_16",
        "16 junctions per weight, batch 1000", "float, learning rate 1",
    ),
    System("Ellis et al.", "ellis", "nanowire_binary", "wires read 128 times", "n_128", "128", "float perceptron"),
)  # fmt: skip


def rows(page: Path, after: str = "") -> dict[str, dict[str, str]]:
    """Return the cells of a page's first table behind a text, by the row's first cell and the column's title."""
    text = page.read_text(encoding="utf-8")
    lines = text[text.index(after) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    titles = _cells(lines[start - 1])
    found = {}
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        found[_cells(line)[0]] = dict(zip(titles, _cells(line), strict=True))
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def published(system: System) -> str:
    """Return what the paper reports for the system's variant, as its config states it."""
    config = yaml.safe_load((ROOT / "configs" / f"{system.config}.yaml").read_text(encoding="utf-8"))
    entries = [entry for entry in config["system"]["published"] if entry["variant"] == system.variant]
    entry = next(entry for entry in entries if "accuracy" in entry["quantity"])
    below = " below float" if entry["quantity"] == "accuracy_below_float" else ""
    about = next((f"{word} " for word in ("less than", "nearly") if word in entry["tag"]), "")
    return f"{about}{entry['value']:g} %{below}"


def systems(folder: str) -> str:
    """Return the table of the published systems, for a page that has the systems' pages in ``folder``."""
    lines = ["| after | config | devices | test accuracy | float weights | published |", "|---|---|---|---|---|---|"]
    for one in SYSTEMS:
        table = rows(ROOT / "docs" / "systems" / f"{one.page}.md", f"`{one.config}`")
        ours, floats = (table[name]["test %"] for name in (one.row, one.floats))
        link = f"[{one.paper}]({folder}/{one.page}.md)"
        cells = (link, f"`{one.config}`", one.devices, f"{ours} %", f"{floats} %", published(one))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def placed(page: Path, table: str) -> str:
    """Return a page with a table between its two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, page
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def numbers(text: str) -> list[float]:
    """Return the numbers of a cell."""
    return [float(found.replace("−", "-")) for found in NUMBER.findall(text)]


def picture() -> str:
    """Return the figure of the pipeline as SVG, drawn from the tables of the first study."""
    writes, accuracy, energy = (rows(FIRST, after) for after in ("## The device", "## The network", "## What it costs"))
    wall, meant = (list(row.values())[1:] for row in writes.values())
    volts = [numbers(title)[0] for title in list(next(iter(writes.values())))[1:]]
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "spinloom", "font.family": "sans-serif"}
    style |= {"font.size": 9, "axes.edgecolor": GREY, "text.color": INK, "axes.labelcolor": INK}
    with matplotlib.style.context(["default", style]):  # whatever style the caller has set
        figure = Figure(figsize=(10.4, 3.1), facecolor="white")
        axes = [figure.add_axes((left, 0.17, width, 0.56)) for left, width in PANELS]
        _walls(axes[0], volts, [numbers(cell) for cell in wall])
        _probabilities(axes[1], volts, [numbers(cell) for cell in meant])
        _bars(axes[2], [numbers(list(row.values())[1]) for row in accuracy.values()])
        _energies(axes[3], [(name, numbers(row["energy"])[0], row["energy"]) for name, row in energy.items()])
        heads = ("1  device_sims", "2  calibration", "3  network", "4  report")
        told = (
            "write events (Parquet)",
            "kernel card (CSV, JSON)",
            "accuracy, counted pulses",
            "energy of an inference",
        )
        for axis, head, what in zip(axes, heads, told, strict=True):
            place = axis.get_position()
            figure.text(place.x0, 0.93, head, weight="bold", size=11)
            figure.text(place.x0, 0.84, what, color=BLUE)
        for right in axes[1:]:
            figure.text(right.get_position().x0 - 0.03, 0.95, "→", size=15, color=GREY, ha="right", va="center")
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"[ \t]+$", "", stream.getvalue(), flags=re.MULTILINE)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(colors=INK, length=2)


def _walls(axis: Axes, volts: list[float], cells: list[list[float]]) -> None:
    means, deviations = zip(*cells, strict=True)
    axis.errorbar(volts, means, deviations, fmt="o", color=BLUE, ms=4, capsize=3)
    axis.set(xlabel="voltage (V)", ylabel="wall (nm), mean ± sd", xticks=[-1, 0, 1])
    _plain(axis)


def _probabilities(axis: Axes, volts: list[float], cells: list[list[float]]) -> None:
    places = range(len(cells))
    middle, low, high = zip(*cells, strict=True)
    errors = [[m - a for m, a in zip(middle, low)], [b - m for m, b in zip(middle, high)]]
    axis.bar(places, middle, color=BLUE, alpha=0.75, yerr=errors, error_kw={"ecolor": INK, "capsize": 3, "lw": 1})
    axis.set(xlabel="voltage (V)", ylabel="P(state meant), 95 %", ylim=(0, 1))
    axis.set_xticks(places, [f"{value:g}" for value in volts], fontsize=8)
    _plain(axis)


def _bars(axis: Axes, cells: list[list[float]]) -> None:
    for place, (mean, deviation) in enumerate(cells):  # devices, then floats
        axis.bar(place, mean, yerr=deviation, color=(BLUE, GREY)[place], alpha=0.75, width=0.6)
        axis.text(place, mean + 0.35, f"{mean:g} ± {deviation:g}", ha="center", size=8)
    axis.set(ylabel="MNIST test accuracy (%)", ylim=(90, 99))
    axis.set_xticks(range(len(cells)), ["devices", "floats"])
    _plain(axis)


def _energies(axis: Axes, cells: list[tuple[str, float, str]]) -> None:
    for place, (name, value, told) in enumerate(reversed(cells)):
        axis.barh(place, value, color=GREY if "digital" in name else BLUE, alpha=0.75, height=0.6)
        axis.text(value * 1.15, place, told, va="center", size=8)
    axis.set(xscale="log", xlim=(0.08, 900), xlabel="nJ per picture")
    axis.set_yticks(range(len(cells)), [name for name, *_ in reversed(cells)], fontsize=8)
    _plain(axis)


def made() -> dict[Path, str]:
    """Return the files that this script writes, with their text."""
    return {
        ROOT / "README.md": placed(ROOT / "README.md", systems("docs/systems")),
        ROOT / "docs" / "systems.md": placed(ROOT / "docs" / "systems.md", systems("systems")),
        FIGURE: picture(),
    }


if __name__ == "__main__":
    for path, text in made().items():
        files.write_text(text, path)
