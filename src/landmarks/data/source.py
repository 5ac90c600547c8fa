"""What every set of photographs offers, so that training and evaluation need not know which one it is."""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.data.samplers import fingerprint
from landmarks.data.stores import FileStore, ImageStore
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError, shown
from landmarks.ids import format_id
from landmarks.metrics import RecognitionSolution, RetrievalSolution

READ = 16  # files of a set that tell it from another


@dataclass(frozen=True)
class GroundTruth:
    """Holds what is right in both tasks; a task of which nobody knows is answered with submissions, not scored.

    Attributes:
        retrieval: which index images each query should find, by id.
        recognition: which landmarks each query shows, by id.
        labels: stands in for `retrieval` where images have labels and no ids: int64 [Q] of the queries and int64 [N]
            of the index images, -1 = none. Index images of a query's label are right.
        retrieval_from: file that retrieval's truth comes from; empty for the data set itself.
        recognition_from: likewise.
    """

    retrieval: RetrievalSolution | None = None
    recognition: RecognitionSolution | None = None
    labels: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    retrieval_from: str = ""
    recognition_from: str = ""

    @cached_property
    def label_positives(self) -> NDArray[np.int64]:
        """Count the index images of each query's label, int64 [Q]; 0 for queries that are not scored."""
        assert self.labels is not None
        queries, index = self.labels
        labels, counts = np.unique(index, return_counts=True)
        place = np.minimum(np.searchsorted(labels, queries), len(labels) - 1)
        return np.where((labels[place] == queries) & (queries >= 0), counts[place], 0)

    @classmethod
    def of_tables(
        cls, queries: ImageTable, public: NDArray[np.bool_], index: ImageTable, known: int | None = None
    ) -> "GroundTruth":
        """Make solutions of both tasks from images whose landmarks are known in one label space.

        Queries should find the index images of their landmark, and are recognised as its number in the label space.

        Args:
            queries: Q images; those without a landmark (-1), or with one that the index lacks, are ignored in
                retrieval; without one that is known they show nothing in recognition.
            public: bool [Q], True public, False private.
            index: images in the label space of `queries`.
            known: landmarks that can be recognised, the first of the label space; by default all.
        """
        shown = np.append(index.counts() > 0, False)[queries.landmarks]  # the last is what -1 looks up
        named = (queries.landmarks >= 0) & (queries.landmarks < (queries.num_landmarks if known is None else known))
        by_landmark = np.argsort(index.landmarks, kind="stable")
        by_landmark = by_landmark[index.landmarks[by_landmark] >= 0]
        counts = index.counts()
        ends = np.cumsum(counts)
        asked = queries.landmarks[shown]
        positives = [index.ids[by_landmark[ends[c] - counts[c] : ends[c]]] for c in asked]
        retrieval = RetrievalSolution(
            query_ids=queries.ids[shown],
            public=public[shown],
            positives_start=np.concatenate([[0], np.cumsum(counts[asked])]).astype(np.int64),
            positives=np.concatenate([np.empty(0, np.uint64), *positives]),
            ignored_ids=queries.ids[~shown],
        )
        recognition = RecognitionSolution(
            image_ids=queries.ids,
            public=public,
            landmarks_start=np.concatenate([[0], np.cumsum(named)]).astype(np.int64),
            landmarks=queries.landmarks[named].astype(np.int64),
            ignored_ids=np.empty(0, dtype=np.uint64),
        )
        return cls(retrieval, recognition)


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

    @property
    def has_paths(self) -> bool:
        """Whether images have names of their own, which say more than ids."""
        return isinstance(self.store, FileStore)

    def name(self, row: int) -> str:
        """What people call the image of a row: its path and its id, or its id alone."""
        name = format_id(int(self.table.ids[row]))
        return f"{shown(self.path(row))} ({name})" if self.has_paths and self.present[row] else name

    def path(self, row: int) -> str:
        """The path of a row's image below the root, if images have paths; empty for one that is not there."""
        assert isinstance(self.store, FileStore) and self.table.locations is not None
        location = int(self.table.locations[row])
        return self.store.name(int(self.table.ids[row]), location) if location >= 0 else ""

    def stamps(self, rows: NDArray[np.integer] | None = None) -> NDArray[np.uint64]:
        """What tells images from others of the same ids, without reading them; see `ImageStore.stamps`. uint64 [n]."""
        assert self.table.locations is not None
        chosen = slice(None) if rows is None else rows
        return self.store.stamps(self.table.ids[chosen], self.table.locations[chosen])

    def identity(self) -> str:
        """Return 16 hex digits that tell a set from another, wherever it lies, by ids, landmarks and a few files."""
        parts: list[NDArray[np.generic]] = [self.table.ids, self.table.landmarks]
        rows = np.flatnonzero(self.present)
        for row in rows[np.linspace(0, len(rows) - 1, min(READ, len(rows))).astype(np.int64)]:
            with suppress(OSError, LandmarksError):  # what cannot be read is counted by those who need it
                parts.append(np.frombuffer(self.read(int(row)), np.uint8))
        return fingerprint(*parts)

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
        """Check that all is there that training needs, evaluation, or both (the gallery).

        One LandmarksError lists what is missing.
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

    def submission_landmark(
        self, landmark: NDArray[np.int32], landmark_names: NDArray[np.str_] | None = None
    ) -> NDArray[np.int64]:
        """The numbers by which recognition submissions and solutions call landmarks, int32 [N] -> int64 [N]; -1 stays.

        The landmarks are indices into `landmark_names`, str [C], or None for the label space of `train()`. Raises
        LandmarksError where a label space has no such numbers, as the GLDv2 index set's. By default the indices
        themselves: no official solution knows the set.
        """
        return landmark.astype(np.int64)

    def category_names(self) -> dict[str, str]:
        """What people call landmarks, by the landmark's name, as far as the data set knows."""
        return {}
