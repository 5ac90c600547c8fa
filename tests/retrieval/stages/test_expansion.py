from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval import (
    Cache,
    DatabaseAugmentation,
    GuidedExpansion,
    QueryExpansion,
    Ranking,
    Search,
    SearchState,
    expand,
    neighbours,
)
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import expansion
from resources import make_resources, normal


def unit(x):
    return x / np.linalg.norm(x)


def by_the_formula(query, row, database, alpha, weights):
    """One expanded row, in float64 and with loops."""
    total = unit(query.astype(np.float64))
    for rank, index in enumerate(row):
        if index >= 0:
            neighbour = unit(database[index].astype(np.float64))
            weight = max(float(unit(query.astype(np.float64)) @ neighbour), 0.0) ** alpha
            total = total + weight * (1 - rank / len(row) if weights == "rank" else 1) * neighbour
    return unit(total)


@pytest.mark.parametrize("weights", ["similarity", "rank"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_equals_the_formula_row_by_row(alpha, weights, dtype):
    rng = np.random.default_rng(0)
    queries, database = (rng.standard_normal((n, 6)).astype(dtype) for n in (5, 9))
    indices = np.array([[1, 2, 3], [0, 8, -1], [4, -1, -1], [-1, -1, -1], [5, 6, 7]], np.int32)
    expanded = expand(queries, indices, database, alpha, weights)
    expected = [by_the_formula(q, row, database, alpha, weights) for q, row in zip(queries, indices, strict=True)]
    np.testing.assert_allclose(expanded, expected, atol=1e-6)
    assert expanded.dtype == np.float32


@given(st.integers(1, 40), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_workers_and_tiles_change_nothing(queries, k, workers, seed):
    rng = np.random.default_rng(seed)
    x, database = (rng.standard_normal((n, 8)).astype(np.float32) for n in (queries, 11))
    neighbours = rng.integers(-1, 11, (queries, k)).astype(np.int32)
    whole = expand(x, neighbours, database, 3.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expansion, "TILE_BYTES", 1)
        np.testing.assert_array_equal(expand(x, neighbours, database, 3.0, workers=workers), whole)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)


def test_neighbours_that_cancel_the_descriptor_leave_it_as_it_was():
    queries = np.array([[2, 0]], np.float32)
    np.testing.assert_allclose(expand(queries, np.zeros((1, 1), np.int32), -queries, 0.0), [[1, 0]])


def test_nothing_to_add():
    queries = np.array([[2, 0], [0, 3]], np.float32)
    for none in (np.empty((2, 0), np.int32), np.full((2, 3), -1, np.int32)):
        np.testing.assert_array_equal(expand(queries, none, np.empty((0, 2), np.float32), 3.0), np.eye(2))
    assert expand(queries[:0], np.empty((0, 3), np.int32), queries, 3.0).shape == (0, 2)


def test_shapes_that_do_not_fit_are_refused():
    x, neighbours = np.ones((2, 3), np.float32), np.zeros((2, 1), np.int32)
    with pytest.raises(LandmarksError, match=r"do not fit \[Q, D\]"):
        expand(x, neighbours[:1], x, 1.0)
    with pytest.raises(LandmarksError, match=r"do not fit \[Q, D\]"):
        expand(x, neighbours, x[:, :2], 1.0)
    with pytest.raises(LandmarksError, match="neighbour 2 is outside the index of 2"):
        expand(x, neighbours + 2, x, 1.0)


@pytest.mark.parametrize("stage", [QueryExpansion(), GuidedExpansion()])
def test_needs_a_ranking_that_is_deep_enough(stage):
    state, resources = guided_state(Ranking.empty(3, 1), depth=4)
    with pytest.raises(LandmarksError, match="k is 5, but the ranking has 4 places; search with a larger"):
        stage(state, resources)


def test_later_rounds_add_what_was_found_to_the_first_query():
    queries, index = normal(4, 50, dim=8, seed=1)
    resources = make_resources(ExactIndex(k=5))
    start = Search()(SearchState(queries, index), resources)
    once = QueryExpansion()(start, resources)
    by_hand = QueryExpansion()(replace(once, queries=queries), resources)
    twice = QueryExpansion(rounds=2)(start, resources)
    np.testing.assert_array_equal(twice.queries, by_hand.queries)
    assert not np.array_equal(twice.queries, once.queries)


def test_scores_of_another_kind_do_not_become_weights():
    queries, index = normal(4, 50, dim=8, seed=2)
    resources = make_resources()
    start = Search()(SearchState(queries, index), resources)
    inliers = replace(start, ranking=Ranking(start.ranking.indices, start.ranking.scores + 1000))
    plain, other = QueryExpansion()(start, resources), QueryExpansion()(inliers, resources)
    np.testing.assert_array_equal(plain.queries, other.queries)


def test_every_image_is_averaged_with_the_others_even_among_copies(monkeypatch):
    monkeypatch.setattr(expansion, "CHUNK", 4)
    monkeypatch.setattr(neighbours, "GROUP", 4)
    rng = np.random.default_rng(0)
    index = np.repeat(rng.standard_normal((3, 5)).astype(np.float32), 4, axis=0)
    unit = index / np.linalg.norm(index, axis=1, keepdims=True)
    # Three copies of each image: their mean is the image itself.
    np.testing.assert_allclose(DatabaseAugmentation(3, 1.0).augment(index, make_resources()), unit, atol=1e-6)
    # One image alone has no others.
    np.testing.assert_allclose(DatabaseAugmentation(3).augment(index[:1], make_resources()), unit[:1], atol=1e-6)


def test_only_mutual_neighbours_are_averaged_if_asked(monkeypatch):
    monkeypatch.setattr(expansion, "CHUNK", 7)
    (index,) = normal(30, dim=5)
    near = neighbours.all_neighbours(index, 4, make_resources()).indices
    own = np.array([[image if row in near[image] else -1 for image in images] for row, images in enumerate(near)])
    assert 0 < (own == -1).sum() < own.size
    augmented = DatabaseAugmentation(4, mutual=True).augment(index, make_resources())
    np.testing.assert_array_equal(augmented, expand(index, own.astype(np.int32), index, 3.0))


def test_weights_by_rank_are_another_entry_of_the_cache(tmp_path):
    (index,) = normal(30, dim=5)
    resources = make_resources(cache=Cache(tmp_path))
    near = neighbours.all_neighbours(index, 3, resources).indices
    for _ in range(2):  # made, then found
        for weights in ("similarity", "rank"):
            augmented = DatabaseAugmentation(3, 1.0, weights).augment(index, resources)
            np.testing.assert_array_equal(augmented, expand(index, near, index, 1.0, weights))
    assert len(list(tmp_path.iterdir())) == 3  # the neighbours and both indexes


RNG = np.random.default_rng(0)
QUERIES, INDEX = (RNG.standard_normal((n, 6)).astype(np.float32) for n in (3, 12))


def counted(rows: list[list[tuple[int, float]]], depth: int) -> Ranking:
    ranking = Ranking.empty(len(rows), depth)
    for row, images in enumerate(rows):
        for place, (image, count) in enumerate(images):
            ranking.indices[row, place], ranking.scores[row, place] = image, count
    return ranking


def guided_state(verified: Ranking | None, depth: int = 12) -> tuple[SearchState, object]:
    resources = make_resources(ExactIndex(k=depth))
    state = Search()(SearchState(QUERIES, INDEX, verified=verified), resources)
    return state, resources


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_averages_with_the_nearest_and_the_sure_ones_each_once(alpha):
    plain, _ = guided_state(None)
    nearest, last = plain.ranking.indices[:, :2], plain.ranking.indices[:, -1]
    # Query 0: one new image that is sure, one that is near already, one with too few counted. Query 1: nothing sure.
    found = [
        [(int(last[0]), 90.0), (int(nearest[0, 0]), 50.0), (int(plain.ranking.indices[0, 5]), 40.0)],
        [(int(last[1]), 12.0)],
        [],
    ]
    state, resources = guided_state(counted(found, 4))
    after = GuidedExpansion(k=2, alpha=alpha)(state, resources)
    for query, images in enumerate([[*nearest[0], last[0]], nearest[1], nearest[2]]):
        x = unit(QUERIES[query].astype(np.float64))
        added = [unit(INDEX[image].astype(np.float64)) for image in images]
        expected = unit(x + sum(max(float(x @ y), 0.0) ** alpha * y for y in added))
        np.testing.assert_allclose(after.queries[query], expected, atol=1e-6)
    np.testing.assert_array_equal(after.ranking.indices, resources.index.search(after.queries, INDEX).indices)
    assert after.index is state.index and after.verified is state.verified


def test_no_sure_image_is_plain_query_expansion():
    state, resources = guided_state(Ranking.empty(3, 7))
    guided, plain = GuidedExpansion()(state, resources), QueryExpansion()(state, resources)
    np.testing.assert_array_equal(guided.queries, plain.queries)


def test_takes_the_most_inliers_up_to_its_limit():
    verified = counted([[(image, 99.0 - image) for image in range(12)]] * 3, 12)
    state, _ = guided_state(verified)
    chosen = GuidedExpansion(k=1, max_verified=4).neighbours(state.ranking, verified)
    for row, first in zip(chosen, state.ranking.indices[:, 0], strict=True):
        assert sorted(row[row >= 0].tolist()) == sorted({int(first), 0, 1, 2, 3})


def test_says_which_stage_must_come_before():
    state, resources = guided_state(None)
    with pytest.raises(LandmarksError, match="needs verified images: put a spatial verification before"):
        GuidedExpansion()(state, resources)
