"""Command line of stage 2: ``python -m calibration card|show|figures``."""

from __future__ import annotations

import argparse
from pathlib import Path

from calibration.build import build_card, read_events
from calibration.card import KernelCard
from calibration.show import show
from calibration.tables import entry
from spinloom.errors import UserError, run_cli
from spinloom.files import read_json, sha256_file, write_png
from spinloom.progress import Progress, table_console


def _card(args: argparse.Namespace) -> None:
    with Progress("calibration", 1, "cards", rate_unit="cards/s", log=args.log) as progress:
        try:
            card = build_card(args.config, args.events, args.pulses, args.device)
            card.write(args.output)
        except UserError as error:
            # the terminal gets it from run_cli
            if progress.log is not None:
                progress.log.write(f"error: {error}\n")
            raise
        meta = card.meta
        progress.say(f"{meta['events']} events used, {meta['lost_events']} lost their wall")
        for write in meta["derived"]["writes"]:
            progress.say(
                f"pulse {write['pulse']}: state {write['intended_state']} "
                f"with probability {write['probability_intended']:.3f}"
            )
        progress.advance(1, f"card {card.hash} in {args.output}")


def _show(args: argparse.Namespace) -> None:
    show(KernelCard.read(args.card), table_console())


def _figures(args: argparse.Namespace) -> None:
    # imported here: the other commands must not pay for matplotlib
    from calibration import figures

    card, config = KernelCard.read(args.card), read_json(args.config)
    where = Path(args.card) / "card.json"
    length = entry(card.meta, "junction.track_length_m", where)
    lost = entry(config, "max_lost_fraction", args.config)
    events, _ = read_events(args.events, card.pulses["voltage_V"], length, lost, args.config)
    made_from = entry(card.meta, "source.events_sha256", where, str)
    if sha256_file(args.events) != made_from:
        raise UserError(f"{args.events}: not the events that {args.card} was made from; allowed is sha256 {made_from}")
    output = Path(args.output)
    write_png(figures.position_histograms(card, events), output / "final_positions.png")
    write_png(figures.transition_matrix(card), output / "transitions.png")
    write_png(figures.conductance_map(card), output / "conductance.png")


def main(arguments: list[str] | None = None) -> None:
    """Run one command; ``arguments`` default to the command line's."""
    parser = argparse.ArgumentParser(prog="python -m calibration", description="Write events -> kernel card.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    card = commands.add_parser("card", help="make a kernel card from the write events of a device")
    card.add_argument("--config", required=True, help="JSON: the calibration section of the study's config")
    card.add_argument("--events", required=True, help="events.parquet of the device stage")
    card.add_argument("--pulses", required=True, help="pulses.csv of the device stage")
    card.add_argument("--device", required=True, help="device.json of the device stage")
    card.add_argument("--output", required=True, help="directory of the card")
    card.add_argument("--log", help="file for progress and errors")
    card.set_defaults(run=_card)

    shown = commands.add_parser("show", help="print a kernel card")
    shown.add_argument("card", help="directory of the card")
    shown.set_defaults(run=_show)

    figures = commands.add_parser("figures", help="draw a kernel card")
    figures.add_argument("--card", required=True, help="directory of the card")
    figures.add_argument("--events", required=True, help="the events that the card was made from")
    figures.add_argument("--config", required=True, help="JSON: the calibration section of the study's config")
    figures.add_argument("--output", required=True, help="directory for final_positions, transitions, conductance .png")
    figures.set_defaults(run=_figures)

    args = parser.parse_args(arguments)
    args.run(args)


if __name__ == "__main__":
    run_cli(main)
