"""Every command of the README runs: as it stands there, but on a tiny world and for one step."""

import re
from pathlib import Path
from typing import Any

import pytest

import landmarks
from printed import ROOT, Stage, blocks, commands_in

README = (ROOT / "README.md").read_text()
COMMANDS = commands_in(README)


def test_the_readme_has_commands_and_only_known_ones() -> None:
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        known = ("make ", "python train.py ", "python evaluate.py ", "landmarks ")
        assert command.startswith(known), command


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in COMMANDS:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE), command


def test_python_of_the_readme(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)
    (code,) = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert not names["model"].training and names["ranking"].indices.shape == (2, 3)
    for name in re.findall(r"`landmarks\.([a-z_]+)\(", README):
        assert callable(getattr(landmarks, name))


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("make ")], ids=str)
def test_command(command: str, stage: Stage) -> None:
    stage.run(command)
