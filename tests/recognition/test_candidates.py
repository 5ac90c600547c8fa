import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.recognition.candidates import Candidates, gather, pushed_down


def candidates(landmarks: list[list[int]], scores: list[list[float]]) -> Candidates:
    return Candidates(np.array(landmarks, np.int32), np.array(scores, np.float32))


@given(data=st.data())
def test_gather_sums_as_a_dictionary_would(data: st.DataObject) -> None:
    queries, landmarks = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    count = data.draw(st.integers(0, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    query, landmark = rng.integers(0, queries, count), rng.integers(-1, landmarks, count)
    weight = rng.choice([0.25, 0.5, 1.0], count)  # sums tie often, and are exact
    sums: list[dict[int, float]] = [{} for _ in range(queries)]
    for q, name, w in zip(query.tolist(), landmark.tolist(), weight.tolist(), strict=True):
        if name >= 0:
            sums[q][name] = sums[q].get(name, 0.0) + w
    found = gather(query, landmark, weight, queries, landmarks)
    for row, expected in enumerate(sums):
        # sorted() is stable, and a dictionary keeps the order of first sight
        best = sorted(expected.items(), key=lambda pair: -pair[1])
        filled = found.filled[row]
        assert found.landmarks[row][filled].tolist() == [name for name, _ in best]
        assert found.scores[row][filled].tolist() == [total for _, total in best]


def test_the_first_place_is_the_prediction() -> None:
    found = candidates([[3, 1], [-1, -1]], [[0.5, 0.25], [-np.inf, -np.inf]])
    assert found.predicted.tolist() == [3, -1]
    assert found.confidence.tolist() == [0.5, 0.0]
    assert gather(*(np.zeros(0, np.int64),) * 3, 2, 4).predicted.tolist() == [-1, -1]


def test_rescored_puts_in_order_and_removes() -> None:
    found = candidates([[3, 1, 2], [5, -1, -1]], [[3, 2, 1], [1, -np.inf, -np.inf]])
    again = found.rescored(np.array([[1, -np.inf, 1], [-2, 7, 7]]))
    assert again.landmarks.tolist() == [[3, 2, -1], [5, -1, -1]]
    assert again.scores[1].tolist() == [-2, -np.inf, -np.inf]


@settings(max_examples=100)
@given(data=st.data())
def test_pushing_down_keeps_order(data: st.DataObject) -> None:
    queries = data.draw(st.integers(1, 8))
    value = st.floats(-100, 100, width=32)
    scores = np.sort(np.array([[data.draw(value) for _ in range(3)] for _ in range(queries)], np.float32), axis=1)
    scores = np.ascontiguousarray(scores[:, ::-1])
    empty = data.draw(st.lists(st.booleans(), min_size=queries, max_size=queries))
    scores[np.array(empty)] = -np.inf
    landmarks = np.where(np.isneginf(scores), -1, np.arange(3, dtype=np.int32)).astype(np.int32)
    before = Candidates(landmarks, scores)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=queries, max_size=queries)))
    after = pushed_down(before, chosen)
    np.testing.assert_array_equal(after.landmarks, before.landmarks)
    np.testing.assert_array_equal(after.scores[~chosen], before.scores[~chosen])
    predicted = before.filled[:, 0]
    low, high = after.confidence[predicted & chosen], after.confidence[predicted & ~chosen]
    if len(low) and len(high):
        assert low.max() < high.min()
    order = np.argsort(before.confidence[predicted & chosen], kind="stable")
    assert (np.diff(low[order]) >= 0).all()


@pytest.mark.parametrize(
    ("landmarks", "scores", "message"),
    [
        ([[1, 1]], [[0.5, 0.5]], "one landmark twice"),
        ([[1, 2]], [[0.5, 0.6]], "falling scores"),
        ([[1]], [[np.nan]], "no number"),
        ([[1]], [[-np.inf]], "no number"),
        ([[-1]], [[0.0]], "no number"),
        ([[-2]], [[0.0]], "below -1"),
        ([[1], [2]], [[0.5]], "must be"),
    ],
)
def test_broken_candidates_are_refused(landmarks: list[list[int]], scores: list[list[float]], message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        candidates(landmarks, scores)
