"""Runs of a second."""

from pathlib import Path

import pytest

SMALL_MODEL = [
    "model.backbone=test_resnet",
    "model.backbone_options=null",
    "model.channels=16",
    "model.hidden=32",
    "model.anchor_sizes=[12,24,48,96,192]",
    "model.proposals=50",
    "model.box_samples=16",
]


@pytest.fixture
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
        *SMALL_MODEL,
        "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1",
        "trainer.accelerator=cpu",
        "trainer.devices=1",
        "trainer.log_every_n_steps=1",
        "trainer.enable_progress_bar=false",
        "callbacks.progress=null",
    ]
