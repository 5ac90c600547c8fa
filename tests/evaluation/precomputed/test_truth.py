"""Labels and solutions score alike, and what cannot be scored is counted."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from landmarks.data import GroundTruth
from landmarks.errors import FormatError, LandmarksError
from landmarks.evaluation import Inputs, retrieval_scores
from landmarks.evaluation.precomputed import PrecomputedSet, count_truth
from landmarks.metrics import RetrievalSolution, RetrievalSubmission, score_retrieval
from landmarks.retrieval import best


def random_ranking(rng, queries, index, depth):
    order = np.array([rng.permutation(index)[:depth] for _ in range(queries)])
    return best(order, rng.random(order.shape).astype(np.float32), depth + 2)  # with empty places


def solution_of(queries, index, public=None):
    """The official form of labels."""
    rows = np.flatnonzero([label >= 0 and label in index for label in queries])
    positives = [np.flatnonzero(index == queries[row]).astype(np.uint64) for row in rows]
    return RetrievalSolution(
        rows.astype(np.uint64),
        np.ones(len(rows), np.bool_) if public is None else public,
        np.concatenate([[0], np.cumsum([len(p) for p in positives])]).astype(np.int64),
        np.concatenate(positives),
        np.setdiff1d(np.arange(len(queries)), rows).astype(np.uint64),
    )


def counted(truth, query_ids=(), index_ids=()):
    sets = [PrecomputedSet("x", (), np.array(ids, dtype=np.uint64)) for ids in (query_ids, index_ids)]
    return count_truth(Inputs(*sets, replace(truth, retrieval_from="s.csv")))


def test_labels_score_as_the_official_code_does(caplog):
    rng = np.random.default_rng(0)
    queries, index = rng.integers(-1, 9, 40), rng.integers(-1, 7, 300)
    truth = GroundTruth(labels=(queries, index))
    with caplog.at_level(logging.WARNING):
        counts = counted(truth)
    assert counts["unlabelled"] == (queries < 0).sum() and counts["unanswerable"] == (queries >= 7).sum() > 0
    assert f"{counts['unlabelled']} have no label and {counts['unanswerable']} have one that no index" in caplog.text
    ranking = random_ranking(rng, 40, 300, 130)
    ids = [np.arange(n, dtype=np.uint64) for n in (40, 300)]
    submission = RetrievalSubmission.from_ranking(*ids, ranking.indices)
    expected = score_retrieval(solution_of(queries, index), submission)["public"]
    assert retrieval_scores(truth, ranking) == {"all": pytest.approx(expected, abs=1e-12)}
    assert retrieval_scores(GroundTruth(solution_of(queries, index)), ranking, *ids)["public"] == expected
    assert retrieval_scores(GroundTruth(), ranking, *ids) == {}


def test_labels_without_anything_in_common_are_refused():
    with pytest.raises(LandmarksError, match="no label in common"):
        counted(GroundTruth(labels=(np.array([1, -1]), np.array([2, -1, 3]))))


def test_missing_images_of_a_solution_are_counted(caplog):
    truth = GroundTruth(solution_of(np.array([0, 1, 2]), np.array([0, 0, 1, 2])))
    with caplog.at_level(logging.WARNING):
        counts = counted(truth, [0, 2], [0, 2, 3])
    assert counts == {"from": "s.csv", "scored": 2, "unanswered": 1, "absent": 1}
    assert "1 of its 3 queries have no descriptor" in caplog.text and "1 of its 4 correct images" in caplog.text
    with pytest.raises(FormatError, match="not in the solution"):
        counted(truth, [0, 77], [0])


def test_a_solution_that_scores_no_given_query_is_refused():
    truth = GroundTruth(solution_of(np.array([0, 5]), np.array([0, 0])))  # query 1 is ignored there
    with pytest.raises(LandmarksError, match="scores none of the given queries"):
        counted(truth, [1], [0])
