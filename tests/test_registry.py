"""Plug-ins: found in our packages and among the entry points of installed ones, with one-line errors."""

from importlib.metadata import EntryPoints, PathDistribution

import pytest

from calibration import laws
from network import datasets, rules
from spinloom import registry
from spinloom.errors import UserError
from spinloom.registry import Registry

KINDS = {"rules": rules.REGISTRY, "datasets": datasets.REGISTRY}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return the function that installs a package "guest" 1.0 with these files and entry points."""

    def install(files: dict[str, str], points: dict[str, str], group="spinloom.rules") -> None:
        folder = tmp_path / "guest-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
        lines = [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
        (folder / "entry_points.txt").write_text("\n".join(lines))
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(registry, "_installed", lambda: PathDistribution(folder).entry_points)

    return install


def said(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_ours_has_its_words_its_name_and_its_file(kind):
    found = KINDS[kind]
    assert found.names() == sorted(found.names()) and len(found.names()) > 4
    for name in found.names():
        module = found.get(name)
        assert module.__name__ == found.module(name) == f"{found.package}.{name}"
        files = found.files(name)
        assert module.__file__ in map(str, files) and all(path.stem == name or path.parent.stem == name for path in files)
