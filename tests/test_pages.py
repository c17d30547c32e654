"""Programs take the command lines in pages, also where no test runs them, and the files that they name are there."""

import re
import shlex
from argparse import ArgumentParser
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from spinloom.command_line import commands_of, parser_of
from spinloom.stages import STAGES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHORT = {"sim": "device_sims", "card": "calibration", "net": "network"}
OURS = ("configs/", "docs/", "workflow/", "tests/", "requirements")
READERS = re.compile("[A-Z]{3}|my_")  # in a name that the reader chooses


def commands(text: str) -> list[list[str]]:
    """Return the words of each command line in the blocks of a page, without comments."""
    found = []
    for token in MarkdownIt().parse(text):
        if token.type in ("fence", "code_block") and token.info in ("", "console", "sh"):
            for line in token.content.replace("\\\n", " ").splitlines():
                try:
                    found.append(shlex.split(line.removeprefix("$ "), comments=True))
                except ValueError:  # no command, but what one shows
                    continue
    return [words for words in found if words and words[0] in ("python", "spinloom", "snakemake", "pip", "make")]


def of_stage(words: list[str]) -> list[str]:
    """Return the stage and its arguments of a command line, or nothing if it is none of a stage."""
    if words[:2] == ["python", "-m"]:
        words = words[2:]
    elif words[0] == "spinloom" and len(words) > 1:
        words = [SHORT.get(words[1], words[1]), *words[2:]]
    return words if words[0] in STAGES and not {"...", "COMMAND"} & set(words) and "[" not in " ".join(words) else []


@cache
def complete(stage: str) -> ArgumentParser:
    """Return the command line of a stage with all options."""
    return parser_of(stage, list(commands_of(stage)))[0]


def wrong(words: list[str]) -> str:
    """Return what is wrong with a command line; nothing if a program would take it."""
    if stage := of_stage(words):
        try:
            complete(stage[0]).parse_args(stage[1:])
        except SystemExit as status:
            return "" if status.code == 0 else f"not taken: {shlex.join(words)}"
    there = [word for word in words if word.startswith(OURS) and not READERS.search(word)]
    missing = [word for word in there if not list(ROOT.glob(word))]
    return f"no such file: {', '.join(missing)}" if missing else ""


@pytest.mark.long  # it imports every command
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_programs_take_what_a_page_says(page):
    assert [told for words in commands(page.read_text(encoding="utf-8")) if (told := wrong(words))] == []


def test_slips_are_found():
    page = "```\npython -m calibration show --chart results/x\n$ snakemake --configfile configs/none.yaml  # a\n```\n"
    assert len(list(filter(None, map(wrong, commands(page))))) == 2
    assert not wrong(["python", "-m", "calibration", "show", "results/x"])
    assert not wrong(["snakemake", "--configfile", "configs/smoke.yaml"])
