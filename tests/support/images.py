"""Images in memory, as sets of images, and scenes whose local features can be found again."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.data import ImageSet, ImageTable
from landmarks.data.stores import MissingImageError
from landmarks.ids import format_id


@dataclass
class MemoryStore:
    """A store of encoded images; missing ones have no bytes."""

    images: dict[int, bytes] = field(default_factory=dict)

    def locate(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        return np.array([0 if int(image_id) in self.images else -1 for image_id in ids], np.int32)

    def read(self, image_id: int, location: int, length: int | None = None) -> bytes:
        if image_id not in self.images:
            raise MissingImageError(f"image {format_id(image_id)} is nowhere")
        return self.images[image_id][:length]

    def stamps(self, ids: NDArray[np.uint64], locations: NDArray[np.int32]) -> NDArray[np.uint64]:
        return np.zeros(len(ids), np.uint64)


def image_set(images: list[bytes | None], first_id: int = 1) -> ImageSet:
    """Images in order; None is one that the store does not hold."""
    ids = np.arange(first_id, first_id + len(images), dtype=np.uint64)
    held = {int(i): data for i, data in zip(ids, images, strict=True) if data is not None}
    return ImageSet(ImageTable.unlabelled(ids), MemoryStore(held))


def png(image: NDArray[np.uint8]) -> bytes:
    """RGB to the bytes of a PNG."""
    return cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


def scene(seed: int, height: int = 160, width: int = 200) -> NDArray[np.uint8]:
    """Blobs of many sizes, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for cell in (4, 8, 16, 32):
        noise = rng.normal(0, 1, (height // cell + 1, width // cell + 1, 3)).astype(np.float32)
        image += cell**0.5 * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 18 * image, 0, 255).astype(np.uint8)


def seen_from_elsewhere(image: NDArray[np.uint8], angle: float = 12.0, zoom: float = 1.1) -> NDArray[np.uint8]:
    """The same scene, turned and nearer."""
    height, width = image.shape[:2]
    motion = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
    return cv2.warpAffine(image, motion, (width, height), borderMode=cv2.BORDER_REFLECT)


def motion_between(angle: float, zoom: float, height: int, width: int) -> Any:
    """What `seen_from_elsewhere` does to points, float64 [2, 3]."""
    return cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
