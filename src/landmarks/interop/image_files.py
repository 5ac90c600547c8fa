"""Read and check images given by a user; all unusable images are found before any work, and without torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from landmarks.data import DIVISORS, EncodedImage, UnreadableImageError, open_image
from landmarks.errors import LandmarksError, shown

MIN_SIDE = 8
"""Smallest side in pixels, one JPEG block. A smaller image would be enlarged to little more than a colour gradient, and
the result would say nothing about the image."""
MAX_BYTES = 1 << 30  # more than the largest image that can be decoded takes in any format


AnyImage: TypeAlias = str | Path | Image.Image | NDArray[Any]
"""A file, a Pillow image, or pixels: uint8 [H, W, 3] RGB or uint8 [H, W] grey."""


def sort_images(paths: Iterable[str | Path]) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Find out which images can be used, by decoding each, JPEGs at an eighth of their size.

    Args:
        paths: The image files.

    Returns:
        Height and width in pixels of each image that can be used, upright; and why each of the others cannot.
    """
    sizes: dict[Path, tuple[int, int]] = {}
    problems: dict[Path, str] = {}
    for path in dict.fromkeys(map(Path, paths)):
        try:
            image = _opened(path)
            image.decode(DIVISORS[0])
            sizes[path] = image.height, image.width
        except (LandmarksError, OSError) as error:
            problems[path] = _reason(error)
    return sizes, problems


def check_images(paths: Iterable[str | Path]) -> dict[Path, tuple[int, int]]:
    """Check that all images can be used, see `sort_images`.

    Args:
        paths: The image files.

    Returns:
        Height and width of each image in pixels, upright.

    Raises:
        LandmarksError: Some images cannot be used; the message lists all of them.
    """
    sizes, reasons = sort_images(paths)
    problems = [f"{shown(path)}: {reason}" for path, reason in reasons.items()]
    if len(problems) == 1:
        raise LandmarksError(problems[0])
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise LandmarksError(f"{len(problems)} of {len(sizes) + len(problems)} images cannot be used:\n{listed}")
    return sizes


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Decode an image in full size, upright as viewers show it: uint8 [H, W, 3] RGB."""
    try:
        return _opened(Path(path)).decode()
    except (LandmarksError, OSError) as error:
        raise LandmarksError(f"{shown(path)}: {_reason(error)}") from None


def pixels_of(image: AnyImage) -> NDArray[np.uint8]:
    """Return the pixels of any image, upright: uint8 [H, W, 3] RGB.

    Raises:
        LandmarksError: A file cannot be read, or an array is of another type or shape.
    """
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, Image.Image):
        try:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
        except OSError as error:  # Pillow reads the file only here
            raise LandmarksError(f"Pillow cannot read it: {error}") from None
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise LandmarksError(
            f"an array of {pixels.dtype} {list(pixels.shape)} is not an image: give uint8 [H, W, 3], RGB, or "
            "uint8 [H, W], grey"
        )
    if min(pixels.shape[:2]) < 1:
        raise LandmarksError(f"an array of {list(pixels.shape)} holds no pixels")
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def image_name(image: AnyImage, place: int) -> str:
    """Return the name of an image for messages: its file, or "image N" with its place, counted from 0."""
    return shown(image) if isinstance(image, (str, Path)) else f"image {place}"


def _opened(path: Path) -> EncodedImage:
    if path.is_dir():
        raise LandmarksError("is a folder; name the images themselves, such as FOLDER/*.jpg")
    if not path.exists():
        raise LandmarksError("there is no such file")
    if not path.is_file():
        raise LandmarksError("is not a regular file; name an image file")
    if path.stat().st_size > MAX_BYTES:
        raise LandmarksError(f"{path.stat().st_size:,} bytes are too many; images of up to {MAX_BYTES:,} can be read")
    image = open_image(path.read_bytes())
    if min(image.height, image.width) < MIN_SIDE:
        raise LandmarksError(
            f"{image.width} x {image.height} pixels are too few; each side must have {MIN_SIDE} or more"
        )
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, UnreadableImageError):
        return f"cannot be read as an image: {error}"
    return f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else str(error)
