"""The metric class equals the functions on arrays: in batches, over two real processes with gloo, with repetitions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landmarks.detection.metrics import EVALUATORS, BoxTruth, OpenImagesMAP, Rules, score_detections
from landmarks.errors import FormatError
from landmarks.recognition.detections import Detections
from ranks import run_ranks

CLASSES = np.array([f"/m/{row}" for row in range(5)])
IMAGES = np.random.default_rng(5).integers(0, 2**64, 40, dtype=np.uint64)


def case() -> tuple[BoxTruth, Detections]:
    """Coarse boxes and scores, so that overlaps and ties are frequent; the last class and images have no boxes."""
    rng = np.random.default_rng(3)

    def boxes(n: int) -> np.ndarray:
        low, size = rng.integers(0, 5, (n, 2)), rng.integers(3, 6, (n, 2))
        return np.concatenate([low, low + size], axis=1) / 10

    truth = BoxTruth(
        IMAGES[rng.integers(0, 36, 150)], rng.integers(0, 4, 150).astype(np.int32), boxes(150),
        rng.random(150) < 0.2, IMAGES[rng.integers(0, 38, 80)], rng.integers(0, 5, 80).astype(np.int32),
        rng.random(80) < 0.5, CLASSES,
    )  # fmt: skip
    found = Detections(
        IMAGES[rng.integers(0, 40, 600)], rng.integers(0, 5, 600).astype(np.int32),
        rng.integers(1, 9, 600) / 8, boxes(600), CLASSES[::-1],
    )  # fmt: skip
    return truth, found


TRUTH, FOUND = case()
EXPECTED = {name: of_one.as_dict() for name, of_one in score_detections(TRUTH, FOUND).items()}


def of_images(image_ids: np.ndarray) -> Detections:
    return FOUND.take(np.isin(FOUND.image_ids, image_ids))


def metrics() -> dict[str, OpenImagesMAP]:
    return {name: OpenImagesMAP(CLASSES, rules) for name, rules in EVALUATORS.items()}


def update(all_metrics: dict[str, OpenImagesMAP], image_ids: np.ndarray, batch: int) -> None:
    for first in range(0, len(image_ids), batch):
        part = image_ids[first : first + batch]
        for metric in all_metrics.values():
            metric.update(part, of_images(part), TRUTH)


def figures(all_metrics: dict[str, OpenImagesMAP]) -> dict[str, dict[str, Any]]:
    """As JSON would have them, NaN as None."""

    def number(value: torch.Tensor) -> float | None:
        assert value.dtype == torch.float64
        return None if value.isnan() else value.item()

    values = {name: metric.compute() for name, metric in all_metrics.items()}
    each = {name: {label: number(value) for label, value in one["ap@0.5"].items()} for name, one in values.items()}
    return {name: {"map@0.5": number(one["map@0.5"]), "ap@0.5": each[name]} for name, one in values.items()}


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("batch", [1, 7])
def test_batches_equal_the_functions_and_an_image_that_comes_again_counts_once(batch: int) -> None:
    all_metrics = metrics()
    assert figures(all_metrics)["challenge_2018"]["map@0.5"] is None  # nothing seen
    for images in (IMAGES, np.concatenate([IMAGES, IMAGES[:9], IMAGES[3:5]])):
        for metric in all_metrics.values():
            metric.reset()
        update(all_metrics, images, batch)
        assert figures(all_metrics) == EXPECTED
    assert EXPECTED["challenge_2018"]["ap@0.5"]["/m/4"] is None
    assert 0.05 < EXPECTED["challenge_2018"]["map@0.5"] < 0.95


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_the_threshold_is_in_the_names() -> None:
    assert OpenImagesMAP(CLASSES, Rules(True, 1.0, overlap=0.75)).compute().keys() == {"map@0.75", "ap@0.75"}


def test_arguments_are_checked() -> None:
    metric = OpenImagesMAP(CLASSES)
    with pytest.raises(FormatError, match="1 of 3 images occur twice"):
        metric.update(IMAGES[[0, 1, 0]], of_images(IMAGES[:2]), TRUTH)
    with pytest.raises(FormatError, match=f"a detection is in image {int(IMAGES[1]):016x}, which is not among the 1"):
        metric.update(IMAGES[:1], of_images(IMAGES[1:2]), TRUTH)
    with pytest.raises(FormatError, match="other classes than the metric"):
        metric.update(IMAGES[:1], of_images(IMAGES[:1]), TRUTH.of_classes(CLASSES[::-1]))


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Every second image, with padding, an uneven cut, none on a rank: both ranks show the figures of all."""
    assert run_ranks(figures_of_rank, tmp_path) == [[EXPECTED] * 4] * 2


def figures_of_rank(rank: int) -> list[dict[str, dict[str, Any]]]:
    padded = np.concatenate([IMAGES, IMAGES[:5], IMAGES[:1]])
    cuts = (slice(33), slice(33, None)), (slice(0), slice(None))
    results = []
    for part in (IMAGES[rank::2], padded[rank::2], *(IMAGES[cut[rank]] for cut in cuts)):
        all_metrics = metrics()
        update(all_metrics, part, 8)
        results.append(figures(all_metrics))
        # A rank goes on with its own images after it has shown the figures of all.
        assert sum(map(len, all_metrics["challenge_2018"].images)) == len(part)
    return results
