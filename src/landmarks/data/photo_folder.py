"""Data source for a user's own photographs: one folder per landmark, without other preparation.

    root/Tower Bridge/{a,b,c}.jpg
    root/Golden Gate/2019/{x,y}.png          folders below a landmark's folder belong to it
    root/non-landmark/{dog,soup}.jpg         optional: images of no landmark

Each image goes to train, index or query by a hash of its path below root. So the split needs no file, is the same on
every machine, and does not change for existing images when others are added.
"""

import os
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.photo_files import INDEX_NAMES, SPLIT_NAMES, find_photos, known_suffixes, warn_of_duplicates
from landmarks.data.photo_table import read_photo_table
from landmarks.data.roots import local_folder
from landmarks.data.source import GroundTruth, ImageSet, Source
from landmarks.data.stores import FileStore
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError

TRAIN, INDEX, QUERY = 0, 1, 2


def _digest(key: str, purpose: bytes) -> int:
    data = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(data, digest_size=8, person=purpose).digest(), "big")


def _key(relative: Path) -> str:
    """Return an image's name, the same on every machine: macOS decomposes accents, other systems compose them."""
    return unicodedata.normalize("NFC", relative.as_posix())


def _ids(keys: list[str], paths: list[Path]) -> NDArray[np.uint64]:
    ids = np.array([_digest(key, b"id") for key in keys], dtype=np.uint64)
    order = np.argsort(ids, kind="stable")
    same = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(same):
        first, second = paths[order[same[0]]], paths[order[same[0] + 1]]
        raise LandmarksError(f"{first} and {second} get the same id; rename one of the files")
    return ids


def _found(key: str, folder: Path, apart: tuple[Path, ...] = ()) -> dict[str, list[Path]]:
    try:
        return find_photos(folder, apart)
    except LandmarksError as error:
        raise LandmarksError(f"{key}={error}") from None


def _refuse_splits(root: Path, names: list[str], non_landmark: str) -> None:
    """Raise LandmarksError for folders called train, test and so on, which are splits instead of landmarks."""
    splits = [name for name in names if name.lower() in SPLIT_NAMES]
    if len(splits) > 1 or (splits and not set(names) - set(splits) - {non_landmark}):
        train = next((name for name in splits if name.lower().startswith("train")), splits[0])
        index = next((name for name in splits if name.lower() in INDEX_NAMES), train)
        queries = next((name for name in splits if name not in (train, index)), "FOLDER")
        raise LandmarksError(
            f"data.root={root}: holds {' and '.join(splits)}, which are splits, not landmarks. To split one folder "
            f"of landmarks: data.root={root / train}. To keep the existing split: data.root={root / train} "
            f"data.source.queries={root / queries} data.source.index={root / index}"
        )


def images_of_files(paths: list[Path], root: Path | None = None) -> ImageSet:
    """Make a set of N files without landmarks, whose ids are hashes of their paths.

    Args:
        paths: The files, each once, in the order of the rows.
        root: Paths relative to this folder are hashed and shown, so that a moved folder keeps its ids.

    Raises:
        LandmarksError: Two files get the same id, for example because a file is listed twice.
    """
    ids = _ids([_key(Path(os.path.relpath(path, root)) if root else path.absolute()) for path in paths], paths)
    return ImageSet(ImageTable.unlabelled(ids), FileStore(ids, paths, root))


@dataclass(frozen=True)
class PhotoSets:
    """The three sets of a split in one label space, in which the landmarks of `train` come first."""

    train: ImageTable
    index: ImageTable
    queries: ImageTable  # with landmarks, unlike `Source.queries`
    store: FileStore

    @cached_property
    def asked(self) -> NDArray[np.bool_]:
        """Whether each query shows a landmark of the index, bool [Q]."""
        return np.append(self.index.counts() > 0, False)[self.queries.landmarks]  # -1 looks up the last element


