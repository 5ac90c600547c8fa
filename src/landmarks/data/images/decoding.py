"""Decodes images: fast for valid JPEGs, tolerant of unusual ones, strict with corrupt ones.

simplejpeg (libjpeg-turbo) decodes JPEGs on one thread, at 1/2, 1/4 or 1/8 of their size if that is enough. Valid files
that it does not accept (PNG, WebP, TIFF, JPEGs with stray bytes between markers) are decoded by Pillow, HEIC through
pillow-heif. An image with missing or wrong pixels raises UnreadableImageError and never gives an array whose lower
half is grey: Pillow alone would accept a download whose tail is zeros.

Images come out upright, as viewers show them, with the EXIF orientation applied. No memory in proportion to an image's
size is allocated before its header has been checked against the limits below. While decoding, a pixel takes 3 bytes
in most JPEGs, 9 in progressive ones, and up to 21 in other formats, for which the limit is lower: at the limits these
are 0.5, 1.6 and 1.0 gigabytes.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from landmarks.data.images.jpeg_header import ORIENTATION_TAG, SCAN, START, read_jpeg_header
from landmarks.errors import LandmarksError

MAX_PIXELS = 178_956_970  # of a JPEG: Pillow's own limit for decompression bombs, twice Image.MAX_IMAGE_PIXELS
MAX_OTHER_PIXELS = 50_000_000  # of other formats, where a few kilobytes can hold that many, and of CMYK JPEGs
JPEG_PIXELS_PER_BYTE = 1024  # twice what is possible: each 64 pixels take at least one bit
MAX_SCANNED = 2_000_000_000  # pixels x scans of a JPEG, about two seconds; encoders write around ten scans
MIN_SCAN = 1 << 20  # a scan counts as at least this many pixels
DIVISORS = (8, 4, 2)  # the only cheap ones: libjpeg-turbo has vector code for 1/8, 1/4 and 1/2
JPEG_DAMAGE = ("premature end", "bad huffman code", "resync")
# Formats that cameras write and that occur on the web under the name .jpg. Pillow reads dozens more, some of them
# through other programs (EPS: Ghostscript).
PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# ISO/IEC 23000-12: brands in the first box of photographs in HEVC, or of HEIF files in general; the first image of a
# file is decoded.
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

T = TypeVar("T")


class UnreadableImageError(LandmarksError):
    """Raised if the bytes are not an image, or a corrupt one, or one that is too large to decode."""


@dataclass(frozen=True)
class EncodedImage:
    """An image of which only the header was read; see `open_image`.

    Attributes:
        height: Height of the upright image, pixels.
        width: Width of the upright image, pixels.
    """

    height: int
    width: int
    _orientation: int
    _load: Callable[[int], NDArray[np.uint8]]

    def as_stored(self) -> "EncodedImage":
        """Return the same image without its EXIF orientation, for coordinates that refer to the stored pixels."""
        turned = self._orientation >= 5
        height, width = (self.width, self.height) if turned else (self.height, self.width)
        return EncodedImage(height, width, 1, self._load)

    def decode(self, divisor: int = 1) -> NDArray[np.uint8]:
        """Decode to upright RGB.

        Args:
            divisor: 1, 2, 4 or 8: a JPEG is decoded at this fraction of its size, rounded up; other formats are not
                shrunk.

        Returns:
            uint8 [H, W, 3].

        Raises:
            UnreadableImageError: The pixels are corrupt.
        """
        return _upright(self._load(divisor), self._orientation)


def open_image(data: bytes) -> EncodedImage:
    """Read the header of an image in any common format.

    Args:
        data: The encoded bytes.

    Returns:
        The image, whose pixels are decoded on request.

    Raises:
        UnreadableImageError: Corrupt, not an image, or too large, as decompression bombs are.
    """
    if not data.strip(b"\x00"):
        raise UnreadableImageError("the file is empty" if not data else "the file contains nothing but zeros")
    if data.startswith(START):
        with suppress(ValueError):  # Pillow may accept what this does not
            return _open_jpeg(data)
    return _guarded(partial(_open_other, data))


def decode(data: bytes, min_short_side: int | None = None) -> NDArray[np.uint8]:
    """Decode an image in any common format to upright RGB.

    Args:
        data: The encoded bytes.
        min_short_side: If given, a JPEG is decoded at the smallest of 1, 1/2, 1/4 and 1/8 of its size whose short side
            still has this many pixels. An image is never enlarged.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UnreadableImageError: Corrupt, cut off, not an image, or too large.
    """
    image = open_image(data)
    if min_short_side is None:
        return image.decode()
    return image.decode(largest_divisor(min(image.height, image.width) / max(min_short_side, 1)))


def largest_divisor(shrink: float) -> int:
    """Return the largest of 8, 4, 2 and 1 that is at most `shrink`."""
    return next((divisor for divisor in DIVISORS if divisor <= shrink), 1)


def _open_jpeg(data: bytes) -> EncodedImage:
    """Read the header of a JPEG. Raises ValueError for one that only Pillow may be able to read."""
    height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
    header = read_jpeg_header(data)
    _check_jpeg(data, height, width, data.count(SCAN, header.end) if header.many_scans else 1)
    if is_cmyk := colorspace in ("CMYK", "YCCK"):
        _check_size(height, width, MAX_OTHER_PIXELS)
    load = partial(_load_jpeg, data, height, width, is_cmyk)
    return _encoded(height, width, header.orientation, load)


def _load_jpeg(data: bytes, height: int, width: int, cmyk: bool, divisor: int) -> NDArray[np.uint8]:
    try:
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colorspace="CMYK" if cmyk else "RGB",
            min_height=-(-height // divisor),
            min_width=-(-width // divisor),
        )
    except ValueError as error:
        if any(damage in str(error).lower() for damage in JPEG_DAMAGE):
            raise UnreadableImageError(f"corrupt JPEG: {error}") from error
        return _guarded(lambda: _load_other(_open_pillow(data), divisor))
    return _inverted_cmyk_to_rgb(image) if cmyk else image


def _inverted_cmyk_to_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert CMYK to RGB, where 255 means no ink, as Adobe's programs write JPEGs: uint8 [H, W, 4] -> [H, W, 3]."""
    light = image[..., :3].astype(np.uint16)
    light *= image[..., 3:]
    return (light // 255).astype(np.uint8)


@cache
def heif_is_read() -> bool:
    """Register pillow-heif with Pillow, decoding on one thread; return whether it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener()
    return True


def _open_pillow(data: bytes) -> Image.Image:
    formats: tuple[str, ...] = PILLOW_FORMATS
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        if not heif_is_read():
            raise UnreadableImageError("a HEIC image, which needs another package: pip install 'landmarks[heif]'")
        formats = ("HEIF",)
    image = Image.open(io.BytesIO(data), formats=formats)
    if data.startswith(START):
        _check_jpeg(data, image.height, image.width, data.count(SCAN))
    else:
        _check_size(image.height, image.width, MAX_OTHER_PIXELS)
    return image


def _open_other(data: bytes) -> EncodedImage:
    image = _open_pillow(data)
    try:
        orientation = Image.Image.getexif(image).get(ORIENTATION_TAG, 1)  # PNG's own method would decode all pixels
    except Exception:  # only the EXIF is corrupt, not the pixels
        orientation = 1
    if isinstance(orientation, bytes) and len(orientation) == 1:  # of the type BYTE
        orientation = orientation[0]
    elif image.format == "TIFF":  # Pillow applies the orientation itself
        orientation = 1
    valid = isinstance(orientation, int) and 1 <= orientation <= 8
    return _encoded(
        image.height,
        image.width,
        orientation if valid else 1,
        lambda divisor: _guarded(partial(_load_other, image, divisor)),
    )


def _load_other(image: Image.Image, divisor: int) -> NDArray[np.uint8]:
    image.draft(None, (max(image.width // divisor, 1), max(image.height // divisor, 1)))  # JPEGs only
    if image.mode.startswith("I;16"):  # 16-bit grey: Pillow would clip it at 255
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _guarded(read: Callable[[], T]) -> T:
    """Call Pillow, whose parsers can raise any exception on corrupt files."""
    try:
        return read()
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(str(error)) from error
    except Exception as error:
        raise UnreadableImageError(f"corrupt image: {error}") from error


def _check_jpeg(data: bytes, height: int, width: int, scans: int) -> None:
    _check_size(height, width, MAX_PIXELS)
    if height * width > JPEG_PIXELS_PER_BYTE * len(data):
        raise UnreadableImageError(f"{width} x {height} pixels cannot be in {len(data)} bytes of JPEG")
    if scans * max(height * width, MIN_SCAN) > MAX_SCANNED:
        raise UnreadableImageError(f"{scans} scans of {width} x {height} pixels are more than any encoder writes")


def _check_size(height: int, width: int, limit: int) -> None:
    if height * width > limit:
        raise UnreadableImageError(f"{width} x {height} pixels are more than the limit of {limit}")


def _encoded(height: int, width: int, orientation: int, load: Callable[[int], NDArray[np.uint8]]) -> EncodedImage:
    if orientation >= 5:  # 5..8 are stored with rows and columns exchanged
        height, width = width, height
    return EncodedImage(height, width, orientation, load)


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (EXIF 2.32, tag 274)."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):  # mirrored left to right, after the exchange
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):  # mirrored top to bottom
        image = image[::-1]
    return np.ascontiguousarray(image)
