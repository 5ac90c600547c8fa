import logging

import numpy as np
import pytest

from found import found_objects
from landmarks.errors import LandmarksError
from landmarks.recognition import NeighbourVotes, NonLandmarkFilter, NonLandmarkRule, RecognitionState
from landmarks.recognition.detections import FoundObjects
from landmarks.retrieval import Gallery, Pipeline, Search
from landmarks.retrieval.search import ExactIndex

RULE = NonLandmarkRule({"buildings": ["Tower"]}, {"others": ["Person", "Dog"]})
ALL, PART = (0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 0.5, 0.75)
FOUND = found_objects(
    [
        (1, "Person", 0.97, ALL),
        (1, "Dog", 0.8, PART),
        (1, "Dog", 0.6, PART),
        (2, "Person", 0.97, ALL),
        (2, "Tower", 0.3, PART),
        (3, "Tower", 0.11, PART),
        (6, "Dog", 0.8, ALL),
    ],
    [1, 2, 3, 4, 6],
)


def state(found: FoundObjects | None) -> RecognitionState:
    """Six queries, 1 to 6, of falling similarity to the gallery images of landmarks 0 and 1."""
    angles = np.deg2rad([10, 20, 30, 40, 50, 60])
    gallery = Gallery(np.eye(2, dtype=np.float32), np.array([0, 1], np.int32), 2)
    queries = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    names = np.array(["100", "200"])
    return RecognitionState.begin(np.arange(1, 7, dtype=np.uint64), queries, gallery, names, detections=found)


def pipeline(stage: NonLandmarkFilter) -> Pipeline:
    stages = {"search": Search(k=2), "votes": NeighbourVotes(k=1), "filter": stage}
    return Pipeline(ExactIndex(), stages)


def test_filtered_queries_have_no_prediction_and_all_have_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        result = pipeline(NonLandmarkFilter(RULE)).run(state(FOUND))
    assert result.ranking.first.tolist() == [-1, 0, 0, 0, 1, -1]
    assert result.state.notes["no_landmark"].tolist() == [True, False, False, False, False, True]
    assert result.state.notes["detector"].tolist() == [
        "no landmark: Person 0.97 and 2 more boxes cover 62%, nothing speaks for a landmark",
        "Person 0.97 covers 50%, Tower 0.30 on 12% speaks for a landmark",
        "Tower 0.11 on 12% is too faint to speak for a landmark",
        "nothing found",
        "not looked at",
        "no landmark: Dog 0.80 covers 50%, nothing speaks for a landmark",
    ]
    assert "2 of 6 queries show no landmark; 1 are not in" in caplog.text


def test_pushed_down_queries_come_last_in_their_order() -> None:
    before = pipeline(NonLandmarkFilter(RULE)).run(state(found_objects([], range(1, 7)))).ranking
    after = pipeline(NonLandmarkFilter(RULE, action="push_down")).run(state(FOUND)).ranking
    assert after.first.tolist() == before.first.tolist()
    kept = [1, 2, 3, 4]
    np.testing.assert_array_equal(after.scores[kept], before.scores[kept])
    assert after.confidence[5] < after.confidence[0] < after.confidence[kept].min()  # 60° and 10° from a landmark


def test_a_filter_without_detections_or_with_another_detector_stops_before_any_work() -> None:
    with pytest.raises(LandmarksError, match="stage filter needs objects detected in the queries; give detections=DIR"):
        pipeline(NonLandmarkFilter(RULE)).run(state(None))
    unknown = NonLandmarkRule({"buildings": ["Castle"]}, {"others": ["Person"]})
    unfinished = Pipeline(ExactIndex(), {"filter": NonLandmarkFilter(unknown)})  # would lack candidates
    with pytest.raises(LandmarksError, match="stage filter: non-landmark rule: 'Castle' is not one of the 4 classes"):
        unfinished.run(state(FOUND))


def test_classes_that_the_detector_lacks_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    rule = NonLandmarkRule({"buildings": ["Tower", "Castle"]}, {"others": ["Person"]}, missing_classes="ignore")
    stages = pipeline(NonLandmarkFilter(rule))
    with caplog.at_level(logging.INFO):
        stages.run(state(FOUND))
        stages.run(state(FOUND))
    assert caplog.text.count("the detector does not know 1 classes of the rule: Castle") == 1
