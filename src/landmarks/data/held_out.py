"""A validation set held out of the training images by landmark.

Whole landmarks are taken out of training. For some of them, a few images become queries and the others the index
images to be found. The images of further landmarks become distractors in the index, and queries that show no known
landmark, as most queries of GLDv2 do. The network is thus validated on landmarks that it has never seen, without
using the test set on which results are reported.

Landmarks and images are chosen by a hash of their names. The choice is therefore the same on every machine and for
any order of the tables, and changes little when the training set grows or shrinks.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError
from landmarks.ids import format_ids

TRAIN, ASKED, OTHER = 0, 1, 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldOut:
    """Sizes of the held-out set.

    Attributes:
        landmarks: Number of landmarks that queries show; 0 holds nothing out.
        queries: Queries per landmark; a landmark needs at least one image more than that to be chosen.
        distractors: Number of index images of other landmarks.
        non_landmark: Number of queries that show other landmarks, none of which is in the gallery.
        seed: Seed of the choice of landmarks. Keep it the same to compare runs.
    """

    landmarks: int = 0
    queries: int = 2
    distractors: int = 20_000
    non_landmark: int = 1_000
    seed: int = 0

    def __post_init__(self) -> None:
        for field, least in (("landmarks", 0), ("queries", 1), ("distractors", 0), ("non_landmark", 0)):
            if getattr(self, field) < least:
                raise LandmarksError(f"data.held_out.{field} is {getattr(self, field)}: it must be {least} or more")


@dataclass(frozen=True)
class HeldOutSets:
    """The image sets into which a training split is divided, each as in Source."""

    train: ImageSet
    queries: ImageSet
    index: ImageSet
    gallery: ImageSet
    truth: GroundTruth


class HeldOutSource(Source):
    """A source that validates on landmarks held out of the training images of another source.

    Retrieval searches the index for the images of a query's landmark. In recognition the labelled index images
    are the gallery, and queries of other landmarks have no landmark. Every second query is public, the others private.

    Args:
        source: The source whose training images are divided; its other images are not used.
        size: How much is held out; `size.landmarks` is at least 1.
    """

    held_out = True

    def __init__(self, source: Source, size: HeldOut) -> None:
        self.source = source
        self.size = size
        self.name = f"{source.name} held out: {size.landmarks} landmarks, seed {size.seed}"

    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Prepare the training images of the underlying source; its evaluation sets may be missing. See Source."""
        self.source.prepare(evaluation=False)

    def train(self) -> ImageSet:
        """Return the images of the remaining landmarks."""
        return self._sets.train

    def gallery(self) -> ImageSet:
        """Return the labelled images of the index."""
        return self._sets.gallery

    def index(self) -> ImageSet:
        """Return the images to be found, in the label space of the gallery, and distractors without a landmark."""
        return self._sets.index

    def queries(self) -> ImageSet:
        """Return the query images, without their landmarks."""
        return self._sets.queries

    def truth(self) -> GroundTruth:
        """Return what the queries should find."""
        return self._sets.truth

    def category_names(self) -> dict[str, str]:
        """Return readable landmark names from the underlying source. See Source."""
        return self.source.category_names()

    @cached_property
    def _sets(self) -> HeldOutSets:
        images = self.source.train()
        sets = hold_out(images, self.size)
        log.info(
            "validate on %d landmarks held out of training: %d queries, %d index images; %d of %d images remain to "
            "train on",
            self.size.landmarks,
            len(sets.queries),
            len(sets.index),
            len(sets.train),
            len(images),
        )
        return sets


