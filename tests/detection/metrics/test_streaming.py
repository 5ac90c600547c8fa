"""The metric class equals the functions on arrays: in batches, over two real processes with gloo, with repetitions.

The processes are forked, because importing torchmetrics anew would cost each of them ten seconds.
"""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landmarks.detection.metrics import (
    EVALUATORS,
    BoxTruth,
    OpenImagesMAP,
    Rules,
    score_detections,
)
from landmarks.errors import FormatError
from landmarks.recognition.detections import Detections

CLASSES = np.array([f"/m/{row}" for row in range(5)])
IMAGES = np.random.default_rng(5).integers(0, 2**64, 40, dtype=np.uint64)


def case() -> tuple[BoxTruth, Detections]:
    """Coarse boxes and scores, so that overlaps and ties are frequent; the last class and pictures have no boxes."""
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


def of_images(detections: Detections, image_ids: np.ndarray) -> Detections:
    chosen = np.isin(detections.image_ids, image_ids)
    names = ("image_ids", "labels", "scores", "boxes")
    return replace(detections, **{name: getattr(detections, name)[chosen] for name in names})


def metrics(classes: np.ndarray = CLASSES) -> dict[str, OpenImagesMAP]:
    return {name: OpenImagesMAP(classes, rules) for name, rules in EVALUATORS.items()}


def update(
    all_metrics: dict[str, OpenImagesMAP], image_ids: np.ndarray, batch: int, truth: BoxTruth, found: Detections
) -> None:
    for first in range(0, len(image_ids), batch):
        part = image_ids[first : first + batch]
        for metric in all_metrics.values():
            metric.update(part, of_images(found, part), truth)


def figures(all_metrics: dict[str, OpenImagesMAP]) -> dict[str, dict[str, Any]]:
    """As JSON would have them, NaN as None."""
    values = {name: metric.compute() for name, metric in all_metrics.items()}

    def number(value: torch.Tensor) -> float | None:
        assert value.dtype == torch.float64
        return None if value.isnan() else value.item()

    return {
        name: {"map@0.5": number(of_one["map@0.5"])}
        | {label: number(value) for label, value in of_one["ap@0.5"].items()}
        for name, of_one in values.items()
    }


def expected(truth: BoxTruth, found: Detections) -> dict[str, dict[str, Any]]:
    scored = {name: of_one.as_dict() for name, of_one in score_detections(truth, found).items()}
    return {name: {"map@0.5": of_one["map@0.5"]} | of_one["ap@0.5"] for name, of_one in scored.items()}


@pytest.mark.parametrize("batch", [1, 7])
def test_batches_equal_the_functions(batch: int) -> None:
    truth, found = case()
    all_metrics = metrics()
    update(all_metrics, IMAGES, batch, truth, found)
    values = figures(all_metrics)
    assert values == expected(truth, found)
    assert values["challenge_2018"]["/m/4"] is None
    assert 0.05 < values["challenge_2018"]["map@0.5"] < 0.95


def test_a_picture_that_comes_again_counts_once() -> None:
    truth, found = case()
    all_metrics = metrics()
    update(all_metrics, np.concatenate([IMAGES, IMAGES[:9], IMAGES[3:5]]), 8, truth, found)
    assert figures(all_metrics) == expected(truth, found)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_reset_forgets_and_nothing_seen_is_nan() -> None:
    truth, found = case()
    all_metrics = metrics()
    update(all_metrics, IMAGES, 10, truth, found)
    for metric in all_metrics.values():
        metric.reset()
    nothing = dict.fromkeys(["map@0.5", *CLASSES.tolist()])
    assert figures(all_metrics) == dict.fromkeys(EVALUATORS, nothing)
    update(all_metrics, IMAGES, 10, truth, found)
    assert figures(all_metrics) == expected(truth, found)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_the_threshold_is_in_the_names() -> None:
    assert OpenImagesMAP(CLASSES, Rules(True, 1.0, overlap=0.75)).compute().keys() == {"map@0.75", "ap@0.75"}


def test_arguments_are_checked() -> None:
    truth, found = case()
    metric = OpenImagesMAP(CLASSES)
    with pytest.raises(FormatError, match="1 of 3 pictures come twice"):
        metric.update(IMAGES[[0, 1, 0]], of_images(found, IMAGES[:2]), truth)
    with pytest.raises(FormatError, match=f"a detection is in picture {int(IMAGES[1]):016x}, which is none of the 1"):
        metric.update(IMAGES[:1], of_images(found, IMAGES[1:2]), truth)
    with pytest.raises(FormatError, match="other classes than the metric"):
        metric.update(IMAGES[:1], of_images(found, IMAGES[:1]), truth.of_classes(CLASSES[::-1]))


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Every second picture, with padding, an uneven cut, none on a rank: both ranks show the figures of all."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=run_rank, args=(rank, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        if worker.is_alive():
            worker.kill()
    wanted = expected(*case())
    for rank in range(2):
        results = json.loads((tmp_path / f"{rank}.json").read_text())
        assert results == [wanted] * 4
    assert [worker.exitcode for worker in workers] == [0, 0]


def parts_of(rank: int) -> list[np.ndarray]:
    """What a rank sees in turn."""
    padded = np.concatenate([IMAGES, IMAGES[:5], IMAGES[:1]])
    cuts = (slice(33), slice(33, None)), (slice(0), slice(None))
    return [IMAGES[rank::2], padded[rank::2], *(IMAGES[cut[rank]] for cut in cuts)]


def run_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)  # a forked child cannot use its parent's OpenMP threads
    rendezvous = f"file://{folder / 'rendezvous'}"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    results = []
    for part in parts_of(rank):
        all_metrics = metrics()
        update(all_metrics, part, 8, *case())
        results.append(figures(all_metrics))
        # A rank goes on with its own pictures after it has shown the figures of all.
        assert sum(map(len, all_metrics["challenge_2018"].images)) == len(part)
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()
