"""Tests run as the command lines do: one XLA thread, so that results do not depend on the machine's cores."""

import os

import pytest

from tests import shapes

shapes.check()
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")


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
