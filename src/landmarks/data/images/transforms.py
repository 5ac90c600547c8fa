"""Random augmentation of training images to the input size of a network.

The transforms are albumentations, listed in `conf/augmentation/*.yaml`. Pixels stay uint8, a quarter of the bytes of
float32 to pass on from the workers; normalisation happens on the device.
"""

import inspect
import random
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeAlias

import albumentations
import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

Box = tuple[int, int, int, int]  # left, top, right, bottom
Generators = tuple[np.random.Generator, random.Random]
Transform: TypeAlias = albumentations.BasicTransform | albumentations.BaseCompose


def generators(seed: int) -> Generators:
    """Return new random generators for albumentations, which needs both NumPy's and Python's, from a seed."""
    return np.random.default_rng(seed), random.Random(seed)


def draw_crop(crop: albumentations.RandomResizedCrop, size: tuple[int, int], state: Generators) -> Box:
    """Draw the crop of an image of `size` (height and width, pixels); advances `state`."""
    crop.set_random_state(*state)
    return crop.get_params_dependent_on_data({"shape": size}, {})["crop_coords"]


def scaled(box: Box, full_size: tuple[int, int], size: tuple[int, int]) -> Box:
    """Convert a box to a copy of the image at another size (height and width); it keeps at least one pixel."""
    left, right = (round(side * size[1] / full_size[1]) for side in box[::2])
    top, bottom = (round(side * size[0] / full_size[0]) for side in box[1::2])
    left, top = min(left, size[1] - 1), min(top, size[0] - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


class Augmentation:
    """A list of albumentations transforms whose random choices depend only on a seed given with each image.

    A batch therefore depends neither on the number nor on the order of workers. albumentations' own `set_random_seed`
    would give every transform the same random stream (an image that is flipped would always be blurred as well); here
    they share one generator, new for each image, which costs about 10 microseconds.

    If the list begins with a `RandomResizedCrop`, the crop is drawn for the image at full size. The image may then be
    decoded at 1/2, 1/4 or 1/8 of its size (see `shrink`) without changing what the crop shows.

    Args:
        transforms: albumentations transforms, applied in this order. A transform that is still without its size
            (`_partial_` in YAML) gets the size of the output.
        image_size: Height and width of the output, pixels.

    Raises:
        LandmarksError: A transform has an unknown argument, fails, or the output is not uint8 or of another size.
    """

    def __init__(self, transforms: Sequence[Transform | Callable[..., Transform]], image_size: int) -> None:
        made = [_sized(transform, image_size) for transform in transforms]
        self.image_size = image_size
        self.shape = (image_size, image_size)
        for transform in leaves(made):
            if unknown := getattr(transform, "invalid_args", None):
                raise LandmarksError(f"augmentation: {type(transform).__name__} has no argument {unknown[0]!r}")
        first = made[0] if made else None
        known = isinstance(first, albumentations.RandomResizedCrop | albumentations.Resize) and first.p >= 1
        self._first = first if known else None
        self._others = albumentations.Compose(made[1 if known else 0 :])
        self._check_output()

    def __call__(
        self, image: NDArray[np.uint8], seed: int, full_size: tuple[int, int] | None = None
    ) -> NDArray[np.uint8]:
        """Augment one image.

        Args:
            image: uint8 [H, W, 3].
            seed: Seed of all random choices.
            full_size: Height and width at full size, if the image was decoded at a smaller one.

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
        """Return the factor by which the crop drawn for `seed` exceeds the output, the smaller one of both sides.

        It is 0 if the list begins with neither `RandomResizedCrop` nor `Resize`, since the crop is then unknown.

        Args:
            height: Height of the image at full size, pixels.
            width: Its width.
            seed: Seed of the augmentation.
        """
        if self._first is None:
            return 0.0
        left, top, right, bottom = 0, 0, width, height
        if isinstance(self._first, albumentations.RandomResizedCrop):
            left, top, right, bottom = draw_crop(self._first, (height, width), generators(seed))
        return min((bottom - top) / self.shape[0], (right - left) / self.shape[1])

    def reshaped(self, height: int, width: int) -> "Augmentation":
        """Return the same list with another output shape; the aspect ratios of crops vary around that of the shape.

        Raises:
            LandmarksError: The list begins with neither RandomResizedCrop nor Resize.
        """
        if self._first is None:
            raise LandmarksError(
                "augmentation: data.aspect_groups and levers=[resolution] need a list that begins with "
                "RandomResizedCrop or Resize"
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

    def shrunk(self, share: float, multiple: int) -> "Augmentation":
        """Return the same list with `share` of its sides, rounded to multiples of `multiple`; 1 changes nothing."""
        if share == 1:
            return self
        height, width = (max(multiple, round(side * share / multiple) * multiple) for side in self.shape)
        return self.reshaped(min(height, self.shape[0]), min(width, self.shape[1]))

    def _check_output(self) -> None:
        """Try a wide and a tall image, so that an invalid list fails before any work starts."""
        expected = (*self.shape, 3)
        for height, width in ((self.image_size * 3, self.image_size * 2), (40, 60)):
            try:
                image = self(np.zeros((height, width, 3), dtype=np.uint8), seed=0)
            except Exception as error:
                raise LandmarksError(
                    f"augmentation: fails on an image of {width} x {height} pixels ({error}); crops must "
                    "enlarge images that are too small for them"
                ) from error
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
                raise LandmarksError(
                    f"augmentation: gives {getattr(image, 'dtype', type(image).__name__)} instead of uint8; "
                    "remove Normalize and ToTensorV2, since pixels are normalised on the device"
                )
            if image.shape != expected:
                raise LandmarksError(
                    f"augmentation: gives images of shape {image.shape}, expected {expected}; "
                    "its last size must be data.image_size"
                )


def _sized(transform: Transform | Callable[..., Transform], side: int) -> Transform:
    if not isinstance(transform, partial):
        return transform
    by_size = "size" in inspect.signature(transform.func).parameters
    sides = {"size": (side, side)} if by_size else {"height": side, "width": side}
    made: Transform = transform(**sides)
    return made


def leaves(transforms: Iterable[Any]) -> Iterable[Any]:
    """Yield the transforms of a list, including those nested in others."""
    for transform in transforms:
        yield from leaves(transform) if isinstance(transform, albumentations.BaseCompose) else (transform,)
