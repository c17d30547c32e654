"""Command line of a whole study, and of all stages: ``spinloom``, where it is installed, or ``python -m spinloom``.

Make a folder for a study (``init``), ``check`` its config, ``run`` it with a live display and print where its
``report`` is, or print that alone; write the ``reference`` of all keys. ``spinloom STAGE COMMAND`` is ``python -m STAGE
COMMAND``, and ``spinloom report --study`` (or ``--scan``, ``--card``) is ``python -m report``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from spinloom import config, interpreter
from spinloom.command_line import CONSOLE, called, commands_of, run_cli
from spinloom.errors import UserError
from spinloom.stages import STAGES

if TYPE_CHECKING:
    from workflow.study.live import Part


SUFFIXES = (".yaml", ".yml", ".json")  # of config files


COMMANDS = {
    "init": "make a folder with a config.yaml, from which a study runs: init FOLDER [--from CONFIG | --data FILE]",
    "check": "check a study's config and say what it would do: check [FILE.yaml ...]",
    "run": "run a study: run [FILE.yaml ...] [TARGET ...] [OPTION of Snakemake ...]",
    "design": "search for a device, its pulses and its training: design FILE.yaml ... [OPTION of Snakemake ...]",
    "report": "say where a study's page is: report [FILE.yaml ...]; or make one: report --card FOLDER --output PAGE",
    "reference": "write docs/config.md, docs/config/ and the schemas of workflow/schemas, in a clone",
}
FILES = "FILE.yaml    config files, laid over config.yaml, the last on top; without one, the default study"
OPTIONS = """OPTION       any of Snakemake's (`snakemake --help` lists them), for example
               -n                       only say what would run, how long it takes and how much disk
               --cores 4                jobs that run at once
               --workflow-profile PATH  where jobs run, for example workflow/profiles/slurm"""
# what `COMMAND --help` prints; that of init is its own
HELP = {
    "check": f"""check [FILE.yaml ...]

Check a study's config and say what the study would do. Nothing runs.

  {FILES}

example: {{name}} check configs/smoke.yaml""",
    "run": f"""run [FILE.yaml ...] [TARGET ...] [OPTION ...]

Run a study, or what is left of it, and say where its page is.

  {FILES}
  TARGET       the stage after which the run ends: device_sims, calibration, network or report; or a file in results/
  {OPTIONS}

examples: {{name}} run configs/smoke.yaml
          {{name}} run configs/smoke.yaml calibration -n""",
    "design": f"""design FILE.yaml ... [OPTION ...]

Search for a device, its pulses and its training (docs/design.md). The same command continues a search.

  {FILES.partition(";")[0]}; one of them has a section `design`
  {OPTIONS}

example: {{name}} design configs/which_pair.yaml --cores 2""",
    "report": f"""report [FILE.yaml ...]
       {{name}} report --study FOLDER | --scan FOLDER | --card FOLDER --output PAGE

Say where the page of a study is, or make one of a folder of results (options: `{{name}} report --study X --help`).

  {FILES}

example: {{name}} report configs/smoke.yaml""",
    "reference": """reference

