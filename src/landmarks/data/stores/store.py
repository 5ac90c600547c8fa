"""What every place that holds pictures can do: say where a picture is, and read its bytes.

A store is opened once in the main process and then used by DataLoader workers, so every store is picklable and
safe under fork, spawn and threads: none keeps an open file or a position.
"""

import re
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

IMAGE_NAME = re.compile(r"([0-9a-f]{16})\.jpg")
ABSENT = -1


class MissingImageError(LandmarksError):
    """An image that the tables name is not where its bytes should be."""


class ImageStore(Protocol):
    """Reads the encoded bytes of images.

    Images are looked up once for a whole table; what `locate` answers is kept beside the ids, so that reading an
    image takes the same time in ten thousand of them as in five million.
    """

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Where each image is, in numbers that only this store understands: uint64 [N] -> int32 [N], -1 if absent."""
        ...

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        """The encoded image, or its first `length` bytes.

        Raises:
            MissingImageError: It names the id and the place.
        """
        ...


def read_by_id(store: ImageStore, image_id: int) -> bytes:
    """Look one image up and read it; for many images, locate all of them at once. Raises MissingImageError."""
    location = store.locate(np.array([image_id], dtype=np.uint64))[0]
    return store.read(image_id, int(location))
