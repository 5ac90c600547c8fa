from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.recognition import add_votes, candidates, push_down, sum_votes, vote
from landmarks.retrieval import Ranking, best


def ranking_of(indices, scores):
    return Ranking(np.array(indices, np.int32), np.array(scores, np.float32))


def reference(ranking, gallery, k, power):
    """The rule, one query and one neighbour at a time."""
    answers = []
    for row, scores in zip(ranking.indices[:, :k], ranking.scores[:, :k], strict=True):
        sums = defaultdict(float)
        for index, score in zip(row, scores, strict=True):
            if index >= 0 and gallery[index] >= 0:
                sums[int(gallery[index])] += max(float(score), 0.0) ** power
        # Python's max keeps the first of equals, and dictionaries keep the order of first sight: near to far.
        winner = max(sums, key=lambda name: np.float32(sums[name])) if sums else -1
        answers.append((winner, sums[winner] if sums else 0.0))
    return answers


@given(data=st.data())
def test_equals_a_transparent_reference(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    gallery_size, landmarks = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 5))
    k, power = data.draw(st.integers(1, 6)), data.draw(st.sampled_from([0.0, 1.0, 2.0]))
    gallery = rng.integers(-1, landmarks, gallery_size).astype(np.int32)
    # Few distinct scores, so that sums tie often.
    scores = rng.choice(np.array([-0.5, 0.25, 0.5, 0.75], np.float32), (7, gallery_size))
    rows = np.tile(np.arange(gallery_size), (7, 1))
    ranking = best(rows, scores, max(k, data.draw(st.integers(1, 40))))
    found = candidates(ranking, gallery, landmarks, k, power)
    winners = zip(found.first, found.confidence, reference(ranking, gallery, k, power), strict=True)
    assert found.indices.dtype == np.int32 and found.scores.dtype == np.float32
    for got, score, (winner, expected) in winners:
        assert got == winner
        assert score == pytest.approx(expected, rel=1e-6)


def test_label_spaces_of_two_hundred_thousand_do_not_overflow():
    queries = 30_000
    ranking = Ranking(np.zeros((queries, 1), np.int32), np.ones((queries, 1), np.float32))
    votes = vote(ranking, np.array([203_093], np.int32), 203_094, k=1)
    assert (votes.landmarks == 203_093).all() and (votes.scores == 1).all()


def test_bad_input_is_named():
    ranking = ranking_of([[0, 1]], [[0.9, 0.8]])
    with pytest.raises(LandmarksError, match="k is 3, but the ranking has 2"):
        vote(ranking, np.zeros(2, np.int32), 1, k=3)
    with pytest.raises(LandmarksError, match="gallery row 1 has landmark 5"):
        vote(ranking, np.array([0, 5], np.int32), 5, k=1)
    with pytest.raises(LandmarksError, match="outside the index of 1"):
        vote(ranking, np.zeros(1, np.int32), 1, k=1)


def test_a_vote_may_fall_with_the_rank():
    ranking = ranking_of([[0, 1, 2]], [[0.6, 0.5, 0.5]])
    gallery = np.array([4, 7, 7], np.int32)
    assert candidates(ranking, gallery, 10).first.tolist() == [7]
    fallen = candidates(ranking, gallery, 10, weights="rank")
    assert fallen.indices.tolist() == [[4, 7]]
    assert fallen.scores[0] == pytest.approx([0.6, 0.5 * 2 / 3 + 0.5 / 3])


def test_the_first_place_is_the_prediction() -> None:
    found = ranking_of([[3, 1], [-1, -1]], [[0.5, 0.25], [-np.inf, -np.inf]])
    assert found.first.tolist() == [3, -1]
    assert found.confidence.tolist() == [0.5, 0.0]
    assert sum_votes(*(np.zeros(0, np.int64),) * 3, 2, 4).first.tolist() == [-1, -1]


def test_rescored_puts_in_order_and_removes() -> None:
    found = ranking_of([[3, 1, 2], [5, -1, -1]], [[3, 2, 1], [1, -np.inf, -np.inf]])
    again = found.rescored(np.array([[1, -np.inf, 1], [-2, 7, 7]]))
    assert again.indices.tolist() == [[3, 2, -1], [5, -1, -1]]
    assert again.scores[1].tolist() == [-2, -np.inf, -np.inf]


@given(data=st.data())
def test_pushing_down_keeps_order(data: st.DataObject) -> None:
    queries = data.draw(st.integers(1, 8))
    value = st.floats(-100, 100, width=32)
    scores = np.sort(np.array([[data.draw(value) for _ in range(3)] for _ in range(queries)], np.float32), axis=1)
    scores = np.ascontiguousarray(scores[:, ::-1])
    empty = data.draw(st.lists(st.booleans(), min_size=queries, max_size=queries))
    scores[np.array(empty)] = -np.inf
    landmarks = np.where(np.isneginf(scores), -1, np.arange(3, dtype=np.int32)).astype(np.int32)
    before = Ranking(landmarks, scores)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=queries, max_size=queries)))
    after = push_down(before, chosen)
    np.testing.assert_array_equal(after.indices, before.indices)
    np.testing.assert_array_equal(after.scores[~chosen], before.scores[~chosen])
    predicted = before.filled[:, 0]
    low, high = after.confidence[predicted & chosen], after.confidence[predicted & ~chosen]
    if len(low) and len(high):
        assert low.max() < high.min()
    order = np.argsort(before.confidence[predicted & chosen], kind="stable")
    assert (np.diff(low[order]) >= 0).all()


@given(data=st.data())
def test_adds_as_a_dictionary_would_and_leaves_the_rest(data: st.DataObject) -> None:
    queries, landmarks = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))

    def votes(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # sums of these tie often, and are exact
        return (
            rng.integers(0, queries, count),
            rng.integers(-1, landmarks, count),
            rng.choice([0.25, 0.5, 1.0], count),
        )

    before = sum_votes(*votes(data.draw(st.integers(0, 12))), queries, landmarks)
    query, landmark, weight = votes(data.draw(st.integers(0, 20)))
    after = add_votes(before, query, landmark, weight, landmarks)
    for row in range(queries):
        filled = before.filled[row]
        sums = dict(zip(before.indices[row][filled].tolist(), before.scores[row][filled].tolist(), strict=True))
        for q, name, w in zip(query.tolist(), landmark.tolist(), weight.tolist(), strict=True):
            if q == row and name >= 0:
                sums[name] = sums.get(name, 0.0) + w
        expected = sorted(sums.items(), key=lambda pair: -pair[1])  # stable: first seen, first named
        kept = after.filled[row]
        assert after.indices[row][kept].tolist() == [name for name, _ in expected]
        assert after.scores[row][kept].tolist() == [total for _, total in expected]
