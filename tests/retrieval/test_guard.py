"""What the guard promises, whichever stage it watches: what a query is sure of leads, and who is unsure keeps all."""

from dataclasses import replace

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import (
    EMPTY,
    Cache,
    DatabaseAugmentation,
    Diffusion,
    Guard,
    GuidedExpansion,
    Pipeline,
    QueryExpansion,
    Ranking,
    RegionalDiffusion,
    Search,
    SearchState,
    led,
)
from landmarks.retrieval.search import ExactIndex
from resources import assert_same_ranking, make_resources, normal

K = 12
GUARDED = {
    "qe": QueryExpansion(k=3),
    "dba": DatabaseAugmentation(k=3),
    "guided_expansion": GuidedExpansion(k=3, min_inliers=1),
    "diffusion": Diffusion(k=6, query_k=3),
    "regional_diffusion": RegionalDiffusion(k=6, query_k=3),
}
every_guarded_stage = pytest.mark.parametrize("name", GUARDED)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_state(verified: dict[int, list[int]] | None = None, seed: int = 0) -> SearchState:
    """Eight queries and 40 images, of which some are mutual neighbours; and verified images of some queries."""
    queries, index, query_regions, index_regions = normal(8, 40, 16, 80, dim=4, seed=seed)
    inliers = Ranking.empty(8, 3)
    for query, images in (verified or {}).items():
        inliers.indices[query, : len(images)] = images
        inliers.scores[query, : len(images)] = 90 - np.arange(len(images))
    return SearchState(
        queries,
        index,
        verified=inliers,
        query_regions=query_regions.reshape(8, 2, 4),
        index_regions=index_regions.reshape(40, 2, 4),
    )


def run(name: str, state: SearchState, guard: Guard | None) -> tuple[SearchState, SearchState]:
    """The states before and after a stage."""
    before = Search()(state, make_resources(ExactIndex(K)))
    return before, Pipeline(ExactIndex(K), {name: GUARDED[name]}, guard=guard).run(before).state


def mutual_by_the_definition(state: SearchState, k: int) -> list[list[int]]:
    queries, index = unit(state.queries), unit(state.index)
    found = []
    for query in queries:
        nearest = np.argsort(-(index @ query), kind="stable")[:k]
        others = [np.sort(np.delete(index @ index[image], image))[::-1] for image in nearest]
        found.append([int(i) for i, near in zip(nearest, others, strict=True) if index[i] @ query >= near[k - 1]])
    return found


@pytest.mark.parametrize("k", [1, 3, 8])
def test_mutual_neighbours_are_near_from_both_sides(k):
    state = make_state()
    found = Guard(k).mutual(state.queries, state.index, make_resources(ExactIndex(K)))
    expected = mutual_by_the_definition(state, k)
    assert [row[row != EMPTY].tolist() for row in found.indices] == expected
    assert 0 < sum(map(len, expected)) < 8 * k


@every_guarded_stage
def test_a_query_without_evidence_keeps_its_ranking_and_descriptor(name):
    before, after = run(name, make_state({5: [3]}), Guard(k=1))
    sure = np.array([bool(images) for images in mutual_by_the_definition(before, 1)])
    sure[5] = True
    assert 0 < (~sure).sum() < 8
    np.testing.assert_array_equal(after.ranking.indices[~sure], before.ranking.indices[~sure])
    np.testing.assert_array_equal(after.ranking.scores[~sure], before.ranking.scores[~sure])
    np.testing.assert_array_equal(after.queries[~sure], before.queries[~sure])
    assert (after.ranking.indices[sure] != before.ranking.indices[sure]).any()


@every_guarded_stage
@pytest.mark.parametrize("seed", range(3))
def test_verified_then_mutual_images_lead_and_the_others_follow_as_the_stage_ranked_them(name, seed):
    state = make_state({0: [39, 7], 3: [1]}, seed)
    before, after = run(name, state, Guard(k=4))
    plain = run(name, state, None)[1].ranking
    for query, mutual in enumerate(mutual_by_the_definition(before, 4)):
        images = {0: [39, 7], 3: [1]}.get(query, [])
        leaders = images + [image for image in mutual if image not in images]
        if leaders:
            rest = [image for image in plain.indices[query].tolist() if image not in leaders]
            assert after.ranking.indices[query].tolist() == (leaders + rest)[:K]


