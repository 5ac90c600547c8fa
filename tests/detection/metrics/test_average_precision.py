"""The two Open Images cases with figures of another implementation, and what holds for any average precision."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.detection.metrics import (
    BoxTruth,
    Judged,
    average_precisions,
    mean_average_precision,
    read_truth,
    score_detections,
)
from landmarks.recognition.detections import Detections, read_boxes

CASES = pytest.mark.parametrize("case", ["case0", "case1"])


def read_case(oracles: Path, case: str) -> tuple[BoxTruth, Detections, dict[str, Any]]:
    folder = oracles / "openimages_detection" / case
    truth = read_truth(folder / "boxes.csv", folder / "image_labels.csv")
    return truth, read_boxes(folder / "predictions.csv"), json.loads((folder / "expected.json").read_text())


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, figures in expected.items():
        assert found[name].keys() == figures.keys()
        assert found[name]["map@0.5"] == pytest.approx(figures["map@0.5"], rel=0, abs=1e-9)
        assert found[name]["ap@0.5"].keys() == figures["ap@0.5"].keys()
        for label, value in figures["ap@0.5"].items():
            close = None if value is None else pytest.approx(value, rel=0, abs=1e-9)
            assert found[name]["ap@0.5"][label] == close


@CASES
def test_every_figure_of_the_oracle(oracles: Path, case: str) -> None:
    truth, detections, expected = read_case(oracles, case)
    figures = score_detections(truth, detections)
    assert_equal({name: of_one.as_dict() for name, of_one in figures.items()}, expected)


@CASES
def test_the_order_of_rows_changes_no_figure_of_the_oracle(oracles: Path, case: str) -> None:
    truth, detections, expected = read_case(oracles, case)
    rng = np.random.default_rng(1)
    boxes, labels = rng.permutation(len(truth.labels)), rng.permutation(len(truth.present))
    truth = BoxTruth(
        truth.image_ids[boxes], truth.labels[boxes], truth.boxes[boxes], truth.group_of[boxes],
        truth.verified_image_ids[labels], truth.verified_labels[labels], truth.present[labels], truth.classes,
    )  # fmt: skip
    figures = score_detections(truth, take(detections, rng.permutation(len(detections.labels))))
    assert_equal({name: of_one.as_dict() for name, of_one in figures.items()}, expected)


def take(detections: Detections, rows: np.ndarray) -> Detections:
    names = ("image_ids", "labels", "scores", "boxes")
    return replace(detections, **{name: getattr(detections, name)[rows] for name in names})


def test_the_threshold_is_in_the_names(oracles: Path) -> None:
    truth, detections, _ = read_case(oracles, "case0")
    strict = score_detections(truth, detections, overlap=0.75)["challenge_2018"]
    assert strict.as_dict().keys() == {"map@0.75", "ap@0.75"}
    assert strict.mean < score_detections(truth, detections)["challenge_2018"].mean


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
    assert np.isnan(mean_average_precision(np.array([np.nan])))
    assert mean_average_precision(np.array([np.nan, 0.25, 0.75])) == 0.5


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
