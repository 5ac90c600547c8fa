"""Encoded bytes to pixels: fast for sound JPEGs, patient with odd ones, strict with corrupt ones.

simplejpeg (libjpeg-turbo) decodes JPEGs on one thread, at 1/2, 1/4 or 1/8 of their size where that is enough. What
it refuses but is no damage (PNG, WebP, TIFF, stray bytes between markers) goes to Pillow, HEIC through pillow-heif. An
image with missing or wrong pixels is an `UnreadableImageError`, never an array that is grey in its lower half:
Pillow alone would accept a download whose tail is zeros.

Images come out upright, as viewers show them: the EXIF orientation is applied, whatever the source. Nothing of an
image's size is allocated before its header has been held against the limits below. While it is decoded a pixel
takes 3 bytes in most JPEGs, 9 in progressive ones, and up to 21 in other formats, for which the limit is lower: at
the limits 0.5, 1.6 and 1.0 gigabytes.
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
MAX_OTHER_PIXELS = 50_000_000  # of other formats, where a few kilobytes can hold them all, and of CMYK
JPEG_PIXELS_PER_BYTE = 1024  # twice what is possible: each 64 pixels take at least one bit
MAX_SCANNED = 2_000_000_000  # pixels x scans of a JPEG, about two seconds; encoders write around ten scans
MIN_SCAN = 1 << 20  # pixels that a scan counts for at least
DIVISORS = (8, 4, 2)  # the only cheap ones: libjpeg-turbo has vector code for 1/8, 1/4 and 1/2
JPEG_DAMAGE = ("premature end", "bad huffman code", "resync")
# What cameras write and the web calls .jpg. Pillow reads dozens more, some through other programs (EPS: Ghostscript).
PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# ISO/IEC 23000-12: the brand in the first box; of photographs in HEVC, or in general, whose first image is decoded.
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

T = TypeVar("T")


class UnreadableImageError(LandmarksError):
    """The bytes are no image, a corrupt one, or one too large to decode."""


@dataclass(frozen=True)
class EncodedImage:
    """An image of which only the header was read, upright; see `open_image`."""

    height: int
    width: int
    _orientation: int
    _load: Callable[[int], NDArray[np.uint8]]

    def as_stored(self) -> "EncodedImage":
        """The same image without its EXIF orientation, for what refers to the pixels as they are stored."""
        turned = self._orientation >= 5
        height, width = (self.width, self.height) if turned else (self.height, self.width)
        return EncodedImage(height, width, 1, self._load)

    def decode(self, divisor: int = 1) -> NDArray[np.uint8]:
        """Decode to upright RGB, uint8 [H, W, 3]. Raises UnreadableImageError.

        The divisor is 1, 2, 4 or 8: a JPEG comes out at this part of its size, rounded up; others are not shrunk.
        """
        return _upright(self._load(divisor), self._orientation)


def open_image(data: bytes) -> EncodedImage:
    """Read the header of an image of any common format. Raises UnreadableImageError also for decompression bombs."""
    if not data.strip(b"\x00"):
        raise UnreadableImageError("the file is empty" if not data else "the file holds nothing but zeros")
    if data.startswith(START):
        with suppress(ValueError):  # Pillow may understand what this refuses
            return _open_jpeg(data)
    return _guarded(partial(_open_other, data))


def decode(data: bytes, min_short_side: int | None = None) -> NDArray[np.uint8]:
    """Decode an image of any common format to upright RGB.

    Args:
        data: The encoded bytes.
        min_short_side: Where given, a JPEG may come out at 1/2, 1/4 or 1/8 of its size, the smallest whose
            short side still has this many pixels. An image is never enlarged.

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
    """The largest of 8, 4, 2 and 1 that is no larger than `shrink`."""
    return next((divisor for divisor in DIVISORS if divisor <= shrink), 1)


def _open_jpeg(data: bytes) -> EncodedImage:
    """Raises ValueError for a JPEG that only Pillow may understand."""
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
    """CMYK JPEGs hold 255 for no ink, as Adobe's programs write them. uint8 [H, W, 4] -> [H, W, 3]."""
    light = image[..., :3].astype(np.uint16)
    light *= image[..., 3:]
    return (light // 255).astype(np.uint8)


@cache
def heif_is_read() -> bool:
    """Whether pillow-heif is installed, which this makes known to Pillow; one thread decodes, as for other formats."""
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
        orientation = Image.Image.getexif(image).get(ORIENTATION_TAG, 1)  # that of PNG would decode all pixels
    except Exception:  # only the EXIF is corrupt, not the pixels
        orientation = 1
    if isinstance(orientation, bytes) and len(orientation) == 1:  # of the type BYTE
        orientation = orientation[0]
    elif image.format == "TIFF":  # Pillow turns them
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
    """Call Pillow, whose parsers raise errors of any kind on corrupt files."""
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