@every_guarded_stage
def test_without_a_guard_a_pipeline_gives_what_was_published(name):
    before, after = run(name, make_state({1: [4]}), None)
    assert_same_ranking(after.ranking, GUARDED[name](before, make_resources(ExactIndex(K))).ranking)


def test_a_later_search_puts_verified_images_first_and_changes_nothing_else():
    state = make_state({2: [30, 31, 32]})
    stages = {"search": Search()}
    plain = Pipeline(ExactIndex(K), stages).run(state).ranking
    after = Pipeline(ExactIndex(K), stages, guard=Guard()).run(state).ranking
    assert after.indices[2, :3].tolist() == [30, 31, 32]
    others = np.arange(8) != 2
    assert_same_ranking(*(Ranking(ranking.indices[others], ranking.scores[others]) for ranking in (after, plain)))


def test_the_stage_that_verified_orders_its_own_ranking():
    class Verification:
        def __call__(self, state, resources):
            return replace(state, verified=Ranking(state.ranking.indices[:, ::-1].copy(), state.ranking.scores))

    stages = {"search": Search(), "verification": Verification()}
    plain = Pipeline(ExactIndex(K), stages).run(make_state()).ranking
    assert_same_ranking(Pipeline(ExactIndex(K), stages, guard=Guard()).run(make_state()).ranking, plain)


def test_mutual_neighbours_are_those_before_the_first_guarded_stage():
    stages = {"search": Search(), "dba": GUARDED["dba"], "qe": GUARDED["qe"]}
    state = make_state()
    after = Pipeline(ExactIndex(K), stages, guard=Guard(4)).run(state).state
    assert after.index is not state.index
    expected = Guard(4).mutual(state.queries, state.index, make_resources(ExactIndex(K)))
    assert_same_ranking(after.mutual, expected)


def test_mutual_neighbours_are_kept_in_the_cache(tmp_path):
    state = make_state()
    for _ in range(2):
        resources = make_resources(ExactIndex(K), Cache(tmp_path))
        found = Guard(4).mutual(state.queries, state.index, resources)
    assert_same_ranking(found, Guard(4).mutual(state.queries, state.index, make_resources(ExactIndex(K))))
    assert len(list(tmp_path.iterdir())) == 1


def test_copies_of_a_query_are_its_mutual_neighbours():
    (index,) = normal(6, dim=4)
    index = np.concatenate([index, index[:1], index[:1]])
    found = Guard(2).mutual(index[:1], index, make_resources(ExactIndex(K)))
    assert set(found.indices[0].tolist()) <= {0, 6, 7} and found.filled.all()


@pytest.mark.parametrize("images", [0, 1, 3])
def test_small_indexes(images):
    queries, index = normal(2, 5, dim=4)
    state = SearchState(queries, index[:images])
    ranking = Pipeline(ExactIndex(K), {"search": Search(), "qe": GUARDED["qe"]}, guard=Guard()).run(state).ranking
    assert (ranking.filled.sum(axis=1) == images).all()


def test_k_below_1_is_refused():
    with pytest.raises(LandmarksError, match="guard: k is 0"):
        Guard(0)


def test_leaders_take_the_best_score_and_count_once():
    ranking = Ranking(
        np.array([[4, 2, 9], [1, EMPTY, EMPTY]], np.int32), np.array([[3, 2, 1], [-1] + [-np.inf] * 2]).astype("f4")
    )
    found = led(ranking, np.array([[9, EMPTY, 7, 9], [EMPTY] * 4], np.int32))
    assert found.indices.tolist() == [[9, 7, 4], [1, EMPTY, EMPTY]]
    assert found.scores.tolist() == [[3, 3, 3], [-1, -np.inf, -np.inf]]
    assert led(Ranking.empty(1, 2), np.array([[5]], np.int32)).scores.tolist() == [[0, -np.inf]]
