"""Train one variant with one replicate."""

from __future__ import annotations

import argparse
from pathlib import Path

from network.results.run_tables import write_run
from network.training import data, settings
from network.training.card import read_device
from spinloom import gpus
from spinloom.command_line import whole_number
from spinloom.progress import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="JSON: the network section of the variant")
    parser.add_argument("--card", type=Path, help="directory of the kernel card, if the rule uses one")
    parser.add_argument("--cache", help="folder that keeps checked data files; default: the config's")
    parser.add_argument("--data", type=Path, help="manifest that the data set must agree with")
    places = {
        "--replicate": "which of the seeds",
        "--card-sample": "number of the draw from the card's posterior that the card is",
        "--chip": "which set of devices made of that draw",
    }
    for flag, told in places.items():
        parser.add_argument(flag, type=whole_number(flag, 0, 9999), required=flag == "--replicate", help=told)
    parser.add_argument("--output", type=Path, required=True, help="directory of the run")
    parser.add_argument("--log", type=Path, help="file for progress lines")


def run(arguments: argparse.Namespace) -> None:
    config = settings.read(arguments.config)
    chip = None if arguments.chip is None else (arguments.card_sample or 0, arguments.chip)
    gpus.claim()
    # imported here: JAX must not start before the GPU is claimed
    from network.training.trainer import Trainer

    device, said = read_device(arguments.card, config), []
    places = data.folders(config.data, arguments.cache)
    content, data_id = data.load(config.data_set, *places, said.append, arguments.data)
    trainer = Trainer(config, device, arguments.replicate, content, chip)
    total = trainer.machine.samples * config.epochs
    label = " ".join(map(str, ("train", config.variant, *(chip or ()), arguments.replicate)))
    arguments.output.mkdir(parents=True, exist_ok=True)
    speed = (f"training {config.rule}", config.work(trainer.machine.samples))
    with Progress(label, total, "images", rate_unit="images/s", log=arguments.log, speed=speed) as progress:
        for line in said:
            progress.say(line)

        def report(images: int, row: dict) -> None:
            progress.advance(
                images,
                f"epoch {row['epoch']}/{config.epochs}, loss {row['train_loss']:.4f}, validation "
                f"{100 * row['validation_accuracy']:.2f} %, test {100 * row['test_accuracy']:.2f} %",
            )

        result = trainer.run(arguments.output, data_id, report, progress.say)
        write_run(arguments.output, result, device)
