"""Commands and code in the documentation run as printed and give the printed results."""

import re
from pathlib import Path

import pytest

import landmarks
from printed import ROOT, Stage, blocks, commands_in

DOCS = ROOT / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if "generated" not in path.parts]
OTHERS = [path for path in PAGES if path.parent.name != "extend"]
README = commands_in((ROOT / "README.md").read_text())
COMMANDS = list(dict.fromkeys(command for page in OTHERS for command in commands_in(page.read_text())))
PYTHON = [(page, block) for page in PAGES for block in blocks(page.read_text(), "python")]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in README and not c.startswith("make ")], ids=str)
def test_command(command: str, stage: Stage) -> None:
    stage.run(command)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in COMMANDS:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE), command


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_python(page: Path, code: str, stage: Stage, models: Path) -> None:
    for path in models.iterdir():
        (stage.folder / path.name).symlink_to(path)
    exec(stage.placed(code), {"landmarks": landmarks})
