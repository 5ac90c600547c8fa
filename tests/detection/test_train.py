import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

from landmarks.config import ConfigError, DetectorSettings, check_config
from landmarks.detection import DetectorModule, load_detector, train_detector, train_detector_job
from landmarks.errors import LandmarksError
from landmarks.extraction import TooManyUnreadableError
from landmarks.training import train_job
from rectangles import write_rectangles

Compose = Callable[..., DictConfig]
LONG = ["trainer.max_epochs=2", "callbacks.last.minutes=0"]


class CutOffError(Exception):
    """Stands for a power failure."""


def state_of(run_dir: Path) -> dict[str, torch.Tensor]:
    found = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = found["state_dict"]
    return state


def test_a_run_leaves_figures_images_and_a_checkpoint_that_explains_itself(
    trained_detector: tuple[Path, float | None],
) -> None:
    run_dir, value = trained_detector
    found = json.loads((run_dir / "metrics.json").read_text())
    assert found["monitor"] == {"name": "validation/map@0.5", "value": value}
    assert found["trained"]["validation"].keys() == found["untrained"]["validation"].keys() == {"map@0.5", "v2_map@0.5"}
    assert found["training"]["steps"] == 40
    assert found["data"] == {"source": "openimages", "train": 16, "validation": 6, "classes": 3}
    assert found["protocol"][0].keys() == {"model", "weights", "input_size"}
    assert set(found["ap@0.5"]) <= {"Tower", "Building", "Tree"}
    assert Image.open(run_dir / "boxes.png").width > 500
    assert Image.open(run_dir / "curves.png").width > 500
    assert "Boxes" in (run_dir / "report.html").read_text()

    trained = load_detector(run_dir / "checkpoints" / "best.ckpt")
    assert trained.classes.titles.tolist() == ["Tower", "Building", "Tree"]
    assert trained.preprocessing.short_side == 48
    assert not trained.model.training


def test_a_detector_learns(trained_detector: tuple[Path, float | None]) -> None:
    """Only that its losses fall: `benchmarks/` holds a run that reaches a high mAP."""
    lines = [line.split(",") for line in (trained_detector[0] / "logs" / "metrics.csv").read_text().splitlines()]
    parts = {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg", "loss"}
    assert {f"train/{name}" for name in parts} <= set(lines[0])
    column = lines[0].index("train/loss")
    losses = [float(line[column]) for line in lines[1:] if line[column]]
    assert len(losses) == 40
    assert sum(losses[-8:]) < 0.6 * sum(losses[:8])


@pytest.fixture(scope="module")
def uninterrupted(compose_config: Compose, small_run: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    train_detector(compose_config("train", *small_run, *LONG, run_dir=run_dir), run_dir)
    return run_dir


@pytest.mark.parametrize("steps", [3, 4])  # in the middle of an epoch, and between two
def test_a_resumed_run_equals_an_uninterrupted_one(
    compose_config: Compose, small_run: list[str], uninterrupted: Path, tmp_path: Path, steps: int
) -> None:
    step = DetectorModule.training_step

    def cut_off(self: DetectorModule, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.trainer.global_step == steps:
            raise CutOffError
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(CutOffError):
        patch.setattr(DetectorModule, "training_step", cut_off)
        train_detector(compose_config("train", *small_run, *LONG, run_dir=tmp_path), tmp_path)
    train_detector(compose_config("train", *small_run, *LONG, "resume=last", run_dir=tmp_path), tmp_path)
    one, other = state_of(uninterrupted), state_of(tmp_path)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert len(list((tmp_path / "logs").glob("metrics*.csv"))) == 2


def test_a_loss_that_is_no_number_stops_the_run(compose_config: Compose, small_run: list[str], tmp_path: Path) -> None:
    overrides = [*small_run, "optimizer.lr=1e25", "scheduler.warmup=0", "trainer.gradient_clip_val=null"]
    with pytest.raises(LandmarksError, match=r"The loss is (nan|inf).*Lower optimizer.lr"):
        train_detector(compose_config("train", *overrides, run_dir=tmp_path), tmp_path)


def test_a_corrupt_image_is_counted(compose_config: Compose, small_run: list[str], tmp_path: Path) -> None:
    write_rectangles(tmp_path / "set", train=8, validation=2)
    (tmp_path / "set" / "train" / f"{3:016x}.jpg").write_bytes(b"no image")
    overrides = [*small_run, f"data.root={tmp_path / 'set'}", "data.max_unreadable=0"]
    with pytest.raises(TooManyUnreadableError, match="0000000000000003"):
        train_detector(compose_config("train", *overrides, run_dir=tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+model.anchors=[8]", r"model.anchors: .* has no such key; did you mean 'anchor_sizes'"),
        ("model.box_samples=many", "model.box_samples: 'many' is invalid"),
        ("loss=arcmargin", "loss: .* is invalid: it should be None"),
        ("task=detecting", "task: 'detecting' is invalid"),
    ],
)
def test_a_slip_in_the_configuration_is_named(
    compose_config: Compose, small_run: list[str], tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_config(compose_config("train", *small_run, override, run_dir=tmp_path), DetectorSettings)


def test_models_of_the_other_task_are_refused(compose_config: Compose, small_run: list[str], tmp_path: Path) -> None:
    others = [override for override in small_run if not override.startswith("model.")]
    with pytest.raises(LandmarksError, match="needs a detector"):
        train_detector_job(compose_config("train", *others, "model=res18", run_dir=tmp_path))
    with pytest.raises(LandmarksError, match="task=detection"):
        train_job(compose_config("train", "model=faster_rcnn_small", run_dir=tmp_path))
