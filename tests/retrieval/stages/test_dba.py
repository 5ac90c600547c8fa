import json

import numpy as np
import pytest

from landmarks.errors import LandmarksError
from landmarks.retrieval import Cache, SearchState
from landmarks.retrieval.search import ExactIndex, neighbours
from landmarks.retrieval.stages import DatabaseAugmentation, QueryExpansion, dba
from resources import make_resources


@pytest.mark.parametrize("alpha", [0, 3])
@pytest.mark.parametrize("normalize", [False, True])
def test_reproduces_published_rankings(oracles, reranking_map, alpha, normalize):
    folder = oracles / "reranking"
    queries, index = (np.load(folder / f"{name}.npy") for name in ("queries", "index"))
    figures = json.loads((folder / "expected.json").read_text())["map@100"]
    published = np.load(folder / "expected_rankings.npz")
    resources = make_resources(ExactIndex(normalize=normalize))
    augmented = DatabaseAugmentation(5, alpha)(SearchState(queries, index), resources)
    expanded = QueryExpansion(5, alpha)(augmented, resources)
    for name, state in (("dba", augmented), ("dba_then_qe", expanded)):
        key = f"{name}_k5_alpha{alpha}"
        assert reranking_map(state.ranking) == pytest.approx(figures[key], abs=1e-3)
        np.testing.assert_allclose(state.ranking.scores, published[f"{key}_scores"], atol=1e-4)


def test_every_image_is_averaged_with_the_others_even_among_copies(monkeypatch):
    monkeypatch.setattr(dba, "CHUNK", 4)
    monkeypatch.setattr(neighbours, "GROUP", 4)
    rng = np.random.default_rng(0)
    index = np.repeat(rng.standard_normal((3, 5)).astype(np.float32), 4, axis=0)
    unit = index / np.linalg.norm(index, axis=1, keepdims=True)
    # Three copies of each image: their mean is the image itself.
    np.testing.assert_allclose(DatabaseAugmentation(3, 1.0).augment(index, make_resources()), unit, atol=1e-6)
    # One image alone has no others.
    np.testing.assert_allclose(DatabaseAugmentation(3).augment(index[:1], make_resources()), unit[:1], atol=1e-6)


def test_an_empty_index_is_refused():
    with pytest.raises(LandmarksError, match="the index has 0 images"):
        DatabaseAugmentation(3).augment(np.empty((0, 4), np.float32), make_resources())


def test_weights_by_rank_are_another_entry_of_the_cache(tmp_path):
    index = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    resources = make_resources(cache=Cache(tmp_path))
    unit = index / np.linalg.norm(index, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(30)
    nearest = np.argsort(-cosines, axis=1)[:, :3]
    for _ in range(2):  # made, then found
        for weights, by_rank in (("similarity", [1, 1, 1]), ("rank", [1, 2 / 3, 1 / 3])):
            shares = np.maximum(np.take_along_axis(cosines, nearest, axis=1), 0) * by_rank
            total = unit + np.einsum("nk,nkd->nd", shares, unit[nearest])
            augmented = DatabaseAugmentation(3, 1.0, weights).augment(index, resources)
            np.testing.assert_allclose(augmented, total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-6)
    assert len(list(tmp_path.iterdir())) == 3  # the neighbours and both indexes


def test_impossible_parameters_are_refused():
    with pytest.raises(LandmarksError, match="database augmentation: k must be"):
        DatabaseAugmentation(k=0)
    with pytest.raises(LandmarksError, match="database augmentation: weights must be"):
        DatabaseAugmentation(weights="ranks")
