"""Anybody's own photographs: one folder a landmark, nothing else to prepare.

    root/Tower Bridge/{a,b,c}.jpg
    root/Golden Gate/2019/{x,y}.png          folders below a landmark's folder belong to it
    root/non-landmark/{dog,soup}.jpg         optional: pictures of no landmark

Each picture goes to train, index or query by a hash of its path below root. So the split needs no file, is
the same on every machine, and does not change for the pictures that are there when others are added.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.folder.split import INDEX, QUERY, TRAIN, SplitPhotos, split_photos
from landmarks.data.ground_truth import GroundTruth
from landmarks.data.roots import local_folder
from landmarks.data.source import ImageSet, Source
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError


class PhotoFolder(Source):
    """A folder of photographs with one folder a landmark, split for training and both evaluations.

    Landmarks with few pictures train only. A landmark that the hash leaves without a train or an index
    picture has no queries: its pictures train, too. Pictures of no landmark are half queries (of recognition;
    retrieval ignores them) and half index distractors. Every second query is public, the others private.

    Args:
        root: The folder that holds the landmarks' folders. Hidden files are ignored; links are followed.
        index_share: Part of each landmark's pictures that goes to the index set, 0..1.
        query_share: Part that becomes queries, 0..1.
        min_split: Landmarks with fewer pictures than this train only.
        non_landmark: Name of the folder with pictures of no landmark, if there is one.
    """

    name = "folder"

    def __init__(
        self,
        root: str | Path,
        index_share: float = 0.3,
        query_share: float = 0.2,
        min_split: int = 4,
        non_landmark: str = "non-landmark",
    ) -> None:
        if min(index_share, query_share) <= 0 or index_share + query_share >= 1:
            raise LandmarksError(
                f"index_share {index_share} and query_share {query_share} must be above 0 and leave a rest to train on"
            )
        self.root = local_folder(root)
        self.index_share = index_share
        self.query_share = query_share
        self.min_split = min_split
        self.non_landmark = non_landmark

    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Find and split the pictures. Raises LandmarksError where there is nothing to work on. See Source."""
        photos = self._photos
        if evaluation and not (photos.split == QUERY)[photos.table.landmarks >= 0].any():
            raise LandmarksError(
                f"{self.root}: no landmark has enough pictures for a query, an index and a train picture "
                f"({len(photos.table)} pictures of {photos.table.num_landmarks} landmarks); add pictures: "
                f"{2 * self.min_split} or more of a landmark are mostly enough"
            )

    def train(self) -> ImageSet:
        """Pictures to train on."""
        return self._part(TRAIN)

    def gallery(self) -> ImageSet:
        """The train pictures."""
        return self.train()

    def index(self) -> ImageSet:
        """Pictures to be retrieved, in the label space of train; -1 for pictures of no landmark."""
        return self._part(INDEX)

    def queries(self) -> ImageSet:
        """Query pictures, their landmarks withheld."""
        part = self._part(QUERY)
        return ImageSet(ImageTable.unlabelled(part.table.ids), part.store)

    def truth(self) -> GroundTruth:
        """Retrieval: the index pictures of the query's landmark. Recognition: the landmark's index."""
        queries, index = self._part(QUERY).table, self._part(INDEX).table
        shown = queries.landmarks >= 0
        public = np.zeros(len(queries), dtype=np.bool_)
        for rows in (np.flatnonzero(shown), np.flatnonzero(~shown)):
            public[rows[np.argsort(queries.ids[rows])[::2]]] = True  # ids are hashes: every second by chance
        return GroundTruth.of_tables(queries, public, index)

    def submission_landmark(
        self, landmark: NDArray[np.int32], landmark_names: NDArray[np.str_] | None = None
    ) -> NDArray[np.int64]:
        """The index itself: there is one label space. See Source."""
        return landmark.astype(np.int64)

    def _part(self, split: int) -> ImageSet:
        photos = self._photos
        return ImageSet(photos.table.take(photos.split == split), photos.store)

    @cached_property
    def _photos(self) -> SplitPhotos:
        return split_photos(self.root, self.index_share, self.query_share, self.min_split, self.non_landmark)
