"""Settings for runs of a second, and one trained detector shared by tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from landmarks.detection import train_detector_job

Compose = Callable[..., DictConfig]


@pytest.fixture(scope="session")
def small_run(rectangles: Path) -> list[str]:
    """Overrides for a training run of a second on the rectangles."""
    return [
        "experiments=demo_detector",
        "data=openimages",
        f"data.root={rectangles}",
        "data.image_size=48",
        "data.max_size=80",
        "data.batch_size=4",
        "data.eval_batch_size=4",
        "data.num_workers=0",
        "data.source.background=true",
        "data.aspect_groups=0",
        "model.backbone=test_resnet",
        "model.backbone_options=null",
        "model.channels=16",
        "model.hidden=32",
        "model.anchor_sizes=[12,24,48,96,192]",
        "model.proposals=50",
        "model.box_samples=16",
        "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1",
        "trainer.accelerator=cpu",
        "trainer.devices=1",
        "trainer.log_every_n_steps=1",
        "trainer.enable_progress_bar=false",
        "callbacks.progress=null",
    ]


@pytest.fixture(scope="session")
def trained_detector(
    compose_config: Compose, small_run: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float | None]:
    """The folder of a run of ten epochs and the figure that its job gave; do not write into it."""
    run_dir = tmp_path_factory.mktemp("detector") / "run"
    longer = ["trainer.max_epochs=10", "trainer.check_val_every_n_epoch=10", "optimizer.lr=2e-3"]
    config = compose_config("train", *small_run, *longer, "evaluate_untrained=true", run_dir=run_dir)
    return run_dir, train_detector_job(config)
