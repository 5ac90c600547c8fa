"""Pictures in the extracted tree of GLDv2 at an address."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from landmarks.data.remote_files import RemoteFiles, unreachable
from landmarks.data.stores.folder import folders_of, located, picture_path
from landmarks.data.stores.remote_tars import REQUESTS
from landmarks.data.stores.store import MissingImageError
from landmarks.ids import format_id


class RemoteFolderStore:
    """The extracted tree `a/b/c/<id>.jpg` below a folder at an address.

    Args:
        files: What can be asked there.
        folder: "train", "index" or "test".
    """

    def __init__(self, files: RemoteFiles, folder: str) -> None:
        self.files = files
        self.folder = folder

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """See ImageStore. Where the server lists no folders all images count as present until they are read.

        Raises:
            LandmarksError: No answer.
        """
        try:
            if not self.files.names(self.folder):
                return np.zeros(len(ids), dtype=np.int32)
            return located(ids, self._listed(folders_of(ids)))
        except OSError as error:
            raise unreachable(self.files.address(self.folder), error) from error

    def path(self, name: str) -> str:
        """Where the image with this id in 16 digits belongs, below the root of `files`."""
        return f"{self.folder}/{picture_path(name)}"

    def _listed(self, folders: list[str]) -> Iterator[str]:
        with ThreadPoolExecutor(REQUESTS) as pool:
            for names in pool.map(lambda folder: self.files.names(f"{self.folder}/{folder}"), folders):
                yield from names

    def read(self, image_id: int, location: int = 0, length: int | None = None) -> bytes:
        """See ImageStore."""
        name = format_id(image_id)
        path = self.path(name)
        try:
            return self.files.read(path, 0, length)
        except OSError as error:
            raise MissingImageError(
                f"image {name}: cannot read {self.files.address(path)} ({error.strerror})"
            ) from error
