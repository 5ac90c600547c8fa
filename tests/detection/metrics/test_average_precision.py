"""The two Open Images cases with figures of another implementation, and what holds for any average precision."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.metrics import (
    EVALUATORS,
    DetectionMetrics,
    Judged,
    OpenImagesMAP,
    average_precisions,
    read_truth,
    score_detections,
)
from landmarks.recognition.detections import read_boxes


@pytest.mark.parametrize("case", ["case0", "case1"])
def test_every_figure_of_the_oracle_by_the_functions_and_by_the_metric_in_batches(oracles: Path, case: str) -> None:
    folder = oracles / "openimages_detection" / case
    truth = read_truth(folder / "boxes.csv", folder / "image_labels.csv")
    found = read_boxes(folder / "predictions.csv")
    expected = json.loads((folder / "expected.json").read_text())
    figures = score_detections(truth, found)
    assert figures.keys() == expected.keys()
    for name, wanted in expected.items():
        metric = OpenImagesMAP(truth.classes, EVALUATORS[name])
        for part in np.array_split(np.unique(truth.verified_image_ids)[::-1], 5):
            metric.update(part, found.take(np.isin(found.image_ids, part)), truth)
        for one in (figures[name].as_dict(), metric.compute()):
            assert float(one["map@0.5"]) == pytest.approx(wanted["map@0.5"], rel=0, abs=1e-9)
            assert one["ap@0.5"].keys() == wanted["ap@0.5"].keys()
            for label, value in wanted["ap@0.5"].items():
                figure = np.nan if one["ap@0.5"][label] is None else float(one["ap@0.5"][label])
                assert figure == pytest.approx(np.nan if value is None else value, rel=0, abs=1e-9, nan_ok=True)
    strict = score_detections(truth, found, overlap=0.75)["challenge_2018"]
    assert strict.as_dict().keys() == {"map@0.75", "ap@0.75"}
    assert strict.mean < figures["challenge_2018"].mean


def of_one_class(scores: list[float], hits: list[float], num_boxes: float, images: list[int] | None = None) -> float:
    judged = Judged(
        image_ids=np.array(images or [0] * len(scores), np.uint64),
        labels=np.zeros(len(scores), np.int32),
        scores=np.array(scores),
        hits=np.array(hits, np.float64),
        num_boxes=np.array([num_boxes], np.float64),
    )
    return float(average_precisions(judged)[0])


def test_by_hand() -> None:
    # right, wrong, right of 3 boxes: precision 1 up to recall 1/3, then 2/3 up to 2/3, then nothing
    assert of_one_class([0.9, 0.8, 0.7], [1, 0, 1], 3) == pytest.approx((1 + 2 / 3) / 3)
    # a later, higher precision holds for the lower recalls before it
    assert of_one_class([0.9, 0.8, 0.7], [0, 1, 1], 2) == pytest.approx(2 / 3)
    # a group of weight 1/2 between two objects: recall and precision rise by its weight
    assert of_one_class([0.9, 0.8, 0.7], [1, 0.5, 0], 2.5) == pytest.approx(1.5 / 2.5)


def test_nothing_to_find_and_nothing_found() -> None:
    assert np.isnan(of_one_class([0.9], [0], 0))
    assert of_one_class([], [], 4) == 0
    assert of_one_class([0.5], [0], 4) == 0
    classes = np.array(["a", "b", "c"])
    assert np.isnan(DetectionMetrics(classes[:1], np.array([np.nan]), 0.5).mean)
    assert DetectionMetrics(classes, np.array([np.nan, 0.25, 0.75]), 0.5).mean == 0.5


def test_ties_go_by_image_and_inside_one_wrong_comes_first() -> None:
    assert of_one_class([0.5, 0.5], [1, 0], 1, [1, 2]) == 1
    assert of_one_class([0.5, 0.5], [1, 0], 1, [2, 1]) == 0.5
    assert of_one_class([0.5, 0.5], [1, 0], 1, [1, 1]) == 0.5


ROWS = st.lists(st.tuples(st.sampled_from([0.25, 0.5, 0.75]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=12)


@given(ROWS, st.integers(0, 3))
def test_what_holds_for_any_ranking(rows: list[tuple[float, float]], missed: int) -> None:
    scores, hits = map(list, zip(*rows, strict=True))
    num_boxes = sum(hits) + missed + 1
    value = of_one_class(scores, hits, num_boxes)
    tiny = 1e-12  # sums of other lengths round otherwise
    assert 0 <= value <= sum(hits) / num_boxes + tiny
    # something wrong never helps, least of all in front
    behind, in_front = (of_one_class([*scores, score], [*hits, 0], num_boxes) for score in (0.1, 0.9))
    assert value == pytest.approx(behind, abs=tiny)
    assert in_front <= value + tiny
    # another find never harms, most of all in front
    behind, in_front = (of_one_class([*scores, score], [*hits, 1], num_boxes) for score in (0.1, 0.9))
    assert value <= behind + tiny <= in_front + 2 * tiny
    assert of_one_class(scores, [1.0] * len(scores), len(scores)) == pytest.approx(1)
