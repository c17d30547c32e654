"""Tune one variant with short trainings, by its accuracy on validation images."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from network.training import data as data_sets
from network.training import settings, tuning
from network.training.card import read_device
from spinloom import files, gpus
from spinloom.progress import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="JSON: the network section of the variant")
    parser.add_argument("--card", type=Path, help="directory of the kernel card, if the rule uses one")
    parser.add_argument("--cache", help="folder that keeps checked data files; default: the config's")
    parser.add_argument("--data", type=Path, help="manifest that the data set must agree with")
    parser.add_argument("--output", type=Path, required=True, help="JSON file for the section with what was found")
    parser.add_argument("--table", type=Path, required=True, help="CSV file for what was tried")
    parser.add_argument("--log", type=Path, help="file for progress lines")


def run(arguments: argparse.Namespace) -> None:
    gpus.claim()
    # imported here: JAX must not start before the GPU is claimed
    from network.training.trainer import Trainer

    config, said = settings.read(arguments.config), []
    folders = data_sets.folders(config.data, arguments.cache)
    content, data_id = data_sets.load(config.data_set, *folders, said.append, arguments.data)
    total = config.tune.trials if config.tune else 0
    with Progress(f"tune {config.variant}", total, "trials", rate_unit="trials/s", log=arguments.log) as progress:

        def train(one: settings.Settings) -> float:
            trainer = Trainer(one, read_device(arguments.card, one), tuning.REPLICATE, content)
            with tempfile.TemporaryDirectory() as folder:
                history = trainer.run(Path(folder), data_id, lambda images, row: None, lambda line: None)["history"]
            accuracy = history[-1]["validation_accuracy"]
            progress.advance(1, f"learning rate {one.optimizer.learning_rate:g}, validation {100 * accuracy:.2f} %")
            return accuracy

        section, table = tuning.tune(files.read_json(arguments.config), train)
    files.write_csv(table, arguments.table)
    files.write_json(section, arguments.output)
