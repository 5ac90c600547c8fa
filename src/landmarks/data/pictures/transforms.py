"""Pixels to the size a network reads: random augmentation for training, the released resize for evaluation.

Training transforms are albumentations, listed in `conf/augmentation/*.yaml`. Pixels stay uint8: a worker
hands over a quarter of the bytes, and the mean and the standard deviation are taken off on the device.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

import albumentations
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landmarks.data.pictures.crops import draw_crop, generators, scaled
from landmarks.errors import LandmarksError


class Augmentation:
    """A list of albumentations, deterministic in a seed that comes with each picture.

    So a batch does not depend on how many workers made it or in which order. albumentations' own
    `set_random_seed` would give every transform of the list the same stream (what flips would also blur);
    here they share one generator, new for each picture, which costs about 10 microseconds.

    If the list begins with a `RandomResizedCrop`, the crop is drawn for the picture at its full size. Then a
    picture of which the crop leaves little may be decoded at 1/2, 1/4 or 1/8 (see `shrink`) without showing
    another part of itself.

    Args:
        transforms: albumentations transforms, applied in this order.
        image_size: Height and width of what comes out, pixels.

    Attributes:
        shape: Height and width of what comes out; see `reshaped`.

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
        self.shape = (image_size, image_size)
        for transform in leaves(transforms):
            if unknown := getattr(transform, "invalid_args", None):
                raise LandmarksError(f"augmentation: {type(transform).__name__} has no argument {unknown[0]!r}")
        first = transforms[0] if transforms else None
        known = isinstance(first, albumentations.RandomResizedCrop | albumentations.Resize) and first.p >= 1
        self._first = first if known else None
        self._others = albumentations.Compose(list(transforms[1 if known else 0 :]))
        self._check_output()

    def __call__(
        self, image: NDArray[np.uint8], seed: int, full_size: tuple[int, int] | None = None
    ) -> NDArray[np.uint8]:
        """Augment one picture.

        Args:
            image: uint8 [H, W, 3].
            seed: Decides all that is left to chance.
            full_size: Height and width of the picture, where `image` was decoded smaller.

        Returns:
            uint8 [*shape, 3].
        """
        state = generators(seed)
        if isinstance(self._first, albumentations.RandomResizedCrop):
            full_size = full_size or image.shape[:2]
            box = draw_crop(self._first, full_size, state)
            image = self._first.apply(image, crop_coords=scaled(box, full_size, image.shape[:2]))
        elif self._first is not None:
            image = self._first.apply(image)
        self._others.set_random_state(*state)
        return self._others(image=image)["image"]

    def shrink(self, height: int, width: int, seed: int) -> float:
        """How many times as long as the output is what `seed` shows of a picture, on its closer side.

        Returns:
            0 where the list begins with neither `RandomResizedCrop` nor `Resize`: what it shows is unknown.
        """
        if self._first is None:
            return 0.0
        left, top, right, bottom = 0, 0, width, height
        if isinstance(self._first, albumentations.RandomResizedCrop):
            left, top, right, bottom = draw_crop(self._first, (height, width), generators(seed))
        return min((bottom - top) / self.shape[0], (right - left) / self.shape[1])

    def reshaped(self, height: int, width: int) -> "Augmentation":
        """The same list with an output of another shape; crops have the ratio of the shape, and vary as before.

        Raises:
            LandmarksError: The list begins with neither `RandomResizedCrop` nor `Resize`, or later transforms
                insist on a shape of their own.
        """
        if self._first is None:
            raise LandmarksError(
                "augmentation: data.aspect_groups needs a list that begins with RandomResizedCrop or Resize"
            )
        other = copy(self)
        other.shape = (height, width)
        arguments = self._first.get_transform_init_args()
        if isinstance(self._first, albumentations.RandomResizedCrop):
            stretch = width / height * self.shape[0] / self.shape[1]
            ratio = tuple(limit * stretch for limit in self._first.ratio)
            other._first = albumentations.RandomResizedCrop(**arguments | {"size": other.shape, "ratio": ratio})
        else:
            other._first = albumentations.Resize(**arguments | {"height": height, "width": width})
        other._check_output()
        return other

    def _check_output(self) -> None:
        """Try both a wide and a high picture, so that a wrong list fails before any work starts."""
        expected = (*self.shape, 3)
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


def leaves(transforms: Iterable[Any]) -> Iterable[Any]:
    """The transforms of a list, those inside others too."""
    for transform in transforms:
        yield from leaves(transform) if isinstance(transform, albumentations.BaseCompose) else (transform,)


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
    return _lanczos(image, *released_shape(height, width, short_side, max_ratio, multiple))


def released_shape(
    height: int, width: int, short_side: int, max_ratio: float = 3.0, multiple: int = 32
) -> tuple[int, int]:
    """Height and width that `resize_released` gives a picture of `height` x `width`."""
    ratio = max(height, width) / min(height, width)
    target = short_side if ratio <= max_ratio else short_side * max_ratio / ratio
    scale = target / min(height, width)
    return (
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
        return _lanczos(image, *self.shape(*image.shape[:2]))

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what comes out for a picture of `height` x `width`."""
        if self.mode == "square":
            return self.short_side, self.short_side
        return released_shape(height, width, self.short_side)

    def shapes(self, sizes: NDArray[np.integer]) -> NDArray[np.int64]:
        """`shape` of many pictures: [N, 2] -> int64 [N, 2]; 0 x 0 stays so."""
        unique, where = np.unique(sizes, axis=0, return_inverse=True)
        shapes = [self.shape(height, width) if height and width else (0, 0) for height, width in unique.tolist()]
        return np.array(shapes, dtype=np.int64).reshape(-1, 2)[where]


def _lanczos(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    # Pillow's Lanczos widens its window when it shrinks; OpenCV's does not, and aliases.
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
