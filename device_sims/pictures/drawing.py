"""Draws an event: mz on a diverging map or the in-plane angle on a cyclic one, with arrows, outline and wall.

Both maps are perceptually uniform and told apart by people with any colour vision: ``coolwarm`` (Moreland, ISVC 2009)
and ``twilight``. Cells without material are background.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from device_sims.pictures.event import Event
from spinloom import files
from spinloom.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = Literal["mz", "angle"]
MAPS = {"mz": ("coolwarm", -1.0, 1.0), "angle": ("twilight", -180.0, 180.0)}
LABELS = {"mz": "mz", "angle": "in-plane angle (deg)"}
ANIMATIONS, STRIPS = (".gif", ".webp"), (".png",)
ARROWS = {"mz": 30, "angle": 12}  # along the longer edge; the angle's colour tells more than they do
SHORTEST = 0.35  # an in-plane component below it has no arrow: thermal noise of the domains
FRAME_MS = 350


def colouring(event: Event) -> Colour:
    """Return what colour should show: mz, or the in-plane angle where m lies mostly in the plane."""
    square = np.nanmean(event.unit**2, axis=(0, 2, 3, 4))
    return "mz" if square[2] >= 1 / 3 else "angle"


def shown(event: Event, record: int, layer: int, colour: Colour) -> np.ndarray:
    """Return what is drawn in colour, float64[ny, nx], NaN outside: mz, or the angle from x towards y in degrees."""
    m = event.unit[record, :, layer]
    return m[2] if colour == "mz" else np.degrees(np.arctan2(m[1], m[0]))


def boundaries(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the edges between cells of different numbers.

    Parameters
    ----------
    numbers : int or bool [ny, nx]

    Returns
    -------
    list of float64[2, 2]
        Both ends of each edge, as columns and rows of cells.
    """
    lines = [np.array([[x + 1, y], [x + 1, y + 1]], float) for y, x in np.argwhere(numbers[:, 1:] != numbers[:, :-1])]
    lines += [np.array([[x, y + 1], [x + 1, y + 1]], float) for y, x in np.argwhere(numbers[1:] != numbers[:-1])]
    return lines


