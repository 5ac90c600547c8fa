"""The examples of "Extend" are complete: their files alone, in an empty folder outside the package, do what is said."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from printed import ROOT, Stage, commands_in, files_in

PAGES = sorted(path for path in (ROOT / "docs" / "extend").glob("*.md") if path.stem != "index")


@pytest.fixture
def own_modules() -> Iterator[None]:
    """Forget the modules of an example."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not str(getattr(sys.modules[name], "__file__", "")).startswith((sys.prefix, sys.base_prefix, str(ROOT))):
            del sys.modules[name]


@pytest.fixture
def labelled(stage: Stage) -> None:
    """Photographs listed in a file, as the example of a data set reads them."""
    folder = stage.folder / "LABELLED"
    folder.mkdir()
    lines = []
    for number, path in enumerate(sorted(stage.photos.rglob("*.jpg"))):
        name = f"{path.stem}.jpg"
        (folder / name).symlink_to(path)
        lines.append(f"{name} {path.parent.name.replace(' ', '_')} {('train', 'index', 'query')[number % 3]}")
    (folder / "labels.txt").write_text("\n".join(lines))


@pytest.mark.usefixtures("labelled", "own_modules")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_example(page: Path, stage: Stage) -> None:
    text = page.read_text()
    files, commands = files_in(text), commands_in(text)
    assert files and commands
    for name, content in files.items():
        path = stage.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        assert len(content.splitlines()) <= 80
    for command in commands:
        stage.run(command)
