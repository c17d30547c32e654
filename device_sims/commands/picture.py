"""Draw the magnetisation of a problem file, a finished run or a stored event (docs/pictures.md)."""

from __future__ import annotations

import argparse

from device_sims.common import Simulations
from device_sims.pictures.show import picture
from spinloom.command_line import add_key, whole_number


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="problem file (YAML), folder of a run with OVF files, or stored event (NPZ)")
    parser.add_argument(
        "--output", required=True, help="PNG: a strip; GIF or WebP: an animation; NPZ: the snapshots themselves"
    )
    add_key(parser, "--engine", Simulations, "engine", default="llg")
    parser.add_argument("--colour", choices=("mz", "angle"), help="default: mz, or the angle if m lies in the plane")
    parser.add_argument("--layers", help="layers of cells, such as 0,2; default: all, at most four")
    parser.add_argument(
        "--snapshots",
        type=whole_number("--snapshots", 1, 1000),
        default=8,
        help="largest number of snapshots (default 8)",
    )
    parser.add_argument(
        "--cells",
        type=whole_number("--cells", 1, 10**7),
        default=20000,
        help="largest number of cells drawn of a layer, spread evenly over it (default 20000)",
    )


def run(arguments: argparse.Namespace) -> None:
    own = (arguments.colour, arguments.layers, arguments.snapshots, arguments.cells)
    picture(arguments.source, arguments.output, arguments.engine, *own)
