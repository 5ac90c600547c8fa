"""Pictures in the extracted tree of GLDv2."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.files import read_file
from landmarks.data.stores.store import ABSENT, IMAGE_NAME, MissingImageError
from landmarks.ids import find_sorted, format_id, parse_ids


def picture_path(name: str) -> str:
    """Where the image with this id in 16 digits lies in an extracted tree: `a/b/c/<id>.jpg`."""
    return f"{name[0]}/{name[1]}/{name[2]}/{name}.jpg"


def folders_of(ids: NDArray[np.uint64]) -> list[str]:
    """The folders `a/b/c`, at most 4096, that hold these images in an extracted tree."""
    return [
        "/".join(f"{prefix:03x}") for prefix in np.flatnonzero(np.bincount((ids >> np.uint64(52)).astype(np.int64)))
    ]


def located(ids: NDArray[np.uint64], names: Iterable[str]) -> NDArray[np.int32]:
    """What `locate` answers in an extracted tree whose folders hold files of these names."""
    found = np.sort(parse_ids([match[1] for name in names if (match := IMAGE_NAME.fullmatch(name))]))
    return np.where(find_sorted(found, ids) >= 0, 0, ABSENT).astype(np.int32)


class FolderStore:
    """The extracted tree of GLDv2: `root/a/b/c/<id>.jpg`, a, b, c the first three digits of the id.

    Paths are computed, so that opening the store costs nothing.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore. Lists each of the at most 4096 folders once rather than asking for every file."""
        folders = (self.root / folder for folder in folders_of(ids))
        return located(ids, (path.name for folder in folders if folder.is_dir() for path in folder.iterdir()))

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        name = format_id(image_id)
        path = self.root / picture_path(name)
        try:
            return read_file(path, length)
        except OSError as error:
            raise MissingImageError(f"image {name}: cannot read {path} ({error.strerror})") from error
