"""Pushes down landmarks that are predicted suspiciously often.

A train image that resembles many unrelated images (a sign, a portrait, grass) becomes the nearest neighbour of many
queries that show no landmark. The first place of the 2019 recognition challenge pushed down labels that it had
predicted more than 30 times (Ozaki and Yokoo, 2019); how far was not published, and below all others is our choice.
Among 117,577 queries of which few show a landmark, 30 times is often, but not if the queries show only a few landmarks.
So the limit may also grow with a landmark's gallery images, which is our addition.
"""

import numpy as np

from landmarks.errors import LandmarksError
from landmarks.recognition.state import RecognitionState
from landmarks.recognition.votes import push_down
from landmarks.retrieval import Resources


class DistractorPush:
    """Lowers the confidence of queries with a suspicious prediction below that of all others.

    These queries keep their candidates and their order. The note ``times_predicted`` is the number of queries with the
    same prediction, and ``distractor`` marks the queries that were pushed down.

    Args:
        limit: a landmark is suspicious if more queries predict it than this,
        per_gallery_image: and more than this times the number of its gallery images; 0 uses only the limit.
    """

    def __init__(self, limit: int = 30, per_gallery_image: float = 0.0) -> None:
        if limit < 1 or not 0 <= per_gallery_image < np.inf:
            raise LandmarksError(
                f"distractors: limit must be 1 or more and per_gallery_image 0 or more, got {limit} and "
                f"{per_gallery_image}"
            )
        self.limit = limit
        self.per_gallery_image = per_gallery_image

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Return the state with confidences pushed down, and the notes ``times_predicted`` and ``distractor``."""
        candidates = state.require_answer("distractors")
        num_landmarks = len(state.landmark_names)
        # Counts are shifted by one, because -1 stands for no prediction and no landmark.
        times = np.bincount(candidates.first + 1, minlength=num_landmarks + 1)
        images = np.bincount(state.gallery.landmarks + 1, minlength=num_landmarks + 1)
        suspicious = times > np.maximum(self.limit, self.per_gallery_image * images)
        times[0], suspicious[0] = 0, False
        chosen = suspicious[candidates.first + 1]
        times_predicted = times[candidates.first + 1].astype(np.int32)
        return state.with_candidates(push_down(candidates, chosen), times_predicted=times_predicted, distractor=chosen)
