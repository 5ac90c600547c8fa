from pathlib import Path

import pytest

from published_oracles import shrink_backbones


@pytest.fixture
def small_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_backbones(monkeypatch)


@pytest.fixture
def tiny(oracles: Path) -> Path:
    """The folder of the small networks that the framework itself wrote."""
    return oracles / "paddle"
