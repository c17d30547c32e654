"""Command line of stage 3: ``python -m network data | train | summarise | systems | figures | show``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Before JAX starts: products split over several threads may round differently on another number of cores. One
# thread per run also lets a workflow run one replicate per core.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
).strip()
os.environ["NPROC"] = "1"

from network import datasets
from network.training import settings  # noqa: E402
from spinloom import gpus  # noqa: E402
from spinloom.command_line import run_cli  # noqa: E402
from spinloom.errors import UserError  # noqa: E402
from spinloom.files import read_json, write_json, write_sealed  # noqa: E402
from spinloom.progress import Progress, table_console  # noqa: E402


def data(arguments: argparse.Namespace) -> None:
    """Make sure that the data set is in the cache and write its manifest."""
    dataset, cache, folder = settings.read_data(arguments.config)
    with Progress(f"data {dataset.name}", 1, "data set", rate_unit="data sets/s", log=arguments.log) as progress:
        manifest = dataset.ensure(cache, folder, progress.say)
        write_json(manifest, arguments.output)
        progress.advance(1)


def _device(card, config: settings.Settings):
    """Return the card as the variant's rule takes it."""
    from network import rules
    from network.synapse.device import read_card

    return read_card(card, config.device, rules.get(config.rule).scale)


def train(arguments: argparse.Namespace) -> None:
    """Train one variant with one replicate."""
    config = settings.read(arguments.config)
    for name in ("replicate", "card_sample", "chip"):
        if not 0 <= (getattr(arguments, name) or 0) < 10**4:
            raise UserError(f"--{name.replace('_', '-')}: found {getattr(arguments, name)}, allowed 0 to 9999")
    chip = None if arguments.chip is None else (arguments.card_sample or 0, arguments.chip)
    gpus.claim()
    from network.results.summary import write_run
    from network.training.trainer import Trainer

    dataset = datasets.get(config.dataset)
    device = _device(arguments.card, config)
    trainer = Trainer(config, device, arguments.replicate, dataset.load(config.cache, config.folder), chip)
    data_id = dataset.digest(config.cache, config.folder)
    total = trainer.samples * config.epochs
    label = " ".join(map(str, ("train", config.variant, *(chip or ()), arguments.replicate)))
    arguments.output.mkdir(parents=True, exist_ok=True)
    speed = (f"train {config.rule}", settings.work(config, trainer.samples))
    with Progress(label, total, "images", rate_unit="images/s", log=arguments.log, speed=speed) as progress:

        def report(images: int, row: dict) -> None:
            progress.advance(
                images,
                f"epoch {row['epoch']}/{config.epochs}, loss {row['train_loss']:.4f}, validation "
                f"{100 * row['validation_accuracy']:.2f} %, test {100 * row['test_accuracy']:.2f} %",
            )

        result = trainer.run(arguments.output, data_id, report, progress.say)
        write_run(arguments.output, result, device)


def summarise(arguments: argparse.Namespace) -> None:
    """Gather finished runs into the tables of the stage."""
    from network.results.summary import summarise as gather

    variants = settings.read_all(arguments.config)
    devices = {config.variant: _device(arguments.card, config) for config in variants}
    gather(arguments.runs, variants, devices, arguments.output)


def uncertainty(arguments: argparse.Namespace) -> None:
    """Split the spread of trainings on draws from the card's posterior into card, devices and seeds."""
    from network.results.figures import uncertainty as draw
    from network.results.uncertainty import split

    table = split(settings.read_all(arguments.config), arguments.sampled, arguments.cards)
    write_sealed(table, arguments.output)
    draw(table, arguments.figure)


def scan(arguments: argparse.Namespace) -> None:
    """Set the points of a scan side by side: a table and two figures."""
    from network.results.scan_table import along, collect, pareto

    points = read_json(arguments.config)
    table = collect(points, arguments.studies[0])
    write_sealed(table, arguments.output)
    along(table, list(next(iter(points.values()))), arguments.figures / "scan.png")
    pareto(table, arguments.figures / "pareto.png")


def systems(arguments: argparse.Namespace) -> None:
    """Set the numbers of studies beside those of the papers that they stand for."""
    from network.results.systems import collect

    write_sealed(collect(arguments.studies), arguments.output)


def figures(arguments: argparse.Namespace) -> None:
    """Draw the figures of the stage."""
    from network.results.figures import draw_all

    draw_all(arguments.summary, arguments.output)


def show(arguments: argparse.Namespace) -> None:
    """Print the tables of a summary: accuracy, writes, energies, further tests, published numbers."""
    from network.results.show import show as print_tables

    print_tables(arguments.directory, table_console())


MAY_MISS = ("log", "card_sample", "chip")


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    top = argparse.ArgumentParser(prog="python -m network", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")

    def command(function, *options: str) -> None:
        sub = commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        sub.set_defaults(function=function)
        for option in options:
            if option == "directory":
                sub.add_argument(option, type=Path)
            elif option in ("runs", "studies"):
                sub.add_argument(f"--{option}", type=Path, nargs="+", required=True)
            else:
                kind = int if option in ("replicate", *MAY_MISS[1:]) else Path
                sub.add_argument(f"--{option.replace('_', '-')}", type=kind, required=option not in MAY_MISS)

    command(data, "config", "output", "log")
    command(train, "config", "card", "replicate", "card_sample", "chip", "output", "log")
    command(summarise, "runs", "config", "card", "output")
    command(uncertainty, "config", "sampled", "cards", "output", "figure")
    command(scan, "config", "studies", "output", "figures")
    command(systems, "studies", "output")
    command(figures, "summary", "output")
    command(show, "directory")
    return top


def main(argv: list[str] | None = None) -> None:
    """Run one command."""
    arguments = parser().parse_args(argv)
    arguments.function(arguments)


if __name__ == "__main__":
    run_cli(lambda: main(sys.argv[1:]))
