"""Reads the header of a JPEG: size, orientation, and whether it may have many scans.

It walks the marker segments up to the first scan (ITU-T T.81, annex B) and, inside the EXIF segment, the first TIFF
directory (EXIF 2.32). Lengths come from the file and are checked against the bytes available. Reading takes a few
microseconds, a tenth of Pillow's time, and needs only the beginning of a file.
"""

from struct import unpack_from
from typing import NamedTuple

START = b"\xff\xd8"
SCAN = b"\xff\xda"
MAX_SEGMENTS = 4096  # of a header; photographs have five to fifty
EXIF = b"Exif\x00\x00"
ORIENTATION_TAG = 0x0112  # EXIF tag of the orientation, whose values are 1 to 8
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # types of EXIF values that fit into an entry
_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, restarts, start of image
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, less tables that share their range
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}


class JpegHeader(NamedTuple):
    """The contents of a JPEG header; height and width as stored."""

    height: int
    width: int
    orientation: int  # of EXIF, 1..8; 1 where there is none
    many_scans: bool  # more scans may follow the first: a progressive file, or one with a scan for each colour
    end: int  # byte at which the first scan begins

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width as viewers show the image; orientations 5..8 exchange rows and columns."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


class TruncatedHeaderError(ValueError):
    """Raised if the header continues after the given bytes; `needed` is how many bytes of the file to read next."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"the header goes on to byte {needed} or further")
        self.needed = needed


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read the header of a JPEG from the file or its beginning.

    Raises ValueError if there is none, TruncatedHeaderError if it is longer than `data`.
    """
    if data[:2] != START:
        raise ValueError("no start of image")
    size, place = len(data), 2
    frame: tuple[int, int, int, bool] | None = None
    orientation = 1
    for _ in range(MAX_SEGMENTS):
        place = data.find(b"\xff", place)  # bytes between segments are passed over, as decoders do
        if place < 0 or place + 4 > size:
            raise TruncatedHeaderError(size + 4)
        marker = data[place + 1]
        if marker in (0x00, 0xFF):
            place += 1
            continue
        if marker in _STANDALONE:
            place += 2
            continue
        if marker == 0xD9:
            raise ValueError("the image ends before its pixels")
        length = (data[place + 2] << 8) | data[place + 3]
        body, after = place + 4, place + 2 + length
        if after > size:
            raise TruncatedHeaderError(after + 4)
        if marker in _FRAMES and length >= 8 and frame is None:
            height, width, components = unpack_from(">HHB", data, body + 1)
            frame = height, width, components, marker in _PROGRESSIVE
        elif marker == 0xE1 and data.startswith(EXIF, body) and orientation == 1:
            orientation = exif_orientation(data[body + len(EXIF) : after])
        elif marker == 0xDA:
            if frame is None or length < 3:
                raise ValueError("pixels without a size")
            height, width, components, progressive = frame
            return JpegHeader(height, width, orientation, progressive or data[body] < components, place)
        place = after
    raise ValueError(f"more than {MAX_SEGMENTS} segments")


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation in an EXIF block, from its byte order mark on; 1 if it is corrupt."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    start = unpack_from(f"{order}I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return 1
    count = unpack_from(f"{order}H", tiff, start)[0]
    for entry in range(start + 2, min(start + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, number = unpack_from(f"{order}HHI", tiff, entry)
        if tag == ORIENTATION_TAG:
            value = unpack_from(order + _INTEGERS[kind], tiff, entry + 8)[0] if kind in _INTEGERS else 0
            return value if number == 1 and 1 <= value <= 8 else 1
    return 1
