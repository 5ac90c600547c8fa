from pathlib import Path

import pytest

from landmarks.models import build
from released_oracles import small_resnet


@pytest.fixture
def small_res152(monkeypatch: pytest.MonkeyPatch) -> None:
    """The released networks become small ones of the structure of ResNet-vd; files are kilobytes."""
    for backbone in build.BACKBONES:
        monkeypatch.setitem(build.BACKBONES, backbone, small_resnet)


@pytest.fixture
def tiny(oracles: Path) -> Path:
    """The folder of the small networks that the framework itself wrote."""
    return oracles / "paddle"