Write docs/config.md, docs/config/ and workflow/schemas/ from the declarations of all keys. For who changes a key in a
clone: the files that stand there are replaced. Plug-ins that are installed are written too, so commit nothing then.""",
}
# a stage's other name
SHORT = {"device_sims": "sim", "calibration": "card", "network": "net"}


def main() -> None:
    words = sys.argv[1:]
    stage = next((stage for stage in STAGES if words[:1] in ([stage], [SHORT[stage]])), None)
    if words[:1] == ["report"] and words[1:2] and words[1].startswith("--") and words[1:] != ["--help"]:
        stage = "report"
    if stage is not None:
        import_module(f"{stage}.__main__").main(words[1:])
        return
    parser = argparse.ArgumentParser(
        prog=called(CONSOLE), usage="%(prog)s COMMAND ...", description="From a device to a trained network.",
        epilog=_listed(), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help="what the command takes")
    parsed = parser.parse_args(words)
    _study(parsed.command, parsed.words)


def console() -> None:
    """Start the installed ``spinloom``."""
    run_cli(main)


def _listed() -> str:
    """Return the help of all commands."""
    parts = [("a study (files are laid over config.yaml, the last on top)", "", COMMANDS)]
    parts += [(f"{stage}, or {SHORT[stage]}", f"{SHORT[stage]} ", commands_of(stage)) for stage in STAGES]
    lines = []
    for title, first, commands in parts:
        lines += [f"{title}:", *(f"  {first + name:18} {text.rstrip('.')}" for name, text in commands.items()), ""]
    return "\n".join(lines)


def _study(command: str, words: list[str]) -> None:
    """Run a command of the whole study."""
    if command in HELP and {"-h", "--help"} & set(words):
        print(f"usage: {called(CONSOLE)} {HELP[command].format(name=called(CONSOLE))}")
        return
    if command == "init":
        from workflow.study import begin

        begin.main(words)
        return
    overlays, targets, options = split(words) if command in ("run", "design") else (words, [], [])
    if command == "design" or (command == "run" and not targets and searches(overlays)):
        from workflow.design import command as design

        if targets:
            raise UserError(f"design: found the target {targets[0]}, allowed: config files, then options of Snakemake")
        design.run(overlays, options)
        return
    if command == "reference":
        from spinloom import files
        from workflow.study import reference

        for path, text in reference.files().items():
            files.write_text(text, path)
    elif command == "check":
        if searches(overlays):
            from workflow.design import command as design

            design.check(overlays)
        else:
            print(checked(parts(overlays)))
    else:
        page = config.results("config.yaml", *overlays) / "report.html"
        before = _changed(page)
        if command == "run" and (status := run(overlays, targets, options)):
            from workflow.study import told

            for hint in told.hints(targets):
                print(hint, file=sys.stderr)
            raise SystemExit(status if status > 0 else 128 - status)  # as a shell tells what a signal ended
        # of targets and options the report need be no part
        if (targets or options) and _changed(page) in (None, before):
            return
        if not page.exists():
            files = "".join(f" {overlay}" for overlay in overlays)
            raise UserError(f"{page}: not there yet; `{called(CONSOLE)} run{files}` makes it")
        print(f"Report: {page}")


def _changed(path: Path) -> int | None:
    """Return when a file changed last, ns; None if there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def split(words: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return config files, targets, and all from the first option on."""
    own = list(takewhile(lambda word: not word.startswith("-"), words))
    files = [word for word in own if word.endswith(SUFFIXES)]
    return files, [word for word in own if word not in files], words[len(own) :]


def searches(overlays: list[str]) -> bool:
    """Return whether config files, or those below them, have a search."""
    stack = config.stack("config.yaml", config.layer(overlays).content)
    return any(layer.get("design") is not None for layer in stack)


def run(overlays: list[str], targets: list[str], options: list[str]) -> int:
    """Let Snakemake make the study, which checks its config too, and return its exit status.

    Raises
    ------
    UserError
        If Snakemake would not do as it is told (`workflow.study.told`).
    """
    from workflow.study import interrupt, told

    # targets first: --configfile takes all that follows it for files
    words = [*targets, *(["--configfile", *overlays] if overlays else []), *options]
    told.check_command(words)
    command = interpreter.snakemake(*words)
    if targets or options or not sys.stderr.isatty():
        process = subprocess.Popen(command)
        with interrupt.passed_on(process):
            return process.wait()
    from workflow.study import live

    return live.run(command, lambda: parts(overlays), config.results("config.yaml", *overlays))


def parts(overlays: list[str]) -> list[Part]:
    """Return the study, checked and planned, or the points of its scan.

    Raises
    ------
    UserError
        If it cannot be run.
    """
    # imported here: a run leaves it to Snakemake
    from workflow.study import config as study_config
    from workflow.study import scan
    from workflow.study.live import Part
    from workflow.study.planning import plan

    study, folder = study_config.load("config.yaml", *overlays), config.results("config.yaml", *overlays)
    points = scan.points("config.yaml", config.layer(overlays).content)
    whole = [Part(point.config, plan(point.config), folder / "points" / point.name) for point in points]
    return whole or [Part(study, plan(study), folder)]


def checked(parts: list[Part]) -> str:
    """Return in one line that a study's config has no error, and what the study would do."""
    first = parts[0]
    points = f"a scan of {len(parts)} points, the first: " if len(parts) > 1 else ""
    return f"study {first.config['study']}: no error found; {points}{first.plan.told()}"


if __name__ == "__main__":
    run_cli(main)
