"""Evaluation and extraction with a checkpoint of a small run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image

from landmarks.detection import evaluate_detector_job, extract_detections_job, sample_images
from landmarks.detection.metrics import score_detections
from landmarks.detection.openimages import OpenImages
from landmarks.errors import LandmarksError
from landmarks.leaderboard import find_runs
from landmarks.recognition.detections import read_boxes, read_detections

Compose = Callable[..., DictConfig]
QUICK = ["data.num_workers=0", "trainer.accelerator=cpu", "callbacks.progress=null"]


@pytest.fixture(scope="session")
def checkpoint(trained_detector: tuple[Path, float | None]) -> Path:
    return trained_detector[0] / "checkpoints" / "best.ckpt"


def test_a_detector_is_evaluated_and_used_by_its_checkpoint_alone(
    checkpoint: Path, compose_config: Compose, rectangles: Path, tiny_world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation"
    given = [f"checkpoint={checkpoint}", "data=openimages", f"data.root={rectangles}", "data.eval_batch_size=3", *QUICK]
    value = evaluate_detector_job(compose_config("evaluate", *given, run_dir=out))
    found = json.loads((out / "metrics.json").read_text())
    assert found["scores"]["validation"]["map@0.5"] == value
    trained = json.loads((checkpoint.parents[1] / "metrics.json").read_text())
    assert value == pytest.approx(trained["trained"]["validation"]["map@0.5"], abs=1e-6)
    assert found["data"]["images"] == 6
    for runs in (tmp_path, checkpoint.parents[2]):
        stamped = find_runs(runs)
        assert not stamped.notes and {run.stamp.data.source for run in stamped.runs} == {"openimages"}
    assert Image.open(out / "boxes.png").width > 500
    assert "Inputs" in (out / "report.html").read_text()

    # What is handed in scores as what was found: boxes of Towers are repeated as Buildings.
    submission = read_boxes(out / "predictions.csv")
    truth = OpenImages(rectangles).truth()
    assert score_detections(truth, submission)["challenge_2018"].mean == pytest.approx(value, abs=1e-9)
    kept = read_detections(out / "detections").boxes
    towers = np.count_nonzero(kept.classes[kept.labels] == "/m/01fdzj")
    assert len(submission.labels) == len(kept.labels) + towers

    again = evaluate_detector_job(compose_config("evaluate", *given, run_dir=out))
    assert again == value

    used = [f"checkpoint={checkpoint}", f"data.root={tiny_world}", *QUICK, "splits=[queries]"]
    extract_detections_job(compose_config("extract", *used, run_dir=tmp_path / "sets"))
    queries = read_detections(tmp_path / "sets" / "queries_detections")
    assert len(queries.looked_at) > 10
    assert queries.classes.titles.tolist() == ["Tower", "Building", "Tree"]

    with pytest.raises(LandmarksError, match="these data have no boxes"):
        evaluate_detector_job(compose_config("evaluate", f"checkpoint={checkpoint}", run_dir=out))
    with pytest.raises(LandmarksError, match="splits is empty"):
        extract_detections_job(compose_config("extract", *used[:-1], "splits=[]", run_dir=out))


def test_a_sample_holds_one_image_without_boxes_and_is_the_same_every_time() -> None:
    counts = np.array([0, 0, 3, 1, 0, 2, 5, 1, 1])
    rows = sample_images(counts, 4, seed=1)
    assert len(rows) == 4
    assert (counts[rows] == 0).sum() == 1
    assert np.array_equal(rows, sample_images(counts, 4, seed=1))
    assert any(not np.array_equal(rows, sample_images(counts, 4, seed=seed)) for seed in range(2, 6))


@pytest.mark.parametrize(("counts", "expected"), [([], 0), ([0, 0], 1), ([2], 1), ([2, 1, 0], 3)])
def test_there_may_be_fewer_images(counts: list[int], expected: int) -> None:
    assert len(sample_images(np.array(counts, np.int64), 8)) == expected
