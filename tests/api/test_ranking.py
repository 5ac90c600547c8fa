"""Search and re-ranking of plain arrays give the pipelines' results; missing inputs are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import landmarks
from image_models import photograph
from landmarks.retrieval import Diffusion, ExactIndex, ExtractionProtocol, Pipeline, QueryExpansion, Search, SearchState

RANDOM = np.random.default_rng(0)
QUERIES, INDEX = RANDOM.normal(size=(5, 16)), RANDOM.normal(size=(60, 16))


def same(a: landmarks.Ranking, b: landmarks.Ranking) -> bool:
    return np.array_equal(a.indices, b.indices) and np.allclose(a.scores, b.scores, atol=1e-6)


@pytest.fixture(scope="module")
def ranking() -> landmarks.Ranking:
    return landmarks.search(QUERIES, INDEX, k=20)


def test_search_is_exact_whatever_the_arrays_are(ranking: landmarks.Ranking) -> None:
    cosines = (QUERIES / np.linalg.norm(QUERIES, axis=1, keepdims=True)) @ (
        INDEX / np.linalg.norm(INDEX, axis=1, keepdims=True)
    ).T
    assert np.array_equal(ranking.indices, np.argsort(-cosines, axis=1)[:, :20])
    np.testing.assert_allclose(ranking.scores, -np.sort(-cosines, axis=1)[:, :20], atol=1e-6)
    assert same(landmarks.search(torch.tensor(QUERIES), INDEX.astype(np.float32), 20), ranking)
    assert same(landmarks.search(QUERIES[0].tolist(), INDEX, 20), landmarks.search(QUERIES[:1], INDEX, 20))
    inner = landmarks.search(QUERIES, INDEX, 1, normalize=False)
    assert np.array_equal(inner.first, np.argmax(QUERIES @ INDEX.T, axis=1))
    assert landmarks.search(QUERIES, INDEX, 5, searcher="hnsw").indices.shape == (5, 5)
    assert same(landmarks.search(QUERIES, INDEX, 20, searcher=ExactIndex()), ranking)


def test_sets_of_different_protocols_are_refused() -> None:
    protocol = ExtractionProtocol("net", "0", 64, "square")
    ids = np.arange(60, dtype=np.uint64)
    queries = landmarks.DescriptorSet(ids[:5], QUERIES.astype(np.float32), protocol)
    index = landmarks.DescriptorSet(ids, INDEX.astype(np.float32), protocol)
    assert same(landmarks.search(queries, index, 20), landmarks.search(QUERIES, INDEX, 20))
    with pytest.raises(landmarks.LandmarksError, match="were made with different settings"):
        landmarks.search(replace(queries, protocol=replace(protocol, weights="1")), index)


def test_stages_and_pipelines_by_name_and_as_objects(ranking: landmarks.Ranking) -> None:
    queries, index = QUERIES.astype(np.float32), INDEX.astype(np.float32)
    state = SearchState(queries, index)

    def piped(**stages: object) -> landmarks.Ranking:
        return Pipeline(ExactIndex(20), {"search": Search(), **stages}).run(state).ranking  # type: ignore[dict-item]

    expected = piped(diffusion=Diffusion(k=8, gamma=2.0))
    assert same(landmarks.rerank(ranking, QUERIES, INDEX, "diffusion", k=8, gamma=2.0, guard=None), expected)
    assert same(landmarks.rerank(ranking, QUERIES, INDEX, Diffusion(k=8, gamma=2.0)), expected)
    expanded = piped(qe=QueryExpansion(alpha=0.0))
    assert same(landmarks.rerank(ranking, QUERIES, INDEX, "qe", alpha=0, guard=None), expanded)
    pipeline = Pipeline(ExactIndex(20), {"search": Search(), "qe": QueryExpansion(alpha=0.0)})
    assert same(landmarks.rerank(ranking, QUERIES, INDEX, pipeline), expanded)
    assert same(landmarks.rerank(ranking, QUERIES, INDEX, "dba_qe", dba=None, guard=None, qe__alpha=0), expanded)
    assert not same(landmarks.rerank(ranking, QUERIES, INDEX, "qe", alpha=0), expanded)  # guarded
    assert landmarks.rerank(None, QUERIES, INDEX, "qe").depth == 100
    assert same(landmarks.rerank(ranking, QUERIES, INDEX, "global"), ranking)


def test_a_precomputed_ranking_is_reranked() -> None:
    turned = landmarks.Ranking(np.array([[3, 1, 2]], np.int32), np.array([[0.9, 0.8, 0.7]], np.float32))
    labels = ["a", "b", "a", "b"]
    rows = np.eye(4, dtype=np.float32)
    found = landmarks.rerank(turned, rows[:1], rows, "recognition", train=rows[[0, 1]], train_labels=["a", "b"])
    assert found.depth == 3 and not same(found, turned)
    assert landmarks.mean_average_precision(found, query_labels=["a"], index_labels=labels) >= 0.5


def test_local_features_are_read_from_image_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANDMARKS_CACHE", str(tmp_path / "cache"))
    files = [photograph(tmp_path / f"{number}.png", number, 240, 320) for number in range(3)]
    rows = np.ones((3, 4), np.float32) + np.eye(3, 4, dtype=np.float32) * [[0.1], [0.2], [0.3]]
    query = photograph(tmp_path / "query.png", 2, 240, 320)
    ranking = landmarks.search(np.ones((1, 4)), rows, 3)
    assert ranking.first.tolist() == [0]
    found = landmarks.rerank(
        ranking, np.ones((1, 4)), rows, "verification", query_images=[query], index_images=files, min_inliers=4
    )
    assert found.first.tolist() == [2]


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("qee", {}, "no stage or pipeline 'qee'; did you mean 'qe'"),
        ("qe", {"alhpa": 1}, "did you mean 'alpha'"),
        ("qe", {"alpha": "x"}, "alpha: 'x'"),
        ("votes", {}, "ranks landmarks, not images"),
        ("verification", {}, "needs image files: give query_images= and index_images="),
        ("second_place_2019", {}, "needs labelled train images: give train="),
        ("regional_diffusion", {}, "give query_regions= and index_regions="),
        ("recognition", {"train": INDEX}, "give both train= and train_labels="),
        ("verification", {"query_images": ["gone.jpg"]}, "gone.jpg: there is no such file"),
        (QueryExpansion(), {"alpha": 1}, "alpha: arguments are only allowed with the name of a stage"),
    ],
)
def test_invalid_and_missing_inputs_are_named(
    ranking: landmarks.Ranking, method: object, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(landmarks.LandmarksError, match=said):
        landmarks.rerank(ranking, QUERIES, INDEX, method, **settings)  # type: ignore[arg-type]
    with pytest.raises(landmarks.LandmarksError, match="no index 'exakt'"):
        landmarks.search(QUERIES, INDEX, searcher="exakt")
    with pytest.raises(landmarks.LandmarksError, match=r"queries: expected numbers \[N, D\]"):
        landmarks.search(np.zeros((2, 3, 4)), INDEX)
