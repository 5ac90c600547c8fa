"""Retrieval figures against a slow reference written from the definition, for any rankings."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.errors import FormatError
from landmarks.metrics import (
    RetrievalSolution,
    RetrievalSubmission,
    average_precision,
    relevance,
    score_retrieval,
)

Truth = dict[int, tuple[bool, list[int]]]
Predictions = dict[int, list[int]]


def solution_of(truth: Truth, ignored: list[int]) -> RetrievalSolution:
    counts = [len(images) for _, images in truth.values()]
    return RetrievalSolution(
        np.array(list(truth), np.uint64),
        np.array([public for public, _ in truth.values()], np.bool_),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.array([image for _, images in truth.values() for image in images], np.uint64),
        np.array(ignored, np.uint64),
    )


def submission_of(predictions: Predictions) -> RetrievalSubmission:
    return RetrievalSubmission(
        np.array(list(predictions), np.uint64),
        np.concatenate([[0], np.cumsum([len(images) for images in predictions.values()])]).astype(np.int64),
        np.array([image for images in predictions.values() for image in images], np.uint64),
    )


def reference(truth: Truth, predictions: Predictions) -> dict[str, dict[str, float]]:
    """The definitions of the module docstring, one query and one rank after another."""
    result = {}
    for name, wanted in (("public", True), ("private", False)):
        queries = {query: images for query, (public, images) in truth.items() if public == wanted}

        def found_at(rank: int, query: int, queries: dict[int, list[int]] = queries) -> bool:
            ranking = predictions.get(query, [])
            if rank > len(ranking):
                return False
            image = ranking[rank - 1]
            return image in queries[query] and image not in ranking[: rank - 1]

        def ap(query: int, k: int, queries: dict[int, list[int]] = queries) -> float:
            total, correct = 0.0, 0
            for rank in range(1, k + 1):
                if found_at(rank, query):
                    correct += 1
                    total += correct / rank
            return total / min(len(queries[query]), k)

        positions = [next((r for r in range(1, 101) if found_at(r, query)), 101) for query in queries]
        if not queries:
            continue
        result[name] = {
            "map@100": statistics.fmean(ap(query, 100) for query in queries),
            "map@10": statistics.fmean(ap(query, 10) for query in queries),
            "mean_position": statistics.fmean(positions),
            "median_position": statistics.median(positions),
        }
        for k in (1, 5, 10, 50, 100):
            hits = [sum(found_at(rank, query) for rank in range(1, k + 1)) / k for query in queries]
            result[name][f"precision@{k}"] = statistics.fmean(hits)
    return result


IMAGES = st.integers(2**64 - 12, 2**64 - 1)  # few, so that repeats and hits are common; needs all 64 bits
TRUTHS = st.dictionaries(
    st.integers(0, 9), st.tuples(st.booleans(), st.lists(IMAGES, min_size=1, max_size=9, unique=True))
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Truth, Predictions]:
    truth = draw(TRUTHS)
    answered = draw(st.lists(st.sampled_from([*truth, 100, 101]), unique=True))
    rankings = st.lists(IMAGES, max_size=130)
    return truth, {query: draw(rankings) for query in answered}


@settings(max_examples=200)
@given(cases(), st.randoms(use_true_random=False))
def test_equals_the_reference_in_any_order_of_lines(case: tuple[Truth, Predictions], random: object) -> None:
    truth, predictions = case
    lines, answered = list(truth.items()), list(predictions.items())
    random.shuffle(lines)  # type: ignore[attr-defined]
    random.shuffle(answered)  # type: ignore[attr-defined]
    found = score_retrieval(solution_of(dict(lines), [100, 101]), submission_of(dict(answered)))
    expected = reference(truth, predictions)
    for split, figures in found.items():
        if split in expected:
            assert figures == pytest.approx(expected[split], abs=1e-12)
        else:
            assert all(math.isnan(value) for value in figures.values())


def test_results_do_not_depend_on_blocks() -> None:
    rng = np.random.default_rng(0)
    queries = 5000  # many blocks
    solution = RetrievalSolution(
        rng.permutation(queries).astype(np.uint64),
        rng.random(queries) < 0.5,
        np.arange(queries + 1, dtype=np.int64) * 2,
        (np.repeat(np.arange(queries), 2) * 10 + np.tile([3, 1], queries)).astype(np.uint64),
        np.empty(0, np.uint64),
    )
    ranked = np.array([1, 1, 2, 3]) + np.arange(queries)[:, None] * 10
    submission = RetrievalSubmission.from_ranking(solution.query_ids, np.arange(queries * 10, dtype=np.uint64), ranked)
    assert (relevance(solution, submission, 4) == [True, False, False, True]).all()


def test_by_hand() -> None:
    relevant = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]], np.bool_)
    expected = [(1 + 2 / 3) / 3, 0, (1 / 2 + 2 / 3) / 3]
    assert average_precision(relevant, np.array([5, 1, 3]), k=3) == pytest.approx(expected)


def test_ranks_beyond_100_do_not_count() -> None:
    solution = solution_of({1: (True, [7])}, [])
    late = score_retrieval(solution, submission_of({1: [9] * 100 + [7]}))["public"]
    last = score_retrieval(solution, submission_of({1: [9] * 99 + [7]}))["public"]
    assert (late["map@100"], late["mean_position"]) == (0, 101)
    assert (last["map@100"], last["mean_position"]) == (0.01, 100)


def test_from_ranking_leaves_out_empty_ranks() -> None:
    index_ids = np.array([50, 60, 70], np.uint64)
    indices = np.array([[2, 0, -1], [-1, -1, -1], [1, -1, -1]], np.int32)
    submission = RetrievalSubmission.from_ranking(np.array([1, 2, 3], np.uint64), index_ids, indices)
    assert submission.start.tolist() == [0, 2, 2, 3]
    assert submission.image_ids.tolist() == [70, 50, 60]


def test_an_unknown_query_is_named() -> None:
    with pytest.raises(FormatError, match="000000000000002a is not in the solution"):
        score_retrieval(solution_of({1: (True, [7])}, [2]), submission_of({2: [7], 42: [7]}))
