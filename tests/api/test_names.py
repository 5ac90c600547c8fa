"""Public names: all listed, documented and importable, a function for every command, and imported only when used."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import landmarks
from landmarks.cli.main import app

FUNCTIONS = {
    "train": "train",
    "evaluate": "evaluate",
    "extract": "extract",
    "search": "search_images",
    "similarity": "similarity",
    "classify": "classify",
    "detect": "detect",
    "heatmap": "heatmap",
    "export": "export",
    "import-paddle": "import_paddle",
    "leaderboard": "read_leaderboard",
    "compare": "compare",
    "score retrieval": "score_retrieval",
    "score recognition": "score_recognition",
    "score detection": "score_detection",
    "descriptors show": "open_descriptors",
    "descriptors join": "join_descriptors",
    "descriptors whiten": "whiten_descriptors",
    "data download": "download_gldv2",
    "data index": "index_gldv2",
    "data verify": "verify_gldv2",
    "data stats": "gldv2_statistics",
    "data clean": "clean_gldv2",
}


def test_every_command_has_a_function() -> None:
    commands = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        commands |= {f"{name} {one}" for one in below} if below else {name}
    assert commands == set(FUNCTIONS)
    assert {name for name in FUNCTIONS.values() if inspect.isfunction(getattr(landmarks, name))} == set(
        FUNCTIONS.values()
    )


def test_names_are_listed_for_people_and_type_checkers() -> None:
    stub = ast.parse(Path(landmarks.__file__).with_suffix(".pyi").read_text())
    imported = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(landmarks.__all__) <= set(dir(landmarks))


@pytest.mark.parametrize("name", landmarks.__all__)
def test_names_are_documented(name: str) -> None:
    found = getattr(landmarks, name)
    text = inspect.getdoc(found) or ""
    assert len(text) > 30
    if inspect.isfunction(found):
        parameters = [one for one in inspect.signature(found).parameters if one != "self"]
        assert ("Args:" in text) == bool(parameters)
        assert [one for one in parameters if f"{one}:" not in text] == []
        if landmarks.__name__ in (found.__module__ or "") and ".api" in found.__module__:
            assert "Raises:" in text


def test_importing_the_package_imports_nothing_large() -> None:
    program = "import landmarks, sys; dir(landmarks); print({'torch', 'numpy', 'polars', 'hydra'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
