"""The inputs of an evaluation, whether a network has just made the descriptors or they were read from files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from landmarks.data import GroundTruth, ImageSet, Source
from landmarks.extraction import Embedded
from landmarks.retrieval import Descriptors, ExtractionProtocol, Gallery

# Turns rows int32 [N] of a label space str [L] into the landmark numbers int64 [N] of the official files; -1 stays -1.
OfficialNumbers = Callable[[NDArray[np.int32], NDArray[np.str_]], NDArray[np.int64]]

NO_NAMES = np.empty(0, np.str_)


@dataclass(frozen=True)
class EvaluationSet:
    """Descriptors of a set of images, ready to be searched, with ids, images and protocols as far as they are known."""

    descriptors: Descriptors  # [N, D] float16 or float32 in C order, usually memory-mapped
    ids: NDArray[np.uint64] | None = None  # uint64 [N]; None if unknown: then there is no submission
    images: ImageSet | None = None  # in the order of the descriptors; None if no stage reads images
    regions: Descriptors | None = None  # [N, R, D], descriptors of the regions of each image
    # how the descriptors were extracted, one for each joined model; None if unknown, as for plain files
    protocols: tuple[ExtractionProtocol | None, ...] = (None,)

    def __len__(self) -> int:
        return len(self.descriptors)

    @classmethod
    def extracted(cls, found: Embedded) -> "EvaluationSet":
        """Build the set from images that were just embedded, without those that could not be read."""
        made = found.descriptors
        return cls(made.descriptors, made.ids, found.readable, found.region_rows, (made.protocol,))


SetT = TypeVar("SetT", default=EvaluationSet)


@dataclass(frozen=True)
class Inputs(Generic[SetT]):
    """Queries, index, gallery and ground truth of an evaluation.

    Attributes:
        queries: The test images, as the type `SetT`: `EvaluationSet`, or precomputed files that are not read yet.
        index: The images to be found.
        truth: The ground truth; a task without one gets a submission but no metrics.
        source: The data set; None if there are only files.
        gallery: G labelled train images, which vote for landmarks; None if nothing can be recognised.
        landmarks: int32 [G], rows of `landmark_names` for the gallery, -1 for no landmark.
        landmark_names: str [L], names of the landmarks.
        official: Turns landmarks into the numbers that submissions and solutions use.
        facts: Further facts on the data for `metrics.json`.
    """

    queries: SetT
    index: SetT
    truth: GroundTruth = GroundTruth()  # noqa: RUF009 - frozen
    source: Source | None = None
    gallery: SetT | None = None
    landmarks: NDArray[np.int32] | None = None
    landmark_names: NDArray[np.str_] = field(default_factory=lambda: NO_NAMES)
    official: OfficialNumbers | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labelled(self: "Inputs") -> Gallery | None:
        """The gallery with its landmarks, as stages read it; None if there is none."""
        if self.gallery is None or self.landmarks is None:
            return None
        return Gallery(self.gallery.descriptors, self.landmarks, len(self.landmark_names))

    @staticmethod
    def extracted(
        sets: Mapping[str, Embedded], source: Source, truth: GroundTruth, facts: Mapping[str, Any] | None = None
    ) -> "Inputs":
        """Build the inputs from the three sets of a data set that a network has just embedded.

        Args:
            sets: The sets "queries", "index" and "gallery".
            source: The data set.
            truth: Its ground truth.
            facts: Further facts on the data for `metrics.json`.

        Raises:
            LandmarksError: The sets were extracted with different protocols.
        """
        for name in ("index", "gallery"):
            sets["queries"].descriptors.require_same_protocol(sets[name].descriptors)
        queries, index, gallery = (EvaluationSet.extracted(sets[name]) for name in ("queries", "index", "gallery"))
        assert gallery.images is not None
        table = gallery.images.table
        return Inputs(
            queries,
            index,
            truth,
            source,
            gallery,
            table.landmarks,
            table.landmark_names,
            source.submission_landmark,
            facts or {},
        )
