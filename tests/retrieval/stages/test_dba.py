import json

import numpy as np
import pytest

from landmarks.retrieval import neighbours
from landmarks.retrieval.index import ExactIndex
from landmarks.retrieval.stages import dba
from landmarks.retrieval.stages.dba import DatabaseAugmentation
from landmarks.retrieval.stages.qe import QueryExpansion
from landmarks.retrieval.state import SearchState
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
