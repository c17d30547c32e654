"""``python -m device_sims picture``: from a problem file, a finished run or a stored event to a picture."""

from __future__ import annotations

import sys
from pathlib import Path

from device_sims import engines
from device_sims.pictures import drawing, event
from device_sims.pictures.drawing import Colour
from device_sims.pictures.event import Event
from device_sims.problem import problem_file
from device_sims.single.run import usable_engine
from spinloom.errors import UserError

STORED = ".npz"


def picture(
    source: str | Path,
    output: str | Path,
    engine: str = "llg",
    colour: Colour | None = None,
    layers: str | None = None,
    snapshots: int = 8,
    most_cells: int = 20000,
) -> None:
    """Draw a problem file, which is simulated, a folder of OVF files or a stored event.

    Parameters
    ----------
    source, output : path
        The ending of ``output`` says what is made: PNG, GIF, WebP or NPZ.
    engine : str
        For a problem file.
    colour : "mz" or "angle", optional
    layers : str, optional
        Numbers of layers of cells with commas in between.
    snapshots, most_cells : int
        Of the picture at most; a stored event has its own.

    Raises
    ------
    UserError
        If the source cannot be read or drawn, or an option fits nothing.
    """
    source, output = Path(source), Path(output)
    allowed = (*drawing.STRIPS, *drawing.ANIMATIONS, STORED)
    if output.suffix.lower() not in allowed:
        raise UserError(f"--output: found {output.name}, allowed: a name that ends in {', '.join(allowed)}")
    chosen = _numbers(layers)
    found = _event(source, engine, snapshots, most_cells)
    if output.suffix.lower() == STORED:
        event.write(found, output)
    else:
        drawing.save(found, output, colour, chosen)


def _event(source: Path, engine: str, snapshots: int, most_cells: int) -> Event:
    if source.suffix.lower() == STORED:
        return event.read(source)
    if source.is_dir():
        return event.of_files(source, snapshots, most_cells)
    problem, _ = problem_file.load(source)
    usable_engine(engine)
    if engines.reduced(engines.REGISTRY.get(engine)):
        raise UserError(f"--engine: found {engine}, which has no cells to draw, allowed: {_with_cells()}")
    try:
        (result,) = engines.run(engine, [problem])
        for note in result.notes:
            print(f"{source}: {engine}: {note}", file=sys.stderr)
        return event.of_result(problem, result, f"{source.name}, {engine}", snapshots, most_cells)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _with_cells() -> str:
    return ", ".join(engines.those(lambda module: not engines.reduced(module)))


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"--layers: found {text!r}, allowed: whole numbers with commas in between, such as 0,2")
    return tuple(map(int, parts))
