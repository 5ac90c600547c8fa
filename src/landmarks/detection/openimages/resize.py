"""How pictures are sized for a detector, and how boxes go with them."""

from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError


@dataclass(frozen=True)
class DetectionResize:
    """Short side to one size, or less where the long side would exceed another; the aspect ratio stays.

    The released detector and torchvision's have 800 and 1333. Small pictures are enlarged, as there.

    Attributes:
        short_side: Pixels.
        long_side: Pixels at most.
    """

    short_side: int = 800
    long_side: int = 1333

    def __post_init__(self) -> None:
        if not 1 <= self.short_side <= self.long_side:
            raise LandmarksError(
                f"data.image_size {self.short_side} and data.max_size {self.long_side}: the short side of a picture "
                "must be 1 or more, and the long side no less"
            )

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> Self:
        """Make the resize that a checkpoint or model file of a detector records."""
        return cls(preprocessing.short_side, preprocessing.long_side or preprocessing.short_side)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what comes out for a picture of `height` x `width`, at least 1."""
        scale = self.scale(height, width)
        return max(round(height * scale), 1), max(round(width * scale), 1)

    def scale(self, height: int, width: int) -> float:
        """By how much a picture of `height` x `width` is enlarged."""
        return min(self.short_side / min(height, width), self.long_side / max(height, width))

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize one picture: uint8 [H, W, 3] -> uint8 [H', W', 3]."""
        height, width = self.shape(*image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        shrinks = height < image.shape[0] or width < image.shape[1]
        # Bilinear weights of four pixels alias where it shrinks; areas do not.
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized: NDArray[Any] = cv2.resize(image, (width, height), interpolation=interpolation)
        return resized
