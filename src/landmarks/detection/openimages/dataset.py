"""The dataset that reads images with boxes in DataLoader workers, and its collate function.

Workers resize images to the size of the network's input, so that large images cost neither memory nor time on the way.
As elsewhere, an image that cannot be read becomes an `Unreadable`, and nothing takes its place.

Boxes of Open Images refer to the pixels as they are stored. If a file has an EXIF orientation, viewers would turn the
image but not the boxes (https://storage.googleapis.com/openimages/web/2018-05-17-rotation-information.html). The
orientation is therefore ignored, except for images without boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from landmarks.data import (
    Draw,
    ImageSet,
    MissingImageError,
    Preprocessing,
    Unreadable,
    UnreadableImageError,
    largest_divisor,
    open_image,
    unreadable,
)
from landmarks.detection.openimages.augmentation import BoxAugmentation
from landmarks.detection.openimages.detection_set import ImageBoxes
from landmarks.errors import LandmarksError
from landmarks.recognition import BACKGROUND


@dataclass(frozen=True)
class DetectionResize:
    """Resizes images for a detector, keeping the aspect ratio.

    The short side becomes `short_side`, or smaller if the long side would exceed `long_side`, both in pixels. Small
    images are enlarged. The defaults are those of the published detector and of torchvision's.
    """

    short_side: int = 800
    long_side: int = 1333

    def __post_init__(self) -> None:
        if not 1 <= self.short_side <= self.long_side:
            raise LandmarksError(
                f"data.image_size {self.short_side} and data.max_size {self.long_side}: the short side of an image "
                "must be at least 1, and the long side at least as long"
            )

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> Self:
        """Make the resize recorded in a checkpoint or model file of a detector."""
        return cls(preprocessing.short_side, preprocessing.long_side or preprocessing.short_side)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the resized height and width of an image of `height` x `width` pixels, at least 1."""
        scale = self.scale(height, width)
        return max(round(height * scale), 1), max(round(width * scale), 1)

    def scale(self, height: int, width: int) -> float:
        """Return the factor by which an image of `height` x `width` pixels is enlarged."""
        return min(self.short_side / min(height, width), self.long_side / max(height, width))

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize one image: uint8 [H, W, 3] -> uint8 [H', W', 3]."""
        height, width = self.shape(*image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        shrinks = height < image.shape[0] or width < image.shape[1]
        # When shrinking, bilinear interpolation of four pixels causes aliasing; averaging areas does not.
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized: NDArray[Any] = cv2.resize(image, (width, height), interpolation=interpolation)
        return resized


@dataclass(frozen=True, eq=False)
class DetectionSample:
    """An image for a batch, uint8 [H, W, 3], with boxes float32 [n, 4] in pixels and labels int64 [n] in 1..C."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    image_id: int


class DetectionDataset(Dataset[DetectionSample | Unreadable]):
    """Images with boxes, indexed by row, or by (row, seed) to augment them.

    Args:
        images: The images to read.
        resize: Resizes images for the network.
        boxes: Their boxes; None for images to detect objects in.
        augmentation: Augments images indexed by (row, seed); None for none.
        decode_margin: JPEGs are decoded at 1/2, 1/4 or 1/8 of their size if they are then still this many times as
            high and wide as the network's input; 0 decodes at full size. Augmentation with crops needs a larger margin,
            since crops are enlarged.
        min_side: Boxes with a smaller side than this, in pixels of the network's input, are left out.
        upright: Whether to apply EXIF orientations; by default only if there are no boxes.
    """

    def __init__(
        self,
        images: ImageSet,
        resize: DetectionResize,
        boxes: ImageBoxes | None = None,
        augmentation: BoxAugmentation | None = None,
        decode_margin: float = 1.25,
        min_side: float = 0.0,
        upright: bool | None = None,
    ) -> None:
        self.images = images
        self.resize = resize
        self.boxes = boxes
        self.augmentation = augmentation
        self.decode_margin = decode_margin
        self.min_side = min_side
        self.upright = boxes is None if upright is None else upright

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw | int) -> DetectionSample | Unreadable:
        row, seed = draw if isinstance(draw, tuple) else (draw, 0)
        image_id = int(self.images.table.ids[row])
        try:
            encoded = open_image(self.images.read(row))
            encoded = encoded if self.upright else encoded.as_stored()
            image = encoded.decode(self._divisor(encoded.height, encoded.width))
        except (MissingImageError, UnreadableImageError) as error:
            return unreadable(self.images, row, error)
        shares, labels = self._boxes_of(row)
        boxes = shares * _sides(image)
        kept = np.arange(len(boxes))
        if self.augmentation is not None and isinstance(draw, tuple):
            try:
                augmented = self.augmentation(image, boxes, seed)
            except Exception as error:
                error.add_note(f"while augmenting image {self.images.name(row)}, shape {image.shape}, with seed {seed}")
                raise
            image, boxes, kept = augmented.image, augmented.boxes, augmented.rows
        resized = self.resize(image)
        boxes = boxes * (_sides(resized) / _sides(image))
        large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= self.min_side
        return DetectionSample(resized, boxes[large], labels[kept[large]], image_id)

    def _divisor(self, height: int, width: int) -> int:
        if not self.decode_margin:
            return 1
        return largest_divisor(1 / (self.resize.scale(height, width) * self.decode_margin))

    def _boxes_of(self, row: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return boxes as shares of an image, float32 [n, 4], and their labels, int64 [n]."""
        if self.boxes is None:
            return np.empty((0, 4), np.float32), np.empty(0, np.int64)
        rows = self.boxes.of(row)
        return self.boxes.boxes[rows], self.boxes.labels[rows].astype(np.int64) + BACKGROUND


def _sides(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return width, height, width, height."""
    height, width = image.shape[:2]
    return np.array([width, height, width, height], dtype=np.float32)


def collate(samples: Sequence[DetectionSample | Unreadable]) -> dict[str, Any]:
    """Collate images of any size into a batch.

    Returns:
        `image`: list of uint8 [3, H, W] RGB; `targets`: list of dicts of `boxes` float32 [n, 4] in pixels of the
        image and `labels` int64 [n] in 1..C; `id`: list of int; `unreadable`: list of (id, reason) of the images
        missing from the other lists.
    """
    kept = [sample for sample in samples if isinstance(sample, DetectionSample)]
    counts = [len(sample.boxes) for sample in kept]
    # Parts of one tensor, since every separate tensor from a worker takes a file descriptor of the training process.
    boxes = torch.from_numpy(np.concatenate([np.empty((0, 4), np.float32), *(sample.boxes for sample in kept)]))
    labels = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *(sample.labels for sample in kept)]))
    parts = zip(boxes.split(counts), labels.split(counts), strict=True)
    return {
        "image": [torch.from_numpy(np.ascontiguousarray(sample.image)).permute(2, 0, 1) for sample in kept],
        "targets": [{"boxes": box, "labels": label} for box, label in parts],
        "id": [sample.image_id for sample in kept],
        "unreadable": [(sample.image_id, sample.reason) for sample in samples if isinstance(sample, Unreadable)],
    }
