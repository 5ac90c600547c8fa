import io
import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from landmarks.data.images import (
    MAX_SEGMENTS,
    ORIENTATION_TAG,
    TruncatedHeaderError,
    exif_orientation,
    read_jpeg_header,
)


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (60, 80), (700, 20)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_what_encoders_write(make: SimpleNamespace, height: int, width: int, mode: str, progressive: bool) -> None:
    file = io.BytesIO()
    image = Image.fromarray(make.image(0, height, width)).convert(mode)
    image.save(file, "JPEG", progressive=progressive)
    header = read_jpeg_header(file.getvalue())
    assert (header.height, header.width, header.orientation, header.many_scans) == (height, width, 1, progressive)
    assert file.getvalue()[header.end : header.end + 2] == b"\xff\xda"


def test_both_byte_orders_and_damage() -> None:
    for order, mark in (("<", b"II*\x00"), (">", b"MM\x00*")):
        entry = struct.pack(f"{order}HHIHH", ORIENTATION_TAG, 3, 1, 6, 0)
        block = mark + struct.pack(f"{order}IH", 8, 1) + entry
        assert exif_orientation(block + bytes(4)) == 6
        for size in range(len(block) - 2):
            assert exif_orientation(block[:size]) == 1
        for kind, number, value in ((2, 1, 6), (3, 2, 6), (3, 1, 0), (3, 1, 9), (5, 1, 6)):
            corrupt = struct.pack(f"{order}HHIHH", ORIENTATION_TAG, kind, number, value, 0)
            assert exif_orientation(mark + struct.pack(f"{order}IH", 8, 1) + corrupt) == 1
        assert exif_orientation(mark + struct.pack(f"{order}IH", 2**32 - 1, 1) + entry) == 1
        assert exif_orientation(mark + struct.pack(f"{order}IH", 8, 65535) + entry) == 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(1, "B3x"), (3, "H2x"), (4, "I"), (6, "b3x"), (8, "h2x"), (9, "i")])
def test_an_orientation_may_be_of_any_integer_type(order: str, kind: int, code: str) -> None:
    head = {"<": b"II*\x00", ">": b"MM\x00*"}[order] + struct.pack(f"{order}IH", 8, 1)
    for value in range(1, 9):
        entry = struct.pack(f"{order}HHI", ORIENTATION_TAG, kind, 1) + struct.pack(order + code, value)
        assert exif_orientation(head + entry + bytes(4)) == value


def test_a_thumbnail_in_the_exif_is_not_the_image(make: SimpleNamespace) -> None:
    data = with_segment(make.jpeg(0, 60, 80), 0xE1, b"Exif\x00\x00" + make.jpeg(1, 10, 12))
    assert read_jpeg_header(data)[:2] == (60, 80)


@pytest.mark.parametrize("extra", [0, 200, 30_000, 60_000])
def test_a_beginning_says_how_much_more_is_needed(make: SimpleNamespace, extra: int) -> None:
    whole = with_segment(make.jpeg(2, 60, 80), 0xE2, bytes(extra))
    length, rounds = 16, 0
    while True:
        try:
            header = read_jpeg_header(whole[:length])
            break
        except TruncatedHeaderError as error:
            assert error.needed > length
            length, rounds = error.needed, rounds + 1
    assert (header.height, header.width) == (60, 80) and length < len(whole)
    assert rounds < 12


def test_bytes_between_segments_are_passed_over(make: SimpleNamespace) -> None:
    data = make.jpeg(7)
    for stray in (b"\x00\x00", b"\xff\xff", b"\xff\x00", b"\x01"):
        assert read_jpeg_header(data[:2] + stray + data[2:])[:2] == (60, 80)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xd9" + bytes(9), b"\xff\xd8\xff\xda\x00\x08" + bytes(9)]
)
def test_no_header(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"image|pixels"):
        read_jpeg_header(data)


def test_a_header_of_endless_segments_is_given_up() -> None:
    with pytest.raises(ValueError, match="segments"):
        read_jpeg_header(b"\xff\xd8" + b"\xff\xe0\x00\x02" * (MAX_SEGMENTS + 1) + bytes(9))


@given(st.binary(max_size=200))
def test_random_bytes_are_a_header_or_a_value_error(data: bytes) -> None:
    for start in (b"\xff\xd8", b"\xff\xd8\xff\xe1\x00\x40Exif\x00\x00II*\x00\x08\x00\x00\x00"):
        try:
            header = read_jpeg_header(start + data)
        except ValueError:
            continue
        assert 1 <= header.orientation <= 8
