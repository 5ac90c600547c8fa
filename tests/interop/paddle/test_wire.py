import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import BYTES, FIXED32, FIXED64, MOST_FIELDS, VARINT, Field, fields, read_varint, signed
from paddle_files import message, number, varint


def read(data: bytes) -> list[tuple[int, int, int, bytes]]:
    return [(f.number, f.kind, f.value, bytes(f.data)) for f in fields(memoryview(data))]


def test_the_example_of_the_format() -> None:
    assert read(bytes.fromhex("0805108004")) == [(1, VARINT, 5, b""), (2, VARINT, 512, b"")]


def test_every_kind() -> None:
    data = number(3, 300) + message(4, b"abc") + bytes([5 << 3 | 1]) + b"8" * 8 + bytes([6 << 3 | 5]) + b"4" * 4
    expected = [(3, VARINT, 300, b""), (4, BYTES, 0, b"abc"), (5, FIXED64, 0, b"8" * 8), (6, FIXED32, 0, b"4" * 4)]
    assert read(data) == expected
    assert isinstance(next(fields(memoryview(data))), Field)


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_come_back(value: int) -> None:
    data = varint(value)
    found, end = read_varint(memoryview(data), 0)
    assert (signed(found), end) == (value, len(data)) and len(data) <= 10


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x08", "ends within a number"),
        (b"\x08" + b"\x80" * 9, "ends within a number"),
        (b"\x08" + b"\x80" * 10 + b"\1", "more than 64 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "more than 64 bits"),
        (b"\x0a\x05abcd", "5 bytes where 4 are left"),
        (b"\x0a" + varint((1 << 64) - 1), "bytes where 0 are left"),
        (b"\x09" + b"1" * 7, "8 bytes where 7 are left"),
        (b"\x0b", "kind 3"),  # groups nest without a length
        (b"\x0f", "kind 7"),
        (b"\x00\x01", "number 0"),
        (varint(1 << 32) + b"\x01", "a field of number"),
    ],
)
def test_what_is_no_message(data: bytes, problem: str) -> None:
    with pytest.raises(LandmarksError, match=problem):
        read(data)


def test_the_number_of_fields_is_limited() -> None:
    assert len(read(number(1, 1) * MOST_FIELDS)) == MOST_FIELDS
    with pytest.raises(LandmarksError, match="more than 64 fields"):
        read(number(1, 1) * (MOST_FIELDS + 1))
    assert len(list(fields(memoryview(number(1, 1) * 100), 100))) == 100


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(data: bytes) -> None:
    try:
        found = read(data)
    except LandmarksError:
        return
    assert sum(len(data) for *_, data in found) <= len(data)
