"""The index of a match kernel: made in chunks, resumed, kept; and what a search finds in it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from landmarks.local_features import FeatureKind
from landmarks.retrieval import Cache, Ranking
from landmarks.retrieval.local import (
    LocalFeatureTable,
    MatchKernel,
    aggregate,
    asmk_index,
    nearest_words,
    open_lists,
    search_by_kernel,
)
from local_tables import features_of, table_of
from resources import assert_same_ranking, make_resources

KERNEL = MatchKernel(words=12, assignments=3)
COUNTS = [30, 0, 25, 40, 1, 17]


KIND = FeatureKind("made up", 40, "uint8", 200.0)


def table(counts: list[int] = COUNTS, seed: int = 0) -> LocalFeatureTable:
    """Features of 40 elements in 10 heaps, with keys that tell the seeds apart."""
    rng = np.random.default_rng(seed)
    heaps = rng.integers(0, 200, (10, 40))
    made = [features_of(heaps[rng.integers(0, 10, count)] + rng.integers(0, 55, (count, 40)), KIND) for count in counts]
    return table_of(made, rng.integers(1, 256, (len(counts), 16)).astype(np.uint8))


def run(queries, index, kernel=KERNEL, cache: Cache | None = None, workers: int = 1, depth: int = 4) -> Ranking:
    return search_by_kernel(queries, index, kernel, depth, make_resources(cache=cache, workers=workers))


@pytest.mark.parametrize("binary", [True, False])
def test_lists_hold_every_entry_once_in_the_order_of_images(binary):
    features = table()
    kernel = MatchKernel(words=12, binary=binary)
    resources = make_resources(workers=1)
    codebook, lists = open_lists(features, kernel, resources)
    vectors = features.descriptors[:].astype(np.float32) / np.float32(200)
    owners = features.images(np.arange(len(vectors)))
    rotation = kernel.rotation(40, resources.seed)
    entries = aggregate(vectors, owners, nearest_words(vectors, codebook, 1, 1), codebook, binary, rotation)
    order = np.argsort(entries.words, kind="stable")
    assert lists.num_images == 6 and len(lists.starts) == 13 and lists.starts[-1] == len(order)
    assert np.array_equal(np.repeat(np.arange(12), np.diff(lists.starts)), entries.words[order])
    assert np.array_equal(lists.images, entries.images[order])
    assert np.array_equal(lists.codes, entries.codes[order])


def test_chunks_and_threads_do_not_matter(monkeypatch):
    index, queries = table(), table([20, 0, 33], seed=1)
    expected = run(queries, index)
    assert expected.filled[[0, 2]].all() and not expected.filled[1].any()
    for name, size in (("BLOCK", 7), ("QUERIES", 2), ("LIST_BYTES", 100)):
        monkeypatch.setattr(asmk_index, name, size)
    assert_same_ranking(run(queries, index, workers=2), expected)


def test_an_image_is_the_most_similar_to_itself():
    index = table()
    ranking = run(index, index, MatchKernel(words=12, assignments=1))
    filled = [0, 2, 3, 4, 5]
    assert ranking.indices[filled, 0].tolist() == filled
    np.testing.assert_allclose(ranking.scores[filled, 0], 1, rtol=1e-6)


@pytest.mark.parametrize("dies", ["aggregate", "rank"])
def test_a_killed_run_resumes_with_the_same_result(tmp_path, monkeypatch, dies):
    index, queries = table(), table([20, 5, 33], seed=1)
    expected = run(queries, index)
    monkeypatch.setattr(asmk_index, "BLOCK", 10)
    monkeypatch.setattr(asmk_index, "QUERIES", 1)
    calls, real = [], getattr(asmk_index, dies)

    def killed(*args: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(asmk_index, dies, killed)
        with pytest.raises(KeyboardInterrupt):
            run(queries, index, cache=Cache(tmp_path))
        calls.append(1)
        found = run(queries, index, cache=Cache(tmp_path))
    assert_same_ranking(found, expected)
    assert len(calls) - 4 < (15 if dies == "aggregate" else 3)  # 12 chunks and 3 queries, without the first two


def test_an_index_is_made_once_and_serves_other_queries_and_kernels(tmp_path, monkeypatch):
    index, queries = table(), table([9, 9], seed=1)
    expected = run(queries, index, cache=Cache(tmp_path))
    monkeypatch.setattr(asmk_index, "k_means", forbidden)
    assert_same_ranking(run(queries, index, cache=Cache(tmp_path)), expected)
    run(table([8], seed=2), index, cache=Cache(tmp_path))
    for changed in ({"alpha": 1.0}, {"idf": True}, {"assignments": 1}):
        other = run(queries, index, replace(KERNEL, **changed), cache=Cache(tmp_path))
        assert not np.array_equal(other.scores, expected.scores)
    for others in (table(seed=5), index.strongest(20)):  # other images, and fewer features of each
        with pytest.raises(AssertionError):
            run(queries, others, cache=Cache(tmp_path))


def test_nothing_to_search_for_or_in():
    some, none = table([4, 2]), table([0, 0], seed=1)
    assert not run(none, some).filled.any()
    assert not run(some, none).filled.any()
    assert run(some, some.take(np.array([0])), depth=3).indices.shape == (2, 3)


def test_identical_descriptors():
    same = table_of([features_of(np.full((50, 16), 7))] * 3)
    ranking = run(same, same, MatchKernel(words=4), depth=3)
    assert ranking.indices.tolist() == [[0, 1, 2]] * 3


def forbidden(*_: object) -> NDArray[np.float32]:
    raise AssertionError("made again")
