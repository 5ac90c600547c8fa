import numpy as np
import pytest

from landmarks.recognition import DistractorPush
from recognised import make_state
from resources import make_resources

RESOURCES = make_resources()


def test_a_landmark_predicted_too_often_goes_below_all_others() -> None:
    state = make_state(
        [[0, 1], [0, -1], [0, 2], [1, -1], [2, -1], [-1, -1]],
        [[0.9, 0.5], [0.7, -np.inf], [0.8, 0.8], [0.2, -np.inf], [0.1, -np.inf], [-np.inf, -np.inf]],
    )
    after = DistractorPush(limit=2)(state, RESOURCES)
    assert np.array_equal(after.candidates.indices, state.candidates.indices)
    confidence = after.candidates.scores[:5, 0]
    assert confidence[3:].tolist() == [np.float32(0.2), np.float32(0.1)]
    assert confidence[3:].min() > confidence[0] > confidence[2] > confidence[1]
    assert after.notes["times_predicted"].tolist() == [3, 3, 3, 1, 1, 0]
    assert after.notes["distractor"].tolist() == [True] * 3 + [False] * 3


def test_many_gallery_images_allow_many_predictions() -> None:
    state = make_state([[0], [0], [0], [1], [1], [2]], [[0.9], [0.8], [0.7], [0.6], [0.5], [0.1]], (0, 0, 0, 1, 2))
    assert DistractorPush(1)(state, RESOURCES).notes["distractor"].tolist() == [True] * 5 + [False]
    after = DistractorPush(1, per_gallery_image=1)(state, RESOURCES)
    assert after.notes["distractor"].tolist() == [False] * 3 + [True] * 2 + [False]


@pytest.mark.parametrize(("landmarks", "limit"), [((0, 0, 1), 2), ((0, 0), 1), ((0, 0), 2)])
def test_nothing_changes_up_to_the_limit_or_where_all_are_suspicious(landmarks: tuple[int, ...], limit: int) -> None:
    state = make_state([[landmark] for landmark in landmarks], [[0.9], [0.8], [0.1]][: len(landmarks)])
    after = DistractorPush(limit)(state, RESOURCES)
    assert np.array_equal(after.candidates.scores, state.candidates.scores)
