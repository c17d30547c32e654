"""Train one variant with one replicate."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration.card import KernelCard
from network.results.run_tables import write_run
from network.training import data as data_sets
from network.training import settings
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
    chip = None if arguments.chip is None else (arguments.card_sample or 0, arguments.chip)
    given = {name: getattr(arguments, name) for name in ("card", "cache", "data", "log")}
    train(settings.read(arguments.config), arguments.replicate, arguments.output, chip=chip, **given)


def train(
    config: settings.Settings,
    replicate: int,
    output: Path,
    card: KernelCard | Path | None = None,
    cache: str | None = None,
    data: Path | None = None,
    chip: tuple[int, int] | None = None,
    log: Path | None = None,
) -> None:
    """Train one variant with one replicate and write the tables of the run into ``output``; the rest as the options."""
    gpus.claim()
    # imported here: JAX must not start before the GPU is claimed
    from network.training.trainer import Trainer

    device, said = read_device(card, config), []
    content, data_id = data_sets.load(config.data_set, *data_sets.folders(config.data, cache), said.append, data)
    trainer = Trainer(config, device, replicate, content, chip)
    total = trainer.machine.samples * config.epochs
    label = " ".join(map(str, ("train", config.variant, *(chip or ()), replicate)))
    output.mkdir(parents=True, exist_ok=True)
    speed = None if not total else (f"training {config.rule}", config.work(trainer.machine.samples))
    with Progress(label, total, "images", rate_unit="images/s", log=log, speed=speed) as progress:
        for line in said:
            progress.say(line)

        def report(images: int, row: dict) -> None:
            progress.advance(
                images,
                f"epoch {row['epoch']}/{config.epochs}, loss {row['train_loss']:.4f}, validation "
                f"{100 * row['validation_accuracy']:.2f} %, test {100 * row['test_accuracy']:.2f} %",
            )

        result = trainer.run(output, data_id, report, progress.say)
        write_run(output, result, device)
