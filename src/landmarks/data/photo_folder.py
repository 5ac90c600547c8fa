"""Anybody's own photographs: one folder a landmark, nothing else to prepare.

    root/Tower Bridge/{a,b,c}.jpg
    root/Golden Gate/2019/{x,y}.png          folders below a landmark's folder belong to it
    root/non-landmark/{dog,soup}.jpg         optional: pictures of no landmark

Each picture goes to train, index or query by a hash of its path below root. So the split needs no file, is
the same on every machine, and does not change for the pictures that are there when others are added.
"""

import logging
import os
import unicodedata
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.roots import local_folder
from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.data.stores import FileStore
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
TRAIN, INDEX, QUERY = 0, 1, 2

log = logging.getLogger(__name__)


def _digest(key: str, purpose: bytes) -> int:
    data = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(data, digest_size=8, person=purpose).digest(), "big")


def _key(relative: Path) -> str:
    """A picture's name on every machine: macOS writes accents decomposed, others composed."""
    return unicodedata.normalize("NFC", relative.as_posix())


def _ids(keys: list[str], paths: list[Path]) -> NDArray[np.uint64]:
    ids = np.array([_digest(key, b"id") for key in keys], dtype=np.uint64)
    order = np.argsort(ids, kind="stable")
    same = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(same):
        first, second = paths[order[same[0]]], paths[order[same[0] + 1]]
        raise LandmarksError(f"{first} and {second} get the same id; rename one of the files")
    return ids


def _find(root: Path) -> dict[str, list[Path]]:
    """Pictures by landmark folder, both sorted by name; folders without pictures are left out."""
    if not root.is_dir():
        raise LandmarksError(f"data.root={root} is not a folder; it should hold one folder a landmark")
    entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    loose = sum(path.suffix.lower() in SUFFIXES and path.is_file() for path in entries)
    if loose:
        log.warning("%s: %d pictures lie outside any landmark's folder and are left out", root, loose)
    found = {path.name: _pictures(path) for path in entries if path.is_dir()}
    empty = [name for name, paths in found.items() if not paths]
    if empty:
        log.warning("%s: %d folders hold no picture, first %r", root, len(empty), empty[0])
    return {name: paths for name, paths in found.items() if paths}


def _pictures(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted; hidden ones left out, links followed, each folder once."""
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        if (status.st_dev, status.st_ino) in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(here, name) for name in sorted(files) if not name.startswith(".") and name.lower().endswith(SUFFIXES)
        ]
    return found


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
        images, split = self._photos
        if evaluation and not (split == QUERY)[images.table.landmarks >= 0].any():
            raise LandmarksError(
                f"{self.root}: no landmark has enough pictures for a query, an index and a train picture "
                f"({len(images)} pictures of {images.table.num_landmarks} landmarks); add pictures: "
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

    def _part(self, split: int) -> ImageSet:
        images, splits = self._photos
        return images.take(splits == split)

    @cached_property
    def _photos(self) -> tuple[ImageSet, NDArray[np.int64]]:
        """All images, their ids a hash of the path and their landmarks named after their folders; and their splits."""
        found = _find(self.root)
        others = found.pop(self.non_landmark, [])
        names = list(found)
        if not names:
            raise LandmarksError(
                f"data.root={self.root}: no folder with pictures ({', '.join(SUFFIXES)}); it should hold one folder a "
                "landmark with that landmark's pictures in it"
            )
        groups = [*found.values(), others]
        paths = [path for group in groups for path in group]
        keys = [_key(path.relative_to(self.root)) for path in paths]
        ids = _ids(keys, paths)
        landmarks = np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
        fraction = np.array([_digest(key, b"split") / 2**64 for key in keys])

        in_index_or_query = fraction < self.query_share + self.index_share
        split = np.where(fraction < self.query_share, QUERY, np.where(in_index_or_query, INDEX, TRAIN))
        # Training and being found come first: without both, a landmark's queries could not be answered.
        in_train = np.bincount(landmarks[split == TRAIN], minlength=len(groups))
        in_index = np.bincount(landmarks[split == INDEX], minlength=len(groups))
        in_all = np.bincount(landmarks, minlength=len(groups))
        train_only = (in_train == 0) | (in_index == 0) | (in_all < self.min_split)
        split[train_only[landmarks]] = TRAIN

        other = landmarks == len(names)
        split[other] = np.where(fraction[other] < 0.5, QUERY, INDEX)
        landmarks[other] = -1
        return ImageSet(ImageTable(ids, landmarks, np.array(names, dtype=np.str_)), FileStore(ids, paths)), split
