"""What a Markdown page tells its reader to do: files to write, commands to give, and what the commands show.

A block ``console`` has the commands of a walk: lines that begin with ``$ ``, continued after a backslash, each followed
by what it shows. ``...`` stands for anything. A block of another language whose first line is a comment with a file's
name alone, ``# thicker.yaml``, is a file that the reader writes. Other blocks are read and not run.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

NAME = re.compile(r"(?:#|//) ([\w./-]+\.\w+)\n")
FLOAT = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)(?![\w.])")
# of a number that is no whole one: another processor rounds otherwise, and a training goes on from there
TOLERANCE = 0.02


@dataclass(frozen=True)
class Step:
    """A command with what the page says that it shows, or a file with its text."""

    line: int  # of the page
    command: str
    shown: str
    file: str = ""


def steps(page: Path) -> Iterator[Step]:
    """Yield what the reader of a page does, in its order."""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type != "fence" or token.map is None:
            continue
        line = token.map[0] + 2  # of the first one within the fence, from 1
        if token.info == "console":
            yield from _commands(token.content, line)
        elif name := NAME.match(token.content):
            yield Step(line, "", token.content, name[1])


def _commands(text: str, line: int) -> Iterator[Step]:
    for found in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        yield Step(line + text.count("\n", 0, found.start()), found[1], found[2])


def differs(shown: str, found: str) -> str:
    """Return words of a page that are not in a command's output, or the output's beyond them; "" if nothing differs.

    Blanks and the lengths of a table's lines do not count.
    """
    wanted, there = _words(shown), _words(found)
    if not wanted:
        return ""
    runs = [list(run) for word, run in itertools.groupby(wanted, lambda word: word == "...") if not word]
    place = 0
    for number, run in enumerate(runs):
        free = number > 0 or wanted[0] == "..."
        last = number == len(runs) - 1 and wanted[-1] != "..."
        ends = len(there) - len(run)
        for start in [ends] if last and free else range(place, ends + 1 if free else place + 1):
            if start >= place and _alike(run, there[start : start + len(run)]):
                place = start + len(run)
                break
        else:
            return " ".join(run)
    return "" if wanted[-1] == "..." else " ".join(there[place:])


def _words(text: str) -> list[str]:
    return re.sub("[━─]+", "─", text).split()


def _alike(shown: list[str], found: list[str]) -> bool:
    """Tell whether words are the same, but for numbers that differ within ``TOLERANCE``."""
    one, other = " ".join(shown), " ".join(found)
    numbers = zip(FLOAT.findall(one), FLOAT.findall(other))
    return FLOAT.sub("0", one) == FLOAT.sub("0", other) and all(
        abs(float(a) - float(b)) <= TOLERANCE * abs(float(a)) for a, b in numbers
    )


class Shell:
    """A shell that one command after the other is given to, in a reader's folder."""

    END = "--- end of a command, with status"

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(self, command: str) -> tuple[str, int]:
        """Return what a command shows on both streams, and its exit status."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{{ {command}\n}} < /dev/null\nprintf '\\n{self.END} %s\\n' $?\n")
        self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line.startswith(self.END):
                return "".join(lines), int(line.split()[-1])
            lines.append(line)
        raise AssertionError(f"the shell ended at {command}: {''.join(lines)}")

    def write(self, name: str, text: str) -> None:
        """Write a file where the shell is."""
        path = Path(self.run("pwd")[0].strip()) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def walk(page: Path, folder: Path, environment: dict[str, str]) -> int:
    """Do what a page says and return the number of its commands; the first that shows something else is an error."""
    count = 0
    with Shell(folder, {**os.environ, **environment}) as shell:
        for step in steps(page):
            if step.file:
                shell.write(step.file, step.shown)
                continue
            count += 1
            found, status = shell.run(step.command)
            refused = re.search(r"^error: ", step.shown, re.MULTILINE) is not None
            where = f"{page.name}:{step.line}: {step.command}"
            assert (status != 0) is refused, f"{where}\nended with status {status}:\n{found}"
            different = differs(step.shown, found)
            assert not different, f"{where}\nthe page differs from what is shown at: {different}\nshown:\n{found}"
    return count