def hold_out(images: ImageSet, size: HeldOut) -> HeldOutSets:
    """Divide labelled images into training images, queries and index.

    Args:
        images: The labelled images.
        size: How much is held out.

    Returns:
        The image sets and the ground truth.

    Raises:
        LandmarksError: There are too few landmarks or images for this size.
    """
    table = images.table
    role, place = _deal_landmarks(table, size)
    asked, turn = _in_order(table, role == ASKED, place, size.seed)
    found = asked[turn >= size.queries]
    asked = asked[turn < size.queries]
    others, _ = _in_order(table, role == OTHER, place, size.seed)
    others = others[: size.distractors + size.non_landmark]
    others = others[np.argsort(_chance(size.seed, format_ids(table.ids[others])))]
    unknown, distractors = others[: size.non_landmark], others[size.non_landmark :]

    queries = np.concatenate([asked, unknown])
    public = np.concatenate([np.arange(len(asked)) % 2 == 0, np.arange(len(unknown)) % 2 == 0])
    by_row = np.argsort(queries)
    query_table = _relabelled(table, queries[by_row], role)
    index = ImageSet(_relabelled(table, np.sort(np.concatenate([found, distractors])), role), images.store)
    assert query_table.locations is not None
    return HeldOutSets(
        train=ImageSet(table.take(role[table.landmarks] == TRAIN).labelled(), images.store),
        queries=ImageSet(ImageTable.unlabelled(query_table.ids).located(query_table.locations), images.store),
        index=index,
        gallery=index.take(index.table.landmarks >= 0),
        truth=GroundTruth.of_tables(query_table, public[by_row], index.table),
    )


def _deal_landmarks(table: ImageTable, size: HeldOut) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Return the role of each landmark, int8 [C], and its place in the order of choice, int64 [C]."""
    counts = table.counts()
    order = np.argsort(_chance(size.seed, table.landmark_names.tolist()), kind="stable")
    role = np.full(table.num_landmarks, TRAIN, dtype=np.int8)
    able = order[counts[order] > size.queries]
    if len(able) < size.landmarks:
        raise LandmarksError(
            f"data.held_out.landmarks={size.landmarks}: only {len(able)} of the {table.num_landmarks} landmarks to "
            f"train on have more than data.held_out.queries={size.queries} images; set one of them lower"
        )
    role[able[: size.landmarks]] = ASKED
    others = order[role[order] == TRAIN]
    wanted = size.distractors + size.non_landmark
    ends = np.cumsum(counts[others])
    taken = int(np.searchsorted(ends, wanted)) + 1 if wanted else 0
    if len(others) - taken < 2:
        raise LandmarksError(
            f"data.held_out.distractors={size.distractors} and data.held_out.non_landmark={size.non_landmark}: the "
            f"{len(others)} other landmarks have {counts[others].sum()} images, and at least two landmarks must "
            "remain to train on; set them lower"
        )
    role[others[:taken]] = OTHER
    return role, np.argsort(order)


def _in_order(
    table: ImageTable, landmarks: NDArray[np.bool_], place: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of some landmarks, shuffled within each landmark, and each row's number within its landmark."""
    rows = np.flatnonzero(landmarks[table.landmarks])
    places = place[table.landmarks[rows]]
    order = np.lexsort((_chance(seed, format_ids(table.ids[rows])), places))
    _, first, counts = np.unique(places[order], return_index=True, return_counts=True)
    return rows[order], np.arange(len(rows)) - np.repeat(first, counts)


def _relabelled(table: ImageTable, rows: NDArray[np.int64], role: NDArray[np.int8]) -> ImageTable:
    """Take some rows, in the label space of the landmarks that queries show; other landmarks become -1."""
    asked = np.flatnonzero(role == ASKED)
    number = np.full(len(role), -1, dtype=np.int32)
    number[asked] = np.arange(len(asked))
    taken = table.take(rows)
    return ImageTable(taken.ids, number[taken.landmarks], table.landmark_names[asked], taken.locations)


def _chance(seed: int, names: Iterable[str]) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each name, the same on every machine: uint64 [N]."""
    key = str(seed).encode()
    digests = b"".join(blake2b(name.encode(), digest_size=8, key=key).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
