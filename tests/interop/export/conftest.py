"""Checkpoints as runs write them, of small untrained networks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from image_models import checkpoint_file


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`checkpoints("ArcMargin")`: best.ckpt of a run with that loss; do not write beside it."""
    folder = tmp_path_factory.mktemp("runs")

    def written(loss: str) -> Path:
        path = folder / loss / "best.ckpt"
        path.parent.mkdir(exist_ok=True)
        return path if path.exists() else checkpoint_file(path, loss)

    return written
