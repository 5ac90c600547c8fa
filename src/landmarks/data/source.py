"""What every set of photographs offers, so that training and evaluation need not know which one it is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarks.data.ground_truth import GroundTruth
from landmarks.data.stores import ImageStore
from landmarks.data.table import ImageTable


@dataclass(frozen=True)
class ImageSet:
    """Images and the store that holds their bytes; a table that was never located is so when the set is made."""

    table: ImageTable
    store: ImageStore

    def __post_init__(self) -> None:
        if self.table.locations is None:
            object.__setattr__(self, "table", self.table.located(self.store.locate(self.table.ids)))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which of the images the store holds, bool [N]."""
        assert self.table.locations is not None
        return self.table.locations >= 0

    def read(self, row: int, length: int | None = None) -> bytes:
        """The encoded image of a row, or its first `length` bytes. Raises MissingImageError."""
        assert self.table.locations is not None
        return self.store.read(int(self.table.ids[row]), int(self.table.locations[row]), length)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "ImageSet":
        """The given rows (indices or a mask) with the same store and label space."""
        return ImageSet(self.table.take(rows), self.store)


class Source(ABC):
    """A set of photographs with its splits and ground truth: the base class of all data sets.

    Attributes:
        name: For protocol stamps, e.g. "gldv2".
        release: Of the ground truth, e.g. "v2.1"; None where it is nobody's release.
        held_out: Whether the evaluation sets are taken out of the images to train on.
    """

    name: str
    release: str | None = None
    held_out: bool = False

    @abstractmethod
    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Check that all is there. One LandmarksError lists what is missing.

        Args:
            training: Whether pictures to train on are needed, and with `evaluation` the gallery.
            evaluation: Whether index and queries are needed.
        """

    @abstractmethod
    def train(self) -> ImageSet:
        """Images to train on, each with a landmark."""

    @abstractmethod
    def gallery(self) -> ImageSet:
        """Labelled train images, the neighbours that vote for a landmark in recognition."""

    @abstractmethod
    def index(self) -> ImageSet:
        """Images to be retrieved. Landmarks may be -1; they are of the index label space."""

    @abstractmethod
    def queries(self) -> ImageSet:
        """The test split. Its landmarks are unknown (-1)."""

    @abstractmethod
    def truth(self) -> GroundTruth:
        """What the queries should find."""

    @abstractmethod
    def submission_landmark(
        self, landmark: NDArray[np.int32], landmark_names: NDArray[np.str_] | None = None
    ) -> NDArray[np.int64]:
        """The numbers by which recognition submissions and solutions call landmarks.

        Args:
            landmark: int32 [N], indices into the label space; -1 stays -1.
            landmark_names: str [C], the label space; None is that of `train()`.

        Returns:
            int64 [N].

        Raises:
            LandmarksError: The label space has no such numbers, as the GLDv2 index set's.
        """

    def category_names(self) -> dict[str, str]:
        """What people call landmarks, by the landmark's name, as far as the data set knows."""
        return {}