def strip(event: Event, colour: Colour | None = None, layers: tuple[int, ...] | None = None) -> Figure:
    """Return all snapshots below each other, or side by side where the film is no track; layers side by side.

    Parameters
    ----------
    event : Event
    colour : "mz" or "angle", optional
        Default: as `colouring` judges.
    layers : tuple of int, optional
        Layers of cells, 0 at the bottom; default: all, at most 4 evenly picked.

    Raises
    ------
    UserError
        If there is no such layer.
    """
    from matplotlib.figure import Figure

    colour, layers = colour or colouring(event), _layers(event, layers)
    ny, nx = event.m.shape[-2:]
    aspect = ny * event.cell_m[1] / (nx * event.cell_m[0])
    count = len(event.t_s)
    columns = len(layers) if len(layers) > 1 else 1 if aspect < 0.35 else min(4, count)
    rows = math.ceil(count * len(layers) / columns)
    width = 7.0 / columns
    height = rows * (width * min(aspect, 3.0) + 0.34) + 0.9
    figure = Figure(figsize=(8.0, min(height, 40.0)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for number, ax in enumerate(axes.flat):
        if number >= count * len(layers):
            ax.set_axis_off()
            continue
        record, layer = divmod(number, len(layers))
        panel(ax, event, record, layers[layer], colour)
        ax.label_outer()
    _bar(figure, axes, colour)
    return figure


def panel(ax: Axes, event: Event, record: int, layer: int, colour: Colour) -> None:
    """Draw one snapshot into axes in nm: colour, arrows, outline, grains and regions, the wall, time and pulse."""
    from matplotlib.collections import LineCollection

    name, low, high = MAPS[colour]
    dx, dy = event.cell_m[:2] * 1e9
    ny, nx = event.m.shape[-2:]
    values = shown(event, record, layer, colour)
    material = np.isfinite(values)
    ax.imshow(
        np.ma.masked_invalid(values), origin="lower", extent=(0, nx * dx, 0, ny * dy), interpolation="nearest",
        cmap=name, vmin=low, vmax=high, aspect="equal",
    )  # fmt: skip
    scale = np.array([dx, dy])
    inner = [line * scale for line in boundaries(np.where(material, event.parts, -1))]
    outer = [line * scale for line in boundaries(np.pad(material, 1))]
    ax.add_collection(LineCollection(inner, colors="0.35", linewidths=0.3))
    ax.add_collection(LineCollection([line - scale for line in outer], colors="0.15", linewidths=0.6))
    step = max(1, math.ceil(max(nx, ny) / ARROWS[colour]))
    y, x = np.mgrid[step // 2 : ny : step, step // 2 : nx : step]
    mx, my = (event.unit[record, axis, layer][y, x] for axis in (0, 1))
    seen = np.hypot(mx, my) > SHORTEST  # False for NaN
    if seen.any():
        ax.quiver(
            (x[seen] + 0.5) * dx, (y[seen] + 0.5) * dy, mx[seen], my[seen], angles="xy", scale_units="xy",
            scale=1 / (0.9 * step * min(dx, dy)), pivot="mid", color="black", width=0.002, headwidth=4,
        )  # fmt: skip
    if math.isfinite(event.wall_m[record]):
        ax.axvline(event.wall_m[record] * 1e9, color="black", linewidth=0.9, linestyle="--")
    told = ", drive on" if event.driven(record) else ""
    ax.set_title(
        f"{event.t_s[record] * 1e9:.3g} ns{told}" + (f", layer {layer}" if event.m.shape[2] > 1 else ""),
        fontsize=8, loc="left", pad=2, fontweight="bold" if told else "normal",
    )  # fmt: skip
    ax.set_facecolor("white")  # cells without material, whatever style other code has set
    ax.set_xlim(0, nx * dx)
    ax.set_ylim(0, ny * dy)
    ax.set_xlabel("x (nm)", fontsize=8)
    ax.set_ylabel("y (nm)", fontsize=8)
    ax.tick_params(labelsize=7)
    _scale_bar(ax, nx * dx, ny * dy)


def save(event: Event, path: str | Path, colour: Colour | None = None, layers: tuple[int, ...] | None = None) -> None:
    """Write the strip as PNG or an animation as GIF or WebP, by the ending of ``path``; the same event, same bytes.

    Raises
    ------
    UserError
        For another ending, or as of `strip`.
    """
    path = Path(path)
    if path.suffix.lower() in STRIPS:
        files.write_png(strip(event, colour, layers), path)
        return
    if path.suffix.lower() not in ANIMATIONS:
        raise UserError(f"--output: found {path.name}, allowed: a name that ends in {', '.join(STRIPS + ANIMATIONS)}")
    _animate(_frames(event, colour or colouring(event), _layers(event, layers)), path)


def save_small(event: Event, strip_path: str | Path, animation_path: str | Path) -> None:
    """Write strip and animation as WebP of few colours, to stand in a page; the same event, same bytes."""
    from PIL import Image

    colour = colouring(event)
    palette, plain = _palette(colour), Image.Dither.NONE
    frames = _frames(event, colour, _layers(event, None))
    for images, path in (([_image(strip(event))], strip_path), (frames, animation_path)):
        _animate([image.quantize(palette=palette, dither=plain).convert("RGB") for image in images], Path(path))


def _palette(colour: Colour):
    """Return even steps of a map, and of grey for lines and texts: one of the picture's own would bend the map."""
    from matplotlib import colormaps
    from PIL import Image

    steps = [colormaps[name](np.linspace(0, 1, count))[:, :3] for name, count in ((MAPS[colour][0], 33), ("gray", 9))]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(255 * np.concatenate(steps)).astype(int).ravel().tolist())
    return palette


def _animate(frames: list, path: Path) -> None:
    with files.atomic(path) as temporary:
        frames[0].save(
            temporary, format=path.suffix[1:], save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0,
            **({"lossless": True} if path.suffix.lower() == ".webp" else {}),
        )  # fmt: skip


def _image(figure: Figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _frames(event: Event, colour: Colour, layers: tuple[int, ...]) -> list:
    from matplotlib.figure import Figure

    ny, nx = event.m.shape[-2:]
    aspect = min(ny * event.cell_m[1] / (nx * event.cell_m[0]), 3.0)
    frames = []
    for record in range(len(event.t_s)):
        figure = Figure(figsize=(8.0, 6.8 / len(layers) * aspect + 1.1), layout="constrained")
        axes = figure.subplots(1, len(layers), squeeze=False)
        for ax, layer in zip(axes.flat, layers):
            panel(ax, event, record, layer, colour)
        _bar(figure, axes, colour)
        frames.append(_image(figure))
    return frames


def _layers(event: Event, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    count = event.m.shape[2]
    if asked is None:
        return tuple(sorted({round(place) for place in np.linspace(0, count - 1, min(count, 4))}))
    wrong = [layer for layer in asked if not 0 <= layer < count]
    if wrong:
        raise UserError(f"--layers: found {wrong[0]}, allowed: 0 to {count - 1}")
    return asked


def _bar(figure: Figure, axes: np.ndarray, colour: Colour) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    name, low, high = MAPS[colour]
    ticks = [-1, 0, 1] if colour == "mz" else [-180, -90, 0, 90, 180]
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), name), ax=list(axes.flat), ticks=ticks, fraction=0.03)
    bar.set_label(LABELS[colour], fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _scale_bar(ax: Axes, width_nm: float, height_nm: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten, at most a fifth of the width long, light around for dark films."""
    from matplotlib.patheffects import withStroke

    light = [withStroke(linewidth=2.5, foreground="white")]
    power = 10.0 ** math.floor(math.log10(width_nm / 5))
    length = power * max(one for one in (1, 2, 5) if one * power <= width_nm / 5)
    x, y = width_nm * 0.98 - length, height_nm * 0.1
    ax.plot([x, x + length], [y, y], color="black", linewidth=2, solid_capstyle="butt", path_effects=light)
    ax.text(x + length / 2, y, f"{length:g} nm", ha="center", va="bottom", fontsize=6, path_effects=light)
