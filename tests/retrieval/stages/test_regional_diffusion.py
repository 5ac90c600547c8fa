import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache, Diffusion, Ranking, RegionalDiffusion, Search, SearchState
from landmarks.retrieval.search import ExactIndex
from landmarks.retrieval.stages import regional_diffusion
from resources import assert_same_ranking, make_resources


def searched(queries, index, query_regions, index_regions, k=20, **options):
    resources = make_resources(ExactIndex(k=k), **options)
    state = SearchState(queries, index, query_regions=query_regions, index_regions=index_regions)
    return Search()(state, resources), resources


def random_state(num_queries=5, num_index=40, regions=3, dim=8, seed=0, **options):
    rng = np.random.default_rng(seed)
    # Positive on the whole, as networks after a ReLU are: the graph hangs together.
    shown = (rng.standard_normal((num_queries + num_index, regions, dim)) + 0.7).astype(np.float32)
    whole = shown.sum(axis=1)
    return searched(whole[:num_queries], whole[num_queries:], shown[:num_queries], shown[num_queries:], **options)


@pytest.mark.parametrize("pooling", ["gmp", "sum", "max"])
def test_one_region_an_image_is_global_diffusion(pooling):
    rng = np.random.default_rng(0)
    queries, index = ((rng.standard_normal((n, 8)) + 0.5).astype(np.float32) for n in (6, 50))
    state, resources = searched(queries, index, queries[:, None], index[:, None])
    expected = Diffusion(k=10, query_k=4, mode="online")(state, resources).ranking
    found = RegionalDiffusion(None, k=10, query_k=4, pooling=pooling)(state, resources).ranking
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


@pytest.mark.parametrize("pooling", ["gmp", "sum", "max"])
def test_a_short_list_of_the_whole_index_is_the_whole_graph(pooling):
    state, resources = random_state(k=40)
    parameters = {"k": 20, "query_k": 15, "pooling": pooling}
    whole = RegionalDiffusion(None, **parameters)(state, resources).ranking
    short = RegionalDiffusion(40, **parameters)(state, resources).ranking
    np.testing.assert_allclose(short.scores, whole.scores, rtol=1e-5)
    np.testing.assert_array_equal(short.indices, whole.indices)
    assert (whole.scores != state.ranking.scores).any()


@pytest.mark.parametrize("candidates", [60, None])
def test_finds_an_object_that_fills_one_region(candidates):
    rng = np.random.default_rng(3)
    backgrounds = rng.standard_normal((60, 8, 64))
    thing = rng.standard_normal(64)
    backgrounds[:6, 2] = thing + 0.3 * rng.standard_normal((6, 64))  # in one of eight regions of six images
    query = rng.standard_normal((1, 8, 64))
    query[0, 5] = thing
    regions, query = backgrounds.astype(np.float32), query.astype(np.float32)
    state, resources = searched(query.sum(axis=1), regions.sum(axis=1), query, regions, k=60)
    assert np.isin(state.ranking.indices[0, :6], range(6)).sum() < 4
    found = RegionalDiffusion(candidates, k=8, query_k=6)(state, resources).ranking
    assert sorted(found.indices[0, :6]) == list(range(6))


@pytest.mark.parametrize("candidates", [12, None])
def test_the_same_whatever_workers_budget_and_chunk(candidates, monkeypatch, tmp_path):
    stage = RegionalDiffusion(candidates, k=8, query_k=8)
    state, resources = random_state(num_queries=11)
    expected = stage(state, resources).ranking
    monkeypatch.setattr(regional_diffusion, "QUERIES", 3)
    monkeypatch.setattr(regional_diffusion, "IMAGES", 7)
    state, one = random_state(num_queries=11, workers=1, cache=Cache(tmp_path))
    for _ in range(2):  # made, then read
        found = stage(state, one).ranking
        assert_same_ranking(found, expected)
    assert len(list(tmp_path.glob("regional*"))) == 1


def test_only_the_whole_graph_finds_what_no_search_has_found():
    state, resources = random_state(num_index=3, k=5)
    empty = state.with_ranking(Ranking.empty(5, 5))
    assert not RegionalDiffusion()(empty, resources).ranking.filled.any()
    assert RegionalDiffusion(None)(empty, resources).ranking.filled.any()


def test_without_regions_it_says_how_to_get_them():
    state, resources = random_state()
    with pytest.raises(LandmarksError, match=r"extraction\.regions"):
        RegionalDiffusion()(SearchState(state.queries, state.index, state.ranking), resources)
