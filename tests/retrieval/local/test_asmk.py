"""Match kernels on arrays, beside the values of the authors' code and beside loops."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.retrieval.local import Lists, MatchKernel, aggregate, k_means, nearest_words, rank

CASES = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (2, 0), (2, 1)]


def lists_of(vectors, images, codebook, binary: bool, num_images: int, rotation=None) -> Lists:
    entries = aggregate(vectors, images, nearest_words(vectors, codebook, 1, 1), codebook, binary, rotation)
    order = np.argsort(entries.words, kind="stable")
    starts = np.searchsorted(entries.words[order], np.arange(len(codebook) + 1))
    return Lists(starts, entries.images[order], entries.codes[order], num_images)


def dense(ranking, num_images: int) -> NDArray[np.float32]:
    scores = np.zeros((ranking.num_queries, num_images), np.float32)
    query, place = np.nonzero(ranking.filled)
    scores[query, ranking.indices[query, place]] = ranking.scores[query, place]
    return scores


@pytest.mark.parametrize(("case", "setting"), CASES)
def test_scores_of_the_authors_code(oracles: Path, case, setting):
    about = json.loads((oracles / "asmk" / f"case{case}.json").read_text())
    with np.load(oracles / "asmk" / f"case{case}.npz") as arrays:
        oracle = dict(arrays)
    chosen = about["settings"][setting]
    kernel = MatchKernel(
        binary=chosen["binary"],
        rotate=False,
        assignments=chosen["query_assignments"],
        alpha=chosen["alpha"],
        threshold=chosen["threshold"],
        idf=chosen["idf"],
    )
    codebook = oracle["codebook"]
    db, asked = oracle["db_vectors"].astype(np.float32), oracle["query_vectors"].astype(np.float32)
    lists = lists_of(db, oracle["db_images"], codebook, kernel.binary, about["db_images"])
    words = nearest_words(asked, codebook, kernel.assignments, 1)
    queries = aggregate(asked, oracle["query_images"], words, codebook, kernel.binary)
    ranking = rank(lists, queries, about["queries"], kernel, about["db_images"], 2)
    expected = oracle[f"scores{setting}"]
    np.testing.assert_allclose(dense(ranking, about["db_images"]), expected, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.parametrize("case", [0, 1, 2])
def test_words_and_codes_of_the_authors_code(oracles: Path, case):
    with np.load(oracles / "asmk" / f"case{case}.npz") as arrays:
        oracle = dict(arrays)
    vectors = oracle["db_vectors"][oracle["db_images"] == 0].astype(np.float32)
    words = nearest_words(vectors, oracle["codebook"], 1, 1)
    entries = aggregate(vectors, np.zeros(len(vectors), np.int64), words, oracle["codebook"], binary=True)
    order = np.argsort(oracle["image0_words"])
    assert np.array_equal(entries.words, oracle["image0_words"][order])
    assert np.array_equal(entries.codes, oracle["image0_aggregated"][order])


def brute_force(
    kernel: MatchKernel, codebook, vectors, owners, num_images, asked, askers, num_queries
) -> NDArray[np.float64]:
    """Scores [Q, N], one pair of images and one word after another."""

    def entries(features, images, image, count):
        found: dict[int, NDArray[np.float64]] = {}
        for feature in features[images == image].astype(float):
            nearest = np.argsort(((codebook - feature) ** 2).sum(axis=1), kind="stable")[:count]
            for word in nearest.tolist():
                found[word] = found.get(word, 0) + feature - codebook[word]
        rotation = kernel.rotation(codebook.shape[1], seed=3)
        return found if rotation is None else {word: total @ rotation for word, total in found.items()}

    index = [entries(vectors, owners, image, 1) for image in range(num_images)]
    held = [sum(word in image for image in index) for word in range(len(codebook))]
    weight = [np.log(num_images / n) ** 2 if kernel.idf and n else 1.0 for n in held]
    scores = np.zeros((num_queries, num_images))
    for query in range(num_queries):
        one = entries(asked, askers, query, kernel.assignments)
        for image, other in enumerate(index):
            total = 0.0
            for word in set(one) & set(other):
                r, s = one[word], other[word]
                if kernel.binary:
                    bits = -(-len(r) // 32) * 32
                    similarity = 1 - 2 * np.sum((r > 0) != (s > 0)) / bits
                else:
                    similarity = r @ s / (np.linalg.norm(r) + 1e-6) / (np.linalg.norm(s) + 1e-6)
                if similarity >= kernel.threshold:
                    total += weight[word] * similarity**kernel.alpha
            if total:
                norm = sum(weight[word] for word in one) * sum(weight[word] for word in other)
                scores[query, image] = total / np.sqrt(norm)
    return scores


@given(
    seed=st.integers(0, 10**6),
    dim=st.sampled_from([2, 32, 33, 70]),
    binary=st.booleans(),
    rotate=st.booleans(),
    idf=st.booleans(),
    assignments=st.integers(1, 9),
    alpha=st.sampled_from([0.5, 1.0, 3.0]),
    threshold=st.sampled_from([0.01, 0.3]),
    features=st.integers(1, 30),
)
@settings(max_examples=30)
def test_the_same_scores_as_counted_one_by_one(seed, dim, binary, rotate, idf, assignments, alpha, threshold, features):
    rng = np.random.default_rng(seed)
    kernel = MatchKernel(
        binary=binary, rotate=rotate, idf=idf, assignments=assignments, alpha=alpha, threshold=threshold
    )
    codebook, vectors, asked = (rng.standard_normal((n, dim)).astype(np.float32) for n in (6, features, 12))
    owners, askers = np.sort(rng.integers(0, 5, features)), np.sort(rng.integers(0, 3, 12))
    rotation = kernel.rotation(dim, seed=3)
    lists = lists_of(vectors, owners, codebook, binary, 5, rotation)
    words = nearest_words(asked, codebook, assignments, 1)
    queries = aggregate(asked, askers, words, codebook, binary, rotation)
    expected = brute_force(kernel, codebook, vectors, owners, 5, asked, askers, 3)
    found = dense(rank(lists, queries, 3, kernel, 5, 1), 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_threads_and_batches_do_not_matter_and_equal_scores_stand_in_the_order_of_rows():
    rng = np.random.default_rng(0)
    codebook, vectors = (rng.standard_normal((n, 24)).astype(np.float32) for n in (50, 700))
    vectors[350:] = vectors[:350]  # images 10 to 19 are copies
    owners, kernel = np.repeat(np.arange(20), 35), MatchKernel()
    words = nearest_words(vectors, codebook, 5, 1)
    parts = [nearest_words(vectors[i : i + 7], codebook, 5, 2) for i in range(0, 700, 7)]
    assert np.array_equal(words, np.concatenate(parts))
    lists = lists_of(vectors, owners, codebook, True, 20)
    queries = aggregate(vectors, owners, words, codebook, True)
    one, two = (rank(lists, queries, 20, kernel, 3, threads) for threads in (1, 3))
    assert np.array_equal(one.indices, two.indices) and np.array_equal(one.scores, two.scores)
    assert np.array_equal(one.indices[:10, :2], np.column_stack([np.arange(10), np.arange(10, 20)]))
    assert np.array_equal(one.scores[:, 0], one.scores[:, 1])


def test_equally_near_words_are_chosen_by_number():
    codebook = np.repeat(np.eye(2, 3, dtype=np.float32), 3, axis=0)
    vectors = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    assert nearest_words(vectors, codebook, 4, 1).tolist() == [[0, 1, 2, 3], [3, 4, 5, 0]]
    assert nearest_words(vectors, codebook, 9, 1).shape == (2, 6)


def test_a_codebook_is_the_same_twice_and_its_words_are_means():
    rng = np.random.default_rng(1)
    vectors = (3 * rng.integers(0, 2, (200, 3)) + 0.1 * rng.standard_normal((200, 3))).astype(np.float32)
    words = k_means(vectors, 4, seed=0)
    assert np.array_equal(words, k_means(vectors, 4, seed=0))
    nearest = nearest_words(vectors, words, 1, 1)[:, 0]
    means = [vectors[nearest == word].mean(axis=0) for word in range(4)]
    np.testing.assert_allclose(words, means, atol=1e-5)


def test_words_grow_with_the_features():
    sizes = [MatchKernel().words_for(count) for count in (1, 40, 100, 80_000, 10**6, 380_000_000)]
    assert sizes == [1, 40, 64, 1024, 4096, 65_536]
    assert MatchKernel(words=10**9).words_for(5000) == 5000


@pytest.mark.parametrize(
    "wrong",
    [{"words": 0}, {"assignments": 0}, {"alpha": -1.0}, {"alpha": float("nan")}, {"threshold": -0.1}, {"threshold": 2}],
)
def test_parameters_out_of_range(wrong):
    with pytest.raises(LandmarksError, match=f"asmk: .*{next(iter(wrong))}"):
        MatchKernel(**wrong)
