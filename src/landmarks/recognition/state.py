"""What flows through a recognition pipeline: the candidates, and beside them what stages look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.data.source import ImageSet
from landmarks.errors import LandmarksError
from landmarks.recognition.candidates import Candidates
from landmarks.recognition.detections.found_objects import FoundObjects
from landmarks.recognition.predictions import Predictions
from landmarks.retrieval.blocks import Descriptors
from landmarks.retrieval.ranking import Ranking
from landmarks.retrieval.resources import Resources
from landmarks.retrieval.state import Gallery

# What a stage may ask for besides descriptors, and how to say that it is not there.
Need = Literal["pictures", "predictions", "detections"]
MISSING: dict[Need, str] = {
    "pictures": "the pictures of queries and train images; name them with data=… data.root=…",
    "predictions": "what a classifier says: use a checkpoint trained with softmax or arcmargin, or give "
    "predictions=DIR, which `landmarks extract checkpoint=CLASSIFIER predictions=10` writes",
    "detections": "objects found in the queries: give detections=DIR, which `landmarks extract checkpoint=DETECTOR` "
    "writes",
}


@dataclass(frozen=True)
class RecognitionState:
    """A recognition between two stages. Stages give a changed copy and never write into the arrays.

    Attributes:
        query_ids: uint64 [Q].
        queries: [Q, D] query descriptors.
        gallery: labelled train images.
        landmark_names: str [L], the label space of the candidates; its first names are the gallery's, further ones
            only the classifier knows.
        neighbours: the nearest gallery images of every query; None before the search.
        inliers: int32 [Q, k], what spatial verification found for the first k neighbours; None before.
        candidates: landmarks of every query; None before the first vote.
        notes: evidence of the decision about each query, name to [Q], for those who want to know why.
        query_pictures: [Q] pictures in the order of `queries`.
        gallery_pictures: [G] pictures in the order of the gallery.
        predictions: what a classifier says of the queries, in any order; of some it may say nothing.
        detections: objects found in the queries, in any order; into some queries nobody may have looked.
    """

    query_ids: NDArray[np.uint64]
    queries: Descriptors
    gallery: Gallery
    landmark_names: NDArray[np.str_]
    neighbours: Ranking | None = None
    inliers: NDArray[np.int32] | None = None
    candidates: Candidates | None = None
    notes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    query_pictures: ImageSet | None = None
    gallery_pictures: ImageSet | None = None
    predictions: Predictions | None = None
    detections: FoundObjects | None = None

    def __post_init__(self) -> None:
        count = len(self.query_ids)
        for name in ("queries", "query_pictures"):
            values = getattr(self, name)
            if values is not None and len(values) != count:
                raise LandmarksError(f"recognition: {name} has {len(values)} rows, expected {count}")
        for name, values in self.notes.items():
            if len(values) != count:
                raise LandmarksError(f"recognition: note {name} has {len(values)} rows, expected {count}")
        if len(self.landmark_names) < self.gallery.num_landmarks:
            raise LandmarksError(
                f"recognition: {len(self.landmark_names)} landmark names, the gallery has {self.gallery.num_landmarks}"
            )
        if self.neighbours is not None:
            self.neighbours.check(count, len(self.gallery.landmarks))
        if self.candidates is not None and self.candidates.num_queries != count:
            raise LandmarksError(f"recognition: candidates of {self.candidates.num_queries} queries, expected {count}")

    def require_neighbours(self, stage: str) -> Ranking:
        """The neighbours, or an error that says which stage comes too early."""
        if self.neighbours is None:
            raise LandmarksError(f"stage {stage} needs neighbours: put a search in the train images before it")
        return self.neighbours

    def require_candidates(self, stage: str) -> Candidates:
        """The candidates, or an error that says which stage comes too early."""
        if self.candidates is None:
            raise LandmarksError(f"stage {stage} needs candidates: put a vote before it")
        return self.candidates

    def with_candidates(self, candidates: Candidates, **notes: NDArray[Any]) -> "RecognitionState":
        """The same state with other candidates, and further notes [Q]."""
        return replace(self, candidates=candidates, notes={**self.notes, **notes})

    def has(self, need: Need) -> bool:
        """Whether the state holds what a stage may ask for."""
        if need == "pictures":
            return self.query_pictures is not None and self.gallery_pictures is not None
        return getattr(self, need) is not None


class RecognitionStage(Protocol):
    """One step of a recognition pipeline; its parameters are its constructor's.

    A class attribute ``needs: ClassVar[frozenset[Need]]`` says what a stage asks for besides descriptors.
    """

    def __call__(self, state: RecognitionState, resources: Resources) -> RecognitionState:
        """Give the next state."""
        ...
