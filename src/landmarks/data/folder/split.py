"""Finds the pictures below a folder of landmarks and deals each to train, index or query by a hash.

Such a split needs no file to remember it, is the same on every machine, and leaves the pictures that are there
where they are when others are added.
"""

import logging
import os
import unicodedata
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores import FileStore
from landmarks.data.table import ImageTable
from landmarks.errors import LandmarksError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
TRAIN, INDEX, QUERY = 0, 1, 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitPhotos:
    """All pictures of a folder.

    Attributes:
        table: Their ids (a hash of the path) and landmarks, named after their folders.
        split: int64 [N], TRAIN, INDEX or QUERY.
        store: Their files.
    """

    table: ImageTable
    split: NDArray[np.int64]
    store: FileStore


def split_photos(root: Path, index_share: float, query_share: float, min_split: int, non_landmark: str) -> SplitPhotos:
    """Find and deal the pictures; the arguments are those of PhotoFolder.

    Raises:
        LandmarksError: There is no such folder, no picture in a folder, or two pictures hash to one id.
    """
    found = _find(root)
    others = found.pop(non_landmark, [])
    names = list(found)
    if not names:
        raise LandmarksError(
            f"data.root={root}: no folder with pictures ({', '.join(SUFFIXES)}); it should hold one folder a "
            "landmark with that landmark's pictures in it"
        )
    groups = [*found.values(), others]
    paths = [path for group in groups for path in group]
    keys = [_key(path.relative_to(root)) for path in paths]
    ids = _ids(keys, paths)
    landmarks = np.repeat(np.arange(len(groups), dtype=np.int32), [len(group) for group in groups])
    fraction = np.array([_digest(key, b"split") / 2**64 for key in keys])

    split = np.where(fraction < query_share, QUERY, np.where(fraction < query_share + index_share, INDEX, TRAIN))
    # Training and being found come first: without both, a landmark's queries could not be answered.
    in_train = np.bincount(landmarks[split == TRAIN], minlength=len(groups))
    in_index = np.bincount(landmarks[split == INDEX], minlength=len(groups))
    in_all = np.bincount(landmarks, minlength=len(groups))
    train_only = (in_train == 0) | (in_index == 0) | (in_all < min_split)
    split[train_only[landmarks]] = TRAIN

    other = landmarks == len(names)
    split[other] = np.where(fraction[other] < 0.5, QUERY, INDEX)
    landmarks[other] = -1
    table = ImageTable(ids, landmarks, np.array(names, dtype=np.str_))
    return SplitPhotos(table, split, FileStore(ids, paths))


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
