"""A small recognition, set up by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from landmarks.recognition import RecognitionState
from landmarks.retrieval import Gallery, Ranking


def make_state(
    landmarks: Sequence[Sequence[int]], scores: Sequence[Sequence[float]], gallery: Sequence[int] = (0, 1, 2)
) -> RecognitionState:
    """Candidates [Q, M] of queries 10, 11, … beside a gallery of these landmarks."""
    count, labels = len(landmarks), np.array(gallery, np.int32)
    state = RecognitionState.begin(
        np.arange(count, dtype=np.uint64) + 10,
        np.eye(max(count, 2), dtype=np.float32)[:count],
        Gallery(np.ones((len(labels), max(count, 2)), np.float32), labels, 3),
        np.array(["zero", "one", "two"]),
    )
    return replace(state, candidates=Ranking(np.array(landmarks, np.int32), np.array(scores, np.float32)))
