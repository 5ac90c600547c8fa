"""What a classifier says of pictures: the landmarks that it finds likeliest, with their probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.recognition.votes import NO_LANDMARK


@dataclass(frozen=True)
class Predictions:
    """The k likeliest landmarks of every picture.

    Attributes:
        ids: uint64 [N], the pictures.
        landmarks: int32 [N, k], rows of `landmark_names`, the likeliest first; -1 = empty.
        probabilities: float32 [N, k], of a softmax over all landmarks of the classifier; 0 where empty.
        landmark_names: str [C], the classifier's label space.
        name: where they come from, for messages.

    Raises:
        LandmarksError: the arrays do not fit each other.
    """

    ids: NDArray[np.uint64]
    landmarks: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    landmark_names: NDArray[np.str_]
    name: str = "predictions"

    def __post_init__(self) -> None:
        landmarks, probabilities = self.landmarks, self.probabilities
        if landmarks.ndim != 2 or landmarks.shape != probabilities.shape or len(landmarks) != len(self.ids):
            raise LandmarksError(
                f"{self.name}: ids {self.ids.shape}, landmarks {landmarks.shape} and probabilities "
                f"{probabilities.shape} must be [N], [N, k] and [N, k]"
            )
        if landmarks.size and not NO_LANDMARK <= landmarks.min() <= landmarks.max() < len(self.landmark_names):
            raise LandmarksError(f"{self.name}: a landmark lies outside the {len(self.landmark_names)} of its names")
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise LandmarksError(f"{self.name}: a probability lies outside [0, 1]")
