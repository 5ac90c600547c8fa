"""Walks the fields of a protobuf message, within bounds: enough to read names, types and shapes.

The format is https://protobuf.dev/programming-guides/encoding. A message is never entered but by a caller who knows
its fields, so that nesting is as deep as the code that reads it; a varint has ten bytes at most; a length that points
beyond its message is refused before anything is copied.
"""

from collections.abc import Iterator
from typing import NamedTuple

from landmarks.errors import LandmarksError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10  # bytes
MOST_FIELDS = 64  # of one message, unless its reader expects more

_FIXED = {FIXED64: 8, FIXED32: 4}


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: Which.
        kind: `VARINT`, `BYTES`, `FIXED64` or `FIXED32`.
        value: Of a varint, as unsigned 64 bits; 0 for the others.
        data: The bytes of all other kinds; empty for a varint.
    """

    number: int
    kind: int
    value: int
    data: memoryview


def fields(message: memoryview, most: int = MOST_FIELDS) -> Iterator[Field]:
    """The fields of a message in their order.

    Args:
        message: The bytes.
        most: How many fields there may be.
    """
    at, count = 0, 0
    while at < len(message):
        count += 1
        if count > most:
            raise LandmarksError(f"a message of more than {most:,} fields")
        tag, at = read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise LandmarksError(f"a field of number {number}")
        if kind == VARINT:
            value, at = read_varint(message, at)
            yield Field(number, kind, value, message[at:at])
            continue
        if kind == BYTES:
            length, at = read_varint(message, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise LandmarksError(f"a field of kind {kind}")
        if length > len(message) - at:
            raise LandmarksError(f"a field of {length:,} bytes where {len(message) - at:,} are left")
        yield Field(number, kind, 0, message[at : at + length])
        at += length


def read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """The number at a place, as unsigned 64 bits, and the place behind it. Raises LandmarksError."""
    value = 0
    for place in range(LONGEST_VARINT):
        if at + place >= len(message):
            raise LandmarksError("it ends within a number")
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + place + 1
    raise LandmarksError("a number of more than 64 bits")


def signed(value: int) -> int:
    """What a field of type int32 or int64 means by an unsigned 64-bit number."""
    return value - (1 << 64) if value >> 63 else value
