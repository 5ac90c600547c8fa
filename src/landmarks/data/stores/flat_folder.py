"""Pictures that all lie in one folder, named by their ids, as Open Images hands them out."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data.stores.files import read_file
from landmarks.data.stores.folder import located
from landmarks.data.stores.store import IMAGE_NAME, MissingImageError
from landmarks.errors import LandmarksError
from landmarks.ids import format_id, parse_ids


class FlatFolderStore:
    """Pictures `folder/<id>.jpg`.

    Args:
        folder: It is listed where pictures are looked up, once each time: 1.7 million names take some seconds.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def ids(self) -> NDArray[np.uint64]:
        """The ids of all pictures that are there, ascending, uint64 [N]."""
        return np.sort(parse_ids([match[1] for name in self._names() if (match := IMAGE_NAME.fullmatch(name))]))

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore."""
        return located(ids, self._names())

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        name = format_id(image_id)
        path = self.folder / f"{name}.jpg"
        try:
            return read_file(path, length)
        except OSError as error:
            raise MissingImageError(f"image {name}: cannot read {path} ({error.strerror})") from error

    def _names(self) -> list[str]:
        try:
            return os.listdir(self.folder)  # noqa: PTH208 - a Path for each of 1.7 million names would take minutes
        except OSError as error:
            raise LandmarksError(f"{self.folder}: the pictures cannot be listed ({error.strerror})") from error
