"""A table of images: their ids, their landmarks and where their bytes are stored, as NumPy arrays.

With arrays instead of Python lists, a table of 4.1M rows opens in seconds, and forked DataLoader workers share its
memory pages, because there are no reference counts to write.

A table is checked once, when it is constructed; parts of a checked table are not checked again.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError
from landmarks.ids import find_sorted, format_id

INDEX_PREFIX = "index:"
"""Prefix of the names of index landmarks, which are numbered independently of those of the train set."""

NO_NAMES: NDArray[np.str_] = np.empty(0, dtype=np.str_)


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images and their landmarks.

    Attributes:
        ids: uint64 [N], unique.
        landmarks: int32 [N], indices into `landmark_names`, -1 where no landmark is known.
        landmark_names: str [C], unique: the label space.
        locations: int32 [N], where a store holds each image, -1 if it is missing; None if not looked up yet.

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
        _require_one_each(self.ids, self.landmarks, "landmarks")
        if self.locations is not None:
            _require_one_each(self.ids, self.locations, "locations")
        ordered = np.sort(self.ids)
        twice = ordered[:-1][ordered[1:] == ordered[:-1]]
        if len(twice):
            raise LandmarksError(f"{len(twice)} image ids occur more than once, first {format_id(twice[0])}")
        if len(self) and (self.landmarks.min() < -1 or self.landmarks.max() >= self.num_landmarks):
            raise LandmarksError(f"landmark indices must lie in [-1, {self.num_landmarks})")
        if len(set(self.landmark_names.tolist())) != self.num_landmarks:
            raise LandmarksError("a landmark name occurs twice in one label space")

    @classmethod
    def unlabelled(cls, ids: NDArray[np.uint64]) -> Self:
        """Make a table of images without landmarks, such as the test split. `ids` is uint64 [N]."""
        return cls(ids, np.full(len(ids), -1, dtype=np.int32), NO_NAMES)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_landmarks(self) -> int:
        """C, the size of the label space."""
        return len(self.landmark_names)

    def counts(self) -> NDArray[np.int64]:
        """Return the number of images of each landmark, int64 [C]."""
        return np.bincount(self.landmarks + 1, minlength=self.num_landmarks + 1)[1:]

    def find(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the row of each id, -1 if it is not in the table: uint64 [M] -> int64 [M]."""
        ordered, order = self._by_id
        places = find_sorted(ordered, ids)
        return np.where(places >= 0, order[places], -1) if len(self) else places

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        order = np.argsort(self.ids)
        return self.ids[order], order

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "ImageTable":
        """Return the given rows (unique indices or a mask) with the same label space."""
        if rows.dtype != np.bool_:
            taken = np.zeros(len(self), dtype=np.bool_)
            taken[rows] = True
            if np.count_nonzero(taken) != len(rows):
                raise LandmarksError(f"{len(rows)} rows are taken from an image table, some of them more than once")
        locations = None if self.locations is None else self.locations[rows]
        return _unchecked(self.ids[rows], self.landmarks[rows], self.landmark_names, locations)

    def located(self, locations: NDArray[np.int32]) -> "ImageTable":
        """Return the same images with their locations in a store, int32 [N]."""
        _require_one_each(self.ids, locations, "locations")
        return _unchecked(self.ids, self.landmarks, self.landmark_names, locations)

    def labelled(self, min_images: int = 1) -> "ImageTable":
        """Return the images of landmarks that have at least `min_images`, in a label space of these landmarks only."""
        kept = self.counts() >= max(1, min_images)
        if kept.all() and self.landmarks.min(initial=0) >= 0:
            return self
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        # Landmark -1 looks up the appended -1.
        landmarks = np.append(renumbered, np.int32(-1))[self.landmarks]
        rows = landmarks >= 0
        locations = None if self.locations is None else self.locations[rows]
        return _unchecked(self.ids[rows], landmarks[rows], self.landmark_names[kept], locations)

    def joined(self, other: "ImageTable") -> "ImageTable":
        """Return this table followed by another, without locations; the label spaces are concatenated, not merged."""
        shifted = np.where(other.landmarks >= 0, other.landmarks + self.num_landmarks, -1).astype(np.int32)
        return ImageTable(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.landmarks, shifted]),
            np.concatenate([self.landmark_names, other.landmark_names]),
        )


def _unchecked(
    ids: NDArray[np.uint64],
    landmarks: NDArray[np.int32],
    landmark_names: NDArray[np.str_],
    locations: NDArray[np.int32] | None,
) -> ImageTable:
    """Make a table without checks, from part of a checked one: checking again would sort millions of ids."""
    table = object.__new__(ImageTable)
    vars(table).update(ids=ids, landmarks=landmarks, landmark_names=landmark_names, locations=locations)
    return table


def _require_one_each(ids: NDArray[np.uint64], values: NDArray[np.int32], name: str) -> None:
    if values.shape != ids.shape or ids.ndim != 1:
        raise LandmarksError(f"{ids.shape} ids but {values.shape} {name} in one image table")
