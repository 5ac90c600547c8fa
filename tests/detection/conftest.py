"""Runs of a second, and one trained detector for all tests that look at one."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from landmarks.config.locations import config_root, register_search_path
from landmarks.config.resolvers import register_resolvers
from landmarks.detection.train import train_detector_job


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
def trained_run(small_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float | None]:
    """The folder of a run of ten epochs and the figure that its job gave; do not write into it."""
    run_dir = tmp_path_factory.mktemp("detector") / "run"
    register_search_path()
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_root() / "conf"), version_base="1.3"):
        longer = ["trainer.max_epochs=10", "trainer.check_val_every_n_epoch=10", "optimizer.lr=2e-3"]
        overrides = [*small_run, *longer, "evaluate_untrained=true", f"run_dir={run_dir}", "name=test"]
        config = compose("train", overrides)
    GlobalHydra.instance().clear()
    return run_dir, train_detector_job(config)
