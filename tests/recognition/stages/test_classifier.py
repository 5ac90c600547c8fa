from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.recognition import ClassifierJoin, Predictions, RecognitionState, join_label_spaces
from landmarks.retrieval import Gallery, Ranking
from recognised import make_state
from resources import make_resources

RESOURCES = make_resources()
NAMES = np.array(["nine", "one", "zero"])  # "nine" only the classifier knows


def predictions(
    ids: list[int], landmarks: list[list[int]], probabilities: list[list[float]], names: np.ndarray = NAMES
) -> Predictions:
    shaped = np.array(landmarks, np.int32), np.array(probabilities, np.float32)
    return Predictions(np.array(ids, np.uint64), *shaped, names)


def joined(state: RecognitionState, said: Predictions, **parameters: float | bool) -> RecognitionState:
    return ClassifierJoin(**parameters)(replace(state, predictions=said), RESOURCES)


def test_landmarks_are_joined_by_name_whatever_the_order_of_images() -> None:
    state = make_state([[0, 1], [1, -1], [2, -1]], [[0.5, 0.25], [0.5, -np.inf], [0.75, -np.inf]])
    said = predictions([99, 11, 10], [[0, 1], [0, 1], [1, 2]], [[1, 0], [0.75, 0.25], [0.5, 0.125]])
    after = joined(state, said)
    assert after.landmark_names.tolist() == ["zero", "one", "two", "nine"]
    found = after.candidates
    assert found.indices.tolist() == [[1, 0], [1, 3], [2, -1]]  # equal sums keep the order: one before nine
    assert found.scores.tolist() == [[0.75, 0.625], [0.75, 0.75], [0.75, -np.inf]]
    assert after.notes["probability"][:2].tolist() == [0.5, 0.25]
    assert np.isnan(after.notes["probability"][2])  # nothing said of it


def test_the_product_lifts_what_is_there_and_the_sum_what_is_not() -> None:
    state = make_state([[0, 1]], [[0.5, -0.5]])
    said = predictions([10], [[0, 1, 2]], [[0.5, 0.25, 0.125]])
    product = joined(state, said, weight=0, factor=2).candidates
    assert product.indices.tolist() == [[0, 1]] and product.scores.tolist() == [[0.625, -0.5]]
    closed = joined(state, said, new_candidates=False).candidates
    assert closed.indices.tolist() == [[0, 1]]
    assert closed.scores.tolist() == [[0.625, -0.25]]


def test_little_probabilities_say_nothing() -> None:
    state = make_state([[0, 1]], [[0.5, 0.25]])
    after = joined(state, predictions([10], [[1, 0]], [[0.25, 0.0]]), min_probability=0.3)
    assert np.array_equal(after.candidates.scores, state.candidates.scores)


def test_a_query_without_candidates_gets_the_classifiers() -> None:
    after = joined(make_state([[-1]], [[-np.inf]]), predictions([10], [[0, -1]], [[0.5, 0.0]]))
    assert after.candidates.first.tolist() == [3] and after.candidates.confidence.tolist() == [0.5]


@given(data=st.data())
def test_joins_as_a_dictionary_would(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count, weight, factor = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0, 1, 2])), rng.integers(0, 2)
    names, others = np.array(["a", "b", "c"]), np.array(["c", "x", "b"])
    landmarks = np.stack([rng.permutation(3)[:2] for _ in range(count)]).astype(np.int32)
    scores = -np.sort(-rng.choice([-0.5, 0.25, 0.5, 1.0], (count, 2)).astype(np.float32), axis=1)
    said_landmarks = np.stack([rng.permutation(3)[:2] for _ in range(count)]).astype(np.int32)
    probabilities = rng.choice([0.0, 0.25, 0.5], (count, 2)).astype(np.float32)
    told = rng.random(count) < 0.7
    state = RecognitionState.begin(
        np.arange(count, dtype=np.uint64),
        np.ones((count, 2), np.float32),
        Gallery(np.ones((1, 2), np.float32), np.zeros(1, np.int32), 3),
        names,
        candidates=Ranking(landmarks, scores),
    )
    said = Predictions(
        np.where(told, np.arange(count), np.arange(count) + 50).astype(np.uint64), said_landmarks, probabilities, others
    )
    after = joined(state, said, weight=weight, factor=factor)
    found = after.candidates
    for row in range(count):
        sums = dict(zip(names[landmarks[row]].tolist(), scores[row].tolist(), strict=True))
        if told[row]:
            for name, p in zip(others[said_landmarks[row]].tolist(), probabilities[row].tolist(), strict=True):
                gain = (weight + factor * max(sums.get(name, 0), 0)) * p
                if gain > 0:
                    sums[name] = sums.get(name, 0) + gain
        kept = found.filled[row]
        expected = sorted(sums.items(), key=lambda pair: -pair[1])
        assert after.landmark_names[found.indices[row][kept]].tolist() == [name for name, _ in expected]
        assert found.scores[row][kept].tolist() == [total for _, total in expected]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (predictions([10, 10], [[0], [1]], [[0.5], [0.5]]), "image 000000000000000a occurs twice"),
        (predictions([10], [[0]], [[0.5]], np.array(["a", "b", "a"])), "landmark name a occurs twice"),
        (predictions([10], [[1, 1]], [[0.5, 0.25]]), "image 000000000000000a has the same landmark twice"),
    ],
)
def test_broken_predictions_are_named(said: Predictions, message: str) -> None:
    with pytest.raises(LandmarksError, match=message):
        joined(make_state([[0]], [[0.5]]), said)


TEXTS = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=8)


@given(TEXTS, TEXTS)
def test_names_keep_their_numbers_and_others_find_theirs(names: list[str], others: list[str]) -> None:
    joint, numbers = join_label_spaces(np.array(names, np.str_), np.array(others, np.str_))
    assert joint.tolist() == names + [name for name in others if name not in names]
    assert [joint[number] for number in numbers] == others and numbers.dtype == np.int32