def given_photos(root: Path, sets: dict[str, dict[str, list[Path]]], non_landmark: str) -> PhotoSets:
    """Make tables from images by split (train, index, query) and landmark; an empty train split becomes the index."""
    sets = {**sets, "train": sets["train"] or {k: v for k, v in sets["index"].items() if k != non_landmark}}
    known = sorted(sets["train"])
    names = [*known, *sorted({*sets["index"], *sets["query"]} - {*known, non_landmark})]
    number = {name: place for place, name in enumerate(names)} | {non_landmark: -1}
    paths = sorted({path for found in sets.values() for group in found.values() for path in group})
    ids = _ids([_key(Path(os.path.relpath(path, root))) for path in paths], paths)  # with .. if outside the root
    id_of = dict(zip(paths, ids.tolist(), strict=True))

    def table(split: str, names: list[str]) -> ImageTable:
        rows = [(id_of[path], number[name]) for name, group in sets[split].items() for path in group]
        chosen = np.array([image for image, _ in rows], np.uint64)
        return ImageTable(chosen, np.array([label for _, label in rows], np.int32), np.array(names, np.str_))

    both = set(chain(*sets["index"].values())) & set(chain(*sets["query"].values()))
    if both:
        raise LandmarksError(f"{min(both)} is a query and in the index ({len(both)} such images): it would find itself")
    return PhotoSets(table("train", known), table("index", names), table("query", names), FileStore(ids, paths, root))


