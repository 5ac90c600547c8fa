"""The byte stream of one tensor, also with wrong lengths."""

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import TYPES, Description, read_description, read_header, read_values
from paddle_files import NUMBERS, header, message, number, stream, tensor_desc, varint


def read(data: bytes, after: int = 0) -> np.ndarray:
    """The tensor of which `data` is the stream, with `after` bytes behind it."""
    file = io.BufferedReader(io.BytesIO(data))
    described = read_header(file, len(data))
    values = read_values(file, described)
    assert (values.dtype, values.shape) == described and file.tell() == len(data) - after
    return values


def test_the_types_are_those_of_the_format() -> None:
    assert {dtype.name: key for key, dtype in TYPES.items()} == NUMBERS


def test_the_bytes_of_the_framework(tiny: Path) -> None:
    data = (tiny / "tiny_separate" / "fc_0.w_0").read_bytes()
    values = read(data)
    assert values.shape == (4, 5) and stream(values) == data


@given(
    nps.arrays(st.sampled_from(list(TYPES.values())), nps.array_shapes(min_dims=0, max_dims=9, max_side=3, min_side=1)),
    st.lists(st.binary(max_size=20), max_size=3),
    st.binary(max_size=4),
)
def test_every_type_and_shape_comes_back(value: np.ndarray, levels: list[bytes], after: bytes) -> None:
    data = header(tensor_desc(value.dtype.name, value.shape), tuple(levels)) + value.tobytes() + after
    found = read(data, len(after))
    assert found.dtype == value.dtype and found.shape == value.shape and found.tobytes() == value.tobytes()


def test_packed_dimensions_are_read() -> None:
    desc = number(1, 5) + message(2, varint(2) + varint(300))
    assert read_description(memoryview(desc)) == Description(np.dtype("<f4"), (2, 300))


FLOAT4 = tensor_desc("float32", (4,))
VALUES = b"\0" * 16


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "ends within its header"),
        (b"\xff\xd8\xff\xe0 an image, not a tensor", "version .* of sequence levels"),
        (header(FLOAT4, version=3) + VALUES, "version 3 of the tensor"),
        (struct.pack("<IQ", 0, 1 << 60) + VALUES, "1,152,921,504,606,846,976 sequence levels"),
        (struct.pack("<IQQ", 0, 1, 1 << 63) + VALUES, "a sequence level of 9,223,372,036,854,775,808 bytes; 16 are"),
        (struct.pack("<IQIi", 0, 0, 0, -1) + VALUES, "a description of -1 bytes"),
        (struct.pack("<IQIi", 0, 0, 0, (1 << 31) - 1) + VALUES, "a description of 2,147,483,647 bytes"),
        (struct.pack("<IQIi", 0, 0, 0, 200) + VALUES, "ends within its header"),
        (header(FLOAT4) + VALUES[1:], "takes 16 bytes; 15 are left"),
        (header(tensor_desc("float32", (1 << 62, 1 << 62))) + VALUES, "bytes; 16 are left"),
        (header(tensor_desc("float32", (-1, 4))) + VALUES, r"the shape \[-1, 4\]"),
        (header(tensor_desc("float32", (1 << 62, 0))) + VALUES, "every dimension of a weight is 1 or more"),
        (header(tensor_desc("int8", (1,) * 10)) + VALUES, "more than 9 dimensions"),
        (header(number(1, 7) + number(2, 4)) + VALUES, r"names the type 7; known are 0 \(bool\)"),
        (header(number(2, 4)) + VALUES, "names the type None"),
        (header(FLOAT4 + number(1, 5)) + VALUES, "a field 1 that is not understood"),
        (header(FLOAT4 + number(9, 5)) + VALUES, "a field 9 that is not understood"),
        (header(FLOAT4 + message(2, b"\x80")) + VALUES, "ends within a number"),
        (header(tensor_desc("bool", (4,))) + b"\0\1\2\0", "other than 0 and 1"),
    ],
)
def test_what_is_no_tensor(data: bytes, problem: str) -> None:
    """And a length that lies takes no memory."""
    tracemalloc.start()
    try:
        with pytest.raises(LandmarksError, match=problem):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_file_that_becomes_shorter() -> None:
    described = Description(np.dtype("<f4"), (4,))
    with pytest.raises(LandmarksError, match="became shorter"):
        read_values(io.BufferedReader(io.BytesIO(VALUES[1:])), described)
