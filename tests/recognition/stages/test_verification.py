from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from images import image_set, png, scene, seen_from_elsewhere
from landmarks.local_features import RootSift
from landmarks.recognition import NeighbourVerification, NeighbourVotes, RecognitionState
from landmarks.retrieval import Gallery, Ranking, Search
from landmarks.retrieval.local import LocalFeatureStore
from resources import make_resources

BLANK = png(np.full((160, 200, 3), 90, np.uint8))
RESOURCES = make_resources(workers=1)


def stage(folder: str | Path = "unused", **parameters: float) -> NeighbourVerification:
    return NeighbourVerification(LocalFeatureStore(RootSift(max_features=200), folder), **parameters)


def voted() -> RecognitionState:
    """The nearest two images show landmark 0, the third, really the query's scene, 1. The second query is blank."""
    similarity = np.array([[0.6, 0.5, 0.4, 0.1], [0.6, 0.5, 0.4, 0.1]], np.float32)
    images = [png(scene(seed)) for seed in (10, 11, 0, 12)]
    state = RecognitionState.begin(
        np.array([5, 6], np.uint64),
        similarity / np.linalg.norm(similarity, axis=1, keepdims=True),
        Gallery(np.eye(4, dtype=np.float32), np.array([0, 0, 1, -1], np.int32), 2),
        np.array(["zero", "one"]),
        query_images=image_set([png(seen_from_elsewhere(scene(0))), BLANK], first_id=100),
        index_images=image_set([*images]),
    )
    return NeighbourVotes(3)(Search(4)(state, RESOURCES), RESOURCES)


def test_the_published_sum_of_similarities_and_inliers(tmp_path: Path) -> None:
    before = voted()
    after = stage(tmp_path)(before, RESOURCES)
    assert after.verified.indices.shape == (2, 3) and not after.verified.filled[1].any()
    inliers = dict(zip(after.verified.indices[0].tolist(), after.verified.scores[0].tolist(), strict=True))
    assert after.verified.first[0] == 2 and inliers[2] > 40
    assert before.candidates.first.tolist() == [0, 0] and after.candidates.first.tolist() == [1, 0]
    sums = {0: 0.0, 1: 0.0}
    for image, (landmark, similarity) in enumerate(zip((0, 0, 1), before.ranking.scores[0].tolist(), strict=False)):
        count = inliers.get(image, 0)
        sums[landmark] += similarity + (min(70, count) / 70 if count >= 8 else 0)
    found = dict(zip(after.candidates.indices[0].tolist(), after.candidates.scores[0].tolist(), strict=True))
    assert found == pytest.approx(sums)
    assert after.notes["inliers"].tolist() == [inliers[2], 0]
    # The blank query has no evidence and stays.
    assert np.array_equal(after.candidates.scores[1], before.candidates.scores[1])
    assert np.array_equal(after.candidates.indices[1], before.candidates.indices[1])


def test_depth_and_floor_decide_what_counts(tmp_path: Path) -> None:
    before = voted()
    for parameters in ({"depth": 2}, {"min_inliers": 201, "saturation": 300}, {"weight": 0.0}):
        after = stage(tmp_path, **parameters)(before, RESOURCES)
        assert np.array_equal(after.candidates.scores, before.candidates.scores)
        assert np.array_equal(after.candidates.indices, before.candidates.indices)


def test_the_best_verified_count_at_most_k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stage(tmp_path, depth=4, k=1, min_inliers=10, saturation=40)
    monkeypatch.setattr(
        type(one.verification), "inliers", lambda *_: np.array([[20, 20, 30, 40], [9, 0, 0, 9]], np.int32)
    )
    before = voted()
    after = one(before, RESOURCES)
    # The most verified image has no landmark, and nothing else may count.
    assert np.array_equal(after.candidates.scores, before.candidates.scores)
    two = stage(tmp_path, depth=4, k=2, min_inliers=10, saturation=40, weight=2.0)(before, RESOURCES)
    gained = dict(zip(two.candidates.indices[0].tolist(), two.candidates.scores[0].tolist(), strict=True))
    old = dict(zip(before.candidates.indices[0].tolist(), before.candidates.scores[0].tolist(), strict=True))
    assert gained == pytest.approx({0: old[0], 1: old[1] + 1.5})


def test_neighbours_without_landmark_and_without_neighbours(tmp_path: Path) -> None:
    state = voted()
    bare = replace(state, gallery=replace(state.gallery, landmarks=np.full(4, -1, np.int32)), candidates=None)
    after = stage(tmp_path)(NeighbourVotes(3)(bare, RESOURCES), RESOURCES)
    assert not after.candidates.filled.any()
    assert after.notes["inliers"].tolist() == [0, 0]
    lonely = replace(state, ranking=Ranking.empty(2, 4))
    still = stage(tmp_path)(lonely, RESOURCES)
    assert np.array_equal(still.candidates.scores, state.candidates.scores)
