"""One copy of the finished study for the tests of a module, which change it and put back what they changed."""

import pytest


@pytest.fixture(scope="module")
def tree(finished, tmp_path_factory):
    return finished.copied(tmp_path_factory.mktemp("reruns") / "tree")
