"""What every approximate kind must do, tested on all of them."""

import importlib.util
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.retrieval import Ranking
from landmarks.retrieval.search import (
    ExactIndex,
    HnswIndex,
    IvfPqIndex,
    ScalarIndex,
    number_of_lists,
    number_of_probes,
    recall,
)
from landmarks.retrieval.search import approximate_index as index_module
from resources import assert_same_ranking

KINDS = [HnswIndex, IvfPqIndex, ScalarIndex]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def clustered(rows, dim=16, seed=0, per_landmark=20):
    """Descriptors like those of photographs: some landmarks, some images of each, not of length one."""
    rng = np.random.default_rng(seed)
    landmarks = rng.standard_normal((rows // per_landmark, dim))
    images = landmarks[rng.integers(0, len(landmarks), rows)] + 0.5 * rng.standard_normal((rows, dim))
    return (images * rng.uniform(0.5, 2, (rows, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def database():
    return clustered(2000)


@each_kind
def test_finds_nearly_all_and_scores_them_exactly(kind, database):
    queries = database[::10] + np.float32(0.1)
    found, exact = kind(20).search(queries, database), ExactIndex(20).search(queries, database)
    found.check(len(queries), len(database))
    assert recall(found, exact) > 0.95
    same = found.indices == exact.indices
    assert same.mean() > 0.8
    np.testing.assert_array_equal(found.scores[same], exact.scores[same])


@each_kind
def test_no_place_stays_empty_where_many_rows_are_equal(kind, caplog):
    rng = np.random.default_rng(0)
    database = rng.normal(size=(1200, 64)).astype(np.float32)
    database[:1100] = database[0]
    queries = np.vstack([database[:1], rng.normal(size=(4, 64))]).astype(np.float32)
    with caplog.at_level(logging.INFO):
        found = kind().search(queries, database)
    found.check(len(queries), len(database))
    assert found.filled.all()
    assert "of 5 queries, as happens if many rows are equal; these queries are searched exactly" in caplog.text
    assert found.scores[0].tolist() == ExactIndex().search(queries, database).scores[0].tolist()


@each_kind
def test_reproduces_neighbours_of_real_photographs(kind, oracles):
    queries, index = (np.load(oracles / "reranking" / f"{name}.npy") for name in ("queries", "index"))
    assert recall(kind(50).search(queries, index), ExactIndex(50).search(queries, index)) > 0.97


@settings(max_examples=10)
@given(data=st.data())
def test_looking_everywhere_is_exact(data):
    seed, k = data.draw(st.integers(0, 99)), data.draw(st.integers(1, 40))
    database = clustered(data.draw(st.integers(50, 200)), dim=data.draw(st.sampled_from([5, 8])), seed=seed)
    queries = clustered(20, dim=database.shape[1], seed=seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SMALLEST", 1)
        patch.setattr(index_module, "TILE", data.draw(st.sampled_from([3, 4096])))
        all_but_one = (len(database) - 1) / k
        scalar = ScalarIndex(k, probes=10**6, oversampling=all_but_one)
        graph = HnswIndex(k, build_width=400, search_width=400, oversampling=all_but_one)
        exact = ExactIndex(k).search(queries, database)
        for searcher in (scalar, graph):
            found = searcher.search(queries, database)
            assert_same_ranking(found, exact)


@each_kind
def test_the_same_twice_with_any_threads_budget_and_tiles(kind, database, monkeypatch):
    import faiss

    queries = database[:200]
    first = kind(20).search(queries, database)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    monkeypatch.setattr(index_module, "TILE", 64)
    try:
        second = kind(20, memory_budget_mb=1).search(queries, database)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(threads)
    assert_same_ranking(first, second)


@each_kind
def test_built_once_for_a_database_and_anew_for_another_or_a_changed_one(kind, database, tmp_path, monkeypatch):
    class Counting(kind):
        built = 0

        def _build(self, database):
            type(self).built += 1
            return super()._build(database)

    searcher = Counting(5)
    first = searcher.search(database[:9], database)
    searcher.search(database[9:20], database)
    assert Counting.built == 1
    changed = database.copy()
    searcher.search(database[:9], changed)
    changed[:9] = -changed[:9]
    assert searcher.search(database[:9], changed).scores[0, 0] < 1
    assert Counting.built == 3
    np.save(tmp_path / "index.npy", database)
    mapped = np.load(tmp_path / "index.npy", mmap_mode="r")
    for _ in range(2):
        again = searcher.search(database[:9], mapped)
    assert Counting.built == 4
    np.testing.assert_array_equal(first.indices, again.indices)
    del mapped
    assert searcher._built is None


@each_kind
def test_few_images_are_searched_exactly_and_the_log_says_so(kind, database, caplog):
    caplog.set_level(logging.INFO)
    for rows, k in ((0, 5), (1, 5), (500, 5), (2000, 1900)):
        found = kind(k).search(database[:7], database[:rows])
        exact = ExactIndex(k).search(database[:7], database[:rows])
        np.testing.assert_array_equal(found.indices, exact.indices)
        assert "searched exactly" in caplog.text
        caplog.clear()
    assert kind(5).search(database[:0], database).indices.shape == (0, 5)


@each_kind
def test_copies_of_one_image_are_found(kind):
    database = np.repeat(clustered(40), 50, axis=0)
    found = kind(10).search(database[::50], database)
    np.testing.assert_allclose(found.scores, 1, atol=1e-6)


@each_kind
def test_recall_is_logged_when_asked_for(kind, database, caplog):
    caplog.set_level(logging.INFO)
    searcher = kind(10, recall_queries=50)
    searcher.search(database[:80], database)
    searcher.search(database[:80], database)
    lines = [record.getMessage() for record in caplog.records if "recall@10" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith(f"{kind.kind}: recall@10 ") and "on 50 queries" in lines[0]


@each_kind
def test_bad_input_is_named_like_by_exact_search(kind, database):
    bad = database.copy()
    bad[1500] = 0
    with pytest.raises(LandmarksError, match="1 of 2000 rows hold only zeros, the first is row 1500"):
        kind().search(database, bad)
    bad[7] = np.nan
    with pytest.raises(
        LandmarksError, match="index descriptors: 1 of 2000 rows hold NaN or infinity, the first is row 7"
    ):
        kind().search(database, bad)
    with pytest.raises(LandmarksError, match="query descriptors"):
        kind().search(bad, database)
    with pytest.raises(LandmarksError, match="16 dimensions and the index 15"):
        kind().search(database, database[:, :15])
    with pytest.raises(LandmarksError, match="k \\(0\\)"):
        kind().search(database, database, k=0)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *((kind, *wrong) for kind in KINDS for wrong in (("k", 0), ("oversampling", 0.5), ("recall_queries", -1))),
        *((kind, "memory_budget_mb", 0) for kind in KINDS),
        *((HnswIndex, name, 0) for name in ("links", "build_width", "search_width")),
        *((ScalarIndex, name, value) for name in ("lists", "probes") for value in (0, -1)),
        (IvfPqIndex, "code_bytes", 0),
    ],
)
def test_wrong_parameters_are_refused(kind, name, value):
    with pytest.raises(LandmarksError, match=rf"index.*{name}"):
        kind(**{name: value})


@each_kind
def test_without_faiss_the_error_says_what_to_install(kind, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LandmarksError, match=f"index {kind.kind} needs faiss.*install faiss-cpu"):
        kind()


@each_kind
def test_every_parameter_but_the_budget_is_part_of_the_signature(kind):
    signature = kind().signature()
    assert signature["kind"] == kind.kind
    given = {name: value for name, value in vars(kind()).items() if not name.startswith("_")}
    assert given.keys() - signature.keys() == {"k", "memory_budget_mb", "recall_queries"}


@pytest.mark.parametrize(
    ("kind", "fixed", "name", "values", "least"),
    [
        (HnswIndex, {"links": 8}, "search_width", (20, 500), 0.98),
        (ScalarIndex, {}, "probes", (1, 100), 0.99),
        (IvfPqIndex, {"code_bytes": 4, "probes": 1000}, "oversampling", (1, 40), 0.9),
    ],
)
def test_looking_harder_finds_more(kind, fixed, name, values, least):
    database = np.random.default_rng(0).standard_normal((2000, 32)).astype(np.float32)  # without structure: hard
    exact = ExactIndex(10).search(database[:100], database)
    few, many = (recall(kind(10, **fixed, **{name: n}).search(database[:100], database), exact) for n in values)
    assert few < many > least


def test_built_on_all_threads_it_still_finds():
    database = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    found = HnswIndex(10, repeatable=False).search(database, database)
    assert recall(found, ExactIndex(10).search(database, database)) > 0.98


def test_lists_grow_with_the_set_as_far_as_it_can_train_them():
    assert number_of_lists(761_757, None) == 131_072 // 39
    assert number_of_lists(3900, None) == 100
    assert number_of_lists(3900, 7) == 7
    assert number_of_lists(1, 7) == 1


def test_probes_are_a_tenth_of_the_lists_but_not_few():
    assert [number_of_probes(lists, None) for lists in (3000, 100, 7)] == [300, 16, 7]
    assert [number_of_probes(50, asked) for asked in (1, 99)] == [1, 50]


@pytest.mark.parametrize(("dim", "asked", "taken"), [(24, 10, 8), (7, 64, 7), (13, 5, 1)])
def test_a_code_takes_the_largest_number_of_bytes_that_divides_the_dimensions(dim, asked, taken):
    database = np.random.default_rng(0).standard_normal((1200, dim)).astype(np.float32)
    searcher = IvfPqIndex(5, code_bytes=asked)
    searcher.search(database[:5], database)
    assert taken == searcher._built.index.pq.M


def ranking(indices, scores):
    return Ranking(np.array(indices, np.int32), np.array(scores, np.float32))


@pytest.mark.parametrize(
    ("found", "exact", "share"),
    [
        (
            ranking([[4, 7, -1], [1, 2, 3]], [[3, 1, -np.inf], [3, 2, 1]]),
            ranking([[4, 2, 7], [1, 2, 3]], [[3, 2, 1]] * 2),
            5 / 6,
        ),
        (ranking([[9, 8]], [[2, 1]]), ranking([[9, 5]], [[2, 1]]), 1),  # another copy of the same image counts
        (ranking([[0, -1]], [[1, -np.inf]]), ranking([[0, -1]], [[1, -np.inf]]), 1),  # what cannot be filled does not
        (Ranking.empty(1, 2), ranking([[0, -1]], [[1, -np.inf]]), 0),
        (Ranking.empty(2, 3), Ranking.empty(2, 3), 1),
    ],
)
def test_share_of_the_exact_results(found, exact, share):
    assert recall(found, exact) == pytest.approx(share)
