"""Pixels to the size a network reads: random augmentation for training, the released resize for evaluation.

Training transforms are albumentations, listed in `conf/augmentation/*.yaml`. Pixels stay uint8: a worker
hands over a quarter of the bytes, and the mean and the standard deviation are taken off on the device.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import albumentations
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landmarks.errors import LandmarksError


class Augmentation:
    """A list of albumentations, deterministic in a seed that comes with each picture.

    So a batch does not depend on how many workers made it or in which order. albumentations' own
    `set_random_seed` would give every transform of the list the same stream (what flips would also blur);
    here they share one generator, new for each picture, which costs about 20 microseconds.

    Args:
        transforms: albumentations transforms, applied in this order.
        image_size: Height and width of what comes out, pixels.

    Raises:
        LandmarksError: A transform got an argument it does not know, or the list does not give uint8 pictures
            of [image_size, image_size, 3].
    """

    def __init__(
        self,
        transforms: Sequence[albumentations.BasicTransform | albumentations.BaseCompose],
        image_size: int,
    ) -> None:
        self.image_size = image_size
        self._compose = albumentations.Compose(list(transforms))
        for transform in _leaves(self._compose.transforms):
            if unknown := getattr(transform, "invalid_args", None):
                raise LandmarksError(f"augmentation: {type(transform).__name__} has no argument {unknown[0]!r}")
        self._check_output()

    def __call__(self, image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """Augment one picture: uint8 [H, W, 3] -> uint8 [image_size, image_size, 3]."""
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        return self._compose(image=image)["image"]

    def _check_output(self) -> None:
        """Try both a wide and a high picture, so that a wrong list fails before any work starts."""
        expected = (self.image_size, self.image_size, 3)
        for height, width in ((self.image_size * 3, self.image_size * 2), (40, 60)):
            try:
                image = self(np.zeros((height, width, 3), dtype=np.uint8), seed=0)
            except Exception as error:
                raise LandmarksError(
                    f"augmentation: fails on a picture of {width} x {height} pixels ({error}); crops must "
                    "resize what is too small for them"
                ) from error
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
                raise LandmarksError(
                    f"augmentation: gives {getattr(image, 'dtype', type(image).__name__)} instead of uint8; "
                    "leave Normalize and ToTensorV2 out, pixels are normalised on the device"
                )
            if image.shape != expected:
                raise LandmarksError(
                    f"augmentation: gives pictures of shape {image.shape}, expected {expected}; "
                    "its last size must be data.image_size"
                )


def _leaves(transforms: Iterable[Any]) -> Iterable[Any]:
    for transform in transforms:
        yield from _leaves(transform) if isinstance(transform, albumentations.BaseCompose) else (transform,)


def resize_released(
    image: NDArray[np.uint8], short_side: int, max_ratio: float = 3.0, multiple: int = 32
) -> NDArray[np.uint8]:
    """The resize of the released 2019 inference programs: whole picture, no crop, Lanczos.

    The short side goes to `short_side`; each side is rounded, then floored to a multiple of `multiple` (at
    least one of it), so the aspect ratio changes slightly. A picture longer than `max_ratio` to 1 shrinks by
    max_ratio / ratio.

    Args:
        image: uint8 [H, W, 3].
        short_side: Pixels.
        max_ratio: Largest long side / short side at full size.
        multiple: The total stride of the network.

    Returns:
        uint8 [H', W', 3], both sides multiples of `multiple`.
    """
    height, width = image.shape[:2]
    ratio = max(height, width) / min(height, width)
    target = short_side if ratio <= max_ratio else short_side * max_ratio / ratio
    scale = target / min(height, width)
    return _lanczos(
        image,
        max(round(height * scale) // multiple, 1) * multiple,
        max(round(width * scale) // multiple, 1) * multiple,
    )


@dataclass(frozen=True)
class EvalResize:
    """How pictures are sized for evaluation.

    Attributes:
        short_side: Pixels.
        mode: "released" keeps the aspect ratio, see `resize_released`; "square" squeezes the picture to
            [short_side, short_side], so that all share one shape and a batch is one tensor.
    """

    short_side: int
    mode: Literal["released", "square"] = "released"

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.mode not in ("released", "square"):
            raise LandmarksError(
                f"resize: short_side {self.short_side!r}, mode {self.mode!r}; expected a positive number of "
                'pixels and "released" or "square"'
            )

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize one picture: uint8 [H, W, 3] -> uint8 [H', W', 3]."""
        if self.mode == "square":
            return _lanczos(image, self.short_side, self.short_side)
        return resize_released(image, self.short_side)


def _lanczos(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    # Pillow's Lanczos widens its window when it shrinks; OpenCV's does not, and aliases.
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
