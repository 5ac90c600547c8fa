"""What recognition may look at besides descriptors: a classifier's predictions and a detector's boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.recognition.detections import FoundObjects
from landmarks.recognition.votes import NO_LANDMARK
from landmarks.retrieval import Need


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


@dataclass(frozen=True)
class Evidence:
    """Opened evidence; None where there is none of a kind.

    Attributes:
        predictions: of a classifier, about the queries.
        detections: of a detector, in the queries.
    """

    predictions: Predictions | None = None
    detections: FoundObjects | None = None

    @property
    def kinds(self) -> list[Need]:
        """What is there."""
        kinds: list[Need] = ["predictions", "detections"]
        return [kind for kind in kinds if getattr(self, kind) is not None]


NO_EVIDENCE = Evidence()


def join_label_spaces(names: NDArray[np.str_], others: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """Append to one label space what another one knows besides.

    Args:
        names: str [C], each once; they keep their numbers.
        others: str [D], each once.

    Returns:
        The joint names, str [L], and the number there of each of the others, int32 [D].
    """
    if not len(names) or not len(others):
        return np.concatenate([names, others]), np.arange(len(names), len(names) + len(others), dtype=np.int32)
    order = np.argsort(names)
    place = np.minimum(np.searchsorted(names, others, sorter=order), len(names) - 1)
    known = names[order[place]] == others
    number = np.where(known, order[place], len(names) + np.cumsum(~known) - 1)
    return np.concatenate([names, others[~known]]), number.astype(np.int32)
