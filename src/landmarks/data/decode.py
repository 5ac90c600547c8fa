"""Encoded bytes to pixels: fast for sound JPEGs, patient with odd ones, strict with damaged ones.

simplejpeg (libjpeg-turbo) decodes the bulk on one thread. What it refuses but is no damage (CMYK, PNG, WebP,
stray bytes between markers) goes to Pillow. A picture with missing or wrong pixels is an
`UnreadableImageError`, never an array that is grey in its lower half: Pillow alone would accept a download
whose tail is zeros.

Pictures come out upright, as viewers show them: the EXIF orientation is applied, whatever the source.
"""

import io
import struct
from collections.abc import Callable

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from landmarks.errors import LandmarksError

MAX_PIXELS = 178_956_970  # Pillow's own limit for decompression bombs: twice Image.MAX_IMAGE_PIXELS
SCALES = (8, 4, 2)  # the only cheap ones: libjpeg-turbo has vector code for 1/8, 1/4 and 1/2
JPEG_DAMAGE = ("premature end", "bad huffman code", "resync")
EXIF_MARK = b"Exif\x00\x00"
EXIF_BYTES = 1 << 16  # a JPEG segment, and so its EXIF, is no longer than this
ORIENTATION_TAG = 0x0112
# What Pillow's parsers raise on damaged files.
PARSER_ERRORS = (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, struct.error)


class UnreadableImageError(LandmarksError):
    """The bytes are no picture, a damaged one, or one too large to decode."""


def decode(data: bytes, min_short_side: int | None = None) -> NDArray[np.uint8]:
    """Decode a picture of any common format to upright RGB.

    Args:
        data: The encoded bytes.
        min_short_side: Where given, a JPEG may come out at 1/2, 1/4 or 1/8 of its size, the smallest whose
            short side still has this many pixels. A picture is never enlarged.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UnreadableImageError: Damaged, cut off, not a picture, or of more than `MAX_PIXELS`.
    """
    if not data.strip(b"\x00"):
        raise UnreadableImageError("the file is empty" if not data else "the file holds nothing but zeros")
    image = _decode_jpeg(data, min_short_side) if data.startswith(b"\xff\xd8") else None
    return _decode_other(data) if image is None else image


def _decode_jpeg(data: bytes, min_short_side: int | None) -> NDArray[np.uint8] | None:
    """Decode a sound JPEG; None for one that Pillow should try."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        _check_size(height, width)
        if colorspace in ("CMYK", "YCCK"):
            return None
        divisor = _divisor(min(height, width), min_short_side)
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, min_height=-(-height // divisor), min_width=-(-width // divisor)
        )
    except ValueError as error:
        if any(damage in str(error).lower() for damage in JPEG_DAMAGE):
            raise UnreadableImageError(f"damaged JPEG: {error}") from error
        return None
    start = data.find(EXIF_MARK, 0, EXIF_BYTES)
    if start < 0:
        return image
    return _upright(image, _orientation(lambda: _load_exif(data[start : start + EXIF_BYTES])))


def _divisor(short_side: int, min_short_side: int | None) -> int:
    if min_short_side is None:
        return 1
    return next((divisor for divisor in SCALES if short_side // divisor >= min_short_side), 1)


def _decode_other(data: bytes) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image.height, image.width)
            pixels = _rgb(image)
            return _upright(pixels, _orientation(image.getexif))
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not a picture of a known format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(str(error)) from error
    except PARSER_ERRORS as error:
        raise UnreadableImageError(f"damaged picture: {error}") from error


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise UnreadableImageError(f"{width} x {height} pixels are more than the limit of {MAX_PIXELS}")


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):  # 16-bit grey: Pillow would clip it at 255
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _load_exif(segment: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(segment)
    return exif


def _orientation(read_exif: Callable[[], Image.Exif]) -> int:
    """EXIF orientation 1..8; 1 where there is none or only the EXIF is damaged, not the pixels."""
    try:
        value = read_exif().get(ORIENTATION_TAG, 1)
    except PARSER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (EXIF 2.32, tag 274)."""
    if orientation >= 5:  # 5..8 are stored with rows and columns exchanged
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):  # mirrored left to right, after the exchange
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):  # mirrored top to bottom
        image = image[::-1]
    return np.ascontiguousarray(image)
