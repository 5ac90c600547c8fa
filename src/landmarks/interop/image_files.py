"""Images that somebody names: all that are wrong are named before any work, which needs no torch."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarks.data import DIVISORS, EncodedImage, UnreadableImageError, open_image
from landmarks.errors import LandmarksError, shown

MIN_SIDE = 8
"""Pixels, one block of JPEG. Networks see cells of 32 pixels: what is smaller would be enlarged to a single slope of
colour, of which a model says something, but nothing about the picture."""
MAX_BYTES = 1 << 30  # more than the largest picture that is decoded takes in any format


def check_pictures(paths: Iterable[str | Path]) -> dict[Path, tuple[int, int]]:
    """Refuse pictures that cannot be used, all at once. JPEGs are decoded at an eighth, which shows damage as well.

    Returns:
        Height and width of each picture, upright, pixels.

    Raises:
        LandmarksError: names each one that is missing, no file, unreadable, damaged, no picture, or tiny, and why.
    """
    distinct = dict.fromkeys(map(Path, paths))
    sizes, problems = {}, []
    for path in distinct:
        try:
            image = _opened(path)
            image.decode(DIVISORS[0])
            sizes[path] = image.height, image.width
        except (LandmarksError, OSError) as error:
            problems.append(f"{shown(path)}: {_reason(error)}")
    if len(problems) == 1:
        raise LandmarksError(problems[0])
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise LandmarksError(f"{len(problems)} of {len(distinct)} pictures cannot be used:\n{listed}")
    return sizes


def read_picture(path: str | Path) -> NDArray[np.uint8]:
    """Decode a picture in full, upright as viewers show it: uint8 [H, W, 3] RGB.

    Raises:
        LandmarksError: names the picture and says what is wrong with it, see `check_pictures`.
    """
    try:
        return _opened(Path(path)).decode()
    except (LandmarksError, OSError) as error:
        raise LandmarksError(f"{shown(path)}: {_reason(error)}") from None


def _opened(path: Path) -> EncodedImage:
    if path.is_dir():
        raise LandmarksError("is a folder; name the pictures themselves, such as FOLDER/*.jpg")
    if not path.exists():
        raise LandmarksError("there is no such file")
    if not path.is_file():
        raise LandmarksError("is no ordinary file; name a picture on the disk")
    if path.stat().st_size > MAX_BYTES:
        raise LandmarksError(f"{path.stat().st_size:,} bytes are more than any picture has that can be read")
    image = open_image(path.read_bytes())
    if min(image.height, image.width) < MIN_SIDE:
        raise LandmarksError(
            f"{image.width} x {image.height} pixels are too few; each side must have {MIN_SIDE} or more"
        )
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, UnreadableImageError):
        return f"cannot be read as a picture: {error}"
    return f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else str(error)
