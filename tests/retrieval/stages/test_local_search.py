"""Both searches by local features: by votes, and by the match kernel."""

from pathlib import Path

import numpy as np
import pytest

from images import image_set, png, scene, seen_from_elsewhere
from landmarks.local_features import RootSift
from landmarks.retrieval import EMPTY, AsmkSearch, LocalSearch, MatchKernel, Pipeline, Search, SearchState
from landmarks.retrieval.local import LocalFeatureStore, Voting
from landmarks.retrieval.search import ExactIndex
from resources import make_resources

BLANK = png(np.full((160, 200, 3), 90, np.uint8))


def planted_state() -> SearchState:
    """Scenes among others; the third query shows nothing, the fourth shows a corner of the fourth scene."""
    index: list[bytes | None] = [png(scene(seed)) for seed in (10, 11, 0, 12, 1)]
    index.append(BLANK)
    queries = [png(seen_from_elsewhere(scene(0))), png(seen_from_elsewhere(scene(1))), BLANK, png(scene(12)[:90, :110])]
    return SearchState(
        np.eye(4, 3, dtype=np.float32) + 1,
        np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32),
        query_images=image_set(list(queries), first_id=100),
        index_images=image_set(index),
    )


@pytest.fixture(params=[LocalSearch, AsmkSearch])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> LocalSearch | AsmkSearch:
    return request.param(LocalFeatureStore(RootSift(max_features=200), tmp_path / "features"))


def test_planted_scenes_come_first_and_a_query_without_features_has_no_results(stage):
    pipeline = Pipeline(ExactIndex(5), {"by_features": stage}, workers=1)
    assert pipeline.needs == {"images"}
    ranking = pipeline.run(planted_state()).ranking
    assert ranking.indices.shape == (4, 5)
    assert ranking.indices[:, 0].tolist() == [2, 4, EMPTY, 3]
    assert not ranking.filled[2].any()
    for query in (0, 1, 3):
        assert ranking.scores[query, 0] > 2 * ranking.scores[query, 1]


def test_a_query_without_votes_keeps_the_ranking_it_had(stage):
    resources = make_resources(ExactIndex(5), workers=1)
    searched = Search()(planted_state(), resources)
    found = stage(searched, resources).ranking
    assert np.array_equal(found.indices[2], searched.ranking.indices[2])
    assert np.array_equal(found.scores[2], searched.ranking.scores[2])
    assert found.indices[[0, 1, 3], 0].tolist() == [2, 4, 3]
    shallow = Search()(planted_state(), make_resources(ExactIndex(2)))
    kept = stage(shallow, resources).ranking
    assert kept.depth == 5 and kept.filled[2].tolist() == [True] * 2 + [False] * 3


def test_few_features_of_each_image(tmp_path):
    few = LocalSearch(LocalFeatureStore(RootSift(max_features=200), tmp_path), None, Voting(neighbours=5), 40)
    ranking = few(planted_state(), make_resources(workers=1)).ranking
    assert ranking.depth == 100 and ranking.indices[[0, 1, 3], 0].tolist() == [2, 4, 3]


def test_one_feature_of_each_image_has_one_word(tmp_path):
    one = AsmkSearch(LocalFeatureStore(RootSift(max_features=200), tmp_path), MatchKernel(assignments=9), 1)
    ranking = one(planted_state(), make_resources(workers=1)).ranking
    # The 5 words of 5 images with features belong to every query.
    assert 3 <= ranking.filled.sum(axis=1).max() <= 5 and ranking.scores.max() <= 5**-0.5 + 1e-6
