"""How images are sized for evaluation: the ways of the released programs."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MULTIPLE = 32
"""The total stride of the networks, pixels."""
LONGEST = 8
"""Of a picture longer than this to 1, a centre crop sees the middle only; the rest is not resized."""


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
    return resize_to(image, *released_shape(image.shape[0], image.shape[1], short_side, max_ratio))


def resize_to(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize with Lanczos: uint8 [H, W, 3] -> uint8 [height, width, 3]."""
    return _resized(image, height, width, Image.Resampling.LANCZOS)


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
    side = crop_side(short_side)
    return np.ascontiguousarray(_middle(resized, side, side))


def crop_side(short_side: int) -> int:
    """Side of the square that `centre_crop` shows, pixels."""
    return _floored(short_side)


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
