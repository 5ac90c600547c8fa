"""Pictures in files with any names."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.store import MissingImageError
from landmarks.ids import find_sorted, format_id


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
        return self._path(image_id, int(self.locate(np.array([image_id], dtype=np.uint64))[0]))

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        return find_sorted(self._ids, ids).astype(np.int32)

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """See ImageStore."""
        path = self._path(image_id, location)
        try:
            return read_file(path, length)
        except OSError as error:
            raise MissingImageError(f"image {format_id(image_id)}: cannot read {path} ({error.strerror})") from error

    def _path(self, image_id: int, location: int) -> Path:
        if location < 0:
            raise MissingImageError(f"image {format_id(image_id)}: no file is known for it")
        return Path(os.fsdecode(bytes(self._paths[location])))


def read_file(path: Path, length: int | None = None) -> bytes:
    """The bytes of a file, or its first `length`. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return file.read(-1 if length is None else length)
