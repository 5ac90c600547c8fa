"""Preprocessing of images for a network: size, resize rule and normalisation, made once and kept with the weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ConfigDict, TypeAdapter, ValidationError

from landmarks.errors import LandmarksError

MAX_RATIO = 3.0
"""Long side / short side up to which the published retrieval program does not shrink an image further."""
MULTIPLE = 32
"""The published programs round sides down to multiples of this: the total stride of their networks, pixels."""
LONGEST = 8
"""Long side / short side above which a centre crop first cuts out the middle, so as not to resize the rest."""
MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's pixels in [0, 1], RGB; used by the published models and most of timm's."""
STD = (0.229, 0.224, 0.225)
"""Standard deviation of the same pixels."""

ResizeMode = Literal["aspect", "square", "crop"]


def common_multiple(patch: int) -> int:
    """Return the number that sides must be multiples of: 32 as published, or `patch` if it does not divide 32."""
    return patch if MULTIPLE % patch else MULTIPLE


def _aspect_shape(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """Return the height and width to which the published 2019 retrieval program resizes a whole image.

    The short side becomes `short_side`; each side is rounded, then rounded down to a multiple of `multiple` (at least
    one), so the aspect ratio changes slightly. An image longer than `MAX_RATIO` to 1 also shrinks by MAX_RATIO / ratio.
    """
    ratio = max(height, width) / min(height, width)
    target = short_side if ratio <= MAX_RATIO else short_side * MAX_RATIO / ratio
    return _scaled(height, width, target, multiple)


def _centre_crop(image: NDArray[np.uint8], short_side: int, multiple: int) -> NDArray[np.uint8]:
    """Resize as the published 2019 classification program does: bilinear, then a square from the middle.

    The short side becomes `short_side`, and each side is rounded down to a multiple as above: uint8 [H, W, 3] -> uint8
    [S, S, 3], where S is `short_side` rounded down to a multiple of `multiple`.
    """
    limit = LONGEST * min(image.shape[:2])
    image = _middle(image, min(image.shape[0], limit), min(image.shape[1], limit))
    shape = _scaled(image.shape[0], image.shape[1], short_side, multiple)
    resized = _resized(image, *shape, Image.Resampling.BILINEAR)
    side = _floored(short_side, multiple)
    return np.ascontiguousarray(_middle(resized, side, side))


def _middle(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _scaled(height: int, width: int, short_side: float, multiple: int) -> tuple[int, int]:
    scale = short_side / min(height, width)
    return _floored(round(height * scale), multiple), _floored(round(width * scale), multiple)


def _floored(side: int, multiple: int) -> int:
    return max(side // multiple, 1) * multiple


def _resized(image: NDArray[np.uint8], height: int, width: int, window: Image.Resampling) -> NDArray[np.uint8]:
    # Pillow widens its filter when it shrinks an image; OpenCV does not, which causes aliasing.
    return np.array(Image.fromarray(image).resize((width, height), window))


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of images before a network embeds them, the same in every job.

    It is made once, by `ResizeRule.preprocessing`, and stored in every checkpoint, model file and export.

    Args:
        mode: "aspect" keeps the aspect ratio: the short side becomes `short_side`, and both sides are rounded down to
            multiples of 32 (or the patch). "square" resizes to [short_side, short_side] without keeping the ratio, so
            that all images share one shape. "crop" resizes like "aspect" and cuts a square from the middle.
            "detection" is used by `landmarks.detection` only.
        short_side: Short side, pixels.
        long_side: Maximal long side, pixels; for detection only.
        mean: Mean of pixels in [0, 1], RGB; subtracted after the resize.
        std: Standard deviation by which the result is divided, RGB.
        patch: Patch size of the network, of which sides must be multiples; 1 if the network takes any size.

    Raises:
        LandmarksError: A size or the mode is invalid.
    """

    mode: Literal[ResizeMode, "detection"]
    short_side: int
    long_side: int | None = None
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    patch: int = 1

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.patch < 1 or self.mode not in (*get_args(ResizeMode), "detection"):
            raise LandmarksError(
                f"resize: short_side {self.short_side!r}, mode {self.mode!r}; expected a positive number of "
                'pixels and "aspect", "square" or "crop"'
            )
        if self.long_side is not None and self.long_side < 1:
            raise LandmarksError(f"resize: long_side {self.long_side!r}; expected a positive number of pixels")

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> "Preprocessing":
        """Make the object from the output of `dataclasses.asdict`.

        Raises:
            LandmarksError: A value is missing, unknown or of the wrong type.
        """
        try:
            return TypeAdapter(Preprocessing).validate_python(values)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            raise LandmarksError("; ".join(problems)) from None

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize one image: uint8 [H, W, 3] -> uint8 [H', W', 3]."""
        if self.mode == "crop":
            return _centre_crop(image, self.short_side, self.multiple)
        return _resized(image, *self.shape(*image.shape[:2]), Image.Resampling.LANCZOS)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width after preprocessing of an image of `height` x `width` pixels."""
        if self.mode == "square":
            side = max(round(self.short_side / self.patch), 1) * self.patch
            return side, side
        if self.mode == "crop":
            return _floored(self.short_side, self.multiple), _floored(self.short_side, self.multiple)
        if self.mode == "detection":
            raise LandmarksError("the preprocessing of a detector cannot be used by a network that embeds images")
        return _aspect_shape(height, width, self.short_side, self.multiple)

    @property
    def multiple(self) -> int:
        """Number of which sides are multiples: 32 as published or as the network needs; for squares only the latter."""
        return self.patch if self.mode == "square" else common_multiple(self.patch)

    def shapes(self, sizes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return `shape` for many images: [N, 2] -> int64 [N, 2]; 0 x 0 stays 0 x 0."""
        unique, where = np.unique(sizes, axis=0, return_inverse=True)
        shapes = [self.shape(height, width) if height and width else (0, 0) for height, width in unique.tolist()]
        return np.array(shapes, dtype=np.int64).reshape(-1, 2)[where]

    def with_short_side(self, short_side: int) -> "Preprocessing":
        """Return the same preprocessing at another size; a detector's long side changes in proportion."""
        long_side = self.long_side and round(self.long_side * short_side / self.short_side)
        return replace(self, short_side=short_side, long_side=long_side)

    def scaled(self, scale: float) -> "Preprocessing":
        """Return the same preprocessing with its size multiplied by `scale`."""
        return self.with_short_side(round(self.short_side * scale))


@dataclass(frozen=True)
class ResizeRule:
    """The settings in `data.resize`, which together with `data.image_size` determine the preprocessing.

    Args:
        short_side: Short side, pixels; None takes `data.image_size`.
        mode: See `Preprocessing`; None takes the mode with which the weights were trained.
    """

    short_side: int | None = None
    mode: ResizeMode | None = "aspect"

    def preprocessing(self, image_size: int | None, trained: Preprocessing | None = None) -> Preprocessing:
        """Make the preprocessing that all jobs use.

        Args:
            image_size: Value of `data.image_size`, pixels.
            trained: Preprocessing with which the weights were trained; it fills in what the settings leave open.

        Raises:
            LandmarksError: Neither the settings nor `trained` give the size or the mode.
        """
        short_side = self.short_side or image_size
        if trained is not None:
            found = trained if short_side is None else trained.with_short_side(short_side)
            return found if self.mode is None else replace(found, mode=self.mode)
        if short_side is None or self.mode is None:
            key = "data.image_size" if short_side is None else "data.resize.mode"
            raise LandmarksError(f"{key}: no value given; set it on the command line: {key}=VALUE")
        return Preprocessing(self.mode, short_side)
