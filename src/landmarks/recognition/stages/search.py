"""The first stage: the nearest train images of every query."""

from dataclasses import replace

from landmarks.errors import LandmarksError
from landmarks.recognition.state import RecognitionState
from landmarks.retrieval.resources import Resources


class GallerySearch:
    """Search in the labelled train images.

    Args:
        k: neighbours of each query that later stages can look at.

    Raises:
        LandmarksError: k below 1.
    """

    def __init__(self, k: int = 10) -> None:
        if k < 1:
            raise LandmarksError(f"search in the train images: k is {k}: it must be 1 or more")
        self.k = k

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """The state with neighbours [Q, k].

        Raises:
            LandmarksError: descriptors that cannot be compared with the gallery's.
        """
        return replace(state, neighbours=resources.index.search(state.queries, state.gallery.descriptors, self.k))
