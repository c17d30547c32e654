"""A folder of the user's in which a study runs with the installed Spinloom: what ``spinloom init`` writes there."""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

from spinloom.command_line import called
from spinloom.config import DEFAULT, Named, named, shipped
from spinloom.errors import UserError

HERE = Path(__file__).parents[1]
SNAKEFILE = '''"""The study of config.yaml by the installed Spinloom; rules of your own may follow.

Leave out `onstart`, `onsuccess` and `onerror`: they are taken, by the lock of the study's folder.
"""

from pathlib import Path

from workflow import study as ours


module spinloom:
    snakefile:
        str(Path(ours.__file__).parents[1] / "Snakefile")
    config:
        config


use rule * from spinloom
'''
IGNORED = """.snakemake/
results/*
!results/README.md
"""
MEASURED = """# A measured device: its file becomes a table of its writes, and a network learns with it.
extends: default        # what this file does not say; `spinloom init FOLDER` writes all of it
study: {study}
calibration:
  source:
    kind: import
    file: {file}
    format: null        # null: as it looks; `spinloom card inspect FILE` tells what it is taken for
# the network's learning rule is the one that suits the device; its size, for example:
network:
  epochs: 10
  seeds: 3
"""


def main(arguments: list[str] | None = None) -> None:
    """Make a folder for a study; ``arguments`` default to the command line's."""
    parser = argparse.ArgumentParser(
        prog=f"{called('spinloom')} init",
        description="Make a folder from which a study runs.",
    )
    parser.add_argument("folder", type=Path, help="its name is the study's; made if it is not there")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--from", dest="start", default=DEFAULT, metavar="CONFIG", help=", ".join(shipped()))
    start.add_argument("--data", type=Path, metavar="FILE", help="a measured file, on which the study begins")
    parsed = parser.parse_args(arguments)
    written = begin(parsed.folder, parsed.start, parsed.data)
    print("\n".join(map(str, written)))
    if here_alone():
        print(
            f"first: pip install --no-deps {Path.cwd()}, because this Python finds Spinloom only in the current folder"
        )
    print(f"next: cd {parsed.folder}; snakemake -n says what would run, {called('spinloom')} run runs it")


def here_alone() -> bool:
    """Return whether Python finds Spinloom from the current folder and no other, as in a clone."""
    others = [path for path in sys.path if Path(path or ".").resolve() != Path.cwd()]
    installed = any(metadata.distributions(name="spinloom", path=others))  # also as a link to a clone
    return not installed and PathFinder.find_spec("spinloom", others) is None


def begin(folder: Path, start: str = DEFAULT, data: Path | None = None) -> list[Path]:
    """Write what a study needs into a folder; return the files. One that is there is never replaced.

    Parameters
    ----------
    folder : Path
        Its name is the study's.
    start : str
        Name of a config of Spinloom's, whose text is copied.
    data : Path, optional
        A measured file in place of it.

    Raises
    ------
    UserError
        If the folder's name is no name of a study, one of the files is there, or there is no such config or file.
    """
    study = folder.resolve().name
    Named.parse({"study": study, "seed": 0}, str(folder))
    source = named(start, "--from")
    if data is not None:
        if not data.exists():
            raise UserError(f"--data: found {data}, which does not exist, allowed: a file or folder")
        text = MEASURED.format(study=study, file=_quoted(os.path.relpath(data.resolve(), folder.resolve())))
    else:
        text = re.sub(r"(?m)^study: *[\w-]+", f"study: {study}", source.read_text(encoding="utf-8"))
        text = re.sub(r"^# yaml-language-server.*\n#\n", "", text)
        text = text.replace("results go to results/default", f"results go to results/{study}")
        whole = start == DEFAULT or re.search(r"(?m)^extends:", text)
        text = text if whole else f"extends: {DEFAULT}  # what this file does not say\n{text}"
    texts = {"config.yaml": text, "Snakefile": SNAKEFILE, ".gitignore": IGNORED}
    texts["results/README.md"] = (HERE / "dictionary.md").read_text(encoding="utf-8")
    for profile in sorted(HERE.glob("profiles/*/config.yaml")):
        said = profile.read_text(encoding="utf-8").replace("workflow/profiles/", "profiles/")
        texts[profile.relative_to(HERE).as_posix()] = said
    there = [name for name in texts if os.path.lexists(folder / name)]
    if there:
        raise UserError(
            f"{folder / there[0]}: found that it exists already, allowed: a folder without this file; nothing was "
            "written"
        )
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / name, "x", encoding="utf-8") as stream:
            stream.write(text)
    return [folder / name for name in texts]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
