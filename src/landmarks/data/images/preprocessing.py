"""From an image to what a network reads: size, resize rule and normalisation, made once and kept with the weights."""

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
"""What the published programs floor sides to multiples of: the total stride of their networks, pixels."""
LONGEST = 8
"""Of an image longer than this to 1, a centre crop sees the middle only; the rest is not resized."""
MEAN = (0.485, 0.456, 0.406)
"""ImageNet's mean, RGB, of pixels in [0, 1]; the published models and most of timm's use it."""
STD = (0.229, 0.224, 0.225)

ResizeMode = Literal["aspect", "square", "crop"]


def common_multiple(patch: int) -> int:
    """Return what sides are multiples of for a network with such patches: 32 as published, or the patch."""
    return patch if MULTIPLE % patch else MULTIPLE


def _aspect_shape(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """The sides that the published 2019 retrieval program resizes an image to, as a whole.

    The short side goes to `short_side`; each side is rounded, then floored to a `multiple` (at least one of it),
    so the aspect ratio changes slightly. An image longer than `MAX_RATIO` to 1 shrinks by MAX_RATIO / ratio.
    """
    ratio = max(height, width) / min(height, width)
    target = short_side if ratio <= MAX_RATIO else short_side * MAX_RATIO / ratio
    return _scaled(height, width, target, multiple)


def _centre_crop(image: NDArray[np.uint8], short_side: int, multiple: int) -> NDArray[np.uint8]:
    """The resize of the published 2019 classification program: bilinear, then a square from the middle.

    The short side goes to `short_side`, and each side is rounded and floored to a `multiple` as above: uint8 [H, W, 3]
    -> uint8 [S, S, 3], S = `short_side` floored to one.
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
    # Pillow's windows widen when it shrinks; OpenCV's do not, and alias.
    return np.array(Image.fromarray(image).resize((width, height), window))


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an image before a network embeds it, wherever that is: every job reads this one object.

    It is made once, by `ResizeRule.preprocessing`, and stored in every checkpoint, model file and export.

    Args:
        mode: "aspect" keeps the aspect ratio, see `_aspect_shape`; "square" squeezes the image to
            [short_side, short_side], so that all share one shape and a batch is one tensor; "crop" shows a square
            from the middle, see `_centre_crop`; "detection" is `landmarks.detection`'s own.
        short_side: Pixels.
        long_side: Pixels at most; for detection only.
        mean: Of pixels in [0, 1], RGB; taken off after the resize.
        std: What is divided by then.
        patch: Sides are multiples of it, where a network of patches needs that; 1 for networks that take any.
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
        """Read what `dataclasses.asdict` gave. Raises LandmarksError where a value is missing, unknown or mistyped."""
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
        """Height and width of what comes out for an image of `height` x `width`."""
        if self.mode == "square":
            side = max(round(self.short_side / self.patch), 1) * self.patch
            return side, side
        if self.mode == "crop":
            return _floored(self.short_side, self.multiple), _floored(self.short_side, self.multiple)
        if self.mode == "detection":
            raise LandmarksError("images sized for a detector are none for a network that embeds them")
        return _aspect_shape(height, width, self.short_side, self.multiple)

    @property
    def multiple(self) -> int:
        """Of what sides are multiples: 32 as published, or what the network needs; squares only of the second."""
        return self.patch if self.mode == "square" else common_multiple(self.patch)

    def shapes(self, sizes: NDArray[np.integer]) -> NDArray[np.int64]:
        """`shape` of many images: [N, 2] -> int64 [N, 2]; 0 x 0 stays so."""
        unique, where = np.unique(sizes, axis=0, return_inverse=True)
        shapes = [self.shape(height, width) if height and width else (0, 0) for height, width in unique.tolist()]
        return np.array(shapes, dtype=np.int64).reshape(-1, 2)[where]

    def with_short_side(self, short_side: int) -> "Preprocessing":
        """The same at another size; a detector's long side grows and shrinks with the short."""
        long_side = self.long_side and round(self.long_side * short_side / self.short_side)
        return replace(self, short_side=short_side, long_side=long_side)

    def scaled(self, scale: float) -> "Preprocessing":
        """The same at a factor of the size."""
        return self.with_short_side(round(self.short_side * scale))


@dataclass(frozen=True)
class ResizeRule:
    """What a configuration says of sizes, besides `data.image_size`: the keys of `data.resize`.

    Args:
        short_side: Pixels; None: that of `data.image_size`.
        mode: See `Preprocessing`; None: as the weights were trained.
    """

    short_side: int | None = None
    mode: ResizeMode | None = "aspect"

    def preprocessing(self, image_size: int | None, trained: Preprocessing | None = None) -> Preprocessing:
        """Make the one object that all jobs read, where the configuration says nothing as weights were `trained`."""
        short_side = self.short_side or image_size
        if trained is not None:
            found = trained if short_side is None else trained.with_short_side(short_side)
            return found if self.mode is None else replace(found, mode=self.mode)
        if short_side is None or self.mode is None:
            key = "data.image_size" if short_side is None else "data.resize.mode"
            raise LandmarksError(f"{key}: no value given; set it on the command line: {key}=VALUE")
        return Preprocessing(self.mode, short_side)
