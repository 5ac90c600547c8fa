import numpy as np
import pytest

from landmarks.models.local_features import RootSift
from landmarks.retrieval.local import Geometry, LocalFeatureTable, Matcher, Verification, verify_pair
from pictures import motion_between, scene, seen_from_elsewhere


def test_a_turned_and_enlarged_scene_is_recognised() -> None:
    sift = RootSift(max_features=200)
    first, second = sift(scene(0)), sift(seen_from_elsewhere(scene(0)))
    matches, verdict = verify_pair(first, second, Matcher(), Geometry(threshold=4))
    assert verdict.model is not None and verdict.count > 20
    expected = motion_between(12, 1.1, *first.size)
    moved = first.points[matches.first] @ expected[:, :2].T + expected[:, 2]
    errors = np.linalg.norm(moved - second.points[matches.second], axis=1)
    assert np.median(errors[verdict.inliers]) < 1.0
    # In coordinates of the reference size, which are 1024 / 200 times larger.
    assert verdict.model[:, :2] == pytest.approx(expected[:, :2], abs=0.02)
    assert verdict.model[:, 2] == pytest.approx(expected[:, 2] * 1024 / 200, abs=8)


def test_many_pairs_count_as_each_alone() -> None:
    sift = RootSift(max_features=100)
    features = [sift(scene(0)), sift(seen_from_elsewhere(scene(0))), sift(np.zeros((40, 40, 3), np.uint8))]
    table = LocalFeatureTable.of_features(features)
    pairs = np.array([[0, 1], [1, 0], [0, 2], [2, 2], [0, 0]], np.int32)
    counts = Verification(table, table, Matcher(), Geometry(), 5)(pairs)
    alone = [verify_pair(features[a], features[b], Matcher(), Geometry(), 5)[1].count for a, b in pairs.tolist()]
    assert counts.tolist() == alone and counts[0] > 20 and counts[2] == counts[3] == 0
