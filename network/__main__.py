"""Command line of stage 3: ``python -m network data | train | summarise | figures | show``."""

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

from network import datasets, settings  # noqa: E402
from spinloom.errors import UserError, run_cli  # noqa: E402
from spinloom.files import canonical_json, read_table, sha256_text, write_json  # noqa: E402
from spinloom.progress import Progress, table_console  # noqa: E402


def data(arguments: argparse.Namespace) -> None:
    """Make sure that the data set is in the cache and write its manifest."""
    config = settings.read(arguments.config)
    dataset = datasets.get(config.dataset)
    with Progress(f"data {dataset.name}", 1, "data set", rate_unit="data sets/s", log=arguments.log) as progress:
        manifest = dataset.ensure(config.cache, config.folder, progress.say)
        write_json(manifest, arguments.output)
        progress.advance(1)


def train(arguments: argparse.Namespace) -> None:
    """Train one rule with one replicate."""
    config = settings.read(arguments.config)
    if not 0 <= arguments.replicate < config.seeds:
        raise UserError(f"--replicate: found {arguments.replicate}, allowed 0 to {config.seeds - 1} (network.seeds)")
    from network.device import read_card
    from network.summary import write_run
    from network.train import Trainer

    dataset = datasets.get(config.dataset)
    device = read_card(arguments.card, config.device)
    trainer = Trainer(config, device, arguments.rule, arguments.replicate, dataset.load(config.cache))
    data_id = sha256_text(canonical_json([file.sha256 for file in dataset.files]))
    total = trainer.samples * config.epochs
    label = f"train {arguments.rule} {arguments.replicate}"
    arguments.output.mkdir(parents=True, exist_ok=True)
    with Progress(label, total, "images", rate_unit="images/s", log=arguments.log) as progress:

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
    from network.device import read_card
    from network.summary import summarise as gather

    config = settings.read(arguments.config)
    gather(arguments.runs, config, read_card(arguments.card, config.device), arguments.output)


def figures(arguments: argparse.Namespace) -> None:
    """Draw the figures of the stage."""
    from network.figures import draw_all

    draw_all(arguments.summary, arguments.output)


def show(arguments: argparse.Namespace) -> None:
    """Print the summary as a table."""
    from rich.table import Table

    rows = read_table(arguments.directory / "summary.csv")
    table = Table(title="Network")
    for name in ("rule", "epoch", "seeds", "test accuracy (%)", "writes per sample", "most writes", "bits per synapse"):
        table.add_column(name)
    for row in rows.to_dict("records"):
        sd = f" ± {100 * row['test_accuracy_sd']:.2f}" if row["seeds"] > 1 else ""
        table.add_row(
            row["rule"], f"{row['selection'].replace('_', ' ')} ({row['epoch_mean']:g})", str(row["seeds"]),
            f"{100 * row['test_accuracy_mean']:.2f}{sd}", f"{row['writes_per_sample_mean']:.4g}",
            f"{row['most_writes_on_a_device']:g}", f"{row['memory_bits_per_synapse']:g}",
        )  # fmt: skip
    table_console().print(table)


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
            elif option == "runs":
                sub.add_argument("--runs", type=Path, nargs="+", required=True)
            else:
                kind = {"rule": str, "replicate": int}.get(option, Path)
                sub.add_argument(f"--{option}", type=kind, required=option != "log")

    command(data, "config", "output", "log")
    command(train, "config", "card", "rule", "replicate", "output", "log")
    command(summarise, "runs", "config", "card", "output")
    command(figures, "summary", "output")
    command(show, "directory")
    return top


def main(argv: list[str] | None = None) -> None:
    """Run one command."""
    arguments = parser().parse_args(argv)
    arguments.function(arguments)


if __name__ == "__main__":
    run_cli(lambda: main(sys.argv[1:]))