class PhotoFolder(Source):
    """Folder of photographs with one folder per landmark, split for training and both evaluations.

    Landmarks with few images are only used in training, and so are those for which the hash selects no train or no
    index image. Half of the images without a landmark are queries (for recognition; retrieval ignores them), the others
    are distractors in the index. Every second query is public, the others are private.

    A user's own split, as two folders or a table, replaces that of the hash. Retrieval then ignores queries of
    landmarks that the index lacks, and recognition treats queries of landmarks without training images as showing none.

    Args:
        root: The folder that holds the landmarks' folders. Hidden files are ignored; links are followed.
        index_share: Share of each landmark's images that goes to the index set, 0..1.
        query_share: Share that becomes queries, 0..1.
        min_split: Landmarks with fewer images than this are only used in training.
        non_landmark: Name of the folder with images without a landmark, if there is one.
        queries: A folder of the same form with the queries; requires `index`. The root's other images are for training.
        index: A folder of the same form with the index images.
        table: Instead of folders, a CSV file of `path` (relative to the root), `landmark` (empty for none) and `split`:
            train, index or query.
    """

    name = "folder"

    def __init__(
        self,
        root: str | Path,
        index_share: float = 0.3,
        query_share: float = 0.2,
        min_split: int = 4,
        non_landmark: str = "non-landmark",
        queries: str | Path | None = None,
        index: str | Path | None = None,
        table: str | Path | None = None,
    ) -> None:
        if min(index_share, query_share) <= 0 or index_share + query_share >= 1:
            raise LandmarksError(
                f"index_share {index_share} and query_share {query_share} must be above 0 and leave images to train on"
            )
        if (queries is None) != (index is None) or (table is not None and queries is not None):
            raise LandmarksError(
                "data.source: give queries and index, each a folder with one folder per landmark; or only a table"
            )
        self.root = local_folder(root)
        self.index_share = index_share
        self.query_share = query_share
        self.min_split = min_split
        self.non_landmark = non_landmark
        self._folders = () if queries is None or index is None else (Path(index), Path(queries))
        self._table = None if table is None else Path(table)
        self._is_looked_through = False

    def prepare(self, training: bool = True, evaluation: bool = True) -> None:
        """Find and split the images, see Source; raises LandmarksError if there are too few of them."""
        photos = self._photos
        if not evaluation:
            return
        tables = {"train": photos.train, "index": photos.index, "query": photos.queries}
        if not photos.asked.any():
            counts = ", ".join(f"{len(table)} {name}" for name, table in tables.items())
            raise LandmarksError(
                f"{self._table}: no query shows a landmark of the index ({counts} images); use the same names in both"
                if self._table
                else f"data.source.queries: no query shows a landmark of the index ({counts} images); give folders "
                "of a landmark the same name in both"
                if self._folders
                else f"{self.root}: no landmark has enough images for a query, an index and a train image "
                f"({len(photos.train)} images of {photos.train.num_landmarks} landmarks); add images: "
                f"{2 * self.min_split} or more of a landmark are usually enough"
            )
        if not self._is_looked_through:
            paths = {name: [photos.store.path(i) for i in table.ids.tolist()] for name, table in tables.items()}
            warn_of_duplicates(self.root, paths)
            self._is_looked_through = True

    def train(self) -> ImageSet:
        """Return the training images."""
        return ImageSet(self._photos.train, self._photos.store)

    def gallery(self) -> ImageSet:
        """Return the training images."""
        return self.train()

    def index(self) -> ImageSet:
        """Return the index images, in the label space of train; -1 for images without a landmark."""
        return ImageSet(self._photos.index, self._photos.store)

    def queries(self) -> ImageSet:
        """Return the query images, without their landmarks."""
        return ImageSet(ImageTable.unlabelled(self._photos.queries.ids), self._photos.store)

    def truth(self) -> GroundTruth:
        """Return the index images of each query's landmark for retrieval, and the landmark for recognition."""
        photos = self._photos
        public = np.zeros(len(photos.queries), dtype=np.bool_)
        for rows in (np.flatnonzero(photos.asked), np.flatnonzero(~photos.asked)):
            public[rows[np.argsort(photos.queries.ids[rows])[::2]]] = True  # a random half, because ids are hashes
        return GroundTruth.of_tables(photos.queries, public, photos.index, photos.train.num_landmarks)

    @cached_property
    def _photos(self) -> PhotoSets:
        if self._table is not None:
            by_name = read_photo_table(self._table, self.root, self.non_landmark)
            return given_photos(self.root, by_name, self.non_landmark)
        if self._folders:
            index, queries = self._folders
            train = _found("data.root", self.root, self._folders)
            _refuse_splits(self.root, list(train), self.non_landmark)
            train.pop(self.non_landmark, None)
            given = {"index": _found("data.source.index", index), "query": _found("data.source.queries", queries)}
            return given_photos(self.root, {"train": train, **given}, self.non_landmark)
        return self._dealt()

    def _dealt(self) -> PhotoSets:
        """Split the images below the root into the three sets by a hash of their paths."""
        found = _found("data.root", self.root)
        _refuse_splits(self.root, list(found), self.non_landmark)
        others = found.pop(self.non_landmark, [])
        names = list(found)
        if not names:
            raise LandmarksError(
                f"data.root={self.root}: no folder with images ({', '.join(known_suffixes())}); it should hold one "
                "folder per landmark with its images"
            )
        groups = [*found.values(), others]
        paths = [path for group in groups for path in group]
        keys = [_key(path.relative_to(self.root)) for path in paths]
        ids = _ids(keys, paths)
        landmarks = np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
        fraction = np.array([_digest(key, b"split") / 2**64 for key in keys])

        in_index_or_query = fraction < self.query_share + self.index_share
        split = np.where(fraction < self.query_share, QUERY, np.where(in_index_or_query, INDEX, TRAIN))
        # Without train and index images, a landmark's queries could not be answered.
        in_train = np.bincount(landmarks[split == TRAIN], minlength=len(groups))
        in_index = np.bincount(landmarks[split == INDEX], minlength=len(groups))
        in_all = np.bincount(landmarks, minlength=len(groups))
        train_only = (in_train == 0) | (in_index == 0) | (in_all < self.min_split)
        split[train_only[landmarks]] = TRAIN

        other = landmarks == len(names)
        split[other] = np.where(fraction[other] < 0.5, QUERY, INDEX)
        landmarks[other] = -1
        table = ImageTable(ids, landmarks, np.array(names, dtype=np.str_))
        train, index, queries = (table.take(split == part) for part in (TRAIN, INDEX, QUERY))
        return PhotoSets(train, index, queries, FileStore(ids, paths, self.root))
