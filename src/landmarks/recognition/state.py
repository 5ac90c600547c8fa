"""What flows through a recognition pipeline: a search in labelled train images, and the landmarks that it leads to."""

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
    """A recognition between two stages. Stages give a changed copy and never write into the arrays.

    The train images are what is searched: `index` is the gallery's descriptors, `ranking` holds the nearest train
    images of every query, `index_images` are in the order of the gallery.
    """

    gallery: Gallery
    query_ids: NDArray[np.uint64]  # [Q]
    # [L], the label space of the candidates; its first names are the gallery's, further ones only the classifier knows
    landmark_names: NDArray[np.str_]
    # landmarks that each query may show, the likeliest first; None before the first vote. The first place is the
    # prediction, its score the confidence by which GAP sorts; a query whose places are all empty has no prediction
    candidates: Ranking | None = None
    notes: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # why each query was decided so, name to [Q]
    predictions: Predictions | None = None  # what a classifier says, in any order; of some queries perhaps nothing
    detections: FoundObjects | None = None  # objects found, in any order; into some queries nobody may have looked

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
        """Make the state before the first stage; ``beside`` are attributes such as ``index_images``."""
        return cls(
            queries, gallery.descriptors, gallery=gallery, query_ids=query_ids, landmark_names=landmark_names, **beside
        )

    @property
    def answer(self) -> Ranking | None:
        """The candidates."""
        return self.candidates

    def require_answer(self, stage: str) -> Ranking:
        """The candidates, or an error that says which stage comes too early."""
        if self.candidates is None:
            raise LandmarksError(f"stage {stage} needs candidates: put a vote before it")
        return self.candidates

    def with_candidates(self, candidates: Ranking, **notes: NDArray[Any]) -> Self:
        """The same state with other candidates, and further notes [Q]."""
        return replace(self, candidates=candidates, notes={**self.notes, **notes})


RecognitionPipeline = Pipeline[RecognitionState]
