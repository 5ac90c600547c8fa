from pathlib import Path

import pytest

from landmarks.models import build
from released_oracles import small_resnet


@pytest.fixture
def small_res152(monkeypatch: pytest.MonkeyPatch) -> None:
    """The models called res152_… become small ones of the same structure; files are kilobytes."""
    monkeypatch.setitem(build.BACKBONES, "res152", small_resnet)


@pytest.fixture
def tiny(oracles: Path) -> Path:
    """The folder of the small networks that the framework itself wrote."""
    return oracles / "paddle"
