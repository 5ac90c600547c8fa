import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval.search import ExactIndex, bfloat16, choose_backend
from landmarks.retrieval.search import index as index_module
from resources import assert_same_ranking, normal


def brute_force(queries, database, k, normalize=True):
    """All scores in float64, rounded, sorted by score and then row."""
    if normalize:
        queries, database = (
            (x.astype(np.float32) / np.sqrt((x.astype(np.float64) ** 2).sum(1)).astype(np.float32)[:, None])
            for x in (queries, database)
        )
    scores = (queries.astype(np.float64) @ database.astype(np.float64).T).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def assert_equal_to_brute_force(ranking, queries, database, k, normalize=True):
    order, scores = brute_force(queries, database, k, normalize)
    found = min(k, len(database))
    np.testing.assert_array_equal(ranking.indices[:, :found], order)
    np.testing.assert_allclose(ranking.scores[:, :found], scores, rtol=0, atol=2e-7 * max(1, np.abs(scores).max()))
    assert (ranking.indices[:, found:] == -1).all() and np.isneginf(ranking.scores[:, found:]).all()


@given(data=st.data())
def test_equals_brute_force_with_every_backend_and_block_size(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size, queries_size, k = data.draw(st.integers(1, 90)), data.draw(st.integers(0, 5)), data.draw(st.integers(1, 60))
    # Small whole numbers and repeated rows: ties everywhere, also at place k.
    distinct = rng.integers(-2, 3, (data.draw(st.integers(1, size)), 6)).astype(np.float32)
    distinct[:, 0] = 3
    database = distinct[rng.integers(0, len(distinct), size)]
    queries = rng.integers(1, 4, (queries_size, 6)).astype(np.float32)
    normalize = data.draw(st.booleans())
    block = data.draw(st.sampled_from([1, 300, 10**6]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "BLOCK_BYTES", block)
        patch.setattr(index_module, "MARGIN", data.draw(st.sampled_from([0, 3, 28])))
        backend = data.draw(st.sampled_from(["faiss", "torch", "bf16"]))
        ranking = ExactIndex(k, backend, normalize).search(queries, database)
    order, scores = brute_force(queries, database, k, normalize)
    found = min(k, size)
    if not normalize:
        # Whole numbers multiply without rounding: everything is equal, order of ties included.
        np.testing.assert_array_equal(ranking.indices[:, :found], order)
        np.testing.assert_array_equal(ranking.scores[:, :found], scores)
    # Cosines of different rows may tie but for the last bit; then each place holds one of the tied rows.
    np.testing.assert_allclose(ranking.scores[:, :found], scores, rtol=2e-7)
    of_all = np.zeros((queries_size, size), np.float32)
    every_order, every_score = brute_force(queries, database, size, normalize)
    np.put_along_axis(of_all, every_order, every_score, axis=1)
    np.testing.assert_allclose(np.take_along_axis(of_all, ranking.indices[:, :found], axis=1), scores, rtol=2e-7)
    ranking.check(queries_size, size)


def test_copies_of_one_image_rank_by_row_whatever_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    database = np.repeat(rng.standard_normal((5, 16)).astype(np.float32), 40, axis=0)
    queries = rng.standard_normal((12, 16)).astype(np.float32)
    for block in (500, 5000, 1 << 26):
        monkeypatch.setattr(index_module, "BLOCK_BYTES", block)
        for backend in ("faiss", "torch", "bf16"):
            ranking = ExactIndex(50, backend).search(queries, database)
            assert_equal_to_brute_force(ranking, queries, database, 50)


def test_a_network_that_maps_everything_to_one_direction_is_still_searched_exactly():
    rng = np.random.default_rng(0)
    database = (1 + 1e-5 * rng.standard_normal((3000, 32))).astype(np.float32)
    queries = (1 + 1e-5 * rng.standard_normal((70, 32))).astype(np.float32)
    first = ExactIndex(50, "faiss", memory_budget_mb=1).search(queries, database)
    second = ExactIndex(50, "torch").search(queries, database)
    np.testing.assert_array_equal(first.indices, second.indices)
    assert_equal_to_brute_force(first, queries, database, 50)


def test_small_budgets_and_mapped_half_precision_give_the_same(tmp_path):
    rng = np.random.default_rng(0)
    database = rng.standard_normal((3000, 256)).astype(np.float16)
    np.save(tmp_path / "index.npy", database)
    mapped = np.load(tmp_path / "index.npy", mmap_mode="r")
    queries = rng.standard_normal((300, 256)).astype(np.float32)
    small = ExactIndex(memory_budget_mb=1).search(queries, mapped)
    large = ExactIndex().search(queries, database)
    assert_same_ranking(small, large)
    assert_equal_to_brute_force(large, queries, database, 100)


def test_lower_precision_allowed_by_training_does_not_reach_the_search(monkeypatch):
    queries, database = normal(50, 2000, dim=128)
    seen = []
    topk = torch.topk

    def watched(*args, **options):
        # Not every processor computes otherwise when allowed to, so look at the setting itself.
        seen.append(torch.get_float32_matmul_precision())
        return topk(*args, **options)

    monkeypatch.setattr(torch, "topk", watched)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert_equal_to_brute_force(ExactIndex(20, "torch").search(queries, database), queries, database, 20)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(seen) == {"highest"}


def test_k_of_the_call_wins_and_an_empty_index_gives_empty_places():
    queries, database = normal(3, 9, dim=8)
    assert ExactIndex(5).search(queries, database, k=2).indices.shape == (3, 2)
    assert not ExactIndex(5).search(queries, database[:0]).filled.any()
    assert ExactIndex(5).search(queries[:0], database).indices.shape == (0, 5)


def test_reproduces_published_nearest_neighbours(oracles):
    folder = oracles / "reranking"
    queries, database = (np.load(folder / f"{name}.npy").astype(np.float32) for name in ("queries", "index"))
    expected = np.load(folder / "expected_rankings.npz")
    # The published ranking took float16 rows as they were, a little off length one.
    ranking = ExactIndex(normalize=False).search(queries, database)
    np.testing.assert_allclose(ranking.scores, expected["knn_scores"], atol=1e-4)
    assert (ranking.indices == expected["knn"]).mean() > 0.999


def test_bad_descriptors_are_named():
    good = np.ones((4, 3), np.float32)
    bad = good.copy()
    bad[2] = 0
    with pytest.raises(LandmarksError, match="index descriptors: 1 of 4 rows hold only zeros, the first is row 2"):
        ExactIndex().search(good, bad)
    bad[1] = np.nan
    with pytest.raises(LandmarksError, match="query descriptors: 1 of 4 rows hold NaN or infinity, the first is row 1"):
        ExactIndex().search(bad, good)
    with pytest.raises(LandmarksError, match="3 dimensions and the index 2"):
        ExactIndex().search(good, good[:, :2])
    with pytest.raises(LandmarksError, match="k \\(0\\)"):
        ExactIndex(k=0)
    with pytest.raises(LandmarksError, match="k \\(-1\\)"):
        ExactIndex().search(good, good, k=-1)


@given(data=st.data())
def test_bfloat16_gives_the_same_ranking_bit_for_bit(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    dim, k = data.draw(st.sampled_from([16, 200])), data.draw(st.sampled_from([1, 10, 40]))
    size = data.draw(st.integers(16 * k, 2000))
    centres = rng.standard_normal((max(1, size // data.draw(st.sampled_from([1, 10, 200]))), dim))
    drawn = centres[rng.integers(0, len(centres), size + 30)]
    # Landmarks, near ties, or copies.
    drawn = drawn + data.draw(st.sampled_from([0, 1e-4, 0.5])) * rng.standard_normal(drawn.shape)
    dtype, normalize = data.draw(st.sampled_from([np.float32, np.float16])), data.draw(st.booleans())
    database, queries = drawn[:size].astype(dtype), drawn[size:].astype(dtype)
    expected = ExactIndex(k, "torch", normalize).search(queries, database)
    ranking = ExactIndex(k, "bf16", normalize, data.draw(st.sampled_from([4, 1024]))).search(queries, database)
    assert_same_ranking(ranking, expected)


def test_bfloat16_is_taken_for_large_searches_on_processors_with_units_and_left_where_it_cannot_decide(monkeypatch):
    rng = np.random.default_rng(0)
    database = rng.standard_normal((900, 32)).astype(np.float32)
    same = (1 + 1e-5 * rng.standard_normal((900, 32))).astype(np.float32)
    asked = []
    propose = bfloat16.propose

    def watched(*args):
        asked.append(propose(*args) is not None)
        return propose(*args)

    monkeypatch.setattr(bfloat16, "propose", watched)
    monkeypatch.setattr(bfloat16, "most_candidates", lambda k: 200)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(bfloat16, "WORTHWHILE", 900 * 20)
    for units, rows, expected in ((False, 20, []), (True, 19, []), (True, 20, [True])):
        asked.clear()
        monkeypatch.setattr(bfloat16, "has_bfloat16_units", lambda units=units: units)
        ExactIndex(5).search(database[:rows], database)
        assert asked == expected
    asked.clear()
    # Tiles of a few queries: after the first one float32 does the rest.
    monkeypatch.setattr(bfloat16, "query_bytes", lambda dim, k: 64 * 1024)
    ranking = ExactIndex(5, "bf16", memory_budget_mb=4).search(same[:80], same)
    assert asked == [False]
    np.testing.assert_array_equal(ranking.indices, ExactIndex(5, "faiss").search(same[:80], same).indices)


def test_without_faiss_torch_searches_and_asking_for_faiss_is_an_error(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert choose_backend("auto", 100).name == "torch"
    with pytest.raises(LandmarksError, match=r"needs faiss, which is not installed.*or use torch"):
        choose_backend("faiss", 100)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["faiss", "torch"])
def test_blocks_of_a_mapped_file_are_searched_where_they_lie(name, tmp_path):
    np.save(tmp_path / "index.npy", np.eye(8, dtype=np.float32))
    block = np.load(tmp_path / "index.npy", mmap_mode="r")
    assert choose_backend(name, 1).search(np.eye(8, dtype=np.float32), np.asarray(block), 1)[1].ravel().tolist() == [
        *range(8)
    ]
