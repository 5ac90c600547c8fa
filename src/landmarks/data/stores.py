"""Where the bytes of an image are: in official tars, in an extracted tree, or in files with any names.

A store answers for ids, not for paths. It is opened once in the main process and then used by DataLoader
workers, so every store here is picklable and safe under fork, spawn and threads: none keeps an open file or a
position.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.data.ids import format_id, parse_ids
from landmarks.data.table import find_sorted
from landmarks.errors import LandmarksError

IMAGE_NAME = re.compile(r"([0-9a-f]{16})\.jpg")


class MissingImageError(LandmarksError):
    """An image that the tables name is not where its bytes should be."""


class ImageStore(Protocol):
    """Reads the encoded bytes of an image by its id."""

    def read(self, image_id: int) -> bytes:
        """The encoded image. Raises MissingImageError, which names the id and the place."""
        ...

    def contains(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of the ids the store holds: uint64 [N] -> bool [N]."""
        ...


class FolderStore:
    """The extracted tree of GLDv2: `root/a/b/c/<id>.jpg`, a, b, c the first three digits of the id.

    Paths are computed, so that opening the store costs nothing.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def read(self, image_id: int) -> bytes:
        """See ImageStore."""
        name = format_id(image_id)
        path = self.root / name[0] / name[1] / name[2] / f"{name}.jpg"
        try:
            return path.read_bytes()
        except OSError as error:
            raise MissingImageError(f"image {name}: cannot read {path} ({error.strerror})") from error

    def contains(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """See ImageStore. Lists each of the at most 4096 folders once rather than asking for every file."""
        found: list[str] = []
        for prefix in np.unique(ids >> np.uint64(52)):
            folder = self.root.joinpath(*f"{int(prefix):03x}")
            if folder.is_dir():
                names = (path.name for path in folder.iterdir())
                found.extend(match[1] for name in names if (match := IMAGE_NAME.fullmatch(name)))
        return np.isin(ids, parse_ids(found))


class FileStore:
    """Files with any names: a path for each id.

    Args:
        ids: uint64 [N].
        paths: N paths, in the order of `ids`.
    """

    def __init__(self, ids: NDArray[np.uint64], paths: Sequence[Path]) -> None:
        order = np.argsort(ids)
        self._ids = ids[order]
        # One array of bytes, not N Python objects, so that forked workers share it.
        self._paths = np.array([os.fsencode(paths[i]) for i in order], dtype=np.bytes_)

    def path(self, image_id: int) -> Path:
        """Where the image lies. Raises MissingImageError for an id that the store does not know."""
        row = int(find_sorted(self._ids, np.array([image_id], dtype=np.uint64))[0])
        if row < 0:
            raise MissingImageError(f"image {format_id(image_id)}: no file is known for it")
        return Path(os.fsdecode(bytes(self._paths[row])))

    def read(self, image_id: int) -> bytes:
        """See ImageStore."""
        path = self.path(image_id)
        try:
            return path.read_bytes()
        except OSError as error:
            raise MissingImageError(f"image {format_id(image_id)}: cannot read {path} ({error.strerror})") from error

    def contains(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """See ImageStore."""
        return find_sorted(self._ids, ids) >= 0


class JoinedStore:
    """Two stores behind one, for training on train and index images together.

    Args:
        first_ids: uint64 [N], the ids that `first` answers for; all others go to `second`.
        first: A store.
        second: Another store.
    """

    def __init__(self, first_ids: NDArray[np.uint64], first: ImageStore, second: ImageStore) -> None:
        self._first_ids = np.sort(first_ids)
        self._first = first
        self._second = second

    def _in_first(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        return find_sorted(self._first_ids, ids) >= 0

    def read(self, image_id: int) -> bytes:
        """See ImageStore."""
        in_first = self._in_first(np.array([image_id], dtype=np.uint64))[0]
        return (self._first if in_first else self._second).read(image_id)

    def contains(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """See ImageStore."""
        in_first = self._in_first(ids)
        found = np.empty(len(ids), dtype=np.bool_)
        found[in_first] = self._first.contains(ids[in_first])
        found[~in_first] = self._second.contains(ids[~in_first])
        return found
