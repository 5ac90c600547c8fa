"""Read the stream of one tensor: versions, sequence levels, a description, and the raw values, all little-endian.

Fluid's `TensorToStream` writes: uint32 version of the sequence levels; uint64 number of levels, each a uint64 number of
bytes and the bytes; uint32 version of the tensor; int32 length of a protobuf message `TensorDesc` (field 1 the type,
field 2 the dimensions); the values in row-major order. Nothing is allocated for a length that exceeds the file.

Of protobuf (https://protobuf.dev/programming-guides/encoding) only the fields of a message are read. Nested messages
are only read by callers that know their fields, so the nesting is limited by the code; a varint has ten bytes at most;
a length that points beyond its message is refused before anything is copied.
"""

import struct
from collections.abc import Iterator
from io import BufferedReader
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from landmarks.errors import LandmarksError

# NumPy's type for each type number of Paddle's protobuf format.
TYPES: dict[int, np.dtype[np.generic]] = {
    0: np.dtype(np.bool_),
    1: np.dtype("<i2"),
    2: np.dtype("<i4"),
    3: np.dtype("<i8"),
    4: np.dtype("<f2"),
    5: np.dtype("<f4"),
    6: np.dtype("<f8"),
    20: np.dtype(np.uint8),
    21: np.dtype(np.int8),
}
MOST_LEVELS = 16  # weights have none, sequences one or two
MOST_DIMENSIONS = 9  # Fluid's own limit
LONGEST_DESCRIPTION = 256  # bytes; nine dimensions of ten bytes each and the type take 101

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LONGEST_VARINT = 10  # bytes
MOST_FIELDS = 64  # of one message, unless its reader expects more

_FIXED = {FIXED64: 8, FIXED32: 4}


class Description(NamedTuple):
    """Type and shape of a tensor; -1 stands for a dimension that is unknown until the network runs."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes, if all dimensions are known."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(file: BufferedReader, end: int) -> Description:
    """Read the header, up to the values, which must end at the position `end` of the file at the latest.

    Raises:
        LandmarksError: The header is invalid, or the file too short for the values.
    """
    _require_version("sequence levels", *_unpack("<I", file, end))
    (levels,) = _unpack("<Q", file, end)
    if levels > MOST_LEVELS:
        raise LandmarksError(f"it claims {levels:,} sequence levels; at most {MOST_LEVELS} are read")
    for _ in range(levels):
        (length,) = _unpack("<Q", file, end)
        if length > end - file.tell():
            raise LandmarksError(f"it claims a sequence level of {length:,} bytes; {end - file.tell():,} are left")
        file.seek(length, 1)
    _require_version("the tensor", *_unpack("<I", file, end))
    (length,) = _unpack("<i", file, end)
    if not 0 < length <= LONGEST_DESCRIPTION:
        raise LandmarksError(f"it claims a description of {length:,} bytes; 1 to {LONGEST_DESCRIPTION} are read")
    described = read_description(memoryview(_read(file, length, end)))
    if min(described.shape, default=1) < 1:
        raise LandmarksError(f"it claims the shape {list(described.shape)}; every dimension of a weight is 1 or more")
    if described.nbytes > end - file.tell():
        raise LandmarksError(
            f"shape {list(described.shape)} of {described.dtype.name} takes {described.nbytes:,} bytes; "
            f"{end - file.tell():,} are left"
        )
    return described


def read_description(message: memoryview) -> Description:
    """Read a `TensorDesc`; raises LandmarksError if it is invalid."""
    number: int | None = None
    dims: list[int] = []
    for field in fields(message):
        if field.number == 1 and field.kind == VARINT and number is None:
            number = field.value
        elif field.number == 2 and field.kind == VARINT:
            dims.append(signed(field.value))
        elif field.number == 2 and field.kind == BYTES:  # packed, as some writers of protobuf do
            at = 0
            while at < len(field.data):
                value, at = read_varint(field.data, at)
                dims.append(signed(value))
        else:
            raise LandmarksError(f"its description has a field {field.number} that is not understood")
        if len(dims) > MOST_DIMENSIONS:
            raise LandmarksError(f"its description has more than {MOST_DIMENSIONS} dimensions")
    if number not in TYPES:
        known = ", ".join(f"{key} ({dtype.name})" for key, dtype in TYPES.items())
        raise LandmarksError(f"its description names the type {number}; known are {known}")
    return Description(TYPES[number], tuple(dims))


def read_values(file: BufferedReader, described: Description) -> NDArray[np.generic]:
    """Read the values after `read_header`; raises LandmarksError if the file has changed or they are invalid."""
    values = np.empty(described.shape, described.dtype)
    if file.readinto(values.reshape(-1).view(np.uint8).data) != values.nbytes:
        raise LandmarksError("the file became shorter while it was read")
    if described.dtype == np.bool_ and values.view(np.uint8).max() > 1:
        raise LandmarksError("it holds bytes other than 0 and 1 as booleans")
    return values


def _unpack(form: str, file: BufferedReader, end: int) -> tuple[int, ...]:
    return struct.unpack(form, _read(file, struct.calcsize(form), end))


def _read(file: BufferedReader, length: int, end: int) -> bytes:
    """Read `length` bytes of a header, a few hundred at most."""
    data = file.read(length) if length <= end - file.tell() else b""
    if len(data) != length:
        raise LandmarksError("it ends within its header; it is corrupt, incomplete, or not a tensor of this format")
    return data


def _require_version(what: str, found: int) -> None:
    if found != 0:
        raise LandmarksError(
            f"version {found} of {what}; only version 0 can be read. It may not be a tensor of this format"
        )


class Field(NamedTuple):
    """A field of a message: `value` is that of a varint, unsigned 64 bits; `data` are the bytes of the other kinds."""

    number: int
    kind: int
    value: int
    data: memoryview


def fields(message: memoryview, most: int = MOST_FIELDS) -> Iterator[Field]:
    """Yield the fields of a message in their order; raises LandmarksError if there are more than `most`."""
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
    """Return the number at a position, unsigned 64 bits, and the next position; raises LandmarksError if invalid."""
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
    """Interpret an unsigned 64-bit number as a field of type int32 or int64."""
    return value - (1 << 64) if value >> 63 else value
