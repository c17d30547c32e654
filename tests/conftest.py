"""Tests run as the command lines do: on one XLA thread, and with the programs that others compiled."""

import sys

import pytest

from spinloom import compiled
from tests import shapes

compiled.set_up()
shapes.check()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the cluster, which mostly waits: at the end one worker would wait for it alone."""
    items.sort(key=lambda item: item.path.parent.name != "slurm")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs():
    """Free a module's compiled programs after it: JAX keeps all of them, and the next module has its own."""
    yield
    if jax := sys.modules.get("jax"):
        jax.clear_caches()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    from tests.forkserver import Server

    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def finished(server, tmp_path_factory):
    """A tree whose small study has run; to be copied, not changed."""
    from tests.workflows import Tree

    tree = Tree.of_sources(tmp_path_factory.mktemp("finished") / "tree", server)
    done = tree.snakemake()
    assert done.returncode == 0, done.stderr
    return tree
