"""Metric classes equal the functions on arrays: in batches, and over two real processes with gloo."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from landmarks.metrics import (
    RecognitionMetric,
    RecognitionSolution,
    RecognitionSubmission,
    RetrievalMetric,
    RetrievalSolution,
    RetrievalSubmission,
    score_recognition,
    score_retrieval,
)
from ranks import run_ranks

QUERIES, RANKS, INDEX = 37, 12, 60
Rows = dict[str, np.ndarray]


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def query_ids() -> np.ndarray:
    return rng().permutation(np.arange(2**64 - QUERIES, 2**64, dtype=np.uint64))


def retrieval_solution() -> RetrievalSolution:
    draw = rng()
    images = [draw.choice(INDEX, draw.integers(1, 9), replace=False) for _ in range(QUERIES - 2)]
    start = np.concatenate([[0], np.cumsum([len(each) for each in images])])
    public, positives = draw.random(len(images)) < 0.4, np.concatenate(images).astype(np.uint64)
    return RetrievalSolution(query_ids()[:-2], public, start, positives, query_ids()[-2:])


def recognition_solution() -> RecognitionSolution:
    draw = rng()
    shows = draw.random(QUERIES - 2) < 0.6
    start, landmarks = np.concatenate([[0], np.cumsum(shows)]), draw.integers(0, 3, int(shows.sum()))
    return RecognitionSolution(query_ids()[:-2], draw.random(len(shows)) < 0.4, start, landmarks, query_ids()[-2:])


def answers() -> Rows:
    draw = rng()
    return {
        "ids": query_ids(),
        "ranked": draw.integers(0, INDEX, (QUERIES, RANKS)).astype(np.uint64),
        "valid": draw.random((QUERIES, RANKS)) < 0.9,
        "landmarks": draw.integers(-1, 3, QUERIES),
        "scores": draw.integers(0, 8, QUERIES) / 8,  # ties
    }


def expected(rows: Rows) -> dict[str, dict[str, float]]:
    counts = rows["valid"].sum(axis=1)
    start = np.concatenate([[0], np.cumsum(counts)])
    retrieval = score_retrieval(
        retrieval_solution(), RetrievalSubmission(rows["ids"], start, rows["ranked"][rows["valid"]])
    )
    recognition = score_recognition(
        recognition_solution(), RecognitionSubmission(rows["ids"], rows["landmarks"], rows["scores"])
    )
    return {split: {**retrieval[split], **recognition[split]} for split in retrieval}


def metrics() -> tuple[RetrievalMetric, RecognitionMetric]:
    return RetrievalMetric(retrieval_solution()), RecognitionMetric(recognition_solution())


def update(both: tuple[RetrievalMetric, RecognitionMetric], rows: Rows, tensors: bool = False, batch: int = 5) -> None:
    retrieval, recognition = both
    for first in range(0, len(rows["ids"]), batch):
        part: dict[str, Any] = {name: array[first : first + batch] for name, array in rows.items()}
        if tensors:
            part |= {name: part[name].view(np.int64) for name in ("ids", "ranked")}
            part = {name: torch.from_numpy(array) for name, array in part.items()}
        retrieval.update(part["ids"], part["ranked"], part["valid"])
        recognition.update(part["ids"], part["landmarks"], part["scores"])


def found_by(both: tuple[RetrievalMetric, RecognitionMetric]) -> dict[str, dict[str, float]]:
    retrieval, recognition = (metric.scores() for metric in both)
    return {split: {**retrieval[split], **recognition[split]} for split in retrieval}


def take(rows: Rows, part: slice) -> Rows:
    return {name: np.ascontiguousarray(array[part]) for name, array in rows.items()}


@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("number", [1, 6, QUERIES])
def test_batches_equal_the_functions(number: int, tensors: bool) -> None:
    rows = take(answers(), slice(number))
    both = metrics()
    update(both, rows, tensors)
    assert found_by(both) == expected(rows)
    assert {value.dtype for metric in both for value in metric.compute().values()} == {torch.float64}


def test_a_query_that_comes_twice_counts_once() -> None:
    both = metrics()
    update(both, answers())
    update(both, take(answers(), slice(5)))
    assert found_by(both) == expected(answers())


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_reset_forgets_and_what_is_not_answered_is_wrong() -> None:
    both = metrics()
    update(both, answers())
    for metric in both:
        metric.reset()
    assert found_by(both) == expected(take(answers(), slice(0)))


def test_forward_gives_the_batch_and_keeps_the_sum() -> None:
    retrieval, _ = metrics()
    rows = answers()
    for part in (slice(20), slice(20, None)):
        batch = take(rows, part)
        figures = retrieval(batch["ids"], batch["ranked"], batch["valid"])
        assert figures["private/map@100"].item() == expected(batch)["private"]["map@100"]
    assert retrieval.scores()["private"]["map@100"] == expected(rows)["private"]["map@100"]


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Equal, unequal, padded and no queries on a rank: both ranks show the figures of all."""
    assert run_ranks(figures_of_rank, tmp_path) == [[expected(answers())] * 4] * 2


def parts_of(rank: int) -> list[slice]:
    """What a rank sees in turn: every second query, an uneven run, one that overlaps, all on rank 1 and none on 0."""
    return [
        slice(rank, None, 2),
        [slice(30), slice(30, None)][rank],
        [slice(30), slice(20, None)][rank],
        [slice(0), slice(None)][rank],
    ]


def figures_of_rank(rank: int) -> list[dict[str, dict[str, float]]]:
    results = []
    for part in parts_of(rank):
        both = metrics()
        rows = take(answers(), part)
        update(both, rows)
        results.append(found_by(both))
        # A rank goes on with its own rows after it has shown the figures of all.
        assert sum(map(len, both[1].confidences)) == len(rows["ids"])
    return results
