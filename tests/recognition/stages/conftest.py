"""A small recognition, set up by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from landmarks.recognition import RecognitionState
from landmarks.retrieval import Gallery, Ranking

MakeState = Callable[..., RecognitionState]


@pytest.fixture
def make_state() -> MakeState:
    """`make_state(landmarks, scores, gallery=(…))`: candidates [Q, M] beside a gallery of these landmarks."""

    def make(
        landmarks: list[list[int]], scores: list[list[float]], gallery: tuple[int, ...] = (0, 1, 2)
    ) -> RecognitionState:
        count, labels = len(landmarks), np.array(gallery, np.int32)
        state = RecognitionState.begin(
            np.arange(count, dtype=np.uint64) + 10,
            np.eye(max(count, 2), dtype=np.float32)[:count],
            Gallery(np.ones((len(labels), max(count, 2)), np.float32), labels, 3),
            np.array(["zero", "one", "two"]),
        )
        return replace(state, candidates=Ranking(np.array(landmarks, np.int32), np.array(scores, np.float32)))

    return make
