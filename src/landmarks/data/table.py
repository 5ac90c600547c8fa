"""Which images there are, what landmark each shows and where its bytes are, as NumPy arrays.

Arrays, not lists of Python objects: a table of 4.1M rows opens in seconds, and DataLoader workers that are
forked share its pages, because nothing in it has a reference count to write to.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landmarks.data.ids import format_id
from landmarks.errors import LandmarksError

NO_NAMES: NDArray[np.str_] = np.empty(0, dtype=np.str_)


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images and their landmarks.

    Attributes:
        ids: uint64 [N], unique.
        landmarks: int32 [N], indices into `landmark_names`, -1 where no landmark is known.
        landmark_names: str [C], unique: the label space.
        locations: int32 [N], where a store holds each image, -1 where it does not; None before a store was asked.

    Raises:
        LandmarksError: Lengths differ, an id or a name occurs twice, or a landmark lies outside [-1, C).
    """

    ids: NDArray[np.uint64]
    landmarks: NDArray[np.int32]
    landmark_names: NDArray[np.str_]
    locations: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        if self.ids.dtype != np.uint64 or self.landmarks.dtype != np.int32:
            raise LandmarksError(
                f"an image table needs uint64 ids and int32 landmarks, got {self.ids.dtype} and {self.landmarks.dtype}"
            )
        if self.ids.shape != self.landmarks.shape or self.ids.ndim != 1:
            raise LandmarksError(f"{self.ids.shape} ids but {self.landmarks.shape} landmarks in one image table")
        if self.locations is not None and self.locations.shape != self.ids.shape:
            raise LandmarksError(f"{self.ids.shape} ids but {self.locations.shape} locations in one image table")
        ordered = np.sort(self.ids)
        twice = ordered[:-1][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise LandmarksError(f"{len(twice)} image ids occur more than once, first {format_id(twice[0])}")
        if len(self) and (self.landmarks.min() < -1 or self.landmarks.max() >= self.num_landmarks):
            raise LandmarksError(f"landmark indices must lie in [-1, {self.num_landmarks})")
        if len(np.unique(self.landmark_names)) != self.num_landmarks:
            raise LandmarksError("a landmark name occurs twice in one label space")

    @classmethod
    def unlabelled(cls, ids: NDArray[np.uint64]) -> Self:
        """A table of images without landmarks, such as the test split. `ids` is uint64 [N]."""
        return cls(ids, np.full(len(ids), -1, dtype=np.int32), NO_NAMES)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_landmarks(self) -> int:
        """C, the size of the label space."""
        return len(self.landmark_names)

    def counts(self) -> NDArray[np.int64]:
        """Images of each landmark, int64 [C]."""
        return np.bincount(self.landmarks[self.landmarks >= 0], minlength=self.num_landmarks)

    def find(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row of each id, -1 where the table does not hold it. uint64 [M] -> int64 [M]."""
        return find_sorted(self.ids, ids, np.argsort(self.ids))

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "ImageTable":
        """The given rows (indices or a mask), the label space unchanged."""
        return ImageTable(self.ids[rows], self.landmarks[rows], self.landmark_names, _take(self.locations, rows))

    def located(self, locations: NDArray[np.int32]) -> "ImageTable":
        """The same images with what a store answered for them, int32 [N]."""
        return replace(self, locations=locations)

    def labelled(self, min_images: int = 1) -> "ImageTable":
        """Only images of landmarks that have at least `min_images`; the label space shrinks with them."""
        kept = self.counts() >= max(1, min_images)
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        # The appended -1 is what landmark -1 looks up.
        landmarks = np.append(renumbered, np.int32(-1))[self.landmarks]
        rows = landmarks >= 0
        return ImageTable(self.ids[rows], landmarks[rows], self.landmark_names[kept], _take(self.locations, rows))

    def joined(self, other: "ImageTable") -> "ImageTable":
        """This table and then another, to be located anew; likewise their label spaces, none of them merged."""
        shifted = np.where(other.landmarks >= 0, other.landmarks + self.num_landmarks, -1).astype(np.int32)
        return ImageTable(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.landmarks, shifted]),
            np.concatenate([self.landmark_names, other.landmark_names]),
        )


def _take(
    locations: NDArray[np.int32] | None, rows: NDArray[np.integer] | NDArray[np.bool_]
) -> NDArray[np.int32] | None:
    return None if locations is None else locations[rows]


def find_sorted(
    ids: NDArray[np.uint64], wanted: NDArray[np.uint64], order: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Position in `ids` of each wanted id by binary search, -1 where absent.

    Args:
        ids: uint64 [N], sorted, or in any order if `order` sorts it.
        wanted: uint64 [M].
        order: int64 [N], `argsort(ids)`.

    Returns:
        int64 [M].
    """
    if len(ids) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = place if order is None else order[place]
    return np.where(ids[rows] == wanted, rows, -1).astype(np.int64)
