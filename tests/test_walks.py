"""Pages are right: their commands run, one after the other in a copy of the tree, and show what the page shows."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests import walks
from tests.workflows import Tree

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if any(walks.steps(page))]


def environment(page: Path, folder: Path, server) -> dict[str, str]:
    """Return what a reader's shell has: our commands, and a folder of its own that pip installs into."""
    # a process that was forked does not see what was installed, or copied into a package, after it began
    text = page.read_text(encoding="utf-8")
    forks = [] if "pip install" in text or "plug_in" in text else [str(server.bin)]
    return {
        "PATH": ":".join([*forks, str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": f"{folder / 'site'}:{folder}",
        "PIP_TARGET": str(folder / "site"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way of saying: build with what is here
        "SPINLOOM_MUMAX3": "/nowhere/mumax3",  # pages show what a machine without a GPU says
    }


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_walk_goes_as_the_page_says(page, server, tmp_path):
    tree = Tree.of_sources(tmp_path / "tree", server)
    for more in ("spinloom_api", "docs/examples"):
        shutil.copytree(ROOT / more, tree.path / more)
    (tree.path / ".venv" / "bin").mkdir(parents=True)
    (tree.path / ".venv" / "bin" / "activate").touch()  # it is active already
    if page.name == "README.md":  # whose studies are those of a first user, on all of MNIST
        text = (tree.path / "config.yaml").read_text(encoding="utf-8")
        assert text.count("\nnetwork:\n") == 1
        few = text.replace("\nnetwork:\n", "\nnetwork:\n  training_images: 1000\n")
        (tree.path / "config.yaml").write_text(few, encoding="utf-8")
    assert walks.walk(page, tree.path, environment(page, tree.path, server)) > 0


def test_each_tutorial_is_a_walk_that_shows_something():
    for page in (ROOT / "docs" / "tutorials").glob("*.md"):
        assert [step for step in walks.steps(page) if step.command and step.shown], page.name


SHOWN = "state 0: 6.036 uS of 17\n┏━━━┓\n...\nenergy 7.924e-15 J [0.555, 0.930]\n"


@pytest.mark.parametrize(
    "found, right",
    [
        ("state 0:  6.036 uS of 17\n┏━━━━━━┓\n1\n2\nenergy 7.924e-15 J [0.555, 0.930]\n", True),
        ("state 0: 6.04 uS of 17 ┏━┓ energy 7.93e-15 J [0.556, 0.930]", True),
        ("state 0: 6.036 uS of 18 ┏━┓ energy 7.924e-15 J [0.555, 0.930]", False),  # a count is exact
        ("state 0: 6.3 uS of 17 ┏━┓ energy 7.924e-15 J [0.555, 0.930]", False),
        ("state 0: 6.036 uS of 17 ┏━┓ energy 7.924e-15 J [0.555, 0.930] and more", False),
        ("before state 0: 6.036 uS of 17 ┏━┓ energy 7.924e-15 J [0.555, 0.930]", False),
        ("state 0: 6.036 uS of 17 ┏━┓ energy 7.924e-12 J [0.555, 0.930]", False),
        ("", False),
    ],
)
def test_what_is_compared(found, right):
    assert (walks.differs(SHOWN, found) == "") is right


PAGE = """
# A page

```yaml
# one/two.yaml
study: x
```

1. In a list:

    ```console
    $ cat one/two.yaml
    # one/two.yaml
    study: x
    $ cd one && echo a \\
        b
    a b
    $ ls
    two.yaml
    $ echo "error: no" >&2; false
    error: no
    ```

```
$ false
```
"""


def test_a_page_is_walked_in_one_shell(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    assert walks.walk(tmp_path / "page.md", tmp_path, {}) == 4


@pytest.mark.parametrize(
    "right, wrong, message",
    [
        ("    a b", "    a c", r"page.md:15: echo|page.md:15: cd one"),
        ("    two.yaml\n    $", "    one.yaml\n    $", "page.md:18: ls"),
        ("    error: no\n", "    no\n", "ended with status 1"),
        ('"error: no" >&2; false', '"error: no"', "ended with status 0"),
        ("$ ls", "$ exit 3", "the shell ended"),
    ],
)
def test_a_page_that_is_wrong_is_found_with_its_line(tmp_path, right, wrong, message):
    assert right in PAGE
    (tmp_path / "page.md").write_text(PAGE.replace(right, wrong))
    with pytest.raises(AssertionError, match=message):
        walks.walk(tmp_path / "page.md", tmp_path, {})
