"""A small untrained network as a checkpoint, and what a job with it needs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from landmarks.models import RECORD_VERSION


@pytest.fixture
def overrides(compose_config: Callable[..., DictConfig], tiny_run: list[str], tmp_path: Path) -> list[str]:
    """Overrides of an evaluation or an extraction with the network in `tmp_path / "net.ckpt"`."""
    config = compose_config("train", *tiny_run, run_dir=tmp_path)
    torch.manual_seed(0)
    state = {f"model.{name}": value for name, value in instantiate(config.model).state_dict().items()}
    plain = OmegaConf.to_container(config, resolve=True)
    prepared = {"mode": config.data.resize.mode, "short_side": config.data.image_size}
    record = {"record_version": RECORD_VERSION, "config": plain, "preprocessing": prepared, "landmark_names": []}
    torch.save({"state_dict": state, "landmarks": record}, tmp_path / "net.ckpt")
    kept = [o for o in tiny_run if o.startswith(("data.root", "trainer.a", "trainer.d", "trainer.e"))]
    small = ["callbacks.progress=null", "data.num_workers=0", "data.eval_batch_size=4"]
    return [*kept, f"checkpoint={tmp_path / 'net.ckpt'}", *small]
