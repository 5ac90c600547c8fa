from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images import image_set, png, scene, seen_from_elsewhere
from landmarks.local_features import RootSift
from landmarks.retrieval import EMPTY, Pipeline, Ranking, Search, SearchState, SpatialVerification, verified
from landmarks.retrieval.local import LocalFeatureStore
from landmarks.retrieval.search import ExactIndex
from resources import make_resources

BLANK = png(np.full((160, 200, 3), 90, np.uint8))


def stage(folder: str | Path = "unused", **parameters: object) -> SpatialVerification:
    return SpatialVerification(LocalFeatureStore(RootSift(max_features=200), folder), **parameters)


def planted_state() -> SearchState:
    """Two scenes among others; global descriptors put the right image third. The third query shows nothing."""
    index = [scene(10), scene(11), scene(0), scene(12), scene(1)]
    queries: list[bytes | None] = [png(seen_from_elsewhere(scene(0))), png(seen_from_elsewhere(scene(1))), BLANK]
    descriptors = np.eye(5, dtype=np.float32)[None].repeat(3, 0)
    wanted = np.array([[0.6, 0.5, 0.4, 0.3, 0.2], [0.6, 0.5, 0.3, 0.2, 0.4], [0.5, 0.6, 0.4, 0.3, 0.2]], np.float32)
    return SearchState(
        wanted,
        descriptors[0],
        query_images=image_set(queries, first_id=100),
        index_images=image_set([png(one) for one in index]),
    )


def test_planted_scenes_come_first_and_a_query_without_features_stays(tmp_path):
    pipeline = Pipeline(ExactIndex(5), {"search": Search(), "verification": stage(tmp_path)}, workers=1)
    assert pipeline.needs == {"images"}
    state = planted_state()
    before = make_resources(ExactIndex(5)).index.search(state.queries, state.index)
    result = pipeline.run(state)
    assert before.indices[:, 0].tolist() == [0, 0, 1]
    assert result.ranking.indices.tolist() == [[2, 0, 1, 3, 4], [4, 0, 1, 2, 3], [1, 0, 2, 3, 4]]
    assert np.array_equal(result.ranking.indices[2], before.indices[2])
    assert np.array_equal(result.ranking.scores[2], before.scores[2])
    found = result.state.verified
    assert found.indices[:, 0].tolist() == [2, 4, EMPTY]
    assert (found.scores[:2, 0] > 40).all() and (found.scores[:2, 1] < 8).all()


def test_depth_says_how_far_it_looks(tmp_path):
    state = planted_state()
    search = make_resources(ExactIndex(5), workers=1)
    ranked = Search()(state, search)
    two = stage(tmp_path, depth=2)(ranked, search)
    assert np.array_equal(two.ranking.indices, ranked.ranking.indices)
    assert two.verified.depth == 2
    far = stage(tmp_path, depth=1000)(ranked, search)
    assert far.ranking.indices[:2, 0].tolist() == [2, 4]


@st.composite
def rankings_with_inliers(draw: st.DrawFn) -> tuple[Ranking, np.ndarray]:
    queries, depth = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    scores = -np.sort(-rng.choice([-0.5, 0.0, 0.2, 0.7, *rng.normal(0, 1, 5)], (queries, depth)), axis=1)
    indices = np.array([rng.permutation(depth) for _ in range(queries)], np.int32)
    for query in range(queries):
        filled = draw(st.integers(0, depth))
        indices[query, filled:], scores[query, filled:] = EMPTY, -np.inf
    inliers = rng.choice([0, 0, 3, 7, 8, 9, 20, 70, 500], (queries, draw(st.integers(1, depth)))).astype(np.int32)
    inliers[indices[:, : inliers.shape[1]] == EMPTY] = 0
    return Ranking(indices, scores.astype(np.float32)), inliers


def places(ranking: Ranking) -> np.ndarray:
    """[Q, N] the place of every image, K where it has none."""
    found = np.full((ranking.num_queries, ranking.depth + 1), ranking.depth)
    np.put_along_axis(found, np.where(ranking.filled, ranking.indices, ranking.depth), np.arange(ranking.depth), 1)
    return found[:, :-1]


@settings(max_examples=100)
@given(rankings_with_inliers(), st.booleans(), st.sampled_from([0.0, 0.1, 1.0, 1e6]))
def test_reranking_keeps_every_image_and_the_order_without_evidence(case, by_inliers, weight):
    ranking, inliers = case
    one = stage(min_inliers=8, weight=weight, by_inliers=by_inliers)
    result = one.rerank(ranking, inliers)
    result.check(ranking.num_queries, ranking.depth)
    assert np.array_equal(np.sort(result.indices), np.sort(ranking.indices))
    # No convincing match: nothing changes at all.
    plain = (inliers < 8).all(axis=1)
    assert np.array_equal(result.indices[plain], ranking.indices[plain])
    assert np.array_equal(result.scores[plain], ranking.scores[plain])
    # Images without evidence keep their order and score among themselves.
    for query in range(ranking.num_queries):
        shown = ranking.indices[query, : inliers.shape[1]]
        evident = set(shown[inliers[query] >= 8].tolist())
        before = [
            (i, s) for i, s in zip(ranking.indices[query], ranking.scores[query], strict=True) if i not in evident
        ]
        after = [(i, s) for i, s in zip(result.indices[query], result.scores[query], strict=True) if i not in evident]
        assert before == after
        if by_inliers and evident:
            first = result.indices[query, : len(evident)].tolist()
            counts = dict(zip(shown.tolist(), inliers[query].tolist(), strict=True))
            assert set(first) == evident
            assert [counts[i] for i in first] == sorted((counts[i] for i in first), reverse=True)
    # One image's own evidence never makes it fall.
    for query, place in np.argwhere(inliers > 0):
        without = inliers.copy()
        without[query, place] = 0
        image = ranking.indices[query, place]
        assert places(result)[query, image] <= places(one.rerank(ranking, without))[query, image]


@given(rankings_with_inliers())
def test_verified_images_stand_in_order_of_inliers(case):
    ranking, inliers = case
    found = verified(ranking, inliers)
    for query in range(ranking.num_queries):
        expected = [
            (-count, place, image)
            for place, (image, count) in enumerate(zip(ranking.indices[query], inliers[query], strict=False))
            if count > 0
        ]
        kept = found.filled[query]
        assert found.indices[query][kept].tolist() == [image for _, _, image in sorted(expected)]
        assert found.scores[query][kept].tolist() == [-count for count, _, _ in sorted(expected)]


def test_evidence_begins_at_the_floor_and_ends_at_the_saturation():
    found = stage(min_inliers=8, saturation=70).evidence(np.array([[0, 7, 8], [35, 70, 500]], np.int32))
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 0, pytest.approx(8 / 70)], [0.5, 1, 1]]
