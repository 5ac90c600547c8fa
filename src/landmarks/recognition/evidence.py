"""What recognition may look at besides descriptors: a classifier's predictions and a detector's boxes."""

from dataclasses import dataclass

from landmarks.recognition.detections.found_objects import FoundObjects
from landmarks.recognition.predictions import Predictions
from landmarks.retrieval.state import Need


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
