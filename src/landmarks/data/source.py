"""The interface that every data set implements, so that training and evaluation work with any of them."""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores import FileStore, ImageStore
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError, shown
from landmarks.ids import format_id
from landmarks.metrics import RecognitionSolution, RetrievalSolution

READ = 16  # files of a set that tell it from another


@dataclass(frozen=True)
class GroundTruth:
    """The ground truth of both tasks; a task without ground truth gets submission files but no metrics.

    Attributes:
        retrieval: The index images that each query should find, by id.
        recognition: The landmarks that each query shows, by id.
        labels: Replaces `retrieval` if images have labels but no ids: labels of the queries, int64 [Q], and of the
            index images, int64 [N], -1 for none. The index images with a query's label are correct.
        retrieval_from: The file that the retrieval ground truth comes from; empty for the data set itself.
        recognition_from: The same for recognition.
    """

    retrieval: RetrievalSolution | None = None
    recognition: RecognitionSolution | None = None
    labels: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    retrieval_from: str = ""
    recognition_from: str = ""

    @cached_property
    def label_positives(self) -> NDArray[np.int64]:
        """Number of index images with each query's label, int64 [Q]; 0 for queries that are not scored."""
        assert self.labels is not None
        queries, index = self.labels
        labels, counts = np.unique(index, return_counts=True)
        place = np.minimum(np.searchsorted(labels, queries), len(labels) - 1)
        return np.where((labels[place] == queries) & (queries >= 0), counts[place], 0)

    @classmethod
    def of_tables(
        cls, queries: ImageTable, public: NDArray[np.bool_], index: ImageTable, known: int | None = None
    ) -> "GroundTruth":
        """Make the ground truth of both tasks from images that are labelled in one label space.

        Queries should find the index images of their landmark, and be recognised as its number in the label space.

        Args:
            queries: Q images. Those without a landmark (-1), or with one that the index lacks, are ignored in
                retrieval; those without a known landmark show no landmark in recognition.
            public: bool [Q], True for public queries, False for private ones.
            index: Index images in the label space of `queries`.
            known: Number of landmarks, from the start of the label space, that can be recognised; by default all.
        """
        shown = np.append(index.counts() > 0, False)[queries.landmarks]  # -1 looks up the last element
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
    """Images and the store that holds their bytes.

    Attributes:
        table: The N images; if they have no locations yet, the store is asked for them when the set is made.
        store: Reads the encoded images.
    """

    table: ImageTable
    store: ImageStore

    def __post_init__(self) -> None:
        if self.table.locations is None:
            object.__setattr__(self, "table", self.table.located(self.store.locate(self.table.ids)))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether the store holds each image, bool [N]."""
        assert self.table.locations is not None
        return self.table.locations >= 0

    def read(self, row: int, length: int | None = None) -> bytes:
        """Return the encoded image of a row, or its first `length` bytes. Raises MissingImageError."""
        assert self.table.locations is not None
        return self.store.read(int(self.table.ids[row]), int(self.table.locations[row]), length)

    @property
    def has_paths(self) -> bool:
        """Whether images are files with paths of their own, which tell people more than ids."""
        return isinstance(self.store, FileStore)

    def name(self, row: int) -> str:
        """Return the name of a row's image for messages: its path and its id, or only its id."""
        name = format_id(int(self.table.ids[row]))
        return f"{shown(self.path(row))} ({name})" if self.has_paths and self.present[row] else name

    def path(self, row: int) -> str:
        """Return the path of a row's image below the root, empty if it is missing; only for sets that have paths."""
        assert isinstance(self.store, FileStore) and self.table.locations is not None
        location = int(self.table.locations[row])
        return self.store.name(int(self.table.ids[row]), location) if location >= 0 else ""

    def stamps(self, rows: NDArray[np.integer] | None = None) -> NDArray[np.uint64]:
        """Return a stamp for each image that changes when its file does, uint64 [n]; see `ImageStore.stamps`."""
        assert self.table.locations is not None
        chosen = slice(None) if rows is None else rows
        return self.store.stamps(self.table.ids[chosen], self.table.locations[chosen])

    def identity(self) -> str:
        """Return 16 hex digits that identify the set, wherever it is stored, by ids, landmarks and a few files."""
        parts: list[NDArray[np.generic]] = [self.table.ids, self.table.landmarks]
        rows = np.flatnonzero(self.present)
        for row in rows[np.linspace(0, len(rows) - 1, min(READ, len(rows))).astype(np.int64)]:
            with suppress(OSError, LandmarksError):  # unreadable images are counted when they are used
                parts.append(np.frombuffer(self.read(int(row)), np.uint8))
        from landmarks.data.samplers import fingerprint  # here, because it imports torch

        return fingerprint(*parts)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "ImageSet":
        """Return the given rows (indices or a mask) with the same store and label space."""
        return ImageSet(self.table.take(rows), self.store)


class Source(ABC):
    """The base class of all data sets: images with their splits and ground truth.

    Attributes:
        name: Name of the data set, recorded with results, e.g. "gldv2".
        release: Published version of the ground truth, e.g. "v2.1"; None if it was not published.
        held_out: Whether the evaluation sets are taken out of the training images.
    """

    name: str
    release: str | None = None
    held_out: bool = False

    @abstractmethod
    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Check that all files exist.

        Args:
            training: Whether training images are needed.
            evaluation: Whether evaluation sets are needed; the gallery is needed only if both are.

        Raises:
            LandmarksError: Files are missing; the message lists all of them.
        """

    @abstractmethod
    def train(self) -> ImageSet:
        """Return the training images, each with a landmark."""

    @abstractmethod
    def gallery(self) -> ImageSet:
        """Return the labelled train images that vote for a landmark in recognition."""

    @abstractmethod
    def index(self) -> ImageSet:
        """Return the images to be retrieved, in the index label space; landmarks may be -1."""

    @abstractmethod
    def queries(self) -> ImageSet:
        """Return the test split, whose landmarks are unknown (-1)."""

    @abstractmethod
    def truth(self) -> GroundTruth:
        """Return the ground truth of the queries."""

    def submission_landmark(
        self, landmark: NDArray[np.int32], landmark_names: NDArray[np.str_] | None = None
    ) -> NDArray[np.int64]:
        """Return the landmark numbers used in recognition submissions and solutions.

        By default these are the indices themselves, for data sets without an official solution.

        Args:
            landmark: Indices into the label space, int32 [N]; -1 for none.
            landmark_names: The label space, str [C]; None for that of `train()`.

        Returns:
            int64 [N]; -1 stays -1.

        Raises:
            LandmarksError: The label space has no such numbers, as that of the GLDv2 index set.
        """
        return landmark.astype(np.int64)

    def category_names(self) -> dict[str, str]:
        """Return readable names of landmarks, by the landmark's name in the label space, as far as known."""
        return {}
