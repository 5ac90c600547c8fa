"""What an evaluation starts from, whoever made the descriptors: a network just now, or other people as files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

from landmarks.data import GroundTruth, ImageSet, Source
from landmarks.extraction import Embedded
from landmarks.retrieval import Descriptors, ExtractionProtocol, Gallery

# From rows int32 [N] of a label space str [L] to the numbers int64 [N] of the official files; -1 stays -1.
OfficialNumbers = Callable[[NDArray[np.int32], NDArray[np.str_]], NDArray[np.int64]]

NO_NAMES = np.empty(0, np.str_)


@dataclass(frozen=True)
class EvaluationSet:
    """Descriptors of some images as a search reads them, and what is known of the images."""

    descriptors: Descriptors  # [N, D] float16 or float32 in rows, usually memory-mapped
    ids: NDArray[np.uint64] | None = None  # uint64 [N]; None where they are not known: then there is no submission
    images: ImageSet | None = None  # in the order of the descriptors; None where no stage looks at them
    regions: Descriptors | None = None  # [N, R, D], descriptors of parts of each image
    # what made the descriptors, one for each joined model; None where nobody knows, as of plain files
    protocols: tuple[ExtractionProtocol | None, ...] = (None,)

    def __len__(self) -> int:
        return len(self.descriptors)

    @classmethod
    def extracted(cls, found: Embedded) -> "EvaluationSet":
        """Take what a network has just made; images that could not be read are not in it."""
        made = found.descriptors
        return cls(made.descriptors, made.ids, found.readable, found.region_rows, (made.protocol,))


SetT = TypeVar("SetT", default=EvaluationSet)


@dataclass(frozen=True)
class Inputs(Generic[SetT]):
    """Queries, what they are searched in, and what is right; `SetT` is how descriptors lie there."""

    queries: SetT  # the test images
    index: SetT  # the images to be found
    # what is right; a task without truth gets a submission but no figures
    truth: GroundTruth = GroundTruth()  # noqa: RUF009 - frozen
    source: Source | None = None  # the data set; None where there are only files
    # labelled train images, which vote for landmarks; None where nothing can be recognised
    gallery: SetT | None = None
    landmarks: NDArray[np.int32] | None = None  # int32 [G], rows of `landmark_names` for the gallery, -1 = none
    landmark_names: NDArray[np.str_] = field(default_factory=lambda: NO_NAMES)  # str [L]
    official: OfficialNumbers | None = None  # how submissions and solutions call landmarks
    facts: Mapping[str, Any] = field(default_factory=dict)  # what `metrics.json` says of the data besides their stamp

    @property
    def labelled(self: "Inputs") -> Gallery | None:
        """The gallery with its landmarks, as stages read it."""
        if self.gallery is None or self.landmarks is None:
            return None
        return Gallery(self.gallery.descriptors, self.landmarks, len(self.landmark_names))

    @staticmethod
    def extracted(
        sets: Mapping[str, Embedded], source: Source, truth: GroundTruth, facts: Mapping[str, Any] | None = None
    ) -> "Inputs":
        """Take the three sets of a data set that a network has just made, by name; refuse different protocols."""
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
