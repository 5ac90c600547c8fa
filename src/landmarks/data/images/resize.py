"""How pictures are sized for evaluation: the three ways of the released programs and the demo."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landmarks.errors import LandmarksError

ResizeMode = Literal["released", "square", "crop"]
MODES: tuple[ResizeMode, ...] = ("released", "square", "crop")
MULTIPLE = 32
"""The total stride of the networks, pixels."""
LONGEST = 8
"""Of a picture longer than this to 1, a centre crop sees the middle only; the rest is not resized."""


@dataclass(frozen=True)
class EvalResize:
    """How pictures are sized for evaluation.

    Attributes:
        short_side: Pixels.
        mode: "released" keeps the aspect ratio, see `resize_released`; "square" squeezes the picture to
            [short_side, short_side], so that all share one shape and a batch is one tensor; "crop" shows a square
            from the middle, see `centre_crop`.
    """

    short_side: int
    mode: ResizeMode = "released"

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.mode not in MODES:
            raise LandmarksError(
                f"resize: short_side {self.short_side!r}, mode {self.mode!r}; expected a positive number of "
                'pixels and "released", "square" or "crop"'
            )

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize one picture: uint8 [H, W, 3] -> uint8 [H', W', 3]."""
        if self.mode == "crop":
            return centre_crop(image, self.short_side)
        return _resized(image, *self.shape(*image.shape[:2]), Image.Resampling.LANCZOS)

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what comes out for a picture of `height` x `width`."""
        if self.mode == "square":
            return self.short_side, self.short_side
        if self.mode == "crop":
            return _floored(self.short_side), _floored(self.short_side)
        return released_shape(height, width, self.short_side)

    def shapes(self, sizes: NDArray[np.integer]) -> NDArray[np.int64]:
        """`shape` of many pictures: [N, 2] -> int64 [N, 2]; 0 x 0 stays so."""
        unique, where = np.unique(sizes, axis=0, return_inverse=True)
        shapes = [self.shape(height, width) if height and width else (0, 0) for height, width in unique.tolist()]
        return np.array(shapes, dtype=np.int64).reshape(-1, 2)[where]


def resize_released(image: NDArray[np.uint8], short_side: int, max_ratio: float = 3.0) -> NDArray[np.uint8]:
    """The resize of the released 2019 retrieval program: whole picture, no crop, Lanczos.

    The short side goes to `short_side`; each side is rounded, then floored to a multiple of 32 (at least one of it),
    so the aspect ratio changes slightly. A picture longer than `max_ratio` to 1 shrinks by max_ratio / ratio.

    Args:
        image: uint8 [H, W, 3].
        short_side: Pixels.
        max_ratio: Largest long side / short side at full size.

    Returns:
        uint8 [H', W', 3], both sides multiples of 32.
    """
    return _resized(
        image, *released_shape(image.shape[0], image.shape[1], short_side, max_ratio), Image.Resampling.LANCZOS
    )


def released_shape(height: int, width: int, short_side: int, max_ratio: float = 3.0) -> tuple[int, int]:
    """Height and width that `resize_released` gives a picture of `height` x `width`."""
    ratio = max(height, width) / min(height, width)
    target = short_side if ratio <= max_ratio else short_side * max_ratio / ratio
    return _scaled(height, width, target)


def centre_crop(image: NDArray[np.uint8], short_side: int) -> NDArray[np.uint8]:
    """The resize of the released 2019 classification program: bilinear, then a square from the middle.

    The short side goes to `short_side`, and each side is rounded and floored to a multiple of 32 as above.

    Args:
        image: uint8 [H, W, 3].
        short_side: Pixels.

    Returns:
        uint8 [S, S, 3], S = `short_side` floored to a multiple of 32.
    """
    limit = LONGEST * min(image.shape[:2])
    image = _middle(image, min(image.shape[0], limit), min(image.shape[1], limit))
    resized = _resized(image, *_scaled(image.shape[0], image.shape[1], short_side), Image.Resampling.BILINEAR)
    side = _floored(short_side)
    return np.ascontiguousarray(_middle(resized, side, side))


def _middle(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _scaled(height: int, width: int, short_side: float) -> tuple[int, int]:
    scale = short_side / min(height, width)
    return _floored(round(height * scale)), _floored(round(width * scale))


def _floored(side: int) -> int:
    return max(side // MULTIPLE, 1) * MULTIPLE


def _resized(image: NDArray[np.uint8], height: int, width: int, window: Image.Resampling) -> NDArray[np.uint8]:
    # Pillow's windows widen when it shrinks; OpenCV's do not, and alias.
    return np.array(Image.fromarray(image).resize((width, height), window))
