"""The notebooks run from top to bottom on a few photographs, and hold no outputs."""

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import landmarks
from image_models import retrieval_file
from landmarks.data import GLDv2

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
SMALL = {
    "fine_tune": 'NETWORK, PRETRAINED, IMAGE_SIZE, BATCH_SIZE, EPOCHS = "test_resnet", False, 32, 8, 1',
    "rerank": "QUERIES, INDEX = 40, 600",
    "failures": "",
}


def book(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.ipynb").read_text())
    return found


@pytest.fixture
def here(tiny_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of photographs and a model, as the notebooks want them."""
    images = GLDv2(tiny_world, train_split="train").train()
    for row, landmark in enumerate(images.table.landmarks.tolist()):
        folder = tmp_path / "photos" / f"landmark {landmark}"
        folder.mkdir(parents=True, exist_ok=True)
        if len(list(folder.iterdir())) < 6:
            (folder / f"{row:03}.jpg").write_bytes(images.read(row))
    retrieval_file(tmp_path / "model.safetensors", side=64)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str) -> tuple[dict[str, Any], list[Any]]:
    """Run all cells in one namespace; give it, and what each cell of code would have shown."""
    names: dict[str, Any] = {}
    shown = []
    for cell in book(name)["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", ()):
            source += f"\n{SMALL[name]}"
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{name}.ipynb", "exec"), names)
        if last is not None:
            assert isinstance(last, ast.Expr)
            shown.append(eval(compile(ast.Expression(last.value), f"{name}.ipynb", "eval"), names))
    return names, shown


def test_every_notebook_is_run_and_clean() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(SMALL)
    for name in SMALL:
        found = book(name)
        assert found["nbformat"] == 4 and len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
        for cell in found["cells"]:
            assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)
        assert sum("parameters" in cell["metadata"].get("tags", ()) for cell in found["cells"]) == 1


def test_fine_tune(here: Path) -> None:
    names, shown = run("fine_tune")
    assert (
        set(shown[1]) == {"before", "after"}
        and 0 <= shown[1]["after"]["private"] <= 1
        and names["descriptors"].shape[0] == len(names["paths"])
    )
    assert isinstance(shown[-2], Figure) and shown[-1].is_file()


def test_rerank() -> None:
    _, shown = run("rerank")
    scores = shown[1]
    assert scores["diffusion"] > scores["search"] and scores["qe"] > scores["search"]
    assert 0 < shown[2] < 1


def test_failures(here: Path) -> None:
    names, shown = run("failures")
    assert isinstance(shown[2], Figure) and isinstance(names["model"], landmarks.Model)
    assert np.nanmean(names["precision"]) == pytest.approx(shown[1])
    assert shown[-1] >= 0
