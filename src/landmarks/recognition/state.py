"""The state of a recognition pipeline: a search in labelled train images, and the candidate landmarks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.recognition.detections import FoundObjects
from landmarks.recognition.predictions import Predictions
from landmarks.retrieval import Descriptors, Gallery, Pipeline, Ranking, SearchState


@dataclass(frozen=True, kw_only=True)
class RecognitionState(SearchState):
    """The state of a recognition between two stages; a stage returns a changed copy and never writes into the arrays.

    Train images take the place of index images: `index` holds the gallery's descriptors, `ranking` the nearest train
    images of every query, and `index_images` are in the order of the gallery.

    Attributes:
        gallery: labelled train images.
        query_ids: uint64 [Q].
        landmark_names: str [L], the label space of the candidates: the gallery's names, then those that only the
            classifier knows.
        candidates: landmarks that each query may show, best first; None before the first vote. The first place is the
            prediction, and its score the confidence by which GAP sorts; a query with empty places only has no
            prediction.
        notes: reasons for the decisions, name to values [Q].
        predictions: predictions of a classifier, in any order, perhaps not for all queries.
        detections: objects found by a detector, in any order, perhaps not in all queries.
    """

    gallery: Gallery
    query_ids: NDArray[np.uint64]
    landmark_names: NDArray[np.str_]
    candidates: Ranking | None = None
    notes: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    predictions: Predictions | None = None
    detections: FoundObjects | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        count = len(self.queries)
        for name, values in {"query_ids": self.query_ids, **{f"note {n}": v for n, v in self.notes.items()}}.items():
            if len(values) != count:
                raise LandmarksError(f"recognition: {name} has {len(values)} rows, expected {count}")
        if len(self.index) != len(self.gallery.landmarks):
            raise LandmarksError(
                f"recognition: an index of {len(self.index)} images and a gallery of {len(self.gallery.landmarks)}"
            )
        if len(self.landmark_names) < self.gallery.num_landmarks:
            raise LandmarksError(
                f"recognition: {len(self.landmark_names)} landmark names, the gallery has {self.gallery.num_landmarks}"
            )
        if self.candidates is not None:
            self.candidates.check(count, len(self.landmark_names), "label space", "landmark")
            if np.isposinf(self.candidates.confidence).any():
                raise LandmarksError("recognition: a candidate has an infinite score: lower the weights of the stages")

    @classmethod
    def begin(
        cls,
        query_ids: NDArray[np.uint64],
        queries: Descriptors,
        gallery: Gallery,
        landmark_names: NDArray[np.str_],
        **beside: Any,
    ) -> Self:
        """Make the state before the first stage.

        Args:
            query_ids: uint64 [Q].
            queries: [Q, D] descriptors.
            gallery: labelled train images.
            landmark_names: str, the label space of the gallery.
            **beside: further attributes such as ``index_images``.
        """
        return cls(
            queries, gallery.descriptors, gallery=gallery, query_ids=query_ids, landmark_names=landmark_names, **beside
        )

    @property
    def answer(self) -> Ranking | None:
        """The candidates; None before the first vote."""
        return self.candidates

    def require_answer(self, stage: str) -> Ranking:
        """Return the candidates, or raise an error that names the stage that comes too early."""
        if self.candidates is None:
            raise LandmarksError(f"stage {stage} needs candidates: put a vote before it")
        return self.candidates

    def with_candidates(self, candidates: Ranking, **notes: NDArray[Any]) -> Self:
        """Return a copy of the state with other candidates and further notes [Q]."""
        return replace(self, candidates=candidates, notes={**self.notes, **notes})


RecognitionPipeline = Pipeline[RecognitionState]
