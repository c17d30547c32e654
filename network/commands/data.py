"""Make sure that the data set is in the cache and write its manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.training import data
from spinloom.files import write_json
from spinloom.progress import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="JSON: a network section, or its data set alone")
    parser.add_argument("--cache", help="folder that keeps checked data files; default: the config's")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the manifest")
    parser.add_argument("--log", type=Path, help="file for progress lines")


def run(arguments: argparse.Namespace) -> None:
    dataset, cache, folder = data.read(arguments.config, arguments.cache)
    with Progress(f"data {dataset.name}", 1, "data set", rate_unit="data sets/s", log=arguments.log) as progress:
        manifest = dataset.ensure(cache, folder, progress.say)
        write_json(manifest, arguments.output)
        progress.advance(1)
