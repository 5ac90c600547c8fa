import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking, SearchState
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import GuidedExpansion, QueryExpansion, Search
from resources import make_resources

RNG = np.random.default_rng(0)
QUERIES, INDEX = (RNG.standard_normal((n, 6)).astype(np.float32) for n in (3, 12))


def inliers(rows: list[list[tuple[int, float]]], depth: int) -> Ranking:
    ranking = Ranking.empty(len(rows), depth)
    for row, images in enumerate(rows):
        for place, (image, count) in enumerate(images):
            ranking.indices[row, place], ranking.scores[row, place] = image, count
    return ranking


def searched(verified: Ranking | None, depth: int = 12) -> tuple[SearchState, object]:
    resources = make_resources(ExactIndex(k=depth))
    state = Search()(SearchState(QUERIES, INDEX, verified=verified), resources)
    return state, resources


def unit(x):
    return x / np.linalg.norm(x)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_averages_with_the_nearest_and_the_sure_ones_each_once(alpha):
    plain, _ = searched(None)
    nearest, last = plain.ranking.indices[:, :2], plain.ranking.indices[:, -1]
    # Query 0: one new image that is sure, one that is near already, one with too few inliers. Query 1: nothing sure.
    found = [
        [(int(last[0]), 90.0), (int(nearest[0, 0]), 50.0), (int(plain.ranking.indices[0, 5]), 40.0)],
        [(int(last[1]), 12.0)],
        [],
    ]
    state, resources = searched(inliers(found, 4))
    after = GuidedExpansion(k=2, alpha=alpha)(state, resources)
    for query, images in enumerate([[*nearest[0], last[0]], nearest[1], nearest[2]]):
        x = unit(QUERIES[query].astype(np.float64))
        added = [unit(INDEX[image].astype(np.float64)) for image in images]
        expected = unit(x + sum(max(float(x @ y), 0.0) ** alpha * y for y in added))
        np.testing.assert_allclose(after.queries[query], expected, atol=1e-6)
    np.testing.assert_array_equal(after.ranking.indices, resources.index.search(after.queries, INDEX).indices)
    assert after.index is state.index and after.verified is state.verified


def test_no_sure_image_is_plain_query_expansion():
    state, resources = searched(Ranking.empty(3, 7))
    guided, plain = GuidedExpansion()(state, resources), QueryExpansion()(state, resources)
    np.testing.assert_array_equal(guided.queries, plain.queries)


def test_takes_the_most_inliers_up_to_its_limit():
    verified = inliers([[(image, 99.0 - image) for image in range(12)]] * 3, 12)
    state, _ = searched(verified)
    chosen = GuidedExpansion(k=1, max_verified=4).neighbours(state.ranking, verified)
    for row, first in zip(chosen, state.ranking.indices[:, 0], strict=True):
        assert sorted(row[row >= 0].tolist()) == sorted({int(first), 0, 1, 2, 3})


def test_says_which_stage_must_come_before():
    state, resources = searched(None)
    with pytest.raises(LandmarksError, match="needs the inliers of verified images: put a spatial verification before"):
        GuidedExpansion()(state, resources)
    with pytest.raises(LandmarksError, match="needs a ranking: put a search before"):
        GuidedExpansion()(SearchState(QUERIES, INDEX, verified=Ranking.empty(3, 1)), resources)
    state, resources = searched(Ranking.empty(3, 1), depth=4)
    with pytest.raises(LandmarksError, match="k is 5, but the ranking has 4 places"):
        GuidedExpansion()(state, resources)


@pytest.mark.parametrize("parameters", [{"k": 0}, {"alpha": -1}, {"min_inliers": -1}, {"max_verified": 0}])
def test_impossible_parameters_are_refused(parameters):
    with pytest.raises(LandmarksError, match=f"guided expansion: .*{next(iter(parameters))}"):
        GuidedExpansion(**parameters)
