"""Checkpoints as runs write them, of small untrained networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from landmarks.models import RECORD_VERSION

NAMES = ("1501", "0", "index:7", "Tour Eiffel")
Write = Callable[..., Path]


def write_checkpoint(path: Path, loss: str, **model: Any) -> Path:
    """A checkpoint of test_resnet with a loss over `NAMES`."""
    node = {"_target_": f"landmarks.losses.{loss.lower()}.{loss}", "_partial_": True}
    net = {"_target_": "landmarks.models.timm_net", "name": "test_resnet", "dim": 8, "pooling": "gem", **model}
    source = {"_target_": "landmarks.data.GLDv2", "train_split": "train_clean", "exclude": "/secret/a.csv"}
    data = {"image_size": 96, "resize": {"mode": "square"}, "source": source}
    torch.manual_seed(4)
    parts = {
        "model": instantiate(OmegaConf.create(net)),
        "loss": instantiate(OmegaConf.create(node))(num_landmarks=len(NAMES), dim=8),
    }
    state = {f"{part}.{name}": value for part, made in parts.items() for name, value in made.state_dict().items()}
    config = {"name": "tower run/1", "model": net, "loss": node, "data": data}
    record = {"record_version": RECORD_VERSION, "config": config, "landmark_names": list(NAMES)}
    torch.save({"state_dict": state, "landmarks": record}, path)
    return path


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`checkpoints("ArcMargin")`: best.ckpt of a run with that loss; do not write beside it."""
    folder = tmp_path_factory.mktemp("runs")

    def written(loss: str) -> Path:
        path = folder / loss / "best.ckpt"
        path.parent.mkdir(exist_ok=True)
        return path if path.exists() else write_checkpoint(path, loss)

    return written
